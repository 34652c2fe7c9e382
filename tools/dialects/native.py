"""The native API, by requests that botocore signs, and its OpenAPI document, by schemathesis: what a client may rely on.

Not here: what each route does (tests/api_native.rs), and replies that are lost (lost.py).
"""

import json
import os
import subprocess
import sys
import threading
import unittest
from urllib.parse import quote

from served import ACCOUNT, Served, native_request

OTHER = "210987654321"
HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds that schemathesis may take, and requests of each operation and phase.
SCHEMA_SECONDS, EXAMPLES = 60, 12


class Native(Served):
    prepare = (
        (("init", "--account-id", ACCOUNT), None),
        (("org", "create", OTHER, "--name", "other"), None),
        (("--org", OTHER, "key", "create", "--label", "theirs", "--grant", "*=Admin"), None),
        (("--org", ACCOUNT, "key", "create", "--label", "root", "--grant", "*=Admin"), None),
    )

    def send(self, method, path, body=None, headers=None, key=None, endpoint=None):
        """One signed request; status, headers and the JSON of the reply."""
        return native_request(endpoint or self.server.endpoint, key or self.server.root, method, path, body, headers)

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
