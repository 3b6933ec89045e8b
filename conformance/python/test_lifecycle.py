"""`--lifecycle aws`: AWS's seconds, on a clock that the tests move."""

import time

import pytest

from clients import ServiceError
from endpoint import ACCOUNT, ARN
from test_shards import is_open, put, shard_id
from tools import FIRST_SHARD, iterator, refused, shards_of, until

pytestmark = pytest.mark.ours("AWS's seconds, on a clock that can be moved")
fact = pytest.mark.fact
ENTRY = {"PartitionKey": "k", "Data": b"x"}


@pytest.fixture
def aws_like(node):
    return node("--lifecycle", "aws", "--test-controls")


@pytest.fixture
def send(aws_like, boto_at):
    return boto_at(aws_like)


def summary(call, name):
    return call("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]


def after(server, seconds, condition, before):
    """`before` holds until shortly before so many seconds from now are over, and `condition` at most two later."""
    assert before(), "at first"
    server.advance(seconds - 0.8)
    assert before(), f"{seconds - 0.8} s later"
    server.advance(2.8)
    until(condition, f"within {seconds + 2} s", seconds=2)


def exists(call, name):
    try:
        return summary(call, name)["StreamStatus"]
    except ServiceError as error:
        assert error.code == "ResourceNotFoundException", error
        return None


@fact("creating-takes-seconds", "open-shard-count-absent", "data-calls-while-creating")
def test_creating(aws_like, send):
    send("CreateStream", StreamName="creating", ShardCount=1)
    found = summary(send, "creating")
    assert found["StreamStatus"] == "CREATING" and "OpenShardCount" not in found
    described = send("DescribeStream", StreamName="creating")["StreamDescription"]
    assert described["StreamStatus"] == "CREATING" and described["Shards"] == []
    refused(send, "PutRecord", "ResourceNotFoundException", f"Stream creating under account {ACCOUNT} not found.",
            StreamName="creating", **ENTRY)
    refused(send, "GetShardIterator", "ResourceNotFoundException", StreamName="creating", ShardId=FIRST_SHARD,
            ShardIteratorType="LATEST")
    after(aws_like, 4, lambda: exists(send, "creating") == "ACTIVE", lambda: exists(send, "creating") == "CREATING")
    assert summary(send, "creating")["OpenShardCount"] == 1
    send("PutRecord", StreamName="creating", **ENTRY)


@fact("deleting-takes-seconds", "open-shard-count-absent")
def test_deleting(aws_like, send, stream):
    name = stream(1, send=send, server=aws_like)
    send("DeleteStream", StreamName=name)
    assert "OpenShardCount" not in summary(send, name)
    assert name in send("ListStreams")["StreamNames"]
    refused(send, "CreateStream", "ResourceInUseException", StreamName=name, ShardCount=1)
    after(aws_like, 4, lambda: exists(send, name) is None, lambda: exists(send, name) == "DELETING")


CHANGES = [
    ("IncreaseStreamRetentionPeriod", {"RetentionPeriodHours": 48}, "RetentionPeriodHours", 24, 48),
    ("StartStreamEncryption", {"EncryptionType": "KMS", "KeyId": "k"}, "EncryptionType", "NONE", "KMS"),
    ("EnableEnhancedMonitoring", {"ShardLevelMetrics": ["IncomingBytes"]}, "EnhancedMonitoring",
     [{"ShardLevelMetrics": []}], [{"ShardLevelMetrics": ["IncomingBytes"]}]),
    ("UpdateMaxRecordSize", {"MaxRecordSizeInKiB": 2048}, "MaxRecordSizeInKiB", 1024, 2048),
    ("UpdateStreamMode", {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}, "StreamModeDetails",
     {"StreamMode": "PROVISIONED"}, {"StreamMode": "ON_DEMAND"}),
]


@fact("updating-takes-seconds", "old-values-while-updating")
@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row[0])
def test_updating(aws_like, send, stream, row):
    operation, members, member, old, new = row
    name = stream(1, send=send, server=aws_like)
    by_arn = operation in ("UpdateMaxRecordSize", "UpdateStreamMode")
    send(operation, **({"StreamARN": ARN + name} if by_arn else {"StreamName": name}), **members)
    shown = lambda: (summary(send, name)["StreamStatus"], summary(send, name).get(member))
    after(aws_like, 3, lambda: shown() == ("ACTIVE", new), lambda: shown() == ("UPDATING", old))


