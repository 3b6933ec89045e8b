"""boto3 against Firehose, and what is delivered to a bucket directory."""

import gzip
import re
import uuid

import pytest
from botocore.exceptions import ClientError

from endpoint import ACCOUNT
from tools import until

fact = pytest.mark.fact
ROLE = "arn:aws:iam::000000000000:role/levada"


def refused(call, code, message=None, **parameters):
    """The call is refused with this code and, if given, exactly this message; returns the whole answer."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    if message is not None:
        assert error["Message"] == message
    return caught.value.response


@pytest.fixture
def bucket(server):
    """Makes names of directory buckets, with a function that reads their objects: {key below the bucket: bytes}."""
    if not server.data_dir:
        pytest.skip("the endpoint's data directory is not ours to look into")

    def make():
        name = f"bucket-{uuid.uuid4()}"
        directory = server.data_dir / "buckets" / name

        def objects():
            # What is being written stands in `.%tmp` until it is whole.
            files = [path for path in directory.rglob("*") if path.is_file() and ".%tmp" not in path.parts]
            return {str(path.relative_to(directory)): path.read_bytes() for path in files}

        return name, objects

    return make


def test_the_plain_s3_form(firehose):
    name = "test_plain_s3"
    created = firehose.create_delivery_stream(
        DeliveryStreamName=name,
        DeliveryStreamType="DirectPut",
        S3DestinationConfiguration={"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", "Prefix": "p/", "CompressionFormat": "GZIP"},
    )
    assert created["DeliveryStreamARN"].endswith(f":deliverystream/{name}")
    describe = lambda: firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    until(lambda: describe()["DeliveryStreamStatus"] == "ACTIVE", "ACTIVE")
    (destination,) = describe()["Destinations"]
    assert destination["S3DestinationDescription"]["Prefix"] == "p/"
    assert destination["S3DestinationDescription"]["CompressionFormat"] == "GZIP"
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    gone = lambda: name not in firehose.list_delivery_streams(Limit=10000)["DeliveryStreamNames"]
    until(gone, "deleted")
    refused(
        firehose.put_record, "ResourceNotFoundException", f"Firehose {name} under account {ACCOUNT} not found.",
        DeliveryStreamName=name, Record={"Data": b"x"},
    )


VALIDATION = [
    ("put_record", {"DeliveryStreamName": "x"}, "Value at 'record' failed to satisfy constraint: Member must not be null"),
    ("put_record", {"DeliveryStreamName": "x", "Record": {"Data": b"x" * 1_024_001}},
     "at 'record.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"),
    ("put_record_batch", {"DeliveryStreamName": "x", "Records": []},
     "Value at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"),
    ("put_record_batch", {"DeliveryStreamName": "x", "Records": [{"Data": b"x"}] * 501},
     "at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"),
    ("put_record_batch", {"DeliveryStreamName": "x", "Records": [{"Data": b"x"}, {"Data": b"x" * 1_024_001}]},
     "at 'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"),
    ("describe_delivery_stream", {"DeliveryStreamName": "a b"},
     "Value at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: "),
    ("list_delivery_streams", {"Limit": 0},
     "Value at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"),
    ("create_delivery_stream",
     {"DeliveryStreamName": "x", "ExtendedS3DestinationConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b",
      "BufferingHints": {"SizeInMBs": 129, "IntervalInSeconds": 1}}},
     "at 'extendedS3DestinationConfiguration.bufferingHints.sizeInMBs' failed to satisfy constraint: "
     "Member must have value less than or equal to 128"),
]


@pytest.mark.parametrize("row", range(len(VALIDATION)))
def test_constraints(firehose, row):
    operation, parameters, fragment = VALIDATION[row]
    message = refused(getattr(firehose, operation), "ValidationException", None, **parameters)["Error"]["Message"]
    assert message.startswith("1 validation error detected: ") and fragment in message, message


@fact("firehose-no-delimiter", "firehose-encrypted-member")
def test_records_are_delivered_to_a_directory(firehose, delivery, bucket):
    bucket_name, objects = bucket()
    name = delivery(BucketARN=f"arn:aws:s3:::{bucket_name}", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 1})
    put = firehose.put_record(DeliveryStreamName=name, Record={"Data": b"first;"})
    assert put["RecordId"] and put["Encrypted"] is False
    batch = firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"%d;" % n} for n in range(500)])
    assert batch["FailedPutCount"] == 0 and batch["Encrypted"] is False
    ids = [answer["RecordId"] for answer in batch["RequestResponses"]]
    assert len(set(ids)) == 500 and put["RecordId"] not in ids
    expected = b"first;" + b"".join(b"%d;" % n for n in range(500))
    until(lambda: sum(len(content) for content in objects().values()) >= len(expected), "delivered")
    found = objects()
    for key in found:
        day = r"\d{4}/\d\d/\d\d/\d\d/"
        assert re.fullmatch(day + re.escape(name) + r"-1-\d{4}(-\d\d){5}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", key), key
    in_order = sorted(found.values(), key=lambda content: expected.find(content))
    assert b"".join(in_order) == expected, "records concatenate, undelimited"


def test_buffers_are_cut_by_size(firehose, delivery, bucket):
    bucket_name, objects = bucket()
    name = delivery(BucketARN=f"arn:aws:s3:::{bucket_name}", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 900})
    for _ in range(4):
        firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"x" * 100_000}] * 6)
    until(lambda: sum(map(len, objects().values())) >= 1024 * 1024, "an object of 1 MiB, long before the interval ends")
    assert all(len(content) <= 2 * 1024 * 1024 for content in objects().values())


@fact("firehose-literal-prefix")
def test_gzip_prefix_and_extension(firehose, delivery, bucket):
    bucket_name, objects = bucket()
    name = delivery(
        BucketARN=f"arn:aws:s3:::{bucket_name}",
        BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0},
        CompressionFormat="GZIP",
        Prefix="legacy",
    )
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"zipped\n"})
    until(lambda: objects(), "delivered")
    ((key, content),) = objects().items()
    assert re.match(r"legacy\d{4}/\d\d/\d\d/\d\d/", key), "no slash is added to a literal prefix"
    assert key.endswith(".gz")
    assert gzip.decompress(content) == b"zipped\n"


def test_odd_keys_stay_in_the_bucket(firehose, delivery, bucket, server):
    """A prefix that climbs: nothing is written outside the bucket's directory, and delivery is not blocked."""
    bucket_name, objects = bucket()
    outside = lambda: {path for path in server.data_dir.parent.iterdir()} | {path for path in (server.data_dir / "buckets").iterdir()}
    name = delivery(
        BucketARN=f"arn:aws:s3:::{bucket_name}",
        BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0},
        Prefix="../../a//b/./ü e/",
    )
    before = outside()
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"odd"})
    until(lambda: list(objects().values()) == [b"odd"], "delivered inside")
    assert outside() - before <= {server.data_dir / "buckets" / bucket_name}


def test_deleting_a_stream_of_the_same_name_starts_anew(firehose, delivery, bucket):
    bucket_name, objects = bucket()
    hints = {"SizeInMBs": 128, "IntervalInSeconds": 900}
    name = delivery(BucketARN=f"arn:aws:s3:::{bucket_name}", BufferingHints=hints)
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"of the first"})
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    until(lambda: name not in firehose.list_delivery_streams(Limit=10000)["DeliveryStreamNames"], "deleted")
    delivery(BucketARN=f"arn:aws:s3:::{bucket_name}", BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 0})
    firehose.put_record(DeliveryStreamName=name, Record={"Data": b"of the second"})
    until(lambda: b"of the second" in objects().values(), "delivered")
    assert b"of the first" not in b"".join(objects().values()) or list(objects().values()).count(b"of the first") == 1
