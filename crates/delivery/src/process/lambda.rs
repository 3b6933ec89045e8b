//! Lambda: batches of records to a function and back.
//!
//! ```text
//! records ──▶ batches of BufferSizeInMBs ──▶ invoke, 1 + NumberOfRetries times ──▶ a verdict for each record
//! ```
//!
//! Event and reply: "Transform source data in Amazon Data Firehose" of the developer guide, its pages on the status model
//! and on failure handling. What AWS was seen to do where the guide is silent stands where it is done.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::Millis;
use serde::{Deserialize, Serialize};

use super::ChainEnv;
use super::error::Failure;
use super::function::{Function, MAX_PAYLOAD_BYTES};
use crate::chain::Tally;
use crate::record::Origin;

/// The Lambda processor.
#[derive(Clone, Debug)]
pub struct LambdaSpec {
    /// `LambdaArn`.
    pub arn: String,
    /// What the operator mapped it to.
    pub function: Arc<dyn Function>,
    /// `NumberOfRetries`, 3 unless given.
    pub retries: u32,
    /// `BufferSizeInMBs`, in bytes: 0.2 to 3 MiB, 1 unless given.
    pub buffer_bytes: u64,
    /// `BufferIntervalInSeconds`, 60 unless given.
    pub buffer_interval: Duration,
}

/// A record on its way through a function.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// The same however often it is sent, and no other record's of the delivery stream.
    pub(super) id: String,
    /// At its source.
    pub(super) arrival: Millis,
    /// Of a Kinesis source.
    pub(super) origin: Option<Origin>,
    /// What the processors before made of it.
    pub(super) data: Bytes,
    /// Bytes that it had before any processor.
    pub(super) original_bytes: usize,
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// New data, and the values of `metadata.partitionKeys`.
    Ok(Bytes, BTreeMap<String, serde_json::Value>),
    /// Not to be delivered, and no error.
    Dropped,
    /// With the invocations that were made.
    Failed(Failure, u32),
}

/// What stands in an event around each record besides its id and its data, at most: names, numbers, and of a Kinesis
/// source a partition key of 256 characters that may be escaped.
const RECORD_OVERHEAD: usize = 200;
const KINESIS_OVERHEAD: usize = 300;
const MAX_KEY_ESCAPED: usize = 6;
/// What stands around all records, at most.
const EVENT_OVERHEAD: usize = 2048;

fn encoded_bytes(input: &Input) -> usize {
    let kinesis =
        input.origin.as_ref().map_or(0, |origin| KINESIS_OVERHEAD + origin.partition_key.len() * MAX_KEY_ESCAPED);
    input.data.len().div_ceil(3) * 4 + input.id.len() + RECORD_OVERHEAD + kinesis
}

/// Where each batch ends: a batch is full with the record that brings it to the buffer's size, and never more than one
/// invocation takes.
fn batches(inputs: &[Input], buffer_bytes: u64) -> Vec<usize> {
    let (mut ends, mut data, mut encoded) = (Vec::new(), 0u64, EVENT_OVERHEAD);
    for (place, input) in inputs.iter().enumerate() {
        let more = encoded_bytes(input);
        if place > 0 && (data >= buffer_bytes || encoded + more > MAX_PAYLOAD_BYTES) {
            ends.push(place);
            (data, encoded) = (0, EVENT_OVERHEAD);
        }
        data += input.data.len() as u64;
        encoded += more;
    }
    ends.push(inputs.len());
    ends
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    invocation_id: String,
    delivery_stream_arn: &'a str,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_kinesis_stream_arn: Option<&'a str>,
    records: Vec<EventRecord<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord<'a> {
    record_id: &'a str,
    approximate_arrival_timestamp: Millis,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinesis_record_metadata: Option<KinesisMetadata<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KinesisMetadata<'a> {
    shard_id: &'a str,
    partition_key: &'a str,
    sequence_number: &'a str,
    subsequence_number: u64,
    approximate_arrival_timestamp: Millis,
}

/// Who invokes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) delivery_stream_arn: &'a str,
    pub(super) region: &'a str,
    pub(super) source_stream_arn: Option<&'a str>,
}

impl Caller<'_> {
    /// The delivery stream's name, as in all log lines.
    fn delivery_stream(&self) -> &str {
        self.delivery_stream_arn.rsplit('/').next().unwrap_or_default()
    }

    fn payload(&self, invocation_id: String, inputs: &[Input]) -> Bytes {
        let records = inputs.iter().map(|input| EventRecord {
            record_id: &input.id,
            approximate_arrival_timestamp: input.arrival,
            data: base64_simd::STANDARD.encode_to_string(&input.data),
            kinesis_record_metadata: input.origin.as_ref().map(|origin| KinesisMetadata {
                shard_id: &origin.shard_id,
                partition_key: &origin.partition_key,
                sequence_number: &origin.sequence_number,
                subsequence_number: origin.sub_sequence_number,
                approximate_arrival_timestamp: input.arrival,
            }),
        });
        let event = Event {
            invocation_id,
            delivery_stream_arn: self.delivery_stream_arn,
            region: self.region,
            source_kinesis_stream_arn: self.source_stream_arn,
            records: records.collect(),
        };
        // A struct of strings and numbers always has a JSON form.
        serde_json::to_vec(&event).unwrap_or_default().into()
    }
}

