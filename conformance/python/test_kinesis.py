"""boto3 against the ten Kinesis operations. Texts and forms as AWS answers them."""

import datetime
import hashlib
import re

import pytest

from conftest import read_shard, refused, until
from server import ACCOUNT

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"
MAX_HASH = 2**128 - 1
MISSING = f"Stream nothing under account {ACCOUNT} not found."


def test_describe_and_list(kinesis, stream):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=60)
    name = stream(3)
    described = kinesis.describe_stream(StreamName=name)["StreamDescription"]
    assert described["StreamName"] == name
    assert described["StreamARN"] == ARN + name
    assert described["StreamStatus"] == "ACTIVE"
    assert described["RetentionPeriodHours"] == 24
    assert described["EnhancedMonitoring"] == [{"ShardLevelMetrics": []}]
    assert described["EncryptionType"] == "NONE"
    assert described["HasMoreShards"] is False
    assert described["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert described["StreamCreationTimestamp"] >= before
    assert described["StreamCreationTimestamp"].microsecond == 0
    shards = described["Shards"]
    assert [shard["ShardId"] for shard in shards] == [f"shardId-{n:012}" for n in range(3)]
    step = 2**128 // 3
    ranges = [(shard["HashKeyRange"]["StartingHashKey"], shard["HashKeyRange"]["EndingHashKey"]) for shard in shards]
    assert ranges == [("0", str(step - 1)), (str(step), str(2 * step - 1)), (str(2 * step), str(MAX_HASH))]
    for shard in shards:
        assert set(shard["SequenceNumberRange"]) == {"StartingSequenceNumber"}
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 3 and summary["ConsumerCount"] == 0
    assert summary["MaxRecordSizeInKiB"] == 1024 and summary["StreamARN"] == ARN + name
    assert kinesis.list_shards(StreamName=name)["Shards"] == shards
    assert kinesis.describe_stream(StreamARN=ARN + name)["StreamDescription"] == described
    page = kinesis.describe_stream(StreamName=name, Limit=2)["StreamDescription"]
    assert page["HasMoreShards"] is True and page["Shards"] == shards[:2]
    rest = kinesis.describe_stream(StreamName=name, ExclusiveStartShardId="shardId-000000000001")["StreamDescription"]
    assert rest["HasMoreShards"] is False and rest["Shards"] == shards[2:]


def test_list_streams_pages(kinesis, stream):
    names = sorted(stream(1, suffix=f"-{n}") for n in range(5))
    first = kinesis.list_streams(Limit=2, ExclusiveStartStreamName=names[0])
    assert first["StreamNames"] == names[1:3] and first["HasMoreStreams"] is True
    summary = first["StreamSummaries"][0]
    assert summary["StreamName"] == names[1] and summary["StreamARN"] == ARN + names[1]
    assert summary["StreamStatus"] == "ACTIVE" and summary["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    following = kinesis.list_streams(Limit=2, NextToken=first["NextToken"])
    assert following["StreamNames"] == names[3:5]
    listed = kinesis.list_streams()["StreamNames"]
    assert listed == sorted(listed) and set(names) <= set(listed)
    refused(
        kinesis.list_streams, "InvalidArgumentException", "ExclusiveStartStreamName and NextToken cannot be provided together.",
        NextToken=first["NextToken"], ExclusiveStartStreamName="a",
    )
    refused(kinesis.list_streams, "InvalidArgumentException", "Invalid NextToken.", NextToken="nonsense")


def test_list_shards_pages(kinesis, stream):
    name = stream(5)
    first = kinesis.list_shards(StreamName=name, MaxResults=2)
    second = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=2)
    third = kinesis.list_shards(NextToken=second["NextToken"], StreamName=name)
    found = [shard["ShardId"] for page in (first, second, third) for shard in page["Shards"]]
    assert found == [f"shardId-{n:012}" for n in range(5)]
    assert "NextToken" not in third
    after = kinesis.list_shards(StreamName=name, ExclusiveStartShardId="shardId-000000000002")["Shards"]
    assert [shard["ShardId"] for shard in after] == ["shardId-000000000003", "shardId-000000000004"]
    filtered = kinesis.list_shards(StreamName=name, ShardFilter={"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000003"})
    assert [shard["ShardId"] for shard in filtered["Shards"]] == ["shardId-000000000004"]
    for kind in ("AT_LATEST", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON"):
        assert len(kinesis.list_shards(StreamName=name, ShardFilter={"Type": kind})["Shards"]) == 5
    refused(
        kinesis.list_shards, "InvalidArgumentException", "NextToken and ShardFilter cannot be provided together.",
        NextToken=first["NextToken"], ShardFilter={"Type": "AT_LATEST"},
    )
    refused(
        kinesis.list_shards, "InvalidArgumentException", "ShardId must be provided when the ShardFilter Type is AFTER_SHARD_ID.",
        StreamName=name, ShardFilter={"Type": "AFTER_SHARD_ID"},
    )
    other = stream(1, suffix="-other")
    refused(
        kinesis.list_shards, "InvalidArgumentException", "NextToken does not match the provided StreamName.",
        NextToken=first["NextToken"], StreamName=other,
    )


def shard_of(hash_value, shards):
    step = 2**128 // shards
    return f"shardId-{min(hash_value // step, shards - 1):012}"


def test_records_go_where_their_hash_says(kinesis, stream):
    name = stream(4)
    keys = ["a", "ünïcödé", "日本", "x" * 256, " ", "key-5", "0"]
    for key in keys:
        expected = shard_of(int.from_bytes(hashlib.md5(key.encode()).digest(), "big"), 4)
        assert kinesis.put_record(StreamName=name, PartitionKey=key, Data=b"x")["ShardId"] == expected, key
    step = 2**128 // 4
    borders = [0, 1, step - 1, step, step + 1, 2 * step - 1, 2 * step, 3 * step - 1, 3 * step, MAX_HASH - 1, MAX_HASH]
    for value in borders:
        answer = kinesis.put_record(StreamName=name, PartitionKey="a", ExplicitHashKey=str(value), Data=b"x")
        assert answer["ShardId"] == shard_of(value, 4), value
    entries = [{"PartitionKey": "a", "ExplicitHashKey": str(value), "Data": b"x"} for value in borders]
    answers = kinesis.put_records(StreamName=name, Records=entries)["Records"]
    assert [answer["ShardId"] for answer in answers] == [shard_of(value, 4) for value in borders]
    refused(
        kinesis.put_record, "InvalidArgumentException",
        f"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {2**128}",
        StreamName=name, PartitionKey="a", ExplicitHashKey=str(2**128), Data=b"x",
    )


def test_put_records_answers_in_request_order(kinesis, stream):
    name = stream(3)
    for count in (1, 2, 499, 500):
        entries = [{"PartitionKey": f"{n}", "Data": f"{count}/{n}".encode()} for n in range(count)]
        answer = kinesis.put_records(StreamName=name, Records=entries)
        assert answer["FailedRecordCount"] == 0
        assert "EncryptionType" not in answer
        assert len(answer["Records"]) == count
        at = {}
        for shard in {one["ShardId"] for one in answer["Records"]}:
            at.update({(shard, one["SequenceNumber"]): one["Data"] for one in read_shard(kinesis, name, shard)})
        for n, one in enumerate(answer["Records"]):
            assert set(one) == {"SequenceNumber", "ShardId"}
            assert at[one["ShardId"], one["SequenceNumber"]] == f"{count}/{n}".encode()


def test_records_come_back_as_they_were(kinesis, stream):
    name = stream(1)
    datas = [b"", b"\0", bytes(range(256)), "üñí\n".encode(), b"x" * (1024 * 1024 - 1)]
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=60)
    numbers = [kinesis.put_record(StreamName=name, PartitionKey="k", Data=data)["SequenceNumber"] for data in datas]
    records = read_shard(kinesis, name, "shardId-000000000000")
    assert [record["Data"] for record in records] == datas
    assert [record["SequenceNumber"] for record in records] == numbers
    for record in records:
        assert record["PartitionKey"] == "k"
        assert "EncryptionType" not in record
        assert before <= record["ApproximateArrivalTimestamp"]
    arrivals = [record["ApproximateArrivalTimestamp"] for record in records]
    assert arrivals == sorted(arrivals)


def test_sequence_numbers(kinesis, stream):
    """56 digits, 186 bits, in AWS's layout, rising; a re-created stream never repeats them."""
    name = stream(2)
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    put = [kinesis.put_record(StreamName=name, PartitionKey=f"{n}", Data=b"x") for n in range(50)]
    last = {}
    for answer in put:
        number = answer["SequenceNumber"]
        assert re.fullmatch(r"\d{56}", number)
        parsed = f"{int(number):x}"
        assert len(parsed) == 47 and parsed[0] == "2" and parsed[-1] == "2"
        shard = int(answer["ShardId"][-12:])
        assert int(parsed[38:46], 16) == shard and int(parsed[10], 16) == shard % 16
        assert parsed[27:29] == "00"
        start = next(one for one in shards if one["ShardId"] == answer["ShardId"])["SequenceNumberRange"]
        assert int(number) > int(start["StartingSequenceNumber"])
        assert int(number) > last.get(shard, 0)
        last[shard] = int(number)
    kinesis.delete_stream(StreamName=name)
    until(lambda: name not in kinesis.list_streams(ExclusiveStartStreamName=name[:-1])["StreamNames"], "deleted")
    assert stream(2) == name
    for shard in range(2):
        again = kinesis.put_record(
            StreamName=name, PartitionKey="x", Data=b"x", ExplicitHashKey=str(shard * 2**127)
        )["SequenceNumber"]
        assert int(again) > last[shard]
    assert len(read_shard(kinesis, name, "shardId-000000000000")) == 1, "the old stream's records are gone"


def test_iterators(kinesis, stream):
    name, shard = stream(1), "shardId-000000000000"
    numbers = [kinesis.put_record(StreamName=name, PartitionKey="k", Data=b"%d" % n)["SequenceNumber"] for n in range(5)]
    latest = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    start = kinesis.list_shards(StreamName=name)["Shards"][0]["SequenceNumberRange"]["StartingSequenceNumber"]
    read = lambda **position: b"".join(record["Data"] for record in read_shard(kinesis, name, shard, **position))
    assert read() == b"01234"
    assert read(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2]) == b"234"
    assert read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[2]) == b"34"
    assert read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[4]) == b""
    assert read(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=start) == b"01234"
    arrivals = [record["ApproximateArrivalTimestamp"] for record in read_shard(kinesis, name, shard)]
    assert read(ShardIteratorType="AT_TIMESTAMP", Timestamp=arrivals[0]) == b"01234"
    assert read(ShardIteratorType="AT_TIMESTAMP", Timestamp=datetime.datetime(2020, 1, 1)) == b"01234"
    at_last = read(ShardIteratorType="AT_TIMESTAMP", Timestamp=arrivals[4])
    assert at_last.endswith(b"4") and b"01234".endswith(at_last), "inclusive"
    kinesis.put_record(StreamName=name, PartitionKey="k", Data=b"5")
    page = kinesis.get_records(ShardIterator=latest)
    assert [record["Data"] for record in page["Records"]] == [b"5"], "LATEST is pinned when it is asked for"
    again = kinesis.get_records(ShardIterator=latest)
    assert [record["Data"] for record in again["Records"]] == [b"5"], "an iterator may be used again"
    assert kinesis.get_records(ShardIterator=page["NextShardIterator"])["Records"] == []
    limited = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    pages = []
    for _ in range(4):
        page = kinesis.get_records(ShardIterator=limited, Limit=2)
        pages.append(b"".join(record["Data"] for record in page["Records"]))
        limited = page["NextShardIterator"]
    assert pages == [b"01", b"23", b"45", b""]
    assert kinesis.get_shard_iterator(StreamName=name, ShardId="x-0", ShardIteratorType="LATEST")["ShardIterator"]


