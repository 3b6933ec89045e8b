"""GetShardIterator and what its iterators do."""

import base64
import datetime
import re

import pytest

from endpoint import ACCOUNT
from tools import FIRST_SHARD, MAX_HASH, iterator, read_shard, refused, shards_of

fact = pytest.mark.fact
INVALID = "InvalidArgumentException"
ENTRY = {"PartitionKey": "k", "Data": b"x"}


def text_of(records):
    return b"".join(record["Data"] for record in records)


def put_digits(call, name, count):
    return [call("PutRecord", StreamName=name, PartitionKey="k", Data=b"%d" % n)["SequenceNumber"] for n in range(count)]


def test_positions(client, stream):
    name = stream(1)
    numbers = put_digits(client, name, 5)
    start = shards_of(client, name)[FIRST_SHARD]["SequenceNumberRange"]["StartingSequenceNumber"]
    page = lambda kind, **position: client("GetRecords", ShardIterator=iterator(client, name, FIRST_SHARD, kind, **position))["Records"]
    arrivals = [record["ApproximateArrivalTimestamp"] for record in page("TRIM_HORIZON")]
    assert text_of(page("AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2])) == b"234"
    assert text_of(page("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2])) == b"34"
    assert text_of(page("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[4])) == b""
    assert text_of(page("AT_SEQUENCE_NUMBER", StartingSequenceNumber=start)) == b"01234"
    assert text_of(page("AT_TIMESTAMP", Timestamp=arrivals[0])) == b"01234"
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    assert text_of(page("AT_TIMESTAMP", Timestamp=old)) == b"01234"
    at_last = text_of(page("AT_TIMESTAMP", Timestamp=arrivals[4]))
    assert at_last.endswith(b"4") and b"01234".endswith(at_last), "inclusive"


@pytest.mark.since_2015
def test_latest_is_pinned_and_iterators_are_reusable(client, stream):
    name = stream(1)
    put_digits(client, name, 3)
    latest = iterator(client, name, FIRST_SHARD, "LATEST")
    client("PutRecord", StreamName=name, PartitionKey="k", Data=b"new")
    first, again = client("GetRecords", ShardIterator=latest), client("GetRecords", ShardIterator=latest)
    assert text_of(first["Records"]) == text_of(again["Records"]) == b"new"
    assert client("GetRecords", ShardIterator=first["NextShardIterator"])["Records"] == []


@pytest.mark.since_2015
def test_limits_make_pages(client, stream):
    name = stream(1)
    put_digits(client, name, 5)
    at, pages = iterator(client, name), []
    for _ in range(4):
        page = client("GetRecords", ShardIterator=at, Limit=2)
        pages.append(text_of(page["Records"]))
        at = page["NextShardIterator"]
    assert pages == [b"01", b"23", b"4", b""]


@fact("iterator-form")
def test_the_form_of_an_iterator(send, stream):
    name = stream(1)
    for kind in ("TRIM_HORIZON", "LATEST"):
        found = iterator(send, name, FIRST_SHARD, kind)
        assert len(found) >= 288 and found.startswith("AAAAAAAAAA")
        base64.b64decode(found, validate=True)
        following = send("GetRecords", ShardIterator=found)["NextShardIterator"]
        assert len(following) >= 288 and following.startswith("AAAAAAAAAA") and following != found


def test_shard_ids_are_normalised(send, stream):
    name = stream(2)
    send("PutRecord", StreamName=name, PartitionKey="k", ExplicitHashKey=str(MAX_HASH), Data=b"x")
    assert text_of(read_shard(send, name, "foo-1")) == b"x"
    text = f"Shard shardId-000000000007 in stream {name} under account {ACCOUNT} does not exist"
    refused(send, "GetShardIterator", "ResourceNotFoundException", text,
            StreamName=name, ShardId="x-7", ShardIteratorType="LATEST")


MUST = (
    "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or "
    "LATEST and no StartingSequenceNumber. Request specified {} and {} StartingSequenceNumber."
)
# Iterator type, members (OWN, OTHER: a number of this shard, of the stream's other shard), text.
REFUSALS = [
    ("AT_SEQUENCE_NUMBER", {}, MUST.format("AT_SEQUENCE_NUMBER", "no")),
    ("AFTER_SEQUENCE_NUMBER", {}, MUST.format("AFTER_SEQUENCE_NUMBER", "no")),
    ("LATEST", {"StartingSequenceNumber": "OWN"}, MUST.format("LATEST", "also a")),
    ("TRIM_HORIZON", {"StartingSequenceNumber": "OWN"}, MUST.format("TRIM_HORIZON", "also a")),
    ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": "OTHER"},
     "Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with " + FIRST_SHARD),
    ("AT_TIMESTAMP", {}, "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no "
     "timestamp parameter."),
]


@pytest.mark.parametrize("row", range(len(REFUSALS)))
def test_positions_are_refused(client, stream, row):
    kind, members, text = REFUSALS[row]
    name = stream(2)
    number = lambda hash: client("PutRecord", StreamName=name, ExplicitHashKey=str(hash), **ENTRY)["SequenceNumber"]
    known = {"OWN": number(0), "OTHER": number(MAX_HASH)}
    members = {member: known[value] for member, value in members.items()}
    refused(client, "GetShardIterator", INVALID, text, StreamName=name, ShardId=FIRST_SHARD, ShardIteratorType=kind, **members)


def test_a_time_in_the_future_is_refused(client, stream):
    future = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)
    error = refused(client, "GetShardIterator", INVALID, StreamName=stream(1), ShardId=FIRST_SHARD,
                    ShardIteratorType="AT_TIMESTAMP", Timestamp=future)
    milliseconds = round(future.timestamp() * 1000)
    assert re.fullmatch(
        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
        rf"timestampInMillis: {milliseconds}, currentTimestampInMillis: \d{{13}}", error.message,
    ), error


def test_numbers_of_another_stream_are_refused(send, stream):
    name, other = stream(1), stream(1, suffix="-other")
    number = str(int(send("PutRecord", StreamName=other, **ENTRY)["SequenceNumber"]) + (1 << 150))
    error = refused(send, "GetShardIterator", INVALID, StreamName=name, ShardId=FIRST_SHARD,
                    ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    assert number in error.message and f"on shard {FIRST_SHARD} in stream {name} under account {ACCOUNT}" in error.message


@pytest.mark.since_2015
def test_a_missing_stream_is_a_missing_shard_to_readers(client):
    text = f"Shard {FIRST_SHARD} in stream nothing under account {ACCOUNT} does not exist"
    refused(client, "GetShardIterator", "ResourceNotFoundException", text,
            StreamName="nothing", ShardId=FIRST_SHARD, ShardIteratorType="LATEST")


def test_forged_iterators_are_refused(send, stream):
    found = iterator(send, stream(1))
    forged = [found[:middle] + ("A" if found[middle] != "A" else "B") + found[middle + 1 :] for middle in (12, 100, 200, 280)]
    for one in [*forged, found[:-4], found + "AAAA", "AAAAAAAAAAnonsense", "x", "A" * 512]:
        refused(send, "GetRecords", INVALID, "Invalid ShardIterator.", ShardIterator=one)


JAVA_DATE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC \d{4}"


@pytest.mark.ours("moves the clock")
def test_iterators_expire_after_five_minutes(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    found = iterator(send, stream(1, send=send))
    server.advance(290)
    send("GetRecords", ShardIterator=found)
    server.advance(15)
    error = refused(send, "GetRecords", "ExpiredIteratorException", ShardIterator=found)
    assert re.fullmatch(
        f"Iterator expired. The iterator was created at time {JAVA_DATE} while right now it is {JAVA_DATE} which is further in "
        "the future than the tolerated delay of 300000 milliseconds.", error.message,
    ), error


@pytest.mark.ours("moves the clock")
def test_what_is_older_than_the_retention_period_is_gone(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    name = stream(1, send=send)
    put_digits(send, name, 2)
    server.advance(23 * 3600)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=b"later")
    assert text_of(read_shard(send, name)) == b"01later"
    server.advance(2 * 3600)
    assert text_of(read_shard(send, name)) == b"later"
