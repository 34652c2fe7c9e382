#!/usr/bin/env python3
"""The Partner dialect, asked by a client generated from the API's documented schema, with signatures made outside the project's code.

    tools/dialects/run partner      (KEYLEDGER names the program)

Every operation is asked by the generated client, with success and with the documented Error; what a typed client would not send goes
raw. Not here: both clients (partner_client.py), and the other dialects.
"""

import concurrent.futures
import json
import os
import time

from alone import Claims, served
from partner_client import KEY, PROVIDER, Client

ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
READ = {"Version": "2012-10-17", "Statement": [{"Sid": "r", "Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]}


def keys_of(client, org, user, **more):
    return client.ok("POST", f"/orgs/{org}/keys", {"user_id": user, **more})["keys"]


def signatures(claim, client):
    path, target = "/orgs", f"/v1/providers/{PROVIDER}/orgs"
    claim("a signed request is answered", client("GET", path)[0] == 200)
    claim("with the body's hash too", client("GET", path, whole=True)[0] == 200)
    headers = client.headers("GET", target, None)
    claim("once", client.send("GET", target, None, headers)[0] == 200)
    claim("and not twice", client.send("GET", target, None, headers)[0] == 401)
    now = int(time.time() * 1000)
    for off in (-301_000, 301_000, -86_400_000, 10**14):
        claim(f"{off} ms off is refused", client("GET", path, at=now + off)[0] == 401)
    # The server has just started, so only a time to come can be away from ours and still be taken.
    claim("4 minutes ahead is taken", client("GET", path, at=now + 240_000)[0] == 200)
    for name in ("X-Tigris-Time", "X-Tigris-Nonce", "X-Tigris-Signature"):
        for value in (None, "", "x", "ü".encode(), "9" * 4000):
            headers = client.headers("GET", target, None)
            del headers[name]
            if value is not None:
                headers[name] = value
            status, body = client.send("GET", target, None, headers)
            claim(f"{name} {value!r:.20} is refused", status == 401, (status, body))
    headers = client.headers("GET", target, None)
    claim("another query breaks it", client.send("GET", target + "?limit=1", None, headers)[0] == 401)
    claim("another method breaks it", client.send("POST", target, b"{}", headers)[0] == 401)
    body = json.dumps({"user_id": "u"}).encode()
    target = f"/v1/providers/{PROVIDER}/orgs/o/keys"
    headers = client.headers("POST", target, body, whole=True)
    claim("a body that was swapped is refused", client.send("POST", target, b'{"user_id":"v"}', headers)[0] == 401)
    del headers["X-Tigris-Content-Sha256"]
    claim("leaving its hash out is no way round", client.send("POST", target, b'{"user_id":"v"}', headers)[0] == 401)
    stranger = Client("http://" + client.host, key=KEY[::-1])
    claim("another key is refused", stranger("GET", path)[0] == 401)
    claim("another provider is refused", Client("http://" + client.host, provider="other")("GET", path)[0] == 401)


def life_of_a_key(claim, client):
    create = {
        "user_id": "u-1", "name": "ci prod", "user_role": "Member", "access_key_scope": "no_default_allow",
        "buckets_roles": [{"bucket_name": "logs", "role": "ReadOnly"}, {"bucket_name": "media", "role": "Editor"}],
        "create_policies": [{"name": "p-read", "document": READ, "description": "reads"}],
    }
    made = client.ok("POST", "/orgs/o1/key", create)
    claim("the reply has id, secret and name", sorted(made) == ["id", "name", "secret_key"] and made["name"] == "ci prod", made)
    claim("the secret is 40 characters", len(made["secret_key"]) == 40)
    one = {"user_id": "u-1", "id": made["id"]}
    got = client.ok("POST", "/orgs/o1/key/get", one)
    expected = {
        "id": made["id"], "status": "Active", "name": "ci prod", "attached_policies": ["p-read"],
        "buckets_roles": create["buckets_roles"], "access_key_scope": "no_default_allow",
    }
    claim("get shows what was made", got == expected, got)
    claim("an update answers {}", client.ok("PUT", "/orgs/o1/key", {
        **one, "buckets_roles": [{"bucket_name": "*", "role": "ReadOnly"}], "access_key_scope": "standard",
        "remove_policies": ["p-read", "never-was"]}) == {})
    got = client.ok("POST", "/orgs/o1/key/get", one)
    claim("and is seen", (got["buckets_roles"], got["attached_policies"], got["access_key_scope"])
          == ([{"bucket_name": "*", "role": "ReadOnly"}], [], "standard"), got)
    claim("what is left out stays", client.ok("PUT", "/orgs/o1/key", {**one, "add_policies": ["p-read"]}) == {}
          and client.ok("POST", "/orgs/o1/key/get", one)["buckets_roles"] == got["buckets_roles"])
    claim("attaching again is fine", client.ok("PUT", "/orgs/o1/key", {**one, "add_policies": ["p-read"]}) == {})
    status = client.no("PUT", "/orgs/o1/key", {**one, "add_policies": ["ghost"], "buckets_roles": []})
    claim("an unknown policy refuses all of an update", status == 404
          and client.ok("POST", "/orgs/o1/key/get", one)["buckets_roles"] != [], status)
    rotated = client.ok("POST", "/orgs/o1/key/rotate", one)
    claim("a rotation gives another secret", list(rotated) == ["new_secret"] and rotated["new_secret"] != made["secret_key"])
    status, again = client("POST", "/orgs/o1/access-keys/rotate", one)
    claim("and may be repeated at once", status == 200 and again["new_secret"] != rotated["new_secret"])
    claim("a delete answers {}", client.ok("DELETE", "/orgs/o1/key", one) == {})
    claim("and the key is gone", client.no("POST", "/orgs/o1/key/get", one) == 404)
    claim("twice is 404", client.no("DELETE", "/orgs/o1/key", one) == 404)


def all_or_nothing(claim, client):
    base = {"user_id": "u-2", "user_role": "Admin", "create_policies": [{"name": "fresh", "document": ALLOW}]}
    policy = {"name": "other", "document": ALLOW}
    wrong = {
        "an unknown policy": (404, {"attach_policies": ["ghost"]}),
        "a name that is taken": (409, {"create_policies": [base["create_policies"][0], {"name": "P-READ", "document": ALLOW}]}),
        "a name twice": (409, {"create_policies": [policy, policy]}),
        "a bad document": (400, {"create_policies": [policy, {"name": "x", "document": {"Version": "2012-10-17"}}]}),
        "an unknown action": (400, {"create_policies": [{"name": "x", "document": {
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Grab", "Resource": "*"}]}}]}),
        "an old version": (400, {"create_policies": [{"name": "x", "document": {**ALLOW, "Version": "2008-10-17"}}]}),
        "a bad bucket": (400, {"buckets_roles": [{"bucket_name": "A", "role": "Editor"}]}),
        "Admin on one bucket": (400, {"buckets_roles": [{"bucket_name": "logs", "role": "Admin"}]}),
        "an unknown member": (400, {"colour": "red"}),
        "a bad role": (400, {"user_role": "Owner"}),
        "a long name": (400, {"name": "n" * 257}),
        "a bad user": (400, {"user_id": ""}),
    }
    client.ok("POST", "/orgs/o1", {"name": "One"}) if client("GET", "/orgs/o1")[0] == 404 else None
    for what, (expected, change) in wrong.items():
        status, body = client("POST", "/orgs/o1/key", {**base, **change})
        claim(f"{what} is {expected}", status == expected, (status, body))
    claim("a typed client is told so too", client.no("POST", "/orgs/o1/key", {**base, "attach_policies": ["ghost"]}) == 404)
    names = [p["name"] for p in client.ok("GET", "/orgs/o1/policies")["policies"]]
    claim("no policy of it stayed", "fresh" not in names and "other" not in names, names)
    claim("and no key", keys_of(client, "o1", "u-2") == [])
    client.ok("POST", "/orgs/o1/key", base)
    claim("the same without the fault is made", len(keys_of(client, "o1", "u-2")) == 1)


def members_and_orgs(claim, client):
    ids = {user: [client.ok("POST", "/orgs/o2/key", {"user_id": user, "name": f"{user} {n}"})["id"] for n in range(7)]
           for user in ("ann", "bob")}
    def listed(user, limit, **more):
        found, token = [], ""
        while True:
            page = client.ok("POST", "/orgs/o2/keys", {"user_id": user, "limit": limit, "continuation_token": token, **more})
            found += [key["id"] for key in page["keys"]]
            token = page["next_continuation_token"]
            if not token:
                return found
    for limit in (1, 3, 7, 1000):
        claim("a Member sees its own", sorted(listed("ann", limit)) == sorted(ids["ann"]))
        claim("an Admin sees all, each once", listed("ann", limit, user_role="Admin") == ids["ann"] + ids["bob"])
    first = ids["bob"][0]
    claim("by prefix", listed("ann", 5, user_role="Admin", key_id_prefix=first[:10]) == [first])
    for path, method in (("/key/get", "POST"), ("/key/rotate", "POST"), ("/key", "DELETE"), ("/key", "PUT")):
        status = client.no(method, f"/orgs/o2{path}", {"user_id": "ann", "id": first})
        claim(f"another's key is not there for a Member: {method} {path}", status == 404)
        status = client.no(method, f"/orgs/o1{path}", {"user_id": "ann", "user_role": "Admin", "id": first})
        claim(f"nor in another org: {method} {path}", status == 404)
    claim("an Admin may", client.ok("POST", "/orgs/o2/key/get", {"user_id": "ann", "user_role": "Admin", "id": first})["id"] == first)
    for bad in ({"limit": 0}, {"limit": 1001}, {"continuation_token": "%%"}, {"continuation_token": "YQ"}):
        claim(f"a page {bad} is 400", client.no("POST", "/orgs/o2/keys", {"user_id": "ann", **bad}) == 400)
    claim("a page of x is 400", client("POST", "/orgs/o2/keys", {"user_id": "ann", "limit": "x"})[0] == 400)
    claim("so is one of no orgs", client.no("GET", "/orgs?limit=0") == 400)
    org = client.ok("GET", "/orgs/o2")
    claim("an org was made on first use", org["id"] == "o2" and org["active"] is True, org)
    client.ok("PUT", "/orgs/o2", {"active": False})
    claim("its keys are not usable", {key["status"] for key in keys_of(client, "o2", "ann")} == {"Inactive"})
    claim("it is left out of the list", "o2" not in [o["id"] for o in client.ok("GET", "/orgs")["organizations"]])
    claim("unless asked for", "o2" in [o["id"] for o in client.ok("GET", "/orgs?include_inactive=true")["organizations"]])
    client.ok("PUT", "/orgs/o2", {"active": True})
    claim("and again they are", {key["status"] for key in keys_of(client, "o2", "ann")} == {"Active"})
    claim("an org is made once", client.no("POST", "/orgs/o2", {}) == 409)
    claim("with any id", client.ok("POST", "/orgs/o%203%2F%C3%BC", {"name": "three"})["id"] == "o 3/ü")
    claim("an unknown one is 404", client.no("GET", "/orgs/none") == 404)
    claim("so is its bucket list", client.no("GET", "/orgs/none/buckets") == 404)
    claim("its policies", client.no("GET", "/orgs/none/policies") == 404)
    claim("and its update", client.no("PUT", "/orgs/none", {"active": True}) == 404)
    seen, token = [], ""
    while True:
        page = client.ok("GET", f"/orgs?limit=1&continuation_token={token}")
        seen += [o["id"] for o in page["organizations"]]
        token = page["next_continuation_token"]
        if not token:
            break
    claim("orgs come in pages", sorted(seen) == sorted(o["id"] for o in client.ok("GET", "/orgs")["organizations"]), seen)


def policies(claim, client):
    made = client.ok("POST", "/orgs/o4/policies", {"name": "a", "document": READ}) if client("GET", "/orgs/o4")[0] == 200 \
        else (client.ok("POST", "/orgs/o4"), client.ok("POST", "/orgs/o4/policies", {"name": "a", "document": READ}))[1]
    claim("a policy is shown whole", made["document"] == READ and made["attachment_count"] == 0, made)
    claim("a taken name is 409", client.no("POST", "/orgs/o4/policies", {"name": "A", "document": READ}) == 409)
    claim("a document may be text", client("POST", "/orgs/o4/policies", {"name": "b", "document": json.dumps(ALLOW)})[0] == 200)
    keys = [client.ok("POST", "/orgs/o4/key", {"user_id": "u", "attach_policies": ["a"]})["id"] for _ in range(3)]
    claim("attachments are counted", client.ok("GET", "/orgs/o4/policies/a")["attachment_count"] == 3)
    changed = client.ok("PUT", "/orgs/o4/policies/a", {"document": ALLOW, "description": "all"})
    claim("an update is in force", changed["document"] == ALLOW and changed["description"] == "all", changed)
    for n in range(8):
        client.ok("PUT", "/orgs/o4/policies/a", {"document": READ if n % 2 else ALLOW})
    claim("any number of times", client.ok("GET", "/orgs/o4/policies/a")["description"] == "all")
    listed = client.ok("GET", "/orgs/o4/policies?limit=1")
    claim("policies come in pages", [p["name"] for p in listed["policies"]] == ["a"] and listed["next_continuation_token"])
    claim("without documents", "document" not in listed["policies"][0])
    claim("a delete takes it from all", client.ok("DELETE", "/orgs/o4/policies/a") == {})
    claim("and no key has it", all(client.ok("POST", "/orgs/o4/key/get", {"user_id": "u", "id": key})["attached_policies"] == []
                                   for key in keys))
    claim("then it is gone", client.no("GET", "/orgs/o4/policies/a") == 404 and client.no("DELETE", "/orgs/o4/policies/a") == 404)
    claim("for an update too", client.no("PUT", "/orgs/o4/policies/a", {"document": ALLOW}) == 404)
    claim("an unknown query parameter is 400", client("GET", "/orgs/o4/policies?limt=1")[0] == 400)


def provisioning(claim, client):
    asked = {"bucket_name": "prov-1", "org_name": "Prov", "user_id": "u-7", "org_quota": {"limit_bytes": 10**9}}
    made = client.ok("POST", "/orgs/prov/provision", asked)
    claim("provisioning makes org, bucket and key", len(made["secret_key"]) == 40 and made["not_applied"] == ["org_quota"], made)
    claim("the org has its name", client.ok("GET", "/orgs/prov")["name"] == "Prov")
    claim("the bucket is there", client.ok("GET", "/orgs/prov/buckets")["buckets"] == [{"name": "prov-1"}])
    again = client.ok("POST", "/orgs/prov/provision", asked)
    claim("again makes nothing", again["id"] == made["id"] and again["secret_key"] is None, again)
    claim("one key", len(keys_of(client, "prov", "u-7")) == 1)
    claim("a bucket of another org is 409", client.no("POST", "/orgs/prov2/provision", asked) == 409)
    claim("a fork is 400", client.no("POST", "/orgs/prov/provision", {**asked, "fork_of": "x"}) == 400)
    more = {**asked, "bucket_name": "prov-2", "user_id": "u-8"}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda _: client.ok("POST", "/orgs/prov3/provision", more), range(16)))
    claim("sixteen at once make one key", len({reply["id"] for reply in got}) == 1
          and sum(reply["secret_key"] is not None for reply in got) == 1, got)


def bad_input(claim, client):
    seen = client.ok("GET", "/orgs?include_inactive=true")
    for body in (b"", b"{", b"[]", b"null", b"\xff", b'"x"', b"[" * 100_000, b'{"user_id":"u","user_id":"v"}', b'{"user_id":"\\ud800"}',
                 b'{"user_id":' + b"1" * 5000 + b"}"):
        status, reply = client("POST", "/orgs/bad/key", body)
        claim(f"{body[:20]!r} is 400", status == 400, (status, reply))
    claim("another kind of body is 415", client("POST", "/orgs/bad/key", b"{}", more={"Content-Type": "text/plain"})[0] == 415)
    claim("a long body is 413", client("POST", "/orgs/bad/key", b" " * (2 << 20))[0] == 413)
    claim("an unknown path is 404", client("POST", "/orgs/bad/nothing", {})[0] == 404)
    claim("another method is 405", client("PATCH", "/orgs/bad/key", {})[0] == 405)
    claim("nothing was made of it", client.ok("GET", "/orgs?include_inactive=true") == seen)


def retries(claim, client):
    asked = {"user_id": "u-9", "name": "once"}
    token = {"Idempotency-Key": "retry-1"}
    _, made = client("POST", "/orgs/o1/key", asked, more=token)
    status, body = client("POST", "/orgs/o1/key", asked, more=token)
    claim("a retry is 409 and names the key", status == 409 and made["id"] in body["message"], (status, body))
    claim("and does not show the secret", made["secret_key"] not in body["message"])
    claim("another body is 409", client("POST", "/orgs/o1/key", {**asked, "name": "x"}, more=token)[0] == 409)
    claim("one key was made", len(keys_of(client, "o1", "u-9")) == 1)


def main():
    claim = Claims()
    env = {"KEYLEDGER_PARTNER_PROVIDER": PROVIDER, "KEYLEDGER_PARTNER_SIGNING_KEY": KEY}
    with served(env) as server:
        client = Client(server.url)
        for part in (signatures, life_of_a_key, all_or_nothing, members_and_orgs, policies, provisioning, bad_input, retries):
            part(claim, client)
            print(f"{part.__name__}: ok")
        documented = {operation.id for operation in Client.OPERATIONS}
        claim("every operation of the document was done", Client.done == documented, documented - Client.done)
        claim("and refused with its Error", Client.refused == documented, documented - Client.refused)
        # What was taken before a restart is not taken after it.
        headers = client.headers("GET", f"/v1/providers/{PROVIDER}/orgs", None)
        server.stop()
        server.start()
        old = client.send("GET", f"/v1/providers/{PROVIDER}/orgs", None, headers)
        claim("a request timed before the start is refused", old[0] == 401, old)
        claim("one signed now is taken", client("GET", "/orgs")[0] == 200)
        server.stop()
        new_key = server.cli("partner", "rotate", PROVIDER)["signing_key"]
        server.env["KEYLEDGER_PARTNER_SIGNING_KEY"] = new_key
        server.start()
        claim("the old signing key is dead", client("GET", "/orgs")[0] == 401)
        claim("the new one lives", Client(server.url, key=new_key)("GET", "/orgs")[0] == 200)
        for name in os_files(server.ledger):
            with open(name, "rb") as file:
                content = file.read()
            claim(f"{name} holds no signing key", KEY.encode() not in content and new_key.encode() not in content)
    with served(env, ["--public-url", "https://keys.example.com"]) as server:
        behind = Client(server.url, public="https://keys.example.com")
        claim("behind a proxy the public URL is signed", behind("GET", "/orgs")[0] == 200)
        claim("and no other", Client(server.url)("GET", "/orgs")[0] == 401)
    print(f"partner: {claim.held} claims hold")


def os_files(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


if __name__ == "__main__":
    main()
