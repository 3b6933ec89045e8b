"""The port itself: the order of the first checks, headers, JSON forms, browsers, HTTP/2 with prior knowledge, health."""

import json
import re
import socket
import urllib.parse

import cbor2
import httpx
import pytest

from wire import CBOR, JSON, KINESIS, address, post

fact = pytest.mark.fact


@pytest.mark.ours("a page of Levada's")
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health(server, path):
    assert httpx.get(server.url + path).status_code == 200


@pytest.mark.ours("a page of Levada's")
def test_metrics(server, kinesis, stream):
    name = stream(1)
    kinesis.put_record(StreamName=name, PartitionKey="k", Data=b"x")
    answer = httpx.get(server.url + "/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if name in line and not line.startswith("#")]
    assert lines, "the stream has metrics"
    assert "# EOF" in answer.text


@pytest.mark.ours("cleartext")
def test_cleartext_http2_with_prior_knowledge(server, stream):
    name = stream(1)
    with httpx.Client(http1=False, http2=True) as client:
        call = lambda operation, body: post(server, KINESIS + operation, body, client=client)
        for _ in range(5):
            put = call("PutRecord", {"StreamName": name, "PartitionKey": "k", "Data": "eA=="})
            assert put.http_version == "HTTP/2" and put.status_code == 200
            assert put.json()["ShardId"] == "shardId-000000000000"
        refused = call("DescribeStream", {"StreamName": "nothing"})
        assert refused.status_code == 400 and refused.json()["__type"] == "ResourceNotFoundException"


LIST = KINESIS + "ListStreams"
PUT = KINESIS + "PutRecord"
SERIALIZATION = "SerializationException"
UNSIGNED = {"authorization": None, "x-amz-date": None}
# (target, body, headers beyond the usual, status, __type or None, a fragment of the body)
LADDER = [
    (LIST, b"", {}, 400, SERIALIZATION, ""),
    (LIST, b"{", {}, 400, SERIALIZATION, ""),
    (LIST, b"[]", {}, 400, SERIALIZATION, ""),
    (LIST, b"null", {}, 400, SERIALIZATION, ""),
    (LIST, b"{}{}", {}, 400, SERIALIZATION, ""),
    (LIST, b"[" * 100_000, {}, 400, SERIALIZATION, ""),
    (LIST, b'{"Limit":' + b"[" * 100_000, {}, 400, SERIALIZATION, ""),
    (LIST, b"\xff\xfe", {}, 400, SERIALIZATION, ""),
    (KINESIS + "NoSuchThing", b"{}", {}, 400, "UnknownOperationException", ""),
    (KINESIS + "NoSuchThing", b"", {}, 400, "UnknownOperationException", ""),
    ("Kinesis_20111202.ListStreams", b"{}", {}, 400, "UnknownOperationException", ""),
    (None, b"{}", {}, 400, "UnknownOperationException", ""),
    (None, b"{}", {"content-type": "text/plain"}, 403, None, "AccessDeniedException"),
    (LIST, b"{}", {"content-type": "text/plain"}, 404, None, "<UnknownOperationException/>"),
    (LIST, b"{}", UNSIGNED, 400, "MissingAuthenticationTokenException", "Missing Authentication Token"),
    (LIST, b'{"Limit":"x"}', UNSIGNED, 400, "MissingAuthenticationTokenException", ""),
    (LIST, b"{", UNSIGNED, 400, SERIALIZATION, ""),
    (LIST, b"{}", {"authorization": "AWS4-HMAC-SHA256 Credential=x"}, 400, "IncompleteSignatureException",
     "Authorization header requires 'Signature' parameter."),
    (LIST, b'{"Limit":"x"}', {}, 400, SERIALIZATION, "class java.lang.String can not be converted to an Integer"),
    (LIST, b'{"Limit":[1]}', {}, 400, SERIALIZATION, "Start of list found where not expected"),
    (LIST, b'{"Limit":{}}', {}, 400, SERIALIZATION, "Start of structure or map found where not expected."),
    (LIST, b'{"NextToken":5}', {}, 400, SERIALIZATION,
     "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to an String"),
    (LIST, b'{"Limit":0}', {}, 400, "ValidationException", "1 validation error detected: "),
    (LIST, b'{"Limit":"x","NextToken":""}', {}, 400, SERIALIZATION, "Integer"),
    (PUT, b'{"StreamName":"x","PartitionKey":"k","Data":"v"}', {}, 400, SERIALIZATION,
     "'v' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 1"),
    (KINESIS + "AddTagsToStream", b'{"StreamName":"x","Tags":["a"]}', {}, 400, SERIALIZATION,
     "Start of list found where not expected"),
    (KINESIS + "SplitShard", b'{"StreamName":7}', {}, 400, SERIALIZATION, "can not be converted to an String"),
    ("Firehose_20150804.DescribeDeliveryStream", b"{}", {}, 400, "ValidationException",
     "Value at 'deliveryStreamName' failed to satisfy constraint: Member must not be null"),
]


@fact("error-closes-connection", "bare-type", "message-member", "no-checksum-header", "request-ids")
@pytest.mark.parametrize("row", range(len(LADDER)))
def test_the_order_of_the_first_checks(server, row):
    target, body, headers, status, kind, fragment = LADDER[row]
    headers = dict(headers)
    answer = post(server, target, body, headers.pop("content-type", JSON), **headers)
    assert answer.status_code == status, answer.text
    assert fragment in answer.text
    if kind is None:
        return
    error = answer.json()
    assert error["__type"] == kind
    own = "Message" if kind in (SERIALIZATION, "AccessDeniedException") else "message"
    assert set(error) in ({"__type"}, {"__type", own})
    assert answer.headers["content-type"] == JSON
    assert answer.headers["connection"] == "close"
    assert "x-amz-crc32" not in answer.headers and "x-amzn-errortype" not in answer.headers
    check_ids(answer.headers)


def check_ids(headers):
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["x-amzn-requestid"])
    assert len(headers["x-amz-id-2"]) >= 72
    assert "date" in headers and "content-length" in headers


