"""How fast a change by another process arrives at a node that follows, as the command line and boto3 see it.

The finer measurement, a thousand revokes under fire, is a test of tools/storage-node.

Not here: what is refused (`rights.py`).
"""

import time

from clients import boto, code

REVOKES = 20


def run(world, report):
    world.register("followed")
    node = world.node("--stale", "deny")
    root = boto(node, world.key("--grant", "*=Admin"))
    root.create_bucket(Bucket="followed")
    root.put_object(Bucket="followed", Key="a", Body=b"x")
    created, revoked, late = [], [], 0
    for _ in range(REVOKES):
        key = world.key("--grant", "followed=ReadOnly")
        client, began = boto(node, key), time.monotonic()
        while code(client.get_object, Bucket="followed", Key="a") != "ok" and time.monotonic() - began < 5:
            pass
        created.append(time.monotonic() - began)
        world.keyledger("key", "revoke", key.id)
        began = time.monotonic()
        while code(client.get_object, Bucket="followed", Key="a") == "ok" and time.monotonic() - began < 5:
            late += 1
        revoked.append(time.monotonic() - began)
    created.sort(), revoked.sort()
    half = REVOKES // 2
    print(f"   {REVOKES} keys: first use after create p50 {created[half] * 1e3:.1f} ms, max {created[-1] * 1e3:.1f} ms; "
          f"first 403 after revoke p50 {revoked[half] * 1e3:.1f} ms, max {revoked[-1] * 1e3:.1f} ms; {late} requests allowed meanwhile")
    report.check("a key works at the node within a second of its create", created[-1] < 1, created)
    report.check("a revoked key is refused at the node within half a second of the command's return", revoked[-1] < 0.5, revoked)
    # A new writer's ledger in its place is not the one that was followed.
    seq = world.keyledger("key", "list")
    report.check("the command line reads beside the node", bool(seq))
    (world.ledger / "tail.wit").rename(world.ledger / "gone")
    began = time.monotonic()
    while code(root.head_bucket, Bucket="followed") == "ok" and time.monotonic() - began < 10:
        time.sleep(0.05)
    report.check("a node that can no longer follow denies (--stale deny)", time.monotonic() - began < 10)
    report.equal("and says why", code(root.list_buckets), "503 ServiceUnavailable")
    (world.ledger / "gone").rename(world.ledger / "tail.wit")
    began = time.monotonic()
    while code(root.head_bucket, Bucket="followed") != "ok" and time.monotonic() - began < 10:
        time.sleep(0.05)
    report.check("and goes on when it can again", time.monotonic() - began < 10)
