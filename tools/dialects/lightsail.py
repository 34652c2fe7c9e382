"""Amazon Lightsail: buckets and their keys, by boto3 as it is."""

import time
import unittest

from served import Served


class Buckets(Served):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lightsail = cls.server.client("lightsail")

    def bucket(self, name):
        return self.lightsail.create_bucket(bucketName=name, bundleId="small_1_0")

    def test_a_bucket_has_two_keys_shown_once(self):
        made = self.bucket("photos")
        self.assertEqual((made["bucket"]["name"], made["operations"][0]["operationType"]), ("photos", "CreateBucket"))
        self.assertEqual(self.lightsail.get_bucket_access_keys(bucketName="photos")["accessKeys"], [])
        first = self.lightsail.create_bucket_access_key(bucketName="photos")
        key = first["accessKey"]
        self.assertEqual((len(key["accessKeyId"]), len(key["secretAccessKey"]), key["status"], key["lastUsed"]),
                         (20, 40, "Active", {"region": "N/A", "serviceName": "N/A"}))
        operation = self.lightsail.get_operation(operationId=first["operations"][0]["id"])["operation"]
        self.assertEqual((operation["operationType"], operation["status"], operation["isTerminal"]),
                         ("CreateBucketAccessKey", "Succeeded", True))
        self.lightsail.create_bucket_access_key(bucketName="photos")
        self.refused("InvalidInputException", self.lightsail.create_bucket_access_key, bucketName="photos")
        keys = self.lightsail.get_bucket_access_keys(bucketName="photos")["accessKeys"]
        self.assertEqual(len(keys), 2)
        self.assertNotIn("secretAccessKey", keys[0])
        self.lightsail.delete_bucket_access_key(bucketName="photos", accessKeyId=key["accessKeyId"])
        self.refused("NotFoundException", self.lightsail.delete_bucket_access_key, bucketName="photos", accessKeyId=key["accessKeyId"])
        self.assertEqual(len(self.lightsail.get_bucket_access_keys(bucketName="photos")["accessKeys"]), 1)
        self.assertIn("CreateBucketAccessKey", [it["operationType"] for it in self.lightsail.get_operations()["operations"]])

    def test_buckets_are_made_listed_and_deleted(self):
        for name in ("one", "two"):
            self.bucket(name)
        self.refused("InvalidInputException", self.lightsail.create_bucket, bucketName="one", bundleId="small_1_0")
        names = [it["name"] for it in self.lightsail.get_buckets()["buckets"]]
        self.assertTrue({"one", "two"} <= set(names))
        self.assertEqual(len(self.lightsail.get_buckets(bucketName="one")["buckets"]), 1)
        self.lightsail.create_bucket_access_key(bucketName="one")
        self.refused("InvalidInputException", self.lightsail.delete_bucket, bucketName="one")
        self.lightsail.delete_bucket(bucketName="one", forceDelete=True)
        self.refused("NotFoundException", self.lightsail.delete_bucket, bucketName="one")
        self.refused("NotFoundException", self.lightsail.get_bucket_access_keys, bucketName="one")
        self.refused("NotFoundException", self.lightsail.create_bucket_access_key, bucketName="none")
        self.refused("InvalidInputException", self.lightsail.get_bucket_access_keys, bucketName="Not A Bucket")
        self.refused("NotFoundException", self.lightsail.get_operation, operationId="none")

    def test_who_may_not_is_told_so_in_the_dialect_s_words(self):
        self.bucket("closed")
        self.iam.create_user(UserName="eve")
        key = self.key_of("eve")
        eve = self.server.client("lightsail", key=key)
        self.refused("AccessDeniedException", eve.create_bucket_access_key, bucketName="closed")
        self.refused("AccessDeniedException", eve.get_bucket_access_keys, bucketName="closed")
        self.refused("AccessDeniedException", eve.get_bucket_access_keys, bucketName="nothing-here")
        self.iam.delete_access_key(UserName="eve", AccessKeyId=key[0])
        self.error("UnrecognizedClientException", 400, eve.get_buckets)
        wrong = self.server.client("lightsail", key=(self.server.root[0], "x" * 40))
        self.error("InvalidSignatureException", 400, wrong.get_buckets)
        self.error("UnknownOperationException", 400, self.lightsail.get_instances)

    def test_a_key_s_last_use_is_real(self):
        self.bucket("used")
        made = self.lightsail.create_bucket_access_key(bucketName="used")["accessKey"]
        own = self.server.client("lightsail", key=(made["accessKeyId"], made["secretAccessKey"]))
        self.refused("AccessDeniedException", own.create_bucket_access_key, bucketName="used")
        for _ in range(100):
            used = self.lightsail.get_bucket_access_keys(bucketName="used")["accessKeys"][0]["lastUsed"]
            if "lastUsedDate" in used:
                break
            time.sleep(0.1)
        self.assertEqual((used["serviceName"], used["region"]), ("lightsail", "us-east-1"))


if __name__ == "__main__":
    unittest.main()
