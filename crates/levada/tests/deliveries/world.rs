//! A node on a simulated disk and clock, whose requests to functions and destinations a test answers.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use levada::cli::{LifecycleMode, LimitsMode, ServeArgs};
use levada::config::Config;
use levada::node::{Environment, Node};
use levada_core::engine::BoxFuture;
use levada_core::env::sim::{DiskCall, Fault, SimClock, SimDisk, SimRandom};
use levada_core::env::{Clock, Disk, Open};
use levada_delivery::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use levada_log::Options;
use serde_json::{Value, json};

use crate::call;

pub(crate) const NOW: u64 = 1_795_000_000_000;
pub(crate) const CLEAN: &str = "arn:aws:lambda:us-east-1:000000000000:function:clean";
pub(crate) const URL: &str = "https://in.example.com/put";
pub(crate) const HEC: &str = "https://splunk.example.com:8088";

type Answers = dyn Fn(usize, &HttpRequest) -> Result<HttpResponse, HttpError> + Send + Sync;

/// Whoever is behind all addresses. Keeps what it was sent.
pub(crate) struct Receiver {
    requests: Mutex<Vec<HttpRequest>>,
    answers: Box<Answers>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

impl Receiver {
    /// Answers by the number of the request, from 0, and the request.
    pub(crate) fn new(
        answers: impl Fn(usize, &HttpRequest) -> Result<HttpResponse, HttpError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { requests: Mutex::default(), answers: Box::new(answers) })
    }

    pub(crate) fn requests(&self) -> Vec<HttpRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpClient for Receiver {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        let mut requests = self.requests.lock().unwrap();
        let answer = (self.answers)(requests.len(), &request);
        requests.push(request);
        Box::pin(async { answer })
    }
}

pub(crate) fn answer(status: u16, body: &Value) -> Result<HttpResponse, HttpError> {
    let body = Bytes::from(body.to_string());
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("content-type", "application/json"), header("content-length", &body.len().to_string())];
    Ok(HttpResponse { status, headers, body })
}

/// As a function that answers each record with what `change` makes of its data.
pub(crate) fn function(request: &HttpRequest, change: impl Fn(&str) -> String) -> Result<HttpResponse, HttpError> {
    let event: Value = serde_json::from_slice(&request.body).unwrap();
    let record = |record: &Value| {
        let data = decoded(&record["data"]);
        json!({"recordId": record["recordId"], "result": "Ok", "data": encoded(&change(&data))})
    };
    let records: Vec<_> = event["records"].as_array().unwrap().iter().map(record).collect();
    answer(200, &json!({ "records": records }))
}

/// As an HTTP endpoint that takes a request.
pub(crate) fn taken(request: &HttpRequest) -> Result<HttpResponse, HttpError> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    answer(200, &json!({"requestId": body["requestId"], "timestamp": 1}))
}

pub(crate) fn encoded(text: &str) -> String {
    base64_simd::STANDARD.encode_to_string(text)
}

pub(crate) fn decoded(value: &Value) -> String {
    String::from_utf8(base64_simd::STANDARD.decode_to_vec(value.as_str().unwrap()).unwrap()).unwrap()
}

pub(crate) struct World {
    pub(crate) node: Arc<Node>,
    disk: SimDisk,
    clock: SimClock,
    receiver: Arc<Receiver>,
}

impl World {
    pub(crate) async fn new(receiver: &Arc<Receiver>) -> Self {
        Self::on(SimDisk::new(), SimClock::at(NOW), receiver).await
    }

    pub(crate) async fn on(disk: SimDisk, clock: SimClock, receiver: &Arc<Receiver>) -> Self {
        let function = format!("[lambda.\"{CLEAN}\"]\nurl = \"http://127.0.0.1:9000\"");
        Self::configured(&function, disk, clock, receiver).await
    }

    /// `functions` is the part of the configuration that says what stands for functions.
    async fn configured(functions: &str, disk: SimDisk, clock: SimClock, receiver: &Arc<Receiver>) -> Self {
        let args = ServeArgs {
            limits: Some(LimitsMode::Open),
            lifecycle: Some(LifecycleMode::Instant),
            ..ServeArgs::default()
        };
        let file = format!(
            "{functions}\n[endpoints]\n\"{URL}\" = \"http://127.0.0.1:8088\"\n\"{HEC}\" = \"http://127.0.0.1:8089\""
        );
        let mut config = Config::new(&args, Some(&file)).unwrap();
        config.free_bytes = 0;
        config.test_controls = true;
        let env = Environment {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(disk.clone()),
            log: log_options(),
            client: Arc::clone(receiver) as Arc<dyn HttpClient>,
            threads: false,
        };
        let node = Node::start(config, env, Path::new("/data")).await.unwrap();
        Self { node, disk, clock, receiver: Arc::clone(receiver) }
    }

