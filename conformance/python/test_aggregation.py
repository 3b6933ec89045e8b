"""Aggregated records, as the Kinesis Producer Library makes them: untouched, and read by AWS's own library."""

import base64
import hashlib

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import deaggregate_records

from test_fanout import consumer, records_of, request, subscribe
from tools import FIRST_SHARD, read_shard

MAGIC = b"\xf3\x89\x9a\xc2"


def aggregate(parts):
    """The bytes of one aggregated record, of (partition key, explicit hash key or None, data)."""
    aggregator = RecordAggregator()
    for key, hash_key, data in parts:
        assert aggregator.add_user_record(key, data, hash_key) is None, "fits into one"
    _, _, raw = aggregator.clear_and_get().get_contents()
    return bytes(raw)


def deaggregate(record):
    """(key, explicit hash key, data, subsequence number) of each record within."""
    arrival = record.get("ApproximateArrivalTimestamp")  # the oldest SDKs do not have it
    event = {"kinesis": {
        "kinesisSchemaVersion": "1.0", "sequenceNumber": record["SequenceNumber"], "partitionKey": record["PartitionKey"],
        "approximateArrivalTimestamp": arrival.timestamp() if arrival else 0,
        "data": base64.b64encode(record["Data"]),
    }}
    for one in deaggregate_records(event):
        inner = one["kinesis"]
        yield inner["partitionKey"], inner.get("explicitHashKey"), base64.b64decode(inner["data"]), inner.get("subSequenceNumber")


@pytest.mark.since_2015
def test_aggregated_records_pass_untouched(client, stream):
    name = stream(2)
    parts = [(f"key-{n}", str(n), f"üñí {n}".encode()) for n in range(100)]
    raw = aggregate(parts)
    assert raw[:4] == MAGIC and hashlib.md5(raw[4:-16]).digest() == raw[-16:]
    put = client("PutRecord", StreamName=name, PartitionKey="a", ExplicitHashKey="0", Data=raw)
    assert put["ShardId"] == FIRST_SHARD, "by the outer key"
    entries = [{"PartitionKey": "a", "ExplicitHashKey": "1", "Data": raw}, {"PartitionKey": "plain", "ExplicitHashKey": "2", "Data": b"plain"}]
    assert client("PutRecords", StreamName=name, Records=entries)["FailedRecordCount"] == 0
    records = read_shard(client, name)
    assert [record["Data"] for record in records] == [raw, raw, b"plain"]
    for record in records[:2]:
        found = list(deaggregate(record))
        assert found == [(*part, n) for n, part in enumerate(parts)]
    assert [part[2] for part in deaggregate(records[2])] == [b"plain"]


@pytest.mark.since_2015
def test_what_only_looks_aggregated_passes_untouched(client, stream):
    name = stream(1)
    raw = aggregate([("k", None, b"one"), ("k", None, b"two")])
    odd = [MAGIC, MAGIC + b"x" * 20, raw[:-1] + bytes([raw[-1] ^ 1]), raw[:-17] + raw[-16:]]
    for data in odd:
        client("PutRecord", StreamName=name, PartitionKey="k", Data=data)
    assert [record["Data"] for record in read_shard(client, name)] == odd


def test_aggregated_records_are_pushed_untouched(client, send, stream):
    name = stream(1)
    raw = aggregate([("k", None, b"one"), ("k", None, b"two")])
    send("PutRecord", StreamName=name, PartitionKey="a", Data=raw)
    out = subscribe(client, 1, 10, request(consumer(send, name)))
    if out is not None:
        assert [record["Data"] for record in records_of(out["events"])] == [raw]
