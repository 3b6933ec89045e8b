//! SubscribeToShard against a node on a simulated disk, in paused time: the clock moves only when everybody waits, so
//! every figure here is exact.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "subscribe/world.rs"]
mod world;

#[path = "subscribe/many.rs"]
mod many;

use levada_core::catalog::{Command, StreamUpdate};
use levada_core::shard::ShardId;
use serde_json::{Value, json};

use self::world::{SHARD, Subscription, World, data};

/// How many milliseconds of simulated time an event may take. The simulated disk takes none.
const AT_ONCE: u64 = 5;

/// Heartbeats every five seconds, and a clean end after five minutes.
// fact: metric-per-frame
#[tokio::test(start_paused = true)]
async fn an_idle_subscription_beats_every_five_seconds_for_five_minutes() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let mut subscription = world.subscribe(&consumer, SHARD, &json!({"Type": "LATEST"})).await;
    let begun = world.now();
    let mut last = String::new();
    let mut beats = 0;
    while let Some(event) = subscription.event().await {
        beats += 1;
        let late = world.now() - begun - beats * 5_000;
        assert!(late < 500, "beat {beats} is {late} ms late");
        assert_eq!((&event["Records"], &event["MillisBehindLatest"]), (&json!([]), &json!(0)), "{event}");
        let number = event["ContinuationSequenceNumber"].as_str().unwrap().to_owned();
        assert!(number > last, "{number} after {last}");
        last = number;
    }
    assert_eq!(beats, 59);
    assert!((300_000..300_000 + AT_ONCE).contains(&(world.now() - begun)), "{}", world.now() - begun);
    assert_eq!(world.node.subscriptions.count(), 0);
    let page = world.node.metrics.page(Vec::new());
    let labels = "{ConsumerName=\"c\",StreamName=\"s\",account=\"000000000000\",region=\"us-east-1\"}";
    for (metric, value) in
        [("requests", 1), ("success", 1), ("event_samples", 60), ("event_success", 59), ("event_records", 0)]
    {
        let line = format!("aws_kinesis_subscribe_to_shard_{metric}_total{labels} {value}");
        assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
    }
}

/// A record is pushed when it is durable, not at the next heartbeat, and to every consumer.
#[tokio::test(start_paused = true)]
async fn records_are_pushed_at_once() {
    let world = World::with_stream(1).await;
    let (one, other) = (world.register("one").await, world.register("other").await);
    let latest = json!({"Type": "LATEST"});
    let mut subscriptions =
        [world.subscribe(&one, SHARD, &latest).await, world.subscribe(&other, SHARD, &latest).await];
    for (n, pause) in [0, 1, 4_999, 2_500, 7_000, 5_000].into_iter().enumerate() {
        world.pass(pause).await;
        let number = world.put(&format!("{n}")).await;
        let put = world.now();
        for subscription in &mut subscriptions {
            let event = subscription.records().await;
            assert_eq!(data(&event), [format!("{n}")]);
            assert_eq!(event["Records"][0]["SequenceNumber"], number);
            assert_eq!(event["MillisBehindLatest"], 0);
            assert!(event["ContinuationSequenceNumber"].as_str() > Some(number.as_str()), "{event}");
            assert!(world.now() - put < AT_ONCE, "{} ms", world.now() - put);
        }
    }
}

/// Wherever a subscription is broken off, and on either side of its continuation number, the next one goes on with the
/// next record; a GetShardIterator from the same number too.
#[tokio::test(start_paused = true)]
async fn a_continuation_number_loses_nothing_and_repeats_nothing() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let mut position = json!({"Type": "TRIM_HORIZON"});
    let (mut expected, mut met) = (Vec::new(), Vec::new());
    // Records before the call, records during it, and seconds of idleness after them.
    let rounds = [(0, 0, 6), (2, 0, 0), (0, 1, 11), (3, 2, 0), (0, 0, 0), (1, 0, 6), (0, 3, 0)];
    for (round, (before, during, idle)) in rounds.into_iter().enumerate() {
        let put = async |count: usize, expected: &mut Vec<String>| {
            for _ in 0..count {
                expected.push(format!("{}", expected.len()));
                world.put(expected.last().unwrap()).await;
            }
        };
        put(before, &mut expected).await;
        let mut subscription = world.subscribe(&consumer, SHARD, &position).await;
        put(during, &mut expected).await;
        let mut number = None;
        while met.len() < expected.len() {
            let event = subscription.event().await.unwrap();
            met.extend(data(&event));
            number = event["ContinuationSequenceNumber"].as_str().map(str::to_owned);
        }
        let until = world.now() + idle * 1_000;
        while world.now() < until {
            number = subscription.event().await.unwrap()["ContinuationSequenceNumber"].as_str().map(str::to_owned);
        }
        assert_eq!(met, expected, "round {round}");
        drop(subscription);
        world.pass(5_000).await;
        let Some(number) = number else { continue };
        for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"] {
            assert_eq!(world.read_from(SHARD, kind, &number).await, Vec::<String>::new(), "{kind} {number}");
        }
        let kind = ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"][round % 2];
        position = json!({"Type": kind, "SequenceNumber": number});
    }
}

