"""HTTP endpoint destinations, received by the OpenTelemetry collector's awsfirehosereceiver."""

import base64
import json
import re

import pytest

from conftest import RECEIVER, SECURE
from deliveries import HINTS, ROLE, http, plain
from servers import ACCESS_KEY, body
from tools import until

RECORDS = [b"plain text\n", b"", "é and \x00".encode(), bytes(range(256)), b'{"json":[1,2]}', b"x" * 100_000]
HINTS_NOW = {"SizeInMBs": 1, "IntervalInSeconds": 0}


def attributes(name):
    return [{"AttributeName": "stream", "AttributeValue": name}, {"AttributeName": "quoted", "AttributeValue": 'a "b" é'}]


@pytest.mark.parametrize("encoding", ["NONE", "GZIP"])
def test_records_arrive_byte_for_byte(deliver, send, receivers, bucket, encoding):
    mark = f"http-{encoding}"
    name = deliver(http(
        RECEIVER, bucket[0], endpoint={"AccessKey": ACCESS_KEY, "Name": "the collector"}, BufferingHints=HINTS,
        RequestConfiguration={"ContentEncoding": encoding, "CommonAttributes": attributes(mark)},
    ))
    answer = send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": data} for data in RECORDS])
    assert answer["FailedPutCount"] == 0
    mine = lambda: [line for line in receivers.lines("firehose") if line["resource"].get("stream") == mark]
    until(lambda: len(mine()) >= len(RECORDS), "the collector has the records")
    assert [body(line) for line in mine()] == RECORDS
    assert all(line["resource"] == {"stream": mark, "quoted": 'a "b" é'} for line in mine())
    assert bucket[1]() == {}, "nothing failed, and only what fails is backed up"


def test_over_tls(deliver, send, receivers, bucket):
    """The certificate is of an authority that only the configuration names."""
    name = deliver(http(SECURE, bucket[0], endpoint={"AccessKey": ACCESS_KEY}, BufferingHints=HINTS))
    send("PutRecord", DeliveryStreamName=name, Record={"Data": b"over TLS"})
    until(lambda: [body(line) for line in receivers.lines("firehose-tls")] == [b"over TLS"], "the collector has it")


def test_created_by_the_cli(aws, deliver, receivers, bucket):
    name = deliver.adopt("http-by-the-cli")
    aws("firehose", "create-delivery-stream", "--delivery-stream-name", name, "--http-endpoint-destination-configuration", {
        "EndpointConfiguration": {"Url": RECEIVER, "AccessKey": ACCESS_KEY},
        "BufferingHints": HINTS,
        "S3BackupMode": "AllData",
        "S3Configuration": plain(bucket[0], BufferingHints=HINTS, Prefix="all/"),
    })
    described = lambda: aws("firehose", "describe-delivery-stream", "--delivery-stream-name", name)["DeliveryStreamDescription"]
    until(lambda: described()["DeliveryStreamStatus"] == "ACTIVE", "ACTIVE")
    aws("firehose", "put-record", "--delivery-stream-name", name, "--record", '{"Data":"put by the CLI\\n"}')
    until(lambda: b"put by the CLI\n" in [body(line) for line in receivers.lines("firehose")], "the collector has it")
    until(lambda: list(bucket[1]("all/").values()) == [b"put by the CLI\n"], "the backup has it")


def test_what_is_refused_ends_in_the_error_output(deliver, send, receivers, bucket):
    """The collector answers 401 to a wrong key."""
    name = deliver(http(
        RECEIVER, bucket[0], endpoint={"AccessKey": "a wrong key"}, BufferingHints=HINTS_NOW, RetryOptions={"DurationInSeconds": 0},
        backup={"BufferingHints": HINTS, "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/"},
    ))
    sent = [b"refused %d\n" % n for n in range(3)]
    send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": data} for data in sent])
    lines = lambda: b"".join(bucket[1]("failed/http-endpoint-failed/").values()).splitlines()
    until(lambda: len(lines()) == len(sent), "the error output has the records")
    for data, line in zip(sent, map(json.loads, lines())):
        assert base64.b64decode(line["rawData"]) == data
        assert re.fullmatch(r"HttpEndpoint\.\w+", line["errorCode"]) and line["errorMessage"] and line["attemptsMade"] >= 1
        assert line["attemptEndingTimestamp"] >= line["arrivalTimestamp"] > 1.7e12
        assert list(line)[:6] == [
            "attemptsMade", "arrivalTimestamp", "errorCode", "errorMessage", "attemptEndingTimestamp", "rawData",
        ]
    assert not [data for data in map(body, receivers.lines("firehose")) if data in sent]


def test_a_receiver_that_comes_back_gets_everything(deliver, send, receivers, bucket):
    """Refused while the key is wrong, and delivered when UpdateDestination has put it right."""
    name = deliver(http(
        RECEIVER, bucket[0], endpoint={"AccessKey": "a wrong key"}, BufferingHints=HINTS_NOW,
        RetryOptions={"DurationInSeconds": 7200},
    ))
    send("PutRecord", DeliveryStreamName=name, Record={"Data": b"put before the update\n"})
    send(
        "UpdateDestination", DeliveryStreamName=name, CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        HttpEndpointDestinationUpdate={"EndpointConfiguration": {"Url": RECEIVER, "AccessKey": ACCESS_KEY}, "RoleARN": ROLE},
    )
    send("PutRecord", DeliveryStreamName=name, Record={"Data": b"put after the update\n"})
    got = lambda: [body(line) for line in receivers.lines("firehose")]
    until(lambda: b"put after the update\n" in got() and b"put before the update\n" in got(), "both")