/// Sends all inputs through the function, and says in their order what became of each.
pub(super) async fn transform(
    lambda: &LambdaSpec,
    caller: Caller<'_>,
    env: &ChainEnv,
    inputs: &[Input],
    tally: &mut Tally,
) -> Vec<Verdict> {
    let mut verdicts = Vec::with_capacity(inputs.len());
    let mut from = 0;
    for end in batches(inputs, lambda.buffer_bytes) {
        let batch = &inputs[from..end];
        from = end;
        verdicts.extend(invoke(lambda, caller, env, batch, tally).await);
    }
    for (input, verdict) in inputs.iter().zip(&verdicts) {
        // Ok alone counts, with the size that the record had before (both seen on AWS).
        if matches!(verdict, Verdict::Ok(..)) {
            tally.succeeded_records += 1;
            tally.succeeded_bytes += input.original_bytes as u64;
        }
    }
    verdicts
}

/// Wait before another attempt: AWS does not say how long it waits. A second, doubled each time, up to half a minute.
fn backoff(attempts: u32) -> Duration {
    Duration::from_secs(1 << attempts.saturating_sub(1).min(5)).min(Duration::from_secs(30))
}

/// One batch. Attempts differ in nothing but the id of the invocation, which is new each time (seen on AWS). Whatever
/// brought no reply is tried again; a reply is final, however malformed (seen on AWS too).
async fn invoke(
    lambda: &LambdaSpec,
    caller: Caller<'_>,
    env: &ChainEnv,
    inputs: &[Input],
    tally: &mut Tally,
) -> Vec<Verdict> {
    if inputs.iter().map(encoded_bytes).sum::<usize>() + EVENT_OVERHEAD > MAX_PAYLOAD_BYTES {
        return vec![Verdict::Failed(Failure::request_too_large(), 1); inputs.len()];
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut bytes = [0; 16];
        env.random.fill(&mut bytes);
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let payload = caller.payload(id.to_string(), inputs);
        let started = env.clock.monotonic();
        let reply = lambda.function.invoke(payload).await;
        tally.executions += 1;
        tally.execution_time += env.clock.monotonic().saturating_sub(started);
        let error = match reply {
            Ok(reply) => return judge(&reply, inputs, attempts),
            Err(error) => error,
        };
        tally.failed_executions += 1;
        tracing::warn!(
            delivery_stream = caller.delivery_stream(),
            function = lambda.arn,
            records = inputs.len(),
            attempts,
            %error,
            "the function failed"
        );
        if attempts > lambda.retries {
            return vec![Verdict::Failed(error.failure(), attempts); inputs.len()];
        }
        tokio::time::sleep(backoff(attempts)).await;
    }
}

#[derive(Deserialize)]
struct Reply {
    records: Option<Vec<ReplyRecord>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplyRecord {
    record_id: Option<String>,
    result: Option<String>,
    data: Option<String>,
    metadata: Option<Metadata>,
}

/// `otfMetadata` belongs to destinations that are not implemented.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    partition_keys: Option<BTreeMap<String, serde_json::Value>>,
}

/// A reply says something of each input. Seen on AWS: without `records` all ids are missing; an id that is no input's is
/// ignored; an undefined `result` fails the whole batch.
fn judge(reply: &[u8], inputs: &[Input], attempts: u32) -> Vec<Verdict> {
    let all = |failure: Failure| vec![Verdict::Failed(failure, attempts); inputs.len()];
    let Ok(reply) = serde_json::from_slice::<Reply>(reply) else { return all(Failure::json()) };
    let defined =
        |record: &ReplyRecord| matches!(record.result.as_deref(), Some("Ok" | "Dropped" | "ProcessingFailed"));
    let mut said = HashMap::new();
    for record in reply.records.unwrap_or_default() {
        let Some(id) = record.record_id.clone() else { continue };
        if !defined(&record) {
            return all(Failure::output_format());
        }
        said.entry(id).and_modify(|known| *known = None).or_insert(Some(record));
    }
    let verdict = |input: &Input| match said.remove(&input.id) {
        None => Verdict::Failed(Failure::missing_id(), attempts),
        Some(None) => Verdict::Failed(Failure::duplicated_id(), attempts),
        Some(Some(record)) => match record.verdict() {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::Failed(failure, attempts),
        },
    };
    inputs.iter().map(verdict).collect()
}

impl ReplyRecord {
    fn verdict(self) -> Result<Verdict, Failure> {
        match self.result.as_deref() {
            Some("Dropped") => return Ok(Verdict::Dropped),
            Some("Ok") => {}
            _ => return Err(Failure::status()),
        }
        let data = self.data.ok_or_else(Failure::null_data)?;
        let data = base64_simd::STANDARD.decode_to_vec(data).map_err(|_| Failure::output_format())?;
        let keys = self.metadata.and_then(|metadata| metadata.partition_keys).unwrap_or_default();
        Ok(Verdict::Ok(data.into(), keys))
    }
}
