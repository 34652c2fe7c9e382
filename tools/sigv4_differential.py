#!/usr/bin/env python3
"""Signs random requests with botocore, spoils each in about twenty ways, and asks `keyledger sigv4 verify --cases`.

    tools/sigv4_differential.py [--count 20000] [--seed 1] [--program target/release/keyledger]

Every request as signed must be accepted, every spoilt one rejected with the code that S3 gives. Half are signed in the
header for S3 (also with unsigned payloads and trailing checksums), a quarter presigned, a quarter for IAM and Lightsail.
botocore comes by name into target/venv. Exit codes: 0 no disagreement, 1 some, 2 could not run.
"""
import argparse
import base64
import binascii
import datetime
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time
from email.utils import format_datetime

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "target" / "venv"

try:
    import botocore
except ImportError:
    if os.environ.get("KEYLEDGER_VENV"):
        sys.exit("botocore is not there although it was installed")
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", "botocore>=1.35"], check=True)
    os.execve(str(python), [str(python), *sys.argv], {**os.environ, "KEYLEDGER_VENV": "1"})

import botocore.auth
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode, percent_encode_sequence

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ODD = "abcXYZ019-_.~ !\"#$%&'()*+,:;<=>?@[]^`{|}äß€日𝄞\u0301\t"
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2", "auto"]
UNSIGNED = "UNSIGNED-PAYLOAD"


