"""S3 destinations: a store that nobody here wrote, and objects that other people's libraries read."""

import gzip
import io
import json
import os
import pathlib
import re
import struct
import subprocess
import zipfile

import pytest

from deliveries import HINTS, s3
from servers import JVM
from tools import until

fact = pytest.mark.fact
RECORDS = [f"record {n} {'x' * (n % 50)}\n".encode() for n in range(400)]
EVERYTHING = b"".join(RECORDS)


def put(send, name, records):
    for start in range(0, len(records), 500):
        answer = send("PutRecordBatch", DeliveryStreamName=name, Records=[{"Data": data} for data in records[start : start + 500]])
        assert answer["FailedPutCount"] == 0


def read_by_java(codec, content):
    """What snappy-java's and Hadoop's readers make of it."""
    built = pathlib.Path(os.environ["LEVADA_JAVA"]) / "codecs"
    path = os.pathsep.join([str(built / "classes"), str(built / "lib" / "*")])
    ended = subprocess.run(
        ["java", *JVM, "-cp", path, "levada.conformance.codecs.Read", codec], input=content, capture_output=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def unzip(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        (entry,) = archive.namelist()
        return archive.read(entry)


def check_framing(compression, content):
    """The first block's header, byte for byte."""
    if compression == "Snappy":
        assert content[:16] == b"\x82SNAPPY\x00" + struct.pack(">II", 1, 1)
    elif compression == "HADOOP_SNAPPY":
        plain, compressed = struct.unpack(">II", content[:8])
        assert plain <= len(EVERYTHING) and compressed <= len(content) - 8


FORMATS = [
    ("UNCOMPRESSED", "", None, lambda content: content),
    ("GZIP", ".gz", "gzip", gzip.decompress),
    ("ZIP", ".zip", "zip", unzip),
    ("Snappy", ".snappy", "snappy-java", lambda content: read_by_java("snappy", content)),
    ("HADOOP_SNAPPY", ".snappy", "hadoop-snappy", lambda content: read_by_java("hadoop-snappy", content)),
]


@fact("firehose-compression-suffixes", "firehose-content-encodings", "firehose-snappy-framing", "firehose-no-delimiter")
@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row[0])
def test_compressed_objects_are_read_by_other_libraries(deliver, send, store, row):
    compression, extension, encoding, read = row
    prefix = f"{compression.lower()}/"
    name = deliver(s3("store", Prefix=prefix, CompressionFormat=compression, BufferingHints=HINTS))
    put(send, name, RECORDS)
    until(lambda: sum(len(read(content)) for content in store.objects("store", prefix).values()) >= len(EVERYTHING), "delivered")
    objects = store.objects("store", prefix)
    assert b"".join(read(content) for content in objects.values()) == EVERYTHING
    for content in objects.values():
        check_framing(compression, content)
    day = r"\d{4}/\d\d/\d\d/\d\d/"
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    for key in objects:
        assert re.fullmatch(re.escape(prefix) + day + re.escape(name) + r"-1-\d{4}(-\d\d){5}-" + uuid + re.escape(extension), key), key
        head = store.client.head_object(Bucket="store", Key=key)
        assert (head.get("ContentEncoding") or None) == encoding
        assert head["ContentType"] == "application/octet-stream"


def test_large_objects_arrive_whole(deliver, send, store):
    """Larger than one part: a multipart upload, of which a reader sees nothing."""
    name = deliver(s3("store", Prefix="large/", BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 4}))
    sent = [bytes([n]) * 900_000 for n in range(40)]
    for data in range(0, len(sent), 4):
        put(send, name, sent[data : data + 4])
    size = lambda: sum(one["Size"] for one in store.client.list_objects_v2(Bucket="store", Prefix="large/").get("Contents", []))
    until(lambda: size() >= 36_000_000, "delivered")
    assert b"".join(store.objects("store", "large/").values()) == b"".join(sent)


KEYS = [
    ("double-slash//", "double-slash//"),
    ("/leading/", "/leading/"),
    ("tilde~ and space/", "tilde~ and space/"),
    ("literal", "literal"),
]


@pytest.mark.parametrize("row", KEYS, ids=lambda row: row[0])
def test_keys_are_aws_s_exact_bytes(deliver, send, store, row):
    prefix, begins = row
    name = deliver(s3("store", Prefix=prefix, BufferingHints=HINTS))
    put(send, name, [b"one"])
    until(lambda: store.objects("store", begins), "delivered")
    (key,) = store.objects("store", begins)
    assert re.match(re.escape(begins) + r"\d{4}/\d\d/\d\d/\d\d/", key), key


def test_prefix_expressions_and_time_zone(deliver, send, store):
    name = deliver(s3(
        "store", Prefix="expr/!{timestamp:yyyy'-quoted-'MM}/!{firehose:random-string}/", CustomTimeZone="Asia/Tokyo",
        ErrorOutputPrefix="errors/!{firehose:error-output-type}/", FileExtension=".json", BufferingHints=HINTS,
    ))
    put(send, name, [json.dumps({"n": 1}).encode()])
    until(lambda: store.objects("store", "expr/"), "delivered")
    (key,) = store.objects("store", "expr/")
    assert re.fullmatch(r"expr/\d{4}-quoted-\d\d/[A-Za-z0-9]{11}/" + re.escape(name) + r"-1-[-\da-f]+\.json", key), key


@fact("firehose-configuration-when-cut")
def test_an_object_has_one_key(deliver, send, store, node):
    """A flush on demand, and an update between: each record is in one object, named after its version."""
    name = deliver(s3("store", Prefix="once/", BufferingHints={"SizeInMBs": 128, "IntervalInSeconds": 900}))
    put(send, name, [b"first;"])
    send(
        "UpdateDestination", DeliveryStreamName=name, CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "Prefix": "once/again/"},
    )
    put(send, name, [b"second;"])
    until(lambda: b"second;" in b"".join(store.objects("store", "once/").values()), "delivered")
    assert b"".join(sorted(store.objects("store", "once/").values(), key=b"first;second;".find)) == b"first;second;"
    assert any(f"{name}-2-" in key for key in store.objects("store", "once/again/"))
