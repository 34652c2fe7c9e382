"""Replies that are lost: the server writes, the connection breaks off before the answer arrives, and the client asks again; at once, or
after the server was killed and started. One thing was made, and what was secret in the lost reply is never shown again.

Every id by which a client tells that it asks again is here: Tigris' `req_uuid` and `ReqUUID`, `Idempotency-Key` of the native API and of
partners, `amz-sdk-invocation-id` of Lightsail (boto3's own retries against IAM: iam.py). Not here: acknowledged writes (kill.py).
"""

import collections
import http.client
import json
import unittest
import urllib.error
import uuid

import httpx
from botocore.exceptions import BotoCoreError, ClientError

import partner_client
from across import Tigris
from orgs import PROVIDER
from served import ALLOW_S3, Cut, Served, native_request
from typed import same_call

BROKEN = (http.client.HTTPException, urllib.error.URLError, httpx.HTTPError, BotoCoreError, ConnectionError)


class Lost(Served):
    environment = PROVIDER

    def retried(self, ask):
        """`ask(endpoint, id)` with its reply lost and again with the same id, at once and after a kill: the lost reply's text, and what
        was answered to the retry, of both."""
        for killed in (False, True):
            id = str(uuid.uuid4())
            with Cut(self.server.endpoint) as cut:
                with self.assertRaises(BROKEN):
                    ask(cut.endpoint, id)
                self.assertEqual(cut.replies_lost, 1)
            status = int(cut.lost.split(" ")[1])
            self.assertEqual(status // 100, 2, cut.lost)
            if killed:
                self.server.kill()
                self.server.start()
                type(self).iam = self.server.client()
            yield json.loads(cut.lost.split("\r\n\r\n", 1)[1]), ask(self.server.endpoint, id)

    def keys(self):
        return {row["access_key_id"] for row in Tigris(self.server).keys().values()}

    def native(self, path_of, body):
        """A write of the native API, as `retried` asks it; its path may be another for each id."""
        def ask(endpoint, id):
            return native_request(endpoint, self.server.root, "POST", path_of(id), body, {"Idempotency-Key": id})[::2]
        return ask

    def test_a_key_of_tigris(self):
        def ask(endpoint, id):
            tigris = Tigris(self.server)
            tigris.endpoint = endpoint
            return tigris("CreateAccessKeyWithBucketsRole", Req={"req_uuid": id, "name": "lost", "buckets_role": []})
        before = self.keys()
        for n, (lost, (status, again)) in enumerate(self.retried(ask), 1):
            made = lost["CreateAccessKeyResult"]["AccessKey"]
            self.assertEqual((status, again["Code"]), (409, "EntityAlreadyExists"))
            self.assertIn(made["AccessKeyId"], again["Message"])
            self.assertNotIn(made["SecretAccessKey"], json.dumps(again))
            self.assertEqual(len(self.keys() - before), n)

    def test_a_policy_of_tigris(self):
        def ask(endpoint, id):
            tigris = Tigris(self.server)
            tigris.endpoint = endpoint
            return tigris("CreatePolicy", PolicyName=f"lost-{id}", Description="", ReqUUID=id, PolicyDocument=ALLOW_S3)
        for lost, (status, again) in self.retried(ask):
            self.assertEqual(status, 200, again)
            self.assertEqual(again, lost, "the retry is told what was made")
            policy = again["CreatePolicyResult"]["Policy"]
            listed = [it for it in self.iam.list_policies(Scope="Local")["Policies"] if it["PolicyName"] == policy["PolicyName"]]
            self.assertEqual([it["DefaultVersionId"] for it in listed], ["v1"])
            # The name is taken for whoever does not say that it asks again.
            self.assertEqual(Tigris(self.server)("CreatePolicy", PolicyName=policy["PolicyName"], PolicyDocument=ALLOW_S3)[0], 409)

    def test_a_key_of_the_native_api(self):
        before = self.keys()
        for n, (lost, (status, again)) in enumerate(self.retried(self.native(lambda _: "/keys", {"label": "lost"})), 1):
            self.assertEqual(len(lost["secret_access_key"]), 40)
            self.assertEqual((status, again["access_key_id"], again["replayed"]), (201, lost["access_key_id"], True))
            self.assertIsNone(again["secret_access_key"])
            self.assertNotIn(lost["secret_access_key"], json.dumps(again))
            self.assertEqual(len(self.keys() - before), n)

    def test_another_body_under_the_same_idempotency_key_is_refused(self):
        ask = lambda label: self.native(lambda _: "/keys", {"label": label})(self.server.endpoint, "once")
        self.assertEqual(ask("one")[0], 201)
        status, again = ask("two")
        self.assertEqual((status, again["code"]), (409, "idempotency-conflict"))

    def test_a_rotation_of_the_native_api(self):
        new_key = self.native(lambda _: "/keys", {"label": "turns"})
        keys = collections.defaultdict(lambda: new_key(self.server.endpoint, str(uuid.uuid4()))[1]["access_key_id"])
        for turn, body in (("rotate-secret", {"grace_seconds": 0}), ("rotate", {})):
            for lost, (status, again) in self.retried(self.native(lambda id: f"/keys/{keys[id]}/{turn}", body)):
                self.assertLess(status, 300, again)
                self.assertEqual((again["replayed"], again["access_key_id"]), (True, lost["access_key_id"]))
                self.assertEqual((len(lost["secret_access_key"]), again["secret_access_key"]), (40, None))
                self.assertNotIn(lost["secret_access_key"], json.dumps(again))

    def test_a_token_of_the_native_api_is_drawn_before_it_is_written_so_a_retry_is_another_request(self):
        for lost, (status, again) in self.retried(self.native(lambda _: "/tokens", {"access_key_id": self.server.root[0]})):
            self.assertEqual((status, again["code"]), (409, "idempotency-conflict"))
            self.assertTrue(lost["token"].startswith("klt_"))
            self.assertNotIn("klt_", json.dumps(again))

    def test_what_is_deleted_or_taken_away_by_the_native_api(self):
        def send(method, path, body=None, id=None, endpoint=None):
            headers = {"Idempotency-Key": id} if id else {}
            return native_request(endpoint or self.server.endpoint, self.server.root, method, path, body, headers)[::2]
        for n in range(2):
            send("POST", "/users", {"user_name": f"gone-{n}"})
            send("POST", "/groups", {"group_name": f"gone-{n}"})
            send("PUT", f"/groups/gone-{n}/members/gone-{n}")
            send("POST", "/policies", {"policy_name": f"gone-{n}", "document": ALLOW_S3})
            send("PUT", f"/users/gone-{n}/policies/gone-{n}")
            send("PUT", f"/users/gone-{n}/inline-policies/gone", {"document": ALLOW_S3})
            send("PUT", f"/buckets/gone-{n}")
        keys = [send("POST", "/keys", {"user_name": f"gone-{n}"})[1]["access_key_id"] for n in range(2)]
        for path in ("/groups/NAME/members/NAME", "/users/NAME/policies/NAME", "/users/NAME/inline-policies/gone", "/keys/KEY", "/users/NAME",
                     "/groups/NAME", "/policies/NAME", "/buckets/NAME"):
            places = {}
            def ask(endpoint, id):
                n = places.setdefault(id, len(places))
                return send("DELETE", path.replace("NAME", f"gone-{n}").replace("KEY", keys[n]), None, id, endpoint)
            for lost, (status, again) in self.retried(ask):
                with self.subTest(path):
                    self.assertEqual((status, lost["replayed"], again.get("replayed")), (200, False, True), again)
                    self.assertEqual(again["seq"], lost["seq"])

    def test_a_key_of_a_partner(self):
        def ask(endpoint, id):
            client = partner_client.Client(endpoint)
            return client("POST", "/orgs/lost/key", {"user_id": "u", "name": "lost"}, more={"Idempotency-Key": id})
        for n, (lost, (status, again)) in enumerate(self.retried(ask), 1):
            self.assertEqual(status, 409, again)
            self.assertIn(lost["id"], again["message"])
            self.assertNotIn(lost["secret_key"], json.dumps(again))
            keys = partner_client.Client(self.server.endpoint).ok("POST", "/orgs/lost/keys", {"user_id": "u"})["keys"]
            self.assertEqual(len(keys), n)

    def test_a_bucket_that_a_partner_provisions(self):
        def ask(endpoint, id):
            body = {"bucket_name": f"lost-{id}", "org_name": "lost", "user_id": id}
            return partner_client.Client(endpoint)("POST", "/orgs/lost/provision", body)
        for lost, (status, again) in self.retried(ask):
            self.assertEqual((status, again["id"], again["secret_key"]), (200, lost["id"], None))
            self.assertEqual(len(lost["secret_key"]), 40)

    def test_a_key_of_a_bucket_in_lightsail(self):
        lightsail = self.server.client("lightsail")
        lightsail.create_bucket(bucketName="lost-bucket", bundleId="small_1_0")

        def ask(endpoint, id):
            client = self.server.client("lightsail", endpoint=endpoint)
            with same_call(client, id):
                try:
                    return client.create_bucket_access_key(bucketName="lost-bucket")
                except ClientError as error:
                    return error.response["Error"]
        for n, (lost, again) in enumerate(self.retried(ask), 1):
            self.assertEqual(again["Code"], "InvalidInputException")
            self.assertIn(lost["accessKey"]["accessKeyId"], again["Message"])
            self.assertNotIn(lost["accessKey"]["secretAccessKey"], json.dumps(again))
            lightsail = self.server.client("lightsail")
            self.assertEqual(len(lightsail.get_bucket_access_keys(bucketName="lost-bucket")["accessKeys"]), n)

    def test_what_is_deleted_in_lightsail(self):
        lightsail = self.server.client("lightsail")
        for n in range(2):
            lightsail.create_bucket(bucketName=f"gone-{n}", bundleId="small_1_0")
        keys = [lightsail.create_bucket_access_key(bucketName=f"gone-{n}")["accessKey"]["accessKeyId"] for n in range(2)]
        for call in ("delete_bucket_access_key", "delete_bucket"):
            places = {}

            def ask(endpoint, id):
                n = places.setdefault(id, len(places))
                client = self.server.client("lightsail", endpoint=endpoint)
                more = {"accessKeyId": keys[n]} if call == "delete_bucket_access_key" else {}
                with same_call(client, id):
                    return getattr(client, call)(bucketName=f"gone-{n}", **more)
            for lost, again in self.retried(ask):
                self.assertEqual(again["operations"][0]["id"], lost["operations"][0]["id"])



if __name__ == "__main__":
    unittest.main()
