//! PutRecord and PutRecordBatch: into the delivery stream's log, all records of a call that its budget admits at once.
//!
//! The order of what is checked: the request's form and constraints (so the size of each record), whether the delivery
//! stream is there, is ACTIVE and takes direct puts, the size of the batch, base64, the budget, the room in the backlog.
//! AWS is known to refuse what is in the way of a request before what is in the way of its resource; among the latter
//! the order is unverified.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_core::batch::{Batch, BatchBuilder};
use levada_core::catalog::{DeliveryStatus, DeliveryStream, Encryption, ProcessorKind};
use levada_core::engine::{Append, Appended, Expect, Offset};
use levada_core::env::{Clock, Random};
use levada_delivery::Handle;
use levada_wire::blob::Blob;
use levada_wire::constraints;
use levada_wire::error::{AwsError, ErrorCode};
use levada_wire::firehose::put_record_batch::{self, PutRecordBatchReply, PutRecordBatchRequest};
use levada_wire::firehose::{errors, types};
use levada_wire::limits;

use super::{Caller, not_active};
use crate::call::{Answer, Reply};
use crate::metrics::DeliveryStreamMetrics;
use crate::node::{APPEND_TIMEOUT, Node};
use crate::refused_puts::Reason;
use crate::traffic::Admitted;

/// How long a put waits for a worker that has just started to count its backlog.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// Random bytes in front of each record id.
const RECORD_ID_BYTES: usize = 150;

/// A delivery stream that takes records.
struct Target {
    stream: Arc<DeliveryStream>,
    handle: Handle,
    metrics: Arc<DeliveryStreamMetrics>,
}

impl Target {
    /// So many records were refused for now.
    fn throttled(&self, caller: Caller<'_>, reason: Reason, records: u64) {
        self.metrics.throttled_records.inc_by(records);
        caller.node.refused_puts.refused(&self.stream, reason, records, None);
    }
}

/// What became of the records of a call that were admitted; they share one fate.
#[derive(Clone, Copy)]
enum Put {
    /// They are in the log from this offset on.
    Accepted(Offset),
    /// The backlog is at its ceiling.
    SlowDown,
    /// They may or may not be in the log.
    Failed,
}

fn target(caller: Caller<'_>, name: &str, records: usize) -> Result<Target, AwsError> {
    let stream = caller.stream(name)?;
    if stream.status != DeliveryStatus::Active {
        return Err(not_active(&stream));
    }
    if stream.source.kinesis().is_some() {
        return Err(errors::reads_a_stream());
    }
    if decompresses(&stream) && !caller.principal.is_cloudwatch_logs {
        return Err(errors::not_from_cloudwatch(&stream.name, stream.scope.account.as_str()));
    }
    let handle =
        caller.node.delivery(stream.incarnation).ok_or_else(|| no_worker(caller.node, &stream, records as u64))?;
    let metrics = caller.node.metrics.delivery_stream(&stream);
    Ok(Target { stream, handle, metrics })
}

/// ACTIVE and no worker: the node is stopping, or its configuration no longer has what this destination needs. Either way
/// the client may come again.
fn no_worker(node: &Node, stream: &DeliveryStream, records: u64) -> AwsError {
    let Some(why) = node.undeliverable(stream.incarnation) else { return AwsError::internal_failure() };
    node.refused_puts.refused(stream, Reason::Undeliverable, records, Some(&why));
    errors::undeliverable(&why)
}

/// Whether its records are those of CloudWatch Logs, which come compressed.
fn decompresses(stream: &DeliveryStream) -> bool {
    let processing = stream.destination.processing();
    processing.is_some_and(|processing| processing.active(ProcessorKind::Decompression).is_some())
}

/// Whether records are encrypted now (`Encrypted`).
fn is_encrypted(stream: &DeliveryStream) -> bool {
    stream.encryption.as_ref().is_some_and(Encryption::is_in_force)
}

