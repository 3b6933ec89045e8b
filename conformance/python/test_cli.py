"""The AWS CLI (version 1) with nothing set but the endpoint variables that `levada serve` prints."""

import json
import os
import subprocess
import sys

import pytest

from conftest import until


@pytest.fixture
def aws(server, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL_KINESIS": server.url,
        "AWS_ENDPOINT_URL_FIREHOSE": server.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }

    def run(*arguments, refused=None):
        command = [sys.executable, "-m", "awscli", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if refused is not None:
            operation = "".join(word.capitalize() for word in arguments[1].split("-"))
            assert ended.returncode != 0
            assert f"({refused[0]}) when calling the {operation} operation: {refused[1]}" in ended.stderr, ended.stderr
            return None
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if ended.stdout.strip() else None

    return run


def test_kinesis(aws):
    name = "cli-stream"
    missing = ("ResourceNotFoundException", "Stream nothing under account 000000000000 not found.")
    assert aws("kinesis", "create-stream", "--stream-name", name, "--shard-count", "1") is None
    aws("kinesis", "create-stream", "--stream-name", name, "--shard-count", "1",
        refused=("ResourceInUseException", f"Stream {name} under account 000000000000 already exists."))
    summary = lambda: aws("kinesis", "describe-stream-summary", "--stream-name", name)["StreamDescriptionSummary"]
    until(lambda: summary()["StreamStatus"] == "ACTIVE", "ACTIVE")
    aws("kinesis", "describe-stream-summary", "--stream-name", "nothing", refused=missing)
    described = aws("kinesis", "describe-stream", "--stream-name", name)["StreamDescription"]
    assert described["Shards"][0]["ShardId"] == "shardId-000000000000"
    aws("kinesis", "describe-stream", "--stream-name", "nothing", refused=missing)
    assert name in aws("kinesis", "list-streams")["StreamNames"]
    assert len(aws("kinesis", "list-shards", "--stream-name", name)["Shards"]) == 1
    aws("kinesis", "list-shards", "--stream-name", "nothing", refused=missing)

    put = aws("kinesis", "put-record", "--stream-name", name, "--partition-key", "k", "--data", "üñí from the CLI")
    assert put["ShardId"] == "shardId-000000000000" and len(put["SequenceNumber"]) == 56
    aws("kinesis", "put-record", "--stream-name", "nothing", "--partition-key", "k", "--data", "x", refused=missing)
    records = json.dumps([{"Data": "a", "PartitionKey": "a"}, {"Data": "b", "PartitionKey": "b"}])
    assert aws("kinesis", "put-records", "--stream-name", name, "--records", records)["FailedRecordCount"] == 0
    aws("kinesis", "put-records", "--stream-name", "nothing", "--records", records, refused=missing)

    position = ["--stream-name", name, "--shard-id", "shardId-000000000000", "--shard-iterator-type", "TRIM_HORIZON"]
    iterator = aws("kinesis", "get-shard-iterator", *position)["ShardIterator"]
    position[3] = "shardId-000000000005"
    aws("kinesis", "get-shard-iterator", *position, refused=(
        "ResourceNotFoundException", f"Shard shardId-000000000005 in stream {name} under account 000000000000 does not exist"))
    read = aws("kinesis", "get-records", "--shard-iterator", iterator)
    assert [record["PartitionKey"] for record in read["Records"]] == ["k", "a", "b"]
    aws("kinesis", "get-records", "--shard-iterator", "x", refused=("InvalidArgumentException", "Invalid ShardIterator."))
    assert aws("kinesis", "delete-stream", "--stream-name", name) is None
    aws("kinesis", "delete-stream", "--stream-name", "nothing", refused=missing)


def test_firehose(aws):
    name = "cli-delivery"
    missing = ("ResourceNotFoundException", "Firehose nothing under account 000000000000 not found.")
    destination = "RoleARN=arn:aws:iam::000000000000:role/levada,BucketARN=arn:aws:s3:::cli-bucket"
    create = ["firehose", "create-delivery-stream", "--delivery-stream-name", name]
    created = aws(*create, "--extended-s3-destination-configuration", destination)
    assert created["DeliveryStreamARN"] == f"arn:aws:firehose:us-east-1:000000000000:deliverystream/{name}"
    aws(*create, "--s3-destination-configuration", destination,
        refused=("ResourceInUseException", f"Firehose {name} under accountId 000000000000 already exists"))
    describe = ["firehose", "describe-delivery-stream", "--delivery-stream-name"]
    until(lambda: aws(*describe, name)["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE", "ACTIVE")
    aws(*describe, "nothing", refused=missing)
    assert name in aws("firehose", "list-delivery-streams", "--limit", "1000")["DeliveryStreamNames"]
    put = ["firehose", "put-record", "--record", '{"Data":"from the CLI\\n"}', "--delivery-stream-name"]
    assert aws(*put, name)["RecordId"]
    aws(*put, "nothing", refused=missing)
    batch = ["firehose", "put-record-batch", "--records", '[{"Data":"a"},{"Data":"b"}]', "--delivery-stream-name"]
    assert aws(*batch, name)["FailedPutCount"] == 0
    aws(*batch, "nothing", refused=missing)
    delete = ["firehose", "delete-delivery-stream", "--delivery-stream-name"]
    assert aws(*delete, name) is None
    aws(*delete, "nothing", refused=missing)
