//! A node that dies in the middle of a reshard: whatever the disk holds then, the next start goes on from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base64_simd::STANDARD;
use levada::cli::{LifecycleMode, LimitsMode};
use levada::registry::Registry;
use levada_core::catalog::{Closing, Rules, Stream, StreamStatus};
use levada_core::engine::Engine;
use levada_core::env::Clock;
use levada_core::env::sim::{SimDisk, SimRandom};
use levada_core::shard::ShardId;
use levada_log::EmbeddedLog;
use serde_json::{Value, json};

use crate::reader::Poller;
use crate::world::{SHARD, Setting, Time, World, log_options};
use crate::{HALF, shard};

const SETTING: Setting =
    Setting { lifecycle: Some(LifecycleMode::Instant), limits: Some(LimitsMode::Open), connections: None };
const KEYS: usize = 6;

/// How far a reshard from two shards to three had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nothing of it is durable.
    Undecided,
    /// It is decided; no shard was added.
    Decided,
    /// Children are listed, their parents' logs take records.
    Listed,
    /// The parents' logs take no more records; the children have no logs.
    Sealed,
    /// The children's logs are there, but the catalog still leads to the parents.
    Created,
    /// A first generation has taken over, the second is to come.
    Between,
    /// All is done.
    Done,
}

const STAGES: [Stage; 7] =
    [Stage::Undecided, Stage::Decided, Stage::Listed, Stage::Sealed, Stage::Created, Stage::Between, Stage::Done];

/// Looks at a dead node's disk, as a start would before it does anything.
async fn stage(disk: SimDisk, time: &Time) -> Stage {
    let (disk, clock): (Arc<SimDisk>, Arc<dyn Clock>) = (Arc::new(disk), Arc::new(time.clone()));
    let random = Arc::new(SimRandom::new(2));
    let (log, driver) = EmbeddedLog::open(Path::new("/data"), disk, Arc::clone(&clock), random, log_options()).unwrap();
    tokio::spawn(driver.run());
    let engine: Arc<dyn Engine> = Arc::new(log);
    let registry = Registry::open(Arc::clone(&engine), clock, Rules::INSTANT).await.unwrap();
    let stream = registry.state().all_streams().next().unwrap().clone();
    match stream.shards.unsealed().first() {
        Some(closing) => stage_of_closing(&*engine, &stream, closing).await,
        None if stream.shards.all().len() == 2 && stream.status == StreamStatus::Active => Stage::Undecided,
        None if stream.shards.all().len() == 2 => Stage::Decided,
        None if stream.status == StreamStatus::Updating => Stage::Between,
        None => Stage::Done,
    }
}

async fn stage_of_closing(engine: &dyn Engine, stream: &Stream, closing: &Closing) -> Stage {
    let log = |index: &u32| stream.shards.get(ShardId(*index)).unwrap().log;
    if !engine.tail(log(&closing.parents[0])).await.unwrap().sealed {
        return Stage::Listed;
    }
    match engine.tail(log(&closing.children[0])).await {
        Ok(_) => Stage::Created,
        Err(_) => Stage::Sealed,
    }
}

/// What was acknowledged, by key, and the number of the next record of each.
#[derive(Default)]
struct Producer {
    told: BTreeMap<String, Vec<String>>,
    next: usize,
}

impl Producer {
    /// Puts one record of each key; answers whether all were taken.
    async fn put(&mut self, world: &World) -> bool {
        let mut all = true;
        for key in 0..KEYS {
            let (key, text) = (format!("key{key}"), self.next.to_string());
            let data = STANDARD.encode_to_string(&text);
            let body = json!({"StreamName": "s", "PartitionKey": key, "Data": data});
            let (status, reply) = world.call("PutRecord", &body).await;
            assert!(status == 200 || status == 500, "{reply}");
            if status == 200 {
                self.told.entry(key).or_default().push(text);
            }
            all &= status == 200;
        }
        self.next += 1;
        all
    }

    /// All that was acknowledged is met, in order; what was not may be, and nothing is met twice.
    async fn check(&self, world: Arc<World>) {
        let mut poller = Poller::new(world).await;
        poller.drain().await;
        for (key, told) in &self.told {
            let met = &poller.met[key];
            assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), met.len(), "{key}: {met:?}");
            let acknowledged: Vec<_> = met.iter().filter(|text| told.contains(text)).collect();
            assert_eq!(acknowledged, told.iter().collect::<Vec<_>>(), "{key}: {met:?}");
        }
    }
}

/// How a node dies, and what its clock shows afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Power,
    Kill,
    /// As [`Self::Power`], and the clock was an hour ahead, which is noticed now.
    PowerAndClock,
}