/// Nothing of a subscription is remembered, and yet it goes on after the process was killed.
#[tokio::test(start_paused = true)]
async fn a_continuation_number_survives_the_node() {
    let mut world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let mut subscription = world.subscribe(&consumer, SHARD, &json!({"Type": "TRIM_HORIZON"})).await;
    world.put("0").await;
    subscription.records().await;
    let number = subscription.event().await.unwrap()["ContinuationSequenceNumber"].clone();
    world.put("1").await;
    world = world.killed().await;
    for (kind, seconds) in [("AT_SEQUENCE_NUMBER", 0), ("AFTER_SEQUENCE_NUMBER", 5)] {
        world.pass(seconds * 1_000).await;
        let position = json!({"Type": kind, "SequenceNumber": number});
        let mut subscription = world.subscribe(&consumer, SHARD, &position).await;
        assert_eq!(data(&subscription.records().await), ["1"], "{kind}");
    }
}

/// Where the five kinds of positions begin.
#[tokio::test(start_paused = true)]
async fn positions_begin_where_they_say() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let (mut numbers, mut times) = (Vec::new(), Vec::new());
    for n in ["0", "1", "2"] {
        world.pass(2_000).await;
        times.push(world.now_ms());
        numbers.push(world.put(n).await);
    }
    let seconds = |ms: u64| ms as f64 / 1000.0;
    for (position, expected) in [
        (json!({"Type": "TRIM_HORIZON"}), vec!["0", "1", "2"]),
        (json!({"Type": "LATEST"}), vec![]),
        (json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": numbers[1]}), vec!["1", "2"]),
        (json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": numbers[1]}), vec!["2"]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": seconds(times[1])}), vec!["1", "2"]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": 1}), vec!["0", "1", "2"]),
        (json!({"Type": "AT_TIMESTAMP", "Timestamp": seconds(times[2] + 1_000)}), vec![]),
    ] {
        world.pass(5_000).await;
        let mut subscription = world.subscribe(&consumer, SHARD, &position).await;
        let mut met = Vec::new();
        while met.len() < expected.len() {
            met.extend(data(&subscription.event().await.unwrap()));
        }
        assert_eq!(met, expected, "{position}");
        let beat = subscription.event().await.unwrap();
        assert_eq!(beat["Records"], json!([]), "{position}");
    }
}

/// One consumer has one subscription to a shard.
#[tokio::test(start_paused = true)]
async fn a_later_call_takes_the_shard_over() {
    let world = World::with_stream(2).await;
    let (one, other) = (world.register("one").await, world.register("other").await);
    let latest = json!({"Type": "LATEST"});
    let mut first = world.subscribe(&one, SHARD, &latest).await;
    let exists = "ResourceInUseException Another active subscription exists for this consumer: \
                  000000000000:s:shardId-000000000000:one";
    assert_eq!(world.refused(&one, SHARD, &latest).await, exists);
    // Another consumer and another shard are other subscriptions.
    let mut others =
        [world.subscribe(&other, SHARD, &latest).await, world.subscribe(&one, "shardId-000000000001", &latest).await];
    world.pass(4_999).await;
    assert_eq!(world.refused(&one, SHARD, &latest).await, exists);
    world.pass(1).await;
    let mut second = world.subscribe(&one, SHARD, &latest).await;
    // At most the heartbeat that was on its way; then the end, at once and clean.
    let taken = world.now();
    while first.event().await.is_some() {}
    assert!(world.now() - taken < AT_ONCE);
    world.put_to("0", "1").await;
    assert_eq!(data(&second.records().await), ["1"]);
    assert_eq!(data(&others[0].records().await), ["1"]);
    assert!(others[1].event().await.is_some());
    assert_eq!(world.node.subscriptions.count(), 3);
    // One that has ended stands in the way for five seconds all the same.
    drop(second);
    assert_eq!(world.refused(&one, SHARD, &latest).await, exists);
}

