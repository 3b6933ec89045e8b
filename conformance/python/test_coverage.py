"""Every operation through every client: once with success and once with a business error. The matrix comes from here."""

import dataclasses
import json
import threading
import time
import typing

import pytest
from botocore import xform_name

from clients import ServiceError, UnknownToClient
from endpoint import ACCOUNT, ARN, REGION
from tools import FIRST_SHARD, MAX_HASH, iterator, refused, until

pytestmark = pytest.mark.every_client

NOBODY = f"{ARN}nothing"
NOT_FOUND = ("ResourceNotFoundException", f"Stream nothing under account {ACCOUNT} not found.")
MISSING = ("ResourceNotFoundException", None)


@dataclasses.dataclass
class World:
    """A fresh stream of two shards, and boto3 to prepare what the case needs."""

    name: str
    send: typing.Callable

    @property
    def arn(self):
        return ARN + self.name

    def put(self):
        self.send("PutRecord", StreamName=self.name, PartitionKey="k", ExplicitHashKey="0", Data=b"data")

    def consumer(self):
        made = self.send("RegisterStreamConsumer", StreamARN=self.arn, ConsumerName="reader")["Consumer"]
        arn = made["ConsumerARN"]
        status = lambda: self.send("DescribeStreamConsumer", ConsumerARN=arn)["ConsumerDescription"]["ConsumerStatus"]
        until(lambda: status() == "ACTIVE", "the consumer ACTIVE")
        return arn

    def encrypted(self):
        self.send("StartStreamEncryption", StreamName=self.name, EncryptionType="KMS", KeyId="alias/aws/kinesis")
        self.settled()

    def retained(self):
        self.send("IncreaseStreamRetentionPeriod", StreamName=self.name, RetentionPeriodHours=48)
        self.settled()

    def on_demand(self):
        mode = {"StreamMode": "ON_DEMAND"}
        self.send("UpdateStreamMode", StreamARN=self.arn, StreamModeDetails=mode)
        self.settled()

    def tagged(self):
        self.send("AddTagsToStream", StreamName=self.name, Tags={"a": "1", "b": "2"})

    def with_policy(self):
        self.send("PutResourcePolicy", ResourceARN=self.arn, Policy=policy(self.arn))

    def settled(self):
        until(lambda: self.summary()["StreamStatus"] == "ACTIVE", "ACTIVE again")
        return True

    def summary(self):
        return self.send("DescribeStreamSummary", StreamName=self.name)["StreamDescriptionSummary"]

    def tags(self):
        listed = self.send("ListTagsForStream", StreamName=self.name)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in listed}