@fact("encryption-again", "setting-kept-is-free")
def test_what_changes_nothing(aws_like, send, stream):
    name = stream(1, send=send, server=aws_like)
    send("IncreaseStreamRetentionPeriod", StreamName=name, RetentionPeriodHours=24)
    send("UpdateStreamMode", StreamARN=ARN + name, StreamModeDetails={"StreamMode": "PROVISIONED"})
    send("UpdateShardCount", StreamName=name, TargetShardCount=1, ScalingType="UNIFORM_SCALING")
    assert exists(send, name) == "ACTIVE"
    for _ in range(2):
        send("StartStreamEncryption", StreamName=name, EncryptionType="KMS", KeyId="k")
        assert exists(send, name) == "UPDATING"
        aws_like.advance(6)
        until(lambda: exists(send, name) == "ACTIVE", "ACTIVE again")


@fact("consumer-takes-seconds", "consumer-deleting-is-described")
def test_consumers(aws_like, send, stream):
    name = stream(1, send=send, server=aws_like)
    arn = send("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName="reader")["Consumer"]["ConsumerARN"]

    def status():
        try:
            return send("DescribeStreamConsumer", ConsumerARN=arn)["ConsumerDescription"]["ConsumerStatus"]
        except ServiceError as error:
            assert error.code == "ResourceNotFoundException", error
            return None

    after(aws_like, 4, lambda: status() == "ACTIVE", lambda: status() == "CREATING")
    send("DeregisterStreamConsumer", ConsumerARN=arn)
    after(aws_like, 3, lambda: status() is None, lambda: status() == "DELETING")


@fact("reshard-updating", "reshard-children-before-close", "reshard-parent-takes-puts", "reshard-latest-lists-both",
      "reshard-now-lists-parents", "reshard-children-give-iterators")
def test_the_time_line_of_a_split(aws_like, send, stream):
    name = stream(1, send=send, server=aws_like)
    page = send("GetRecords", ShardIterator=iterator(send, name))
    send("SplitShard", StreamName=name, ShardToSplit=FIRST_SHARD, NewStartingHashKey=str(2**127))
    found = summary(send, name)
    assert (found["StreamStatus"], found["OpenShardCount"]) == ("UPDATING", 1)
    assert put(send, name, 0, b"updating")["ShardId"] == FIRST_SHARD
    aws_like.advance(7)
    until(lambda: exists(send, name) == "ACTIVE", "ACTIVE with the children")
    shards = shards_of(send, name)
    assert list(shards) == [shard_id(0), shard_id(1), shard_id(2)]
    listed = lambda **shard_filter: list(shards_of(send, name, ShardFilter=shard_filter))
    assert put(send, name, 0, b"gap")["ShardId"] == FIRST_SHARD, "the parent takes the puts"
    assert listed(Type="AT_LATEST") == [shard_id(0), shard_id(1), shard_id(2)]
    arrival = send("GetRecords", ShardIterator=iterator(send, name))["Records"][-1]["ApproximateArrivalTimestamp"]
    assert listed(Type="AT_TIMESTAMP", Timestamp=arrival) == [shard_id(0)], "now: the parent only"
    for child in (shard_id(1), shard_id(2)):
        read = send("GetRecords", ShardIterator=iterator(send, name, child))
        assert read["Records"] == [] and read["NextShardIterator"]
    page = send("GetRecords", ShardIterator=page["NextShardIterator"])
    assert [record["Data"] for record in page["Records"]] == [b"updating", b"gap"] and page["NextShardIterator"]
    aws_like.advance(30)
    until(lambda: put(send, name, 0, b"child")["ShardId"] == shard_id(1), "the child takes the puts")
    end = until(lambda: "ChildShards" in (found := send("GetRecords", ShardIterator=page["NextShardIterator"])) and found, "the end")
    assert end["Records"] == [] and "NextShardIterator" not in end
    assert not is_open(shards_of(send, name)[FIRST_SHARD])
    assert listed(Type="AT_LATEST") == [shard_id(1), shard_id(2)]


@fact("scale-open-count")
def test_open_shards_while_two_become_three(aws_like, send, stream):
    name = stream(2, send=send, server=aws_like)
    send("UpdateShardCount", StreamName=name, TargetShardCount=3, ScalingType="UNIFORM_SCALING")
    seen = []
    for _ in range(60):
        found = summary(send, name)
        if not seen or seen[-1] != found["OpenShardCount"]:
            seen.append(found["OpenShardCount"])
        if found["StreamStatus"] == "ACTIVE":
            break
        aws_like.advance(1)
        time.sleep(0.05)
    assert seen == [2, 4, 3], seen
