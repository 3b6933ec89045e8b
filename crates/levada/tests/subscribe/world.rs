//! A node in paused time, and a client that reads event streams.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use levada::body::Body;
use levada::cli::{LifecycleMode, LimitsMode, ServeArgs};
use levada::config::Config;
use levada::ladder::descend;
use levada::listener::Accept;
use levada::node::{Environment, Node};
use levada_core::catalog::{Account, Command, Scope};
use levada_core::env::Clock;
use levada_core::env::sim::{SimDisk, SimRandom};
use levada_log::Options;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(crate) const SHARD: &str = "shardId-000000000000";
const DAWN: u64 = 1_795_000_000_123;
const AUTHORIZATION: &str =
    "AWS4-HMAC-SHA256 Credential=000000000000/20261120/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0";

/// Connections that the test makes.
pub(crate) struct Network(pub(crate) mpsc::Receiver<DuplexStream>);

impl Accept for Network {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<DuplexStream> {
        match self.0.recv().await {
            Some(io) => Ok(io),
            None => std::future::pending().await,
        }
    }
}

/// The runtime's time as a clock, whose wall may be set wrong.
#[derive(Clone)]
pub(crate) struct Time {
    begun: Instant,
    skew_ms: Arc<AtomicI64>,
    asked: Arc<AtomicU64>,
}

impl Time {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), skew_ms: Arc::default(), asked: Arc::default() }
    }

    /// How often anybody has asked for the time.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Sets the wall clock so many milliseconds wrong.
    pub(crate) fn set_skew(&self, ms: i64) {
        self.skew_ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        let now = DAWN + self.begun.elapsed().as_millis() as u64;
        now.saturating_add_signed(self.skew_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.begun.elapsed()
    }
}

/// How the node is started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setting {
    pub(crate) lifecycle: Option<LifecycleMode>,
    pub(crate) limits: Option<LimitsMode>,
    pub(crate) connections: Option<usize>,
}

pub(crate) struct World {
    pub(crate) node: Arc<Node>,
    pub(crate) disk: SimDisk,
    pub(crate) time: Time,
    setting: Setting,
}

/// How the journal of the tests' nodes is laid out.
pub(crate) fn log_options() -> Options {
    Options { journal_segment_bytes: 4 << 20, first_journal_segment_bytes: 1 << 18, ..Options::default() }
}

impl World {
    pub(crate) async fn on(disk: SimDisk, time: Time, setting: Setting) -> Self {
        let args = ServeArgs { lifecycle: setting.lifecycle, limits: setting.limits, ..ServeArgs::default() };
        let mut config = Config::new(&args, None).unwrap();
        config.free_bytes = 0;
        config.connections = setting.connections.unwrap_or(config.connections);
        let env = Environment {
            clock: Arc::new(time.clone()),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(disk.clone()),
            log: log_options(),
            client: Arc::new(levada::network::NoNetwork),
            threads: false,
        };
        let node = Node::start(config, env, Path::new("/data")).await.unwrap();
        Self { node, disk, time, setting }
    }

    /// An empty node.
    pub(crate) async fn new(setting: Setting) -> Self {
        Self::on(SimDisk::new(), Time::new(), setting).await
    }

    /// A stream `s` of so many shards.
    pub(crate) async fn with_stream(shards: u32) -> Self {
        let world = Self::new(Setting::default()).await;
        world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": shards})).await;
        world
    }

    /// A stream `s` of one shard, and transitions that last.
    pub(crate) async fn with_lifecycle_of_aws() -> Self {
        let world = Self::new(Setting { lifecycle: Some(LifecycleMode::Aws), ..Setting::default() }).await;
        world.kinesis("CreateStream", json!({"StreamName": "s", "ShardCount": 1})).await;
        world.pass(6_000).await;
        world
    }

    /// The world after the process was killed and has started again.
    pub(crate) async fn killed(self) -> Self {
        Self::on(self.disk.kill(), self.time, self.setting).await
    }

