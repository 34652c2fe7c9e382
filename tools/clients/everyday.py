"""What everybody does all day: each client puts, lists, reads, copies and deletes; boto3 the rest.

Not here: rights (`rights.py`).
"""

import io
import os
import urllib.error
import urllib.request

from clients import ALL, AwsCli, boto, code

NAMES = ["plain.txt", "with space.txt", "plus+sign", "per%20cent%", "ünïcode-日本.txt", "a/b/c.txt", "a/.hidden/..dots", "q?x=1&y=2#f",
         "quote'\"<>.txt", "tilde~-_.!*()", "eq=sign;comma,at@"]


def run(world, report):
    key = world.key("--grant", "*=Editor")
    world.register("everyday", "boto3", "aws-cli", "rclone", "s3cmd")
    node = world.node()
    s3 = boto(node, key)
    for bucket in ["everyday", "boto3", "aws-cli", "rclone", "s3cmd"]:
        report.equal(f"boto3: create the registered bucket {bucket}", code(s3.create_bucket, Bucket=bucket), "ok")
    report.equal("boto3: create it again", code(s3.create_bucket, Bucket="everyday"), "409 BucketAlreadyOwnedByYou")
    report.equal("boto3: a follower's node creates no unregistered bucket",
                 code(s3.create_bucket, Bucket="not-registered"), "403 AccessDenied")
    report.equal("boto3: list buckets", [b["Name"] for b in s3.list_buckets()["Buckets"]],
                 ["aws-cli", "boto3", "everyday", "rclone", "s3cmd"])
    for kind in ALL:
        objects_of(world, report, kind(world, node, key))
    rest_of_boto3(report, s3)
    presigned(report, s3)
    over_tls(world, report, key)
    own_ledger(world, report)


def objects_of(world, report, client):
    bucket, name = client.name.replace(" ", "-"), client.name
    small, large, back = world.dir / "small", world.dir / "large", world.dir / "back"
    small.write_bytes(b"hello from " + name.encode())
    large.write_bytes(os.urandom(9 << 20))
    # The AWS CLI and rclone read a leading part of these themselves; S3's own clients take all.
    for odd in NAMES:
        client.put(bucket, odd, small)
    report.equal(f"{name}: lists {len(NAMES)} odd names as they are", client.names(bucket), sorted(NAMES))
    for odd in NAMES:
        back.unlink(missing_ok=True)
        client.get(bucket, odd, back)
        if back.read_bytes() != small.read_bytes():
            report.check(f"{name}: reads {odd!r} back", False, back.read_bytes()[:100])
            return
    report.check(f"{name}: reads every odd name back", True)
    client.copy(bucket, "ünïcode-日本.txt", "copy of plus+.txt")
    client.get(bucket, "copy of plus+.txt", back)
    report.equal(f"{name}: copies", back.read_bytes(), small.read_bytes())
    client.put(bucket, "large", large)
    client.get(bucket, "large", back)
    report.check(f"{name}: 9 MiB there and back (multipart where the client does so)", back.read_bytes() == large.read_bytes())
    for odd in [*NAMES, "copy of plus+.txt", "large"]:
        client.delete(bucket, odd)
    report.equal(f"{name}: deletes all", client.names(bucket), [])


