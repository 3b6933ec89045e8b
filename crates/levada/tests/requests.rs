//! Requests as bytes against a node on a simulated disk and clock: AWS's order of checks, and what no client library
//! would send or ask so exactly.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::BodyExt;
use levada::cli::{LimitsMode, ServeArgs};
use levada::config::Config;
use levada::ladder::descend;
use levada::node::{Environment, Node};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::Options;
use serde_json::{Value, json};

const NOW: u64 = 1_795_000_000_123;
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=000000000000/20261120/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0";

struct World {
    node: Arc<Node>,
    disk: SimDisk,
    clock: SimClock,
}

impl World {
    async fn new() -> Self {
        Self::on(SimDisk::new(), SimClock::at(NOW)).await
    }

    async fn on(disk: SimDisk, clock: SimClock) -> Self {
        // Rates are tests/limits.rs's matter.
        let args = ServeArgs { limits: Some(LimitsMode::Open), ..ServeArgs::default() };
        let mut config = Config::new(&args, None).unwrap();
        config.free_bytes = 0;
        let env = Environment {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(disk.clone()),
            log: Options { journal_segment_bytes: 1 << 20, first_journal_segment_bytes: 1 << 18, ..Options::default() },
            client: Arc::new(levada::network::NoNetwork),
            threads: false,
        };
        let node = Node::start(config, env, Path::new("/data")).await.unwrap();
        Self { node, disk, clock }
    }

    async fn send(&self, method: Method, headers: &[(&str, &str)], body: &str) -> (u16, Vec<(String, String)>, String) {
        let mut request = Request::new(());
        *request.method_mut() = method;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let (head, ()) = request.into_parts();
        let response = descend(&self.node, &head, Bytes::from(body.to_owned())).await;
        let status = response.status().as_u16();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn call(&self, target: &str, body: &Value) -> (u16, Value) {
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target),
            ("x-amz-date", "20261120T000000Z"),
            ("authorization", AUTHORIZATION),
        ];
        let (status, _, body) = self.send(Method::POST, &headers, &body.to_string()).await;
        (status, if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() })
    }

    async fn kinesis(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = self.call(&format!("Kinesis_20131202.{operation}"), &body).await;
        assert_eq!(status, 200, "{operation} {body}: {reply}");
        reply
    }

    async fn refused(&self, target: &str, body: Value) -> String {
        let (status, reply) = self.call(target, &body).await;
        assert!(status >= 400, "{target} {body}: {reply}");
        let message = reply["message"].as_str().or(reply["Message"].as_str()).unwrap_or_default();
        format!("{} {message}", reply["__type"].as_str().unwrap())
    }
}

/// Method, headers and body of a request; status and a part of the answer.
type Row<'a> = (Method, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

