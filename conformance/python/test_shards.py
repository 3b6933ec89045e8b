"""SplitShard, MergeShards, UpdateShardCount: what they make, what they refuse, and reading through them."""

import datetime
import threading

import pytest

from endpoint import ACCOUNT, ARN
from tools import FIRST_SHARD, MAX_HASH, hash_range, is_open, iterator, read_shard, refused, shards_of, until

fact = pytest.mark.fact
MIDDLE = str(2**127)
UNIFORM = {"ScalingType": "UNIFORM_SCALING"}


def shard_id(index):
    return f"shardId-{index:012}"


def settle(call, name):
    """ACTIVE again, and every parent closed: while a parent takes the puts, AT_LATEST lists it too."""
    status = lambda: call("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamStatus"]
    until(lambda: status() == "ACTIVE", "ACTIVE again")
    latest = lambda: shards_of(call, name, ShardFilter={"Type": "AT_LATEST"}).values()
    until(lambda: all(is_open(shard) for shard in latest()), "the parents closed")


def split(call, name, shard=FIRST_SHARD, at=MIDDLE):
    call("SplitShard", StreamName=name, ShardToSplit=shard, NewStartingHashKey=at)
    settle(call, name)


def merge(call, name, one, other):
    call("MergeShards", StreamName=name, ShardToMerge=one, AdjacentShardToMerge=other)
    settle(call, name)


def put(call, name, hash_key, data):
    return call("PutRecord", StreamName=name, PartitionKey="k", ExplicitHashKey=str(hash_key), Data=data)


@fact("sequence-of-shard-end", "sequence-of-child")
def test_split(client, stream):
    name = stream(1)
    put(client, name, 0, b"before")
    split(client, name)
    shards = shards_of(client, name)
    assert list(shards) == [shard_id(n) for n in range(3)]
    parent, low, high = shards.values()
    assert not is_open(parent) and is_open(low) and is_open(high)
    assert hash_range(low) == (0, 2**127 - 1) and hash_range(high) == (2**127, MAX_HASH)
    for child in (low, high):
        assert child["ParentShardId"] == FIRST_SHARD and not child.get("AdjacentParentShardId")
    ending = f"{int(parent['SequenceNumberRange']['EndingSequenceNumber']):x}"
    assert ending[11:27] == "7fffffffffffffff"
    starting = f"{int(low['SequenceNumberRange']['StartingSequenceNumber']):x}"
    assert int(starting[1:10], 16) == int(ending[29:38], 16) + 1
    assert put(client, name, 5, b"low")["ShardId"] == shard_id(1)
    assert put(client, name, MAX_HASH, b"high")["ShardId"] == shard_id(2)


@fact("shard-end-after-last-page", "behind-at-shard-end")
def test_the_end_of_a_closed_shard(client, stream):
    name = stream(1)
    put(client, name, 0, b"last")
    split(client, name)
    page = client("GetRecords", ShardIterator=iterator(client, name))
    assert [record["Data"] for record in page["Records"]] == [b"last"] and page["NextShardIterator"]
    end = client("GetRecords", ShardIterator=page["NextShardIterator"])
    assert end["Records"] == [] and not end.get("NextShardIterator")
    children = end.get("ChildShards")
    if children is not None:  # the oldest SDKs do not have it
        assert [child["ShardId"] for child in children] == [shard_id(1), shard_id(2)]
        assert all(child["ParentShards"] == [FIRST_SHARD] for child in children)
        assert [hash_range(child) for child in children] == [(0, 2**127 - 1), (2**127, MAX_HASH)]


@fact("shard-end-after-last-page")
def test_the_members_of_a_shard_end(send, stream):
    name = stream(1)
    put(send, name, 0, b"last")
    page = send("GetRecords", ShardIterator=iterator(send, name))
    split(send, name)
    end = send("GetRecords", ShardIterator=page["NextShardIterator"])
    assert set(end) == {"Records", "ChildShards", "MillisBehindLatest"} and end["Records"] == []
    assert set(end["ChildShards"][0]) == {"ShardId", "ParentShards", "HashKeyRange"}
    again = send("GetRecords", ShardIterator=iterator(send, name, kind="LATEST"))
    assert set(again) == {"Records", "ChildShards", "MillisBehindLatest"}, "LATEST of a closed shard is its end"


