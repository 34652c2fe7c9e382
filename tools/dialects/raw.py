"""What no client sends: requests by hand, and the server's own manners."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from served import Served, Server

FORM = "application/x-www-form-urlencoded; charset=utf-8"


class Raw(Served):
    def send(self, body=b"", method="POST", path="/", headers=None, sign="iam", region="us-east-1", key=None):
        """One request, signed with the root's key; status, headers and text of the reply."""
        request = AWSRequest(method, self.server.endpoint + path, data=body, headers={"Content-Type": FORM, **(headers or {})})
        if sign:
            SigV4Auth(Credentials(*(key or self.server.root)), sign, region).add_auth(request)
        place = urlsplit(self.server.endpoint)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        connection.request(method, path, body, dict(request.headers.items()))
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, reply.headers, text

    def code(self, **request):
        status, headers, text = self.send(**request)
        self.assertIn("x-amzn-requestid", headers)
        self.assertIn(f"<RequestId>{headers['x-amzn-requestid']}</RequestId>", text)
        return status, text.split("<Code>")[1].split("</Code>")[0] if "<Code>" in text else None

    def test_get_with_a_query_and_post_with_a_form_are_equal(self):
        status, _, posted = self.send(b"Action=ListUsers&Version=2010-05-08")
        self.assertEqual(status, 200)
        status, _, got = self.send(method="GET", path="/?Action=ListUsers&Version=2010-05-08")
        self.assertEqual(status, 200)
        cut = lambda text: text.split("<ResponseMetadata>")[0]
        self.assertEqual(cut(posted), cut(got))

    def test_bad_requests_are_the_client_s_fault_and_change_nothing(self):
        good = b"Action=ListUsers&Version=2010-05-08"
        for expected, request in [
            ((403, "MissingAuthenticationToken"), {"body": good, "sign": None}),
            ((400, "IncompleteSignature"), {"body": good, "sign": None, "headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=a"}}),
            ((403, "SignatureDoesNotMatch"), {"body": good, "sign": "s3"}),
            ((403, "SignatureDoesNotMatch"), {"body": good, "region": "eu-central-1"}),
            ((403, "SignatureDoesNotMatch"), {"body": good, "key": (self.server.root[0], "x" * 40)}),
            ((403, "InvalidClientTokenId"), {"body": good, "key": ("AKIA0000000000000000", "x" * 40)}),
            ((400, "InvalidAction"), {"body": b"Action=CreateRole&Version=2010-05-08"}),
            ((400, "InvalidAction"), {"body": b"Action=ListUsers&Version=1999-01-01"}),
            ((400, "InvalidAction"), {"body": b"Action=%3Cscript%3E&Version=2010-05-08"}),
            ((400, "MissingAction"), {"body": b""}),
            ((400, "MissingAction"), {"body": good, "headers": {"Content-Type": "application/json"}}),
            ((400, "MalformedInput"), {"body": good + b"&Action=ListUsers"}),
            ((400, "MalformedInput"), {"body": good + b"&PathPrefix=%ff"}),
            ((400, "MalformedInput"), {"body": b"\xff\xfe"}),
            ((400, "ValidationError"), {"body": b"Action=CreateUser&Version=2010-05-08"}),
            ((400, "ValidationError"), {"body": b"Action=CreateUser&Version=2010-05-08&UserName=" + b"a" * 100_000}),
            ((400, "ValidationError"), {"body": good + b"&MaxItems=0"}),
            ((400, "ValidationError"), {"body": good + b"&Marker=%00"}),
            ((413, "RequestEntityTooLarge"), {"body": good + b"&x=" + b"a" * (1 << 20)}),
            ((405, "MethodNotAllowed"), {"method": "PUT", "body": good}),
        ]:
            with self.subTest(expected=expected, request=str(request)[:120]):
                self.assertEqual(self.code(**request), expected)

    def test_a_stale_request_and_a_changed_body_are_refused(self):
        request = AWSRequest("POST", self.server.endpoint + "/", data=b"Action=ListUsers", headers={"Content-Type": FORM})
        SigV4Auth(Credentials(*self.server.root), "iam", "us-east-1").add_auth(request)
        place = urlsplit(self.server.endpoint)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        connection.request("POST", "/", b"Action=ListGroup", dict(request.headers.items()))
        self.assertEqual(connection.getresponse().status, 403)

    def test_dialects_that_are_not_there_say_so_in_their_own_shape(self):
        status, _, text = self.send(path="/nothing", sign=None)
        self.assertEqual((status, text), (404, "not found\n"))
        status, _, text = self.send(sign="lightsail", headers={"X-Amz-Target": "Lightsail_20161128.Nothing", "Content-Type": "application/x-amz-json-1.1"})
        self.assertEqual((status, json.loads(text)["__type"]), (400, "UnknownOperationException"))
        for target in ("DynamoDB_20120810.GetItem", "GetBuckets", ".", ""):
            status, headers, text = self.send(b"{}", sign=None, headers={"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"})
            self.assertEqual((status, headers["content-type"]), (400, "application/x-amz-json-1.1"))
            self.assertEqual(json.loads(text)["__type"], "UnknownOperationException", target)
            self.assertNotIn("lightsail", text.lower(), "no service pretends to be the one that was meant")
        deep = b"[" * 100_000
        status, _, text = self.send(deep, sign="lightsail", headers={"X-Amz-Target": "Lightsail_20161128.GetBuckets", "Content-Type": "application/x-amz-json-1.1"})
        self.assertEqual((status, json.loads(text)["__type"]), (400, "SerializationException"))

    def test_health_and_metrics_name_nobody(self):
        self.iam.create_user(UserName="Hidden-Name")
        get = lambda url: urllib.request.urlopen(url, timeout=10).read().decode()
        self.assertEqual(get(self.server.endpoint + "/healthz"), "ok\n")
        self.assertEqual(get(self.server.endpoint + "/readyz"), "ok\n")
        metrics = get(self.server.metrics)
        self.assertIn('keyledger_answers_total{dialect="aws-iam",status="2xx"}', metrics)
        for name in ("Hidden-Name", self.server.root[0], "123456789012"):
            self.assertNotIn(name, metrics)

    def test_a_request_s_id_is_in_its_event(self):
        made = self.iam.create_user(UserName="traced")["ResponseMetadata"]
        events = self.server.command("audit", "log", "--since", "1h")
        self.assertTrue(any(made["RequestId"] in json.dumps(event) for event in events))

    def test_a_head_that_never_ends_and_garbage_leave_others_be(self):
        place = urlsplit(self.server.endpoint)
        idle = [socket.create_connection((place.hostname, place.port)) for _ in range(50)]
        for number, client in enumerate(idle):
            client.sendall([b"POST / HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01\x00\x00", b"\x00" * 100][number % 3])
        self.assertEqual(self.send(b"Action=ListUsers")[0], 200)
        for client in idle:
            client.close()