def test_plain_json_is_wrapped(server):
    answer = post(server, LIST, b"{", "application/json")
    assert answer.status_code == 400
    assert answer.json() == {"Output": {"__type": "com.amazon.coral.service#SerializationException"}, "Version": "1.0"}


@fact("void-is-empty", "request-ids", "no-checksum-header")
@pytest.mark.parametrize("content_type, encode", [(JSON, json.dumps), (CBOR, cbor2.dumps)])
def test_an_operation_without_a_result(server, stream, content_type, encode):
    body = encode({"StreamName": stream(1), "Tags": {"a": "b"}})
    answer = post(server, KINESIS + "AddTagsToStream", body if isinstance(body, bytes) else body.encode(), content_type)
    assert answer.status_code == 200 and answer.content == b"" and answer.headers["content-length"] == "0"
    assert answer.headers["content-type"] == content_type
    assert "x-amz-crc32" not in answer.headers
    check_ids(answer.headers)


@fact("members-sorted", "times-with-exponent", "creation-whole-seconds", "no-stream-id", "request-ids")
def test_the_form_of_an_answer(server, stream):
    name = stream(1)
    answer = post(server, KINESIS + "DescribeStreamSummary", {"StreamName": name})
    assert answer.headers["content-type"] == JSON and "connection" not in answer.headers
    check_ids(answer.headers)
    summary = answer.json()["StreamDescriptionSummary"]
    assert list(summary) == sorted(summary)
    number = re.search(r'"StreamCreationTimestamp":([^,}]+)', answer.text)[1]
    assert re.fullmatch(r"1\.\d{1,9}E9", number), number
    assert float(number) == int(float(number)), "whole seconds"
    assert "StreamId" not in answer.text


@fact("times-with-exponent", "arrival-milliseconds", "members-sorted")
def test_the_form_of_a_record(server, stream):
    name = stream(1)
    for n in range(5):
        post(server, PUT, {"StreamName": name, "PartitionKey": "k", "Data": "eA=="})
    at = {"StreamName": name, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    iterator = post(server, KINESIS + "GetShardIterator", at).json()["ShardIterator"]
    answer = post(server, KINESIS + "GetRecords", {"ShardIterator": iterator})
    for record in answer.json()["Records"]:
        assert list(record) == sorted(record)
    for number in re.findall(r'"ApproximateArrivalTimestamp":([^,}]+)', answer.text):
        assert re.fullmatch(r"1\.\d{1,12}E9", number), number


def test_content_type_parameters_are_ignored(server):
    answer = post(server, LIST, b"{}", JSON + "; charset=utf-8")
    assert answer.status_code == 200


def test_fractions_are_cut_off(server):
    assert post(server, LIST, b'{"Limit":1.9}').status_code == 200
    assert post(server, LIST, b'{"Limit":0.9}').json()["__type"] == "ValidationException"


def test_any_path_will_do(server):
    headers = {"x-amz-target": LIST}
    assert httpx.post(address(server) + "/some/path", content=b"{}", headers=headers | {"content-type": JSON}).json()["__type"] == (
        "MissingAuthenticationTokenException"
    )


def test_browsers(server):
    answer = httpx.options(
        address(server),
        headers={"origin": "http://a", "access-control-request-headers": "x-amz-target", "access-control-request-method": "POST"},
    )
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "x-amz-target"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-max-age"] == "172800"
    refused = httpx.get(address(server))
    assert refused.status_code == 403 and "<AccessDeniedException>" in refused.text
    assert "Unable to determine service/operation name to be authorized" in refused.text
    answer = post(server, LIST, b"{}", origin="http://a")
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "*"


def test_unknown_members_and_nulls_are_ignored(server, stream):
    name = stream(1)
    body = {"StreamName": name, "StreamId": None, "Something": {"else": [1, 2]}, "PartitionKey": "k", "Data": "eA=="}
    assert post(server, PUT, body).status_code == 200


@pytest.mark.ours("cleartext")
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