@fact("behind-at-shard-end")
@pytest.mark.ours("moves the clock")
def test_millis_behind_at_the_end_of_a_shard(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    name = stream(1, send=send)
    put(send, name, 0, b"last")
    split(send, name)
    server.advance(3600)
    end = send("GetRecords", ShardIterator=iterator(send, name, kind="LATEST"))
    assert end["Records"] == [] and 3_600_000 <= end["MillisBehindLatest"] < 3_640_000


def test_merge(client, stream):
    name = stream(2)
    put(client, name, 0, b"low")
    put(client, name, MAX_HASH, b"high")
    merge(client, name, shard_id(0), shard_id(1))
    shards = shards_of(client, name)
    assert [is_open(shard) for shard in shards.values()] == [False, False, True]
    child = shards[shard_id(2)]
    assert child["ParentShardId"] == shard_id(0) and child["AdjacentParentShardId"] == shard_id(1)
    assert hash_range(child) == (0, MAX_HASH)
    assert put(client, name, 0, b"both")["ShardId"] == shard_id(2)
    page = client("GetRecords", ShardIterator=iterator(client, name, shard_id(1)))
    end = client("GetRecords", ShardIterator=page["NextShardIterator"])
    for one in end.get("ChildShards") or []:
        assert one["ShardId"] == shard_id(2) and one["ParentShards"] == [shard_id(0), shard_id(1)]


def test_what_a_filter_lists_after_a_split(client, stream):
    name = stream(1)
    created = datetime.datetime.now(datetime.timezone.utc)
    split(client, name)
    list_ = lambda **shard_filter: [int(id[-12:]) for id in shards_of(client, name, ShardFilter=shard_filter)]
    assert list_(Type="AT_LATEST") == [1, 2]
    assert list_(Type="AT_TRIM_HORIZON") == [0]
    assert list_(Type="FROM_TRIM_HORIZON") == [0, 1, 2]
    assert list_(Type="FROM_TIMESTAMP", Timestamp=created) == [0, 1, 2]
    assert list_(Type="AFTER_SHARD_ID", ShardId=shard_id(1)) == [2]


@pytest.mark.ours("moves the clock")
def test_a_closed_shard_leaves_the_horizon(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    name = stream(1, send=send)
    put(send, name, 0, b"old")
    split(send, name)
    server.advance(25 * 3600)
    listed = until(lambda: FIRST_SHARD not in shards_of(send, name) and shards_of(send, name), "the parent has expired")
    assert list(listed) == [shard_id(1), shard_id(2)]
    refused(send, "GetShardIterator", "ResourceNotFoundException",
            f"Shard {FIRST_SHARD} in stream {name} under account {ACCOUNT} does not exist",
            StreamName=name, ShardId=FIRST_SHARD, ShardIteratorType="TRIM_HORIZON")
    merge(send, name, shard_id(1), shard_id(2))
    assert list(shards_of(send, name)) == [shard_id(n) for n in (1, 2, 3)], "indexes are not used again"


NOT_BETWEEN = (
    "NewStartingHashKey {key} used in SplitShard() on shard {shard} in stream {name} under account {account} is not both greater "
    "than one plus the shard's StartingHashKey {low} and less than the shard's EndingHashKey {high}."
)
DONE = (
    "Shard {shard} in stream {name} under account {account} has already been merged or split, and thus is not eligible for "
    "merging or splitting."
)
UNKNOWN = "Could not find shard {shard} in stream {name} under account {account}."
APART = "Shards {one} and {other} in stream {name} under account {account} are not an adjacent pair of shards eligible for merging"
THIRD = 2**128 // 3
# Of a stream of three shards, of which the last has been split into 3 and 4.
RESHARD_REFUSALS = [
    ("SplitShard", {"ShardToSplit": shard_id(1), "NewStartingHashKey": str(key)}, "InvalidArgumentException",
     NOT_BETWEEN.format(key=key, shard=shard_id(1), low=THIRD, high=2 * THIRD - 1, name="{name}", account="{account}"))
    for key in (0, THIRD - 1, THIRD, THIRD + 1, 2 * THIRD - 1, 2 * THIRD)
] + [
    ("SplitShard", {"ShardToSplit": shard_id(2), "NewStartingHashKey": str(2**128 - 5)}, "InvalidArgumentException",
     DONE.replace("{shard}", shard_id(2))),
    ("SplitShard", {"ShardToSplit": shard_id(2), "NewStartingHashKey": "0"}, "InvalidArgumentException",
     DONE.replace("{shard}", shard_id(2))),
    ("SplitShard", {"ShardToSplit": shard_id(9), "NewStartingHashKey": "5"}, "ResourceNotFoundException",
     UNKNOWN.replace("{shard}", shard_id(9))),
    ("MergeShards", {"ShardToMerge": shard_id(0), "AdjacentShardToMerge": shard_id(3)}, "InvalidArgumentException",
     APART.replace("{one}", shard_id(0)).replace("{other}", shard_id(3))),
    ("MergeShards", {"ShardToMerge": shard_id(0), "AdjacentShardToMerge": shard_id(0)}, "InvalidArgumentException",
     APART.replace("{one}", shard_id(0)).replace("{other}", shard_id(0))),
    ("MergeShards", {"ShardToMerge": shard_id(1), "AdjacentShardToMerge": shard_id(2)}, "InvalidArgumentException",
     DONE.replace("{shard}", shard_id(2))),
    ("MergeShards", {"ShardToMerge": shard_id(0), "AdjacentShardToMerge": shard_id(9)}, "ResourceNotFoundException",
     UNKNOWN.replace("{shard}", shard_id(9))),
    ("MergeShards", {"ShardToMerge": shard_id(8), "AdjacentShardToMerge": shard_id(0)}, "ResourceNotFoundException",
     UNKNOWN.replace("{shard}", shard_id(8))),
    ("UpdateShardCount", {"TargetShardCount": 9, **UNIFORM}, "LimitExceededException",
     "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 4 "
     "Target shard count: 9"),
    ("UpdateShardCount", {"TargetShardCount": 1, **UNIFORM}, "LimitExceededException", None),
]


@fact("scale-bounds", "split-order")
def test_resharding_is_refused(send, stream):
    name = stream(3)
    split(send, name, shard_id(2), str(2**128 - 1000))
    before = shards_of(send, name)
    for operation, members, code, text in RESHARD_REFUSALS:
        text = text and text.format(name=name, account=ACCOUNT)
        refused(send, operation, code, text, StreamName=name, **members)
    assert shards_of(send, name) == before


def test_on_demand_streams_reshard_themselves(send, stream):
    name = stream(None)
    calls = [
        ("SplitShard", {"ShardToSplit": FIRST_SHARD, "NewStartingHashKey": "5"}),
        ("MergeShards", {"ShardToMerge": shard_id(0), "AdjacentShardToMerge": shard_id(1)}),
        ("UpdateShardCount", {"TargetShardCount": 8, **UNIFORM}),
    ]
    text = f"Request is invalid. Stream {name} under account {ACCOUNT} is in On-Demand mode."
    for operation, members in calls:
        refused(send, operation, "ValidationException", text, StreamName=name, **members)


@fact("scale-splits-then-merges")
def test_two_become_three(client, stream):
    name = stream(2)
    answer = client("UpdateShardCount", StreamName=name, TargetShardCount=3, **UNIFORM)
    assert (answer["StreamName"], answer["CurrentShardCount"], answer["TargetShardCount"]) == (name, 2, 3)
    settle(client, name)
    until(lambda: len(shards_of(client, name)) == 7, "all made")
    settle(client, name)
    shards = shards_of(client, name)
    assert [id for id, shard in shards.items() if is_open(shard)] == [shard_id(2), shard_id(5), shard_id(6)]
    parents = {id: (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")) for id, shard in shards.items()}
    assert parents == {
        shard_id(0): (None, None), shard_id(1): (None, None),
        shard_id(2): (shard_id(0), None), shard_id(3): (shard_id(0), None),
        shard_id(4): (shard_id(1), None), shard_id(5): (shard_id(1), None),
        shard_id(6): (shard_id(3), shard_id(4)),
    }
    open_ranges = sorted(hash_range(shard) for shard in shards.values() if is_open(shard))
    assert [low for low, _ in open_ranges] == [0, THIRD, 2 * THIRD] and open_ranges[-1][1] == MAX_HASH


@fact("scale-to-same", "scale-bounds")
@pytest.mark.parametrize("begin, target", [(3, 3), (3, 1), (3, 2), (3, 6), (4, 2), (1, 2), (5, 7), (7, 5)])
def test_counts_within_bounds(send, stream, begin, target):
    name = stream(begin)
    before = shards_of(send, name)
    answer = send("UpdateShardCount", StreamName=name, TargetShardCount=target, **UNIFORM)
    assert answer == {
        "StreamName": name, "StreamARN": ARN + name, "CurrentShardCount": begin, "TargetShardCount": target,
    }
    open_count = lambda: send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"].get("OpenShardCount")
    until(lambda: open_count() == target and not any_unfinished(send, name), f"{target} open shards")
    settle(send, name)
    shards = shards_of(send, name)
    if begin == target:
        assert shards == before
    open_ranges = sorted(hash_range(shard) for shard in shards.values() if is_open(shard))
    assert len(open_ranges) == target
    assert open_ranges[0][0] == 0 and open_ranges[-1][1] == MAX_HASH
    assert all(one[1] + 1 == other[0] for one, other in zip(open_ranges, open_ranges[1:]))
    widths = [high - low for low, high in open_ranges]
    assert max(widths) - min(widths) <= 2 * target, "equal parts"


def any_unfinished(call, name):
    return call("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE"


@pytest.mark.ours("needs more than a shard's rate")
def test_resharding_under_load_keeps_every_key_in_order(node, boto_at, stream):
    """Keys are put one after the other while the stream is split, merged and scaled; parents are read before children."""
    server = node("--limits", "open")
    send = boto_at(server)
    name = stream(2, send=send)
    keys, done, counts, failures = [f"key-{n}" for n in range(8)], threading.Event(), {}, []

    def produce(key):
        call, counts[key] = boto_at(server), 0
        try:
            while not done.is_set():
                call("PutRecord", StreamName=name, PartitionKey=key, Data=b"%d" % counts[key])
                counts[key] += 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=produce, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    try:
        split(send, name, shard_id(0), str(2**126))
        merge(send, name, shard_id(3), shard_id(1))
        send("UpdateShardCount", StreamName=name, TargetShardCount=4, **UNIFORM)
        settle(send, name)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == [], "every put is taken"
    found = {key: [] for key in keys}
    for id in shards_of(send, name):  # children have larger ids than their parents
        for record in read_shard(send, name, id):
            found[record["PartitionKey"]].append(int(record["Data"]))
    assert found == {key: list(range(counts[key])) for key in keys}, "nothing lost, twice or out of order"
