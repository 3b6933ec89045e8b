"""Splunk destinations, received and acknowledged by the OpenTelemetry collector's splunkhecreceiver."""

import json

import pytest

from conftest import SPLUNK
from deliveries import splunk
from tools import until

HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 1}


def test_raw_events_arrive_byte_for_byte(deliver, send, receivers, bucket):
    name = deliver(splunk(SPLUNK, bucket[0], HECEndpointType="Raw", BufferingHints=HINTS))
    sent = [f"raw {n} é\n".encode() for n in range(50)]
    send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": data} for data in sent])
    got = lambda: b"".join(receivers.taken("splunk", "raw "))
    until(lambda: len(got()) >= len(b"".join(sent)), "the collector has the events")
    assert got() == b"".join(sent), "the records' bytes follow each other"
    assert bucket[1]() == {}


def test_events_with_their_metadata(deliver, send, receivers, bucket):
    name = deliver(splunk(SPLUNK, bucket[0], HECEndpointType="Event", BufferingHints=HINTS))
    sent = [{"event": f"event {n}", "source": "suite", "fields": {"n": str(n)}} for n in range(20)]
    send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": json.dumps(one).encode()} for one in sent])
    mine = lambda: [line for line in receivers.lines("splunk") if line["resource"].get("com.splunk.source") == "suite"]
    until(lambda: len(mine()) >= len(sent), "the collector has the events")
    assert [(line["body"], line["record"]["n"]) for line in mine()] == [(one["event"], one["fields"]["n"]) for one in sent]
    assert bucket[1]() == {}


def test_all_events_are_backed_up_if_asked(aws, deliver, send, receivers, bucket):
    (destination,) = splunk(
        SPLUNK, bucket[0], BufferingHints=HINTS, S3BackupMode="AllEvents", HECAcknowledgmentTimeoutInSeconds=180,
        backup={"BufferingHints": HINTS, "CompressionFormat": "UNCOMPRESSED"},
    ).values()
    name = deliver.adopt("splunk-by-the-cli")
    aws("firehose", "create-delivery-stream", "--delivery-stream-name", name, "--splunk-destination-configuration", destination)
    described = lambda: aws("firehose", "describe-delivery-stream", "--delivery-stream-name", name)["DeliveryStreamDescription"]
    until(lambda: described()["DeliveryStreamStatus"] == "ACTIVE", "ACTIVE")
    send("PutRecord", DeliveryStreamName=name, Record={"Data": b"backed up\n"})
    until(lambda: receivers.taken("splunk", "backed up"), "the collector has it")
    until(lambda: list(bucket[1]().values()) == [b"backed up\n"], "the backup has it")


@pytest.mark.parametrize("bad", [b"no JSON", b'{"event": "", "fields": {"deep": {"er": 1}}}'], ids=["text", "nested"])
def test_what_the_collector_refuses_ends_in_the_error_output(deliver, send, bucket, bad):
    name = deliver(splunk(
        SPLUNK, bucket[0], HECEndpointType="Event", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0},
        RetryOptions={"DurationInSeconds": 0},
        backup={"BufferingHints": HINTS, "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/"},
    ))
    send("PutRecord", DeliveryStreamName=name, Record={"Data": bad})
    lines = lambda: b"".join(bucket[1]("failed/splunk-failed/").values()).splitlines()
    (line,) = map(json.loads, until(lines, "the error output has it"))
    assert line["errorCode"].startswith("Splunk.") and line["EventId"].endswith(".0")
