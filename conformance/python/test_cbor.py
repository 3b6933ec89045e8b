"""CBOR 1.1 by hand: what the Java SDKs send and expect."""

import time

import cbor2
import pytest

from endpoint import ACCOUNT
from eventstream import Subscription
from test_fanout import consumer, request
from tools import FIRST_SHARD, until
from wire import CBOR, KINESIS, post

fact = pytest.mark.fact


class Time(int):
    """Milliseconds under tag 1, as the service means it; the standard means seconds."""


DECODERS = {1: lambda value, *_: Time(value)}


def loads(raw):
    return cbor2.loads(raw, semantic_decoders=DECODERS)


def timestamp(ms):
    return cbor2.CBORTag(1, ms)


def call(server, operation, **members):
    answer = post(server, KINESIS + operation, cbor2.dumps(members), CBOR)
    assert answer.headers["content-type"] == CBOR
    return answer.status_code, loads(answer.content) if answer.content else None


@fact("creation-whole-seconds", "arrival-milliseconds")
def test_data_through_cbor(server, stream):
    name = stream(2)
    status, put = call(server, "PutRecord", StreamName=name, PartitionKey="ключ", ExplicitHashKey="0", Data=bytes(range(256)))
    assert status == 200 and set(put) == {"SequenceNumber", "ShardId"} and put["ShardId"] == FIRST_SHARD
    entries = [{"PartitionKey": "k", "ExplicitHashKey": "0", "Data": b""}, {"PartitionKey": "k", "ExplicitHashKey": "0", "Data": b"x"}]
    status, puts = call(server, "PutRecords", StreamName=name, Records=entries)
    assert status == 200 and puts["FailedRecordCount"] == 0 and len(puts["Records"]) == 2
    _, at = call(server, "GetShardIterator", StreamName=name, ShardId=FIRST_SHARD, ShardIteratorType="TRIM_HORIZON")
    status, page = call(server, "GetRecords", ShardIterator=at["ShardIterator"], Limit=10)
    assert status == 200 and [record["Data"] for record in page["Records"]] == [bytes(range(256)), b"", b"x"]
    assert page["MillisBehindLatest"] == 0 and page["Records"][0]["PartitionKey"] == "ключ"
    now = time.time() * 1000
    for record in page["Records"]:
        arrival = record["ApproximateArrivalTimestamp"]
        assert isinstance(arrival, Time) and abs(now - arrival) < 60_000
    _, summary = call(server, "DescribeStreamSummary", StreamName=name)
    created = summary["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    assert isinstance(created, Time) and created % 1000 == 0 and abs(now - created) < 600_000


def test_times_go_in_as_milliseconds(server, stream):
    name = stream(1)
    call(server, "PutRecord", StreamName=name, PartitionKey="k", Data=b"x")
    position = {"StreamName": name, "ShardId": FIRST_SHARD, "ShardIteratorType": "AT_TIMESTAMP"}
    hour = round(time.time() * 1000) - 3_600_000
    status, at = call(server, "GetShardIterator", Timestamp=timestamp(hour), **position)
    assert status == 200
    _, page = call(server, "GetRecords", ShardIterator=at["ShardIterator"])
    assert len(page["Records"]) == 1
    status, error = call(server, "GetShardIterator", Timestamp=timestamp(hour + 90_000_000), **position)
    assert status == 400 and f"timestampInMillis: {hour + 90_000_000}, " in error["message"]


def test_maps_and_lists_of_unknown_length(server, stream):
    """What Jackson writes: 0xbf … 0xff and 0x9f … 0xff, and text in pieces."""
    name = stream(1)
    text = lambda value: cbor2.dumps(value)
    entry = b"\xbf" + text("PartitionKey") + text("k") + text("Data") + text(b"x") + b"\xff"
    body = b"\xbf" + text("StreamName") + b"\x7f" + text(name[:3]) + text(name[3:]) + b"\xff"
    body += text("Records") + b"\x9f" + entry * 3 + b"\xff" + b"\xff"
    answer = post(server, KINESIS + "PutRecords", body, CBOR)
    assert answer.status_code == 200, answer.content
    assert loads(answer.content)["FailedRecordCount"] == 0 and len(loads(answer.content)["Records"]) == 3
    assert answer.content[:1] == b"\xbf", "the answer too"


REFUSALS = [
    ("DescribeStream", cbor2.dumps({"StreamName": "nothing"}), "ResourceNotFoundException",
     f"Stream nothing under account {ACCOUNT} not found."),
    ("PutRecord", cbor2.dumps({"StreamName": "x", "PartitionKey": "k"}), "ValidationException",
     "1 validation error detected: Value null at 'data' failed to satisfy constraint: Member must not be null"),
    ("ListStreams", cbor2.dumps({"Limit": "x"}), "SerializationException", None),
    ("ListStreams", cbor2.dumps([]), "SerializationException", None),
    ("ListStreams", b"\xbf", "SerializationException", None),
    ("ListStreams", b"\xff", "SerializationException", None),
    ("ListStreams", b"", "SerializationException", None),
    ("ListStreams", b"\x9b" + b"\xff" * 8, "SerializationException", None),
    ("ListStreams", b"\x81" * 100_000, "SerializationException", None),
    ("PutRecord", cbor2.dumps({"StreamName": "x"})[:-2], "SerializationException", None),
    ("NoSuchThing", cbor2.dumps({}), "UnknownOperationException", None),
]


@fact("bare-type")
@pytest.mark.parametrize("row", range(len(REFUSALS)))
def test_refusals(server, row):
    operation, body, code, text = REFUSALS[row]
    answer = post(server, KINESIS + operation, body, CBOR)
    assert answer.status_code == 400
    error = loads(answer.content)
    assert error["__type"] == code
    if text:
        assert error["message"] == text and set(error) == {"__type", "message"}


def test_null_and_unknown_members_are_ignored(server):
    status, _ = call(server, "ListStreams", Limit=None, Something={"else": [1, {"deep": b"x"}]})
    assert status == 200


@fact("fanout-content-type", "fanout-shard-end")
def test_events_in_cbor(server, send, stream):
    name = stream(1)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=b"\xff")
    subscription = Subscription(server, cbor2.dumps(request(consumer(send, name))), CBOR)
    event = until(subscription.events, "pushed", seconds=10)[0]
    subscription.close()
    assert subscription.response.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert all(dict(frame.headers)[":content-type"] == CBOR for frame in subscription.frames)
    first = subscription.frames[0]
    assert dict(first.headers)[":event-type"] == "initial-response" and loads(first.payload) == {}
    pushed = loads(event.payload)
    assert pushed["Records"][0]["Data"] == b"\xff" and isinstance(pushed["Records"][0]["ApproximateArrivalTimestamp"], Time)
    assert pushed["MillisBehindLatest"] == 0 and pushed["ContinuationSequenceNumber"]
