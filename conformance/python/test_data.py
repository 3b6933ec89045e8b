"""PutRecord, PutRecords, GetRecords: where records go, what comes back, sizes, sequence numbers."""

import datetime
import hashlib
import re

import pytest

from clients import ServiceError
from endpoint import ACCOUNT
from tools import FIRST_SHARD, MAX_HASH, iterator, read_shard, refused, shards_of, until

fact = pytest.mark.fact
ENTRY = {"PartitionKey": "k", "Data": b"x"}
MEBIBYTE = 1024 * 1024


def shard_of(hash_value, shards):
    step = 2**128 // shards
    return f"shardId-{min(hash_value // step, shards - 1):012}"


@pytest.mark.since_2015
def test_records_go_where_their_hash_says(client, stream):
    name = stream(4)
    for key in ["a", "ünïcödé", "日本", "🦊", "x" * 256, " ", "key-5", "0"]:
        expected = shard_of(int.from_bytes(hashlib.md5(key.encode()).digest(), "big"), 4)
        assert client("PutRecord", StreamName=name, PartitionKey=key, Data=b"x")["ShardId"] == expected, key
    step = 2**128 // 4
    borders = [0, 1, step - 1, step, step + 1, 2 * step - 1, 2 * step, 3 * step - 1, 3 * step, MAX_HASH - 1, MAX_HASH]
    entries = [{"PartitionKey": "a", "ExplicitHashKey": str(value), "Data": b"x"} for value in borders]
    answers = client("PutRecords", StreamName=name, Records=entries)["Records"]
    assert [answer["ShardId"] for answer in answers] == [shard_of(value, 4) for value in borders]
    text = f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {2**128}"
    refused(client, "PutRecord", "InvalidArgumentException", text, StreamName=name, ExplicitHashKey=str(2**128), **ENTRY)


def test_put_records_answers_in_request_order(send, stream):
    name = stream(3)
    for count in (1, 2, 499, 500):
        entries = [{"PartitionKey": f"{n}", "Data": f"{count}/{n}".encode()} for n in range(count)]
        answer = send("PutRecords", StreamName=name, Records=entries)
        assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == count
        at = {}
        for shard in {one["ShardId"] for one in answer["Records"]}:
            at.update({(shard, one["SequenceNumber"]): one["Data"] for one in read_shard(send, name, shard)})
        for n, one in enumerate(answer["Records"]):
            assert set(one) == {"SequenceNumber", "ShardId"}
            assert at[one["ShardId"], one["SequenceNumber"]] == f"{count}/{n}".encode()


@fact("arrival-milliseconds")
def test_records_come_back_as_they_were(client, stream):
    name = stream(1)
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=60)
    datas = [b"", b"\0", bytes(range(256)), "üñí\n".encode(), b"x" * 100_000]
    numbers = [client("PutRecord", StreamName=name, PartitionKey="ключ", Data=data)["SequenceNumber"] for data in datas]
    records = read_shard(client, name)
    assert [record["Data"] for record in records] == datas
    assert [record["SequenceNumber"] for record in records] == numbers
    assert {record["PartitionKey"] for record in records} == {"ключ"}
    arrivals = [record["ApproximateArrivalTimestamp"] for record in records]
    assert arrivals == sorted(arrivals) and before <= arrivals[0]
    assert all(arrival.microsecond % 1000 == 0 for arrival in arrivals)


@fact("plain-records-without-encryption-type")
def test_plain_records_have_no_encryption_type(send, stream):
    name = stream(1)
    assert set(send("PutRecord", StreamName=name, **ENTRY)) == {"ShardId", "SequenceNumber"}
    assert set(send("PutRecords", StreamName=name, Records=[ENTRY])) == {"FailedRecordCount", "Records"}
    for record in read_shard(send, name):
        assert set(record) == {"Data", "PartitionKey", "SequenceNumber", "ApproximateArrivalTimestamp"}


def test_the_largest_record_counts_its_key(send, stream):
    name = stream(1)
    largest = b"x" * (MEBIBYTE - 3)
    send("PutRecord", StreamName=name, PartitionKey="key", Data=largest)
    refused(send, "PutRecord", "ValidationException", StreamName=name, PartitionKey="key", Data=largest + b"x")
    assert [len(record["Data"]) for record in read_shard(send, name)] == [len(largest)]


