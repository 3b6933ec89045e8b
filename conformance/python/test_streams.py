"""Streams: create, describe, summarise, delete; names, ARNs, accounts and regions."""

import datetime

import pytest

from clients.boto import Boto
from endpoint import ACCOUNT, ARN, REGION
from results import Results
from tools import hash_range, refused, shards_of, until

fact = pytest.mark.fact
NOT_FOUND = ("ResourceNotFoundException", f"Stream nothing under account {ACCOUNT} not found.")


@fact("creation-whole-seconds", "no-stream-id", "summary-members")
def test_a_new_stream(client, stream):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=60)
    name = stream(3)
    described = client("DescribeStream", StreamName=name)["StreamDescription"]
    assert described["StreamName"] == name and described["StreamARN"] == ARN + name
    assert described["StreamStatus"] == "ACTIVE" and described["HasMoreShards"] is False
    assert described["RetentionPeriodHours"] == 24 and described["EncryptionType"] == "NONE"
    assert [one.get("ShardLevelMetrics") or [] for one in described["EnhancedMonitoring"]] == [[]]
    assert described["StreamCreationTimestamp"] >= before
    assert described["StreamCreationTimestamp"].microsecond == 0
    shards = described["Shards"]
    assert [shard["ShardId"] for shard in shards] == [f"shardId-{n:012}" for n in range(3)]
    step = 2**128 // 3
    assert [hash_range(shard) for shard in shards] == [(0, step - 1), (step, 2 * step - 1), (2 * step, 2**128 - 1)]
    summary = client("DescribeStreamSummary", StreamARN=ARN + name)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 3 and summary["StreamARN"] == ARN + name
    assert summary["StreamCreationTimestamp"] == described["StreamCreationTimestamp"]
    assert "StreamId" not in described and "StreamId" not in summary


@fact("summary-members")
def test_the_members_of_a_summary(send, stream):
    name = stream(2)
    summary = send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
    created = summary.pop("StreamCreationTimestamp")
    assert summary == {
        "StreamName": name, "StreamARN": ARN + name, "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"}, "RetentionPeriodHours": 24,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}], "EncryptionType": "NONE", "OpenShardCount": 2,
        "ConsumerCount": 0, "ChannelCount": 0, "MaxRecordSizeInKiB": 1024,
    }
    described = send("DescribeStream", StreamName=name)["StreamDescription"]
    assert described["StreamCreationTimestamp"] == created
    for shard in described["Shards"]:
        assert set(shard) == {"ShardId", "HashKeyRange", "SequenceNumberRange"}
        assert set(shard["SequenceNumberRange"]) == {"StartingSequenceNumber"}