    /// Ends cleanly and starts again.
    pub(crate) async fn restart(self) -> Self {
        let (disk, clock, receiver) = self.end().await;
        Self::on(disk, clock, &receiver).await
    }

    /// The same, but nothing stands for functions any more.
    pub(crate) async fn restart_without_functions(self) -> Self {
        let (disk, clock, receiver) = self.end().await;
        Self::configured("", disk, clock, &receiver).await
    }

    async fn end(self) -> (SimDisk, SimClock, Arc<Receiver>) {
        self.node.shutdown().await.unwrap();
        let Self { node, disk, clock, receiver } = self;
        drop(node);
        (disk, clock, receiver)
    }

    pub(crate) async fn call(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = call::call(&self.node, &format!("Firehose_20150804.{operation}"), &body).await;
        assert_eq!(status, 200, "{operation} {body}: {reply}");
        reply
    }

    pub(crate) async fn refused(&self, operation: &str, body: Value) -> String {
        let (status, reply) = call::call(&self.node, &format!("Firehose_20150804.{operation}"), &body).await;
        assert_eq!(status, 400, "{operation} {body}: {reply}");
        format!("{} {}", reply["__type"].as_str().unwrap(), reply["message"].as_str().unwrap_or_default())
    }

    pub(crate) async fn create(&self, member: &str, destination: &Value) {
        self.call("CreateDeliveryStream", json!({"DeliveryStreamName": "d", member: destination})).await;
    }

    pub(crate) async fn put(&self, records: &[String]) {
        for records in records.chunks(500) {
            let records: Vec<_> = records.iter().map(|text| json!({"Data": encoded(text)})).collect();
            let reply = self.call("PutRecordBatch", json!({"DeliveryStreamName": "d", "Records": records})).await;
            assert_eq!(reply["FailedPutCount"], 0, "{reply}");
        }
    }

    /// All that was put is delivered or given up. Waits of the worker pass as fast as it asks for them.
    pub(crate) async fn flush(&self) {
        let flushed = async {
            for handle in self.node.all_deliveries() {
                handle.flush().await.unwrap();
            }
        };
        tokio::pin!(flushed);
        for _ in 0..10_000 {
            tokio::select! {
                biased;
                () = &mut flushed => return,
                () = tokio::time::sleep(Duration::from_millis(2)) => self.node.advance_clock(500),
            }
        }
        unreachable!("it does not end");
    }

    /// Nothing can be written to a bucket any more.
    pub(crate) fn lose_bucket(&self, bucket: &str) {
        let (call, path) = (DiskCall::Write, format!("/data/buckets/{bucket}/"));
        self.disk.fail(Fault { call, path, after: 0, times: u64::MAX, kind: std::io::ErrorKind::TimedOut });
    }

    /// Now it can.
    pub(crate) fn find_bucket(&self) {
        self.disk.clear_faults();
    }

    /// So many hours pass.
    pub(crate) async fn hours(&self, hours: u32) {
        for _ in 0..hours * 60 {
            self.clock.advance(60_000);
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }

    /// Keys and contents of a bucket's objects, in the order of keys.
    pub(crate) fn objects(&self, bucket: &str) -> Vec<(String, String)> {
        let dir = format!("/data/buckets/{bucket}/");
        let mut objects = Vec::new();
        for path in self.disk.files() {
            let Some(key) = path.to_str().unwrap().strip_prefix(&dir) else { continue };
            let file = self.disk.open(&path, Open::Read).unwrap();
            let mut content = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_exact_at(&mut content, 0).unwrap();
            objects.push((key.to_owned(), String::from_utf8(content).unwrap()));
        }
        objects.sort();
        objects
    }

    /// The value of the only line of `/metrics` that begins so.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.node.metrics.page(self.node.samples());
        let mut lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let line = lines.next().unwrap_or_else(|| panic!("no {name} in\n{page}"));
        assert_eq!(lines.next(), None);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now_ms()
    }
}

pub(crate) fn log_options() -> Options {
    Options { journal_segment_bytes: 16 << 20, first_journal_segment_bytes: 16 << 20, ..Options::default() }
}
