"""Every operation of Firehose through every client: once with success and once with a business error. The matrix comes
from here."""

import dataclasses
import typing

import pytest

from clients import UnknownToClient
from deliveries import NOT_FOUND, ROLE, active, arn_of, described, s3
from endpoint import ACCOUNT, REGION
from tools import refused, until

pytestmark = pytest.mark.every_client

NOTHING = ("ResourceNotFoundException", NOT_FOUND)
KEY = {"KeyType": "AWS_OWNED_CMK"}


@dataclasses.dataclass
class World:
    """A fresh delivery stream, and boto3 to prepare what the case needs."""

    name: str
    send: typing.Callable

    def tagged(self):
        self.send("TagDeliveryStream", DeliveryStreamName=self.name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}])

    def encrypted(self):
        self.send("StartDeliveryStreamEncryption", DeliveryStreamName=self.name, DeliveryStreamEncryptionConfigurationInput=KEY)
        self.is_encrypted("ENABLED")

    def is_encrypted(self, status):
        wanted = lambda: described(self.send, self.name)["DeliveryStreamEncryptionConfiguration"]["Status"] == status
        return until(wanted, f"encryption {status}")

    def tags(self):
        listed = self.send("ListTagsForDeliveryStream", DeliveryStreamName=self.name)["Tags"]
        return {tag["Key"]: tag.get("Value") or None for tag in listed}

    def prefix(self):
        now = described(self.send, self.name)
        return now["Destinations"][0]["ExtendedS3DestinationDescription"].get("Prefix"), now["VersionId"]

    def gone(self):
        names = lambda: self.send("ListDeliveryStreams", Limit=10000)["DeliveryStreamNames"]
        return until(lambda: self.name not in names(), f"{self.name} deleted")


@dataclasses.dataclass
class Case:
    """As in `test_coverage`: the call that succeeds, what is seen of it, and the call that is refused."""

    operation: str
    good: typing.Callable
    seen: typing.Callable
    bad: typing.Callable = None
    refusal: tuple = NOTHING


def named(prepare=None, **members):
    def given(world):
        if prepare:
            getattr(world, prepare)()
        return {"DeliveryStreamName": world.name} | members

    return given


def nothing(**members):
    return lambda world: {"DeliveryStreamName": "nothing"} | members


def update(version, **members):
    return {
        "CurrentDeliveryStreamVersionId": version,
        "DestinationId": "destinationId-000000000001",
        "ExtendedS3DestinationUpdate": members,
    }


