"""The port itself: health, metrics, HTTP/2 with prior knowledge, and the order of the first checks."""

import json
import socket
import urllib.parse

import httpx
import pytest

JSON = "application/x-amz-json-1.1"
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=000000000000/20261120/us-east-1/kinesis/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)


def post(server, target, body, content_type=JSON, **headers):
    headers = {"x-amz-target": target, "content-type": content_type, "authorization": SIGNED, "x-amz-date": "20261120T000000Z"} | headers
    headers = {name: value for name, value in headers.items() if value is not None}
    return httpx.post(server.url, content=body, headers=headers)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health(server, path):
    assert httpx.get(server.url + path).status_code == 200


def test_metrics(server, kinesis, stream):
    name = stream(1)
    kinesis.put_record(StreamName=name, PartitionKey="k", Data=b"x")
    answer = httpx.get(server.url + "/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if name in line and not line.startswith("#")]
    assert lines, "the stream has metrics"
    assert "# EOF" in answer.text


def test_cleartext_http2_with_prior_knowledge(server, stream):
    name = stream(1)
    headers = {"content-type": JSON, "authorization": SIGNED, "x-amz-date": "20261120T000000Z"}
    with httpx.Client(http1=False, http2=True, headers=headers) as client:
        call = lambda operation, body: client.post(
            server.url, headers={"x-amz-target": f"Kinesis_20131202.{operation}"}, content=json.dumps(body)
        )
        for n in range(5):
            put = call("PutRecord", {"StreamName": name, "PartitionKey": "k", "Data": "eA=="})
            assert put.http_version == "HTTP/2" and put.status_code == 200
            assert put.json()["ShardId"] == "shardId-000000000000"
        refused = call("DescribeStream", {"StreamName": "nothing"})
        assert refused.status_code == 400 and refused.json()["__type"] == "ResourceNotFoundException"


# (target, body, headers beyond the usual, status, __type or None, a fragment of the body)
LADDER = [
    ("Kinesis_20131202.ListStreams", b"", {}, 400, "SerializationException", ""),
    ("Kinesis_20131202.ListStreams", b"{", {}, 400, "SerializationException", ""),
    ("Kinesis_20131202.ListStreams", b"[]", {}, 400, "SerializationException", ""),
    ("Kinesis_20131202.NoSuchThing", b"{}", {}, 400, "UnknownOperationException", ""),
    (None, b"{}", {}, 400, "UnknownOperationException", ""),
    (None, b"{}", {"content-type": "text/plain"}, 403, None, "AccessDeniedException"),
    ("Kinesis_20131202.ListStreams", b"{}", {"content-type": "text/plain"}, 404, None, "<UnknownOperationException/>"),
    ("Kinesis_20131202.ListStreams", b"{}", {"authorization": None, "x-amz-date": None}, 400, "MissingAuthenticationTokenException",
     "Missing Authentication Token"),
    ("Kinesis_20131202.ListStreams", b'{"Limit":"x"}', {}, 400, "SerializationException",
     "class java.lang.String can not be converted to an Integer"),
    ("Kinesis_20131202.ListStreams", b'{"Limit":0}', {}, 400, "ValidationException", "1 validation error detected: "),
    ("Kinesis_20131202.PutRecord", b'{"StreamName":"x","PartitionKey":"k","Data":"v"}', {}, 400, "SerializationException",
     "Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
    ("Firehose_20150804.DescribeDeliveryStream", b"{}", {}, 400, "ValidationException",
     "Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null"),
]


@pytest.mark.parametrize("row", range(len(LADDER)))
def test_the_order_of_the_first_checks(server, row):
    target, body, headers, status, kind, fragment = LADDER[row]
    answer = post(server, target, body, **{"content_type": headers.pop("content-type", JSON), **headers})
    assert answer.status_code == status, answer.text
    assert fragment in answer.text
    if kind:
        assert answer.json()["__type"] == kind
        assert answer.headers["content-type"] == JSON
        assert answer.headers["connection"] == "close"


def test_browsers(server):
    answer = httpx.options(
        server.url,
        headers={"origin": "http://a", "access-control-request-headers": "x-amz-target", "access-control-request-method": "POST"},
    )
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "x-amz-target"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-max-age"] == "172800"
    assert httpx.get(server.url).status_code == 403


def test_unknown_members_and_nulls_are_ignored(server, stream):
    name = stream(1)
    body = {"StreamName": name, "StreamId": None, "Something": {"else": [1, 2]}, "PartitionKey": "k", "Data": "eA=="}
    assert post(server, "Kinesis_20131202.PutRecord", json.dumps(body)).status_code == 200


def test_garbage_ends_only_its_own_connection(server):
    address = urllib.parse.urlsplit(server.url)
    for garbage in (b"\0" * 100, b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64):
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(garbage)
            try:
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except TimeoutError:
                raise
            except OSError:
                pass  # reset: the server has ended this connection already
    assert httpx.get(server.url + "/livez").status_code == 200
