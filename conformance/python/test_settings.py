"""Settings of streams and accounts: retention, monitoring, encryption, mode, record size, distribution, throughput."""

import time

import pytest

from endpoint import ACCOUNT, ARN
from tools import MAX_HASH, is_open, read_shard, refused, shards_of, until

fact = pytest.mark.fact
INVALID = "InvalidArgumentException"
ENTRY = {"PartitionKey": "k", "Data": b"x"}


def summary(call, name):
    return call("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]


def settled(call, name):
    until(lambda: summary(call, name)["StreamStatus"] == "ACTIVE", "ACTIVE again")
    return summary(call, name)


def increase(call, name, hours):
    call("IncreaseStreamRetentionPeriod", StreamName=name, RetentionPeriodHours=hours)
    return settled(call, name)["RetentionPeriodHours"]


def decrease(call, name, hours):
    call("DecreaseStreamRetentionPeriod", StreamName=name, RetentionPeriodHours=hours)
    return settled(call, name)["RetentionPeriodHours"]


@fact("retention-equal", "setting-kept-is-free")
def test_retention(client, stream):
    name = stream(1)
    assert increase(client, name, 24) == 24
    assert increase(client, name, 8760) == 8760
    assert increase(client, name, 8760) == 8760
    assert decrease(client, name, 8760) == 8760
    assert decrease(client, name, 24) == 24


SHORT = "Minimum allowed retention period is 24 hours. Requested retention period ({} hours) is too short."
LONG = "Maximum allowed retention period is 8760 hours. Requested retention period ({} hours) is too long."
LONGER = (
    "Requested retention period ({} hours) for stream {} can not be longer than existing retention period ({} hours). Use "
    "IncreaseRetentionPeriod API."
)
SHORTER = (
    "Requested retention period ({} hours) for stream {} can not be shorter than existing retention period ({} hours). Use "
    "DecreaseRetentionPeriod API."
)


def test_retention_is_refused(client, stream):
    name = stream(1)
    increase(client, name, 48)
    rows = [
        ("IncreaseStreamRetentionPeriod", 23, SHORT.format(23)),
        ("DecreaseStreamRetentionPeriod", 23, SHORT.format(23)),
        ("IncreaseStreamRetentionPeriod", 8761, LONG.format(8761)),
        ("DecreaseStreamRetentionPeriod", 8761, LONG.format(8761)),
        ("IncreaseStreamRetentionPeriod", 47, SHORTER.format(47, name, 48)),
        ("DecreaseStreamRetentionPeriod", 49, LONGER.format(49, name, 48)),
    ]
    for operation, hours, text in rows:
        refused(client, operation, INVALID, text, StreamName=name, RetentionPeriodHours=hours)
    assert summary(client, name)["RetentionPeriodHours"] == 48


@pytest.mark.ours("moves the clock")
def test_retention_keeps_and_deletes(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    name = stream(1, send=send)
    datas = lambda: [record["Data"] for record in read_shard(send, name)]
    increase(send, name, 72)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=b"old")
    server.advance(47 * 3600)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=b"new")
    assert datas() == [b"old", b"new"], "kept for longer than a day"
    decrease(send, name, 24)
    until(lambda: datas() == [b"new"], "the old is gone")
    increase(send, name, 72)
    assert datas() == [b"new"], "and does not come back"


SEVEN = [
    "IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes", "OutgoingRecords",
    "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded",
]