@fact("summary-on-demand", "on-demand-begins-with-four")
def test_on_demand(client, send, stream):
    name = stream(None)
    summary = client("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 4
    raw = send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
    assert raw["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert raw["RecordDistributionStrategy"] == "USER_PARTITION_KEY"


def test_everything_at_creation(send, stream):
    name = stream(1, MaxRecordSizeInKiB=2048, Tags={"team": "a", "cost centre": "1"})
    assert send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["MaxRecordSizeInKiB"] == 2048
    tags = send("ListTagsForStream", StreamName=name)["Tags"]
    assert tags == [{"Key": "cost centre", "Value": "1"}, {"Key": "team", "Value": "a"}]


@pytest.mark.since_2015
def test_pages_of_describe_stream(client, stream):
    name = stream(5)
    first = client("DescribeStream", StreamName=name, Limit=2)["StreamDescription"]
    assert first["HasMoreShards"] is True and [shard["ShardId"][-1] for shard in first["Shards"]] == ["0", "1"]
    last = first["Shards"][-1]["ShardId"]
    rest = client("DescribeStream", StreamName=name, ExclusiveStartShardId=last)["StreamDescription"]
    assert rest["HasMoreShards"] is False and [shard["ShardId"][-1] for shard in rest["Shards"]] == ["2", "3", "4"]


def test_describe_stream_gives_a_hundred_shards_at_a_time(send, stream):
    name = stream(101)
    described = send("DescribeStream", StreamName=name)["StreamDescription"]
    assert len(described["Shards"]) == 100 and described["HasMoreShards"] is True
    assert len(shards_of(send, name)) == 101
    assert len(send("ListShards", StreamName=name)["Shards"]) == 101


def test_delete_and_create_again(client, send, stream):
    name = stream(1)
    client("DeleteStream", StreamName=name)
    until(lambda: name not in send("ListStreams", ExclusiveStartStreamName=name[:-1])["StreamNames"], "deleted")
    refused(client, "DescribeStreamSummary", "ResourceNotFoundException",
            f"Stream {name} under account {ACCOUNT} not found.", StreamName=name)
    assert stream(2) == name
    assert client("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["OpenShardCount"] == 2


def test_a_stream_with_consumers_is_deleted_only_on_demand(send, stream):
    name = stream(1)
    send("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName="reader")
    refused(send, "DeleteStream", "ResourceInUseException", StreamName=name)
    refused(send, "DeleteStream", "ResourceInUseException", StreamName=name, EnforceConsumerDeletion=False)
    send("DeleteStream", StreamName=name, EnforceConsumerDeletion=True)
    until(lambda: name not in send("ListStreams", ExclusiveStartStreamName=name[:-1])["StreamNames"], "deleted")


BY_NAME = [
    "AddTagsToStream", "DecreaseStreamRetentionPeriod", "DeleteStream", "DescribeStream", "DescribeStreamSummary",
    "DisableEnhancedMonitoring", "EnableEnhancedMonitoring", "IncreaseStreamRetentionPeriod", "ListShards", "ListTagsForStream",
    "MergeShards", "PutRecord", "PutRecords", "RemoveTagsFromStream", "SplitShard", "StartStreamEncryption",
    "StopStreamEncryption", "UpdateShardCount",
]
BY_ARN = [
    "ListStreamConsumers", "RegisterStreamConsumer", "UpdateMaxRecordSize", "UpdateStreamMode",
    "UpdateStreamRecordDistributionStrategy",
]
ENTRY = {"PartitionKey": "k", "Data": b"x"}
KMS = {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
# What each operation needs beyond the stream.
MORE = {
    "AddTagsToStream": {"Tags": {"a": "b"}},
    "DecreaseStreamRetentionPeriod": {"RetentionPeriodHours": 24},
    "DisableEnhancedMonitoring": {"ShardLevelMetrics": ["ALL"]},
    "EnableEnhancedMonitoring": {"ShardLevelMetrics": ["ALL"]},
    "IncreaseStreamRetentionPeriod": {"RetentionPeriodHours": 48},
    "MergeShards": {"ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000001"},
    "PutRecord": ENTRY,
    "PutRecords": {"Records": [ENTRY]},
    "RegisterStreamConsumer": {"ConsumerName": "reader"},
    "RemoveTagsFromStream": {"TagKeys": ["a"]},
    "SplitShard": {"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "5"},
    "StartStreamEncryption": KMS,
    "StopStreamEncryption": KMS,
    "UpdateMaxRecordSize": {"MaxRecordSizeInKiB": 2048},
    "UpdateShardCount": {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"},
    "UpdateStreamMode": {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}},
    "UpdateStreamRecordDistributionStrategy": {"RecordDistributionStrategy": "AUTO"},
}


@pytest.mark.parametrize("operation", BY_NAME)
def test_no_such_stream_by_name(send, operation):
    refused(send, operation, *NOT_FOUND, StreamName="nothing", **MORE.get(operation, {}))


@fact("arn-of-other-region")
@pytest.mark.parametrize("operation", BY_NAME + BY_ARN)
def test_no_such_stream_by_arn(send, operation):
    more = MORE.get(operation, {})
    refused(send, operation, *NOT_FOUND, StreamARN=ARN + "nothing", **more)
    elsewhere = f"arn:aws:kinesis:ap-south-2:{ACCOUNT}:stream/nothing"
    text = f"The region specified in the ARN '{elsewhere}' does not match the endpoint region"
    refused(send, operation, "InvalidArgumentException", text, StreamARN=elsewhere, **more)


@fact("name-and-arn")
def test_name_and_arn_must_agree(send, stream):
    name = stream(1)
    summary = send("DescribeStreamSummary", StreamName=name, StreamARN=ARN + name)["StreamDescriptionSummary"]
    assert summary["StreamName"] == name
    text = f"Input stream name nothing doesn't match the inferred name in stream arn {name}"
    refused(send, "DescribeStreamSummary", "InvalidArgumentException", text, StreamName="nothing", StreamARN=ARN + name)


@fact("neither-name-nor-arn")
def test_one_of_name_and_arn_is_needed(send):
    text = "Stream arn and stream name can't be empty at the same time"
    refused(send, "DescribeStreamSummary", "InvalidArgumentException", text)


@pytest.mark.ours("other accounts and regions with invented keys")
def test_accounts_and_regions_are_apart(server, boto_at, stream):
    name = stream(1)
    other = boto_at(server, "111111111111")
    text = f"Stream {name} under account 111111111111 not found."
    refused(other, "DescribeStream", "ResourceNotFoundException", text, StreamName=name)
    other("CreateStream", StreamName=name, ShardCount=2)
    until(lambda: other("ListShards", StreamName=name)["Shards"][1:], "created")
    described = other("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]
    assert described["StreamARN"] == f"arn:aws:kinesis:{REGION}:111111111111:stream/{name}"
    other("DeleteStream", StreamName=name)
    elsewhere = Boto(server.client("kinesis", region="eu-central-1"), Results(None))
    refused(elsewhere, "DescribeStream", "ResourceNotFoundException", f"Stream {name} under account {ACCOUNT} not found.",
            StreamName=name)
