//! A crash at each failpoint, of each shape of delivery, each time the point is passed.
//!
//! What is crossed is counted: a failpoint that no run comes to fails the test as a lost record does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use levada_core::engine::BoxFuture;
use serde_json::{Value, json};

use super::actors::{Manner, TestChain, TestEndpoint, is_dropped, is_poison, lake, number, processed, requested};
use super::world::{BLOCK, Failpoint, World, content, record};
use super::{pass, seconds};
use crate::process::{ChainEnv, ChainSpec, Function, FunctionError, Interpreters, LambdaSpec, Processors};
use crate::{Blocking, Bucketing, Compression, Config, Handle, KeyLayout, LayoutSpec, Partitioning, QueryKeys};

const FAILPOINTS: [Failpoint; 3] = [Failpoint::BeforeUpload, Failpoint::AfterUpload, Failpoint::BeforeCheckpoint];

/// Uploads at a time, of each route.
const PARALLEL: usize = 2;
/// Records before the crash, and in all.
const BEFORE: u64 = 25;
const ALL: u64 = 40;

/// Says something else in each invocation, and names another partition.
#[derive(Debug, Default)]
struct Whimsical(AtomicU64);

impl Function for Whimsical {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, FunctionError>> {
        let invocation = self.0.fetch_add(1, Ordering::SeqCst);
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let reply = |record: &Value| {
            let data = STANDARD.decode_to_vec(record["data"].as_str().unwrap()).unwrap();
            let n = number(&data);
            let id = &record["recordId"];
            if is_dropped(n) {
                return json!({"recordId": id, "result": "Dropped"});
            }
            let result = if is_poison(n) { "ProcessingFailed" } else { "Ok" };
            let text = format!("{n:08} of invocation {invocation}:{}", std::str::from_utf8(&data[8..]).unwrap());
            let keys = json!({"p": (n + invocation) % 3});
            json!({
                "recordId": id, "result": result, "data": STANDARD.encode_to_string(text),
                "metadata": {"partitionKeys": keys},
            })
        };
        let records: Vec<Value> = event["records"].as_array().unwrap().iter().map(reply).collect();
        let reply = serde_json::to_vec(&json!({ "records": records })).unwrap();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(reply.into())
        })
    }
}

/// Through the real processors.
fn through_function(world: &World, partitioned: bool) -> Config {
    let layout = LayoutSpec {
        prefix: Some(if partitioned { "p=!{partitionKeyFromLambda:p}/" } else { "plain/" }),
        error_prefix: Some("err/!{firehose:error-output-type}/"),
        partitioning: match partitioned {
            true => Partitioning::On { query: QueryKeys::None, lambda: true },
            false => Partitioning::Off,
        },
        ..LayoutSpec::default()
    };
    let layout = KeyLayout::new(&layout).unwrap();
    let lambda = LambdaSpec {
        arn: "arn:aws:lambda:us-east-1:000000000000:function:f".into(),
        function: Arc::new(Whimsical::default()),
        retries: 3,
        buffer_bytes: 300_000,
        buffer_interval: seconds(2),
    };
    let spec = ChainSpec {
        delivery_stream_arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/orders".into(),
        region: "us-east-1".into(),
        source_stream_arn: None,
        deaggregation: None,
        decompression: false,
        extraction: false,
        lambda: Some(lambda),
        query: None,
        partitioning: partitioned.then(|| layout.clone()),
    };
    let env = ChainEnv {
        clock: world.clock.clone(),
        random: Arc::new(world.random.fork()),
        blocking: Blocking::Inline,
        interpreters: Interpreters::default(),
    };
    let config = Config::s3(Bucketing { layout, ..lake(false) });
    Config { chain: Some(Arc::new(Processors::new(spec, env))), ..config }
}

/// What is delivered how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Partitioned,
    Lambda,
    /// The function names the partitions.
    LambdaPartitioned,
    /// Another prefix and compression, while uploads are under way.
    Updated,
    /// Processing is switched on, likewise.
    SwitchedOn,
    Endpoint,
    /// An endpoint that takes everything and says that it did not, so that all becomes error output besides.
    LyingEndpoint,
    /// Another endpoint, while requests are under way.
    UpdatedEndpoint,
}

const SHAPES: [Shape; 9] = [
    Shape::Plain,
    Shape::Partitioned,
    Shape::Lambda,
    Shape::LambdaPartitioned,
    Shape::Updated,
    Shape::SwitchedOn,
    Shape::Endpoint,
    Shape::LyingEndpoint,
    Shape::UpdatedEndpoint,
];

impl Shape {
    fn is_updated(self) -> bool {
        matches!(self, Self::Updated | Self::SwitchedOn | Self::UpdatedEndpoint)
    }

    fn has_endpoint(self) -> bool {
        matches!(self, Self::Endpoint | Self::LyingEndpoint | Self::UpdatedEndpoint)
    }
}

/// A run, and those it delivers to besides the store.
struct Run {
    shape: Shape,
    world: World,
    endpoint: Arc<TestEndpoint>,
}

impl Run {
    fn new(shape: Shape, seed: u64) -> Self {
        let mut world = World::new(seed);
        world.tuning.parallel_uploads = PARALLEL;
        world.tuning.snapshot_every = 5;
        let endpoint = TestEndpoint::new(&world, seconds(3));
        world.config = match shape {
            Shape::Plain | Shape::Updated | Shape::SwitchedOn => Config::s3(lake(false)),
            Shape::Partitioned => processed(TestChain::new(3)),
            Shape::Lambda => through_function(&world, false),
            Shape::LambdaPartitioned => through_function(&world, true),
            Shape::Endpoint | Shape::LyingEndpoint | Shape::UpdatedEndpoint => requested(endpoint.clone()),
        };
        if shape == Shape::LyingEndpoint {
            endpoint.manner(Manner::Lies);
        }
        Self { shape, world, endpoint }
    }

