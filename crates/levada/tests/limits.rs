//! Limits over the handlers, on a node whose clock only the test moves: what a shard takes and gives to the byte and
//! the millisecond, what is refused and in which words, and what the configuration changes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod call;

use std::path::Path;
use std::sync::Arc;

use base64_simd::STANDARD;
use levada::cli::ServeArgs;
use levada::config::Config;
use levada::node::{Environment, Node};
use levada_core::catalog::{Account, Scope, Stream};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::Options;
use serde_json::{Value, json};

const ACCOUNT: &str = "000000000000";
const SHARD: &str = "shardId-000000000000";
const MIB: usize = 1 << 20;
/// Bytes of the partition key `k`.
const KEY: usize = 1;

struct World {
    node: Arc<Node>,
    clock: SimClock,
}

impl World {
    /// A node with this configuration and a stream `s` of so many shards.
    async fn new(config: &str, shards: u32) -> Self {
        let mut config = Config::new(&ServeArgs::default(), Some(config)).unwrap();
        config.free_bytes = 0;
        let clock = SimClock::at(1_795_000_000_000);
        let env = Environment {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(SimDisk::new()),
            log: Options {
                journal_segment_bytes: 64 << 20,
                first_journal_segment_bytes: 16 << 20,
                ..Options::default()
            },
            client: Arc::new(levada::network::NoNetwork),
            threads: false,
        };
        let node = Node::start(config, env, Path::new("/data")).await.unwrap();
        let world = Self { node, clock };
        world.ok("CreateStream", json!({"StreamName": "s", "ShardCount": shards})).await;
        world
    }

    async fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        call::call(&self.node, &format!("Kinesis_20131202.{operation}"), body).await
    }

    async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 200, "{operation}: {reply}");
        reply
    }

    async fn refused(&self, operation: &str, body: Value) -> String {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 400, "{operation}: {reply}");
        format!("{} {}", reply["__type"].as_str().unwrap(), reply["message"].as_str().unwrap_or_default())
    }

    /// Puts one record of so many bytes, its key included; whether it was taken.
    async fn put(&self, bytes: usize) -> bool {
        let (status, reply) = self.call("PutRecord", &record("s", bytes)).await;
        if status != 200 {
            assert_eq!(reply["__type"], "ProvisionedThroughputExceededException", "{reply}");
        }
        status == 200
    }

    /// Puts records of so many bytes in one call; which were taken.
    async fn put_all(&self, sizes: &[usize]) -> Vec<bool> {
        let records: Vec<Value> =
            sizes.iter().map(|bytes| json!({"PartitionKey": "k", "Data": data(bytes - KEY)})).collect();
        let reply = self.ok("PutRecords", json!({"StreamName": "s", "Records": records})).await;
        let taken: Vec<bool> = reply["Records"].as_array().unwrap().iter().map(|r| r["ErrorCode"].is_null()).collect();
        let failed = taken.iter().filter(|taken| !**taken).count();
        assert_eq!(reply["FailedRecordCount"], json!(failed));
        taken
    }

    async fn iterator(&self, kind: &str) -> Value {
        let body = json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": kind});
        self.ok("GetShardIterator", body).await["ShardIterator"].clone()
    }

    /// The data that a shard holds, in order, read within the limits.
    async fn stored(&self) -> Vec<usize> {
        let mut iterator = self.iterator("TRIM_HORIZON").await;
        let mut sizes = Vec::new();
        loop {
            self.clock.advance(5_000);
            let page = self.ok("GetRecords", json!({"ShardIterator": iterator})).await;
            let records = page["Records"].as_array().unwrap();
            if records.is_empty() {
                return sizes;
            }
            sizes.extend(
                records.iter().map(|r| STANDARD.decode_to_vec(r["Data"].as_str().unwrap()).unwrap().len() + KEY),
            );
            iterator = page["NextShardIterator"].clone();
        }
    }

    fn stream(&self) -> Arc<Stream> {
        let scope = Scope::new(Account::new(ACCOUNT).unwrap(), "us-east-1");
        self.node.registry.state().stream(&scope, "s").unwrap().clone()
    }

    fn metric(&self, line: &str) -> u64 {
        let page = self.node.metrics.page(Vec::new());
        let value = page.lines().find_map(|l| l.strip_prefix(line)?.rsplit_once(' '));
        value.map_or(0, |(_, value)| value.parse().unwrap())
    }
}

