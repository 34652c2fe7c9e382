"""The server whose disk fails: what every dialect answers to a write then, what goes on, and what is there after a restart.

From a moment on no file may grow, the one with the diagnostics included. Not here: power loss (tests/ledger_crash.rs).
"""

import resource
import shutil
import unittest
import urllib.error
import urllib.request

from botocore.exceptions import ClientError

from served import Server

FREE = resource.RLIM_INFINITY


class Failing(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.iam, self.lightsail = self.server.client(), self.server.client("lightsail")
        self.iam.create_user(UserName="acknowledged")
        self.lightsail.create_bucket(bucketName="acknowledged", bundleId="small_1_0")
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (0, FREE))

    def tearDown(self):
        self.server.kill()
        self.server.start()
        # Whatever was answered with an error may be there or not; what was acknowledged is.
        self.assertIn("acknowledged", [user["UserName"] for user in self.server.client().list_users()["Users"]])
        self.server.client().create_user(UserName="afterwards")
        self.assertEqual(self.server.stop(), 0)
        shutil.rmtree(self.server.folder)

    def ready(self):
        try:
            return urllib.request.urlopen(f"{self.server.endpoint}/readyz", timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code

    def unavailable(self, code, call, **arguments):
        """What follows the failure is refused at once, and may be tried again elsewhere or later."""
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        answer = caught.exception.response
        self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, 503))
        self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"], "1")

    def test_a_write_of_iam_is_a_service_failure_and_reads_go_on(self):
        self.assertEqual(self.ready(), 200)
        with self.assertRaises(self.iam.exceptions.ServiceFailureException) as caught:
            self.iam.create_access_key(UserName="acknowledged")
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 500)
        for n in range(3):
            self.unavailable("ServiceUnavailable", self.iam.create_user, UserName=f"later-{n}")
        self.unavailable("ServiceException", self.lightsail.create_bucket, bucketName="later", bundleId="small_1_0")
        self.assertEqual(self.ready(), 503)
        self.assertEqual(self.iam.list_access_keys(UserName="acknowledged")["AccessKeyMetadata"], [])
        self.assertEqual([bucket["name"] for bucket in self.lightsail.get_buckets()["buckets"]], ["acknowledged"])

    def test_a_write_of_lightsail_is_a_service_exception(self):
        with self.assertRaises(self.lightsail.exceptions.ServiceException) as caught:
            self.lightsail.create_bucket_access_key(bucketName="acknowledged")
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 500)
        self.assertEqual(self.lightsail.get_bucket_access_keys(bucketName="acknowledged")["accessKeys"], [])


if __name__ == "__main__":
    unittest.main()
