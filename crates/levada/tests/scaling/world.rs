//! A node on a clock that is moved, and a producer that remembers what it put.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64_simd::STANDARD;
use levada::cli::ServeArgs;
use levada::config::Config;
use levada::node::{Environment, Node};
use levada_core::catalog::{Account, Scope, Stream};
use levada_core::env::Clock;
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::Options;
use serde_json::{Value, json};

use crate::call;

pub(crate) const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
/// The beginning of an hour.
const DAWN: u64 = 1_794_999_600_000;

pub(crate) struct World {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: SimClock,
    disk: SimDisk,
    config: String,
}

impl World {
    async fn on(disk: SimDisk, clock: SimClock, config: String) -> Self {
        let mut parsed = Config::new(&ServeArgs::default(), Some(&config)).unwrap();
        parsed.free_bytes = 0;
        let env = Environment {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(disk.clone()),
            log: Options {
                journal_segment_bytes: 64 << 20,
                first_journal_segment_bytes: 16 << 20,
                ..Options::default()
            },
            client: Arc::new(levada::network::NoNetwork),
            threads: false,
        };
        let node = Node::start(parsed, env, Path::new("/data")).await.unwrap();
        Self { node, clock, disk, config }
    }

    pub(crate) async fn new(config: &str) -> Self {
        Self::on(SimDisk::new(), SimClock::at(DAWN), config.to_owned()).await
    }

    /// The world after the process was killed and has started again.
    pub(crate) async fn killed(self) -> Self {
        Self::on(self.disk.kill(), self.clock, self.config).await
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Lets time pass, and everybody do what they can do then.
    pub(crate) async fn pass(&self, ms: u64) {
        self.clock.advance(ms);
        self.node.clock_moved.notify_waiters();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        call::call(&self.node, &format!("Kinesis_20131202.{operation}"), body).await
    }

    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 200, "{operation}: {reply}");
        reply
    }

    pub(crate) async fn refused(&self, operation: &str, body: Value) -> String {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 400, "{operation}: {reply}");
        format!("{} {}", reply["__type"].as_str().unwrap(), reply["message"].as_str().unwrap_or_default())
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::new(Account::new("000000000000").unwrap(), "us-east-1")
    }

    pub(crate) fn stream(&self) -> Arc<Stream> {
        self.node.registry.state().stream(&self.scope(), "s").unwrap().clone()
    }

    pub(crate) fn open_shards(&self) -> usize {
        self.stream().shards.open_count()
    }

    pub(crate) async fn switch(&self, mode: &str) {
        let body = json!({"StreamARN": ARN, "StreamModeDetails": {"StreamMode": mode}});
        self.ok("UpdateStreamMode", body).await;
    }

    /// Puts so many records of one key, without a care for what becomes of them.
    pub(crate) async fn flood(&self, records: usize) {
        let record = json!({"PartitionKey": "hot", "Data": "aG90"});
        self.ok("PutRecords", json!({"StreamName": "s", "Records": vec![record; records]})).await;
    }

    /// The records of a shard, all of them, in order.
    pub(crate) async fn read(&self, shard: &str) -> Vec<Value> {
        let body = json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let mut iterator = self.ok("GetShardIterator", body).await["ShardIterator"].clone();
        let mut records = Vec::new();
        while iterator.is_string() {
            let page = self.ok("GetRecords", json!({"ShardIterator": iterator})).await;
            let found = page["Records"].as_array().unwrap();
            if found.is_empty() && page["MillisBehindLatest"] == 0 {
                break;
            }
            records.extend(found.iter().cloned());
            iterator = page["NextShardIterator"].clone();
        }
        records
    }
}

/// Puts numbers under keys that divide the hash keys evenly.
pub(crate) struct Producer {
    /// Each key, which is its own hash key, and how many numbers it has had.
    put: Vec<(String, u64)>,
}

impl Producer {
    pub(crate) fn new(keys: u128) -> Self {
        let width = u128::MAX / keys;
        Self { put: (0..keys).map(|n| ((n * width + width / 2).to_string(), 0)).collect() }
    }

    /// The next number of each of the first keys, every second for so long.
    pub(crate) async fn put_first(&mut self, world: &World, keys: usize, seconds: u64) {
        let record = |(key, number): &(String, u64)| {
            let data = STANDARD.encode_to_string(number.to_string());
            json!({"PartitionKey": key, "ExplicitHashKey": key, "Data": data})
        };
        for _ in 0..seconds {
            let records: Vec<Value> = self.put.iter().take(keys).map(record).collect();
            let reply = world.ok("PutRecords", json!({"StreamName": "s", "Records": records})).await;
            assert_eq!(reply["FailedRecordCount"], 0, "{reply}");
            self.put.iter_mut().take(keys).for_each(|(_, number)| *number += 1);
            world.pass(1_000).await;
        }
    }

    /// Every number is read under its key, once and in order, if parents are read before their children.
    pub(crate) async fn check(&self, world: &World) {
        let mut read: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for shard in world.stream().shards.all() {
            for record in world.read(&shard.id().to_string()).await {
                let data = STANDARD.decode_to_vec(record["Data"].as_str().unwrap()).unwrap();
                let number = String::from_utf8(data).unwrap().parse().unwrap();
                read.entry(record["PartitionKey"].as_str().unwrap().to_owned()).or_default().push(number);
            }
        }
        let put = self.put.iter().map(|(key, count)| (key.clone(), (0..*count).collect()));
        assert_eq!(read, put.collect::<BTreeMap<String, Vec<u64>>>());
    }
}
