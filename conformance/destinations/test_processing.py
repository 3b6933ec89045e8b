"""What happens to records on their way: functions, partitions, de-aggregation, a data stream as the source."""

import base64
import gzip
import json
import time

import pytest

from clients.boto import Boto
from conftest import FUNCTION
from deliveries import HINTS, ROLE, Maker, arn_of, plain, processors, s3
from endpoint import ARN
from results import Results
from tools import until

fact = pytest.mark.fact
ERRORS = "failed/!{firehose:error-output-type}/"
DELIMITER = ("AppendDelimiterToRecord", {"Delimiter": "\\n"})
# With dynamic partitioning AWS wants at least 64 MB and a minute; the node's clock is moved.
PARTITIONED = {"SizeInMBs": 64, "IntervalInSeconds": 60}


def put(send, name, records):
    answer = send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": data} for data in records])
    assert answer["FailedPutCount"] == 0


def until_due(node, seen, what):
    """Moves the clock a minute at a time: a record may have come to its partition's buffer after a move."""

    def moved():
        node.advance(61)
        time.sleep(0.5)
        return seen()

    return until(moved, what)


def function(name, **parameters):
    given = {"LambdaArn": f"{FUNCTION}{name}:$LATEST", "BufferSizeInMBs": "1", "BufferIntervalInSeconds": "0"}
    return ("Lambda", given | parameters)


def upper(event):
    """Upper case; what says `drop` is dropped, what says `fail` fails."""
    replies = []
    for record in event["records"]:
        data = base64.b64decode(record["data"])
        result = "Dropped" if b"drop" in data else "ProcessingFailed" if b"fail" in data else "Ok"
        replies.append({"recordId": record["recordId"], "result": result, "data": base64.b64encode(data.upper()).decode()})
    return {"records": replies}


@fact("firehose-raw-data")
def test_a_function_over_http(deliver, send, functions, bucket):
    functions.functions["upper"] = upper
    name = deliver(s3(bucket[0], Prefix="good/", ErrorOutputPrefix=ERRORS, BufferingHints=HINTS, **processors(function("upper"))))
    put(send, name, [b"one;", b"drop;", b"fail;", b"two;"])
    until(lambda: b"".join(bucket[1]("good/").values()) == b"ONE;TWO;", "what the function made")
    lines = lambda: b"".join(bucket[1]("failed/processing-failed/").values()).splitlines()
    (line,) = map(json.loads, until(lines, "what failed"))
    assert list(line) == [
        "rawData", "errorCode", "errorMessage", "attemptsMade", "arrivalTimestamp", "attemptEndingTimestamp", "lambdaARN",
    ]
    assert base64.b64decode(line["rawData"]) == b"fail;" and line["errorCode"] == "Lambda.ProcessingFailedStatus"
    event = next(event for called, event in functions.events if event["deliveryStreamArn"] == arn_of(name))
    assert set(event) == {"invocationId", "deliveryStreamArn", "region", "records"}
    assert set(event["records"][0]) == {"recordId", "approximateArrivalTimestamp", "data"}


def test_a_function_that_raises(deliver, send, functions, bucket):
    """Called 1 + NumberOfRetries times; then the whole batch is error output, as it was put."""
    functions.functions["raises"] = lambda event: 1 / 0
    processing = processors(function("raises", NumberOfRetries="2"))
    name = deliver(s3(bucket[0], ErrorOutputPrefix=ERRORS, BufferingHints=HINTS, **processing))
    put(send, name, [b"a", b"b"])
    lines = lambda: b"".join(bucket[1]("failed/processing-failed/").values()).splitlines()
    until(lambda: len(lines()) == 2, "the error output")
    for data, line in zip((b"a", b"b"), map(json.loads, lines())):
        assert base64.b64decode(line["rawData"]) == data
        assert (line["errorCode"], line["attemptsMade"]) == ("Lambda.FunctionError", 3)
    calls = [event for called, event in functions.events if event["deliveryStreamArn"] == arn_of(name)]
    assert len(calls) == 3 and all(event["records"] == calls[0]["records"] for event in calls), "the same records"


