"""Fixtures: one server for the short tests, and clients for it. LEVADA_ENDPOINT names a running one instead."""

import os
import pathlib
import time

import pytest

from server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    url = os.environ.get("LEVADA_ENDPOINT")
    with Server(tmp_path_factory.mktemp("node") / "data", url=url) as running:
        yield running


@pytest.fixture(scope="session")
def kinesis(server):
    return server.client("kinesis")


@pytest.fixture(scope="session")
def firehose(server):
    return server.client("firehose")


@pytest.fixture(scope="session")
def flights():
    """All 336,776 flights, as the lines of the file without the header, line ends included."""
    path = os.environ.get("LEVADA_FLIGHTS")
    if not path:
        pytest.skip("LEVADA_FLIGHTS does not name flights.csv (cargo xtask test fetches it)")
    lines = pathlib.Path(path).read_bytes().splitlines(keepends=True)[1:]
    assert len(lines) == 336_776
    return lines


def until(condition, what, seconds=60):
    """Waits for a true value and returns it."""
    patience = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < patience, f"{what}: not within {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def stream(kinesis, request):
    """Makes streams named after the test, ACTIVE, and deletes them."""
    made = []

    def make(shards=1, suffix=""):
        name = request.node.name.replace("[", "-").rstrip("]")[:100] + suffix
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        made.append(name)
        active = lambda: kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE"
        until(active, f"{name} ACTIVE")
        return name

    yield make
    for name in made:
        try:
            kinesis.delete_stream(StreamName=name)
        except kinesis.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def delivery(firehose, request):
    """Makes delivery streams named after the test, ACTIVE, and deletes them."""
    made = []

    def make(client=firehose, **configuration):
        name = request.node.name.replace("[", "-").rstrip("]")[:60]
        configuration.setdefault("RoleARN", "arn:aws:iam::000000000000:role/levada")
        configuration.setdefault("BucketARN", "arn:aws:s3:::bucket")
        client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=configuration)
        made.append((client, name))
        describe = lambda: client.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        until(lambda: describe()["DeliveryStreamStatus"] == "ACTIVE", f"{name} ACTIVE")
        return name

    yield make
    for client, name in made:
        try:
            client.delete_delivery_stream(DeliveryStreamName=name)
        except client.exceptions.ResourceNotFoundException:
            pass
        except Exception as error:  # the server of this client has ended already
            if "EndpointConnectionError" not in type(error).__name__:
                raise


def read_shard(client, stream, shard, **position):
    """All records from a position to the end of a shard."""
    position.setdefault("ShardIteratorType", "TRIM_HORIZON")
    iterator = client.get_shard_iterator(StreamName=stream, ShardId=shard, **position)["ShardIterator"]
    records = []
    while iterator:
        page = client.get_records(ShardIterator=iterator)
        records += page["Records"]
        if not page["Records"] and page["MillisBehindLatest"] == 0:
            break
        iterator = page.get("NextShardIterator")
    return records


def refused(call, code, message=None, **parameters):
    """The call is refused with this code and, if given, exactly this message; returns the whole answer."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    if message is not None:
        assert error["Message"] == message
    return caught.value.response
