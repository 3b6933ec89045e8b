//! Producers, readers and reshards at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64_simd::STANDARD;
use levada::cli::{LifecycleMode, LimitsMode};
use levada_core::env::sim::SimRandom;
use levada_core::hash_range::hash_of;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::reader::{Met, Poller, subscribe_to_all};
use crate::world::{Setting, World};

const PRODUCERS: u64 = 6;
/// Of each producer.
const KEYS: usize = 5;

/// What the producers were told, and whether they shall go on.
struct Load {
    world: Arc<World>,
    /// For each key shard and sequence number of its records, in the order of their numbers.
    told: Mutex<BTreeMap<String, Vec<(String, String)>>>,
    over: AtomicBool,
}

impl Load {
    /// Puts the next records of keys of one producer, which waits for every answer.
    async fn produce(self: Arc<Self>, producer: u64, random: SimRandom, pause_ms: u64) {
        let mut counts = [0; KEYS];
        while !self.over.load(Ordering::SeqCst) {
            let mut entries = Vec::new();
            for _ in 0..if random.percent(30) { 1 } else { 1 + random.below(7) } {
                // A key may come twice in a call: its records are stored in the order of the request.
                let key = random.below(KEYS as u64) as usize;
                entries.push((format!("{producer}-{key}"), counts[key]));
                counts[key] += 1;
            }
            let places = self.put(&entries).await;
            let ranges = self.world.ranges("FROM_TRIM_HORIZON").await;
            for ((key, number), (shard, sequence)) in entries.into_iter().zip(places) {
                let range = ranges.get(&shard).unwrap_or_else(|| panic!("{shard} is not listed"));
                assert!(range.contains(&hash_of(&key)), "{key} is not {shard}'s");
                let mut told = self.told.lock().unwrap();
                let of_key = told.entry(key).or_default();
                assert_eq!(of_key.len(), number);
                of_key.push((shard, sequence));
            }
            sleep(Duration::from_millis(random.below(pause_ms))).await;
        }
    }

    /// All are taken, whatever the shards are doing.
    async fn put(&self, entries: &[(String, usize)]) -> Vec<(String, String)> {
        let record = |(key, number): &(String, usize)| json!({"PartitionKey": key, "Data": STANDARD.encode_to_string(number.to_string())});
        let place = |told: &Value| {
            let text = |member: &str| told[member].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
            (text("ShardId"), text("SequenceNumber"))
        };
        if let [one] = entries {
            let mut body = record(one);
            body["StreamName"] = json!("s");
            return vec![place(&self.world.kinesis("PutRecord", body).await)];
        }
        let records: Vec<_> = entries.iter().map(record).collect();
        let reply = self.world.kinesis("PutRecords", json!({"StreamName": "s", "Records": records})).await;
        assert_eq!(reply["FailedRecordCount"], 0, "{reply}");
        reply["Records"].as_array().unwrap().iter().map(place).collect()
    }
}

/// Changes the shards in all ways, each as soon as the stream is ACTIVE again and `pause_ms` at most have passed.
async fn reshard(world: &World, random: &SimRandom, pause_ms: u64) {
    for target in [3, 6, 3, 2] {
        sleep(Duration::from_millis(random.below(pause_ms))).await;
        world.kinesis("UpdateShardCount", target_of(target)).await;
        world.active().await;
        assert_eq!(world.summary().await["OpenShardCount"], target);
    }
    for round in 0..8 {
        sleep(Duration::from_millis(random.below(pause_ms))).await;
        let open = world.without_end().await;
        let at = random.below(open.len() as u64 - 1) as usize;
        let (shard, range) = &open[at];
        if round % 2 == 0 {
            let key = range.start() + (range.end() - range.start()) / 2;
            let body = json!({"StreamName": "s", "ShardToSplit": shard, "NewStartingHashKey": key.to_string()});
            world.kinesis("SplitShard", body).await;
        } else {
            let body = json!({"StreamName": "s", "ShardToMerge": shard, "AdjacentShardToMerge": open[at + 1].0});
            world.kinesis("MergeShards", body).await;
        }
        world.active().await;
    }
}

fn target_of(target: u32) -> Value {
    json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"})
}

/// At the end every key's records have been met by every reader: all that were acknowledged, in order, once.
async fn nothing_is_lost(lifecycle: LifecycleMode, seed: u64, pause_ms: u64, reshard_pause_ms: u64) {
    let random = SimRandom::new(seed);
    let world =
        World::new(Setting { lifecycle: Some(lifecycle), limits: Some(LimitsMode::Open), connections: None }).await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await;
    world.active().await;
    let consumer = world.register("c").await;
    world.pass(6_000).await;
    let world = Arc::new(world);
    let load = Arc::new(Load { world: Arc::clone(&world), told: Mutex::default(), over: AtomicBool::new(false) });
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| tokio::spawn(Arc::clone(&load).produce(producer, random.fork(), pause_ms)))
        .collect();
    let mut poller = Poller::new(Arc::clone(&world)).await;
    let polling = {
        let load = Arc::clone(&load);
        tokio::spawn(async move {
            while !load.over.load(Ordering::SeqCst) {
                poller.pass().await;
                sleep(Duration::from_millis(pause_ms)).await;
            }
            poller
        })
    };
    let pushed: Arc<Mutex<Met>> = Arc::default();
    let following = tokio::spawn(subscribe_to_all(Arc::clone(&world), consumer, Arc::clone(&pushed)));

    reshard(&world, &random, reshard_pause_ms).await;
    sleep(Duration::from_millis(reshard_pause_ms)).await;
    load.over.store(true, Ordering::SeqCst);
    for producer in producers {
        producer.await.unwrap();
    }
    let mut poller = polling.await.unwrap();
    // The last closings are due within half a minute of AWS's time.
    world.pass(60_000).await;
    poller.drain().await;
    assert!(!following.is_finished(), "{:?}", following.await);

    let told = load.told.lock().unwrap().clone();
    let mut shards = BTreeSet::new();
    for (key, places) in &told {
        let rises = places.windows(2).all(|pair| pair[0].1 < pair[1].1);
        assert!(rises, "the sequence numbers of {key} do not rise: {places:?}");
        shards.extend(places.iter().map(|(shard, _)| shard));
    }
    let expected: Met = told.iter().map(|(key, places)| (key.clone(), numbers(places.len()))).collect();
    assert_same(&poller.met, &expected, "polled");
    assert_same(&pushed.lock().unwrap(), &expected, "pushed");
    assert!(shards.len() > 15, "many shards took records: {}", shards.len());
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn assert_same(met: &Met, expected: &Met, how: &str) {
    for (key, numbers) in expected {
        assert_eq!(met.get(key), Some(numbers), "{how}: {key}");
    }
    assert_eq!(met.len(), expected.len(), "{how}");
}

#[tokio::test(start_paused = true)]
async fn producers_and_readers_outlive_instant_reshards() {
    for seed in 0..3 {
        nothing_is_lost(LifecycleMode::Instant, seed, 3, 40).await;
    }
}

#[tokio::test(start_paused = true)]
async fn producers_and_readers_outlive_reshards_that_take_their_time() {
    // A reshard takes 6 s to be seen and 25 s to happen: many begin before their parents are open.
    for seed in 3..5 {
        nothing_is_lost(LifecycleMode::Aws, seed, 800, 20_000).await;
    }
}
