"""What the tests share: waiting, reading a shard, refusals."""

import time

import pytest

from clients import ServiceError

FIRST_SHARD = "shardId-000000000000"
MAX_HASH = 2**128 - 1


def until(condition, what, seconds=60):
    """Waits for a true value and returns it."""
    patience = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < patience, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def refused(call, operation, code, message=None, **members):
    """The call is refused with this code and, if given, exactly this message; returns the error."""
    with pytest.raises(ServiceError) as caught:
        call(operation, **members)
    error = caught.value
    assert error.code == code, error
    if message is not None:
        assert error.message == message
    assert error.status == 400
    return error


def iterator(call, stream, shard=FIRST_SHARD, kind="TRIM_HORIZON", **position):
    return call("GetShardIterator", StreamName=stream, ShardId=shard, ShardIteratorType=kind, **position)["ShardIterator"]


def read_shard(call, stream, shard=FIRST_SHARD, kind="TRIM_HORIZON", **position):
    """All records from a position to the end of a shard, or to its tip if it is open."""
    at = iterator(call, stream, shard, kind, **position)
    records = []
    while at:
        page = call("GetRecords", ShardIterator=at)
        records += page["Records"]
        if not page["Records"] and page.get("MillisBehindLatest", 0) == 0:
            break
        at = page.get("NextShardIterator")
    return records


def shards_of(call, stream, **filters):
    """Every shard of a stream by id, in order."""
    page = call("ListShards", StreamName=stream, **filters)
    shards = list(page["Shards"])
    while page.get("NextToken"):
        page = call("ListShards", NextToken=page["NextToken"])
        shards += page["Shards"]
    return {shard["ShardId"]: shard for shard in shards}


def is_open(shard):
    return not shard["SequenceNumberRange"].get("EndingSequenceNumber")


def hash_range(shard):
    return int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"])