@pytest.mark.ours("puts more at once than one shard takes in a second")
@fact("large-records-burst", "page-of-ten-mebibytes")
def test_records_of_ten_mebibytes(send, stream):
    name = stream(1, MaxRecordSizeInKiB=10240)
    data = bytes(range(256)) * (10 * MEBIBYTE // 256 - 1)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=data)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=b"small")
    page = send("GetRecords", ShardIterator=iterator(send, name))
    assert page["Records"][0]["Data"] == data
    following = page["Records"][1:] or until(lambda: send("GetRecords", ShardIterator=page["NextShardIterator"])["Records"], "next")
    assert [record["Data"] for record in following] == [b"small"]
    refused(send, "PutRecord", "ValidationException", StreamName=name, PartitionKey="k", Data=data + b"x" * 1024)


def test_one_bad_entry_refuses_the_whole_call(send, stream):
    name = stream(1)
    with pytest.raises(ServiceError) as caught:
        send("PutRecords", StreamName=name, Records=[ENTRY, {"PartitionKey": "k", "Data": b"x" * MEBIBYTE}])
    assert caught.value.code in ("ValidationException", "InvalidArgumentException")
    beyond = ENTRY | {"ExplicitHashKey": str(2**128)}
    refused(send, "PutRecords", "InvalidArgumentException", StreamName=name, Records=[ENTRY, beyond])
    assert read_shard(send, name) == []


def test_more_than_ten_mebibytes_in_one_call(send, stream):
    name = stream(1)
    entries = [{"PartitionKey": "k", "Data": b"x" * (MEBIBYTE - 1)}] * 10
    refused(send, "PutRecords", "InvalidArgumentException", StreamName=name, Records=entries + [ENTRY])
    assert read_shard(send, name) == []


def parts(number):
    """A sequence number's fields, from its 47 hexadecimal digits."""
    digits = f"{int(number):x}"
    assert re.fullmatch(r"\d{56}", number) and len(digits) == 47
    assert digits[0] == "2" and digits[46] == "2"
    return {
        "created": int(digits[1:10], 16), "nibble": int(digits[10], 16), "number": int(digits[11:27], 16),
        "flag": digits[27:29], "written": int(digits[29:38], 16), "shard": int(digits[38:46], 16),
    }


@fact("sequence-layout", "sequence-of-shard-start", "sequence-in-batch", "sequence-rises-while-idle", "shards-older-than-stream")
def test_sequence_numbers(send, stream):
    name = stream(2)
    created = send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamCreationTimestamp"].timestamp()
    starts = {id: parts(shard["SequenceNumberRange"]["StartingSequenceNumber"]) for id, shard in shards_of(send, name).items()}
    for index, start in enumerate(starts.values()):
        assert start["number"] == 0 and start["shard"] == index and start["nibble"] == index % 16
        assert start["written"] == start["created"] and created - 5 <= start["created"] <= created
    last = {}
    for _ in range(2):
        batch = send("PutRecords", StreamName=name, Records=[{"PartitionKey": f"{n}", "Data": b"x"} for n in range(50)])
        seen = {}
        for one in batch["Records"]:
            number, shard = one["SequenceNumber"], one["ShardId"]
            fields = parts(number)
            assert fields["shard"] == int(shard[-12:]) and fields["flag"] == "00"
            assert fields["created"] == starts[shard]["created"] <= fields["written"]
            assert int(number) > last.get(shard, 0)
            if shard in seen:
                assert fields["number"] == seen[shard] + 1, "one by one in a batch"
            last[shard], seen[shard] = int(number), fields["number"]


def test_a_stream_created_again_never_repeats_a_sequence_number(send, stream):
    name = stream(1)
    before = send("PutRecord", StreamName=name, **ENTRY)["SequenceNumber"]
    send("DeleteStream", StreamName=name)
    until(lambda: name not in send("ListStreams", ExclusiveStartStreamName=name[:-1])["StreamNames"], "deleted")
    stream(1)
    after = send("PutRecord", StreamName=name, **ENTRY)["SequenceNumber"]
    assert int(after) > int(before)
    assert [record["SequenceNumber"] for record in read_shard(send, name)] == [after], "the old records are gone"


@pytest.mark.since_2015
def test_sequence_number_for_ordering(client, stream):
    name = stream(1)
    first = client("PutRecord", StreamName=name, SequenceNumberForOrdering="0", **ENTRY)["SequenceNumber"]
    second = client("PutRecord", StreamName=name, SequenceNumberForOrdering=first, **ENTRY)["SequenceNumber"]
    assert int(second) > int(first)
    future = str(int(second) + (86400 << 36))  # written a day from now
    text = f"ExclusiveMinimumSequenceNumber {future} used in PutRecord on stream {name} under account {ACCOUNT} is invalid."
    refused(client, "PutRecord", "InvalidArgumentException", text, StreamName=name, SequenceNumberForOrdering=future, **ENTRY)


DRY_RUN = "DryRunOperation validation succeeded while calling {} operation.: Request would have succeeded, but DryRun flag is set."


@fact("dry-run")
def test_dry_run(send, stream):
    name = stream(1)
    position = {"StreamName": name, "ShardId": FIRST_SHARD, "ShardIteratorType": "TRIM_HORIZON"}
    calls = [
        ("PutRecord", {"StreamName": name, **ENTRY}),
        ("PutRecords", {"StreamName": name, "Records": [ENTRY]}),
        ("GetShardIterator", position),
        ("GetRecords", {"ShardIterator": iterator(send, name)}),
    ]
    for operation, members in calls:
        text = DRY_RUN.format(operation)
        refused(send, operation, "DryRunOperationException", text, DryRun=True, **members)
    missing = f"Stream nothing under account {ACCOUNT} not found."
    refused(send, "PutRecord", "ResourceNotFoundException", missing, DryRun=True, StreamName="nothing", **ENTRY)
    assert read_shard(send, name) == [], "nothing was put"


@fact("behind-in-whole-seconds")
@pytest.mark.ours("moves the clock")
def test_millis_behind_latest(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    name = stream(1, send=send)
    send("PutRecords", StreamName=name, Records=[ENTRY] * 3)
    server.advance(100)
    send("PutRecord", StreamName=name, **ENTRY)
    page = send("GetRecords", ShardIterator=iterator(send, name), Limit=1)
    assert page["MillisBehindLatest"] % 1000 == 0 and 99_000 <= page["MillisBehindLatest"] <= 130_000
    page = send("GetRecords", ShardIterator=iterator(send, name))
    assert len(page["Records"]) == 4 and page["MillisBehindLatest"] == 0