def test_enhanced_monitoring(client, send, stream):
    name = stream(1)
    levels = lambda: sorted(summary(client, name)["EnhancedMonitoring"][0].get("ShardLevelMetrics") or [])
    answer = client("EnableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=["IncomingBytes"])
    assert answer["StreamName"] == name
    assert (answer.get("CurrentShardLevelMetrics") or [], answer["DesiredShardLevelMetrics"]) == ([], ["IncomingBytes"])
    settled(client, name)
    assert levels() == ["IncomingBytes"]
    answer = client("EnableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=["ALL"])
    assert sorted(answer["DesiredShardLevelMetrics"]) == SEVEN
    settled(client, name)
    assert levels() == SEVEN
    client("DisableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=SEVEN[:5])
    settled(client, name)
    assert levels() == SEVEN[5:]
    client("DisableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=["ALL"])
    settled(client, name)
    assert levels() == []
    raw = send("DisableEnhancedMonitoring", StreamName=name, ShardLevelMetrics=["ALL"])
    assert raw == {"StreamName": name, "StreamARN": ARN + name, "CurrentShardLevelMetrics": [], "DesiredShardLevelMetrics": []}


KEYS = ["alias/aws/kinesis", "1234abcd-12ab-34cd-56ef-1234567890ab", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd"]


@pytest.mark.ours("keys that do not exist")
@fact("encryption-key-echoed", "encryption-again")
def test_encryption(client, send, stream):
    name = stream(1)
    client("PutRecord", StreamName=name, **ENTRY)
    for key in KEYS:
        client("StartStreamEncryption", StreamName=name, EncryptionType="KMS", KeyId=key)
        found = settled(client, name)
        assert (found["EncryptionType"], found["KeyId"]) == ("KMS", key)
    client("StartStreamEncryption", StreamName=name, EncryptionType="KMS", KeyId=KEYS[-1])
    settled(client, name)
    assert client("PutRecord", StreamName=name, **ENTRY)["EncryptionType"] == "KMS"
    assert send("PutRecords", StreamName=name, Records=[ENTRY])["EncryptionType"] == "KMS"
    kinds = [record.get("EncryptionType") for record in read_shard(send, name)]
    assert kinds == [None, "KMS", "KMS"]
    client("StopStreamEncryption", StreamName=name, EncryptionType="KMS", KeyId=KEYS[-1])
    found = settled(send, name)
    assert found["EncryptionType"] == "NONE" and "KeyId" not in found
    text = "Cannot stop encrypting an unencrypted stream."
    refused(client, "StopStreamEncryption", INVALID, text, StreamName=name, EncryptionType="KMS", KeyId=KEYS[-1])


def mode(call, name, mode, **members):
    call("UpdateStreamMode", StreamARN=ARN + name, StreamModeDetails={"StreamMode": mode}, **members)
    return settled(call, name)


@fact("mode-kept-is-free", "mode-keeps-shards", "mode-twice-a-day")
@pytest.mark.ours("a flag")
def test_modes(node, boto_at, stream):
    send = boto_at(node("--limits", "strict"))
    name = stream(2, send=send)
    before = shards_of(send, name)
    for _ in range(3):
        mode(send, name, "PROVISIONED")
    assert mode(send, name, "ON_DEMAND")["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    mode(send, name, "ON_DEMAND")
    assert mode(send, name, "PROVISIONED")["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    mode(send, name, "PROVISIONED")
    assert shards_of(send, name) == before
    text = f"Rate exceeded for stream {name} under account {ACCOUNT}."
    on_demand = {"StreamARN": ARN + name, "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
    time.sleep(1)  # the rate of the calls themselves has the same text
    refused(send.once, "UpdateStreamMode", "LimitExceededException", text, **on_demand)
    stream.delete()
    name = stream(2, send=send)
    refused(send.once, "UpdateStreamMode", "LimitExceededException", text, **on_demand)


@fact("mode-twice-a-day")
@pytest.mark.ours("moves the clock")
def test_modes_may_change_again_the_next_day(node, boto_at, stream):
    server = node("--test-controls", "--limits", "strict")
    send = boto_at(server)
    name = stream(1, send=send)
    for _ in range(2):
        mode(send, name, "ON_DEMAND")
        mode(send, name, "PROVISIONED")
        server.advance(24 * 3600 + 60)


def test_record_sizes(client, send, stream):
    name = stream(1)
    client("UpdateMaxRecordSize", StreamARN=ARN + name, MaxRecordSizeInKiB=2048)
    assert settled(send, name)["MaxRecordSizeInKiB"] == 2048
    data = b"x" * (2048 * 1024 - 1)
    send("PutRecord", StreamName=name, PartitionKey="k", Data=data)
    refused(send, "PutRecord", "ValidationException", StreamName=name, PartitionKey="k", Data=data + b"x")
    client("UpdateMaxRecordSize", StreamARN=ARN + name, MaxRecordSizeInKiB=1024)
    settled(send, name)
    refused(send, "PutRecord", "ValidationException", StreamName=name, PartitionKey="k", Data=data)
    assert [len(record["Data"]) for record in read_shard(send, name)] == [len(data)], "what is there stays"


def test_record_distribution(send, stream):
    name = stream(None)
    put = lambda: send("PutRecord", StreamName=name, ExplicitHashKey=str(MAX_HASH), **ENTRY)["ShardId"]
    last = f"shardId-{3:012}"
    assert {put() for _ in range(8)} == {last}
    send("UpdateStreamRecordDistributionStrategy", StreamARN=ARN + name, RecordDistributionStrategy="AUTO")
    assert settled(send, name)["RecordDistributionStrategy"] == "AUTO"
    entries = [{"Data": b"x"}] * 100 + [ENTRY | {"ExplicitHashKey": "0"}] * 100
    used = {one["ShardId"] for one in send("PutRecords", StreamName=name, Records=entries)["Records"]}
    assert len(used) == 4, "evenly, whatever the keys"
    send("UpdateStreamRecordDistributionStrategy", StreamARN=ARN + name, RecordDistributionStrategy="USER_PARTITION_KEY")
    settled(send, name)
    assert {put() for _ in range(8)} == {last}


def test_record_distribution_is_refused(send, stream):
    name = stream(1)
    refused(send, "UpdateStreamRecordDistributionStrategy", INVALID, StreamARN=ARN + name, RecordDistributionStrategy="AUTO")
    refused(send, "PutRecord", "ValidationException", StreamName=name, Data=b"x")


@fact("warm-throughput-needs-commitment")
@pytest.mark.ours("an account of which nothing is known")
def test_warm_throughput_needs_a_commitment(server, boto_at, stream):
    send = boto_at(server, "333333333333")
    text = "Account 333333333333 is not enabled for minimum throughput billing commitment"
    on_demand, provisioned = stream(None, send=send), stream(1, suffix="-p", send=send)
    for name in (on_demand, provisioned):
        refused(send, "UpdateStreamWarmThroughput", "ValidationException", text, StreamName=name, WarmThroughputMiBps=0)
    details = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
    refused(send, "CreateStream", "ValidationException", text, StreamName="warm", WarmThroughputMiBps=10, **details)
    assert "WarmThroughput" not in summary(send, on_demand)


@fact("no-commitment")
@pytest.mark.ours("moves the clock; on AWS a commitment costs money")
def test_commitments(node, boto_at):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server, "444444444444")
    settings = lambda: send("DescribeAccountSettings")["MinimumThroughputBillingCommitment"]
    change = lambda status: send("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": status})
    assert settings() == {"Status": "DISABLED"}
    answer = change("ENABLED")["MinimumThroughputBillingCommitment"]
    assert answer == settings() and answer["Status"] == "ENABLED"
    assert (answer["EarliestAllowedEndAt"] - answer["StartedAt"]).total_seconds() == 24 * 3600
    change("DISABLED")
    assert settings()["Status"] == "ENABLED_UNTIL_EARLIEST_ALLOWED_END"
    server.advance(24 * 3600 + 60)
    until(lambda: settings()["Status"] == "DISABLED", "over by itself")


@fact("describe-limits-channels", "on-demand-shards-not-counted", "shard-quota-by-region")
@pytest.mark.ours("an account of which nothing is known")
def test_limits_of_an_account(server, boto_at, stream):
    send = boto_at(server, "555555555555")
    stream(3, send=send)
    stream(None, suffix="-on-demand", send=send)
    assert send("DescribeLimits") == {
        "ShardLimit": 20000, "OpenShardCount": 3, "OnDemandStreamCount": 1, "OnDemandStreamCountLimit": 50,
        "ChannelCount": 0, "ChannelCountLimit": 100,
    }
    elsewhere = server.client("kinesis", account="555555555555", region="us-east-2").describe_limits()
    assert (elsewhere["ShardLimit"], elsewhere["OpenShardCount"]) == (6000, 0)


@fact("settings-need-active")
@pytest.mark.ours("AWS's seconds")
def test_settings_need_an_active_stream(node, boto_at, stream):
    server = node("--lifecycle", "aws", "--test-controls")
    send = boto_at(server)
    name = stream(1, send=send, server=server)
    send("IncreaseStreamRetentionPeriod", StreamName=name, RetentionPeriodHours=48)
    text = f"Stream {name} under account {ACCOUNT} not ACTIVE, instead in state UPDATING"
    rows = [
        ("IncreaseStreamRetentionPeriod", {"StreamName": name, "RetentionPeriodHours": 24}),
        ("EnableEnhancedMonitoring", {"StreamName": name, "ShardLevelMetrics": ["ALL"]}),
        ("StartStreamEncryption", {"StreamName": name, "EncryptionType": "KMS", "KeyId": "k"}),
        ("UpdateMaxRecordSize", {"StreamARN": ARN + name, "MaxRecordSizeInKiB": 1024}),
        ("UpdateShardCount", {"StreamName": name, "TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"}),
        ("UpdateStreamMode", {"StreamARN": ARN + name, "StreamModeDetails": {"StreamMode": "PROVISIONED"}}),
        ("SplitShard", {"StreamName": name, "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(2**127)}),
    ]
    for operation, members in rows:
        refused(send, operation, "ResourceInUseException", text, **members)
    assert all(is_open(shard) for shard in shards_of(send, name).values())