def test_iterators_are_refused(kinesis, stream):
    name, shard = stream(2), "shardId-000000000000"
    numbers = [
        kinesis.put_record(StreamName=name, PartitionKey="k", ExplicitHashKey=value, Data=b"x")["SequenceNumber"]
        for value in ("0", str(MAX_HASH))
    ]
    get = kinesis.get_shard_iterator
    must = (
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or "
        "LATEST and no StartingSequenceNumber. Request specified {} and {} StartingSequenceNumber."
    )
    refused(
        get, "InvalidArgumentException", must.format("AT_SEQUENCE_NUMBER", "no"),
        StreamName=name, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER",
    )
    refused(
        get, "InvalidArgumentException", must.format("LATEST", "also a"),
        StreamName=name, ShardId=shard, ShardIteratorType="LATEST", StartingSequenceNumber=numbers[0],
    )
    refused(
        get, "InvalidArgumentException",
        f"Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with {shard}",
        StreamName=name, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1],
    )
    refused(
        get, "InvalidArgumentException",
        "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.",
        StreamName=name, ShardId=shard, ShardIteratorType="AT_TIMESTAMP",
    )
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    answer = refused(
        get, "InvalidArgumentException", None,
        StreamName=name, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=future,
    )
    assert answer["Error"]["Message"].startswith(
        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: "
    )
    refused(
        get, "ResourceNotFoundException", f"Shard shardId-000000000007 in stream {name} under account {ACCOUNT} does not exist",
        StreamName=name, ShardId="shardId-000000000007", ShardIteratorType="LATEST",
    )
    # AWS does not tell readers a missing stream from a missing shard.
    missing = f"Shard {shard} in stream nothing under account {ACCOUNT} does not exist"
    refused(get, "ResourceNotFoundException", missing, StreamName="nothing", ShardId=shard, ShardIteratorType="LATEST")
    refused(kinesis.get_records, "InvalidArgumentException", "Invalid ShardIterator.", ShardIterator="AAAAAAAAAAnonsense")