/// What ends a subscription from outside, and what does not.
#[tokio::test(start_paused = true)]
async fn deregistering_cuts_nothing_and_deleting_the_stream_does() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let latest = json!({"Type": "LATEST"});
    let mut subscription = world.subscribe(&consumer, SHARD, &latest).await;
    let (scope, name) = (world.scope(), "c".into());
    let command = Command::DeregisterConsumer { scope, stream: "s".into(), name, created_secs: None };
    world.node.carry_out(command).await.unwrap();
    world.pass(5_000).await;
    let said = world.refused(&consumer, SHARD, &latest).await;
    let created = consumer.rsplit(':').next().unwrap();
    assert_eq!(
        said,
        format!(
            "ResourceNotFoundException Consumer c with creation timestamp {created} under stream: s, account \
             000000000000 not found."
        )
    );
    world.put("1").await;
    assert_eq!(data(&subscription.records().await), ["1"]);
    let deleted = world.now();
    world.kinesis("DeleteStream", json!({"StreamName": "s"})).await;
    while subscription.event().await.is_some() {}
    assert!(world.now() - deleted < AT_ONCE);
    world.settle().await;
    assert_eq!(world.node.subscriptions.count(), 0);
}

/// SIGTERM ends the streams at once, and so does a client that goes away.
#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_node_or_the_client() {
    let world = World::with_stream(1).await;
    let (one, other) = (world.register("one").await, world.register("other").await);
    let latest = json!({"Type": "LATEST"});
    let gone = world.subscribe(&one, SHARD, &latest).await;
    let mut cut = world.subscribe(&other, SHARD, &latest).await;
    let begun = world.now();
    drop(gone);
    world.settle().await;
    assert_eq!(world.node.subscriptions.count(), 1);
    world.node.not_ready();
    assert_eq!(cut.event().await, None);
    world.settle().await;
    assert_eq!(world.node.subscriptions.count(), 0);
    assert!(world.now() - begun < AT_ONCE);
}

/// At the end of a shard its data comes first, then its children without a number, then the end.
#[tokio::test(start_paused = true)]
async fn a_split_shard_ends_with_its_children() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let mut parent = world.subscribe(&consumer, SHARD, &json!({"Type": "TRIM_HORIZON"})).await;
    world.put("1").await;
    assert_eq!(data(&parent.records().await), ["1"]);
    world.put("2").await;
    world.split(SHARD).await;
    assert_eq!(data(&parent.records().await), ["2"]);
    let last = parent.event().await.unwrap();
    assert_eq!((last.get("ContinuationSequenceNumber"), &last["Records"]), (None, &json!([])), "{last}");
    let half = "170141183460469231731687303715884105728";
    let below = "170141183460469231731687303715884105727";
    let child = |id: &str, from: &str, to: &str| {
        json!({
            "ShardId": id, "ParentShards": [SHARD], "HashKeyRange": {"StartingHashKey": from, "EndingHashKey": to},
        })
    };
    let all = "340282366920938463463374607431768211455";
    let children = json!([child("shardId-000000000001", "0", below), child("shardId-000000000002", half, all)]);
    assert_eq!(last["ChildShards"], children);
    assert_eq!(parent.event().await, None);
    // Whoever comes later is told the same, from wherever he comes.
    for position in ["TRIM_HORIZON", "LATEST"] {
        world.pass(5_000).await;
        let mut again = world.subscribe(&consumer, SHARD, &json!({"Type": position})).await;
        let mut met = Vec::new();
        let last = loop {
            let event = again.event().await.unwrap();
            met.extend(data(&event));
            if event.get("ChildShards").is_some() {
                break event;
            }
            assert!(event.get("ContinuationSequenceNumber").is_some(), "{event}");
        };
        assert_eq!(last["ChildShards"], children);
        assert_eq!(met.len(), if position == "LATEST" { 0 } else { 2 });
        assert_eq!(again.event().await, None);
    }
}

