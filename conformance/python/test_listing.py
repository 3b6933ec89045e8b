"""ListStreams and ListShards: pages, filters, tokens."""

import datetime

import pytest

from endpoint import ARN
from tools import refused, shards_of

fact = pytest.mark.fact
INVALID = "InvalidArgumentException"


def ids(page):
    return [int(shard["ShardId"][-12:]) for shard in page["Shards"]]


def test_pages_of_streams(client, stream):
    names = sorted(stream(1, suffix=f"-{n}") for n in range(5))
    first = client("ListStreams", Limit=2, ExclusiveStartStreamName=names[0])
    assert first["StreamNames"] == names[1:3] and first["HasMoreStreams"] is True
    summary = first["StreamSummaries"][0] if first.get("StreamSummaries") else None
    if summary:  # the oldest SDKs do not have it
        assert summary["StreamName"] == names[1] and summary["StreamARN"] == ARN + names[1]
        assert summary["StreamStatus"] == "ACTIVE"
        following = client("ListStreams", Limit=2, NextToken=first["NextToken"])
        assert following["StreamNames"] == names[3:5]


def test_streams_are_sorted(send, stream):
    names = {stream(1, suffix=suffix) for suffix in ("-b", "-a", "-C", ".x", "_y")}
    listed = send("ListStreams")["StreamNames"]
    assert listed == sorted(listed)
    assert names <= set(listed)
    one = send("ListStreams", Limit=1)
    assert set(one) == {"StreamNames", "HasMoreStreams", "StreamSummaries", "NextToken"}
    assert set(one["StreamSummaries"][0]) == {
        "StreamName", "StreamARN", "StreamStatus", "StreamModeDetails", "StreamCreationTimestamp",
    }


STREAM_REFUSALS = [
    ({"NextToken": "AAAA", "ExclusiveStartStreamName": "a"},
     "ExclusiveStartStreamName and NextToken cannot be provided together."),
    ({"NextToken": "nonsense"}, "Invalid NextToken."),
]


@pytest.mark.parametrize("row", range(len(STREAM_REFUSALS)))
def test_list_streams_is_refused(send, row):
    members, text = STREAM_REFUSALS[row]
    refused(send, "ListStreams", INVALID, text, **members)


@fact("list-token-with-name")
def test_pages_of_shards(client, stream):
    name = stream(5)
    first = client("ListShards", StreamName=name, MaxResults=2)
    second = client("ListShards", NextToken=first["NextToken"], MaxResults=2)
    third = client("ListShards", NextToken=second["NextToken"], StreamName=name)
    assert [ids(page) for page in (first, second, third)] == [[0, 1], [2, 3], [4]]
    assert not third.get("NextToken")
    assert ids(client("ListShards", StreamName=name, ExclusiveStartShardId="shardId-000000000002")) == [3, 4]


@fact("list-token-with-name")
def test_a_token_with_its_stream(send, stream):
    name, other = stream(3), stream(1, suffix="-other")
    token = send("ListShards", StreamName=name, MaxResults=1)["NextToken"]
    for own in ({}, {"StreamName": name}, {"StreamARN": ARN + name}):
        assert ids(send("ListShards", NextToken=token, **own)) == [1, 2]
    text = "NextToken does not match the provided StreamName."
    refused(send, "ListShards", INVALID, text, NextToken=token, StreamName=other)


@fact("list-latest-after-shard")
def test_filters(client, stream):
    name = stream(4)
    after = {"ShardId": "shardId-000000000001"}
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    list_ = lambda **shard_filter: ids(client("ListShards", StreamName=name, ShardFilter=shard_filter))
    for kind in ("AT_LATEST", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON"):
        assert list_(Type=kind) == [0, 1, 2, 3], kind
    assert list_(Type="AFTER_SHARD_ID", **after) == [2, 3]
    assert list_(Type="AT_LATEST", **after) == [2, 3]
    assert list_(Type="AT_LATEST", Timestamp=old) == [0, 1, 2, 3]
    now = datetime.datetime.now(datetime.timezone.utc)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # a client that rounds must not land in the future
    assert list_(Type="FROM_TIMESTAMP", Timestamp=now) == [0, 1, 2, 3]
    assert list_(Type="AT_TIMESTAMP", Timestamp=now) == [0, 1, 2, 3]


FUTURE = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
# Members beside the stream's name, or beside a token (TOKEN stands for a real one), and the text.
TOKEN = object()
SHARD_REFUSALS = [
    ({"ShardFilter": {"Type": "AFTER_SHARD_ID"}}, "ShardId must be provided when the ShardFilter Type is AFTER_SHARD_ID."),
    ({"ShardFilter": {"Type": "AT_TIMESTAMP", "Timestamp": FUTURE}},
     "ShardFilter Timestamp must not be greater than current time."),
    ({"ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": FUTURE}},
     "ShardFilter Timestamp must not be greater than current time."),
    ({"ShardFilter": {"Type": "AT_TIMESTAMP", "Timestamp": PAST}},
     "ShardFilter Timestamp cannot be older than TRIM_HORIZON of the stream."),
    ({"NextToken": TOKEN, "ShardFilter": {"Type": "AT_LATEST"}}, "NextToken and ShardFilter cannot be provided together."),
    ({"NextToken": TOKEN, "StreamCreationTimestamp": PAST},
     "NextToken and StreamCreationEpoch cannot be provided together."),
    ({"NextToken": "nonsense"}, "Invalid NextToken."),
]


@pytest.mark.parametrize("row", range(len(SHARD_REFUSALS)))
def test_list_shards_is_refused(send, stream, row):
    members, text = SHARD_REFUSALS[row]
    name = stream(2)
    members = dict(members)
    if members.get("NextToken") is TOKEN:
        members["NextToken"] = send("ListShards", StreamName=name, MaxResults=1)["NextToken"]
    if "NextToken" not in members:
        members["StreamName"] = name
    refused(send, "ListShards", INVALID, text, **members)


def test_a_forged_token_is_refused(send, stream):
    name = stream(3)
    token = send("ListShards", StreamName=name, MaxResults=1)["NextToken"]
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    refused(send, "ListShards", INVALID, "Invalid NextToken.", NextToken=forged)
    refused(send, "ListStreams", INVALID, "Invalid NextToken.", NextToken=token)


@pytest.mark.ours("moves the clock")
def test_tokens_expire_after_300_seconds(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    name, second = stream(3, send=send), stream(1, suffix="-2", send=send)
    shards = send("ListShards", StreamName=name, MaxResults=1)["NextToken"]
    streams = send("ListStreams", Limit=1)["NextToken"]
    server.advance(290)
    assert ids(send("ListShards", NextToken=shards)) == [1, 2]
    server.advance(15)
    refused(send, "ListShards", "ExpiredNextTokenException", NextToken=shards)
    refused(send, "ListStreams", "ExpiredNextTokenException", NextToken=streams)
    assert second in send("ListStreams")["StreamNames"]


def test_a_stream_created_again_is_told_from_the_old_one(send, stream):
    name = stream(1)
    created = send("DescribeStreamSummary", StreamName=name)["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    assert ids(send("ListShards", StreamName=name, StreamCreationTimestamp=created)) == [0]
    assert len(shards_of(send, name)) == 1