def test_business_refusals(kinesis, stream):
    name = stream(1)
    refused(
        kinesis.create_stream, "ResourceInUseException", f"Stream {name} under account {ACCOUNT} already exists.",
        StreamName=name, ShardCount=1,
    )
    for call, more in (
        (kinesis.describe_stream, {}),
        (kinesis.describe_stream_summary, {}),
        (kinesis.list_shards, {}),
        (kinesis.delete_stream, {}),
        (kinesis.put_record, {"PartitionKey": "k", "Data": b"x"}),
        (kinesis.put_records, {"Records": [{"PartitionKey": "k", "Data": b"x"}]}),
    ):
        answer = refused(call, "ResourceNotFoundException", MISSING, StreamName="nothing", **more)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused(
        kinesis.describe_stream, "InvalidArgumentException",
        f"The region specified in the ARN 'arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/{name}' does not match the endpoint region",
        StreamARN=f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/{name}",
    )


def test_accounts_are_apart(kinesis, server, stream):
    name = stream(1)
    other = server.client("kinesis", account="111111111111")
    refused(
        other.describe_stream, "ResourceNotFoundException", f"Stream {name} under account 111111111111 not found.", StreamName=name
    )
    elsewhere = server.client("kinesis", region="eu-central-1")
    refused(elsewhere.describe_stream, "ResourceNotFoundException", None, StreamName=name)