    /// The newest configuration, which the next worker begins with too.
    fn update(&mut self, handle: &Handle) {
        let layout = LayoutSpec { prefix: Some("v2/"), ..LayoutSpec::default() };
        self.world.config = match self.shape {
            Shape::Updated => Config::s3(Bucketing {
                layout: KeyLayout::new(&layout).unwrap(),
                compression: Compression::Gzip,
                ..lake(false)
            }),
            Shape::SwitchedOn => processed(TestChain::new(0)),
            _ => {
                self.endpoint.manner(Manner::TakesAll);
                requested(self.endpoint.clone())
            }
        };
        self.world.config_version = 2;
        handle.reconfigure(self.world.config.clone(), 2, Some(BLOCK));
    }

    /// By number: the keys of the objects that hold it. Fails if an object was put again with another content, but for
    /// an endpoint's error output: how often it was asked until the crash is not known after it.
    fn stored(&self) -> BTreeMap<u64, Vec<String>> {
        let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (key, puts) in self.world.sink.puts.lock().unwrap().iter() {
            let newest = puts.last().unwrap();
            let is_same = self.shape.has_endpoint() || puts.iter().all(|put| put == newest);
            assert!(is_same, "{key} was rewritten with other content");
            for line in content(newest).split_terminator('\n') {
                let line: Option<Value> = serde_json::from_str(line).ok().filter(Value::is_object).or_else(|| {
                    let raw = STANDARD.encode_to_string(line);
                    Some(json!({ "rawData": raw }))
                });
                let raw = line.and_then(|line| STANDARD.decode_to_vec(line["rawData"].as_str()?).ok()).unwrap();
                found.entry(number(&raw)).or_default().push(key.clone());
            }
        }
        found
    }

    /// Objects that were put more than once, with the version of the configuration that they were cut with.
    fn rewritten(&self, version: u64) -> usize {
        let puts = self.world.sink.puts.lock().unwrap();
        let is_of = |key: &str| key.contains(&format!("orders-{version}-"));
        puts.iter().filter(|(key, puts)| puts.len() > 1 && is_of(key)).count()
    }

    /// Nothing is lost; in the store nothing is twice, and at the endpoint only requests that the crash cut off.
    fn check(&self, what: &str) {
        let stored = self.stored();
        let taken = self.endpoint.taken.lock().unwrap();
        let mut repeated = std::collections::BTreeSet::new();
        for n in 0..ALL {
            let objects = stored.get(&n).map_or(0, Vec::len);
            assert!(objects <= 1, "{what}: record {n} is in {:?}", stored[&n]);
            let parcels: Vec<_> = taken.iter().filter(|(taken, _)| *taken == n).map(|(_, parcel)| parcel).collect();
            let may_be_dropped = is_dropped(n) && !matches!(self.shape, Shape::Plain | Shape::Updated);
            let may_be_dropped = may_be_dropped && !self.shape.has_endpoint();
            assert!(objects + parcels.len() > 0 || may_be_dropped, "{what}: record {n} is lost");
            if parcels.len() > 1 {
                assert!(parcels.iter().all(|parcel| parcel == &parcels[0]), "{what}: {n} came in another request");
                repeated.insert(parcels[0]);
            }
        }
        let lies = self.shape == Shape::LyingEndpoint || self.shape == Shape::UpdatedEndpoint;
        assert!(lies || repeated.len() <= PARALLEL, "{what}: {} requests were repeated", repeated.len());
        assert!(stored.keys().all(|n| *n < ALL), "{what}: what nobody produced");
    }
}

/// A crash when `failpoint` has been passed so often. Answers whether it came to that, and whether something was
/// delivered again under an earlier configuration.
async fn crash_at(shape: Shape, failpoint: Failpoint, passed: u64) -> (bool, bool) {
    let mut run = Run::new(shape, passed);
    if shape == Shape::UpdatedEndpoint {
        // So that requests of the earlier configuration are open still.
        run.endpoint.manner(Manner::Lies);
    }
    run.world.fuse.set_at(failpoint, passed);
    let handle = run.world.start();
    for n in 0..BEFORE {
        run.world.engine.produce(record(n).as_bytes());
    }
    if shape.is_updated() {
        // Uploads take 20 ms, requests 50.
        pass(Duration::from_millis(10)).await;
        run.update(&handle);
    }
    pass(seconds(90)).await;
    let crossed = run.world.fuse.is_dead();
    drop(handle);
    run.world.fuse.disarm();
    let handle = run.world.start();
    for n in BEFORE..ALL {
        run.world.engine.produce(record(n).as_bytes());
    }
    handle.flush().await.unwrap();
    run.check(&format!("{shape:?}, {failpoint:?} after {passed}"));
    (crossed, run.rewritten(1) > 0)
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_each_failpoint_loses_nothing_and_leaves_no_second_object() {
    for shape in SHAPES {
        for failpoint in FAILPOINTS {
            let (mut crossed, mut rewritten) = (0, 0);
            loop {
                let (crashed, again) = crash_at(shape, failpoint, crossed).await;
                if !crashed {
                    break;
                }
                crossed += 1;
                rewritten += u64::from(again);
            }
            assert!(crossed >= 2, "{shape:?}: {failpoint:?} was crossed {crossed} times");
            let is_uploaded_again = failpoint != Failpoint::BeforeUpload && !shape.has_endpoint();
            assert!(rewritten > 0 || !is_uploaded_again, "{shape:?}: after {failpoint:?} nothing was uploaded again");
        }
    }
}
