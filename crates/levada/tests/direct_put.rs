//! PutRecord and PutRecordBatch over the handlers, on a node whose clock only the test moves: sizes, the budget that
//! both share, and who may put at all.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod call;

use std::path::Path;
use std::sync::Arc;

use base64_simd::STANDARD;
use bytes::Bytes;
use levada::call::Principal;
use levada::cli::{LifecycleMode, ServeArgs};
use levada::config::Config;
use levada::node::{Environment, Node};
use levada_core::catalog::{Account, Command, EncryptionKey, Scope};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::Options;
use levada_wire::codec::Protocol;
use levada_wire::error::ErrorCode;
use levada_wire::operation::FirehoseOp;
use serde_json::{Value, json};

const KIB: usize = 1_024;
const MIB: usize = 1_024 * KIB;
/// Bytes of the largest record.
const LARGEST: usize = 1_000 * KIB;

struct World {
    node: Arc<Node>,
    clock: SimClock,
}

impl World {
    /// A node with this configuration and a delivery stream `d`, which holds all it gets for 15 minutes.
    async fn new(config: &str) -> Self {
        Self::with(config, LifecycleMode::Instant).await
    }

    async fn with(config: &str, lifecycle: LifecycleMode) -> Self {
        let args = ServeArgs { lifecycle: Some(lifecycle), ..ServeArgs::default() };
        let mut config = Config::new(&args, Some(config)).unwrap();
        config.free_bytes = 0;
        let clock = SimClock::at(1_795_000_000_000);
        let env = Environment {
            clock: Arc::new(clock.clone()),
            client: Arc::new(levada::network::NoNetwork),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(SimDisk::new()),
            log: Options {
                journal_segment_bytes: 64 << 20,
                first_journal_segment_bytes: 16 << 20,
                ..Options::default()
            },
            threads: false,
        };
        let node = Node::start(config, env, Path::new("/data")).await.unwrap();
        let world = Self { node, clock };
        world.create().await;
        world
    }

    async fn create(&self) {
        let destination = json!({
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "BucketARN": "arn:aws:s3:::lake",
            "BufferingHints": {"SizeInMBs": 128, "IntervalInSeconds": 900},
        });
        let body = json!({"DeliveryStreamName": "d", "ExtendedS3DestinationConfiguration": destination});
        assert_eq!(self.call("CreateDeliveryStream", &body).await.0, 200);
    }

    async fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        call::call(&self.node, &format!("Firehose_20150804.{operation}"), body).await
    }

    /// Puts a record of so many bytes; whether it was taken.
    async fn put(&self, bytes: usize) -> bool {
        let (status, reply) = self.call("PutRecord", &one("d", bytes)).await;
        if status != 200 {
            assert_eq!(status, 503);
            assert_eq!(reply, json!({"__type": "ServiceUnavailableException", "message": "Slow down."}));
            return false;
        }
        assert!(reply["RecordId"].as_str().unwrap().len() > 100);
        true
    }

    /// Puts records of so many bytes in one call; which were taken.
    async fn put_all(&self, sizes: &[usize]) -> Vec<bool> {
        let (status, reply) = self.call("PutRecordBatch", &batch("d", sizes)).await;
        assert_eq!(status, 200, "{reply}");
        let entry = |entry: &Value| {
            if entry["RecordId"].is_string() {
                return true;
            }
            assert_eq!(*entry, json!({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}));
            false
        };
        let taken: Vec<bool> = reply["RequestResponses"].as_array().unwrap().iter().map(entry).collect();
        assert_eq!(taken.len(), sizes.len());
        let failed = taken.iter().filter(|taken| !**taken).count();
        assert_eq!(reply["FailedPutCount"], json!(failed));
        taken
    }

    async fn refused(&self, operation: &str, body: &Value) -> String {
        let (status, reply) = self.call(operation, body).await;
        assert_eq!(status, 400, "{operation}: {reply}");
        format!("{} {}", reply["__type"].as_str().unwrap(), reply["message"].as_str().unwrap_or_default())
    }

    /// Records in the delivery stream's log.
    async fn stored(&self) -> u64 {
        let log = self.node.registry.state().delivery_stream(&scope(), "d").unwrap().data_log;
        self.node.engine.tail(log).await.unwrap().end
    }

    fn page(&self) -> String {
        self.node.metrics.page(self.node.samples())
    }

    fn metric(&self, line: &str) -> u64 {
        let page = self.page();
        let value = page.lines().find_map(|l| l.strip_prefix(line)?.rsplit_once(' '));
        value.map_or(0, |(_, value)| value.parse().unwrap())
    }
}

