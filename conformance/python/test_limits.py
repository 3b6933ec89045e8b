"""Rates: of a shard with the default `--limits shards`, of the control plane with `strict`, none with `open`."""

import time

import pytest

from clients import ServiceError
from endpoint import ACCOUNT, ARN
from tools import FIRST_SHARD, iterator, read_shard, refused, until

fact = pytest.mark.fact
THROTTLED = "ProvisionedThroughputExceededException"
ENTRY = {"PartitionKey": "k", "Data": b"x"}


def text(name):
    return f"Rate exceeded for shard {FIRST_SHARD} in stream {name} under account {ACCOUNT}."


def test_a_thousand_records_a_second(send, stream):
    name = stream(1)
    began, accepted, failed = time.monotonic(), 0, 0
    for _ in range(8):
        answer = send.once("PutRecords", StreamName=name, Records=[ENTRY] * 500)
        entries = answer["Records"]
        good = [one for one in entries if "SequenceNumber" in one]
        bad = [one for one in entries if "ErrorCode" in one]
        assert len(entries) == 500 == len(good) + len(bad) and answer["FailedRecordCount"] == len(bad)
        assert all(one == {"ErrorCode": THROTTLED, "ErrorMessage": text(name)} for one in bad)
        accepted, failed = accepted + len(good), failed + len(bad)
    took = time.monotonic() - began
    assert failed > 0 and 1000 <= accepted <= 1000 * (took + 1) + 1
    assert len(read_shard(send, name)) == accepted, "what failed is not there"


@pytest.mark.since_2015
def test_a_megabyte_a_second(client, stream):
    name = stream(1)
    began, bytes_put = time.monotonic(), 0
    with pytest.raises(ServiceError) as caught:
        for _ in range(40):
            client.once("PutRecord", StreamName=name, PartitionKey="k", Data=b"x" * 199_999)
            bytes_put += 200_000
    took = time.monotonic() - began
    assert (caught.value.code, caught.value.message, caught.value.status) == (THROTTLED, text(name), 400)
    assert 800_000 <= bytes_put <= 1_100_000 * (took + 1) + 200_000
    assert client("PutRecord", StreamName=name, **ENTRY), "a moment later it takes puts again"


def test_the_other_shard_goes_on(send, stream):
    name = stream(2)
    full = ENTRY | {"ExplicitHashKey": "0"}
    other = ENTRY | {"ExplicitHashKey": str(2**128 - 1)}
    for _ in range(3):
        answer = send.once("PutRecords", StreamName=name, Records=[full] * 450 + [other] * 50)
        assert all("SequenceNumber" in one for one in answer["Records"][450:])
    assert answer["FailedRecordCount"] > 0 and "ErrorCode" in answer["Records"][449]


@pytest.mark.since_2015
def test_five_reads_a_second(client, stream):
    name = stream(1)
    at = iterator(client, name)
    reads = 0
    with pytest.raises(ServiceError) as caught:
        for _ in range(40):
            client.once("GetRecords", ShardIterator=at)
            reads += 1
    assert caught.value.code == THROTTLED
    assert caught.value.message in (text(name), f"Rate exceeded for Shard - {ACCOUNT}/{name}/{FIRST_SHARD}")
    assert reads >= 5
    assert client("GetRecords", ShardIterator=at)["Records"] == []


def test_two_megabytes_a_second_out(send, stream):
    name = stream(1, MaxRecordSizeInKiB=10240)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=b"x" * 8_000_000)
    at = iterator(send, name)
    send.once("GetRecords", ShardIterator=at)
    with pytest.raises(ServiceError) as caught:
        send.once("GetRecords", ShardIterator=at)
    assert caught.value.code == THROTTLED
    began = time.monotonic()
    send("GetRecords", ShardIterator=at)
    assert 2 < time.monotonic() - began < 6, "8 MB are four seconds of a shard"


@pytest.mark.ours("a flag")
def test_open_has_no_rates(node, boto_at, stream):
    send = boto_at(node("--limits", "open"))
    name = stream(1, send=send)
    for _ in range(8):
        assert send.once("PutRecords", StreamName=name, Records=[ENTRY] * 500)["FailedRecordCount"] == 0
    at = iterator(send, name)
    for _ in range(20):
        send.once("GetRecords", ShardIterator=at, Limit=1)
    refused(send, "PutRecords", "ValidationException", StreamName=name, Records=[ENTRY] * 501)


CONTROL = [
    ("ListStreams", {}, 5),
    ("DescribeLimits", {}, 1),
    ("DescribeStreamSummary", {"StreamName": "nothing"}, 20),
    ("AddTagsToStream", {"StreamName": "nothing", "Tags": {"a": "b"}}, 5),
    ("RegisterStreamConsumer", {"StreamARN": ARN + "nothing", "ConsumerName": "c"}, 5),
]


@pytest.mark.ours("a flag")
@pytest.mark.parametrize("row", CONTROL, ids=lambda row: row[0])
def test_rates_of_the_control_plane(node, boto_at, row):
    operation, members, rate = row
    send = boto_at(node("--limits", "strict"), "666666666666")

    def exceeded():
        try:
            send.once(operation, **members)
        except ServiceError as error:
            if error.code != "LimitExceededException":
                assert error.code == "ResourceNotFoundException", error
                return False
            assert error.message.startswith("Rate exceeded for "), error
            return True
        return False

    begin = time.monotonic()
    calls = 0
    while not exceeded():
        calls += 1
        assert calls <= 10 * rate, "no rate"
    took = time.monotonic() - begin
    assert rate <= calls <= rate * (took + 1) + 1
    until(lambda: not exceeded(), "allowed again", seconds=5)


@pytest.mark.ours("a flag; the quotas of an empty account")
@fact("shard-quota-by-region")
def test_the_shard_quota(node, boto_at):
    server = node("--limits", "strict")
    send = boto_at(server, "777777777777")
    send("CreateStream", StreamName="many", ShardCount=9000)
    send("CreateStream", StreamName="more", ShardCount=9000)
    error = refused(send, "CreateStream", "LimitExceededException", StreamName="too-many", ShardCount=2001)
    assert error.message == (
        "This request would exceed the shard limit for the account 777777777777 in us-east-1. Current shard count for the "
        "account: 18000. Limit: 20000. Number of additional shards that would have resulted from this request: 2001. Refer to "
        "the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits "
        "and how to request higher limits."
    )
