"""The native API, by requests that botocore signs, and its OpenAPI document, by schemathesis: what a client may rely on.

Not here: what each route does (tests/api_native.rs), and replies that are lost (lost.py).
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
from urllib.parse import quote

import jsonschema_rs

from served import ACCOUNT, ALLOW_S3, Served, native_request

OTHER = "210987654321"
IMPORTED = "AKIAIMPORTEDONLY0001"
# What CloudTrail recorded of that key.
RECORD = {
    "eventVersion": "1.09", "eventID": "00000001-0000-4000-8000-000000000000", "eventTime": "2026-03-01T09:00:00Z",
    "userIdentity": {"type": "IAMUser", "userName": "old-laptop", "accountId": ACCOUNT, "accessKeyId": IMPORTED},
    "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "eu-west-1", "recipientAccountId": ACCOUNT,
    "sourceIPAddress": "203.0.113.9", "userAgent": "aws-cli/2.15.0", "requestParameters": {"bucketName": "photos", "key": "a.jpg"},
}
HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds that schemathesis may take, and requests of each operation and phase.
SCHEMA_SECONDS, EXAMPLES = 60, 12


def once(members):
    """An object whose members stand in it once each."""
    names = [name for name, _ in members]
    assert len(names) == len(set(names)), names
    return dict(members)


class Native(Served):
    prepare = (
        (("init", "--account-id", ACCOUNT), None),
        (("org", "create", OTHER, "--name", "other"), None),
        (("--org", OTHER, "key", "create", "--label", "theirs", "--grant", "*=Admin"), None),
        (("--org", ACCOUNT, "key", "create", "--label", "root", "--grant", "*=Admin"), None),
    )

    @classmethod
    def setUpClass(cls):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as trail:
            json.dump({"Records": [RECORD]}, trail)
            trail.flush()
            cls.prepare = (*cls.prepare, (("import", "cloudtrail", trail.name), None))
            super().setUpClass()

    def send(self, method, path, body=None, headers=None, key=None, endpoint=None):
        """One signed request; status, headers and the JSON of the reply."""
        at, key = endpoint or self.server.endpoint, key or self.server.root
        return native_request(at, key, method, path, body, headers, lambda reply: json.loads(reply.read(), object_pairs_hook=once))

    def done(self, *arguments, **more):
        status, _, body = self.send(*arguments, **more)
        self.assertLess(status, 300, body)
        self.assertIsInstance(body["seq"], int)
        return body

    def code(self, *arguments, **more):
        status, headers, body = self.send(*arguments, **more)
        self.assertEqual(headers["content-type"], "application/problem+json")
        self.assertEqual((body["status"], body["type"]), (status, "urn:keyledger:problem:" + body["code"]))
        self.assertTrue(body["title"] and body["detail"])
        return status, body["code"]

    def test_sixty_four_retries_at_once_make_one_user(self):
        answers = []
        ask = lambda: answers.append(self.send("POST", "/users", {"user_name": "once"}, {"Idempotency-Key": "u-1"}))
        threads = [threading.Thread(target=ask) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({status for status, _, _ in answers}, {201})
        self.assertEqual(len({body["user_id"] for _, _, body in answers}), 1)
        self.assertEqual(sum(not body["replayed"] for _, _, body in answers), 1)

    def test_pages_of_any_size_leave_nothing_out_while_users_are_made(self):
        names = {f"paged-{n:03}" for n in range(60)}
        for name in names:
            self.done("POST", "/users", {"user_name": name, "path": "/paged/"})
        for limit in (1, 7, 1000):
            seen, cursor, made = [], "", 0
            while True:
                if made < 20:
                    self.done("POST", "/users", {"user_name": f"paged-{limit}-{made}", "path": "/paged/"})
                    made += 1
                page = self.done("GET", f"/users?path_prefix={quote('/paged/', safe='')}&limit={limit}{cursor}")
                seen += [user["user_name"] for user in page["items"]]
                self.assertLessEqual(len(page["items"]), limit)
                if not page["next_cursor"]:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            self.assertEqual(len(seen), len(set(seen)))
            self.assertLessEqual(names, set(seen))

    def test_what_was_written_is_read_with_its_seq(self):
        for number in range(20):
            seq = self.done("PUT", f"/buckets/bucket-{number}")["seq"]
            self.assertTrue(self.done("GET", f"/buckets/bucket-{number}?min_seq={seq}")["registered"])
        status, _, body = self.send("GET", f"/buckets?min_seq={seq + 10**6}")
        self.assertEqual((status, body["code"]), (409, "seq-not-reached"))
        self.assertGreaterEqual(body["seq"], seq)

    def test_problems_have_one_shape(self):
        for expected, arguments in [
            ((404, "not-found"), ("GET", "/nothing")),
            ((404, "not-found"), ("GET", "/users/nobody")),
            ((404, "not-found"), ("GET", "/keys/NQAKNNNNNNNNNNNNNNNN")),
            ((404, "not-found"), ("GET", "/keys/x")),
            ((405, "method-not-allowed"), ("DELETE", "/users")),
            ((400, "unknown-parameter"), ("GET", "/users?x=1")),
            ((400, "duplicate-parameter"), ("GET", "/users?limit=1&limit=2")),
            ((400, "invalid-input"), ("GET", "/users?limit=0")),
            ((400, "bad-cursor"), ("GET", "/users?cursor=%25")),
            ((400, "missing-parameter"), ("GET", "/audit/diff")),
            ((400, "invalid-input"), ("GET", "/audit/log?since=yesterday")),
            ((415, "not-json"), ("POST", "/users")),
            ((400, "unknown-member"), ("POST", "/users", {"user_name": "a", "x": 1})),
            ((400, "missing-member"), ("POST", "/users", {})),
            ((400, "invalid-input"), ("POST", "/users", {"user_name": "a b"})),
            ((413, "too-large"), ("POST", "/users", {"user_name": "a" * (1 << 20)})),
        ]:
            with self.subTest(expected=expected, arguments=str(arguments)[:80]):
                self.assertEqual(self.code(*arguments), expected)
        self.assertEqual(self.code("GET", "/users", key=(self.server.root[0], "x" * 40)), (401, "bad-signature"))
        self.assertEqual(self.code("GET", "/users", key=("NQAKNNNNNNNNNNNNNNNN", "x" * 40)), (401, "unknown-key"))

    def test_the_ledger_is_verified_and_says_so_in_its_metrics(self):
        status, _, begun = self.send("POST", "/verify")
        self.assertEqual(status, 202, begun)
        deadline = time.monotonic() + 30
        while (health := self.done("GET", "/health"))["verification"]["running"]:
            self.assertLess(time.monotonic(), deadline, health)
            time.sleep(0.05)
        last = health["verification"]["last"]
        self.assertEqual((health["writer"], last["ok"], last["findings"]), ("ready", True, []))
        with urllib.request.urlopen(self.server.metrics) as told:
            metrics = told.read().decode()
        self.assertIn("\nkeyledger_verified_ok 1\n", metrics)
        self.assertIn(f"\nkeyledger_verified_seq {last['last_seq']}\n", metrics)

    def test_policies_are_simulated(self):
        document = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}})
        ask = {"documents": [document], "action": "s3:GetObject", "resource": "arn:aws:s3:::a/b", "context": {"aws:SourceIp": ["203.0.113.7"]}}
        told = self.done("POST", "/policies/simulate", ask)
        self.assertEqual((told["decision"], told["statements"][0]["outcome"]), ("Allow", "matched"))
        told = self.done("POST", "/policies/simulate", {**ask, "action": "s3:PutObject"})
        self.assertEqual((told["decision"], told["statements"][0]["outcome"]), ("ImplicitDeny", "other_action"))
        bad = self.code("POST", "/policies/simulate", {**ask, "documents": ["{}"]})
        self.assertEqual(bad[0], 400)

    def test_every_report_is_as_the_document_says(self):
        status, _, document = self.send("GET", "/openapi.json")
        self.assertEqual(status, 200)
        self.done("POST", "/users", {"user_name": "told"})
        self.done("POST", "/policies", {"policy_name": "told", "document": ALLOW_S3})
        self.done("PUT", "/users/told/policies/told")
        self.done("PUT", "/buckets/told-bucket")
        key = self.done("POST", "/keys", {"user_name": "told", "label": "a"})
        self.send("GET", "/keys", key=(key["access_key_id"], key["secret_access_key"]))
        path = f"/keys/{key['access_key_id']}"
        for verb, body in (("label", {"label": "b"}), ("grants", {"buckets": [{"bucket": "told-bucket", "role": "Editor"}]})):
            self.done("PUT", f"{path}/{verb}", body)
        rotated = self.done("POST", f"{path}/rotate", {"grace_seconds": 60})
        self.done("POST", f"{path}/flag", {"quarantine": True, "note": "leaked"})
        self.done("POST", f"{path}/revoke")
        id, question = key["access_key_id"], f"action=s3%3AGetObject&resource={quote('arn:aws:s3:::told-bucket/a', safe='')}"
        asked = {
            "/audit/log": [f"/audit/log?key={id}", "/audit/log?reverse=true"],
            "/audit/keys/{key}": [f"/audit/keys/{id}", f"/audit/keys/{id}?rights=true", f"/audit/keys/{rotated['access_key_id']}"],
            "/audit/rotation": ["/audit/rotation?attribution=true&since=1h", "/audit/rotation"],
            "/audit/compromise/{key}": [f"/audit/compromise/{id}", f"/audit/compromise/{id}?since=1h"],
            "/audit/rights/{key}": [f"/audit/rights/{id}", f"/audit/rights/{id}?{question}", f"/audit/rights/{id}?compare=seq%3A{key['seq']}"],
            "/audit/blast-radius/{key}": [f"/audit/blast-radius/{id}", f"/audit/blast-radius/{self.server.root[0]}"],
            "/audit/who-could": [f"/audit/who-could?{question}", f"/audit/who-could?{question}&from=1h&to=0s"],
            "/audit/diff": [f"/audit/diff?from=seq%3A{key['seq']}"],
            "/audit/evidence/{key}": [f"/audit/evidence/{IMPORTED}"],
            "/state/nouns": ["/state/nouns"],
            "/health": ["/health"],
        }
        for template, paths in asked.items():
            answer = document["paths"][f"/api/v1{template}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **answer, "components": document["components"]}
            reads = jsonschema_rs.validator_for(schema)
            for path in paths:
                with self.subTest(path=path):
                    told = self.done("GET", path)
                    self.assertEqual([f"{error.instance_path}: {error.message}" for error in reads.iter_errors(told)][:3], [])
        members = document["components"]["schemas"]["CompromiseReport"]["properties"]
        told = self.done("GET", f"/audit/compromise/{id}")["report"]
        self.assertEqual(set(told) - set(members), set(), "members that the document does not name")

    def test_nothing_of_another_org_is_seen_or_changed(self):
        theirs = next(row for row in self.server.command("key", "list", "--all") if row["account_id"] == OTHER)
        path = f"/keys/{theirs['access_key_id']}"
        for method, more, body in [("GET", "", None), ("DELETE", "", None), ("POST", "/revoke", {}), ("PUT", "/label", {"label": "x"})]:
            self.assertEqual(self.code(method, path + more, body), self.code(method, "/keys/NQAKNNNNNNNNNNNNNNNN" + more, body))
        for path in ("/keys", "/state/nouns", "/audit/log", "/audit/rotation", "/org"):
            told = json.dumps(self.done("GET", path))
            self.assertNotIn(OTHER, told)
            self.assertNotIn(theirs["access_key_id"], told)

    def test_zz_the_document_is_true(self):
        """schemathesis: no 5xx, and every answer as the document says, for good input and bad."""
        key, secret = self.server.root
        tests = os.path.join(os.path.dirname(sys.executable), "st")
        ran = subprocess.run(
            [tests, "--no-color", "run", f"{self.server.endpoint}/api/v1/openapi.json", "--max-time", str(SCHEMA_SECONDS),
             "--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--workers", "1", "--seed", "7",
             "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
             # A stream that goes on for ever, and what would end the key that signs.
             "--exclude-path", "/api/v1/events", "--continue-on-failure", "--request-timeout", "20",
             "--warnings", "off", "--suppress-health-check", "all"],
            cwd=self.server.folder, capture_output=True, text=True, check=False, timeout=SCHEMA_SECONDS * 5,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "sign_native", "PYTHONPATH": HERE,
                 "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret},
        )
        self.assertEqual(ran.returncode, 0, ran.stdout[-12_000:] + ran.stderr[-2_000:])
        print(f"\n{[line.strip() for line in ran.stdout.splitlines() if 'generated' in line.lower() or 'passed' in line.lower()]}")


if __name__ == "__main__":
    unittest.main()
