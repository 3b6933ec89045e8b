//! The chain of processors: from the data log to the processed log.
//!
//! Exactly once: a batch's products and how far the data log was taken for them are one append, checked to stand where
//! this worker believes the processed log to end. Whatever the chain answered in a run that was not appended counts for
//! nothing.

use std::sync::Arc;

use levada_core::batch::{Batch, BatchBuilder, MAX_KEY_BYTES};
use levada_core::engine::{Append, Appended, Engine, Expect, LogId, Offset, ReadRequest};
use tokio::task::JoinError;

use super::lane::{Kind, Lane};
use super::stage::Hold;
use super::{Mode, Session, Worker, of_data_log};
use crate::buffer::Buffer;
use crate::chain::{self, Chain, MAX_OUTCOME_BYTES};
use crate::control::{ControlError, LaneId};
use crate::delivery::Shared;
use crate::memory::Loan;
use crate::metrics::Metrics;
use crate::mutant::Mutant;
use crate::record::{Envelope, Product, SourceRecord};
use crate::upload::backoff;

/// Bytes read from the data log at a time.
const PAGE_BYTES: u64 = 1024 * 1024;

/// Bytes that processing may take for each byte of a batch: the records, a request and a reply in base64, the products,
/// and their append.
const TIMES: u64 = 5;

/// Bytes of what is known of a record besides its data, roughly.
const RECORD_BYTES: u64 = 512;

/// A batch that the chain has worked on.
pub(super) struct Run {
    /// Of the batch's records.
    offsets: Vec<Offset>,
    /// Offset after its last record.
    to: Offset,
    result: Result<chain::Outcome, chain::Held>,
    /// Held until the products are appended.
    _memory: Option<Loan>,
}

impl Worker {
    /// Runs the chain on what was counted, if that is due and the chain is free.
    pub(super) async fn process(&mut self, session: &mut Session) -> Result<bool, ControlError> {
        let (Mode::Process, Some(chain)) = (self.mode(session), self.spec.config.chain.clone()) else {
            return Ok(false);
        };
        let monotonic = self.shared.env.clock.monotonic();
        let (Some(stage), Some(lane)) = (session.stage.as_deref_mut(), session.lanes.get(&LaneId::Main)) else {
            return Ok(false);
        };
        let (buffer, limits) = (lane.buffer, self.limits(Kind::Main));
        let is_free = stage.runs.is_empty() && stage.held_for(monotonic).is_zero();
        if buffer.is_empty() || !is_free || !self.is_due(LaneId::Main, &buffer, limits) {
            return Ok(false);
        }
        let (shared, metrics) = (Arc::clone(&self.shared), Arc::clone(&self.metrics));
        let (stream, data) = (Arc::clone(&self.stream), self.spec.data);
        stage.runs.spawn(async move {
            loop {
                if let Some(run) = run(&shared, chain.as_ref(), data, &buffer).await? {
                    return Ok(run);
                }
                Metrics::add(&metrics.chain_held_up, 1);
                tracing::warn!(
                    delivery_stream = %stream, function = chain.place(),
                    "processing given up and to be done again: no reply yet, and others need its memory"
                );
            }
        });
        Ok(true)
    }

    /// Appends what the chain has made, and how far that takes the data log.
    pub(super) async fn finish_run(
        &mut self,
        session: &mut Session,
        joined: Result<Result<Run, ControlError>, JoinError>,
    ) -> Result<(), ControlError> {
        let Run { offsets, to, result, _memory } =
            joined.map_err(|error| ControlError::Unsettled(format!("the chain ended: {error}")))??;
        let Some(stage) = session.stage.as_deref_mut() else { return Ok(()) };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(held) => {
                let failures = stage.held.map_or(0, |hold| hold.failures) + 1;
                let wait = backoff(&self.shared, failures);
                stage.held = Some(Hold { failures, until: self.shared.env.clock.monotonic() + wait });
                Metrics::add(&self.metrics.chain_held_up, 1);
                tracing::warn!(delivery_stream = %self.stream, failures, error = %held, "processing waits");
                return Ok(());
            }
        };
        self.metrics.chain.add(&outcome.tally);
        // What is not taken begins the next batch.
        let taken = offsets.get(outcome.taken.max(1)).copied().unwrap_or(to);
        let batch = self.encode(&outcome.products, taken);
        let (count, bytes) = (u64::from(batch.count()), batch.bytes().len() as u64);
        let append = Append { log: stage.processed(), expect: Expect::End(stage.end), batch };
        appended(self.shared.env.engine.append_many(vec![append]).await.pop())?;
        stage.end += count;
        stage.bytes += bytes;
        stage.taken = taken;
        stage.held = None;
        session.lanes.insert(LaneId::Main, Lane::new(Kind::Main, taken));
        self.trim_data(session).await?;
        self.recount(session).await.map(drop)
    }

    fn encode(&self, products: &[Product], taken: Offset) -> Batch {
        let mut builder = BatchBuilder::default();
        let mut lost = 0;
        for product in products {
            let (envelope, data) = match product {
                Product::Record { arrival, origin, partition, data } => {
                    let (arrival, origin, partition) = (*arrival, origin.clone(), partition.clone());
                    (Envelope::Output { arrival, origin, partition }, &data[..])
                }
                Product::Failed { kind, arrival, line } => {
                    (Envelope::Failed { arrival: *arrival, kind: *kind }, &line[..])
                }
            };
            let key = envelope.encode();
            // Chains promise that this does not happen.
            if key.len() > MAX_KEY_BYTES || builder.len() + key.len() + data.len() + 6 > MAX_OUTCOME_BYTES {
                lost += 1;
            } else {
                builder.push(&key, data);
            }
        }
        if lost > 0 {
            Metrics::add(&self.metrics.lost_records, lost);
            tracing::error!(delivery_stream = %self.stream, records = lost, "records lost: too large once processed");
        }
        ended_with_mark(builder, taken)
    }
}