pub(super) async fn put_record(caller: Caller<'_>, request: &types::PutRecord) -> Answer {
    let started = caller.node.clock.monotonic();
    let target = target(caller, &request.delivery_stream_name, 1)?;
    let bytes = request.record.data.len() as u64;
    let metrics = &target.metrics.put_record;
    metrics.requests.inc();
    let put = match caller.node.direct_put.admit(&target.stream, 1, bytes, || vec![bytes]) {
        Admitted::All => append(caller, &target, Batch::single(b"", &request.record.data), bytes).await?,
        Admitted::Some(_) => {
            target.throttled(caller, Reason::Throughput, 1);
            Put::SlowDown
        }
    };
    let reply = match put {
        Put::Accepted(first) => types::PutRecordReply {
            encrypted: is_encrypted(&target.stream),
            record_id: RecordIds::new(caller.node.random.as_ref()).of(first).to_owned(),
        },
        Put::SlowDown => {
            metrics.failed.inc();
            return Err(errors::slow_down());
        }
        Put::Failed => {
            metrics.failed.inc();
            return Err(AwsError::internal_failure());
        }
    };
    metrics.success.inc();
    metrics.records.inc();
    metrics.bytes.inc_by(bytes);
    metrics.latency.observe((caller.node.clock.monotonic() - started).as_secs_f64());
    caller.reply(&reply)
}

pub(super) async fn put_record_batch(caller: Caller<'_>, body: &Bytes) -> Answer {
    let started = caller.node.clock.monotonic();
    let mut request = put_record_batch::decode(caller.protocol, body)?;
    // Base64 is left for later, but what is wrong with a body's form comes before what it means.
    let refuse = |error: AwsError| put_record_batch::decode_strict(caller.protocol, body).err().unwrap_or(error);
    let target = target(caller, &request.delivery_stream_name, request.records.len()).map_err(refuse)?;
    let bytes = check_sizes(&request).map_err(refuse)?;
    let batch = match encode(&request) {
        Some(batch) => batch,
        None => {
            request = put_record_batch::decode_strict(caller.protocol, body)?;
            encode(&request).ok_or_else(AwsError::internal_failure)?
        }
    };
    let metrics = &target.metrics.put_record_batch;
    metrics.requests.inc();
    let chosen = Chosen::of(caller, &target, batch, bytes);
    let put = match chosen.batch {
        Some(ref batch) => append(caller, &target, batch.clone(), chosen.bytes).await?,
        None => Put::SlowDown,
    };
    let count = request.records.len();
    let taken = if let Put::Accepted(_) = put { chosen.count() } else { 0 };
    if taken > 0 {
        metrics.success.inc();
        metrics.records.inc_by(taken as u64);
        metrics.bytes.inc_by(chosen.bytes);
    }
    metrics.failed.inc_by((count - taken) as u64);
    let encrypted = is_encrypted(&target.stream);
    let mut reply = PutRecordBatchReply::new(caller.protocol, encrypted, count - taken, count);
    chosen.answer(put, count, caller.node.random.as_ref(), &mut reply);
    metrics.latency.observe((caller.node.clock.monotonic() - started).as_secs_f64());
    Ok(Reply::Document(reply.finish()))
}

/// The records of a call that its delivery stream's budget admits.
struct Chosen {
    /// `None` if there are none.
    batch: Option<Batch>,
    /// Bytes of their data.
    bytes: u64,
    /// Which of the call's records they are; `None` for all.
    which: Option<Vec<bool>>,
}

impl Chosen {
    fn of(caller: Caller<'_>, target: &Target, batch: Batch, bytes: u64) -> Self {
        let sizes = || batch.records().map(|record| record.data.len() as u64).collect();
        let count = u64::from(batch.count());
        let which = match caller.node.direct_put.admit(&target.stream, count, bytes, sizes) {
            Admitted::All => return Self { batch: Some(batch), bytes, which: None },
            Admitted::Some(which) => which,
        };
        let (mut chosen, mut bytes) = (BatchBuilder::default(), 0);
        for (record, _) in batch.records().zip(&which).filter(|(_, admitted)| **admitted) {
            chosen.push(record.key, record.data);
            bytes += record.data.len() as u64;
        }
        target.throttled(caller, Reason::Throughput, count - u64::from(chosen.count()));
        Self { batch: chosen.finish(), bytes, which: Some(which) }
    }