/// With AWS's time line children are listed before their parent closes: reads of them are empty until they open.
#[tokio::test(start_paused = true)]
async fn a_child_flows_when_it_opens() {
    let world = World::with_lifecycle_of_aws().await;
    let consumer = world.register("c").await;
    world.pass(6_000).await;
    let mut parent = world.subscribe(&consumer, SHARD, &json!({"Type": "LATEST"})).await;
    world.split(SHARD).await;
    let child = "shardId-000000000001";
    while world.shards().await < 3 {
        world.pass(100).await;
    }
    let mut early = world.subscribe(&consumer, child, &json!({"Type": "TRIM_HORIZON"})).await;
    assert_eq!(world.read(child, &json!({"ShardIteratorType": "LATEST"})).await, Vec::<String>::new());
    let beat = early.event().await.unwrap();
    assert_eq!((&beat["Records"], &beat["MillisBehindLatest"]), (&json!([]), &json!(0)), "{beat}");
    let number = beat["ContinuationSequenceNumber"].as_str().unwrap().to_owned();
    // The parent still takes the puts, and its readers are not told an end.
    world.put_to("0", "parent's").await;
    assert_eq!(data(&parent.records().await), ["parent's"]);
    let last = loop {
        let event = parent.event().await.unwrap();
        if event.get("ChildShards").is_some() {
            break event;
        }
    };
    assert_eq!(last["ChildShards"].as_array().unwrap().len(), 2);
    world.put_to("0", "child's").await;
    let put = world.now();
    assert_eq!(data(&early.records().await), ["child's"]);
    assert!(world.now() - put < AT_ONCE);
    assert_eq!(world.read_from(child, "AFTER_SEQUENCE_NUMBER", &number).await, ["child's"]);
}

/// 2 MiB a second for each consumer and shard, whatever stands in the log, and heartbeats go on.
#[tokio::test(start_paused = true)]
async fn a_consumer_gets_two_mebibytes_a_second() {
    const MIB: u64 = 1 << 20;
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let blob = "x".repeat((MIB - 1) as usize);
    for _ in 0..24 {
        // The shard takes one MiB a second.
        world.pass(1_000).await;
        world.put(&blob).await;
    }
    let begun = world.now();
    let mut subscription = world.subscribe(&consumer, SHARD, &json!({"Type": "TRIM_HORIZON"})).await;
    let (mut got, mut spoke, mut behind) = (0, begun, Vec::new());
    while got < 24 {
        let event = subscription.event().await.unwrap();
        let now = world.now();
        assert!(now - spoke <= 6_000, "silent for {} ms", now - spoke);
        spoke = now;
        got += event["Records"].as_array().unwrap().len() as u64;
        behind.push(event["MillisBehindLatest"].as_u64().unwrap());
        // What a second may hold, what has come since, and the one event that was begun without debt.
        let may = 2 * MIB + 2 * MIB * (now - begun) / 1_000 + MIB;
        assert!(got * MIB <= may, "{got} MiB after {} ms", now - begun);
    }
    let took = world.now() - begun;
    assert!((10_000..=11_100).contains(&took), "{took} ms for 24 MiB");
    assert_eq!(behind.last(), Some(&0));
    assert!(behind[0] >= 22_000 && behind.is_sorted_by(|a, b| a >= b), "{behind:?}");
}

/// A reader who does not read holds one event, and nobody else.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_nobody() {
    let world = World::with_stream(1).await;
    let (slow, quick) = (world.register("slow").await, world.register("quick").await);
    let latest = json!({"Type": "LATEST"});
    let mut slow = world.subscribe(&slow, SHARD, &latest).await;
    let mut quick = world.subscribe(&quick, SHARD, &latest).await;
    let blob = "x".repeat(400 << 10);
    let expected: Vec<_> = (0..40).map(|n| format!("{n}{blob}")).collect();
    for blob in &expected {
        world.pass(1_000).await;
        world.put(blob).await;
        let put = world.now();
        assert_eq!(data(&quick.records().await), [blob.as_str()]);
        assert!(world.now() - put < AT_ONCE);
    }
    let held = world.node.subscriptions.memory().used();
    assert!(held <= 2 << 20, "{held} bytes are held");
    let mut met = Vec::new();
    while met.len() < expected.len() {
        met.extend(data(&slow.event().await.unwrap()));
    }
    assert!(met == expected, "lost, repeated or out of order");
    drop((slow, quick));
    world.settle().await;
    assert_eq!(world.node.subscriptions.memory().used(), 0);
}