/// Runs the chain on what the buffer counts. `None`: it took long, and others needed the memory. The next run waits with
/// others that are slow.
async fn run(shared: &Shared, chain: &dyn Chain, data: LogId, buffer: &Buffer) -> Result<Option<Run>, ControlError> {
    let bytes = buffer.bytes * TIMES + buffer.records * RECORD_BYTES;
    let memory = shared.memory.acquire_processing(chain.place(), bytes).await;
    let batch = read_batch(shared.env.engine.as_ref(), data, buffer.from, buffer.next).await?;
    let offsets = batch.iter().map(|record| record.offset).collect();
    let run = chain.run(batch);
    let result = match &memory {
        Some(memory) => memory.attempt(run).await,
        // Never: the semaphores are not closed.
        None => Some(run.await),
    };
    Ok(result.map(|result| Run { offsets, to: buffer.next, result, _memory: memory }))
}

async fn read_batch(
    engine: &dyn Engine,
    log: LogId,
    from: Offset,
    to: Offset,
) -> Result<Vec<SourceRecord>, ControlError> {
    let mut records = Vec::new();
    let mut at = from;
    while at < to {
        let max_records = u32::try_from(to - at).unwrap_or(u32::MAX);
        let request = ReadRequest { log, from: at, max_records, max_bytes: PAGE_BYTES };
        let page = engine.read(request).await.map_err(of_data_log)?;
        if page.next <= at || page.chunks.first().is_none_or(|chunk| chunk.first != at) {
            // Counted again, what is missing is found.
            return Err(ControlError::Unsettled("records of the data log are gone".into()));
        }
        for chunk in &page.chunks {
            for (offset, record) in chunk.records().take_while(|(offset, _)| *offset < to) {
                let (arrival, origin) = match Envelope::decode(record.key) {
                    Ok(Envelope::Mark) => continue,
                    Ok(Envelope::Source { arrival, origin }) => (arrival, Some(origin)),
                    _ => (chunk.arrival, None),
                };
                let data = chunk.batch.bytes().slice_ref(record.data);
                records.push(SourceRecord { offset, arrival, origin, data });
            }
        }
        at = page.next.min(to);
    }
    Ok(records)
}

/// The batch, with a mark behind it that says how far an earlier log was taken for it.
pub(super) fn ended_with_mark(mut builder: BatchBuilder, taken: Offset) -> Batch {
    let taken = if Mutant::StaleMark.is_on() { 0 } else { taken };
    let key = Envelope::Mark.encode();
    builder.push(&key, &taken.to_le_bytes());
    builder.finish().unwrap_or_else(|| Batch::single(&key, &taken.to_le_bytes()))
}

/// What a checked append to a log of this worker's own means.
pub(super) fn appended(answer: Option<Appended>) -> Result<Offset, ControlError> {
    match answer {
        Some(Appended::At { first, .. }) => Ok(first),
        Some(Appended::Moved { .. }) => Err(ControlError::Moved),
        Some(Appended::Closed { .. } | Appended::Missing) => Err(ControlError::Gone),
        Some(Appended::Full) => Err(ControlError::Unsettled("the engine takes no more data for now".into())),
        Some(Appended::Unknown) | None => Err(ControlError::Unsettled("an append of unknown outcome".into())),
    }
}
