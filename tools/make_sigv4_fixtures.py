#!/usr/bin/env python3
"""Writes fixtures/sigv4/*.jsonl: signed requests that AWS has published, one a line, as `sigv4 verify --cases` reads them.

    tools/make_sigv4_fixtures.py SUITE     SUITE: the folder `aws-signing-test-suite/v4` of the crate aws-sigv4 1.6.4

Not here: signatures of our own making. Every signature below was copied from where the fixture's README says.
"""
import base64
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "sigv4"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"


def case(name, method, target, headers, body=b"", **more):
    line = {
        "id": name, "method": method, "target": target, "headers": headers,
        "body": base64.b64encode(body).decode(), "access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": SECRET,
        "region": "us-east-1", "service": "s3", "now": "2013-05-24T00:00:00Z", "normalize_path": False,
    }
    line.update(more)
    return line


def documentation():
    """S3 API Reference, "Signature calculations" (header, query, chunks, trailers)."""
    host = ["Host", "examplebucket.s3.amazonaws.com"]
    date = ["x-amz-date", "20130524T000000Z"]

    def auth(signed, signature):
        return ["Authorization", f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={signed},Signature={signature}"]

    usual = "host;x-amz-content-sha256;x-amz-date"
    hashed = ["x-amz-content-sha256", EMPTY]
    yield case("doc get object", "GET", "/test.txt", [
        host, auth("host;range;x-amz-content-sha256;x-amz-date",
                   "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ["Range", "bytes=0-9"], hashed, date])
    yield case("doc put object", "PUT", "/test$file.text", [
        host, ["Date", "Fri, 24 May 2013 00:00:00 GMT"],
        auth("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
             "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        date, ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
        ["x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"]],
        b"Welcome to Amazon S3.")
    yield case("doc get bucket lifecycle", "GET", "/?lifecycle", [
        host, auth(usual, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"), date, hashed])
    yield case("doc list objects", "GET", "/?max-keys=2&prefix=J", [
        host, auth(usual, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), date, hashed])
    yield case("doc presigned get", "GET",
               "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1"
               "%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
               "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404", [host])

    def chunks(signatures, tail):
        body = b""
        for size, signature in zip((65536, 1024, 0), signatures):
            body += b"%x;chunk-signature=%s\r\n" % (size, signature.encode())
            body += b"a" * size + b"\r\n" if size else tail
        return body

    streaming = [["Host", "s3.amazonaws.com"], date, ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
                 ["Content-Encoding", "aws-chunked"], ["x-amz-decoded-content-length", "66560"]]
    yield case("doc chunks", "PUT", "/examplebucket/chunkObject.txt", [
        *streaming, ["Content-Length", "66824"], ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"],
        auth("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
             "x-amz-storage-class", "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")],
        chunks(["ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"], b"\r\n"))
    yield case("doc chunks with trailer", "PUT", "/examplebucket/chunkObject.txt", [
        *streaming, ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"],
        ["x-amz-trailer", "x-amz-checksum-crc32c"],
        auth("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
             "x-amz-storage-class;x-amz-trailer", "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")],
        chunks(["b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"],
               b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
               b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"))
    yield case("doc iam list users", "GET", "/?Action=ListUsers&Version=2010-05-08", [
        ["Host", "iam.amazonaws.com"], ["Content-Type", "application/x-www-form-urlencoded; charset=utf-8"],
        ["X-Amz-Date", "20150830T123600Z"],
        ["Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
         "SignedHeaders=content-type;host;x-amz-date, "
         "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"]],
        access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", service="iam",
        now="2015-08-30T12:36:00Z", normalize_path=True)


def suite(folder):
    """AWS's Signature Version 4 test suite: each vector signed in the header and in the query."""
    for vector in sorted(folder.iterdir()):
        context = vector / "context.json"
        if not context.exists():
            continue
        context = json.loads(context.read_text())
        for place in ("header", "query"):
            text = (vector / f"{place}-signed-request.txt").read_bytes().decode()
            head, _, body = text.partition("\n\n")
            first, *lines = head.split("\n")
            method, rest = first.split(" ", 1)
            headers = []
            for line in lines:
                if line[:1].isspace():
                    headers[-1][1] += "\n" + line
                else:
                    headers.append(line.split(":", 1))
            keys = context["credentials"]
            yield case(f"suite {vector.name}, {place}", method, rest.rsplit(" ", 1)[0], headers, body.encode(),
                       access_key=keys["access_key_id"], secret_key=keys["secret_access_key"],
                       region=context["region"], service=context["service"], now=context["timestamp"],
                       normalize_path=context["normalize"])


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, cases in (("documentation", documentation()), ("suite", suite(folder))):
        with open(HERE / f"{name}.jsonl", "w", encoding="utf-8") as out:
            for line in cases:
                # Long runs of one letter compress well enough in git.
                out.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