/// The catalog wakes every subscription, and those whose stream has not changed do not look again.
#[tokio::test(start_paused = true)]
async fn changes_of_other_streams_cost_next_to_nothing() {
    const SUBSCRIPTIONS: u64 = 200;
    const CHANGES: u64 = 50;
    let world = World::with_stream(SUBSCRIPTIONS as u32).await;
    let consumer = world.register("c").await;
    world.kinesis("CreateStream", json!({"StreamName": "other", "ShardCount": 1})).await;
    let mut subscriptions = Vec::new();
    for shard in 0..SUBSCRIPTIONS {
        let shard = format!("shardId-{shard:012}");
        subscriptions.push(world.subscribe(&consumer, &shard, &json!({"Type": "LATEST"})).await);
    }
    let mut looks = Vec::new();
    for stream in ["other", "s"] {
        world.settle().await;
        let before = world.time.asked();
        for n in 0..CHANGES {
            let tags = json!({"StreamName": stream, "Tags": {"change": n.to_string()}});
            world.kinesis("AddTagsToStream", tags).await;
            world.settle().await;
        }
        looks.push((world.time.asked() - before) / CHANGES);
    }
    // Every look asks for the time.
    assert!(looks[0] < 20 && looks[1] >= SUBSCRIPTIONS, "{looks:?}");
    assert_eq!(world.node.subscriptions.count() as u64, SUBSCRIPTIONS);
}

/// When others have taken the memory for large events, small ones go on, a large record waits without blocking the
/// heartbeats, and all comes in its order.
#[tokio::test(start_paused = true)]
async fn events_become_small_when_memory_is_short() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let small = |n: usize| format!("{n:03}{}", "x".repeat(10 << 10));
    let large = |n: usize| format!("{n:03}{}", "x".repeat(400 << 10));
    for n in 0..70 {
        world.pass(20).await;
        world.put(&small(n)).await;
    }
    for n in 70..73 {
        world.pass(1_000).await;
        world.put(&large(n)).await;
    }
    let subscriptions = &world.node.subscriptions;
    let others = subscriptions.memory().try_take(usize::MAX).unwrap();
    let begun = world.now();
    let mut subscription = world.subscribe(&consumer, SHARD, &json!({"Type": "TRIM_HORIZON"})).await;
    let mut met = 0;
    while met < 70 {
        let event = subscription.event().await.unwrap();
        let records = data(&event);
        assert!(records.len() <= 7, "{} records", records.len());
        for record in records {
            assert_eq!(record, small(met));
            met += 1;
        }
    }
    assert!(world.now() - begun < AT_ONCE);
    for beat in 1..=2 {
        let event = subscription.event().await.unwrap();
        assert_eq!(event["Records"], json!([]));
        assert_ne!(event["MillisBehindLatest"], 0);
        assert!((beat * 5_000..beat * 5_000 + 100).contains(&(world.now() - begun)));
    }
    // Room for one, not for the two that would go together.
    drop(others);
    let others = subscriptions.memory().try_take((256 << 20) - (700 << 10)).unwrap();
    for n in 70..73 {
        assert_eq!(data(&subscription.records().await), [large(n)]);
    }
    drop((others, subscription));
    world.settle().await;
    assert_eq!(subscriptions.memory().used(), 0);
}

/// Retention is exact here too: what has outlived it is not pushed, whether or not its bytes are gone.
#[tokio::test(start_paused = true)]
async fn what_has_outlived_retention_is_not_pushed() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    world.put("old").await;
    world.pass(3_600_000).await;
    world.put("young").await;
    world.pass(23 * 3_600_000 + 1_000).await;
    let mut subscription = world.subscribe(&consumer, SHARD, &json!({"Type": "TRIM_HORIZON"})).await;
    assert_eq!(data(&subscription.records().await), ["young"]);
}