class Config:
    """What botocore asks of a client's configuration."""

    def __init__(self, sign_payload):
        self.s3 = {"payload_signing_enabled": sign_payload}


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def word(self, alphabet, least, most):
        return "".join(self.random.choices(alphabet, k=self.random.randint(least, most)))

    def clock(self):
        """Sets botocore's clock; returns when it says the request was signed."""
        at = datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc)
        at += datetime.timedelta(seconds=self.random.randrange(40 * 86_400))
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: at.replace(tzinfo=None) if remove_tzinfo else at
        return at

    def key(self):
        identity = "NQAK" + self.word(LETTERS, 16, 16)
        return Credentials(identity, self.word(LETTERS + "abcdefghijklmnopqrstuvwxyz/+", 40, 40))

    def path(self):
        parts = [self.word("abcdefghij0123456789-", 3, 20)]
        for _ in range(self.random.randint(0, 4)):
            parts.append(self.word(ODD, 0, 12))
        return "/" + percent_encode("/".join(parts), safe="/~")

    def query(self):
        names = ["prefix", "delimiter", "versionId", "uploadId", "partNumber", "list-type", "acl", "x-id", "a b", "ä", "Z", "a"]
        pairs = [(self.random.choice(names), self.word(ODD, 0, 10)) for _ in range(self.random.choice([0, 0, 1, 2, 5]))]
        return percent_encode_sequence(pairs)

    def headers(self, amz):
        found = {}
        if self.random.random() < 0.7:
            found["Content-Type"] = self.random.choice(["text/plain", "  application/octet-stream ", "a/b;  charset=utf-8"])
        for _ in range(self.random.randint(0, 3)):
            found["X-Custom-" + self.word(LETTERS, 1, 8)] = self.word("abc  \t,;=\"'äé019", 0, 20).strip() or "v"
        if amz:
            for _ in range(self.random.randint(0, 3)):
                found["x-amz-meta-" + self.word(LETTERS.lower(), 1, 8)] = self.word("abc  ,;=/019", 0, 20).strip() or "v"
            if self.random.random() < 0.3:
                found["x-amz-acl"] = "private"
        return found

    def body(self):
        return self.random.randbytes(self.random.choice([0, 0, 1, 30, 500]))

    def request(self, number):
        at, key = self.clock(), self.key()
        region = self.random.choice(REGIONS)
        host = self.random.choice(["storage.example.com", "storage.example.com:9000", "bucket.s3.amazonaws.com", "10.0.0.1:8080"])
        kind = ["s3", "presigned", "s3", "other"][number % 4]
        method = self.random.choice(["GET", "PUT", "HEAD", "DELETE", "POST"])
        query = self.query()
        url = "://" + host + self.path() + ("?" + query if query else "")
        body, trailer = self.body(), False
        if kind == "s3":
            choice = self.random.random()
            trailer = choice < 0.1
            scheme = "https" if choice < 0.3 else "http"
            context = {"client_config": Config(not 0.1 <= choice < 0.3)}
            headers = self.headers(True)
            if trailer:
                context = {"checksum": {"request_algorithm": {"in": "trailer"}}}
                headers["x-amz-decoded-content-length"] = str(len(body))
                headers["x-amz-trailer"] = "x-amz-checksum-crc32"
                headers["Content-Encoding"] = "aws-chunked"
            signed = AWSRequest(method=method, url=scheme + url, headers=headers, data=body)
            signed.context.update(context)
            S3SigV4Auth(key, "s3", region).add_auth(signed)
            service = "s3"
        elif kind == "presigned":
            signed = AWSRequest(method=method, url="https" + url, headers={
                name: value for name, value in self.headers(True).items() if name != "Content-Type"})
            expires = self.random.choice([1, 60, 3_600, 604_800])
            S3SigV4QueryAuth(key, "s3", region, expires=expires).add_auth(signed)
            service = "s3"
        else:
            service = self.random.choice(["iam", "lightsail", "keyledger"])
            url = "https://" + host + self.random.choice(["/", "/", "/a b/%41/", "/api/v1/keys/ä", "/a//b/./c/../d"])
            url = url.replace(" ", "%20").replace("ä", "%C3%A4")
            method = "POST"
            body = self.random.choice([b"Action=ListUsers&Version=2010-05-08", b"{}", self.body()])
            headers = self.headers(False)
            if service == "lightsail":
                headers["X-Amz-Target"] = "Lightsail_20161128.GetBuckets"
            if self.random.random() < 0.2:
                headers["Date"] = "now"
            signed = AWSRequest(method=method, url=url, headers=headers, data=body)
            SigV4Auth(key, service, region).add_auth(signed)
        if trailer:
            checksum = base64.b64encode(binascii.crc32(body).to_bytes(4, "big")).decode()
            frames = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            body = frames + b"0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % checksum.encode()
        late = self.random.choice([0, 0, 1, 300, 890]) if kind != "presigned" else self.random.choice([-890, 0, 1])
        case = {
            "id": str(number), "method": method, "target": signed.url.split(host, 1)[1] or "/",
            "headers": [["Host", host]] + [[name, value] for name, value in signed.headers.items()],
            "body": base64.b64encode(body).decode(), "access_key": key.access_key, "secret_key": key.secret_key,
            "region": region, "service": service, "now": stamp(at + datetime.timedelta(seconds=late)),
            "normalize_path": service != "s3",
        }
        return kind, case, at, expires if kind == "presigned" else None


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def header(case, name):
    return next((value for given, value in case["headers"] if given.lower() == name), None)


def with_header(case, name, change):
    """A copy whose header `name` is changed: None takes it away."""
    headers = []
    for given, value in case["headers"]:
        if given.lower() == name:
            value = change(value)
        if value is not None:
            headers.append([given, value])
    return {**case, "headers": headers}


def other_hex(text, at):
    return text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1:]


def scoped(change, case):
    """With the credential changed, wherever it stands."""
    if header(case, "authorization"):
        def auth(value):
            before, rest = value.split("Credential=", 1)
            credential, after = rest.split(",", 1)
            return before + "Credential=" + change(credential) + "," + after
        return with_header(case, "authorization", auth)
    before, rest = case["target"].split("X-Amz-Credential=", 1)
    credential, after = rest.split("&", 1)
    changed = change(credential.replace("%2F", "/")).replace("/", "%2F")
    return {**case, "target": before + "X-Amz-Credential=" + changed + "&" + after}


def part(at, change):
    def of(credential):
        parts = credential.split("/")
        parts[at] = change(parts[at])
        return "/".join(parts)
    return of


def signature(change, case):
    def of(text):
        before, rest = text.rsplit("Signature=", 1)
        return before + "Signature=" + change(rest[:64]) + rest[64:]
    if header(case, "authorization"):
        return with_header(case, "authorization", of)
    return {**case, "target": of(case["target"])}