class Start(unittest.TestCase):
    def test_a_key_of_the_environment_is_the_root_s_and_another_is_ignored_later(self):
        server = Server()
        server.stop()
        ids = {"KEYLEDGER_ROOT_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "KEYLEDGER_ROOT_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
        server.start(ids)
        self.assertIn("is ignored", server.log())
        server.stop()
        server.ledger += "-2"
        server.start(ids)
        self.assertIsNone(server.root[1])
        client = server.client(key=tuple(ids.values()))
        self.assertEqual(client.get_user()["User"]["Arn"], "arn:aws:iam::123456789012:root")
        server.stop()
        server.start(ids)
        self.assertEqual(server.log().count("is ignored"), 1, "the same key again is no other")
        self.assertEqual(server.stop(), 0)
        shutil.rmtree(server.folder)

    def test_no_secret_stays_in_the_environment(self):
        secret = "ThisSecretComesByTheEnvironment000000000"
        server = Server()
        server.stop()
        server.ledger += "-2"
        server.start({"KEYLEDGER_ROOT_ACCESS_KEY_ID": "NQAKBROUGHTBROUGHT01", "KEYLEDGER_ROOT_SECRET_ACCESS_KEY": secret})
        try:
            server.client(key=("NQAKBROUGHTBROUGHT01", secret)).list_users()
            with open(f"/proc/{server.process.pid}/environ", "rb") as environment:
                self.assertNotIn(secret.encode(), environment.read())
            for descriptor in os.listdir(f"/proc/{server.process.pid}/fd"):
                path = f"/proc/{server.process.pid}/fd/{descriptor}"
                if "memfd" in os.readlink(path):
                    with open(path, "rb") as kept:
                        self.assertEqual(set(kept.read()), {0}, "what was inherited is wiped")
        finally:
            self.assertEqual(server.stop(), 0)
            shutil.rmtree(server.folder)

    def test_tls_is_served_from_files(self):
        folder = tempfile.mkdtemp(prefix="keyledger-tls-")
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        server = Server(options=("--tls-cert", cert, "--tls-key", key))
        self.assertTrue(server.endpoint.startswith("https://"))
        self.assertEqual(server.client(verify=cert).get_user()["User"]["UserId"], "123456789012")
        self.assertEqual(server.stop(), 0)
        shutil.rmtree(folder)
        shutil.rmtree(server.folder)

    def test_what_was_accepted_is_finished_when_the_server_is_told_to_stop(self):
        server = Server()
        client, made, lost = server.client(), [], []
        def make(number):
            for n in range(10_000):
                try:
                    client.create_user(UserName=f"u{number}-{n}")
                    made.append(f"u{number}-{n}")
                except Exception as error:  # noqa: BLE001: whatever the end of a connection looks like
                    lost.append(error)
                    return
        threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(60), 0)
        for thread in threads:
            thread.join()
        names = {user["user_name"] for user in server.command("user", "list")}
        self.assertGreater(len(made), 50)
        self.assertEqual(set(made) - names, set(), "every acknowledged user is there")
        shutil.rmtree(server.folder)


if __name__ == "__main__":
    unittest.main()