def rest_of_boto3(report, s3):
    bucket = "everyday"
    part = os.urandom(5 << 20)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="multi", ContentType="text/x-multi")["UploadId"]
    tags = [s3.upload_part(Bucket=bucket, Key="multi", UploadId=upload, PartNumber=n, Body=body)["ETag"]
            for n, body in [(1, part), (2, b"end")]]
    listed = [(p["PartNumber"], p["Size"]) for p in s3.list_parts(Bucket=bucket, Key="multi", UploadId=upload)["Parts"]]
    report.equal("boto3: lists parts", listed, [(1, 5 << 20), (2, 3)])
    parts = {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]}
    s3.complete_multipart_upload(Bucket=bucket, Key="multi", UploadId=upload, MultipartUpload=parts)
    found = s3.get_object(Bucket=bucket, Key="multi")
    report.check("boto3: multipart upload", found["Body"].read() == part + b"end" and found["ContentType"] == "text/x-multi")
    report.equal("boto3: the upload is over", code(s3.list_parts, Bucket=bucket, Key="multi", UploadId=upload), "404 NoSuchUpload")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="copied")["UploadId"]
    copied = s3.upload_part_copy(Bucket=bucket, Key="copied", UploadId=upload, PartNumber=1,
                                 CopySource={"Bucket": bucket, "Key": "multi"}, CopySourceRange="bytes=0-5242879")
    parts = {"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="copied", UploadId=upload, MultipartUpload=parts)
    report.check("boto3: part copied from an object", s3.get_object(Bucket=bucket, Key="copied")["Body"].read() == part)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="aborted", UploadId=upload)
    report.equal("boto3: aborts", code(s3.list_parts, Bucket=bucket, Key="aborted", UploadId=upload), "404 NoSuchUpload")
    s3.put_object(Bucket=bucket, Key="meta", Body=b"0123456789", Metadata={"a": "b"}, ContentEncoding="gzip")
    head = s3.head_object(Bucket=bucket, Key="meta")
    report.equal("boto3: metadata and content-encoding", (head["Metadata"], head["ContentEncoding"]), ({"a": "b"}, "gzip"))
    ranged = s3.get_object(Bucket=bucket, Key="meta", Range="bytes=2-4")["Body"].read()
    report.equal("boto3: a range", ranged, b"234")
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]:
        s3.put_object(Bucket=bucket, Key="sum", Body=b"123456789", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
        report.check(f"boto3: checksum {algorithm} is taken and kept", f"Checksum{algorithm}" in head, head)
    names = [f"many/{n:03}" for n in range(120)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    first = s3.list_objects_v2(Bucket=bucket, Prefix="many/", MaxKeys=50)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="many/", PaginationConfig={"PageSize": 50})
    report.equal("boto3: pages of a list", ([len(p["Contents"]) for p in pages], first["IsTruncated"]), ([50, 50, 20], True))
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/").get("CommonPrefixes")
    report.equal("boto3: folders of a list", folders, [{"Prefix": "many/"}])
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names]})
    report.equal("boto3: deletes 120 at once", len(gone["Deleted"]), 120)
    report.equal("boto3: the bucket is not empty", code(s3.delete_bucket, Bucket=bucket), "409 BucketNotEmpty")
    report.equal("boto3: no such key", code(s3.get_object, Bucket=bucket, Key="nope"), "404 NoSuchKey")
    report.equal("boto3: HEAD of no such key", code(s3.head_object, Bucket=bucket, Key="nope"), "404 404")


def fetch(url, data=None, method=None, headers=()):
    request = urllib.request.Request(url, data=data, method=method, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def presigned(report, s3):
    bucket = "everyday"
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "pre signed+ü"}, ExpiresIn=60)
    report.equal("presigned PUT", fetch(url, b"by url", "PUT")[0], 200)
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "pre signed+ü"}, ExpiresIn=60)
    report.equal("presigned GET", fetch(url), (200, b"by url"))
    status, body = fetch(url.replace("signed", "other"))
    report.check("presigned GET of another key", status == 403 and b"SignatureDoesNotMatch" in body, body)
    form = s3.generate_presigned_post(bucket, "forms/${filename}", Fields={"x-amz-meta-a": "b"},
                                      Conditions=[{"x-amz-meta-a": "b"}, ["content-length-range", 1, 20]], ExpiresIn=60)

    def post(data, **fields):
        boundary, lines = "b0undary", []
        for name, value in {**form["fields"], **fields}.items():
            lines.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        lines.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n'.encode())
        body = b"".join(lines) + data + f"\r\n--{boundary}--\r\n".encode()
        return fetch(form["url"], body, "POST", [("Content-Type", f"multipart/form-data; boundary={boundary}")])

    report.equal("form upload", post(b"by a form")[0], 204)
    found = s3.get_object(Bucket=bucket, Key="forms/f.txt")
    report.equal("form upload: object and metadata", (found["Body"].read(), found["Metadata"]), (b"by a form", {"a": "b"}))
    for name, data, fields, wanted in [
        ("too large", b"x" * 21, {}, b"EntityTooLarge"),
        ("too small", b"", {}, b"EntityTooSmall"),
        ("a field that its policy does not allow", b"x", {"x-amz-meta-a": "c"}, b"AccessDenied"),
        ("a field that its policy does not know", b"x", {"x-amz-meta-other": "c"}, b"AccessDenied"),
    ]:
        status, body = post(data, **fields)
        report.check(f"form upload: {name}", status in (400, 403) and wanted in body, (status, body))
    report.equal("form upload: none of these replaced it", s3.get_object(Bucket=bucket, Key="forms/f.txt")["Body"].read(), b"by a form")


