"""Registered consumers: register, describe, list, deregister."""

import re

import pytest

from endpoint import ACCOUNT, ARN
from tools import refused, until

fact = pytest.mark.fact
NOT_FOUND = "ResourceNotFoundException"


def register(call, name, consumer="reader"):
    return call("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName=consumer)["Consumer"]


def described(call, arn):
    return call("DescribeStreamConsumer", ConsumerARN=arn)["ConsumerDescription"]


def active(call, arn):
    until(lambda: described(call, arn)["ConsumerStatus"] == "ACTIVE", "the consumer ACTIVE")


@fact("consumer-arn", "consumer-created-in-seconds")
def test_register_and_describe(client, send, stream):
    name = stream(1)
    made = register(client, name)
    created = made["ConsumerCreationTimestamp"]
    assert made["ConsumerName"] == "reader" and made["ConsumerStatus"] in ("CREATING", "ACTIVE")
    assert created.microsecond == 0
    assert made["ConsumerARN"] == f"{ARN}{name}/consumer/reader:{int(created.timestamp())}"
    active(client, made["ConsumerARN"])
    found = described(client, made["ConsumerARN"])
    assert found["StreamARN"] == ARN + name and found["ConsumerCreationTimestamp"] == created
    by_name = client("DescribeStreamConsumer", StreamARN=ARN + name, ConsumerName="reader")["ConsumerDescription"]
    assert by_name == found
    assert send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["ConsumerCount"] == 1


def test_deregister(client, send, stream):
    name = stream(1)
    arn = register(client, name)["ConsumerARN"]
    active(client, arn)
    client("DeregisterStreamConsumer", StreamARN=ARN + name, ConsumerName="reader")
    until(lambda: not (client("ListStreamConsumers", StreamARN=ARN + name).get("Consumers") or []), "gone")
    created = arn.rsplit(":", 1)[1]
    text = f"Consumer reader with creation timestamp {created} under stream: {name}, account {ACCOUNT} not found."
    refused(client, "DescribeStreamConsumer", NOT_FOUND, text, ConsumerARN=arn)
    refused(client, "DeregisterStreamConsumer", NOT_FOUND, text, ConsumerARN=arn)
    assert send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["ConsumerCount"] == 0
    register(client, name)


def test_pages_of_consumers(client, stream):
    name = stream(1)
    names = sorted(f"reader-{n}" for n in range(5))
    for one in names:
        active(client, register(client, name, one)["ConsumerARN"])
    first = client("ListStreamConsumers", StreamARN=ARN + name, MaxResults=2)
    second = client("ListStreamConsumers", StreamARN=ARN + name, MaxResults=2, NextToken=first["NextToken"])
    third = client("ListStreamConsumers", StreamARN=ARN + name, NextToken=second["NextToken"])
    found = [one["ConsumerName"] for page in (first, second, third) for one in page["Consumers"]]
    assert sorted(found) == names and len(first["Consumers"]) == len(second["Consumers"]) == 2
    assert not third.get("NextToken")


def test_consumers_are_refused(send, stream):
    name, other = stream(1), stream(1, suffix="-other")
    arn = register(send, name)["ConsumerARN"]
    active(send, arn)
    exists = f"Consumer reader under stream {name} already exists for account {ACCOUNT}."
    refused(send, "RegisterStreamConsumer", "ResourceInUseException", exists, StreamARN=ARN + name, ConsumerName="reader")
    elder = re.sub(r":\d+$", ":1500000000", arn)
    missing = f"Consumer reader with creation timestamp 1500000000 under stream: {name}, account {ACCOUNT} not found."
    for operation in ("DescribeStreamConsumer", "DeregisterStreamConsumer"):
        refused(send, operation, NOT_FOUND, missing, ConsumerARN=elder)
        refused(send, operation, NOT_FOUND, StreamARN=ARN + name, ConsumerName="nobody")
        refused(send, operation, "InvalidArgumentException", StreamARN=ARN + name)
        gone = f"{ARN}nothing/consumer/reader:1500000000"
        text = f"Stream nothing under account {ACCOUNT} not found."
        refused(send, operation, NOT_FOUND, text, ConsumerARN=gone)
    register(send, other)
    first = send("ListStreamConsumers", StreamARN=ARN + other, MaxResults=1)
    assert [one["ConsumerName"] for one in first["Consumers"]] == ["reader"]
    refused(send, "ListStreamConsumers", "InvalidArgumentException", "Invalid NextToken.", StreamARN=ARN + name, NextToken="x")


@pytest.mark.ours("a flag")
def test_twenty_consumers_and_no_more(node, boto_at, stream):
    send = boto_at(node("--limits", "strict"))
    name = stream(1, send=send)
    for n in range(20):
        active(send, register(send, name, f"reader-{n}")["ConsumerARN"])
    text = refused(send, "RegisterStreamConsumer", "LimitExceededException", StreamARN=ARN + name, ConsumerName="one-more").message
    assert not text.startswith("Rate exceeded"), text
