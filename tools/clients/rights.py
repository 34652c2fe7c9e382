"""What a key may, and its life: every client gets what AWS would give.

`ALLOWED` is what each client does when it may; otherwise it says AccessDenied, or what its key's state makes of it.

Not here: holes (`holes.py`), how fast a change arrives (`follow.py`).
"""

import datetime
import time

from clients import ALL, Boto, boto, code, said
from harness import eventually

BUCKET, OTHER = "rights", "rights-other"


def run(world, report):
    world.register(BUCKET, OTHER)
    node = world.node()
    root_key = world.key("--grant", "*=Admin")
    root = boto(node, root_key)
    for bucket in (BUCKET, OTHER):
        root.create_bucket(Bucket=bucket)
        for name in ("home/a.txt", "b.txt"):
            root.put_object(Bucket=bucket, Key=name, Body=b"x")
    (world.dir / "file").write_bytes(b"new")
    scopes(world, report, node)
    conditions(world, report, node)
    life(world, report, node)
    orgs(world, report, node)
    rotation(world, report, node)


def denied(client, *call):
    """`denied` when the client says that, `ok` when it could, otherwise what it said."""
    words = said(*call)
    if any(word in words for word in ("AccessDenied", "Access Denied", "403", "Forbidden")):
        return "denied"
    return words if words == "ok" else words[-300:]