def policy(arn):
    statement = {
        "Sid": "reader", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": ["kinesis:DescribeStreamSummary", "kinesis:ListShards"], "Resource": arn,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclasses.dataclass
class Case:
    """`good(world)` prepares and gives the members of the call that succeeds; `seen(world, out)` says whether its answer and
    what is there afterwards are right; `bad(world)` gives those of the call that is refused with `refusal`: code and text."""

    operation: str
    good: typing.Callable
    seen: typing.Callable
    bad: typing.Callable
    refusal: tuple


def named(**members):
    """The stream by name, and these members."""
    return lambda world: {"StreamName": world.name} | members


def by_arn(**members):
    return lambda world: {"StreamARN": world.arn} | members


def resource(**members):
    return lambda world: {"ResourceARN": world.arn} | members


def nobody(**members):
    return lambda world: {"StreamName": "nothing"} | members


def nobody_by_arn(member="StreamARN", **members):
    return lambda world: {member: NOBODY} | members


def after(prepare, members):
    """Prepares with the world's method of that name first."""

    def both(world):
        getattr(world, prepare)()
        return members(world)

    return both


LATEST = {"ShardId": FIRST_SHARD, "ShardIteratorType": "LATEST"}
ENTRY = {"PartitionKey": "k", "Data": b"x"}
METRICS = {"ShardLevelMetrics": ["IncomingBytes", "OutgoingRecords"]}
KMS = {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
ON_DEMAND = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}

CASES = [
    Case("AddTagsToStream", named(Tags={"colour": "ünï blue"}), lambda world, out: world.tags() == {"colour": "ünï blue"},
         nobody(Tags={"a": "b"}), NOT_FOUND),
    Case("CreateStream", lambda world: {"StreamName": world.name + "-new", "ShardCount": 3},
         lambda world, out: len(World(world.name + "-new", world.send).settled()
                                and world.send("ListShards", StreamName=world.name + "-new")["Shards"]) == 3,
         named(ShardCount=1), ("ResourceInUseException", "Stream {name} under account {account} already exists.")),
    Case("DecreaseStreamRetentionPeriod", after("retained", named(RetentionPeriodHours=36)),
         lambda world, out: world.settled() and world.summary()["RetentionPeriodHours"] == 36,
         named(RetentionPeriodHours=72), ("InvalidArgumentException", None)),
    Case("DeleteResourcePolicy", after("with_policy", resource()),
         lambda world, out: json.loads(world.send("GetResourcePolicy", ResourceARN=world.arn)["Policy"]) == {},
         resource(), ("ResourceNotFoundException", "No resource policy found for resource ARN {arn}.")),
    Case("DeleteStream", named(),
         lambda world, out: until(lambda: world.name not in names_after(world), "deleted"), nobody(), NOT_FOUND),
    Case("DeregisterStreamConsumer", lambda world: {"ConsumerARN": world.consumer()},
         lambda world, out: until(lambda: not world.send("ListStreamConsumers", StreamARN=world.arn)["Consumers"], "gone"),
         by_arn(ConsumerName="nobody"), MISSING),
    Case("DescribeStream", named(), lambda world, out: [shard["ShardId"] for shard in out["StreamDescription"]["Shards"]]
         == [FIRST_SHARD, "shardId-000000000001"], nobody(), NOT_FOUND),
    Case("DescribeStreamConsumer", lambda world: {"ConsumerARN": world.consumer()},
         lambda world, out: out["ConsumerDescription"]["ConsumerName"] == "reader"
         and out["ConsumerDescription"]["StreamARN"] == world.arn, by_arn(ConsumerName="nobody"), MISSING),
    Case("DescribeStreamSummary", by_arn(), lambda world, out: out["StreamDescriptionSummary"]["OpenShardCount"] == 2
         and out["StreamDescriptionSummary"]["StreamName"] == world.name, nobody(), NOT_FOUND),
    Case("DisableEnhancedMonitoring", lambda world: world.send("EnableEnhancedMonitoring", StreamName=world.name, **METRICS)
         and world.settled() and {"StreamName": world.name, "ShardLevelMetrics": ["IncomingBytes"]},
         lambda world, out: sorted(out["CurrentShardLevelMetrics"]) == ["IncomingBytes", "OutgoingRecords"]
         and out["DesiredShardLevelMetrics"] == ["OutgoingRecords"], nobody(**METRICS), NOT_FOUND),
    Case("EnableEnhancedMonitoring", named(**METRICS),
         lambda world, out: sorted(out["DesiredShardLevelMetrics"]) == ["IncomingBytes", "OutgoingRecords"]
         and not out.get("CurrentShardLevelMetrics"), nobody(**METRICS), NOT_FOUND),
    Case("GetRecords", lambda world: world.put() or {"ShardIterator": iterator(world.send, world.name)},
         lambda world, out: [record["Data"] for record in out["Records"]] == [b"data"] and out["NextShardIterator"]
         and out.get("MillisBehindLatest", 0) == 0, lambda world: {"ShardIterator": "nonsense"},
         ("InvalidArgumentException", "Invalid ShardIterator.")),
    Case("GetResourcePolicy", after("with_policy", resource()),
         lambda world, out: json.loads(out["Policy"])["Statement"][0]["Sid"] == "reader",
         nobody_by_arn("ResourceARN"), MISSING),
    Case("GetShardIterator", named(**LATEST), lambda world, out: world.send("GetRecords", **out)["Records"] == [],
         named(**LATEST | {"ShardId": "shardId-000000000009"}),
         ("ResourceNotFoundException", "Shard shardId-000000000009 in stream {name} under account {account} does not exist")),
    Case("IncreaseStreamRetentionPeriod", named(RetentionPeriodHours=8760),
         lambda world, out: world.settled() and world.summary()["RetentionPeriodHours"] == 8760,
         nobody(RetentionPeriodHours=48), NOT_FOUND),
    Case("ListShards", named(ShardFilter={"Type": "AFTER_SHARD_ID", "ShardId": FIRST_SHARD}),
         lambda world, out: [shard["ShardId"] for shard in out["Shards"]] == ["shardId-000000000001"], nobody(), NOT_FOUND),
    Case("ListStreamConsumers", after("consumer", by_arn()),
         lambda world, out: [one["ConsumerName"] for one in out["Consumers"]] == ["reader"], nobody_by_arn(), NOT_FOUND),
    Case("ListStreams", lambda world: {"ExclusiveStartStreamName": world.name[:-1], "Limit": 1},
         lambda world, out: out["StreamNames"] == [world.name], lambda world: {"NextToken": "nonsense"},
         ("InvalidArgumentException", "Invalid NextToken.")),
    Case("ListTagsForResource", after("tagged", resource()),
         lambda world, out: out["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
         nobody_by_arn("ResourceARN"), MISSING),
    Case("ListTagsForStream", after("tagged", named(Limit=1)),
         lambda world, out: out["Tags"] == [{"Key": "a", "Value": "1"}] and out["HasMoreTags"] is True, nobody(), NOT_FOUND),
    Case("MergeShards", named(ShardToMerge=FIRST_SHARD, AdjacentShardToMerge="shardId-000000000001"),
         lambda world, out: until(lambda: world.summary().get("OpenShardCount") == 1, "merged"),
         named(ShardToMerge=FIRST_SHARD, AdjacentShardToMerge="shardId-000000000009"),
         ("ResourceNotFoundException", "Could not find shard shardId-000000000009 in stream {name} under account {account}.")),
    Case("PutRecord", named(ExplicitHashKey=str(MAX_HASH), **ENTRY),
         lambda world, out: out["ShardId"] == "shardId-000000000001" and len(out["SequenceNumber"]) == 56,
         nobody(**ENTRY), NOT_FOUND),
    Case("PutRecords", named(Records=[ENTRY, ENTRY | {"ExplicitHashKey": "0"}]),
         lambda world, out: out["FailedRecordCount"] == 0 and out["Records"][1]["ShardId"] == FIRST_SHARD,
         nobody(Records=[ENTRY]), NOT_FOUND),
    Case("PutResourcePolicy", lambda world: {"ResourceARN": world.arn, "Policy": policy(world.arn)},
         lambda world, out: json.loads(world.send("GetResourcePolicy", ResourceARN=world.arn)["Policy"])["Statement"],
         lambda world: {"ResourceARN": NOBODY, "Policy": policy(NOBODY)}, MISSING),
    Case("RegisterStreamConsumer", by_arn(ConsumerName="reader"),
         lambda world, out: out["Consumer"]["ConsumerARN"].startswith(f"{world.arn}/consumer/reader:"),
         by_arn(ConsumerName="reader"),
         ("ResourceInUseException", "Consumer reader under stream {name} already exists for account {account}.")),
    Case("RemoveTagsFromStream", after("tagged", named(TagKeys=["a"])), lambda world, out: world.tags() == {"b": "2"},
         nobody(TagKeys=["a"]), NOT_FOUND),
    Case("SplitShard", named(ShardToSplit=FIRST_SHARD, NewStartingHashKey=str(2**125)),
         lambda world, out: until(lambda: world.summary().get("OpenShardCount") == 3, "split"),
         named(ShardToSplit="shardId-000000000009", NewStartingHashKey=str(2**125)),
         ("ResourceNotFoundException", "Could not find shard shardId-000000000009 in stream {name} under account {account}.")),
    Case("StartStreamEncryption", named(**KMS),
         lambda world, out: world.settled() and world.summary()["EncryptionType"] == "KMS", nobody(**KMS), NOT_FOUND),
    Case("StopStreamEncryption", after("encrypted", named(**KMS)),
         lambda world, out: world.settled() and world.summary()["EncryptionType"] == "NONE", nobody(**KMS), NOT_FOUND),
    Case("TagResource", resource(Tags={"a": "1"}), lambda world, out: world.tags() == {"a": "1"},
         nobody_by_arn("ResourceARN", Tags={"a": "1"}), MISSING),
    Case("UntagResource", after("tagged", resource(TagKeys=["b", "c"])), lambda world, out: world.tags() == {"a": "1"},
         nobody_by_arn("ResourceARN", TagKeys=["a"]), MISSING),
    Case("UpdateMaxRecordSize", by_arn(MaxRecordSizeInKiB=10240),
         lambda world, out: world.settled() and world.summary()["MaxRecordSizeInKiB"] == 10240,
         nobody_by_arn(MaxRecordSizeInKiB=2048), NOT_FOUND),
    Case("UpdateShardCount", named(TargetShardCount=4, ScalingType="UNIFORM_SCALING"),
         lambda world, out: (out["CurrentShardCount"], out["TargetShardCount"]) == (2, 4)
         and until(lambda: world.summary().get("OpenShardCount") == 4, "four shards"),
         nobody(TargetShardCount=2, ScalingType="UNIFORM_SCALING"), NOT_FOUND),
    Case("UpdateStreamMode", by_arn(**ON_DEMAND),
         lambda world, out: world.settled() and world.summary()["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"},
         nobody_by_arn(**ON_DEMAND), NOT_FOUND),
    Case("UpdateStreamRecordDistributionStrategy", after("on_demand", by_arn(RecordDistributionStrategy="AUTO")),
         lambda world, out: world.settled() and world.summary()["RecordDistributionStrategy"] == "AUTO",
         nobody_by_arn(RecordDistributionStrategy="AUTO"), NOT_FOUND),
]


def names_after(world):
    return world.send("ListStreams", ExclusiveStartStreamName=world.name[:-1])["StreamNames"]


def hold(call, case, world):
    """Both calls of a case. A client that has not the operation passes: the matrix shows it."""
    try:
        out = call(case.operation, **case.good(world))
    except UnknownToClient:
        return
    assert case.seen(world, out), out
    code, text = case.refusal
    text = text and text.format(name=world.name, arn=world.arn, account=ACCOUNT, region=REGION)
    try:
        refused(call, case.operation, code, text, **case.bad(world))
    except UnknownToClient:  # ListStreams had no NextToken: its refusal comes in test_operation_of_the_account
        assert case.operation == "ListStreams"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_operation(client, send, stream, case):
    world = World(stream(2), send)
    try:
        hold(client, case, world)
    finally:
        if case.operation == "CreateStream":
            send("DeleteStream", StreamName=world.name + "-new")


def test_subscribe_to_shard(client, send, stream):
    world = World(stream(2), send)
    world.put()
    consumer = world.consumer()
    position = {"ConsumerARN": consumer, "StartingPosition": {"Type": "TRIM_HORIZON"}}
    try:
        out = client.subscribe(1, 10, ShardId=FIRST_SHARD, **position)
    except UnknownToClient:
        return
    (event,) = out["events"]
    assert [record["Data"] for record in event["Records"]] == [b"data"] and event["ContinuationSequenceNumber"]
    assert event["MillisBehindLatest"] == 0 and out["ended"] is False and "error" not in out
    text = f"Shard shardId-000000000009 in stream {world.name} under account {ACCOUNT} does not exist"
    with pytest.raises(ServiceError) as caught:
        client.subscribe(1, 10, ShardId="shardId-000000000009", **position)
    assert (caught.value.code, caught.value.message) == ("ResourceNotFoundException", text)


COMMITMENT = {"MinimumThroughputBillingCommitment": {"Status": "ENABLED"}}


@pytest.fixture
def strict(node, client, clients_at):
    """The client at a node that holds the rates of the control plane, and boto3 there."""
    server = node("--limits", "strict")
    return clients_at(client.name, server), server


def refused_by_rate(call, server, operation, **members):
    """While somebody else calls all the time, the rate is exceeded sooner or later: then with the right code."""
    crowd, done = server.client("kinesis"), threading.Event()
    method = getattr(crowd, xform_name(operation))

    def press():
        while not done.is_set():
            try:
                method(**members)
            except crowd.exceptions.LimitExceededException:
                time.sleep(0.02)

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        return until(lambda: rate_exceeded(call, operation, members), f"{operation} refused", seconds=20)
    finally:
        done.set()
        pressing.join()


def rate_exceeded(call, operation, members):
    try:
        call.once(operation, **members)
    except ServiceError as error:
        assert (error.code, error.status) == ("LimitExceededException", 400), error
        return True
    return False


ACCOUNT_CASES = [
    ("ListStreams", {}, lambda out: out["StreamNames"] is not None),
    ("DescribeLimits", {}, lambda out: out["ShardLimit"] > out["OpenShardCount"] >= 0 and out["OnDemandStreamCountLimit"] > 0),
    ("DescribeAccountSettings", {}, lambda out: out["MinimumThroughputBillingCommitment"]["Status"]),
    ("UpdateAccountSettings", COMMITMENT,
     lambda out: out["MinimumThroughputBillingCommitment"]["Status"] == "ENABLED"),
]


@pytest.mark.ours("the rates of an account's operations, and a setting that costs money")
@pytest.mark.parametrize("row", ACCOUNT_CASES, ids=lambda row: row[0])
def test_operation_of_the_account(strict, row):
    call, server = strict
    operation, members, seen = row
    try:
        out = call(operation, **members)
    except UnknownToClient:
        return
    assert seen(out), out
    refused_by_rate(call, server, operation, **members)


@pytest.mark.ours("a setting of the account that costs money")
def test_update_stream_warm_throughput(strict, stream, boto_at):
    call, server = strict
    send = boto_at(server)
    send("UpdateAccountSettings", **COMMITMENT)
    name = stream(None, send=send)
    try:
        out = call("UpdateStreamWarmThroughput", StreamName=name, WarmThroughputMiBps=8)
    except UnknownToClient:
        return
    assert out["StreamName"] == name and out["WarmThroughput"]["TargetMiBps"] == 8
    refused(call, "UpdateStreamWarmThroughput", *NOT_FOUND, StreamName="nothing", WarmThroughputMiBps=8)
