"""Requests by hand: signed, and otherwise as the test wants them."""

import json

import httpx
import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from endpoint import ACCOUNT, AWS, REGION

JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
KINESIS = "Kinesis_20131202."
CREDENTIALS = boto3.Session().get_credentials() if AWS else Credentials(ACCOUNT, "secret")


def address(server):
    return f"https://kinesis.{REGION}.amazonaws.com" if AWS else server.url


def signed(server, target, body, content_type=JSON):
    """The headers of a request that AWS would accept; None leaves one out."""
    headers = {"X-Amz-Target": target, "Content-Type": content_type}
    request = AWSRequest("POST", address(server) + "/", data=body, headers={k: v for k, v in headers.items() if v is not None})
    service = "firehose" if target and target.startswith("Firehose") else "kinesis"
    SigV4Auth(CREDENTIALS, service, REGION).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def post(server, target, body, content_type=JSON, client=httpx, **headers):
    """Sends `body` (bytes, or something for JSON); `headers` are added, or taken away if they are None."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = signed(server, target, body, content_type) | {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in sent.items() if value is not None}
    return client.post(address(server), content=body, headers=sent, timeout=60)
