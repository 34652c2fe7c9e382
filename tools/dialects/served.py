"""A `keyledger serve` of its own for each test class, and clients for it."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALLOW_S3 = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


class Server:
    """The server, in a folder that goes with it. `prepare` runs commands on the ledger before it is served."""

    def __init__(self, prepare=(), options=(), environment=None):
        self.folder = tempfile.mkdtemp(prefix="keyledger-dialects-")
        self.ledger = os.path.join(self.folder, "ledger")
        self.options = [option.replace("FOLDER", self.folder) for option in options]
        self.environment = environment or {}
        for arguments, text in prepare:
            for row in self.command(*arguments, text=text):
                if row.get("secret_access_key"):
                    self.root = (row["access_key_id"], row["secret_access_key"])
        self.start()

    def command(self, *arguments, text=None):
        """A command of the command line on the ledger; its JSON lines."""
        done = subprocess.run(
            [os.environ["KEYLEDGER"], "--ledger", self.ledger, "--json", "--yes", *arguments],
            input=text, text=True, capture_output=True, check=False,
        )
        if done.returncode:
            raise AssertionError(f"{arguments}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start(self, environment=None):
        self.process = subprocess.Popen(
            [os.environ["KEYLEDGER"], "--ledger", self.ledger, "--json", "serve",
             "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", *self.options],
            stdout=subprocess.PIPE, stderr=open(os.path.join(self.folder, "log"), "ab"), text=True,
            env={**os.environ, **self.environment, **(environment or {})},
            # A write beyond a file's limit is an error, as on a full disk, and no signal.
            restore_signals=False,
        )
        said = json.loads(self.process.stdout.readline())
        self.endpoint, self.metrics, self.s3 = said["endpoint"], said["metrics"], said["s3"]
        if said["access_key_id"]:
            self.root = (said["access_key_id"], said["secret_access_key"])

    def stop(self):
        self.process.terminate()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait(60)
        self.process.stdout.close()

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8") as log:
            return log.read()

    def client(self, service="iam", key=None, endpoint=None, verify=None, **config):
        key, secret = key or self.root
        config = {"retries": {"total_max_attempts": 1}, "max_pool_connections": 64, **config}
        return boto3.client(
            service, endpoint_url=endpoint or self.endpoint, region_name="us-east-1", aws_access_key_id=key,
            aws_secret_access_key=secret, verify=verify, config=Config(**config),
        )


def native_request(endpoint, key, method, path, body=None, headers=None, read=http.client.HTTPResponse.read):
    """One signed request to the native API; status, headers and the JSON of the reply, or what `read` makes of it."""
    data = json.dumps(body).encode() if body is not None else b""
    headers = {**({"Content-Type": "application/json"} if data else {}), **(headers or {})}
    request = AWSRequest(method, f"{endpoint}/api/v1{path}", data=data, headers=headers)
    SigV4Auth(Credentials(*key), "keyledger", "us-east-1").add_auth(request)
    place = urlsplit(endpoint)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.request(method, f"/api/v1{path}", data, dict(request.headers.items()))
    reply = connection.getresponse()
    text = read(reply)
    connection.close()
    return reply.status, reply.headers, json.loads(text) if isinstance(text, bytes) else text


def whole(connection):
    """A request or a reply as it came, its body as long as its head says."""
    connection.settimeout(10)
    message = b""
    while True:
        head, end, body = message.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return message
        part = connection.recv(1 << 16)
        if not part:
            return message
        message += part


class Cut:
    """A way to a server that loses its first reply: the request arrives, the connection breaks off before the answer."""

    def __init__(self, endpoint):
        place = urlsplit(endpoint)
        self.there = (place.hostname, place.port)
        self.replies_lost, self.lost = 0, ""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.carry, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def carry(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(self.there)
            there.sendall(whole(here))
            reply = whole(there)
            if self.replies_lost:
                here.sendall(reply)
            else:
                self.replies_lost, self.lost = 1, reply.decode()
            here.close()
            there.close()


class Served(unittest.TestCase):
    """Tests that share one server. In `options` FOLDER stands for the server's folder."""

    prepare = ()
    options = ()
    environment = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.prepare, cls.options, cls.environment)
        cls.iam = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        log = cls.server.log()
        verified = subprocess.run(
            [os.environ["KEYLEDGER"], "--ledger", cls.server.ledger, "verify"], capture_output=True, text=True, check=False)
        shutil.rmtree(cls.server.folder)
        assert code == 0, f"exit {code}: {log}"
        assert "a dialect failed" not in log, log
        assert verified.returncode == 0, verified.stderr

    def refused(self, exception, call, **arguments):
        """`call` raises the client's typed exception; the error's answer."""
        with self.assertRaises(getattr(call.__self__.exceptions, exception)) as caught:
            call(**arguments)
        return caught.exception.response

    def error(self, code, status, call, **arguments):
        """`call` is answered with this code and status; the message."""
        from botocore.exceptions import ClientError
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        answer = caught.exception.response
        self.assertEqual((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]), (code, status), answer)
        return answer["Error"]["Message"]

    def key_of(self, user):
        made = self.iam.create_access_key(UserName=user)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]
