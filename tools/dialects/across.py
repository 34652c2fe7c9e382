"""One key, every dialect: made by one, seen by all the others in their own words, at work and dead at the storage node.

And what belongs to one org, asked for from another, by every surface but the native API (across_native.py): nothing crosses, and
nothing tells that it is there.
"""

import json
import re
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import partner_client
from orgs import HERE, PROVIDER, S3, THERE, TwoOrgs
from served import ALLOW_S3, Served


class Tigris:
    """The Tigris IAM dialect by hand: a form that is signed, and JSON."""

    def __init__(self, server, key=None):
        self.endpoint, self.key = server.endpoint, key or server.root

    def __call__(self, action, **form):
        form = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in form.items()}
        url = f"{self.endpoint}/?Action={action}"
        body = urllib.parse.urlencode(form).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", url, data=body, headers=headers)
        S3SigV4Auth(Credentials(*self.key), "s3", "auto").add_auth(request)
        asked = urllib.request.Request(url, body, dict(request.headers.items()))
        try:
            with urllib.request.urlopen(asked, timeout=30) as reply:
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def keys(self):
        status, answer = self("ListAccessKeys")
        assert status == 200, answer
        return {row["access_key_id"]: row for row in answer["Keys"]}


class Across(Served):
    options, environment = S3, PROVIDER

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root_s3 = cls.s3(cls.server.root)
        cls.root_s3.create_bucket(Bucket="films")
        cls.root_s3.put_object(Bucket="films", Key="a", Body=b"1")
        cls.lightsail = cls.server.client("lightsail")
        cls.trail = cls.server.client("cloudtrail")
        cls.tigris = Tigris(cls.server)

    @classmethod
    def s3(cls, key):
        return cls.server.client("s3", key=key, endpoint=cls.server.s3, s3={"addressing_style": "path"})

    def reads(self, key, bucket="films"):
        """What a read with this key is answered: `ok` or an error code."""
        try:
            self.s3(key).list_objects_v2(Bucket=bucket)
            return "ok"
        except ClientError as error:
            return error.response["Error"]["Code"]

    def told(self, key):
        """The names of AWS's calls that were about a key, oldest first."""
        pages = self.trail.get_paginator("lookup_events").paginate(
            LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": key}])
        return [event["EventName"] for page in pages for event in page["Events"] if event["EventSource"] != "keyledger"][::-1]

    def test_a_key_of_aws_iam(self):
        self.iam.create_user(UserName="ann")
        self.iam.put_user_policy(UserName="ann", PolicyName="s3", PolicyDocument=ALLOW_S3)
        key = self.key_of("ann")
        self.assertEqual(self.reads(key), "ok")
        self.assertEqual(self.tigris.keys()[key[0]]["status"], "active")
        # Suspended here, it is inactive there, and refused by the node; and back.
        self.iam.update_access_key(UserName="ann", AccessKeyId=key[0], Status="Inactive")
        self.assertEqual((self.tigris.keys()[key[0]]["status"], self.reads(key)), ("inactive", "InvalidAccessKeyId"))
        self.iam.update_access_key(UserName="ann", AccessKeyId=key[0], Status="Active")
        self.assertEqual((self.tigris.keys()[key[0]]["status"], self.reads(key)), ("active", "ok"))
        # Deleted there, it is gone here.
        self.assertEqual(self.tigris("DeleteAccessKey", AccessKeyId=key[0])[0], 200)
        self.assertEqual(self.reads(key), "InvalidAccessKeyId")
        self.assertEqual(self.iam.list_access_keys(UserName="ann")["AccessKeyMetadata"], [])
        self.assertNotIn(key[0], self.tigris.keys())
        self.assertEqual(self.told(key[0]), ["CreateAccessKey", "UpdateAccessKey", "UpdateAccessKey", "DeleteAccessKey"])

    def test_a_key_of_a_bucket_in_lightsail(self):
        self.lightsail.create_bucket(bucketName="photos", bundleId="small_1_0")
        made = self.lightsail.create_bucket_access_key(bucketName="photos")["accessKey"]
        key = (made["accessKeyId"], made["secretAccessKey"])
        # The registration is Lightsail's; the folder of objects is made by whoever has the right to.
        self.root_s3.create_bucket(Bucket="photos")
        self.assertEqual((self.reads(key, "photos"), self.reads(key)), ("ok", "AccessDenied"))
        row = self.tigris.keys()[key[0]]
        self.assertEqual((row["status"], row["buckets_role"]), ("active", [{"bucket": "photos", "role": "Editor"}]))
        self.assertEqual(self.tigris("DeleteAccessKey", AccessKeyId=key[0])[0], 200)
        self.assertEqual(self.reads(key, "photos"), "InvalidAccessKeyId")
        self.assertEqual(self.lightsail.get_bucket_access_keys(bucketName="photos")["accessKeys"], [])
        self.assertEqual(self.told(key[0])[0], "CreateBucketAccessKey")

    def test_a_key_of_the_tigris_cli(self):
        request = {"req_uuid": "11111111-1111-4111-8111-111111111111", "name": "ci",
                   "buckets_role": [{"bucket": "films", "role": "ReadOnly"}]}
        status, answer = self.tigris("CreateAccessKeyWithBucketsRole", Req=request)
        self.assertEqual(status, 200, answer)
        made = answer["CreateAccessKeyResult"]["AccessKey"]
        key = (made["AccessKeyId"], made["SecretAccessKey"])
        # The connection was lost, says the client, and asks again.
        status, again = self.tigris("CreateAccessKeyWithBucketsRole", Req=request)
        self.assertEqual(status, 409, again)
        self.assertIn(key[0], again["Message"])
        self.assertNotIn(key[1], json.dumps(again))
        self.assertEqual(len([row for row in self.tigris.keys().values() if row["username"] == "ci"]), 1)
        self.assertEqual(self.reads(key), "ok")
        with self.assertRaises(ClientError) as caught:
            self.s3(key).put_object(Bucket="films", Key="b", Body=b"")
        self.assertEqual(caught.exception.response["Error"]["Code"], "AccessDenied")
        own = {row["AccessKeyId"]: row["Status"] for row in self.iam.list_access_keys()["AccessKeyMetadata"]}
        self.assertEqual(own[key[0]], "Active")
        self.iam.update_access_key(AccessKeyId=key[0], Status="Inactive")
        self.assertEqual((self.tigris.keys()[key[0]]["status"], self.reads(key)), ("inactive", "InvalidAccessKeyId"))
        self.iam.delete_access_key(AccessKeyId=key[0])
        self.assertNotIn(key[0], self.tigris.keys())
        self.assertEqual(self.told(key[0]), ["CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"])

    def test_a_key_of_a_partner(self):
        client = partner_client.Client(self.server.endpoint)
        made = client.ok("POST", "/orgs/tenant-1/key", {"user_id": "u", "name": "backup", "user_role": "Admin", "buckets_roles": [
            {"bucket_name": "*", "role": "Admin"}]})
        key = (made["id"], made["secret_key"])
        tenant = self.s3(key)
        tenant.create_bucket(Bucket="tenant-data")
        self.assertEqual((self.reads(key, "tenant-data"), self.reads(key)), ("ok", "AccessDenied"))
        self.assertEqual(self.reads(self.server.root, "tenant-data"), "AccessDenied")
        one = {"user_id": "u", "id": key[0]}
        self.assertEqual(client.ok("POST", "/orgs/tenant-1/key/get", one)["status"], "Active")
        # Another org's dialects do not know it.
        self.assertNotIn(key[0], self.tigris.keys())
        self.assertEqual(self.told(key[0]), [])
        rotated = client.ok("POST", "/orgs/tenant-1/key/rotate", one)
        new = (key[0], rotated["new_secret"])
        self.assertEqual((self.reads(key, "tenant-data"), self.reads(new, "tenant-data")), ("SignatureDoesNotMatch", "ok"))
        client.ok("DELETE", "/orgs/tenant-1/key", one)
        self.assertEqual(self.reads(new, "tenant-data"), "InvalidAccessKeyId")

    def test_a_use_at_the_node_is_a_last_use_everywhere(self):
        self.iam.create_user(UserName="uses")
        self.iam.put_user_policy(UserName="uses", PolicyName="s3", PolicyDocument=ALLOW_S3)
        key = self.key_of("uses")
        self.assertEqual(self.reads(key), "ok")
        for _ in range(100):
            used = self.iam.get_access_key_last_used(AccessKeyId=key[0])["AccessKeyLastUsed"]
            if "LastUsedDate" in used:
                break
            time.sleep(0.1)
        self.assertEqual((used["ServiceName"], used["Region"]), ("s3", "N/A"), "S3 is no region's, as in AWS")


class Orgs(TwoOrgs):
    """`here` asks for what is `there`, and for what never was; both get the same answer."""

    def answer(self, call, **arguments):
        try:
            answer = call(**arguments)
            answer.pop("ResponseMetadata", None)
            return "ok", answer
        except ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]

    def same(self, call, theirs, never):
        """The two answers, but for the names that were asked with."""
        first, second = self.answer(call, **theirs), self.answer(call, **never)
        words = [str(value) for value in theirs.values()] + [str(value) for value in never.values()]
        words += ["their-policy", "never-policy"]
        blank = lambda answer: re.sub("|".join(sorted(map(re.escape, set(words)), key=len, reverse=True)), "…", str(answer))
        self.assertEqual(blank(first), blank(second), (call, theirs))
        return first[0]

    def test_nothing_of_another_org_is_read_or_changed_or_told_from_one_that_never_was(self):
        before = len(self.events())
        iam = self.server.client(key=self.here)
        never_key, never_policy = "NQAKNEVERNEVERNEVER1", self.policy.replace("their-policy", "never-policy")
        iam.create_user(UserName="own")
        iam.create_group(GroupName="own")
        user, group = ({"UserName": "their-user"}, {"UserName": "never-user"}), ({"GroupName": "their-group"}, {"GroupName": "never-group"})
        arn = ({"PolicyArn": self.policy}, {"PolicyArn": never_policy})
        key = ({"AccessKeyId": self.key}, {"AccessKeyId": never_key})
        document = {"PolicyName": "p", "PolicyDocument": ALLOW_S3}
        both = lambda pair, **more: [{**one, **more} for one in pair]
        refusals = set()
        for call, pair in [
            (iam.get_user, user), (iam.delete_user, user), (iam.update_user, both(user, NewPath="/x/")),
            (iam.list_access_keys, user), (iam.create_access_key, user), (iam.list_user_policies, user),
            (iam.list_attached_user_policies, user), (iam.list_groups_for_user, user), (iam.list_user_tags, user),
            (iam.tag_user, both(user, Tags=[{"Key": "a", "Value": "b"}])), (iam.untag_user, both(user, TagKeys=["a"])),
            (iam.put_user_policy, both(user, **document)), (iam.get_user_policy, both(user, PolicyName="p")),
            (iam.delete_user_policy, both(user, PolicyName="p")),
            (iam.attach_user_policy, both(user, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")),
            (iam.detach_user_policy, both(user, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")),
            (iam.put_user_permissions_boundary, both(user, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3FullAccess")),
            (iam.add_user_to_group, both(user, GroupName="own")), (iam.remove_user_from_group, both(user, GroupName="own")),
            (iam.get_group, group), (iam.delete_group, group), (iam.update_group, both(group, NewPath="/x/")),
            (iam.add_user_to_group, both(group, UserName="own")), (iam.list_group_policies, group),
            (iam.put_group_policy, both(group, **document)), (iam.list_attached_group_policies, group),
            (iam.get_policy, arn), (iam.delete_policy, arn), (iam.list_policy_versions, arn), (iam.list_entities_for_policy, arn),
            (iam.get_policy_version, both(arn, VersionId="v1")), (iam.create_policy_version, both(arn, PolicyDocument=ALLOW_S3)),
            (iam.set_default_policy_version, both(arn, VersionId="v1")), (iam.delete_policy_version, both(arn, VersionId="v1")),
            (iam.tag_policy, both(arn, Tags=[{"Key": "a", "Value": "b"}])),
            (iam.attach_user_policy, both(arn, UserName="own")), (iam.attach_group_policy, both(arn, GroupName="own")),
            (iam.update_access_key, both(key, Status="Inactive")), (iam.delete_access_key, key),
            (iam.update_access_key, both(key, Status="Inactive", UserName="own")), (iam.delete_access_key, both(key, UserName="own")),
            (iam.get_access_key_last_used, key),
        ]:
            with self.subTest(call.__name__, arguments=pair[0]):
                code = self.same(call, *pair)
                self.assertNotEqual(code, "ok")
                refusals.add(code)
        self.assertEqual(refusals, {"NoSuchEntity"})
        principal = {"ActionNames": ["s3:GetObject"]}
        users = [{"PolicySourceArn": f"arn:aws:iam::{THERE}:user/{name}", **principal} for name in ("their-user", "never-user")]
        self.assertNotEqual(self.same(iam.simulate_principal_policy, *users), "ok")
        for listed in (iam.list_users()["Users"], iam.list_groups()["Groups"], iam.list_policies(Scope="Local")["Policies"],
                       iam.get_account_authorization_details(Filter=["User", "Group", "LocalManagedPolicy"])):
            self.assertNotIn("their-", str(listed))

        lightsail = self.server.client("lightsail", key=self.here)
        bucket = ({"bucketName": "their-bucket"}, {"bucketName": "never-bucket"})
        for call, pair in [
            (lightsail.get_bucket_access_keys, bucket), (lightsail.create_bucket_access_key, bucket), (lightsail.delete_bucket, bucket),
            (lightsail.delete_bucket_access_key, both(bucket, accessKeyId=self.bucket_key)), (lightsail.get_buckets, bucket),
        ]:
            with self.subTest(call.__name__):
                self.assertEqual(self.same(call, *pair), "NotFoundException")
        self.assertEqual(lightsail.get_buckets()["buckets"], [])

        tigris = Tigris(self.server, self.here)
        for action, form in [
            ("DeleteAccessKey", {"AccessKeyId": "KEY"}), ("RotateAccessKey", {"AccessKeyId": "KEY"}), ("ListUserPolicies", {"UserName": "KEY"}),
            ("UpdateAccessKeyWithBucketsRole", {"Req": '{"id":"KEY","buckets_role":[{"bucket":"*","role":"ReadOnly"}]}'}),
            ("AttachUserPolicy", {"UserName": "KEY", "PolicyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}),
            ("GetPolicyDetailed", {"PolicyArn": "ARN"}), ("DeletePolicy", {"PolicyArn": "ARN"}), ("ForceDeletePolicy", {"PolicyArn": "ARN"}),
            ("UpdatePolicy", {"PolicyArn": "ARN", "PolicyDocument": ALLOW_S3}), ("ListAccessKeys", {"KeyId": "KEY"}),
        ]:
            fill = lambda key, arn: {name: value.replace("KEY", key).replace("ARN", arn) for name, value in form.items()}
            for theirs in (self.key, self.bucket_key, self.partner_key):
                with self.subTest(action, key=theirs):
                    first, second = tigris(action, **fill(theirs, self.policy)), tigris(action, **fill(never_key, never_policy))
                    blank = lambda answer, key, arn: str(answer).replace(key, "…").replace(arn, "…").replace(arn.rsplit("/", 1)[1], "…")
                    self.assertEqual(blank(first, theirs, self.policy), blank(second, never_key, never_policy))
                    self.assertTrue(first[0] >= 400 or first[1]["Keys"] == [], first)
        self.assertEqual(set(tigris.keys()) & {self.key, self.bucket_key, self.partner_key}, set())

        trail = self.server.client("cloudtrail", key=self.here)
        for attribute, value in [("ResourceName", self.key), ("ResourceName", "their-user"), ("AccessKeyId", self.there[0]), ("Username", "their-user")]:
            found = trail.lookup_events(LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}])["Events"]
            self.assertEqual(found, [], attribute)
        theirs = self.server.client("cloudtrail", key=self.there).lookup_events()["Events"]
        for event in theirs[:3]:
            by_id = [{"AttributeKey": "EventId", "AttributeValue": event["EventId"]}]
            self.assertEqual(trail.lookup_events(LookupAttributes=by_id)["Events"], [])

        s3 = self.server.client("s3", key=self.here, endpoint=self.server.s3, s3={"addressing_style": "path"})
        for call, arguments in [
            (s3.list_objects_v2, {}), (s3.get_object, {"Key": "a"}), (s3.put_object, {"Key": "a", "Body": b"x"}), (s3.delete_object, {"Key": "a"}),
            (s3.delete_bucket, {}), (s3.get_bucket_location, {}), (s3.create_multipart_upload, {"Key": "a"}),
        ]:
            with self.subTest(call.__name__):
                self.assertEqual(self.answer(call, Bucket="their-bucket", **arguments)[0], "AccessDenied")
        self.assertEqual([bucket["Name"] for bucket in s3.list_buckets()["Buckets"]], [])

        # An operator's org is out of a provider's reach, whatever it is called by.
        for org in (THERE, HERE, "here", "there", "main"):
            for method, path, body in [
                ("GET", f"/orgs/{org}", None), ("DELETE", f"/orgs/{org}", None), ("POST", f"/orgs/{org}/keys", {"user_id": "u"}),
                ("POST", f"/orgs/{org}/key/get", {"user_id": "u", "id": self.key}), ("DELETE", f"/orgs/{org}/key", {"user_id": "u", "id": self.key}),
                ("POST", f"/orgs/{org}/key/rotate", {"user_id": "u", "id": self.key}),
            ]:
                status, answer = self.partner(method, path, body)
                with self.subTest(path, method=method):
                    self.assertTrue(status in (400, 403, 404, 405) or answer.get("keys") == [], (status, answer))
        for key in (self.key, self.bucket_key, self.here[0]):
            for method, path in [("POST", "/orgs/tenant/key/get"), ("POST", "/orgs/tenant/key/rotate"), ("DELETE", "/orgs/tenant/key")]:
                theirs, never = (self.partner(method, path, {"user_id": "u", "id": id}) for id in (key, never_key))
                self.assertEqual(str(theirs).replace(key, "…"), str(never).replace(never_key, "…"))
                self.assertGreaterEqual(theirs[0], 400)
        self.assertEqual(len(self.events()), before, "nothing was written there")


if __name__ == "__main__":
    unittest.main()