RECORD = {"Data": b"data"}
CASES = [
    Case("CreateDeliveryStream",
         lambda world: {"DeliveryStreamName": world.name + "-new", "DeliveryStreamType": "DirectPut", **s3()},
         lambda world, out: out["DeliveryStreamARN"] == arn_of(world.name + "-new")
         and active(world.send, world.name + "-new")["VersionId"] == "1",
         lambda world: {"DeliveryStreamName": world.name, **s3()},
         ("ResourceInUseException", "Firehose {name} under accountId {account} already exists")),
    Case("DeleteDeliveryStream", named(), lambda world, out: out == {} and world.gone(), nothing()),
    Case("DescribeDeliveryStream", named(),
         lambda world, out: out["DeliveryStreamDescription"]["DeliveryStreamARN"] == arn_of(world.name)
         and out["DeliveryStreamDescription"]["Destinations"][0]["S3DestinationDescription"]["RoleARN"] == ROLE,
         nothing()),
    # Its model has no errors of its own.
    Case("ListDeliveryStreams",
         lambda world: {"ExclusiveStartDeliveryStreamName": world.name[:-1], "Limit": 1},
         lambda world, out: out["DeliveryStreamNames"] == [world.name]),
    Case("ListTagsForDeliveryStream", named("tagged", Limit=1),
         lambda world, out: out["Tags"] == [{"Key": "a", "Value": "1"}] and out["HasMoreTags"] is True, nothing()),
    Case("PutRecord", named(Record=RECORD), lambda world, out: out["RecordId"] and out["Encrypted"] is False,
         nothing(Record=RECORD), ("ResourceNotFoundException", NOT_FOUND)),
    Case("PutRecordBatch", named(Records=[RECORD, {"Data": b""}]),
         lambda world, out: out["FailedPutCount"] == 0 and len({one["RecordId"] for one in out["RequestResponses"]}) == 2,
         nothing(Records=[RECORD]), ("ResourceNotFoundException", NOT_FOUND)),
    Case("StartDeliveryStreamEncryption", named(DeliveryStreamEncryptionConfigurationInput=KEY),
         lambda world, out: out == {} and world.is_encrypted("ENABLED"),
         nothing(DeliveryStreamEncryptionConfigurationInput=KEY)),
    Case("StopDeliveryStreamEncryption", named("encrypted"),
         lambda world, out: out == {} and world.is_encrypted("DISABLED"), nothing()),
    Case("TagDeliveryStream", named(Tags=[{"Key": "a", "Value": "é"}, {"Key": "b"}]),
         lambda world, out: out == {} and world.tags() == {"a": "é", "b": None}, nothing(Tags=[{"Key": "a"}])),
    Case("UntagDeliveryStream", named("tagged", TagKeys=["b", "c"]),
         lambda world, out: out == {} and world.tags() == {"a": "1"}, nothing(TagKeys=["a"])),
    Case("UpdateDestination", named(**update("1", Prefix="p/")),
         lambda world, out: out == {} and world.prefix() == ("p/", "2"),
         named(**update("9", Prefix="p/")),
         ("ConcurrentModificationException", "Cannot update firehose: {name} since the current version id: 2 and specified "
          "version id: 9 do not match")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_operation(firehose_client, deliver, send_firehose, case):
    world = World(deliver(), send_firehose)
    if case.operation == "CreateDeliveryStream":
        deliver.adopt(world.name + "-new")
    out = firehose_client(case.operation, **case.good(world))
    assert case.seen(world, out), out
    if case.bad:
        code, text = case.refusal
        text = text.format(name=world.name, account=ACCOUNT, region=REGION)
        refused(firehose_client, case.operation, code, text, **case.bad(world))


DESTINATIONS = [
    ("http", {"HttpEndpointDestinationConfiguration": {
        "EndpointConfiguration": {"Url": "https://receiver.example/records", "Name": "a receiver", "AccessKey": "secret"},
        "RequestConfiguration": {"ContentEncoding": "GZIP", "CommonAttributes": [{"AttributeName": "a", "AttributeValue": "b"}]},
        "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::backup"}}},
     "HttpEndpointDestinationDescription"),
    ("splunk", {"SplunkDestinationConfiguration": {
        "HECEndpoint": "https://splunk.example:8088", "HECEndpointType": "Event", "HECToken": "a token",
        "S3Configuration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::backup"}}},
     "SplunkDestinationDescription"),
]


@pytest.mark.parametrize("row", DESTINATIONS, ids=lambda row: row[0])
def test_destinations_of_every_client(firehose_client, deliver, send_firehose, row):
    """Structures of other destinations than S3 pass through every SDK in both directions."""
    _, destination, described_as = row
    name = deliver.adopt(f"every-client-{row[0]}-{firehose_client.name}")
    try:
        firehose_client("CreateDeliveryStream", DeliveryStreamName=name, **destination)
    except UnknownToClient:
        return
    active(send_firehose, name)
    out = firehose_client("DescribeDeliveryStream", DeliveryStreamName=name)["DeliveryStreamDescription"]["Destinations"][0]
    (given,) = destination.values()
    for member, value in given.items():
        if member == "EndpointConfiguration":
            assert out[described_as][member] == {"Url": value["Url"], "Name": value["Name"]}, "the key is not told"
        elif member != "S3Configuration":
            assert out[described_as][member] == value
    assert out[described_as]["S3DestinationDescription"]["BucketARN"] == "arn:aws:s3:::backup"
