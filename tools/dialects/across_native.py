"""The native API in the matrix of caller org, target org and endpoint: every method and path of the server's own OpenAPI document, asked
from one org with the nouns of another, and with nouns that never were. Both get the same answer, which tells nothing, and nothing is
changed there. A route, body or parameter of the document that these tables cannot fill fails.

Not here: the other dialects (across.py).
"""

import itertools
import json
import re
import socket
import unittest
import urllib.parse
import urllib.request

from orgs import HERE, THERE, TwoOrgs
from served import ALLOW_S3, native_request

# The noun that stands behind each segment of a path; what is no noun of an org is filled with a word.
BEHIND = {
    "keys": "KEY", "blast-radius": "KEY", "compromise": "KEY", "evidence": "KEY", "rights": "KEY", "users": "USER", "members": "USER", "groups": "GROUP",
    "policies": "POLICY", "buckets": "BUCKET", "inline-policies": "inline", "versions": "1",
}
# The noun that each parameter of a query takes, and what is given where one is required.
QUERY = {"key": "KEY", "user": "USER", "policy": "POLICY", "bucket": "BUCKET", "actor": "KEY", "resource": "arn:aws:s3:::BUCKET/x"}
REQUIRED = {"from": "seq:1", "action": "s3:GetObject"}
# Parameters that name nothing of an org.
PLAIN = {
    "action", "address", "at", "attribution", "compare", "context", "cursor", "deleted", "depth", "dialect", "expected_version", "force", "from", "kind",
    "key_part", "known_at", "label", "limit", "max_age", "min_seq", "noun", "overlap", "path_prefix", "question", "ransom_deletes", "reverse", "rights", "rows",
    "since", "status", "timeline", "to", "until", "unused", "widened_days",
}
DOCUMENT = {"document": ALLOW_S3}
SECRET = "n" * 40
USE = {"count": 1, "first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:00Z", "source_ip": "192.0.2.1", "user_agent": "x"}
TUPLE = {**USE, "secret_version": 1, "service": "s3", "region": "", "bucket": "BUCKET", "action_class": "read", "signature": "v4",
         "outcome": "ok", "bytes_in": 0, "bytes_out": 0}
# Bodies by their schema, each with every noun that it can name.
BODIES = {
    "ChangeTags": [{"set": {"a": "b"}}],
    "CloseToken": [{"token": "TOKEN"}],
    "CreateGroup": [{"group_name": "new-ONCE"}],
    "CreateKey": [{"user_name": "USER"}, {"owner_bucket": "BUCKET"}, {"policies": ["POLICY"]}, {"buckets": [{"bucket": "BUCKET", "role": "Admin"}]}],
    "CreatePolicy": [{"policy_name": "new-ONCE", **DOCUMENT}],
    "CreateUser": [{"user_name": "new-ONCE", "permissions_boundary": "POLICY"}],
    "CreateVersion": [DOCUMENT],
    "DocumentBody": [DOCUMENT],
    "FlagKey": [{"note": "x"}],
    "IdentifySecret": [{"secret_access_key": "SECRET"}],
    "ImportKey": [
        {"access_key_id": "KEY", "secret_access_key": SECRET},
        {"access_key_id": "NQAKIMPORTONCE", "secret_access_key": SECRET, "user_name": "USER"},
        {"access_key_id": "NQAKIMPORTONCE", "secret_access_key": SECRET, "owner_bucket": "BUCKET"},
        {"access_key_id": "NQAKIMPORTONCE", "secret_access_key": SECRET, "policies": ["POLICY"]},
    ],
    "Nothing": [{}],
    "OpenToken": [{"access_key_id": "KEY"}],
    "Report": [{"node": "node-ONCE", "batch": 1, "applied_seq": 1, "usage": [{"access_key_id": "KEY", "tuples": [TUPLE]}],
                "attempts": [{"access_key_id": "KEY", "status": "Revoked", **USE}]}],
    "RetireSecret": [{}],
    "RotateKey": [{}],
    "RotateSecret": [{}],
    "SetAlias": [{"alias": "ALIAS"}],
    "SetBoundary": [{"policy": "POLICY"}],
    "SetDefaultAllow": [{"default_allow": True}],
    "SetDefaultVersion": [{"version": 1}],
    "SetDescription": [{"description": "x"}],
    "SetExpiry": [{"expires_at": "2030-01-01T00:00:00Z"}],
    "SetGrants": [{"buckets": []}],
    "SetLabel": [{"label": "x"}],
    "Simulate": [{"policies": ["POLICY"], "action": "s3:GetObject", "resource": "arn:aws:s3:::BUCKET/x"}],
    "SetRole": [{"role": "Auditor"}],
    "UpdateGroup": [{"path": "/x/"}],
    "UpdateRights": [{"attach": ["POLICY"]}, {"detach": ["POLICY"]}, {"buckets": []}],
    "UpdateUser": [{"path": "/x/"}],
}
# Names that are one for all orgs, as in AWS: whoever asks for a taken one is refused, and so learns that it is taken, but not by whom.
SHARED = {("PUT", "/buckets/{bucket}"), ("PUT", "/node/buckets/{bucket}"), ("PATCH", "/org"), ("POST", "/keys/import")}
ONE_FOR_ALL = {"BUCKET", "KEY", "ALIAS"}
NOUN = re.compile("KEY|USER|GROUP|POLICY|BUCKET|SECRET|TOKEN|ALIAS")
NEVER = {
    "KEY": ["NQAKNEVERNEVERNEVER1"], "USER": ["never-user"], "GROUP": ["never-group"], "BUCKET": ["never-bucket"], "SECRET": ["N" * 40],
    "POLICY": ["never-policy", "arn:aws:iam::000000000000:policy/never-policy"], "TOKEN": ["klt_" + "0" * 64], "ALIAS": ["never-alias"],
}