fn scope() -> Scope {
    Scope::new(Account::new("000000000000").unwrap(), "us-east-1")
}

fn data(bytes: usize) -> String {
    STANDARD.encode_to_string(vec![b'x'; bytes])
}

fn one(stream: &str, bytes: usize) -> Value {
    json!({"DeliveryStreamName": stream, "Record": {"Data": data(bytes)}})
}

fn batch(stream: &str, sizes: &[usize]) -> Value {
    let records: Vec<Value> = sizes.iter().map(|bytes| json!({"Data": data(*bytes)})).collect();
    json!({"DeliveryStreamName": stream, "Records": records})
}

/// Sizes count before base64, and each is what AWS says it is, to the byte.
#[tokio::test]
async fn sizes_are_exact() {
    let world = World::new("").await;
    assert!(world.put(0).await && world.put(LARGEST).await);
    assert_eq!(world.put_all(&[1; 500]).await, [true; 500]);
    // 4 MiB are 4 largest records and 96 KiB.
    let whole = [LARGEST, LARGEST, 0, LARGEST, LARGEST, 96 * KIB];
    assert_eq!(world.put_all(&whole).await, [true; 6]);
    let stored = world.stored().await;
    assert_eq!(stored, 508);
    let too_long = "failed to satisfy constraint: Member must have length less than or equal to 1024000";
    let one_too_long = format!("ValidationException 1 validation error detected: Value at 'record.data' {too_long}");
    let third = format!("ValidationException 1 validation error detected: Value at 'records.3.member.data' {too_long}");
    let over = [LARGEST, LARGEST, LARGEST, LARGEST, 96 * KIB + 1];
    for (operation, body, says) in [
        ("PutRecord", one("d", LARGEST + 1), one_too_long.as_str()),
        ("PutRecordBatch", batch("d", &[1, 1, LARGEST + 1]), third.as_str()),
        ("PutRecordBatch", batch("d", &over), "InvalidArgumentException Records size exceeds 4 MB limit"),
    ] {
        assert_eq!(world.refused(operation, &body).await, says);
    }
    let counts = [(vec![], "greater than or equal to 1"), (vec![1; 501], "less than or equal to 500")];
    for (sizes, says) in counts {
        let said = world.refused("PutRecordBatch", &batch("d", &sizes)).await;
        assert!(said.starts_with("ValidationException") && said.ends_with(says), "{said}");
    }
    assert_eq!(world.stored().await, stored, "a refused call leaves nothing");
}

/// What is wrong with a request comes before what is wrong with what it names, but for the sum of a batch.
#[tokio::test]
async fn refusals_come_in_their_order() {
    let world = World::new("").await;
    let missing = "ResourceNotFoundException Firehose none under account 000000000000 not found.";
    let over = [LARGEST; 5];
    for (operation, body, says) in [
        ("PutRecord", one("none", 1), missing),
        ("PutRecordBatch", batch("none", &[1]), missing),
        ("PutRecordBatch", batch("none", &over), missing),
        ("PutRecord", one("none", LARGEST + 1), "ValidationException"),
        ("PutRecordBatch", batch("none", &[LARGEST + 1]), "ValidationException"),
        ("PutRecordBatch", batch("d", &[LARGEST, LARGEST, LARGEST, LARGEST + 1]), "ValidationException"),
    ] {
        let said = world.refused(operation, &body).await;
        assert!(said.starts_with(says), "{said}");
    }
}