/// One row, one early answer: what is sent, and what AWS says to it.
#[tokio::test]
async fn the_checks_stand_in_aws_order() {
    let world = World::new().await;
    let json = ("content-type", "application/x-amz-json-1.1");
    let put = ("x-amz-target", "Kinesis_20131202.PutRecord");
    let unknown = ("x-amz-target", "Kinesis_20131202.Levitate");
    let auth = ("authorization", AUTHORIZATION);
    let date = ("x-amz-date", "20261120T000000Z");
    let origin = ("origin", "http://localhost");
    let rows: [Row; 17] = [
        (Method::OPTIONS, &[origin], "", 200, ""),
        (Method::GET, &[json, put, auth, date], "", 403, "Unable to determine service/operation name"),
        (Method::PUT, &[], "{}", 403, "<AccessDeniedException>"),
        (Method::POST, &[json, put], "", 400, r#"{"__type":"SerializationException"}"#),
        (Method::POST, &[json], "", 400, r#"{"__type":"UnknownOperationException"}"#),
        (Method::POST, &[], "{}", 403, "<AccessDeniedException>"),
        (Method::POST, &[put], "{}", 404, "<UnknownOperationException/>"),
        (Method::POST, &[put, ("content-type", "text/plain")], "{}", 404, "<UnknownOperationException/>"),
        (Method::POST, &[json, put], "{", 400, r#"{"__type":"SerializationException"}"#),
        (Method::POST, &[json, put], "[]", 400, r#"{"__type":"SerializationException"}"#),
        (Method::POST, &[json, unknown], "{", 400, "SerializationException"),
        (Method::POST, &[json, unknown, auth, date], "{}", 400, r#"{"__type":"UnknownOperationException"}"#),
        (Method::POST, &[json, put], "{}", 400, "Missing Authentication Token"),
        (Method::POST, &[json, put, auth], "{}", 400, "IncompleteSignatureException"),
        (Method::POST, &[json, put, auth, date], r#"{"Data":5}"#, 400, "SerializationException"),
        (Method::POST, &[json, put, auth, date], "{}", 400, "ValidationException"),
        (
            Method::POST,
            &[("content-type", "application/json"), unknown, auth, date],
            "{}",
            400,
            r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
        ),
    ];
    for (method, headers, body, status, says) in rows {
        let (got, answered, text) = world.send(method.clone(), headers, body).await;
        assert_eq!(got, status, "{method} {headers:?} {body}: {text}");
        assert!(text.contains(says), "{method} {headers:?} {body}: {text}");
        let has = |name: &str| answered.iter().any(|(n, _)| n == name);
        assert!(has("x-amzn-requestid"), "{answered:?}");
        assert_eq!(has("access-control-allow-origin"), headers.contains(&origin), "{answered:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_was_signed_is_refused() {
    let world = World::new().await;
    let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let headers = |claimed| {
        [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "Kinesis_20131202.ListStreams"),
            ("x-amz-date", "20261120T000000Z"),
            ("authorization", AUTHORIZATION),
            ("x-amz-content-sha256", claimed),
        ]
    };
    assert_eq!(world.send(Method::POST, &headers(digest), "{}").await.0, 200);
    let (status, _, text) = world.send(Method::POST, &headers(digest), "{ }").await;
    assert!(status == 400 && text.contains("InvalidSignatureException"), "{text}");
}

/// What is wrong with a body's form comes before what the body means, also where data is decoded late.
#[tokio::test]
async fn form_comes_before_meaning() {
    let world = World::new().await;
    let body = json!({"StreamName": "none", "Records": [{"Data": "AAA*", "PartitionKey": "k"}]});
    let said = world.refused("Kinesis_20131202.PutRecords", body).await;
    assert!(said.starts_with("SerializationException"), "{said}");
    let body = json!({"DeliveryStreamName": "none", "Records": [{"Data": "AAA*"}]});
    let said = world.refused("Firehose_20150804.PutRecordBatch", body).await;
    assert!(said.starts_with("SerializationException"), "{said}");
    let body = json!({"StreamName": "none", "Records": [{"Data": "AAAA", "PartitionKey": "k"}]});
    let said = world.refused("Kinesis_20131202.PutRecords", body).await;
    assert_eq!(said, "ResourceNotFoundException Stream none under account 000000000000 not found.");
}

#[tokio::test]
async fn a_missing_stream_is_a_missing_shard_to_readers() {
    let world = World::new().await;
    let iterator = |shard: &str| {
        world.refused(
            "Kinesis_20131202.GetShardIterator",
            json!({"StreamName": "none", "ShardId": shard, "ShardIteratorType": "LATEST"}),
        )
    };
    assert_eq!(
        iterator("x").await,
        "ResourceNotFoundException Could not find shard x in stream none under account 000000000000."
    );
    assert_eq!(
        iterator("foo-1").await,
        "ResourceNotFoundException Shard shardId-000000000001 in stream none under account 000000000000 does not exist"
    );
    let said = world.refused("Kinesis_20131202.ListShards", json!({})).await;
    assert_eq!(said, "InvalidArgumentException Either NextToken or StreamName should be provided.");
}

async fn data_of(world: &World, iterator: &Value, limit: u32) -> (Vec<String>, Value) {
    let page = world.kinesis("GetRecords", json!({"ShardIterator": iterator, "Limit": limit})).await;
    let data = |record: &Value| record["Data"].as_str().unwrap().to_owned();
    (page["Records"].as_array().unwrap().iter().map(data).collect(), page["NextShardIterator"].clone())
}

#[tokio::test]
async fn reading_after_a_number_skips_that_record_and_no_other() {
    let world = World::new().await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    let mut numbers = Vec::new();
    for data in ["AAAA", "BBBB", "CCCC"] {
        let put = world.kinesis("PutRecord", json!({"StreamName": "s", "Data": data, "PartitionKey": "k"})).await;
        numbers.push(put["SequenceNumber"].clone());
        world.clock.advance(2_000);
    }
    for (kind, from, expected) in [
        ("AFTER_SEQUENCE_NUMBER", 0, vec!["BBBB", "CCCC"]),
        ("AT_SEQUENCE_NUMBER", 1, vec!["BBBB", "CCCC"]),
        ("AFTER_SEQUENCE_NUMBER", 2, vec![]),
    ] {
        let body = json!({
            "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": kind,
            "StartingSequenceNumber": numbers[from],
        });
        let mut iterator = world.kinesis("GetShardIterator", body).await["ShardIterator"].clone();
        for data in &expected {
            let (page, next) = data_of(&world, &iterator, 1).await;
            assert_eq!(page, [*data], "{kind} {from}");
            iterator = next;
        }
        assert_eq!(data_of(&world, &iterator, 1).await.0, Vec::<String>::new(), "{kind} {from}");
    }
}

#[tokio::test]
async fn shards_are_listed_by_the_time_that_describe_tells() {
    let world = World::new().await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 2})).await;
    let described = world.kinesis("DescribeStreamSummary", json!({"StreamName": "s"})).await;
    let created = described["StreamDescriptionSummary"]["StreamCreationTimestamp"].clone();
    for kind in ["AT_TIMESTAMP", "FROM_TIMESTAMP"] {
        let filter = json!({"Type": kind, "Timestamp": created});
        let listed = world.kinesis("ListShards", json!({"StreamName": "s", "ShardFilter": filter})).await;
        assert_eq!(listed["Shards"].as_array().unwrap().len(), 2, "{kind}");
    }
    let before = json!({"Type": "AT_TIMESTAMP", "Timestamp": created.as_f64().unwrap() - 1.0});
    let body = json!({"StreamName": "s", "ShardFilter": before});
    let said = world.refused("Kinesis_20131202.ListShards", body).await;
    assert!(said.contains("cannot be older than TRIM_HORIZON"), "{said}");
}

/// Retention is exact at the reader, whatever is still in the files.
#[tokio::test]
async fn a_record_is_gone_a_day_after_it_came() {
    let world = World::new().await;
    world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    world.kinesis("PutRecord", json!({"StreamName": "s", "Data": "AAAA", "PartitionKey": "k"})).await;
    world.clock.advance(3_600_000);
    world.kinesis("PutRecord", json!({"StreamName": "s", "Data": "BBBB", "PartitionKey": "k"})).await;
    for (ms, expected) in [(23 * 3_600_000, vec!["AAAA", "BBBB"]), (1, vec!["BBBB"]), (3_600_000, vec![])] {
        world.clock.advance(ms);
        let body = json!({
            "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = world.kinesis("GetShardIterator", body).await["ShardIterator"].clone();
        assert_eq!(data_of(&world, &iterator, 10).await.0, expected);
    }
}

/// A stream that is created again shares nothing with the one before: its numbers are higher, and the old one's
/// iterators lead nowhere, also after a restart.
#[tokio::test]
async fn a_name_that_lives_again_is_another_stream() {
    let world = World::new().await;
    let put = json!({"StreamName": "s", "Data": "AAAA", "PartitionKey": "k"});
    let mut last = String::new();
    for _ in 0..3 {
        world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
        let number = world.kinesis("PutRecord", put.clone()).await["SequenceNumber"].as_str().unwrap().to_owned();
        assert!(number > last, "{number} after {last}");
        last = number;
        let body = json!({
            "StreamName": "s", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = world.kinesis("GetShardIterator", body).await["ShardIterator"].clone();
        world.kinesis("DeleteStream", json!({"StreamName": "s"})).await;
        let said = world.refused("Kinesis_20131202.GetRecords", json!({"ShardIterator": iterator})).await;
        assert!(said.starts_with("ResourceNotFoundException Shard shardId-000000000000 in stream s"), "{said}");
    }
    world.node.shutdown().await.unwrap();
    let again = World::on(world.disk.kill(), world.clock).await;
    again.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
    let number = again.kinesis("PutRecord", put).await["SequenceNumber"].as_str().unwrap().to_owned();
    assert!(number > last, "{number} after {last}");
}

/// A control call whose client goes away is finished all the same.
#[tokio::test]
async fn a_creation_outlives_its_request() {
    let world = World::new().await;
    let create = json!({"StreamName": "s", "ShardCount": 1});
    {
        let call = world.kinesis("CreateStream", create);
        tokio::pin!(call);
        // Polled once, so that it has begun, and dropped.
        std::future::poll_fn(|context| {
            let _ = call.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let described = world.kinesis("DescribeStreamSummary", json!({"StreamName": "s"})).await;
    assert_eq!(described["StreamDescriptionSummary"]["StreamStatus"], "ACTIVE");
}