def scopes(world, report, node):
    one = world.key("--grant", f"{BUCKET}=Editor")
    read = world.key("--grant", f"{BUCKET}=ReadOnly")
    home = world.policy_key(
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/home/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}", "Condition": {"StringLike": {"s3:prefix": "home/*"}}})
    file, back = world.dir / "file", world.dir / "back"
    for kind in ALL:
        client, name = kind(world, node, one), kind.name
        found = [said(client.get, BUCKET, "b.txt", back), said(client.put, BUCKET, f"n-{name}", file),
                 denied(client, client.get, OTHER, "b.txt", back), denied(client, client.put, OTHER, "n", file), denied(client, client.names, OTHER)]
        report.equal(f"{name}: a key for one bucket", found, ["ok", "ok", "denied", "denied", "denied"])
        client = kind(world, node, read)
        found = [said(client.get, BUCKET, "b.txt", back), said(client.names, BUCKET), denied(client, client.put, BUCKET, "n", file),
                 denied(client, client.delete, BUCKET, "b.txt")]
        report.equal(f"{name}: a key that may only read", found, ["ok", "ok", "denied", "denied"])
    client = Boto(world, node, home)
    found = [said(client.get, BUCKET, "home/a.txt", back), said(client.put, BUCKET, "home/b.txt", file), denied(client, client.get, BUCKET, "b.txt", back),
             denied(client, client.put, BUCKET, "c.txt", file), denied(client, client.names, BUCKET)]
    report.equal("boto3: a policy for a prefix", found, ["ok", "ok", "denied", "denied", "denied"])
    report.equal("boto3: to list that prefix", code(client.s3.list_objects_v2, Bucket=BUCKET, Prefix="home/"), "ok")
    report.equal("boto3: to list another", code(client.s3.list_objects_v2, Bucket=BUCKET, Prefix="b"), "403 AccessDenied")
    copy = dict(Bucket=BUCKET, Key="home/copy", CopySource={"Bucket": BUCKET, "Key": "b.txt"})
    report.equal("boto3: a copy needs the source, too", code(client.s3.copy_object, **copy), "403 AccessDenied")
    copy["CopySource"]["Key"] = "home/a.txt"
    report.equal("boto3: a copy of what it may read", code(client.s3.copy_object, **copy), "ok")
    buckets = code(client.s3.list_buckets)
    report.equal("boto3: to list buckets without a right to", buckets, "403 AccessDenied")


def conditions(world, report, node):
    def key(condition):
        return boto(node, world.policy_key({"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition}))

    now = datetime.datetime.now(datetime.timezone.utc)
    text = lambda minutes: (now + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name, condition, wanted in [
        ("address: ours", {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "ok"),
        ("address: another", {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "403 AccessDenied"),
        ("address: not ours", {"NotIpAddress": {"aws:SourceIp": "127.0.0.1/32"}}, "403 AccessDenied"),
        ("date: until later", {"DateLessThan": {"aws:CurrentTime": text(5)}}, "ok"),
        ("date: until before", {"DateLessThan": {"aws:CurrentTime": text(-5)}}, "403 AccessDenied"),
        ("date: from later on", {"DateGreaterThan": {"aws:CurrentTime": text(5)}}, "403 AccessDenied"),
        ("only over TLS", {"Bool": {"aws:SecureTransport": "true"}}, "403 AccessDenied"),
        ("only a client's name", {"StringLike": {"aws:UserAgent": "Boto3*"}}, "ok"),
        ("another client's name", {"StringLike": {"aws:UserAgent": "rclone*"}}, "403 AccessDenied"),
        ("how it was signed", {"StringEquals": {"s3:authType": "REST-HEADER"}}, "ok"),
    ]:
        report.equal(f"boto3: condition, {name}", code(key(condition).get_object, Bucket=BUCKET, Key="b.txt"), wanted)
    forged = boto(node, world.policy_key({"Effect": "Allow", "Action": "s3:*", "Resource": "*",
                                          "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}))
    forged.meta.events.register("before-sign.s3", lambda request, **_: request.headers.add_header("X-Forwarded-For", "10.0.0.1"))
    report.equal("boto3: a forged X-Forwarded-For is not believed", code(forged.get_object, Bucket=BUCKET, Key="b.txt"), "403 AccessDenied")


def life(world, report, node):
    """Suspend, resume, revoke, expire, delete, for each client."""
    back = world.dir / "back"

    def becomes(client, allowed):
        """Whether the client soon gets what it should; the command has returned already."""
        wanted = (lambda: said(client.get, BUCKET, "b.txt", back) == "ok") if allowed else (lambda: said(client.get, BUCKET, "b.txt", back) != "ok")
        return eventually(wanted, 10)

    for kind in ALL:
        key = world.key("--grant", f"{BUCKET}=Editor")
        client, name = kind(world, node, key), kind.name
        found = [becomes(client, True)]
        world.keyledger("key", "suspend", key.id)
        found.append(becomes(client, False))
        suspended = said(client.get, BUCKET, "b.txt", back)
        world.keyledger("key", "resume", key.id)
        found.append(becomes(client, True))
        world.keyledger("key", "revoke", key.id)
        found.append(becomes(client, False))
        revoked = said(client.get, BUCKET, "b.txt", back)
        report.equal(f"{name}: works, suspended, works, revoked", found, [True] * 4)
        heads = name != "boto3"  # the others begin with HEAD, whose errors have no body
        word = ("403", "Forbidden", "InvalidAccessKeyId") if heads else ("InvalidAccessKeyId",)
        report.check(f"{name}: says that the key is not known, either way", all(any(w in text for w in word) for text in (suspended, revoked)), (suspended, revoked))
    never = boto(node, type(key)("NQAK0123456789ABCDEF", key.secret))
    unknown = errors(never)
    for what, change in [("revoked", ["revoke"]), ("suspended", ["suspend"]), ("deleted", ["delete", "--yes"]), ("expired", None)]:
        if change:
            key = world.key("--grant", f"{BUCKET}=Editor")
            world.keyledger("key", change[0], key.id, *change[1:])
        else:
            key = world.key("--grant", f"{BUCKET}=Editor", "--expires-in", "1s")
            report.equal("boto3: a key that ends soon", code(boto(node, key).get_object, Bucket=BUCKET, Key="b.txt"), "ok")
            time.sleep(1.1)
        client = boto(node, key)
        eventually(lambda: code(client.get_object, Bucket=BUCKET, Key="b.txt") != "ok")
        report.equal(f"boto3: a {what} key looks like one that never was", errors(client), unknown)
    key = world.key("--grant", f"{BUCKET}=Editor")
    url = boto(node, key).generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "b.txt"}, ExpiresIn=600)
    from everyday import fetch
    before = fetch(url)[0]
    world.keyledger("key", "revoke", key.id)
    eventually(lambda: fetch(url)[0] == 403)
    report.equal("a presigned URL dies with its key", (before, fetch(url)[0]), (200, 403))


def errors(client):
    """Status, code and message of a read."""
    from botocore.exceptions import ClientError
    try:
        client.get_object(Bucket=BUCKET, Key="b.txt")
        return "ok"
    except ClientError as error:
        return (error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"], error.response["Error"]["Message"])


def orgs(world, report, node):
    made = world.keyledger("org", "create", "210987654321", "--name", "neighbour")
    assert made
    world.keyledger("--org", "210987654321", "bucket", "register", "neighbours")
    made = world.keyledger("--org", "210987654321", "key", "create", "--grant", "*=Admin")
    from harness import Key
    other = boto(node, Key(made["access_key_id"], made["secret_access_key"]))
    eventually(lambda: code(other.list_buckets) == "ok")
    other.create_bucket(Bucket="neighbours")
    report.equal("another org: its own buckets", [b["Name"] for b in other.list_buckets()["Buckets"]], ["neighbours"])
    report.equal("another org: not ours", code(other.list_objects_v2, Bucket=BUCKET), "403 AccessDenied")
    world.keyledger("org", "suspend", "210987654321")
    eventually(lambda: code(other.list_buckets) != "ok")
    report.equal("a suspended org's keys are not known", code(other.list_buckets), "403 InvalidAccessKeyId")
    world.keyledger("org", "resume", "210987654321")
    report.check("a resumed org's keys work again", eventually(lambda: code(other.list_buckets) == "ok"))


def rotation(world, report, node):
    """In place: both secrets for a while, then the new one alone."""
    key = world.key("--grant", f"{BUCKET}=Editor")
    old = boto(node, key)
    made = world.keyledger("key", "rotate", key.id, "--in-place", "--grace", "4s")
    new = boto(node, type(key)(key.id, made["secret_access_key"]))
    report.check("in-place rotation: the new secret works", eventually(lambda: code(new.get_object, Bucket=BUCKET, Key="b.txt") == "ok"))
    report.equal("in-place rotation: the old one, too, for a while", code(old.get_object, Bucket=BUCKET, Key="b.txt"), "ok")
    dead = eventually(lambda: code(old.get_object, Bucket=BUCKET, Key="b.txt") == "403 SignatureDoesNotMatch", 8)
    report.check("in-place rotation: the old one dies on time", dead, code(old.get_object, Bucket=BUCKET, Key="b.txt"))
    report.equal("in-place rotation: the new one lives", code(new.get_object, Bucket=BUCKET, Key="b.txt"), "ok")
