"""Firehose through the AWS CLI (version 1). (Kinesis goes through it in test_coverage.)"""

import json
import subprocess
import sys

import pytest

import endpoint
from tools import until


@pytest.fixture
def aws(server, tmp_path):
    environment = endpoint.environment(server.url) | {"HOME": str(tmp_path)}

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
