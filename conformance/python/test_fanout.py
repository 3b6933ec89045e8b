"""SubscribeToShard: through every client what programs rely on, by hand the frames and their times."""

import datetime
import threading
import time

import pytest

from clients import ServiceError, UnknownToClient
from endpoint import ACCOUNT, ARN
from eventstream import Subscription
from test_shards import put, shard_id, split
from tools import FIRST_SHARD, MAX_HASH, hash_range, until

fact = pytest.mark.fact


def consumer(call, name, reader="reader"):
    arn = call("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName=reader)["Consumer"]["ConsumerARN"]
    status = lambda: call("DescribeStreamConsumer", ConsumerARN=arn)["ConsumerDescription"]["ConsumerStatus"]
    until(lambda: status() == "ACTIVE", "the consumer ACTIVE")
    return arn


def request(arn, shard=FIRST_SHARD, kind="TRIM_HORIZON", **position):
    return {"ConsumerARN": arn, "ShardId": shard, "StartingPosition": {"Type": kind, **position}}


def records_of(events):
    return [record for event in events for record in event.get("Records") or []]


def subscribe(client, events, seconds, members):
    """The answer, or None if the client has no SubscribeToShard."""
    try:
        out = client.subscribe(events, seconds, **members)
    except UnknownToClient:
        return None
    assert "error" not in out, out
    return out


def test_positions(client, send, stream):
    name = stream(1)
    numbers = [put(send, name, 0, b"%d" % n)["SequenceNumber"] for n in range(5)]
    old = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    rows = [
        (request("", kind="TRIM_HORIZON"), b"01234"),
        (request("", kind="AT_SEQUENCE_NUMBER", SequenceNumber=numbers[2]), b"234"),
        (request("", kind="AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[2]), b"34"),
        (request("", kind="AT_TIMESTAMP", Timestamp=old), b"01234"),
    ]
    for n, (members, expected) in enumerate(rows):
        out = subscribe(client, 1, 10, members | {"ConsumerARN": consumer(send, name, f"reader-{n}")})
        if out is None:
            return
        (event,) = out["events"]
        found = records_of([event])
        assert b"".join(record["Data"] for record in found) == expected
        assert found[-1]["SequenceNumber"] == numbers[4] and found[0]["PartitionKey"] == "k"
        assert int(event["ContinuationSequenceNumber"]) >= int(numbers[4]) and event["MillisBehindLatest"] == 0
        assert not event.get("ChildShards") and out["ended"] is False


@fact("fanout-pushes-at-once")
def test_what_is_put_is_pushed(client, send, stream):
    name = stream(1)
    arn = consumer(send, name)
    later = threading.Timer(2, lambda: put(send, name, 0, b"new"))
    later.start()
    began = time.monotonic()
    out = subscribe(client, 1, 10, request(arn, kind="LATEST"))
    took = time.monotonic() - began
    later.join()
    if out is not None:
        assert [record["Data"] for record in records_of(out["events"])] == [b"new"]
        assert took < 4.5, "before a heartbeat was due"


@fact("fanout-shard-end")
def test_the_end_of_a_shard(client, send, stream):
    name = stream(1)
    put(send, name, 0, b"last")
    split(send, name)
    out = subscribe(client, 10, 20, request(consumer(send, name)))
    if out is None:
        return
    assert out["ended"] is True
    assert [record["Data"] for record in records_of(out["events"])] == [b"last"]
    *before, last = out["events"]
    assert not last.get("Records") and not last.get("ContinuationSequenceNumber")
    children = last["ChildShards"]
    assert [child["ShardId"] for child in children] == [shard_id(1), shard_id(2)]
    assert all(child["ParentShards"] == [FIRST_SHARD] for child in children)
    assert [hash_range(child) for child in children] == [(0, 2**127 - 1), (2**127, MAX_HASH)]
    assert before and all(event["ContinuationSequenceNumber"] and not event.get("ChildShards") for event in before)


@fact("fanout-refused-at-once")
def test_bad_positions_are_refused_by_the_call(client, send, stream):
    name = stream(2)
    arn = consumer(send, name)
    number = put(send, name, MAX_HASH, b"x")["SequenceNumber"]
    invalid, missing = "InvalidArgumentException", "ResourceNotFoundException"
    rows = [
        (request(arn, shard_id(7)), missing, f"Shard {shard_id(7)} in stream {name} under account {ACCOUNT} does not exist"),
        (request(arn, kind="AT_SEQUENCE_NUMBER", SequenceNumber=number), invalid,
         f"Invalid StartingSequenceNumber. It encodes {shard_id(1)}, while it was used in a call to a shard with {FIRST_SHARD}"),
        (request(f"{ARN}{name}/consumer/nobody:1500000000"), missing,
         f"Consumer nobody with creation timestamp 1500000000 under stream: {name}, account {ACCOUNT} not found."),
        (request(f"{ARN}nothing/consumer/nobody:1500000000"), missing, f"Stream nothing under account {ACCOUNT} not found."),
    ]
    for members, code, text in rows:
        with pytest.raises((ServiceError, UnknownToClient)) as caught:
            client.subscribe(1, 5, **members)
        if isinstance(caught.value, ServiceError):
            assert (caught.value.code, caught.value.message, caught.value.status) == (code, text, 400)


@fact("fanout-frames", "fanout-initial-response", "fanout-content-type", "fanout-heartbeat", "fanout-continuation-advances")
def test_frames_and_heartbeats(server, send, stream):
    name = stream(1)
    arn = consumer(send, name)
    number = put(send, name, 0, b"first")["SequenceNumber"]
    subscription = Subscription(server, request(arn))
    events = until(lambda: len(subscription.events()) >= 3 and subscription.events(), "two heartbeats", seconds=15)
    subscription.close()
    assert subscription.response.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert subscription.response.headers["transfer-encoding"] == "chunked"
    first = subscription.frames[0]
    names = lambda kind: [(":event-type", kind), (":content-type", "application/x-amz-json-1.1"), (":message-type", "event")]
    assert first.headers == names("initial-response") and first.payload == b"{}" and first.size == 114
    assert all(event.headers == names("SubscribeToShardEvent") for event in events)
    pushed, one, other = (event.event() for event in events[:3])
    assert events[0].at - subscription.began < 2, "at once"
    assert pushed["Records"][0]["SequenceNumber"] == number and set(pushed["Records"][0]) == {
        "SequenceNumber", "ApproximateArrivalTimestamp", "Data", "PartitionKey",
    }
    for before, event in zip(events, events[1:3]):
        assert 4.5 < event.at - before.at < 6, "every five seconds"
    assert set(one) == {"Records", "ContinuationSequenceNumber", "MillisBehindLatest"} and one["Records"] == []
    assert int(number) < int(one["ContinuationSequenceNumber"]) < int(other["ContinuationSequenceNumber"])


@fact("fanout-continuation-advances")
def test_a_continuation_number_continues(server, send, stream):
    name = stream(1)
    put(send, name, 0, b"old")
    subscription = Subscription(server, request(consumer(send, name), kind="LATEST"))
    event = until(subscription.events, "a heartbeat", seconds=10)[0].event()
    subscription.close()
    for data in (b"a", b"b"):
        put(send, name, 0, data)
    number = event["ContinuationSequenceNumber"]
    again = Subscription(server, request(consumer(send, name, "two"), kind="AFTER_SEQUENCE_NUMBER", SequenceNumber=number))
    pushed = until(again.events, "the records")
    again.close()
    assert [record["Data"] for record in records_of(event.event() for event in pushed)] == ["YQ==", "Yg=="]


@fact("fanout-again-too-soon", "fanout-takeover")
def test_a_second_subscription(server, send, stream):
    arn = consumer(send, stream(1))
    first = Subscription(server, request(arn, kind="LATEST"))
    with pytest.raises(ServiceError) as caught:
        Subscription(server, request(arn, kind="LATEST"))
    assert (caught.value.code, caught.value.status) == ("ResourceInUseException", 400)
    time.sleep(max(0.0, first.began + 5.5 - time.monotonic()))
    assert first.ended_at is None
    second = Subscription(server, request(arn, kind="LATEST"))
    until(lambda: first.ended_at, "the first one ended", seconds=10)
    assert first.failure is None
    until(second.events, "the second one lives", seconds=10)
    second.close()


@fact("fanout-outlives-its-consumer")
def test_deregistering_does_not_end_a_subscription(server, send, stream):
    name = stream(1)
    arn = consumer(send, name)
    subscription = Subscription(server, request(arn, kind="LATEST"))
    send("DeregisterStreamConsumer", ConsumerARN=arn)
    until(lambda: not send("ListStreamConsumers", StreamARN=ARN + name)["Consumers"], "gone")
    put(send, name, 0, b"x")
    until(lambda: records_of(event.event() for event in subscription.events()), "pushed all the same", seconds=10)
    assert subscription.ended_at is None
    subscription.close()


@fact("fanout-large-events")
@pytest.mark.ours("more than a shard takes in a second")
def test_large_events(node, boto_at, stream):
    server = node("--limits", "open")
    send = boto_at(server)
    name = stream(1, send=send, MaxRecordSizeInKiB=10240)
    large = bytes(range(256)) * 32_000
    for data in (large, b"small"):
        put(send, name, 0, data)
    subscription = Subscription(server, request(consumer(send, name)))
    all_there = lambda: len(records_of(event.event() for event in subscription.events())) == 2
    until(all_there, "all of it", seconds=30)
    assert max(frame.size for frame in subscription.frames) > len(large)
    subscription.close()


@fact("fanout-ends-after-five-minutes")
@pytest.mark.ours("moves the clock")
def test_a_subscription_ends_after_five_minutes(node, boto_at, stream):
    server = node("--test-controls", "--limits", "open")
    send = boto_at(server)
    subscription = Subscription(server, request(consumer(send, stream(1, send=send)), kind="LATEST"))
    server.advance(290)
    time.sleep(0.5)
    assert subscription.ended_at is None
    server.advance(11)
    until(lambda: subscription.ended_at, "the end", seconds=10)
    assert subscription.failure is None
    kinds = {dict(frame.headers)[":message-type"] for frame in subscription.frames}
    assert kinds == {"event"}, "no exception"


@fact("fanout-consumer-not-active")
@pytest.mark.ours("AWS's seconds")
def test_a_consumer_that_is_not_active_cannot_subscribe(node, boto_at, stream):
    server = node("--lifecycle", "aws", "--test-controls")
    send = boto_at(server)
    name = stream(1, send=send, server=server)
    arn = send("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName="reader")["Consumer"]["ConsumerARN"]
    with pytest.raises(ServiceError) as caught:
        Subscription(server, request(arn))
    assert caught.value.code == "ResourceInUseException"


@fact("dry-run")
def test_dry_run(server, send, stream):
    arn = consumer(send, stream(1))
    with pytest.raises(ServiceError) as caught:
        Subscription(server, request(arn) | {"DryRun": True})
    assert (caught.value.code, caught.value.message) == (
        "DryRunOperationException",
        "DryRunOperation validation succeeded while calling SubscribeToShard operation.: Request would have succeeded, but "
        "DryRun flag is set.",
    )
    Subscription(server, request(arn)).close()