def test_a_function_that_is_a_local_command(deliver, send, bucket):
    name = deliver(s3(bucket[0], BufferingHints=HINTS, **processors(function("command"))))
    put(send, name, [b"abc", b"def"])
    until(lambda: b"".join(bucket[1]().values()) == b"cbafed", "what the command made")


@fact("firehose-no-delimiter")
def test_partitions_by_jq(deliver, send, bucket, node):
    query = {"MetadataExtractionQuery": "{customer:.customer,kind:.event.kind}", "JsonParsingEngine": "JQ-1.6"}
    name = deliver(s3(
        bucket[0], Prefix="c=!{partitionKeyFromQuery:customer}/k=!{partitionKeyFromQuery:kind}/", ErrorOutputPrefix=ERRORS,
        BufferingHints=PARTITIONED, DynamicPartitioningConfiguration={"Enabled": True},
        **processors(("MetadataExtraction", query), DELIMITER),
    ))
    rows = [{"customer": f"c{n % 3}", "event": {"kind": n % 2}, "n": n} for n in range(30)]
    put(send, name, [json.dumps(row).encode() for row in rows] + [b"no JSON"])
    good = lambda: {key: content for key, content in bucket[1]().items() if key.startswith("c=")}
    until_due(node, lambda: len(good()) == 6, "six partitions")
    for key, content in good().items():
        customer, kind = key.split("/")[:2]
        wanted = [row for row in rows if f"c={row['customer']}" == customer and f"k={row['event']['kind']}" == kind]
        assert [json.loads(line) for line in content.splitlines()] == wanted
        assert not content.endswith(b"\n"), "the delimiter stands between records"
    lines = lambda: b"".join(bucket[1]("failed/processing-failed/").values()).splitlines()
    (line,) = map(json.loads, until_due(node, lines, "what is no JSON"))
    assert base64.b64decode(line["rawData"]) == b"no JSON" and line["errorCode"].startswith("DynamicPartitioning.")


def test_partitions_by_a_function(deliver, send, functions, bucket, node):
    def keyed(event):
        answer = upper(event)
        for reply in answer["records"]:
            reply["metadata"] = {"partitionKeys": {"first": base64.b64decode(reply["data"])[:1].decode()}}
        return answer

    functions.functions["upper"] = keyed
    name = deliver(s3(
        bucket[0], Prefix="!{partitionKeyFromLambda:first}/", ErrorOutputPrefix=ERRORS, BufferingHints=PARTITIONED,
        DynamicPartitioningConfiguration={"Enabled": True}, **processors(function("upper")),
    ))
    put(send, name, [b"ab;", b"ba;", b"ac;"])
    content = lambda: {key.split("/")[0]: value for key, value in bucket[1]().items()}
    until_due(node, lambda: content() == {"A": b"AB;AC;", "B": b"BA;"}, "two partitions")


def test_json_records_are_taken_apart(deliver, send, bucket, node):
    query = {"MetadataExtractionQuery": "{n:.n}", "JsonParsingEngine": "JQ-1.6"}
    name = deliver(s3(
        bucket[0], Prefix="!{partitionKeyFromQuery:n}/", ErrorOutputPrefix=ERRORS, BufferingHints=PARTITIONED,
        DynamicPartitioningConfiguration={"Enabled": True},
        **processors(("RecordDeAggregation", {"SubRecordType": "JSON"}), ("MetadataExtraction", query)),
    ))
    put(send, name, [b'{"n":1}{"n":2}\n{"n":3}'])
    until_due(node, lambda: sorted(key.split("/")[0] for key in bucket[1]()) == ["1", "2", "3"], "three records")


