"""Clients that cannot run here: their requests, kept in fixtures/clients.toml, and the Terraform provider's calls."""

import base64
import hashlib
import pathlib
import tomllib

import httpx
import pytest

from endpoint import ACCOUNT, ARN, REGION
from tools import read_shard, refused, until

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures" / "clients.toml"
CLIENTS = tomllib.loads(FIXTURES.read_text(encoding="utf-8"))["client"]
DATE = "20261120T120000Z"


def sent(client, operation, body):
    """The headers of a request, signed as the client would say; the signature itself is none."""
    headers = {"x-amz-target": f"Kinesis_20131202.{operation}", "x-amz-date": DATE, **client["headers"]}
    if "x-amz-content-sha256" in client["signed"]:
        headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    scope = f"{ACCOUNT}/{DATE[:8]}/{REGION}/kinesis/aws4_request"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(client['signed'])}, Signature={'0' * 64}"
    )
    return headers


@pytest.mark.ours("not really signed")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client["name"])
def test_clients_that_cannot_run_here(server, send, stream, client):
    name, iterator = stream(1), ""
    for request in client["request"]:
        body = request["body"].replace("STREAM", name).replace("ITERATOR", iterator).encode()
        answer = httpx.post(server.url, content=body, headers=sent(client, request["operation"], body))
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert set(request["answer"]) <= set(document)
        assert document.get("FailedRecordCount", 0) == 0
        iterator = document.get("ShardIterator", iterator)
    read = [[record["PartitionKey"], base64.b64encode(record["Data"]).decode()] for record in read_shard(send, name)]
    assert read == client["records"]


class Terraform:
    """The calls of the provider's aws_kinesis_stream resource (hashicorp/terraform-provider-aws, service/kinesis/stream.go)."""

    def __init__(self, call, name):
        self.call, self.name = call, name

    def settled(self):
        """What the provider waits for, without its first ten seconds of patience."""
        until(lambda: self.read()["status"] == "ACTIVE", "ACTIVE")

    def create(self, tags, retention, metrics, shards):
        self.call("DescribeLimits")
        self.call("CreateStream", StreamName=self.name, ShardCount=shards, Tags=tags)
        self.settled()
        self.change("IncreaseStreamRetentionPeriod", RetentionPeriodHours=retention)
        self.change("EnableEnhancedMonitoring", ShardLevelMetrics=metrics)

    def change(self, operation, by_arn=False, **members):
        own = {"StreamARN": ARN + self.name} if by_arn else {"StreamName": self.name}
        self.call(operation, **own, **members)
        self.settled()

    def read(self):
        """The attributes of the state."""
        found = self.call("DescribeStreamSummary", StreamName=self.name)["StreamDescriptionSummary"]
        tags = self.call("ListTagsForStream", StreamName=self.name)
        return {
            "arn": found["StreamARN"], "status": found["StreamStatus"], "encryption_type": found["EncryptionType"],
            "kms_key_id": found.get("KeyId"), "max_record_size_in_kib": found["MaxRecordSizeInKiB"],
            "retention_period": found["RetentionPeriodHours"], "shard_count": found["OpenShardCount"],
            "shard_level_metrics": sorted(metric for one in found["EnhancedMonitoring"] for metric in one["ShardLevelMetrics"]),
            "stream_mode": found["StreamModeDetails"]["StreamMode"],
            "tags": {tag["Key"]: tag["Value"] for tag in tags["Tags"]},
        }


@pytest.mark.ours("a key that does not exist")
def test_terraform_sees_no_drift(send):
    resource = Terraform(send, "terraform")
    resource.create({"Name": "terraform", "team": "a"}, 24, ["IncomingBytes", "OutgoingBytes"], 2)
    first = resource.read()
    assert first == {
        "arn": ARN + "terraform", "status": "ACTIVE", "encryption_type": "NONE", "kms_key_id": None,
        "max_record_size_in_kib": 1024, "retention_period": 24, "shard_count": 2,
        "shard_level_metrics": ["IncomingBytes", "OutgoingBytes"], "stream_mode": "PROVISIONED",
        "tags": {"Name": "terraform", "team": "a"},
    }
    assert resource.read() == first, "the second plan is empty"
    resource.change("UpdateShardCount", ScalingType="UNIFORM_SCALING", TargetShardCount=3)
    resource.change("IncreaseStreamRetentionPeriod", RetentionPeriodHours=48)
    resource.change("DisableEnhancedMonitoring", ShardLevelMetrics=["IncomingBytes"])
    resource.change("EnableEnhancedMonitoring", ShardLevelMetrics=["IncomingRecords"])
    resource.change("StartStreamEncryption", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    resource.change("UpdateMaxRecordSize", by_arn=True, MaxRecordSizeInKiB=2048)
    resource.change("RemoveTagsFromStream", TagKeys=["team"])
    resource.change("AddTagsToStream", Tags={"Name": "changed"})
    changed = first | {
        "retention_period": 48, "shard_count": 3, "shard_level_metrics": ["IncomingRecords", "OutgoingBytes"],
        "encryption_type": "KMS", "kms_key_id": "alias/aws/kinesis", "max_record_size_in_kib": 2048, "tags": {"Name": "changed"},
    }
    assert resource.read() == changed and resource.read() == changed
    resource.change("StopStreamEncryption", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    resource.change("DecreaseStreamRetentionPeriod", RetentionPeriodHours=24)
    send("DeleteStream", StreamName="terraform", EnforceConsumerDeletion=False)
    gone = lambda: "terraform" not in send("ListStreams", ExclusiveStartStreamName="terraforl")["StreamNames"]
    until(gone, "deleted")
    refused(send, "DescribeStreamSummary", "ResourceNotFoundException", StreamName="terraform")
