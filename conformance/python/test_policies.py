"""Resource policies: kept, checked for form, given back."""

import json

import pytest

from endpoint import ACCOUNT, ARN
from tools import refused

fact = pytest.mark.fact


def policy(arn, actions=("kinesis:DescribeStreamSummary", "kinesis:ListShards"), sid="reader"):
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": arn}
    return {"Version": "2012-10-17", "Statement": [statement]}


def stored(call, arn):
    return json.loads(call("GetResourcePolicy", ResourceARN=arn)["Policy"])


@fact("no-policy")
def test_no_policy(client, stream):
    arn = ARN + stream(1)
    assert client("GetResourcePolicy", ResourceARN=arn)["Policy"] == "{}"
    text = f"No resource policy found for resource ARN {arn}."
    refused(client, "DeleteResourcePolicy", "ResourceNotFoundException", text, ResourceARN=arn)


@fact("no-policy", "policy-serialised-again")
def test_put_replace_and_delete(client, stream):
    arn = ARN + stream(1)
    client("PutResourcePolicy", ResourceARN=arn, Policy=json.dumps(policy(arn), indent=4))
    assert stored(client, arn) == policy(arn)
    client("PutResourcePolicy", ResourceARN=arn, Policy=json.dumps(policy(arn, ["kinesis:ListShards"], "other")))
    statement = stored(client, arn)["Statement"]
    (statement,) = statement if isinstance(statement, list) else [statement]
    assert statement["Sid"] == "other" and statement["Action"] == "kinesis:ListShards"
    client("DeleteResourcePolicy", ResourceARN=arn)
    assert stored(client, arn) == {}


@fact("policy-serialised-again")
def test_a_policy_comes_back_compact(send, stream):
    arn = ARN + stream(1)
    send("PutResourcePolicy", ResourceARN=arn, Policy=json.dumps(policy(arn), indent=4))
    text = send("GetResourcePolicy", ResourceARN=arn)["Policy"]
    assert text == json.dumps(json.loads(text), separators=(",", ":")) and "\n" not in text


def test_the_policy_of_a_consumer(send, stream):
    name = stream(1)
    arn = send("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName="c")["Consumer"]["ConsumerARN"]
    own = policy(arn, ["kinesis:SubscribeToShard", "kinesis:DescribeStreamConsumer"])
    send("PutResourcePolicy", ResourceARN=arn, Policy=json.dumps(own))
    assert stored(send, arn) == own
    assert stored(send, ARN + name) == {}, "the stream has none"


@pytest.mark.parametrize("text", ["", "x", "{", "[1", '{"Version": }', "{'a': 1}"])
def test_what_is_no_json_is_refused(send, stream, text):
    arn = ARN + stream(1)
    message = "Policy validation error: This policy contains invalid Json"
    refused(send, "PutResourcePolicy", "InvalidArgumentException", message, ResourceARN=arn, Policy=text)


def test_policies_of_nothing_are_refused(send):
    arn = ARN + "nothing"
    refused(send, "GetResourcePolicy", "ResourceNotFoundException", ResourceARN=arn)
    refused(send, "DeleteResourcePolicy", "ResourceNotFoundException", ResourceARN=arn)
    refused(send, "PutResourcePolicy", "ResourceNotFoundException", ResourceARN=arn, Policy=json.dumps(policy(arn)))