    fn count(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.count() as usize)
    }

    /// An entry for each of the call's `count` records, in their order.
    fn answer(&self, put: Put, count: usize, random: &dyn Random, reply: &mut PutRecordBatchReply) {
        let mut ids = RecordIds::new(random);
        let mut place = 0;
        for n in 0..count {
            let admitted = self.which.as_ref().is_none_or(|which| which[n]);
            match put {
                Put::Accepted(first) if admitted => {
                    reply.accepted(ids.of(first + place));
                    place += 1;
                }
                Put::Failed if admitted => reply.failed(ErrorCode::InternalFailure.name(), errors::INTERNAL_FAILURE),
                Put::Accepted(_) | Put::SlowDown | Put::Failed => {
                    reply.failed(ErrorCode::ServiceUnavailableException.name(), errors::SLOW_DOWN);
                }
            }
        }
    }
}

/// One invalid entry refuses the whole call. Answers the records' decoded bytes.
fn check_sizes(request: &PutRecordBatchRequest<'_>) -> Result<u64, AwsError> {
    let mut total = 0;
    for (n, data) in request.records.iter().enumerate() {
        let len = data.decoded_len();
        if len > limits::FIREHOSE_RECORD_BYTES {
            let path = format!("records.{}.member.data", n + 1);
            return Err(constraints::blob_too_long(&path, limits::FIREHOSE_RECORD_BYTES));
        }
        total += len;
    }
    if total > limits::FIREHOSE_BATCH_BYTES { Err(errors::records_too_large()) } else { Ok(total as u64) }
}

/// The records as one batch; `None` if data is not base64.
fn encode(request: &PutRecordBatchRequest<'_>) -> Option<Batch> {
    let bytes: usize = request.records.iter().map(Blob::decoded_len).sum();
    let overhead = levada_core::batch::RECORD_HEADER_BYTES * request.records.len();
    let mut batch = BatchBuilder::with_capacity(bytes + overhead);
    let mut decoded = true;
    for data in &request.records {
        batch.push_with(b"", |out| decoded &= data.decode_append(out).is_ok());
    }
    batch.finish().filter(|_| decoded)
}

async fn append(caller: Caller<'_>, target: &Target, batch: Batch, bytes: u64) -> Result<Put, AwsError> {
    let count = u64::from(batch.count());
    let encoded = batch.bytes().len() as u64;
    if !target.handle.is_counted() {
        // An engine that does not answer is met by the append.
        let _ = tokio::time::timeout(COUNTED_WITHIN, target.handle.counted()).await;
    }
    let Some(reservation) = target.handle.reserve(encoded) else {
        let reason = if target.handle.is_halted() { Reason::Halted } else { Reason::Backlog };
        target.throttled(caller, reason, count);
        return Ok(Put::SlowDown);
    };
    let append = Append { log: target.stream.data_log, expect: Expect::Tail, batch };
    let appended = tokio::time::timeout(APPEND_TIMEOUT, caller.node.engine.append_many(vec![append])).await;
    match appended.ok().and_then(|mut outcomes| outcomes.pop()) {
        Some(Appended::At { first, .. }) => {
            reservation.stored();
            caller.node.refused_puts.taken(&target.stream);
            target.metrics.incoming_requests.inc();
            target.metrics.incoming_bytes.inc_by(bytes);
            target.metrics.incoming_records.inc_by(count);
            Ok(Put::Accepted(first))
        }
        // Deleted under the request.
        Some(Appended::Missing | Appended::Closed { .. }) => {
            reservation.refused();
            Err(not_active(&target.stream))
        }
        Some(Appended::Full) => {
            reservation.refused();
            caller.node.refused_puts.refused(&target.stream, Reason::Disk, count, None);
            Ok(Put::SlowDown)
        }
        // The reservation is dropped: what may be stored counts as stored.
        Some(Appended::Moved { .. } | Appended::Unknown) | None => {
            tracing::warn!(delivery_stream = %target.stream.name, records = count, "an append failed or timed out");
            Ok(Put::Failed)
        }
    }
}

/// Opaque record ids, long as AWS's: bits of the call, then the record's place.
struct RecordIds {
    id: String,
    random_chars: usize,
}

impl RecordIds {
    fn new(random: &dyn Random) -> Self {
        let mut bits = [0; RECORD_ID_BYTES];
        random.fill(&mut bits);
        let id = base64_simd::STANDARD.encode_to_string(bits);
        Self { random_chars: id.len(), id }
    }

    fn of(&mut self, offset: Offset) -> &str {
        self.id.truncate(self.random_chars);
        base64_simd::STANDARD.encode_append(offset.to_be_bytes(), &mut self.id);
        &self.id
    }
}
