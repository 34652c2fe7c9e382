"""A named check for each hole that a node on the `s3s` crate has to close itself.

After each refused upload the old object has to be there, byte for byte.

Not here: what clients do (`everyday.py`), rights (`rights.py`).
"""

import base64
import datetime
import hashlib
import re
import zlib

from clients import boto, code
from raw import EMPTY, Signer, send, sha256

OLD = b"the old object"


def run(world, report):
    world.register("ours", "theirs", "other-a", "other-b")
    world.keyledger("org", "create", "210987654321", "--name", "neighbour")
    key = world.key("--grant", "ours=Editor", "--grant", "other-a=Editor", "--grant", "other-b=Editor")
    root = world.key("--grant", "*=Admin")
    node = world.node()
    s3, all_s3 = boto(node, key), boto(node, root)
    for bucket in ["ours", "theirs", "other-a", "other-b"]:
        all_s3.create_bucket(Bucket=bucket)
    all_s3.put_object(Bucket="theirs", Key="secret", Body=b"a secret")
    s3.put_object(Bucket="ours", Key="old", Body=OLD)
    signer = Signer(node, key)

    def old_is_there(name, reply, *wanted):
        found = s3.get_object(Bucket="ours", Key="old")["Body"].read()
        report.check(f"{name}: {' or '.join(wanted)}, and the old object stays", str(reply) in wanted and found == OLD, (str(reply), reply.body[:200], found))

    every_error_is_s3s(report, node, signer)
    authentication(report, node, key, signer)
    unsigned_headers(report, node, signer)
    bodies(old_is_there, node, signer)
    chunks(old_is_there, signer)
    paths(report, node, signer)
    uploads(report, node, key, root, s3)
    deletes(world, report, node)
    buckets(world, report, node, root)
    temporary = [path.name for path in world.root.iterdir() if path.name.startswith(".tmp")]
    report.equal("no temporary file is left of what was refused", temporary, [])


def every_error_is_s3s(report, node, signer):
    reply = send(node, "GET", "/ours/old")
    report.equal("unsigned request", str(reply), "403 AccessDenied")
    well = re.fullmatch(rb'<\?xml version="1.0" encoding="UTF-8"\?>\s*<Error>.*<RequestId>(\w+)</RequestId></Error>', reply.body, re.S)
    report.check("an error is XML with the request id of its header", well and well[1].decode() == reply.headers["x-amz-request-id"], reply.body)
    reply = signer.header("GET", "/ours/nope")
    report.check("an error of the store, too", str(reply) == "404 NoSuchKey" and reply.headers["x-amz-request-id"].encode() in reply.body, reply.body)
    reply = signer.header("HEAD", "/ours/nope")
    report.equal("an error to HEAD has no body", (reply.status, reply.body), (404, b""))
    reply = send(node, "HEAD", "/ours/old")
    report.equal("a refused HEAD has none either", (reply.status, reply.body), (403, b""))
    reply = signer.header("GET", "/ours/old")
    report.check("a reply names the seq it was decided at", reply.headers["x-keyledger-seq"].isdigit(), reply.headers)
    far = int(reply.headers["x-keyledger-seq"]) + 1_000
    method, path, body, headers = signer.signed("GET", "/ours/old")
    report.equal("a state older than asked for decides nothing",
                 send(node, method, path, body, {**headers, "x-keyledger-min-seq": str(far)}).status, 503)
    report.equal("a seq that is none", str(send(node, method, path, body, {**headers, "x-keyledger-min-seq": "x"})), "400 InvalidArgument")
    report.equal("an operation that nobody knows", signer.header("PATCH", "/ours/old").status in (400, 405, 501), True)
    reply = signer.header("OPTIONS", "/ours/old")
    report.check("another method that nobody knows", reply.status in (400, 403, 405, 501), str(reply))