class Native(TwoOrgs):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with urllib.request.urlopen(f"{cls.server.endpoint}/api/v1/openapi.json", timeout=30) as reply:
            cls.document = json.load(reply)
        rows = cls.server.command("org", "list")
        tenant = next(row["account_id"] for row in rows if row["account_id"] not in (HERE, THERE))
        cls.roots = {HERE: cls.here, THERE: cls.there, tenant: cls.root_of(tenant)}
        cls.tenant = tenant
        cls.nouns = {account: cls.made(account, name) for account, name in ((HERE, "mine"), (THERE, "theirs"), (tenant, "tenants"))}
        cls.once = itertools.count(1)

    @classmethod
    def made(cls, account, name):
        """Something of every kind in an org: the texts by which it can be named."""
        def do(method, path, body=None):
            status, _, answer = native_request(cls.server.endpoint, cls.roots[account], method, path, body)
            assert status < 300, (path, answer)
            return answer
        user = do("POST", "/users", {"user_name": f"{name}-user"})
        group = do("POST", "/groups", {"group_name": f"{name}-group"})
        policy = do("POST", "/policies", {"policy_name": f"{name}-policy", **DOCUMENT})
        do("PUT", f"/buckets/{name}-bucket")
        do("PATCH", "/org", {"alias": f"{name}-alias"})
        keys = [do("POST", "/keys", owner) for owner in ({"user_name": f"{name}-user"}, {"owner_bucket": f"{name}-bucket"}, {})]
        do("PUT", f"/users/{name}-user/policies/{name}-policy")
        do("PUT", f"/users/{name}-user/inline-policies/inline", DOCUMENT)
        do("PUT", f"/groups/{name}-group/members/{name}-user")
        token = do("POST", "/tokens", {"access_key_id": keys[0]["access_key_id"]})
        return {
            "KEY": [key["access_key_id"] for key in keys], "SECRET": [key["secret_access_key"] for key in keys], "TOKEN": [token["token"]],
            "USER": [user["user_name"], user["user_id"]], "GROUP": [group["group_name"], group["group_id"]], "BUCKET": [f"{name}-bucket"],
            "POLICY": [policy["policy_name"], f"arn:aws:iam::{account}:policy/{name}-policy", policy["policy_id"]], "ALIAS": [f"{name}-alias"],
        }

    def cases(self):
        """What is asked of every route: method, the document's path, path, query and body, in which the nouns' words stand."""
        for path, methods in self.document["paths"].items():
            segments = path.removeprefix("/api/v1").split("/")
            filled = []
            for before, segment in zip([""] + segments, segments):
                if segment.startswith("{"):
                    self.assertIn(before, BEHIND, f"{path}: what stands behind {before}?")
                filled.append(BEHIND[before] if segment.startswith("{") else segment)
            for method, operation in methods.items():
                asked = method.upper(), path.removeprefix("/api/v1")
                parameters = [it for it in operation.get("parameters", []) if it["in"] == "query"]
                for parameter in parameters:
                    self.assertIn(parameter["name"], PLAIN | QUERY.keys(), f"{asked}: what is given for it?")
                required = {it["name"]: QUERY.get(it["name"]) or REQUIRED[it["name"]] for it in parameters if it.get("required")}
                queries = [{**required, it["name"]: QUERY[it["name"]]} for it in parameters if it["name"] in QUERY] or [required]
                if not any(NOUN.search(text) for text in required.values()):
                    queries.append(required)
                schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
                name = schema.get("$ref", "").rsplit("/", 1)[-1]
                self.assertTrue(not schema or name in BODIES, f"{asked}: what body is given for {name}?")
                for query, body in itertools.product(queries, BODIES.get(name, [None])):
                    yield *asked, "/".join(filled), query, body

    def fill(self, text, words, own, foreign):
        """Puts the words of the other org where `foreign` says, by the place of the noun, and one's own elsewhere."""
        places = iter(foreign)
        once = str(next(self.once))
        # An id has 20 characters.
        text = text.replace("NQAKIMPORTONCE", f"NQAKIMPORT{once:0>10}").replace("ONCE", once)
        return NOUN.sub(lambda found: (words if next(places) else own)[found[0]], text)

    def ask(self, caller, method, path, query, body, words, own, foreign):
        """Status and text of an answer, without what differs from one request to the next."""
        segments, query, body = json.loads(self.fill(json.dumps([path.split("/"), query, body]), words, own, foreign))
        path = "/".join(urllib.parse.quote(segment, safe="") for segment in segments)
        query = {"from": 1} if path == "/events" else query
        query = "?" + urllib.parse.urlencode(query) if query else ""
        more = {"read": read_some} if path == "/events" else {}
        status, _, answer = native_request(self.server.endpoint, self.roots[caller], method, path + query, body, **more)
        text = json.dumps(answer) if not isinstance(answer, str) else answer
        for volatile in (r'"(request_id|instance|seq|as_of_seq|until_seq|to_seq)": ?("[^"]*"|\d+)', r'"[a-z_]*_?at": ?"[^"]*"', r"node-\d+"):
            text = re.sub(volatile, "", text)
        return status, text

    def test_nothing_of_another_org_is_read_or_changed_or_told_from_one_that_never_was(self):
        told = set()
        for caller, target in [(HERE, THERE), (HERE, self.tenant), (self.tenant, HERE)]:
            before = len(self.events(target))
            told |= self.matrix(caller, target)
            self.assertEqual(len(self.events(target)), before, "nothing was written there")
        routes = {(method.upper(), path.removeprefix("/api/v1")) for path, methods in self.document["paths"].items() for method in methods}
        self.assertEqual(told, routes, "every route was asked")

    def matrix(self, caller, target):
        theirs, mine = self.nouns[target], {noun: words[0] for noun, words in self.nouns[caller].items()}
        secrets = [target, *itertools.chain(*(words for noun, words in theirs.items()))]
        asked, told = 0, set()
        for method, route, path, query, body in self.cases():
            told.add((method, route))
            nouns = NOUN.findall(path) + NOUN.findall(json.dumps([query, body]))
            if not nouns:
                _, text = self.ask(caller, method, path, query, body, {}, {}, [])
                self.silent(method, route, text, secrets, [])
                if route in ("/events", "/state/nouns", "/audit/log"):
                    self.assertIn(mine["USER"], text, "its own is told")
                continue
            variants = max(len(theirs[noun]) for noun in nouns)
            places = [[n == place for n in range(len(nouns))] for place in range(len(nouns))] + [[True] * len(nouns)] * (len(nouns) > 1)
            for variant, foreign in itertools.product(range(variants), places):
                words = {noun: known[variant % len(known)] for noun, known in theirs.items()}
                never = {noun: known[variant % len(known)] for noun, known in NEVER.items()}
                asked += 1
                with self.subTest(f"{method} {route}", query=query, body=body, words={noun: words[noun] for noun in nouns}, foreign=foreign):
                    first = self.ask(caller, method, path, query, body, words, mine, foreign)
                    self.silent(method, route, first[1], secrets, words.values())
                    if (method, route) in SHARED and nouns[0] in ONE_FOR_ALL:
                        self.assertGreaterEqual(first[0], 400, first)
                    else:
                        second = self.ask(caller, method, path, query, body, never, mine, foreign)
                        self.assertEqual(blank(first, words), blank(second, never))
        print(f"\n{caller} of {target}: {asked} questions of {len(told)} routes")
        return told

    def silent(self, method, route, text, secrets, words):
        """An answer holds nothing of the other org but the words that it was asked with."""
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "…")
        for secret in secrets:
            self.assertNotIn(secret, text, f"{method} {route}")

    def test_the_idempotency_key_of_another_org_is_another(self):
        token = {"Idempotency-Key": "the-same"}
        made = [native_request(self.server.endpoint, self.roots[account], "POST", "/keys", {"label": "x"}, token)[2] for account in (THERE, HERE)]
        self.assertEqual([answer["replayed"] for answer in made], [False, False])
        self.assertEqual(len({answer["access_key_id"] for answer in made}), 2)


def blank(answer, words):
    """An answer without the words that it was asked with, and without what is drawn anew for every success."""
    status, text = answer
    if status < 300:
        text = re.sub(r'"(access_key_id|secret_access_key|token|arn|user_id|group_id|policy_id)": "[^"]*"', "", text)
    for word in sorted(words.values(), key=len, reverse=True):
        text = text.replace(word, "…")
    return status, text


def read_some(reply):
    """What a stream without an end has told within a moment."""
    reply.fp.raw._sock.settimeout(0.3)
    parts = []
    try:
        while part := reply.read1(1 << 16):
            parts.append(part)
    except (TimeoutError, socket.timeout):
        pass
    return b"".join(parts).decode()


if __name__ == "__main__":
    unittest.main()