def over_tls(world, report, key):
    cert, private = world.certificate()
    node = world.node("--tls-cert", str(cert), "--tls-key", str(private))
    s3 = boto(node, key, verify=str(cert))
    body = os.urandom(3 << 20)
    s3.put_object(Bucket="everyday", Key="tls", Body=body)
    report.check("over TLS: aws-chunked with a trailing checksum", s3.get_object(Bucket="everyday", Key="tls")["Body"].read() == body)

    class Stream(io.RawIOBase):
        """A body that cannot be read twice."""

        def __init__(self):
            self.left = io.BytesIO(body)

        def readable(self):
            return True

        def read(self, n=-1):
            return self.left.read(n)

    s3.upload_fileobj(Stream(), "everyday", "tls-stream")
    report.check("over TLS: streaming upload", s3.get_object(Bucket="everyday", Key="tls-stream")["Body"].read() == body)
    for algorithm in ["CRC32", "SHA256"]:
        s3.put_object(Bucket="everyday", Key="tls-sum", Body=io.BytesIO(b"123456789"), ChecksumAlgorithm=algorithm)
    report.equal("over TLS: trailing SHA256", s3.get_object(Bucket="everyday", Key="tls-sum")["Body"].read(), b"123456789")
    cli = AwsCli(world, node, key)
    (world.dir / "tls-file").write_bytes(body)
    cli.put("everyday", "tls cli", world.dir / "tls-file")
    cli.get("everyday", "tls cli", world.dir / "tls-back")
    report.check("over TLS: aws cli there and back", (world.dir / "tls-back").read_bytes() == body)
    report.equal("a node that is told to stop ends in good order", node.stop(), 0)


def own_ledger(world, report):
    """A node alone is the writer: it makes a ledger, registers buckets, and holds it against other writers."""
    import re

    from harness import Key

    ledger, root = world.dir / "own-ledger", world.dir / "own-objects"
    node = world.node(follow=False, ledger=ledger, root=root)
    key = Key(re.search(r"access key id +(\S+)", node.first_lines)[1], re.search(r"secret access key +(\S+)", node.first_lines)[1])
    s3 = boto(node, key)
    report.equal("own ledger: create a bucket", code(s3.create_bucket, Bucket="mine"), "ok")
    s3.put_object(Bucket="mine", Key="a", Body=b"1")
    s3.delete_object(Bucket="mine", Key="a")
    report.equal("own ledger: delete it", code(s3.delete_bucket, Bucket="mine"), "ok")
    report.equal("own ledger: it belongs to nobody now", code(s3.list_objects_v2, Bucket="mine"), "404 NoSuchBucket")
    s3.create_bucket(Bucket="kept")
    report.equal("own ledger: ends in good order", node.stop(), 0)
    world.ledger, kept = ledger, world.ledger
    report.equal("own ledger: the bucket is registered", world.keyledger("bucket", "list")["bucket"], "kept")
    used = world.keyledger("key", "show", key.id)
    report.check("own ledger: the key's last use is recorded", used.get("last_used") not in (None, "never"), used)
    world.ledger = kept