fn data(bytes: usize) -> String {
    STANDARD.encode_to_string(vec![b'x'; bytes])
}

fn record(stream: &str, bytes: usize) -> Value {
    json!({"StreamName": stream, "PartitionKey": "k", "Data": data(bytes - KEY)})
}

#[tokio::test]
async fn a_thousand_records_a_second() {
    let world = World::new("", 1).await;
    let call = [KEY; 500];
    assert_eq!(world.put_all(&call).await, [true; 500]);
    assert_eq!(world.put_all(&call[1..]).await, [true; 499]);
    assert_eq!(world.put_all(&[KEY, KEY]).await, [true, false]);
    let said = world.refused("PutRecord", record("s", KEY)).await;
    assert_eq!(
        said,
        "ProvisionedThroughputExceededException Rate exceeded for shard shardId-000000000000 in stream s under account \
         000000000000."
    );
    world.clock.advance(1);
    assert!(world.put(KEY).await && !world.put(KEY).await);
    world.clock.advance(999);
    assert_eq!(world.put_all(&call).await, [true; 500]);
    assert_eq!(world.put_all(&call[1..]).await, [true; 499]);
    assert!(!world.put(KEY).await);
}

#[tokio::test]
async fn a_mebibyte_a_second_with_keys() {
    let world = World::new("", 1).await;
    assert!(world.put(MIB).await);
    assert!(!world.put(KEY).await);
    world.clock.advance(999);
    assert!(!world.put(MIB).await);
    // 999 ms bring 1,047,527.4 bytes.
    assert!(!world.put(1_047_528).await);
    assert!(world.put(1_047_527).await);
    world.clock.advance(1);
    assert!(!world.put(1_050).await);
    assert!(world.put(1_049).await);
}

/// Each record for itself, in request order: one that does not fit takes nothing, and a smaller one after it may fit.
#[tokio::test]
async fn a_call_fails_in_part() {
    let world = World::new("", 1).await;
    let sizes = [MIB / 2, MIB / 4, MIB / 2, MIB / 4, KEY, 1_000];
    let taken = [true, true, false, true, false, false];
    assert_eq!(world.put_all(&sizes).await, taken);
    assert_eq!(world.metric("aws_kinesis_put_records_throttled_records_total{"), 3);
    assert_eq!(world.metric("aws_kinesis_write_provisioned_throughput_exceeded_total{"), 3);
    assert_eq!(world.metric("aws_kinesis_put_records_failed_records_total{"), 0);
    assert_eq!(world.metric("aws_kinesis_put_records_success_total{"), 1);
    assert_eq!(world.metric("aws_kinesis_incoming_bytes_total{"), MIB as u64);
    // A call none of whose records is taken succeeds all the same, with all of them failed.
    assert_eq!(world.put_all(&[KEY, KEY]).await, [false, false]);
    assert_eq!(world.metric("aws_kinesis_put_records_success_total{"), 1);
    assert_eq!(world.stored().await, [MIB / 2, MIB / 4, MIB / 4]);
}

/// A shard's limit is its own: the other's records are all taken, and each refusal names its shard, in its place.
#[tokio::test]
async fn a_shard_s_limit_is_its_own() {
    let world = World::new("", 2).await;
    let record = |shard: u32, bytes: usize| {
        // The first hash key of each half.
        let hash = if shard == 0 { "0" } else { "170141183460469231731687303715884105728" };
        json!({"PartitionKey": "k", "ExplicitHashKey": hash, "Data": data(bytes - KEY)})
    };
    let records = [record(1, MIB), record(0, 10), record(1, 10), record(0, 20), record(1, KEY), record(0, KEY)];
    let reply = world.ok("PutRecords", json!({"StreamName": "s", "Records": records})).await;
    assert_eq!(reply["FailedRecordCount"], 2);
    let refusal = json!({
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": "Rate exceeded for shard shardId-000000000001 in stream s under account 000000000000.",
    });
    for (n, shard) in [Some(1), Some(0), None, Some(0), None, Some(0)].into_iter().enumerate() {
        let answer = &reply["Records"][n];
        match shard {
            Some(index) => assert_eq!(answer["ShardId"], format!("shardId-{index:012}"), "{n}: {answer}"),
            None => assert_eq!(*answer, refusal, "{n}"),
        }
    }
    // Numbers rise over what was stored.
    let number = |n: usize| reply["Records"][n]["SequenceNumber"].as_str().unwrap();
    assert!(number(1) < number(3) && number(3) < number(5));
    assert_eq!(world.stored().await, [10, 20, KEY]);
}

