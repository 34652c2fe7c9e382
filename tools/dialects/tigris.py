#!/usr/bin/env python3
"""The Tigris IAM dialect, asked by the real Tigris CLI (npm @tigrisdata/cli 3.4.3), unmodified.

    KEYLEDGER=path/to/keyledger TIGRIS=path/to/node_modules/.bin/tigris tools/dialects/tigris.py

Without TIGRIS the CLI is installed into target/tigris. Not here: the other dialects.
"""

import json
import os
import subprocess
import urllib.parse
import urllib.request

from alone import HERE, Claims, served

VERSION = "3.4.3"
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]}]}


def installed():
    if os.environ.get("TIGRIS"):
        return os.environ["TIGRIS"]
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "..", "target"))
    folder = os.path.join(target, "tigris")
    program = os.path.join(folder, "node_modules", ".bin", "tigris")
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--silent", f"@tigrisdata/cli@{VERSION}"],
            check=True,
        )
    return program


class Cli:
    """The CLI with a home of its own: with a key, or with a token."""

    def __init__(self, program, server, home, key=None, token=None, org="123456789012"):
        os.makedirs(os.path.join(home, ".tigris"), exist_ok=True)
        self.program = program
        self.env = {
            "PATH": os.environ["PATH"], "HOME": home, "TIGRIS_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", "CI": "1",
            "AWS_ENDPOINT_URL_IAM": server.url, "AWS_ENDPOINT_URL_S3": server.url, "AWS_ENDPOINT_URL_MGMT": server.url,
        }
        if key:
            self.env |= {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
        if token:
            config = {"version": 2, "activeMethod": "oauth", "oauth": {
                "tokens": {"accessToken": token, "expiresAt": 4_102_444_800_000},
                "organizations": [{"id": org, "name": org, "displayName": org}], "selectedOrganization": org}}
            with open(os.path.join(home, ".tigris", "config.json"), "w") as file:
                json.dump(config, file)

    def run(self, *args):
        return subprocess.run(
            [self.program, *args], env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )

    def ok(self, *args):
        ran = self.run(*args)
        assert ran.returncode == 0, (args, ran.returncode, ran.stdout, ran.stderr)
        return ran.stdout

    def json(self, *args):
        text = self.ok(*args, "--json")
        starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
        return json.JSONDecoder().raw_decode(text[min(starts):])[0]


def access_keys(claim, cli):
    made = cli.json("access-keys", "create", "ci prod")
    claim("create gives id and secret", len(made["id"]) == 20 and len(made["secret"]) == 40, made)
    rows = cli.json("access-keys", "list")
    rows = rows.get("accessKeys", rows.get("items", rows.get("keys", rows))) if isinstance(rows, dict) else rows
    claim("list has it", any(row["id"] == made["id"] for row in rows), rows)
    got = cli.json("access-keys", "get", made["id"])
    claim("get shows it", made["id"] in json.dumps(got) and "active" in json.dumps(got), got)
    cli.ok("access-keys", "assign", made["id"], "--bucket", "logs", "--role", "ReadOnly")
    got = json.dumps(cli.json("access-keys", "get", made["id"]))
    claim("assign gives a role", "logs" in got and "ReadOnly" in got, got)
    cli.ok("access-keys", "assign", made["id"], "--bucket", "media", "--role", "Editor")
    got = json.dumps(cli.json("access-keys", "get", made["id"]))
    claim("and keeps the others", "logs" in got and "media" in got, got)
    cli.ok("access-keys", "assign", made["id"], "--revoke-roles")
    got = json.dumps(cli.json("access-keys", "get", made["id"]))
    claim("all can be taken away", "logs" not in got and "media" not in got, got)
    cli.ok("access-keys", "assign", made["id"], "--admin")
    got = json.dumps(cli.json("access-keys", "get", made["id"]))
    claim("an admin has every bucket", "NamespaceAdmin" in got, got)
    cli.ok("access-keys", "assign", made["id"], "--revoke-roles")
    rotated = cli.json("access-keys", "rotate", made["id"], "--yes")
    claim("rotate gives another secret", made["secret"] not in json.dumps(rotated) and made["id"] in json.dumps(rotated), rotated)
    return made["id"]


def key_policies(claim, cli, key, arn, name):
    cli.ok("access-keys", "attach-policy", key, "--policy-arn", arn)
    names = json.dumps(cli.json("access-keys", "list-policies", key))
    claim("an attached policy is listed", name in names, names)
    cli.ok("access-keys", "detach-policy", key, "--policy-arn", arn, "--yes")
    ran = cli.run("access-keys", "list-policies", key, "--json")
    claim("a detached one is not", name not in ran.stdout, ran.stdout)


def policies(claim, cli, key):
    made = cli.json("iam", "policies", "create", "reader", "--document", json.dumps(READ), "--description", "reads")
    arn = made["arn"]
    claim("create gives the ARN", arn == "arn:aws:iam::123456789012:policy/reader", made)
    claim("list has it", arn in json.dumps(cli.json("iam", "policies", "list")))
    got = cli.json("iam", "policies", "get", arn)
    claim("get shows it whole", got["document"]["statements"][0]["action"] == ["s3:GetObject"] and got["description"] == "reads", got)
    cli.ok("iam", "policies", "edit", arn, "--document", json.dumps(ALLOW))
    got = cli.json("iam", "policies", "get", arn)
    claim("edit is in force", got["document"]["statements"][0]["action"] == ["s3:*"] and got["defaultVersionId"] == "v2", got)
    cli.ok("iam", "policies", "edit", arn, "--description", "everything")
    claim("a description too", cli.json("iam", "policies", "get", arn)["description"] == "everything")
    cli.ok("iam", "policies", "link-key", arn, "--id", key)
    claim("a linked key is listed", key in json.dumps(cli.json("iam", "policies", "list-keys", arn)))
    claim("and counted", cli.json("iam", "policies", "get", arn)["attachmentCount"] == 1)
    cli.ok("iam", "policies", "unlink-key", arn, "--id", key, "--yes")
    claim("an unlinked one is not", cli.json("iam", "policies", "get", arn)["attachmentCount"] == 0)
    cli.ok("iam", "policies", "link-key", arn, "--id", key)
    key_policies(claim, cli, key, "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "AmazonS3ReadOnlyAccess")
    cli.ok("iam", "policies", "delete", arn, "--yes")
    claim("a delete takes it from the key", cli.run("iam", "policies", "get", arn, "--json").returncode != 0)
    bad = cli.run("iam", "policies", "create", "bad", "--document", json.dumps({**ALLOW, "Statement": [
        {"Effect": "Allow", "Action": ["s3:Grab"], "Resource": ["*"]}]}))
    claim("a bad document says what is wrong", bad.returncode != 0 and "s3:Grab" in bad.stdout + bad.stderr, bad)


def refused(claim, cli, what):
    for args in (["access-keys", "list", "--json"], ["access-keys", "create", "x", "--json"], ["iam", "policies", "list", "--json"]):
        ran = cli.run(*args)
        claim(f"{what}: {args[0]} {args[1]} is refused", ran.returncode != 0, ran)


def raw(server, headers, body="Action=ListAccessKeys&MaxItems=10", query="Detailed"):
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers}
    request = urllib.request.Request(f"{server.url}/?{query}", body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def main():
    claim = Claims()
    program = installed()
    with served() as server:
        homes = iter(range(100))
        def home():
            return os.path.join(server.folder, f"home{next(homes)}")
        cli = Cli(program, server, home(), key=server.root)
        key = access_keys(claim, cli)
        print("access-keys, signed: ok")
        refused(claim, Cli(program, server, home(), key=("NQAK0000000000000000", server.root[1])), "an unknown key")
        refused(claim, Cli(program, server, home(), key=(server.root[0], "x" * 40)), "a wrong secret")
        server.stop()
        opened = server.cli("token", "create", "--key", server.root[0], "--ttl", "1h")
        weak = server.cli("token", "create", "--key", key, "--ttl", "1h")
        other = server.cli("token", "create", "--key", server.root[0])
        server.start()
        cli = Cli(program, server, home(), token=opened["token"])
        other_key = access_keys(claim, cli)
        print("access-keys, by token: ok")
        policies(claim, cli, other_key)
        print("iam policies, by token: ok")
        cli.ok("access-keys", "delete", other_key, "--yes")
        gone = cli.run("access-keys", "get", other_key, "--json")
        claim("a deleted key is not found", gone.returncode != 0, gone)
        refused(claim, Cli(program, server, home(), token="klt_" + "0" * 64), "an unknown token")
        refused(claim, Cli(program, server, home(), token=opened["token"], org="210987654321"), "another namespace")
        refused(claim, Cli(program, server, home(), token=weak["token"]), "a token of a key without rights")
        token = {"X-Amz-Security-Token": opened["token"], "X-Tigris-Namespace": "123456789012"}
        claim("the token itself is good", raw(server, token)[0] == 200)
        no_namespace = {"X-Amz-Security-Token": opened["token"]}
        claim("it needs the namespace", raw(server, no_namespace)[0] == 403)
        for bad in ("Action=Nothing", "Action=ListAccessKeys&MaxItems=0", "Action=ListAccessKeys&Marker=x", "", "x=%ff",
                    "Action=CreateAccessKeyWithBucketsRole&Req=%5B", "Action=GetPolicyDetailed",
                    "Action=ListAccessKeys&Action=ListPolicies"):
            status, body = raw(server, token, bad)
            claim(f"{bad!r} is 400", status == 400 and sorted(body) == ["Code", "Message"], (status, body))
        plain = urllib.request.Request(f"{server.url}/", b"Action=ListUsers", {"X-Amz-Security-Token": opened["token"]})
        try:
            urllib.request.urlopen(plain)
            claim("a token without a signature is for this dialect alone", False)
        except urllib.error.HTTPError as error:
            claim("a token without a signature is for this dialect alone", error.code in (400, 403), error.code)
        retry = {"req_uuid": "11111111-2222-3333-4444-555555555555", "name": "once", "buckets_role": []}
        form = "Action=CreateAccessKeyWithBucketsRole&Req=" + urllib.parse.quote(json.dumps(retry))
        first, second = raw(server, token, form, ""), raw(server, token, form, "")
        made = first[1]["CreateAccessKeyResult"]["AccessKey"]
        claim("a retry makes no second key", second[0] == 409 and made["AccessKeyId"] in second[1]["Message"], second)
        claim("and shows no secret", made["SecretAccessKey"] not in second[1]["Message"])
        listed, marker = [], ""
        while True:
            status, page = raw(server, token, f"Action=ListAccessKeys&MaxItems=1&Marker={marker}")
            listed += [row["access_key_id"] for row in page["Keys"]]
            marker = page["Marker"]
            if not page["IsTruncated"]:
                break
        everything = [row["access_key_id"] for row in raw(server, token, "Action=ListAccessKeys")[1]["Keys"]]
        claim("pages leave nothing out", listed == everything and len(set(listed)) == len(listed), (listed, everything))
        server.stop()
        server.cli("token", "close", stdin=other["token"])
        server.cli("key", "suspend", key)
        server.start()
        refused(claim, Cli(program, server, home(), token=other["token"]), "a closed token")
        refused(claim, Cli(program, server, home(), token=weak["token"]), "a token of a suspended key")
    print(f"tigris: {claim.held} claims hold")


if __name__ == "__main__":
    main()
