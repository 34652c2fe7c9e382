"""Two clients of the Partner API, which sign for themselves: HMAC and JSON are Python's, and nothing of the project's code is used.

`Client.ok` and `Client.no` go through the client that openapi-python-client generates from partner_openapi.json (`run` does, into
target/): what is sent are its models, what is answered must be read by them and written again without a loss. Calling a `Client`
sends what is given, as it is: what a typed client would never send. Not here: what should be answered.
"""

import hashlib
import hmac
import http.client
import importlib
import json
import os
import re
import secrets
import time
import urllib.parse

import httpx
import partner_api
from partner_api import models

KEY = "SigningKeyOfTheTestsABCDEFGHIJKLMNOPQRST"
PROVIDER = "acme"
DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "partner_openapi.json")


class Operation:
    """One operation of the document, and its function in the generated client."""

    def __init__(self, method, template, item, shared):
        self.id, self.method = item["operationId"], method.upper()
        self.path = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))
        self.query = {it["name"]: it["schema"]["type"] for it in item.get("parameters", []) + shared if it.get("in") == "query"}
        schema = item.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        self.body = schema.get("$ref", "").rsplit("/", 1)[-1]
        words = re.sub(r"(?<!^)(?=[A-Z])", "_", self.id).lower()
        self.call = importlib.import_module(f"partner_api.api.{item['tags'][0]}.{words}").sync_detailed

    def arguments(self, path, query, body):
        """The call's arguments, as the generated types; `None` when the path is another's."""
        found = self.path.fullmatch(path)
        if not found:
            return None
        arguments = {name: urllib.parse.unquote(text) for name, text in found.groupdict().items()}
        read = {"integer": int, "boolean": {"true": True, "false": False}.__getitem__, "string": str}
        arguments |= {name: read[self.query[name]](text) for name, text in query}
        if body is not None:
            arguments["body"] = getattr(models, self.body).from_dict(body)
            written = arguments["body"].to_dict()
            assert {name: written.get(name) for name in body} == body, (self.id, "the document has no room for", body)
        return arguments


def operations():
    """Every operation of the document."""
    with open(DOCUMENT, encoding="utf-8") as file:
        paths = json.load(file)["paths"]
    return [Operation(method, path, item, methods.get("parameters", []))
            for path, methods in paths.items() for method, item in methods.items() if method != "parameters"]


class Sign(httpx.Auth):
    """Signs what the generated client sends, as it goes out."""

    requires_request_body = True

    def __init__(self, headers):
        self.headers = headers

    def auth_flow(self, request):
        request.headers.update(self.headers(request.method, request.url.raw_path.decode(), request.content or None))
        yield request


class Client:
    OPERATIONS = operations()
    # Operations that were asked by the generated client: with success, and with an Error.
    done, refused = set(), set()

    def __init__(self, url, provider=PROVIDER, key=KEY, public=None):
        self.host = url.split("//")[1]
        self.public = public or url
        self.provider, self.key = provider, key
        # A connection each, since the server is stopped and started under it.
        more = {"auth": Sign(self.headers), "limits": httpx.Limits(max_keepalive_connections=0)}
        self.generated = partner_api.Client(base_url=url, timeout=httpx.Timeout(30), httpx_args=more)
        self.generated.get_httpx_client()

    def headers(self, method, target, body, at=None, nonce=None, whole=False):
        at = str(int(time.time() * 1000) if at is None else at)
        nonce = nonce or secrets.token_hex(12)
        lines = [method, self.public + target, at, nonce]
        headers = {"X-Tigris-Time": at, "X-Tigris-Nonce": nonce}
        if whole:
            headers["X-Tigris-Content-Sha256"] = hashlib.sha256(body or b"").hexdigest()
            lines.append(headers["X-Tigris-Content-Sha256"])
        headers["X-Tigris-Signature"] = hmac.new(self.key.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
        if body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def send(self, method, target, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.request(method, target, body, headers)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        assert reply.getheader("content-type") == "application/json", reply.getheader("content-type")
        parsed = json.loads(text)
        if reply.status != 200:
            assert list(parsed) == ["message"] and isinstance(parsed["message"], str), parsed
        return reply.status, parsed

    def target(self, path):
        return f"/v1/providers/{urllib.parse.quote(self.provider, safe='')}{path}"

    def __call__(self, method, path, body=None, more=None, **signing):
        raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self.headers(method, self.target(path), raw, **signing), **(more or {})}
        return self.send(method, self.target(path), raw, headers)

    def typed(self, method, path, body=None):
        """Asks by the generated client: the operation, the status and what its types hold of the answer."""
        path, _, query = self.target(path).partition("?")
        for operation in self.OPERATIONS:
            if operation.method == method:
                arguments = operation.arguments(path, urllib.parse.parse_qsl(query), body)
                if arguments is not None:
                    answer = operation.call(client=self.generated, **arguments)
                    read = answer.parsed.to_dict()
                    assert read == json.loads(answer.content), (operation.id, read, answer.content)
                    return operation.id, answer.status_code, answer.parsed
        raise AssertionError(f"the document has no {method} {path}")

    def ok(self, method, path, body=None):
        """What is answered to what succeeds."""
        operation, status, answer = self.typed(method, path, body)
        assert status == 200, (method, path, body, status, answer)
        self.done.add(operation)
        return answer.to_dict()

    def no(self, method, path, body=None):
        """The status of what is refused with the document's Error."""
        operation, status, answer = self.typed(method, path, body)
        assert isinstance(answer, models.Error) and answer.message, (method, path, body, status, answer)
        self.refused.add(operation)
        return int(status)