/// Two values of base64, one behind the other, are none: also if both are padded.
#[tokio::test]
async fn concatenated_base64_is_refused() {
    let world = World::new("[limits.delivery_streams.d]\nrequests_per_second = 1").await;
    for text in ["Zm8=Zm8=", "Zg==Zg==", "Zm8=Zm9v", "Zm8", "Zm9=", "Zm 8"] {
        let record = json!({"DeliveryStreamName": "d", "Record": {"Data": text}});
        let records = json!({"DeliveryStreamName": "d", "Records": [{"Data": "Zm8="}, {"Data": text}]});
        for (operation, body) in [("PutRecord", record), ("PutRecordBatch", records)] {
            let (status, reply) = world.call(operation, &body).await;
            assert_eq!((status, &reply["__type"]), (400, &json!("SerializationException")), "{text}: {reply}");
        }
    }
    assert_eq!(world.stored().await, 0);
    // And such calls have used up nothing.
    assert!(world.put(1).await);
}

#[tokio::test]
async fn both_operations_share_one_budget() {
    let limits = "[limits.delivery_streams.d]\nrequests_per_second = 4\nrecords_per_second = 6\n\
                  bytes_per_second = 2_000_000";
    let world = World::new(limits).await;
    // Records: 5 of 6.
    assert_eq!(world.put_all(&[1, 1, 1, 1]).await, [true; 4]);
    assert!(world.put(1).await);
    // Request 3; the sixth record is taken, the seventh is not.
    assert_eq!(world.put_all(&[1, 1]).await, [true, false]);
    // Request 4.
    assert!(!world.put(1).await);
    world.clock.advance(250);
    // One request is back, and a record and a half.
    assert_eq!(world.put_all(&[1, 1]).await, [true, false]);
    assert_eq!(world.put_all(&[1]).await, [false]);
    assert_eq!(world.stored().await, 7);
    assert_eq!(world.metric("aws_firehose_throttled_records_total{"), 4);
    assert_eq!(world.metric("aws_firehose_incoming_records_total{"), 7);
    assert_eq!(world.metric("aws_firehose_incoming_put_requests_total{"), 4);
    assert_eq!(world.metric("aws_firehose_put_record_batch_failed_records_total{"), 3);
    assert_eq!(world.metric("aws_firehose_put_record_batch_success_total{"), 3);
    assert_eq!(world.metric("aws_firehose_put_record_success_total{"), 1);
}

/// Each record for itself, in request order: one that does not fit takes nothing, and a smaller one after it may fit.
#[tokio::test]
async fn bytes_are_taken_in_request_order() {
    let world = World::new("[limits.delivery_streams.d]\nbytes_per_second = 2_000_000").await;
    let sizes = [1_000_000, 900_000, 200_000, 50_000, 60_000, 50_000];
    assert_eq!(world.put_all(&sizes).await, [true, true, false, true, false, true]);
    assert_eq!(world.stored().await, 4);
    assert_eq!(world.metric("aws_firehose_incoming_bytes_total{"), 2_000_000);
    assert_eq!(world.put_all(&[1, 0]).await, [false, true]);
    world.clock.advance(1_000);
    assert_eq!(world.put_all(&[1_000_000, 1_000_000, 1]).await, [true, true, false]);
}

/// The numbers of the API reference hold with `strict`, those of the quota page if they are asked for; else none do.
#[tokio::test]
async fn presets_hold_when_they_should() {
    let node_s = |config: &'static str| async move {
        let world = World::new(config).await;
        let mut taken = 0;
        for _ in 0..12 {
            taken += world.put_all(&[1; 500]).await.into_iter().filter(|taken| *taken).count();
        }
        let name = |which: &str| format!("aws_firehose_{which}_per_second_limit{{");
        let limits = ["put_requests", "records", "bytes"].map(|which| world.metric(&name(which)));
        (taken, limits)
    };
    let mib = MIB as u64;
    assert_eq!(node_s("").await, (6_000, [0; 3]));
    assert_eq!(node_s("limits.mode = \"strict\"").await, (5_000, [2_000, 5_000, 5 * mib]));
    let quotas = "limits = { mode = \"strict\", direct_put = \"quotas\" }";
    assert_eq!(node_s(quotas).await, (6_000, [2_000, 500_000, 5 * mib]));
    let other = "limits = { mode = \"strict\", delivery_streams.d.mode = \"open\" }";
    assert_eq!(node_s(other).await, (6_000, [0; 3]));
}

