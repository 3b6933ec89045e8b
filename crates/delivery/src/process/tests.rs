//! The chain, processor by processor and as a whole.

mod chain;
mod functions;
pub(crate) mod kpl;
mod lambda;
mod parts;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use levada_core::engine::{BoxFuture, Millis};
use levada_core::env::sim::{SimClock, SimRandom};
use serde_json::{Value, json};

use super::{ChainEnv, ChainSpec, Function, FunctionError, Interpreters, Processors};
use crate::blocking::Blocking;
use crate::chain::{Chain, Outcome};
use crate::record::{Product, SourceRecord};

/// When everything happens.
const NOW: Millis = 1_700_000_000_000;

fn env() -> ChainEnv {
    ChainEnv {
        clock: Arc::new(SimClock::at(NOW)),
        random: Arc::new(SimRandom::new(1)),
        blocking: Blocking::Pool,
        interpreters: Interpreters::default(),
    }
}

/// Without any processor.
fn spec() -> ChainSpec {
    ChainSpec {
        delivery_stream_arn: "arn:aws:firehose:us-east-1:000000000000:deliverystream/d".into(),
        region: "us-east-1".into(),
        source_stream_arn: None,
        deaggregation: None,
        decompression: false,
        extraction: false,
        lambda: None,
        query: None,
        partitioning: None,
    }
}

/// Records that arrived a second ago, 10 ms after each other, from offset 7.
fn batch(data: &[&[u8]]) -> Vec<SourceRecord> {
    let record = |(place, data): (usize, &&[u8])| SourceRecord {
        offset: 7 + place as u64,
        arrival: NOW - 1000 + 10 * place as u64,
        origin: None,
        data: Bytes::copy_from_slice(data),
    };
    data.iter().enumerate().map(record).collect()
}

async fn run(spec: ChainSpec, batch: Vec<SourceRecord>) -> Outcome {
    Processors::new(spec, env()).run(batch).await.unwrap()
}

fn json_line(product: &Product) -> Value {
    match product {
        Product::Failed { line, .. } => serde_json::from_slice(line).unwrap(),
        Product::Record { .. } => panic!("{product:?} did not fail"),
    }
}

/// `data`, or `type/errorCode`.
fn shown(product: &Product) -> String {
    match product {
        Product::Record { data, .. } => String::from_utf8_lossy(data).into_owned(),
        Product::Failed { kind, .. } => {
            let line = json_line(product);
            format!("{}/{}", kind.name(), line["errorCode"].as_str().unwrap())
        }
    }
}

fn all_shown(outcome: &Outcome) -> Vec<String> {
    outcome.products.iter().map(shown).collect()
}

/// What a function of the tests does with an event.
type Answer = Box<dyn Fn(Value) -> Result<Value, FunctionError> + Send>;

/// A function that answers as it is told, in turn, and remembers what it was sent. The last answer repeats.
#[derive(Clone)]
struct Fake(Arc<Mutex<(VecDeque<Answer>, Vec<Value>)>>);

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new()))))
    }

    fn always(answer: impl Fn(Value) -> Result<Value, FunctionError> + Send + 'static) -> Self {
        Self::new([Box::new(answer) as Answer])
    }

    fn events(&self) -> Vec<Value> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Function for Fake {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, FunctionError>> {
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let mut state = self.0.lock().unwrap();
        state.1.push(event.clone());
        let answer = state.0.pop_front().unwrap();
        let reply = answer(event);
        if state.0.is_empty() {
            state.0.push_back(answer);
        }
        Box::pin(async move { Ok(serde_json::to_vec(&reply?).unwrap().into()) })
    }
}

fn decoded(record: &Value) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(record["data"].as_str().unwrap()).unwrap()
}

/// Each record by `what`, which makes what is beside the id.
fn replies(event: &Value, what: impl Fn(&Value) -> Value) -> Value {
    let records = event["records"].as_array().unwrap();
    let reply = |record: &Value| {
        let mut reply = what(record);
        if reply.get("recordId").is_none() {
            reply["recordId"] = record["recordId"].clone();
        }
        reply
    };
    json!({ "records": records.iter().map(reply).collect::<Vec<_>>() })
}

fn ok(data: impl AsRef<[u8]>) -> Value {
    json!({ "result": "Ok", "data": base64_simd::STANDARD.encode_to_string(data.as_ref()) })
}

/// `Ok` with the data in capitals.
fn upper(record: &Value) -> Value {
    ok(decoded(record).to_ascii_uppercase())
}
