"""Signs what schemathesis sends, by botocore, with the key in the environment: the body and the URL as they go out."""

import os

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
# What a proxy or a client may add on the way is not signed.
SIGNED = ("host", "content-type", "idempotency-key", "if-match", "last-event-id")


class Sign(requests.auth.AuthBase):
    def __call__(self, request):
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        headers = {name: value for name, value in request.headers.items() if name.lower() in SIGNED}
        signed = AWSRequest(request.method, request.url, data=body, headers=headers)
        SigV4Auth(KEY, "keyledger", "us-east-1").add_auth(signed)
        for name in ("Authorization", "X-Amz-Date"):
            request.headers[name] = signed.headers[name]
        return request


schemathesis.auth.set_from_requests(Sign())