    /// Milliseconds since the world began.
    pub(crate) fn now(&self) -> u64 {
        self.time.monotonic().as_millis() as u64
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.time.now_ms()
    }

    pub(crate) async fn pass(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.settle().await;
    }

    /// Lets everybody do what they can do without time passing.
    pub(crate) async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// The stream's description, in short.
    pub(crate) async fn summary(&self) -> Value {
        let reply = self.kinesis("DescribeStreamSummary", json!({"StreamName": "s"})).await;
        reply["StreamDescriptionSummary"].clone()
    }

    /// Waits until the stream is ACTIVE.
    pub(crate) async fn active(&self) {
        for _ in 0..600 {
            if self.summary().await["StreamStatus"] == "ACTIVE" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the stream does not become ACTIVE");
    }

    /// The shards that a filter shows.
    pub(crate) async fn listed(&self, filter: Value) -> Vec<Value> {
        let reply = self.kinesis("ListShards", json!({"StreamName": "s", "ShardFilter": filter})).await;
        reply["Shards"].as_array().unwrap().clone()
    }

    /// The hash keys of the shards that a filter of this type shows.
    pub(crate) async fn ranges(&self, filter: &str) -> BTreeMap<String, RangeInclusive<u128>> {
        let listed = self.listed(json!({"Type": filter})).await;
        listed.iter().map(|shard| (shard["ShardId"].as_str().unwrap().to_owned(), range(shard))).collect()
    }

    /// The shards without an end, in the order of their hash keys.
    pub(crate) async fn without_end(&self) -> Vec<(String, RangeInclusive<u128>)> {
        let listed = self.listed(json!({"Type": "FROM_TRIM_HORIZON"})).await;
        let open = listed.iter().filter(|shard| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none());
        let mut open: Vec<_> =
            open.map(|shard| (shard["ShardId"].as_str().unwrap().to_owned(), range(shard))).collect();
        open.sort_by_key(|(_, range)| *range.start());
        open
    }

    /// An iterator at the trim horizon of a shard.
    pub(crate) async fn iterator(&self, shard: &str) -> Value {
        let body = json!({"StreamName": "s", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        self.kinesis("GetShardIterator", body).await["ShardIterator"].clone()
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::new(Account::new("000000000000").unwrap(), "us-east-1")
    }

    /// Registers a consumer of `s` and answers its ARN.
    pub(crate) async fn register(&self, name: &str) -> String {
        let (scope, tags) = (self.scope(), BTreeMap::new());
        let command = Command::RegisterConsumer { scope, stream: "s".into(), name: name.into(), tags };
        self.node.carry_out(command).await.unwrap();
        let state = self.node.registry.state();
        let stream = state.stream(&self.scope(), "s").unwrap();
        stream.consumers[name].arn(stream)
    }

    /// Status and answer of a call.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        let response = descend(&self.node, &head(operation), Bytes::from(body.to_string())).await;
        let status = response.status().as_u16();
        let reply = response.into_body().collect().await.unwrap().to_bytes();
        (status, if reply.is_empty() { Value::Null } else { serde_json::from_slice(&reply).unwrap() })
    }

    pub(crate) async fn kinesis(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 200, "{operation} {body}: {reply}");
        reply
    }

    /// Puts a record and answers its number.
    pub(crate) async fn put(&self, text: &str) -> String {
        self.put_to("0", text).await
    }

    pub(crate) async fn put_to(&self, hash_key: &str, text: &str) -> String {
        let body = json!({
            "StreamName": "s", "PartitionKey": "k", "ExplicitHashKey": hash_key,
            "Data": STANDARD.encode_to_string(text),
        });
        self.kinesis("PutRecord", body).await["SequenceNumber"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn subscribe(&self, consumer: &str, shard: &str, position: &Value) -> Subscription {
        self.subscribe_with(&json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": position})).await
    }

    pub(crate) async fn subscribe_with(&self, body: &Value) -> Subscription {
        let response = descend(&self.node, &head("SubscribeToShard"), Bytes::from(body.to_string())).await;
        let status = response.status().as_u16();
        if status != 200 {
            let said = response.into_body().collect().await.unwrap().to_bytes();
            panic!("{body}: {}", String::from_utf8_lossy(&said));
        }
        let content_type = response.headers()["content-type"].clone();
        assert_eq!(content_type, "application/vnd.amazon.eventstream");
        let mut subscription = Subscription { body: response.into_body() };
        let (kind, payload) = subscription.frame().await.unwrap();
        assert_eq!((kind.as_str(), &payload), ("initial-response", &json!({})));
        subscription
    }

    pub(crate) async fn refused(&self, consumer: &str, shard: &str, position: &Value) -> String {
        self.refusal(&json!({"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": position})).await
    }

    pub(crate) async fn refusal(&self, body: &Value) -> String {
        let response = descend(&self.node, &head("SubscribeToShard"), Bytes::from(body.to_string())).await;
        assert_eq!(response.status(), 400, "{body}");
        let said = response.into_body().collect().await.unwrap().to_bytes();
        let said: Value = serde_json::from_slice(&said).unwrap();
        format!("{} {}", said["__type"].as_str().unwrap(), said["message"].as_str().unwrap_or_default())
    }
}

fn range(shard: &Value) -> RangeInclusive<u128> {
    let key = |name: &str| shard["HashKeyRange"][name].as_str().unwrap().parse().unwrap();
    key("StartingHashKey")..=key("EndingHashKey")
}

/// The head of a request.
pub(crate) fn head(operation: &str) -> Parts {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    let target = format!("Kinesis_20131202.{operation}");
    for (name, value) in [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", target.as_str()),
        ("x-amz-date", "20261120T000000Z"),
        ("authorization", AUTHORIZATION),
    ] {
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    request.into_parts().0
}

/// A client's end of an event stream.
pub(crate) struct Subscription {
    body: Body,
}

impl Subscription {
    /// The next event; `None` at the clean end.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        let (kind, payload) = self.frame().await?;
        assert_eq!(kind, "SubscribeToShardEvent");
        Some(payload)
    }

    /// The next event that has records.
    pub(crate) async fn records(&mut self) -> Value {
        loop {
            let event = self.event().await.unwrap();
            if event["Records"] != json!([]) {
                return event;
            }
        }
    }

    async fn frame(&mut self) -> Option<(String, Value)> {
        let bytes = self.body.frame().await?.unwrap().into_data().unwrap();
        let mut rest = &bytes[..];
        let frame = take_frame(&mut rest).unwrap();
        assert!(rest.is_empty(), "one frame at a time");
        Some(frame)
    }
}

/// Takes a frame apart that stands at the front; `None` if it is not whole yet. Answers its `:event-type`.
pub(crate) fn take_frame(bytes: &mut &[u8]) -> Option<(String, Value)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().unwrap()) as usize);
    let (total, headers) = (number(0)?, number(4)?);
    let frame = bytes.get(..total)?;
    let mut rest = &frame[12..12 + headers];
    let mut kind = None;
    while let [name, tail @ ..] = rest {
        let (name, tail) = tail.split_at(usize::from(*name));
        assert_eq!(tail[0], 7, "a string");
        let length = usize::from(u16::from_be_bytes([tail[1], tail[2]]));
        let (value, tail) = tail[3..].split_at(length);
        if name == b":event-type" {
            kind = Some(String::from_utf8(value.to_vec()).unwrap());
        }
        rest = tail;
    }
    let payload = serde_json::from_slice(&frame[12 + headers..total - 4]).unwrap();
    *bytes = &bytes[total..];
    Some((kind.unwrap(), payload))
}

/// The data of an event's or a page's records, which are texts.
pub(crate) fn data(event: &Value) -> Vec<String> {
    let text = |record: &Value| {
        let data = STANDARD.decode_to_vec(record["Data"].as_str().unwrap()).unwrap();
        String::from_utf8(data).unwrap()
    };
    event["Records"].as_array().unwrap().iter().map(text).collect()
}