/// One row, one refusal, in the order of the checks: what is sent, and what AWS says to it.
#[tokio::test(start_paused = true)]
async fn calls_are_refused_before_their_stream_begins() {
    let world = World::with_stream(1).await;
    let consumer = world.register("c").await;
    let secs = consumer.rsplit(':').next().unwrap().to_owned();
    let arn = |region: &str, stream: &str, consumer: &str, secs: &str| {
        format!("arn:aws:kinesis:{region}:000000000000:stream/{stream}/consumer/{consumer}:{secs}")
    };
    let latest = json!({"Type": "LATEST"});
    let elsewhere = arn("eu-west-1", "s", "c", &secs);
    let number = world.put("1").await;
    let future = json!({"Type": "AT_TIMESTAMP", "Timestamp": world.now_ms() / 1000 + 60});
    let (shard, at, now) = ("shardId-000000000000", (world.now_ms() / 1000 + 60) * 1000, world.now_ms());
    let rows = [
        (
            elsewhere.clone(),
            "x",
            latest.clone(),
            format!(
                "InvalidArgumentException The region specified in the ARN '{elsewhere}' does not match the endpoint \
                 region"
            ),
        ),
        (
            arn("us-east-1", "none", "c", &secs),
            "x",
            latest.clone(),
            "ResourceNotFoundException Could not find shard x in stream none under account 000000000000.".to_owned(),
        ),
        (
            arn("us-east-1", "none", "c", &secs),
            shard,
            latest.clone(),
            "ResourceNotFoundException Stream none under account 000000000000 not found.".to_owned(),
        ),
        (
            arn("us-east-1", "s", "c", "1"),
            "shardId-000000000007",
            latest.clone(),
            "ResourceNotFoundException Consumer c with creation timestamp 1 under stream: s, account 000000000000 not \
             found."
                .to_owned(),
        ),
        (
            consumer.clone(),
            "foo-7",
            latest.clone(),
            "ResourceNotFoundException Shard shardId-000000000007 in stream s under account 000000000000 does not exist"
                .to_owned(),
        ),
        (
            consumer.clone(),
            shard,
            json!({"Type": "LATEST", "SequenceNumber": number}),
            "InvalidArgumentException Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and \
             StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified \
             LATEST and also a StartingSequenceNumber."
                .to_owned(),
        ),
        (
            consumer.clone(),
            shard,
            json!({"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "3"}),
            format!(
                "InvalidArgumentException Invalid StartingSequenceNumber. It encodes shardId-000000000003, while it \
                 was used in a call to a shard with {shard}"
            ),
        ),
        (
            consumer.clone(),
            shard,
            json!({"Type": "AT_TIMESTAMP"}),
            "InvalidArgumentException Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. \
             Current request has no timestamp parameter."
                .to_owned(),
        ),
        (
            consumer.clone(),
            shard,
            future,
            format!(
                "InvalidArgumentException The timestampInMillis parameter cannot be greater than the \
                 currentTimestampInMillis. timestampInMillis: {at}, currentTimestampInMillis: {now}"
            ),
        ),
    ];
    for (consumer, shard, position, says) in rows {
        assert_eq!(world.refused(&consumer, shard, &position).await, says, "{consumer} {shard} {position}");
    }
    let mut body = json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": latest, "DryRun": true});
    let said = world.refusal(&body).await;
    assert!(said.starts_with("DryRunOperationException DryRunOperation validation succeeded"), "{said}");
    assert!(said.contains("SubscribeToShard"), "{said}");
    // None of this took the shard.
    body["DryRun"] = json!(false);
    let _: Subscription = world.subscribe_with(&body).await;
    assert_eq!(world.node.subscriptions.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_subscribes_when_it_is_active() {
    let world = World::with_lifecycle_of_aws().await;
    let consumer = world.register("c").await;
    let secs = consumer.rsplit(':').next().unwrap();
    let said = world.refused(&consumer, SHARD, &json!({"Type": "LATEST"})).await;
    assert_eq!(
        said,
        format!(
            "ResourceInUseException Consumer c with creation timestamp {secs} under stream: s, account 000000000000 is \
             not in ACTIVE status."
        )
    );
    world.pass(6_000).await;
    let _: Subscription = world.subscribe(&consumer, SHARD, &json!({"Type": "LATEST"})).await;
}

/// What the operations behind these tests are worth: a split is one command.
impl World {
    async fn split(&self, shard: &str) {
        let half = (1_u128 << 127).to_string();
        let update = StreamUpdate::Split { shard: ShardId::parse(shard).unwrap(), new_starting_hash_key: half };
        let command = Command::UpdateStream { scope: self.scope(), name: "s".into(), update };
        self.node.carry_out(command).await.unwrap();
    }

    async fn shards(&self) -> usize {
        self.kinesis("ListShards", json!({"StreamName": "s"})).await["Shards"].as_array().unwrap().len()
    }

    async fn read_from(&self, shard: &str, kind: &str, number: &str) -> Vec<String> {
        self.read(shard, &json!({"ShardIteratorType": kind, "StartingSequenceNumber": number})).await
    }

    /// One GetRecords call.
    async fn read(&self, shard: &str, position: &Value) -> Vec<String> {
        let mut body = position.clone();
        body["StreamName"] = json!("s");
        body["ShardId"] = json!(shard);
        let iterator = self.kinesis("GetShardIterator", body).await["ShardIterator"].clone();
        data(&self.kinesis("GetRecords", json!({"ShardIterator": iterator})).await)
    }
}