def authentication(report, node, key, signer):
    now = datetime.datetime.now(datetime.timezone.utc)

    def header(name, wanted, **changed):
        reply = Signer(node, changed.pop("key", key), **changed).header("GET", "/ours/old")
        report.equal(name, str(reply), wanted)

    header("unknown key", "403 InvalidAccessKeyId", key=type(key)("NQAKAAAAAAAAAAAAAAAA", "x" * 40))
    header("wrong secret", "403 SignatureDoesNotMatch", key=type(key)(key.id, "x" * 40))
    header("wrong region", "400 AuthorizationHeaderMalformed", region="eu-west-1")
    header("wrong service", "400 AuthorizationHeaderMalformed", service="iam")
    header("16 minutes late", "403 RequestTimeTooSkewed", now=now - datetime.timedelta(minutes=16))
    header("16 minutes early", "403 RequestTimeTooSkewed", now=now + datetime.timedelta(minutes=16))
    header("14 minutes late", "200 ", now=now - datetime.timedelta(minutes=14))
    reply = Signer(node, key, algorithm="AWS4-HMAC-SHA512").header("GET", "/ours/old")
    report.check("another algorithm in the header", reply.status == 400, str(reply))
    target = signer.presigned("GET", "/ours/old", algorithm="AWS4-HMAC-SHA512")
    report.check("another algorithm in a URL", send(node, "GET", target).status == 400)
    for expires, wanted in [(604_800, "200 "), (604_801, "400 AuthorizationQueryParametersError"),
                            (-1, "400 AuthorizationQueryParametersError"), ("x", "400 AuthorizationQueryParametersError")]:
        reply = send(node, "GET", signer.presigned("GET", "/ours/old", expires=expires))
        report.equal(f"X-Amz-Expires {expires}", str(reply), wanted)
    late = Signer(node, key, now=now - datetime.timedelta(seconds=62))
    report.equal("an expired URL", str(send(node, "GET", late.presigned("GET", "/ours/old"))), "403 AccessDenied")
    wrong = Signer(node, key, region="eu-west-1").presigned("GET", "/ours/old")
    report.equal("wrong region in a URL", str(send(node, "GET", wrong)), "400 AuthorizationQueryParametersError")
    method, path, body, headers = signer.signed("GET", "/ours/old")
    both = send(node, "GET", signer.presigned("GET", "/ours/old"), b"", headers)
    report.equal("signed in header and URL", both.status, 400)
    reply = send(node, "GET", "/ours/old", b"", {"authorization": f"AWS {key.id}:frJIUN8DYpKDtOLCwo//yllqDzg=", "date": now.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    report.check("SigV2 in the header", str(reply) == "400 InvalidRequest" and b"Please use AWS4-HMAC-SHA256" in reply.body, reply.body)
    reply = send(node, "GET", f"/ours/old?AWSAccessKeyId={key.id}&Signature=abc%3D&Expires=1999999999")
    report.check("SigV2 in a URL", str(reply) == "400 InvalidRequest" and b"Please use AWS4-HMAC-SHA256" in reply.body, reply.body)
    host = Signer(node, key)
    method, path, body, headers = host.signed("GET", "/ours/old", unsigned=("host",))
    report.check("an unsigned host", send(node, method, path, body, headers).status in (400, 403))
    headers = dict(signer.signed("GET", "/ours/old")[3])
    twice = [*headers.items(), ("x-amz-date", headers["x-amz-date"])]
    report.check("a header that is there twice", send(node, "GET", "/ours/old", b"", twice).status in (400, 403))


def unsigned_headers(report, node, signer):
    put = signer.presigned("PUT", "/ours/taken")
    reply = send(node, "PUT", put, b"", {"x-amz-copy-source": "/theirs/secret"})
    report.equal("x-amz-copy-source added to a presigned URL", str(reply), "403 AccessDenied")
    for name, value in [("x-amz-acl", "public-read"), ("x-amz-meta-a", "b"), ("x-amz-tagging", "a=b"), ("x-amz-anything", "1")]:
        report.equal(f"{name} added to a presigned URL", str(send(node, "PUT", put, b"x", {name: value})), "403 AccessDenied")
    reply = signer.header("PUT", "/ours/taken", headers={"x-amz-copy-source": "/ours/old"}, unsigned=("x-amz-copy-source",))
    report.equal("an unsigned x-amz-copy-source beside a signed header", str(reply), "403 AccessDenied")
    report.equal("nothing of it was stored", str(signer.header("GET", "/ours/taken")), "404 NoSuchKey")
    reply = signer.header("PUT", "/ours/taken", headers={"x-amz-copy-source": "/theirs/secret"})
    report.equal("a signed copy from a bucket it may not read", str(reply), "403 AccessDenied")


def bodies(old_is_there, node, signer):
    new, path = b"the new object", "/ours/old"

    def put(name, wanted, headers=None, payload=None, body=new):
        old_is_there(name, signer.header("PUT", path, body, headers=headers or {}, payload=payload), *wanted)

    def b64(digest):
        return base64.b64encode(digest).decode()

    put("wrong sha256 of the body", ["400 XAmzContentSHA256Mismatch"], payload=sha256(b"other"))
    put("wrong sha256 of an empty body", ["400 XAmzContentSHA256Mismatch"], payload=sha256(b"other"), body=b"")
    put("sha256 of an empty body for one that is not", ["400 XAmzContentSHA256Mismatch"], payload=EMPTY)
    put("sha256 that is none", ["400 InvalidArgument"], payload="abc")
    put("wrong Content-MD5", ["400 BadDigest"], {"content-md5": b64(hashlib.md5(b"other").digest())})
    put("Content-MD5 that is none", ["400 InvalidDigest"], {"content-md5": "abc"})
    for name, digest in [("crc32", zlib.crc32(b"other").to_bytes(4, "big")), ("crc32c", b"\0" * 4), ("crc64nvme", b"\0" * 8),
                         ("sha1", hashlib.sha1(b"other").digest()), ("sha256", hashlib.sha256(b"other").digest())]:
        put(f"wrong x-amz-checksum-{name}", ["400 BadDigest"], {f"x-amz-checksum-{name}": b64(digest)})
    put("a checksum that nobody knows", ["400 InvalidRequest"], {"x-amz-checksum-md4": "AAAA"})
    put("two checksums", ["400 InvalidRequest"], {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32c": "AAAAAA=="})
    put("an algorithm without its checksum is ignored, not compared after the commit", ["200 "],
        {"x-amz-sdk-checksum-algorithm": "CRC32"}, body=OLD)
    method, target, body, headers = signer.signed("PUT", path, new)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(new), new)
    reply = send(node, method, target, chunked, {**headers, "transfer-encoding": "chunked"})
    old_is_there("an upload without a length", reply, "411 MissingContentLength", "400 ")


def chunks(old_is_there, signer):
    path, data = "/ours/old", [b"a" * 8192, b"b" * 8192, b"c" * 100]
    crc = base64.b64encode(zlib.crc32(b"".join(data)).to_bytes(4, "big")).decode()
    wrong = base64.b64encode(b"\0\0\0\1").decode()

    def spoil(at, old, new):
        def change(pieces):
            pieces[at] = pieces[at].replace(old, new, 1)
            return pieces

        return change

    def refused(name, wanted, **kwargs):
        old_is_there(name, signer.chunked(path, data, **kwargs), *wanted)

    mismatch, incomplete = ["403 SignatureDoesNotMatch"], ["400 IncompleteBody"]
    refused("a second chunk that was changed", mismatch, change=spoil(3, b"b", b"x"))
    refused("a second chunk with a wrong signature", mismatch, change=spoil(2, b"signature=", b"signature=0"))
    refused("a final chunk with a wrong signature", mismatch,
            change=lambda p: [*p[:6], re.sub(rb"=[0-9a-f]{8}", b"=00000000", p[6]), *p[7:]])
    refused("no final chunk", incomplete, change=lambda p: p[:6])
    refused("a chunk left out", mismatch, change=lambda p: p[:2] + p[4:])
    refused("chunks in another order", mismatch, change=lambda p: p[2:4] + p[:2] + p[4:])
    refused("a decoded length that is too long", incomplete, length=20_000)
    refused("a decoded length that is too short", incomplete, length=16_000)
    refused("a size that is no number", incomplete, change=spoil(0, b"2000;", b"zzzz;"))
    refused("something behind the final chunk", incomplete, change=lambda p: [*p, b"more"])
    signed = ("x-amz-checksum-crc32", crc)
    refused("a trailer with a wrong signature", mismatch, trailer=signed,
            change=lambda p: [*p[:-2], re.sub(rb":[0-9a-f]{8}", b":00000000", p[-2]), p[-1]])
    refused("a trailer that was changed", mismatch, trailer=signed, change=spoil(-3, crc.encode(), wrong.encode()))
    refused("a signed trailer with a wrong checksum", ["400 BadDigest"], trailer=("x-amz-checksum-crc32", wrong))
    refused("no trailer", ["400 MalformedTrailerError", *incomplete], trailer=signed, change=lambda p: p[:-3] + [b"\r\n"])
    refused("an unsigned trailer with a wrong checksum", ["400 BadDigest"], trailer=("x-amz-checksum-crc32", wrong), unsigned=True)
    refused("an unsigned trailer that is missing", ["400 MalformedTrailerError", *incomplete], trailer=signed, unsigned=True,
            change=lambda p: p[:-2] + [b"\r\n"])
    refused("unsigned chunks without their end", incomplete, trailer=signed, unsigned=True, change=lambda p: p[:4])
    refused("a wrong Content-MD5 beside good chunks", ["400 BadDigest"],
            headers={"content-md5": base64.b64encode(hashlib.md5(b"other").digest()).decode()})
    for name, kwargs in [("signed chunks", {}), ("signed chunks with a trailer", {"trailer": signed}),
                         ("unsigned chunks with a trailer", {"trailer": signed, "unsigned": True})]:
        reply = signer.chunked("/ours/chunked", data, **kwargs)
        found = signer.header("GET", "/ours/chunked")
        good = reply.status == 200 and found.body == b"".join(data) and "content-encoding" not in found.headers
        old_is_there(f"{name}: stored whole, without aws-chunked as its encoding ({good})", reply, "200 " if good else "good")


def paths(report, node, signer):
    for path in ["/ours/../theirs/secret", "/ours/..%2Ftheirs%2Fsecret", "/ours/%2E%2E/theirs/secret", "/ours/a/../../theirs/secret",
                 "/ours//etc/passwd", "/ours/%2Fetc%2Fpasswd", "/ours/./../theirs/secret", "/ours/a/%2e%2e/b", "/ours/.", "/ours/.."]:
        reply = signer.header("GET", path)
        report.check(f"GET {path}", reply.status in (400, 403) and b"a secret" not in reply.body, str(reply))
        reply = signer.header("PUT", path, b"taken")
        report.check(f"PUT {path}", reply.status in (400, 403), str(reply))
    for source in ["/ours/../theirs/secret", "ours/..%2Ftheirs%2Fsecret", "/ours/%2E%2E/theirs/secret", "../theirs/secret",
                   "/ours/a/../../theirs/secret", "/ours//etc/passwd"]:
        reply = signer.header("PUT", "/ours/taken", headers={"x-amz-copy-source": source})
        report.check(f"copy of {source}", reply.status in (400, 403), str(reply))
    # One file has one name: what a policy says of `old` is not evaded by another spelling.
    for path in ["/ours/old/", "/ours/a//old"]:
        reply = signer.header("GET", path)
        report.check(f"another spelling, GET {path}", reply.status in (400, 404), str(reply))
    body = b"<Delete><Object><Key>../theirs/secret</Key></Object><Object><Key>/etc/passwd</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    reply = signer.header("POST", "/ours", body, query=[("delete", "")], headers={"content-md5": md5})
    report.check("delete of ../theirs/secret", reply.status == 200 and reply.body.count(b"<Error>") == 2, reply.body)
    # The other bucket is read by the root key below (`deletes`).


def uploads(report, node, key, root, s3):
    mine = s3.create_multipart_upload(Bucket="other-a", Key="k")["UploadId"]
    part = dict(Bucket="other-b", Key="k", UploadId=mine, PartNumber=1, Body=b"x")
    report.equal("a part for an upload of another bucket", code(s3.upload_part, **part), "404 NoSuchUpload")
    report.equal("a part for an upload of another key", code(s3.upload_part, **{**part, "Bucket": "other-a", "Key": "l"}), "404 NoSuchUpload")
    report.equal("to list them", code(s3.list_parts, Bucket="other-b", Key="k", UploadId=mine), "404 NoSuchUpload")
    report.equal("to abort it", code(s3.abort_multipart_upload, Bucket="other-b", Key="k", UploadId=mine), "404 NoSuchUpload")
    own = mine.rsplit(".", 1)[0]
    for name, forged in [("without its tag", own), ("with another tag", own + "." + "0" * 32), ("of nobody", "8c159753-0fb5-4f1c-8e1f-aeadb8a6f8d2")]:
        report.equal(f"an upload id {name}", code(s3.upload_part, **{**part, "Bucket": "other-a", "UploadId": forged}), "404 NoSuchUpload")
    good = s3.upload_part(**{**part, "Bucket": "other-a"})["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": good}]}
    done = dict(Bucket="other-b", Key="k", UploadId=mine, MultipartUpload=parts)
    report.equal("to complete it elsewhere", code(s3.complete_multipart_upload, **done), "404 NoSuchUpload")
    done["Bucket"] = "other-a"
    missing = {"Parts": [{"PartNumber": 1, "ETag": good}, {"PartNumber": 2, "ETag": good}]}
    report.equal("to complete it with a part that is not there", code(s3.complete_multipart_upload, **{**done, "MultipartUpload": missing}), "400 InvalidPart")
    report.equal("to complete it where it belongs", code(s3.complete_multipart_upload, **done), "ok")
    report.equal("a part number of 0", code(s3.upload_part, **{**part, "Bucket": "other-a", "PartNumber": 0}), "400 InvalidArgument")


def deletes(world, report, node):
    root = boto(node, world.key("--grant", "*=Admin"))
    report.equal("the other bucket's object is untouched", root.get_object(Bucket="theirs", Key="secret")["Body"].read(), b"a secret")
    for name in ["keep/1", "free/1", "free/2"]:
        root.put_object(Bucket="ours", Key=name, Body=b"x")
    some = boto(node, world.policy_key({"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::ours/free/*"}))
    gone = some.delete_objects(Bucket="ours", Delete={"Objects": [{"Key": k} for k in ["keep/1", "free/1", "free/2"]]})
    report.equal("DeleteObjects is decided key by key", (sorted(d["Key"] for d in gone["Deleted"]), [(e["Key"], e["Code"]) for e in gone["Errors"]]),
                 (["free/1", "free/2"], [("keep/1", "AccessDenied")]))
    report.equal("the refused one stays", code(root.head_object, Bucket="ours", Key="keep/1"), "ok")


def buckets(world, report, node, root):
    # A folder that nobody registered is nobody's.
    (world.root / "stray").mkdir(exist_ok=True)
    (world.root / "stray" / "x").write_bytes(b"x")
    s3 = boto(node, root)
    report.equal("an unregistered bucket, read by the root key", code(s3.get_object, Bucket="stray", Key="x"), "404 NoSuchBucket")
    report.check("and not listed", "stray" not in [b["Name"] for b in s3.list_buckets()["Buckets"]])
    made = world.keyledger("--org", "210987654321", "key", "create", "--grant", "*=Admin")
    other = boto(node, type(root)(made["access_key_id"], made["secret_access_key"]))
    report.equal("another org's root key", code(other.get_object, Bucket="ours", Key="old"), "403 AccessDenied")
    report.equal("another org sees no buckets of ours", other.list_buckets()["Buckets"], [])
    report.equal("and cannot make one of that name", code(other.create_bucket, Bucket="ours"), "409 BucketAlreadyExists")
    report.equal("nor delete it", code(other.delete_bucket, Bucket="ours"), "403 AccessDenied")
