//! Delivery streams that read a data stream, over the handlers of a node on a simulated disk: from its end on, through
//! reshards and restarts, each record once.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod call;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use levada::cli::ServeArgs;
use levada::config::Config;
use levada::node::{Environment, Node};
use levada_core::catalog::{Account, Scope};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_core::env::{Disk, Open};
use levada_log::Options;
use serde_json::{Value, json};
use tokio::time::sleep;

const OPEN: &str = "limits.mode = \"open\"";
const BUCKET: &str = "/data/buckets/lake";

struct World {
    node: Arc<Node>,
    config: &'static str,
    clock: SimClock,
    disk: SimDisk,
    random: SimRandom,
    /// Records put so far, since the delivery stream began.
    put: u64,
}

impl World {
    /// A node with a data stream `s` of so many shards.
    async fn new(config: &'static str, shards: u32) -> Self {
        let (clock, disk, random) = (SimClock::at(1_795_000_000_000), SimDisk::new(), SimRandom::new(5));
        let node = start(config, &clock, &disk, &random).await;
        let world = Self { node, config, clock, disk, random, put: 0 };
        world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": shards})).await;
        world
    }

    async fn kinesis(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = call::call(&self.node, &format!("Kinesis_20131202.{operation}"), &body).await;
        assert_eq!(status, 200, "{operation}: {reply}");
        reply
    }

    async fn firehose(&self, operation: &str, body: Value) -> (u16, Value) {
        call::call(&self.node, &format!("Firehose_20150804.{operation}"), &body).await
    }

    /// Creates the delivery stream `d`, which reads the stream of this ARN.
    async fn create(&self, arn: &str) -> (u16, Value) {
        let destination = json!({
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "BucketARN": "arn:aws:s3:::lake",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        });
        let source = json!({"KinesisStreamARN": arn, "RoleARN": "arn:aws:iam::000000000000:role/r"});
        let body = json!({
            "DeliveryStreamName": "d",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": source,
            "ExtendedS3DestinationConfiguration": destination,
        });
        self.firehose("CreateDeliveryStream", body).await
    }

    async fn begin(&mut self) {
        let (status, reply) = self.create(ARN).await;
        assert_eq!(status, 200, "{reply}");
        self.put = 0;
    }

    /// Puts numbered records, each with its own key.
    async fn put(&mut self, count: u64) {
        let record = |n: u64| json!({"PartitionKey": format!("key-{n}"), "Data": STANDARD.encode_to_string(format!("{n:08}\n"))});
        let records: Vec<Value> = (self.put..self.put + count).map(record).collect();
        let reply = self.kinesis("PutRecords", json!({"StreamName": "s", "Records": records})).await;
        assert_eq!(reply["FailedRecordCount"], 0);
        self.put += count;
    }

    /// Waits until so many records are copied, and delivered.
    async fn deliver(&self) -> Vec<u64> {
        let scope = Scope::new(Account::new("000000000000").unwrap(), "us-east-1");
        let stream = self.node.registry.state().delivery_stream(&scope, "d").unwrap().clone();
        for _ in 0..600 {
            if self.node.engine.tail(stream.data_log).await.unwrap().end >= self.put {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.node.delivery(stream.incarnation).unwrap().flush().await.unwrap();
        self.delivered()
    }

    /// The numbers in the bucket, in no order.
    fn delivered(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        for path in self.disk.files() {
            if path.starts_with(BUCKET) {
                let file = self.disk.open(&path, Open::Read).unwrap();
                let mut bytes = vec![0; file.len().unwrap() as usize];
                file.read_exact_at(&mut bytes, 0).unwrap();
                numbers.extend(String::from_utf8(bytes).unwrap().lines().map(|line| line.parse::<u64>().unwrap()));
            }
        }
        numbers.sort_unstable();
        numbers
    }

    async fn assert_delivered(&self) {
        assert_eq!(self.deliver().await, (0..self.put).collect::<Vec<_>>());
    }

    async fn restart(&mut self, crash: bool) {
        if crash {
            self.disk = self.disk.crash(&self.random);
        } else {
            self.node.shutdown().await.unwrap();
        }
        self.node = start(self.config, &self.clock, &self.disk, &self.random).await;
    }

    /// The samples of a metric, by its name without labels.
    fn metrics(&self) -> BTreeMap<String, f64> {
        let page = self.node.metrics.page(self.node.samples());
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.split('{').next()?.to_owned(), value.parse().ok()?))
            })
            .collect()
    }
}

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s";