ENTRY = {"PartitionKey": "k", "Data": b"x"}

# (operation, parameters, fragments of the message, in any order, and how many errors it counts)
VALIDATION = [
    ("create_stream", {}, ["Value null at 'streamName' failed to satisfy constraint: Member must not be null"], 1),
    (
        "create_stream", {"StreamName": "a b", "ShardCount": 0},
        [
            "Value 'a b' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
            "Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ],
        2,
    ),
    (
        "create_stream", {"StreamName": "x" * 129, "ShardCount": 1},
        [f"Value '{'x' * 129}' at 'streamName' failed to satisfy constraint: Member must have length less than or equal to 128"], 1,
    ),
    ("describe_stream", {"StreamName": "x", "Limit": 10001},
     ["Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"], 1),
    ("list_shards", {"StreamName": "x", "MaxResults": 0},
     ["Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 1"], 1),
    ("put_record", {"StreamName": "x", "PartitionKey": "", "Data": b"x"},
     ["Value '' at 'partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1"], 1),
    ("put_record", {"StreamName": "x", "PartitionKey": "k" * 257, "Data": b"x"},
     ["at 'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256"], 1),
    ("put_record", {"StreamName": "x", "PartitionKey": "k"},
     ["Value null at 'data' failed to satisfy constraint: Member must not be null"], 1),
    ("put_record", {"StreamName": "x", "PartitionKey": "k", "Data": b"x", "ExplicitHashKey": "01"},
     ["Value '01' at 'explicitHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: "
      r"^(0|([1-9]\d{0,38}))$"], 1),
    ("put_records", {"StreamName": "x", "Records": []},
     ["Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"], 1),
    ("put_records", {"StreamName": "x", "Records": [ENTRY] * 501},
     ["at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"], 1),
    ("put_records", {"StreamName": "x", "Records": [ENTRY, {"PartitionKey": "", "Data": b"x"}]},
     ["Value '' at 'records.2.member.partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1"], 1),
    ("get_shard_iterator", {"StreamName": "x", "ShardId": "shardId-000000000000", "ShardIteratorType": "SOMEWHERE"},
     ["Value 'SOMEWHERE' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: "
      "[AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"], 1),
    ("get_records", {"ShardIterator": "x", "Limit": 10001},
     ["Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"], 1),
    ("get_records", {}, ["Value null at 'shardIterator' failed to satisfy constraint: Member must not be null"], 1),
]


@pytest.mark.parametrize("row", range(len(VALIDATION)))
def test_constraints(kinesis, row):
    operation, parameters, fragments, count = VALIDATION[row]
    message = refused(getattr(kinesis, operation), "ValidationException", None, **parameters)["Error"]["Message"]
    errors = "error" if count == 1 else "errors"
    assert message.startswith(f"{count} validation {errors} detected: "), message
    assert all(fragment in message for fragment in fragments), message


def test_one_bad_entry_refuses_the_whole_call(kinesis, stream):
    name = stream(1)
    too_large = {"PartitionKey": "k", "Data": b"x" * (1024 * 1024)}
    with pytest.raises(kinesis.exceptions.ClientError) as caught:
        kinesis.put_records(StreamName=name, Records=[ENTRY, too_large])
    assert caught.value.response["Error"]["Code"] in ("ValidationException", "InvalidArgumentException")
    assert read_shard(kinesis, name, "shardId-000000000000") == []


def test_answers_carry_aws_s_headers(kinesis):
    metadata = kinesis.list_streams()["ResponseMetadata"]
    headers = metadata["HTTPHeaders"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["x-amzn-requestid"])
    assert len(headers["x-amz-id-2"]) >= 72
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "date" in headers and "content-length" in headers