def spoilt(random_, kind, case, at, expires):
    """(name, expected code, case) for every way in which this request can be spoilt."""
    in_query = kind == "presigned"
    malformed = "AuthorizationQueryParametersError" if in_query else "AuthorizationHeaderMalformed"
    mismatch = "SignatureDoesNotMatch"
    place = random_.randrange(64)
    yield "signature digit", mismatch, signature(lambda text: other_hex(text, place), case)
    yield "signature cut", mismatch, signature(lambda text: text[:63], case)
    yield "signature longer", mismatch, signature(lambda text: text + "0", case)
    upper = signature(str.upper, case)
    if upper != case:
        yield "signature in capitals", mismatch, upper
    yield "signature not hex", mismatch, signature(lambda text: "g" + text[1:], case)
    yield "another secret", mismatch, {**case, "secret_key": other_hex(case["secret_key"], 7)}
    yield "another key", "InvalidAccessKeyId", scoped(part(0, lambda text: other_hex(text, 10)), case)
    yield "another day in the scope", malformed, scoped(part(1, lambda text: "20200101"), case)
    yield "another region", malformed, scoped(part(2, lambda text: "us-west-9"), case)
    yield "another service", malformed, scoped(part(3, lambda text: "sts"), case)
    yield "another terminator", malformed, scoped(part(4, lambda text: "aws5_request"), case)
    yield "a scope too long", malformed, scoped(lambda text: text + "/x", case)
    yield "another method", mismatch, {**case, "method": "PATCH"}
    path, mark, query = case["target"].partition("?")
    yield "another path", mismatch, {**case, "target": path + "x" + mark + query}
    yield "another parameter", mismatch, {**case, "target": case["target"] + ("&" if mark else "?") + "more=1"}
    yield "another host", mismatch, with_header(case, "host", lambda text: "x" + text)
    smuggled = random_.choice([["x-amz-copy-source", "/other/secret"], ["X-Amz-Acl", "public-read"], ["x-amz-meta-smuggled", "1"]])
    if header(case, smuggled[0].lower()) is None:
        yield "an unsigned x-amz header", "AccessDenied", {**case, "headers": case["headers"] + [smuggled]}
    yield "host twice", "InvalidRequest", {**case, "headers": case["headers"] + [["host", header(case, "host")]]}
    custom = [name for name, _ in case["headers"] if name.lower().startswith(("x-custom-", "x-amz-meta-", "content-type"))]
    if custom:
        name = random_.choice(custom).lower()
        yield "another header value", mismatch, with_header(case, name, lambda text: text + "x")
        yield "a signed header left out", mismatch, with_header(case, name, lambda text: None)
    if in_query:
        target = case["target"]
        yield "expired", "AccessDenied", {**case, "now": stamp(at + datetime.timedelta(seconds=expires + 1))}
        yield "not valid yet", "AccessDenied", {**case, "now": stamp(at - datetime.timedelta(seconds=901))}
        for text in ("0", "604801", "-1", "x"):
            yield "expiry " + text, malformed, {**case, "target": target.replace(f"X-Amz-Expires={expires}&", f"X-Amz-Expires={text}&")}
        longer = "604800" if expires != 604_800 else "604799"
        yield "another expiry", mismatch, {**case, "target": target.replace(f"X-Amz-Expires={expires}&", f"X-Amz-Expires={longer}&")}
        yield "another algorithm", malformed, {**case, "target": target.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512")}
        yield "signed in the header too", "InvalidArgument", {**case, "headers": case["headers"] + [["Authorization", "AWS4-HMAC-SHA256 x"]]}
        yield "no signature", malformed, {**case, "target": target.split("&X-Amz-Signature=")[0]}
        return
    yield "16 minutes late", "RequestTimeTooSkewed", {**case, "now": stamp(at + datetime.timedelta(minutes=16))}
    yield "16 minutes early", "RequestTimeTooSkewed", {**case, "now": stamp(at - datetime.timedelta(minutes=16))}
    if header(case, "x-amz-date"):
        shifted = (at + datetime.timedelta(days=1)).strftime("%Y%m%dT%H%M%SZ")
        yield "another day", "RequestTimeTooSkewed", with_header(case, "x-amz-date", lambda text: shifted)
        yield "no date", "AccessDenied", with_header(case, "x-amz-date", lambda text: None)
        unsign = lambda text: text.replace(";x-amz-date", "")
        if unsign(header(case, "authorization")) != header(case, "authorization"):
            yield "the date unsigned", "AccessDenied", with_header(case, "authorization", unsign)
    else:
        shifted = format_datetime(at + datetime.timedelta(days=1))
        yield "another day", "RequestTimeTooSkewed", with_header(case, "date", lambda text: shifted)
    yield "another algorithm", "InvalidRequest", with_header(case, "authorization", lambda text: text.replace("SHA256 ", "SHA512 "))
    yield "version 2", "InvalidRequest", with_header(case, "authorization", lambda text: "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo=")
    yield "no authorization", "AccessDenied", with_header(case, "authorization", lambda text: None)
    yield "half an authorization", malformed, with_header(case, "authorization", lambda text: text.split(", SignedHeaders")[0])
    yield "signed in the query too", "InvalidArgument", {**case, "target": case["target"] + ("&" if mark else "?") + "X-Amz-Signature=0"}
    body = base64.b64decode(case["body"])
    changed = base64.b64encode(body + b"x").decode()
    announced = header(case, "x-amz-content-sha256")
    if case["service"] != "s3":
        yield "another body", mismatch, {**case, "body": changed}
    elif announced.startswith("STREAMING"):
        yield "a longer body", "IncompleteBody", {**case, "body": changed}
        yield "a shorter body", "IncompleteBody", {**case, "body": base64.b64encode(body[:-4]).decode()}
        yield "no last chunk", "IncompleteBody", {**case, "body": base64.b64encode(body[:body.rindex(b"0\r\nx-amz")]).decode()}
    elif announced != UNSIGNED:
        yield "another body", "XAmzContentSHA256Mismatch", {**case, "body": changed}
        yield "a body called unsigned", mismatch, with_header(case, "x-amz-content-sha256", lambda text: UNSIGNED)
        digest = hashlib.sha256(body + b"x").hexdigest()
        both = with_header(case, "x-amz-content-sha256", lambda text: digest)
        yield "another body and its hash", mismatch, {**both, "body": changed}
    if announced is not None:
        yield "no hash announced", "InvalidRequest", with_header(case, "x-amz-content-sha256", lambda text: None)
        yield "no hash at all", "InvalidArgument", with_header(case, "x-amz-content-sha256", lambda text: "none")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--program", default=str(ROOT / "target" / "release" / "keyledger"))
    options = options.parse_args()
    began = time.monotonic()
    maker = Maker(options.seed)
    program = subprocess.Popen([options.program, "sigv4", "verify", "--cases", "-", "--json"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    expected, spoilt_ways = [], {}

    def ask():
        try:
            with program.stdin as out:
                for number in range(options.count):
                    kind, case, at, expires = maker.request(number)
                    lines = [("as signed", None, case), *spoilt(maker.random, kind, case, at, expires)]
                    for name, code, line in lines:
                        expected.append((name, code, number))
                        out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except BrokenPipeError:
            pass

    asker = threading.Thread(target=ask)
    asker.start()
    wrong, answered = [], 0
    for answer in program.stdout:
        answer = json.loads(answer)
        name, code, number = expected[answered]
        answered += 1
        spoilt_ways[name] = spoilt_ways.get(name, 0) + 1
        if answer["id"] != str(number) or answer["code"] != code:
            wrong.append(f"{name} (request {number}): expected {code or 'accept'}, got {answer}")
    asker.join()
    status = program.wait()
    for line in wrong[:20]:
        print(line)
    requests = spoilt_ways.pop("as signed", 0)
    print(f"{requests} requests signed by botocore {botocore.__version__} and {answered - requests} spoilt ones in "
          f"{len(spoilt_ways)} ways (seed {options.seed}): {len(wrong)} disagreements over {answered} comparisons, "
          f"{time.monotonic() - began:.0f} s")
    if status != 0 or answered != len(expected) or requests != options.count:
        print(f"the program ended with {status} after {answered} of {len(expected)} answers")
        return 2
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