/// A call that is refused for another reason, or is only tried, takes nothing: one row, one such call.
#[tokio::test]
async fn what_is_refused_before_takes_nothing() {
    let world = World::new("", 1).await;
    let full = |more: Value| {
        let mut record = record("s", MIB);
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let batch =
        |record: Value| json!({"StreamName": "s", "Records": [{"PartitionKey": "k", "Data": data(MIB - KEY)}, record]});
    for (operation, body, says) in [
        ("PutRecord", full(json!({"DryRun": true})), "DryRunOperationException"),
        ("PutRecord", full(json!({"ExplicitHashKey": "999999999999999999999999999999999999999"})), "InvalidArgument"),
        (
            "PutRecord",
            full(json!({"SequenceNumberForOrdering": "59680334709810242964092010697601563867422484827689975810"})),
            "InvalidArgument",
        ),
        ("PutRecord", record("s", MIB + 1), "ValidationException"),
        ("PutRecords", batch(json!({"PartitionKey": "k", "Data": data(MIB)})), "ValidationException"),
        ("PutRecords", batch(json!({"PartitionKey": "k", "Data": "AA*A"})), "SerializationException"),
        ("PutRecords", batch(json!({"Data": "AAAA"})), "ValidationException"),
    ] {
        let said = world.refused(operation, body).await;
        assert!(said.starts_with(says), "{operation}: {said}");
    }
    let mut dry = batch(json!({"PartitionKey": "k", "Data": ""}));
    dry["DryRun"] = json!(true);
    assert!(world.refused("PutRecords", dry).await.starts_with("DryRunOperationException"));
    assert!(world.put(MIB).await);
    assert!(!world.put(KEY).await);
    // What is wrong is said before what is too much.
    let said = world.refused("PutRecord", record("s", MIB + 1)).await;
    assert!(said.starts_with("ValidationException"), "{said}");
    let said = world.refused("PutRecord", full(json!({"DryRun": true}))).await;
    assert!(said.starts_with("DryRunOperationException"), "{said}");
}

#[tokio::test]
async fn five_reads_a_second() {
    let world = World::new("", 1).await;
    assert!(world.put(10).await);
    let iterator = world.iterator("TRIM_HORIZON").await;
    let read = json!({"ShardIterator": iterator});
    for _ in 0..5 {
        world.ok("GetRecords", read.clone()).await;
    }
    let said = world.refused("GetRecords", read.clone()).await;
    assert_eq!(
        said,
        "ProvisionedThroughputExceededException Rate exceeded for Shard - 000000000000/s/shardId-000000000000"
    );
    assert_eq!(world.metric("aws_kinesis_read_provisioned_throughput_exceeded_total{"), 1);
    let mut dry = read.clone();
    dry["DryRun"] = json!(true);
    assert!(world.refused("GetRecords", dry).await.starts_with("DryRunOperationException"));
    world.clock.advance(199);
    world.refused("GetRecords", read.clone()).await;
    // A refusal costs nothing, and the iterator is as good as before.
    world.clock.advance(1);
    assert_eq!(world.ok("GetRecords", read.clone()).await["Records"].as_array().unwrap().len(), 1);
    world.refused("GetRecords", read).await;
}

#[tokio::test]
async fn five_iterators_a_second() {
    let world = World::new("", 2).await;
    let body = |shard: &str| json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": "LATEST"});
    for _ in 0..5 {
        world.ok("GetShardIterator", body(SHARD)).await;
    }
    let said = world.refused("GetShardIterator", body(SHARD)).await;
    assert_eq!(
        said,
        "ProvisionedThroughputExceededException Rate exceeded for shard shardId-000000000000 in stream s under account \
         000000000000."
    );
    world.ok("GetShardIterator", body("shardId-000000000001")).await;
    // What is wrong is said before what is too much.
    let wrong = json!({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP"});
    assert!(world.refused("GetShardIterator", wrong).await.starts_with("InvalidArgumentException"));
    world.clock.advance(200);
    world.ok("GetShardIterator", body(SHARD)).await;
    world.refused("GetShardIterator", body(SHARD)).await;
}

/// API reference, GetRecords: after 10 MiB, calls within the next five seconds are refused.
#[tokio::test]
async fn ten_mebibytes_are_paid_for_in_five_seconds() {
    let world = World::new("[limits]\nmultiple = 1\n[limits.streams.s]\nwrite_bytes_per_second = 100_000_000", 1).await;
    for _ in 0..12 {
        assert!(world.put(MIB).await);
    }
    let mut iterator = world.iterator("TRIM_HORIZON").await;
    let page = world.ok("GetRecords", json!({"ShardIterator": iterator})).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 10);
    iterator = page["NextShardIterator"].clone();
    world.refused("GetRecords", json!({"ShardIterator": iterator})).await;
    world.clock.advance(4_999);
    world.refused("GetRecords", json!({"ShardIterator": iterator})).await;
    world.clock.advance(1);
    // 2 MiB is what a second holds: the next call need not wait for it.
    let page = world.ok("GetRecords", json!({"ShardIterator": iterator})).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 2);
    iterator = page["NextShardIterator"].clone();
    world.refused("GetRecords", json!({"ShardIterator": iterator})).await;
    world.clock.advance(1_000);
    world.ok("GetRecords", json!({"ShardIterator": iterator})).await;
}

/// One row, one configuration: records and bytes in a second, reads in a second.
#[tokio::test]
async fn the_configuration_widens_and_lifts() {
    for (config, records, bytes, reads) in [
        ("limits.multiple = 2.5", Some(2_500), Some(MIB * 5 / 2), Some(12)),
        ("limits.multiple = 0.5", Some(500), Some(MIB), Some(2)),
        ("limits.streams.s.multiple = 2", Some(2_000), Some(2 * MIB), Some(10)),
        ("limits.streams.other.multiple = 2", Some(1_000), Some(MIB), Some(5)),
        (
            "limits.streams.s = { write_records_per_second = 700, read_calls_per_second = 7 }",
            Some(700),
            Some(MIB),
            Some(7),
        ),
        ("limits.mode = \"open\"", None, None, None),
        ("limits.streams.s.mode = \"open\"", None, None, None),
        ("limits = { mode = \"open\", streams.s.multiple = 2 }", Some(2_000), Some(2 * MIB), Some(10)),
    ] {
        let world = World::new(config, 1).await;
        let mut taken = 0;
        for _ in 0..12 {
            taken += world.put_all(&[KEY; 500]).await.into_iter().filter(|taken| *taken).count();
        }
        assert_eq!(taken, records.unwrap_or(6_000), "{config}");
        world.clock.advance(10_000);
        let mut taken = 0;
        while taken < 4 * MIB && world.put(MIB / 2).await {
            taken += MIB / 2;
        }
        assert_eq!(taken, bytes.unwrap_or(4 * MIB), "{config}");
        let iterator = world.iterator("LATEST").await;
        let mut served = 0;
        while served < 20 && world.call("GetRecords", &json!({"ShardIterator": iterator})).await.0 == 200 {
            served += 1;
        }
        assert_eq!(served, reads.unwrap_or(20), "{config}");
    }
}

/// Control-plane rates hold with `strict` only, and are counted before anybody looks whether the stream exists.
#[tokio::test]
async fn strict_counts_control_calls() {
    let missing = json!({"StreamName": "none"});
    let world = World::new("", 1).await;
    for _ in 0..50 {
        let said = world.refused("DescribeStream", missing.clone()).await;
        assert!(said.starts_with("ResourceNotFoundException"), "{said}");
    }
    let world = World::new("limits.mode = \"strict\"", 1).await;
    for _ in 0..10 {
        // A call that is wrong in itself is not counted.
        let said = world.refused("DescribeStream", json!({"StreamName": ""})).await;
        assert!(said.starts_with("ValidationException"), "{said}");
        let said = world.refused("DescribeStream", missing.clone()).await;
        assert!(said.starts_with("ResourceNotFoundException"), "{said}");
    }
    let said = world.refused("DescribeStream", missing.clone()).await;
    assert_eq!(said, "LimitExceededException Rate exceeded for stream none under account 000000000000.");
    world.clock.advance(100);
    let said = world.refused("DescribeStream", missing).await;
    assert!(said.starts_with("ResourceNotFoundException"), "{said}");
    assert!(world.put(MIB).await && !world.put(KEY).await);
}

/// The same of Firehose's, which AWS refuses in other words.
#[tokio::test]
async fn strict_counts_control_calls_of_firehose() {
    let describe = async |world: &World, name: &str| {
        let body = json!({"DeliveryStreamName": name});
        let (status, reply) = call::call(&world.node, "Firehose_20150804.DescribeDeliveryStream", &body).await;
        assert_eq!(status, 400, "{reply}");
        reply["__type"].as_str().unwrap().to_owned()
    };
    let world = World::new("", 1).await;
    for _ in 0..50 {
        assert_eq!(describe(&world, "none").await, "ResourceNotFoundException");
    }
    let world = World::new("limits.mode = \"strict\"", 1).await;
    for _ in 0..5 {
        // A call that is wrong in itself is not counted.
        assert_eq!(describe(&world, "").await, "ValidationException");
        assert_eq!(describe(&world, "none").await, "ResourceNotFoundException");
    }
    assert_eq!(describe(&world, "").await, "ValidationException");
    assert_eq!(describe(&world, "none").await, "ThrottlingException");
    world.clock.advance(200);
    assert_eq!(describe(&world, "none").await, "ResourceNotFoundException");
    assert_eq!(describe(&world, "none").await, "ThrottlingException");
}

/// What scaling and enhanced monitoring read, and what is forgotten when.
#[tokio::test]
async fn loads_are_counted_for_those_who_read_them() {
    let world = World::new("", 3).await;
    let stream = world.stream();
    assert_eq!(world.node.traffic.loads(&stream), []);
    assert!(world.put(MIB).await && !world.put(7).await);
    let shard = stream.shards.all().iter().find(|shard| Some(shard.index) == used(&world, &stream)).unwrap();
    let body = json!({"StreamName": "s", "ShardId": shard.id().to_string(), "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = world.ok("GetShardIterator", body).await["ShardIterator"].clone();
    world.ok("GetRecords", json!({"ShardIterator": iterator})).await;
    let load = world.node.traffic.loads(&stream).pop().unwrap();
    assert_eq!(load.shard, shard.id());
    let of = |load: levada::traffic::Load| {
        [load.records_in, load.bytes_in, load.records_out, load.bytes_out, load.writes_refused, load.reads_refused]
    };
    let mib = MIB as u64;
    assert_eq!(of(load.total), [1, mib, 1, mib, 1, 0]);
    assert_eq!(load.minutes, []);
    world.clock.advance(60_000);
    let minutes = world.node.traffic.loads(&stream).pop().unwrap().minutes;
    assert_eq!(minutes.iter().map(|m| (m.minute, of(m.load))).collect::<Vec<_>>(), [(29_916_666, of(load.total))]);
    world.node.traffic.retain([stream.clone()].iter());
    assert_eq!(world.node.traffic.loads(&stream).len(), 1);
    world.ok("DeleteStream", json!({"StreamName": "s"})).await;
    assert_eq!(world.node.traffic.loads(&stream), []);

    // Open, only an on-demand stream is counted.
    let world = World::new("limits.mode = \"open\"", 1).await;
    assert!(world.put(10).await);
    assert_eq!(world.node.traffic.loads(&world.stream()), []);
    world.ok("DeleteStream", json!({"StreamName": "s"})).await;
    let create = json!({"StreamName": "s", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    world.ok("CreateStream", create).await;
    assert!(world.put(10).await);
    assert_eq!(world.node.traffic.loads(&world.stream())[0].total.bytes_in, 10);
}

/// The one shard with traffic.
fn used(world: &World, stream: &Stream) -> Option<u32> {
    match world.node.traffic.loads(stream).as_slice() {
        [load] => Some(load.shard.0),
        _ => None,
    }
}