@fact("firehose-message-extraction")
def test_cloudwatch_logs_are_decompressed(send, node, bucket):
    """From a data stream: direct puts of such records are CloudWatch's alone."""
    kinesis = Boto(node.client("kinesis"), Results(None))
    kinesis("CreateStream", StreamName="logs", ShardCount=1)
    status = lambda: kinesis("DescribeStreamSummary", StreamName="logs")["StreamDescriptionSummary"]["StreamStatus"]
    until(lambda: status() == "ACTIVE", "ACTIVE")
    chain = processors(("Decompression", {"CompressionFormat": "GZIP"}), ("CloudWatchLogProcessing", {"DataMessageExtraction": "true"}))
    maker = Maker("decompressed", send)
    maker(
        s3(bucket[0], BufferingHints=HINTS, ErrorOutputPrefix=ERRORS, **chain), DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": ARN + "logs", "RoleARN": ROLE},
    )
    events = [{"id": str(n), "timestamp": n, "message": f"message {n}"} for n in range(3)]
    logs = {
        "messageType": "DATA_MESSAGE", "owner": "1", "logGroup": "g", "logStream": "s", "subscriptionFilters": ["f"],
        "logEvents": events,
    }
    for data in (gzip.compress(json.dumps(logs).encode()), b"not compressed"):
        kinesis("PutRecord", StreamName="logs", PartitionKey="k", Data=data)
    good = lambda: b"".join(content for key, content in bucket[1]().items() if not key.startswith("failed/"))
    until(lambda: good() == b"message 0\nmessage 1\nmessage 2\n", "the messages")
    failed = until(lambda: bucket[1]("failed/decompression-failed/"), "the other record")
    (line,) = map(json.loads, b"".join(failed.values()).splitlines())
    assert base64.b64decode(line["rawData"]) == b"not compressed"
    maker.delete()


def test_the_source_is_backed_up(deliver, send, functions, bucket):
    functions.functions["upper"] = upper
    name = deliver(s3(
        bucket[0], Prefix="good/", ErrorOutputPrefix=ERRORS, BufferingHints=HINTS, S3BackupMode="Enabled",
        S3BackupConfiguration=plain(bucket[0], Prefix="source/", BufferingHints=HINTS, CompressionFormat="GZIP"),
        **processors(function("upper")),
    ))
    put(send, name, [b"one;", b"fail;"])
    until(lambda: b"".join(bucket[1]("good/").values()) == b"ONE;", "what the function made")
    sources = lambda: b"".join(gzip.decompress(content) for content in bucket[1]("source/").values())
    until(lambda: sources() == b"one;fail;", "the source records")


def test_a_data_stream_is_the_source(deliver, send, node, bucket):
    kinesis = Boto(node.client("kinesis"), Results(None))
    kinesis("CreateStream", StreamName="the-source", ShardCount=2)
    status = lambda: kinesis("DescribeStreamSummary", StreamName="the-source")["StreamDescriptionSummary"]["StreamStatus"]
    until(lambda: status() == "ACTIVE", "ACTIVE")
    kinesis("PutRecord", StreamName="the-source", PartitionKey="k", Data=b"before;")
    source = {"KinesisStreamARN": ARN + "the-source", "RoleARN": ROLE}
    name = deliver(
        s3(bucket[0], BufferingHints=HINTS),
        DeliveryStreamType="KinesisStreamAsSource", KinesisStreamSourceConfiguration=source,
    )
    sent = [b"record %d;" % n for n in range(100)]
    first, second = ("0", str(2**127))
    for half in (sent[:50], sent[50:]):
        records = [{"Data": data, "PartitionKey": "k", "ExplicitHashKey": first if n % 2 else second} for n, data in enumerate(half)]
        assert kinesis("PutRecords", StreamName="the-source", Records=records)["FailedRecordCount"] == 0
        if half[0] == sent[0]:
            shard = kinesis("ListShards", StreamName="the-source")["Shards"][0]
            middle = str(int(shard["HashKeyRange"]["EndingHashKey"]) // 2)
            kinesis("SplitShard", StreamName="the-source", ShardToSplit=shard["ShardId"], NewStartingHashKey=middle)
            until(lambda: status() == "ACTIVE", "split")
    got = lambda: sorted(b"".join(bucket[1]().values()).split(b";")[:-1])
    until(lambda: len(got()) >= len(sent), "all records through the reshard")
    assert got() == sorted(data[:-1] for data in sent), "each once, and nothing from before the creation"
    with pytest.raises(Exception, match="This operation is not permitted on KinesisStreamAsSource delivery stream type."):
        send("PutRecord", DeliveryStreamName=name, Record={"Data": b"x"})
