//! Those whom the node sends requests to: a function that never answers the same twice, and an endpoint that takes
//! records when it likes to. They outlive the node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use levada_core::engine::BoxFuture;
use levada_core::env::sim::SimRandom;
use levada_delivery::http::{HttpClient, HttpError, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tokio::time::sleep;

/// Where the configuration sends requests for the function.
pub(super) const FUNCTION_HOST: &str = "http://function";
/// Partition keys that the function chooses from, anew each time.
const REGIONS: u64 = 5;

/// What a record says of itself: the function drops it.
pub(super) const DROPPED: &str = "drop";
/// The function gives it back as failed.
pub(super) const POISON: &str = "poison";

#[derive(Debug)]
pub(super) struct Network {
    random: SimRandom,
    seen: Mutex<Seen>,
}

/// What the two have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Records that the endpoint took, and how often.
    pub(super) taken: BTreeMap<String, u64>,
    /// Texts that the function has dropped.
    pub(super) dropped: BTreeSet<String>,
    /// Records that were taken although the node was told otherwise, or nothing.
    pub(super) injected: u64,
    /// Batches that the function has failed as a whole.
    pub(super) failed_batches: u64,
    /// No request is refused any more: what is left is to be delivered.
    pub(super) well: bool,
}

impl Network {
    pub(super) fn new(random: SimRandom) -> Arc<Self> {
        Arc::new(Self { random, seen: Mutex::default() })
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something goes wrong that comes in so many of a hundred requests.
    fn fails(&self, percent: u64) -> bool {
        !self.seen().well && self.random.percent(percent)
    }

    async fn invoke(&self, body: &Bytes) -> Result<HttpResponse, HttpError> {
        sleep(Duration::from_millis(self.random.below(30))).await;
        if self.fails(15) {
            return Err(HttpError::Connect("refused".to_owned()));
        }
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let records: Vec<Value> =
            event["records"].as_array().into_iter().flatten().map(|r| self.transform(r)).collect();
        if self.fails(5) {
            self.seen().failed_batches += 1;
            return Ok(answer(200, &[("x-amz-function-error", "Unhandled")], json!({"errorMessage": "tired"})));
        }
        if self.fails(5) {
            return Err(HttpError::Closed("half an answer".to_owned()));
        }
        Ok(answer(200, &[], json!({"records": records})))
    }

    fn transform(&self, record: &Value) -> Value {
        let id = &record["recordId"];
        let text = decoded(&record["data"]);
        let region = format!("region-{}", self.random.below(REGIONS));
        if text.contains(DROPPED) {
            self.seen().dropped.insert(text);
            return json!({"recordId": id, "result": "Dropped"});
        }
        let result = if text.contains(POISON) { "ProcessingFailed" } else { "Ok" };
        json!({
            "recordId": id, "result": result, "data": record["data"],
            "metadata": {"partitionKeys": {"region": region}},
        })
    }

    async fn take(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        sleep(Duration::from_millis(self.random.below(30))).await;
        if self.fails(15) {
            return Err(HttpError::Connect("refused".to_owned()));
        }
        if self.fails(15) {
            return Ok(answer(500, &[], json!({})));
        }
        if self.fails(5) {
            return Ok(answer(413, &[], json!({})));
        }
        let id = request.headers.iter().find(|(name, _)| name == "x-amz-firehose-request-id");
        let id = id.map(|(_, id)| id.clone()).unwrap_or_default();
        let parcel: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let records: Vec<String> =
            parcel["records"].as_array().into_iter().flatten().map(|record| decoded(&record["data"])).collect();
        let lies = self.fails(15);
        {
            let mut seen = self.seen();
            for record in &records {
                *seen.taken.entry(record.clone()).or_default() += 1;
            }
            if lies {
                seen.injected += records.len() as u64;
            }
        }
        match (lies, self.random.below(3)) {
            (true, 0) => Err(HttpError::Closed("taken, but not answered".to_owned())),
            (true, 1) => {
                sleep(Duration::from_secs(2)).await;
                Err(HttpError::Timeout(request.timeout))
            }
            (true, _) => Ok(answer(200, &[], json!({"requestId": "another", "timestamp": 1}))),
            (false, _) => Ok(answer(200, &[], json!({"requestId": id, "timestamp": 1}))),
        }
    }
}

impl HttpClient for Network {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            let called = request.address.mapped.clone().unwrap_or_default();
            if called.starts_with(FUNCTION_HOST) { self.invoke(&request.body).await } else { self.take(&request).await }
        })
    }
}

fn decoded(data: &Value) -> String {
    let bytes = STANDARD.decode_to_vec(data.as_str().unwrap_or_default()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(status: u16, headers: &[(&str, &str)], body: Value) -> HttpResponse {
    let body = Bytes::from(body.to_string());
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    HttpResponse { status, headers, body }
}