#[tokio::test]
async fn a_new_delivery_stream_of_the_name_has_a_budget_of_its_own() {
    let world = World::new("[limits.delivery_streams.d]\nrequests_per_second = 1").await;
    assert!(world.put(1).await && !world.put(1).await);
    assert_eq!(world.call("DeleteDeliveryStream", &json!({"DeliveryStreamName": "d"})).await.0, 200);
    world.create().await;
    assert!(world.put(1).await && !world.put(1).await);
}

#[tokio::test]
async fn only_an_active_delivery_stream_takes_records() {
    let world = World::with("", LifecycleMode::Aws).await;
    let said = world.refused("PutRecord", &one("d", 1)).await;
    assert_eq!(said, "ResourceNotFoundException Firehose d is not active in 000000000000 account.");
    let said = world.refused("PutRecordBatch", &batch("d", &[1])).await;
    assert_eq!(said, "ResourceNotFoundException Firehose d is not active in 000000000000 account.");
}

/// A delivery stream that decompresses takes the records of CloudWatch Logs, and of nobody else.
#[tokio::test]
async fn what_is_decompressed_comes_from_cloudwatch_logs() {
    let world = World::new("").await;
    let decompression = json!({
        "Type": "Decompression",
        "Parameters": [{"ParameterName": "CompressionFormat", "ParameterValue": "GZIP"}],
    });
    let destination = json!({
        "RoleARN": "arn:aws:iam::000000000000:role/r",
        "BucketARN": "arn:aws:s3:::lake",
        "ProcessingConfiguration": {"Enabled": true, "Processors": [decompression]},
    });
    let body = json!({"DeliveryStreamName": "logs", "ExtendedS3DestinationConfiguration": destination});
    let (status, reply) = world.call("CreateDeliveryStream", &body).await;
    assert_eq!(status, 200, "{reply}");
    let says = "Put to Firehose failed for AccountId: 000000000000, FirehoseName: logs because the request is not \
                originating from CloudWatch.";
    for is_cloudwatch_logs in [false, true] {
        let (account, region) = (Account::new("000000000000").unwrap(), "us-east-1".to_owned());
        let principal = Principal { account, region, is_cloudwatch_logs };
        for (op, body) in [(FirehoseOp::PutRecord, one("logs", 1)), (FirehoseOp::PutRecordBatch, batch("logs", &[1]))] {
            let body = Bytes::from(body.to_string());
            let answer = levada::firehose::answer(&world.node, &principal, Protocol::Json, op, &body).await;
            let error = answer.err().map(|error| (error.code, error.message.unwrap_or_default()));
            let expected = (!is_cloudwatch_logs).then(|| (ErrorCode::InvalidSourceException, says.to_owned()));
            assert_eq!(error, expected);
        }
    }
}

/// `Encrypted` follows the encryption that the owner has asked for.
#[tokio::test]
async fn records_say_whether_they_are_encrypted() {
    let world = World::new("").await;
    let encrypted = || async {
        let (_, one) = world.call("PutRecord", &one("d", 1)).await;
        let (_, batch) = world.call("PutRecordBatch", &batch("d", &[1])).await;
        assert_eq!(one["Encrypted"], batch["Encrypted"]);
        one["Encrypted"].as_bool().unwrap()
    };
    assert!(!encrypted().await);
    let (scope, name) = (scope(), "d".into());
    let start = Command::StartDeliveryEncryption { scope, name, key: EncryptionKey::AwsOwned };
    world.node.carry_out(start).await.unwrap();
    assert!(encrypted().await);
    let stop = Command::StopDeliveryEncryption { scope: self::scope(), name: "d".into() };
    world.node.carry_out(stop).await.unwrap();
    assert!(!encrypted().await);
}