/// A node that dies after so many calls to its disk since the reshard was asked for. Answers its disk and clock, what
/// its producer knows, and whether it had been alive to the end.
async fn die(death: Death, calls: u64) -> (SimDisk, Time, Producer, bool) {
    let world = World::new(SETTING).await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await;
    let mut producer = Producer::default();
    assert!(producer.put(&world).await);
    world.disk.cut_power_after(calls);
    let body = json!({"StreamName": "s", "TargetShardCount": 3, "ScalingType": "UNIFORM_SCALING"});
    let (status, reply) = world.call("UpdateShardCount", &body).await;
    assert!(status == 200 || status == 500, "{reply}");
    // The last hand-over may be due a millisecond after the answer.
    world.pass(10).await;
    let taken = producer.put(&world).await;
    let alive = !world.disk.is_powerless();
    assert!(taken || !alive);
    let disk = match death {
        Death::Kill => world.disk.kill(),
        Death::Power | Death::PowerAndClock => world.disk.crash(&SimRandom::new(calls)),
    };
    if death == Death::PowerAndClock {
        world.time.set_skew(-3_600_000);
    }
    (disk, world.time.clone(), producer, alive)
}

/// Nothing is left undone that is due.
fn assert_nothing_overdue(world: &World, context: &dyn std::fmt::Debug) {
    let (stream, now) = (world.stream(), world.now_ms());
    let overdue: Vec<_> = stream.unfinished().into_iter().filter(|unfinished| unfinished.due <= now).collect();
    assert!(overdue.is_empty(), "{context:?}: {overdue:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reshard_goes_on_wherever_it_was_cut() {
    for death in [Death::Power, Death::Kill, Death::PowerAndClock] {
        let mut stages = BTreeSet::new();
        for calls in 0.. {
            let (disk, time, ..) = die(death, calls).await;
            let stage = stage(disk, &time).await;
            stages.insert(stage);
            let context = (death, calls, stage);

            let (disk, time, mut producer, alive) = die(death, calls).await;
            let world = World::on(disk, time.clone(), SETTING).await;
            if death != Death::PowerAndClock {
                assert_nothing_overdue(&world, &context);
            }
            assert!(producer.put(&world).await, "{context:?}: a shard takes no puts");
            world.pass(2 * 3_600_000).await;
            assert_nothing_overdue(&world, &context);
            assert!(producer.put(&world).await, "{context:?}");
            let open = world.without_end().await;
            let expected = if stage == Stage::Undecided { 2 } else { 3 };
            assert_eq!(open.len(), expected, "{context:?}");
            let next = open.windows(2).all(|pair| *pair[0].1.end() + 1 == *pair[1].1.start());
            let whole = next && *open[0].1.start() == 0 && *open[expected - 1].1.end() == u128::MAX;
            assert!(whole, "{context:?}: the open shards do not cover all hash keys: {open:?}");
            producer.check(Arc::new(world)).await;
            if alive {
                break;
            }
        }
        assert_eq!(stages, STAGES.into(), "{death:?}");
    }
}

/// Only one parent of a merge is sealed when the node dies. AWS's time line: the close is still to come.
#[tokio::test(start_paused = true)]
async fn a_merge_goes_on_that_was_cut_between_its_parents() {
    for late in [false, true] {
        let world = World::new(Setting {
            lifecycle: Some(LifecycleMode::Aws),
            limits: Some(LimitsMode::Open),
            connections: None,
        })
        .await;
        world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await;
        world.active().await;
        let mut producer = Producer::default();
        assert!(producer.put(&world).await);
        let body = json!({"StreamName": "s", "ShardToMerge": SHARD, "AdjacentShardToMerge": shard(1)});
        world.kinesis("MergeShards", body).await;
        world.active().await;
        let first = world.stream().shards.all()[0].log;
        let _ = world.node.engine.seal(first).await.unwrap();
        let time = world.time.clone();
        let world = world.killed().await;
        if late {
            // The hand-over is completed in its time, whether or not anybody puts.
            world.pass(30_000).await;
            assert_nothing_overdue(&world, &late);
        } else {
            // A put meets the sealed parent before that, and does not wait for the clock.
            time.set_skew(-3_600_000);
        }
        let before = world.now();
        assert!(producer.put(&world).await, "{late}");
        assert!(world.now() - before < 100, "{late}: the put took {} ms", world.now() - before);
        assert_eq!((world.taken_by("0").await, world.taken_by(HALF).await), (shard(2), shard(2)));
        producer.check(Arc::new(world)).await;
    }
}

/// A put that waits for a child is told when the stream goes.
#[tokio::test(start_paused = true)]
async fn a_deleted_stream_ends_puts_that_wait_for_a_child() {
    let world = World::new(SETTING).await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    let log = world.stream().shards.all()[0].log;
    // Sealed by nobody's decision: no child will ever take over, as if one were very late.
    let _ = world.node.engine.seal(log).await.unwrap();
    let body = json!({"StreamName": "s", "PartitionKey": "k", "Data": "AAAA"});
    let (put, ()) = tokio::join!(world.call("PutRecord", &body), async {
        world.pass(1_500).await;
        world.kinesis("DeleteStream", json!({"StreamName": "s"})).await;
    });
    let said: (u16, Value) = put;
    assert_eq!((said.0, &said.1["__type"]), (400, &json!("ResourceNotFoundException")), "{said:?}");
}