async fn start(config: &str, clock: &SimClock, disk: &SimDisk, random: &SimRandom) -> Arc<Node> {
    let mut config = Config::new(&ServeArgs::default(), Some(config)).unwrap();
    config.free_bytes = 0;
    let env = Environment {
        clock: Arc::new(clock.clone()),
        random: Arc::new(random.fork()),
        disk: Arc::new(disk.clone()),
        log: Options { journal_segment_bytes: 16 << 20, first_journal_segment_bytes: 1 << 20, ..Options::default() },
        client: Arc::new(levada::network::NoNetwork),
        threads: false,
    };
    Node::start(config, env, Path::new("/data")).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_arrives_after_the_creation_is_delivered() {
    let mut world = World::new(OPEN, 3).await;
    world.put(50).await;
    world.begin().await;
    world.put(200).await;
    world.assert_delivered().await;
    let body = json!({"DeliveryStreamName": "d"});
    let (_, described) = world.firehose("DescribeDeliveryStream", body).await;
    let source = &described["DeliveryStreamDescription"]["Source"]["KinesisStreamSourceDescription"];
    assert_eq!(source["KinesisStreamARN"], ARN);
    assert_eq!(source["DeliveryStartTimestamp"], json!(1_795_000_000.0));
    let metrics = world.metrics();
    assert_eq!(metrics["aws_firehose_data_read_from_kinesis_stream_records_total"], 200.0);
    assert_eq!(metrics["aws_firehose_data_read_from_kinesis_stream_bytes_total"], 1_800.0);
    assert_eq!(metrics["aws_firehose_kinesis_millis_behind_latest"], 0.0);
    assert_eq!(metrics["levada_source_lost_records_total"], 0.0);
    assert_eq!(metrics["aws_kinesis_get_records_records_total"], 200.0);
}

/// Who is told that it is being created may put.
#[tokio::test(start_paused = true)]
async fn what_arrives_while_it_is_being_created_is_delivered() {
    let mut world = World::new("limits.mode = \"open\"\nlifecycle.mode = \"aws\"", 2).await;
    world.clock.advance(10_000);
    sleep(Duration::from_secs(20)).await;
    world.put(10).await;
    world.begin().await;
    world.put(10).await;
    world.clock.advance(10_000);
    sleep(Duration::from_secs(20)).await;
    world.put(10).await;
    world.assert_delivered().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_else_puts_into_it() {
    let mut world = World::new(OPEN, 1).await;
    world.begin().await;
    let one = json!({"DeliveryStreamName": "d", "Record": {"Data": ""}});
    let many = json!({"DeliveryStreamName": "d", "Records": [{"Data": ""}]});
    for (operation, body) in [("PutRecord", one), ("PutRecordBatch", many)] {
        let (status, reply) = world.firehose(operation, body).await;
        let says = "This operation is not permitted on KinesisStreamAsSource delivery stream type.";
        assert_eq!((status, &reply["__type"]), (400, &json!("InvalidArgumentException")));
        assert_eq!(reply["message"], says);
    }
}

#[tokio::test(start_paused = true)]
async fn reshards_and_restarts_lose_nothing_and_double_nothing() {
    let mut world = World::new(OPEN, 2).await;
    // A reshard before the beginning, with records that are not meant.
    world.put(20).await;
    let split = json!({
        "StreamName": "s", "ShardToSplit": "shardId-000000000000",
        "NewStartingHashKey": "85070591730234615865843651857942052864",
    });
    world.kinesis("SplitShard", split).await;
    world.put(20).await;
    world.begin().await;
    world.put(100).await;
    let merge = json!({
        "StreamName": "s", "ShardToMerge": "shardId-000000000002", "AdjacentShardToMerge": "shardId-000000000003",
    });
    world.kinesis("MergeShards", merge).await;
    world.put(100).await;
    world.assert_delivered().await;
    for (round, shards) in [4, 3, 6].into_iter().enumerate() {
        world.put(40).await;
        let update = json!({"StreamName": "s", "TargetShardCount": shards, "ScalingType": "UNIFORM_SCALING"});
        world.kinesis("UpdateShardCount", update).await;
        world.put(40).await;
        // In the middle of it all.
        sleep(Duration::from_millis(60 * round as u64)).await;
        world.restart(round != 1).await;
        world.put(40).await;
    }
    world.assert_delivered().await;
    world.restart(true).await;
    world.put(10).await;
    world.assert_delivered().await;
}

#[tokio::test(start_paused = true)]
async fn reads_count_against_the_limits_of_the_shards() {
    let mut world = World::new("", 1).await;
    world.begin().await;
    for _ in 0..8 {
        world.put(1).await;
        sleep(Duration::from_secs(3)).await;
    }
    // The node's clock stands, so that there are five reads, and others wait.
    assert_eq!(world.metrics()["aws_firehose_data_read_from_kinesis_stream_records_total"], 5.0);
    assert!(world.metrics()["aws_firehose_throttled_get_records_total"] >= 3.0);
    world.clock.advance(1_000);
    world.assert_delivered().await;
}

/// The delivery stream goes on to exist, and reads nothing more: neither what is left nor another stream of the name.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_deleted_is_missed() {
    let mut world = World::new(OPEN, 1).await;
    world.begin().await;
    world.put(10).await;
    world.assert_delivered().await;
    world.kinesis("DeleteStream", json!({"StreamName": "s"})).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.metrics()["levada_source_gone"], 1.0);
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    let delivered = world.delivered();
    world.put(10).await;
    world.restart(false).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.delivered(), delivered);
    assert_eq!(world.metrics()["levada_source_gone"], 1.0);
    // Deleted and created again, it reads the stream that is there.
    let (status, _) = world.firehose("DeleteDeliveryStream", json!({"DeliveryStreamName": "d"})).await;
    assert_eq!(status, 200);
    assert!(!world.metrics().contains_key("levada_source_gone"));
    world.begin().await;
    world.put(10).await;
    let mut expected = [delivered, (0..10).collect()].concat();
    expected.sort_unstable();
    assert_eq!(world.deliver().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_source_must_be_there() {
    let world = World::new(OPEN, 1).await;
    for arn in [
        "arn:aws:kinesis:us-east-1:000000000000:stream/other",
        "arn:aws:kinesis:eu-west-1:000000000000:stream/s",
        "arn:aws:kinesis:us-east-1:111111111111:stream/s",
    ] {
        let (status, reply) = world.create(arn).await;
        assert_eq!(status, 400, "{arn}");
        assert!(["InvalidArgumentException", "ResourceNotFoundException"].iter().any(|code| reply["__type"] == **code));
    }
    let (_, listed) = world.firehose("ListDeliveryStreams", json!({})).await;
    assert_eq!(listed["DeliveryStreamNames"], json!([]));
}
