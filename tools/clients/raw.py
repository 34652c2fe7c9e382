"""Requests that no client would send: signed by hand (AWS Signature Version 4), with every part open to change.

Not here: what they are to be answered.
"""

import datetime
import hashlib
import hmac
import http.client
import re
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

EMPTY = hashlib.sha256(b"").hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


@dataclass
class Reply:
    status: int
    code: str
    body: bytes
    headers: dict

    def __str__(self):
        return f"{self.status} {self.code}"


class Signer:
    """What a signature is made with. `now`, `region`, `service` and `algorithm` may be wrong on purpose."""

    def __init__(self, node, key, region="us-east-1", service="s3", now=None, algorithm="AWS4-HMAC-SHA256"):
        self.node, self.key, self.region, self.service, self.algorithm = node, key, region, service, algorithm
        self.now = now or datetime.datetime.now(datetime.timezone.utc)
        self.stamp = self.now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.stamp[:8]}/{region}/{service}/aws4_request"

    def signing_key(self):
        key = mac(b"AWS4" + self.key.secret.encode(), self.stamp[:8])
        for part in (self.region, self.service, "aws4_request"):
            key = mac(key, part)
        return key

    def signature(self, method, path, query, headers, signed, payload):
        pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
        canonical = "\n".join([
            method, path, "&".join(f"{name}={value}" for name, value in pairs),
            "".join(f"{name}:{headers[name].strip()}\n" for name in signed), ";".join(signed), payload])
        text = "\n".join(["AWS4-HMAC-SHA256", self.stamp, self.scope, sha256(canonical.encode())])
        return hmac.new(self.signing_key(), text.encode(), hashlib.sha256).hexdigest()

    def header(self, method, path, body=b"", query=(), headers=None, payload=None, unsigned=()):
        """Sends a request that is signed in its header. `unsigned`: names of headers that the signature leaves out."""
        return send(self.node, *self.signed(method, path, body, query, headers, payload, unsigned))

    def signed(self, method, path, body=b"", query=(), headers=None, payload=None, unsigned=()):
        payload = payload or sha256(body if isinstance(body, bytes) else b"")
        headers = {"host": self.node.host, "x-amz-date": self.stamp, "x-amz-content-sha256": payload, **(headers or {})}
        signed = sorted(name for name in headers if name not in unsigned)
        self.seed = self.signature(method, path, query, headers, signed, payload)
        headers["authorization"] = (f"{self.algorithm} Credential={self.key.id}/{self.scope}, "
                                    f"SignedHeaders={';'.join(signed)}, Signature={self.seed}")
        return method, target(path, query), body, headers

    def presigned(self, method, path, query=(), expires=60, headers=None, algorithm=None):
        """The target of a presigned request. `headers` are signed beside the host."""
        headers = {"host": self.node.host, **(headers or {})}
        signed = sorted(headers)
        query = [*query, ("X-Amz-Algorithm", algorithm or self.algorithm), ("X-Amz-Credential", f"{self.key.id}/{self.scope}"),
                 ("X-Amz-Date", self.stamp), ("X-Amz-Expires", str(expires)), ("X-Amz-SignedHeaders", ";".join(signed))]
        signature = self.signature(method, path, query, headers, signed, "UNSIGNED-PAYLOAD")
        return target(path, [*query, ("X-Amz-Signature", signature)])

    def chunked(self, path, chunks, trailer=None, change=None, length=None, unsigned=False, headers=None):
        """Puts an object in signed chunks, or unsigned ones with a trailer.

        `change` gets the list of pieces of the body and may spoil it; `length` is the decoded length that is announced."""
        kind = {(False, False): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", (False, True): "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                (True, True): "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}[unsigned, trailer is not None]
        data = b"".join(chunks)
        headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(data) if length is None else length),
                   **(headers or {})}
        if trailer:
            headers["x-amz-trailer"] = trailer[0]
        method, path, _, headers = self.signed("PUT", path, b"", (), headers, kind)
        key, previous, pieces = self.signing_key(), self.seed, []

        def sign(kind, *parts):
            text = "\n".join([kind, self.stamp, self.scope, previous, *parts])
            return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

        for chunk in [*chunks, b""]:
            if unsigned:
                pieces.append(f"{len(chunk):x}\r\n".encode())
            else:
                previous = sign("AWS4-HMAC-SHA256-PAYLOAD", EMPTY, sha256(chunk))
                pieces.append(f"{len(chunk):x};chunk-signature={previous}\r\n".encode())
            pieces.append(chunk + b"\r\n" if chunk or not trailer else b"")
        if trailer:
            name, value = trailer
            pieces.append(f"{name}:{value}\r\n".encode())
            if not unsigned:
                signature = sign("AWS4-HMAC-SHA256-TRAILER", sha256(f"{name}:{value}\n".encode()))
                pieces.append(f"x-amz-trailer-signature:{signature}\r\n".encode())
            pieces.append(b"\r\n")
        if change:
            pieces = change(pieces)
        return send(self.node, method, path, b"".join(pieces), headers)


def target(path, query):
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)
    return path + ("?" + text if text else "")


def send(node, method, path, body=b"", headers=None):
    """Sends exactly this. `headers` may be a list of pairs, to send one twice."""
    parts = urlsplit(node.url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.netloc, timeout=30, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    names = {name.lower() for name, _ in pairs}
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if "host" not in names:
        connection.putheader("host", node.host)
    for name, value in pairs:
        connection.putheader(name, value)
    if not names & {"content-length", "transfer-encoding"} and (body or method in ("PUT", "POST")):
        connection.putheader("content-length", str(len(body)))
    try:
        connection.endheaders(body or None)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all was sent: the answer is there
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    found = re.search(rb"<Code>([^<]*)</Code>", content)
    return Reply(reply.status, found[1].decode() if found else "", content, {k.lower(): v for k, v in reply.getheaders()})
