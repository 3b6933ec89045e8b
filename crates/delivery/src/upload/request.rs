//! One cut on its way to an endpoint: attempts, until each record is taken or given up; then error output.
//!
//! The retry duration of HTTP endpoints and Splunk counts the waits between attempts, not the attempts themselves: it
//! starts after the first attempt and does not include the time in which an answer is awaited (API reference,
//! `HttpEndpointRetryOptions`, `SplunkRetryOptions`). That of OpenSearch includes them.
//!
//! Records are read anew for each attempt, so that an endpoint that is away holds no memory while its cuts wait, nor one
//! that takes records and needs time to say that they are safe. What is remembered between attempts is which records are
//! left, and why others were refused.

use std::sync::Arc;
use std::time::Duration;

use levada_core::engine::{EngineError, Offset};
use tokio::sync::OwnedSemaphorePermit;

use super::content::{Content, Refused};
use super::{Outcome, Put, Taken, Upload};
use crate::control::Cut;
use crate::endpoint::{Endpoint, Fault, Parcel, Verdict};
use crate::memory::Memory;

/// Waits between attempts. Source: the guide's "Understand data delivery", for HTTP endpoints; used for all.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(120);
const JITTER_PERCENT: u64 = 15;

/// Records of one cut for an endpoint: what is known of each besides its data is held too while an attempt lasts.
pub(crate) const PARCEL_RECORDS: u64 = 50_000;

/// Bytes of what is known of a record besides its data, roughly.
const RECORD_BYTES: u64 = 512;

/// Bytes of an attempt for each three of the records: they are held besides the request that is made of them, in base64.
const TIMES_THREE: u64 = 7;

/// Bytes of different reasons that are kept of one cut, for up to a day, as long as the node has memory for them.
/// Further ones are kept in short.
const REASONS_BYTES: usize = 1024 * 1024;

/// Bytes of a reason besides its message, roughly.
const REASON_BYTES: usize = 128;

/// Different reasons in short that are kept of one attempt: they have few codes, and no words of the endpoint.
const SHORT_REASONS: usize = 64;

/// How far a cut has come.
#[derive(Default)]
struct Progress {
    attempts: u32,
    /// Offsets of the records that are left, with the last reason; `None` before the first attempt: all.
    left: Option<Vec<(Offset, Arc<Fault>)>>,
    given_up: Vec<Refused>,
    taken: Taken,
    /// For the reasons of `given_up`.
    given_up_memory: Option<OwnedSemaphorePermit>,
    /// For those of `left`.
    left_memory: Option<OwnedSemaphorePermit>,
}

/// A parcel, with the offsets of its records.
struct Packed {
    parcel: Parcel,
    offsets: Vec<Offset>,
    lost: u64,
}

/// What became of an attempt.
enum Tried {
    /// Nothing is left to attempt, or it was made.
    Attempted,
    /// It took long, and others needed the memory. The next one waits with others that are slow.
    GivenUp,
    /// The worker stops.
    Interrupted,
}

impl Upload {
    pub(super) async fn request(&self, mut endpoint: Arc<dyn Endpoint>, cut: &Cut, id: [u8; 16]) -> Outcome {
        let mut progress = Progress::default();
        let mut unreadable = 0;
        loop {
            // Another kind of endpoint was not what the records were cut for.
            if let Some(newest) = self.endpoint()
                && newest.metric_name() == endpoint.metric_name()
            {
                endpoint = newest;
            }
            match self.try_request(endpoint.as_ref(), cut, id, &mut progress).await {
                Ok(Tried::Attempted) => unreadable = 0,
                Ok(Tried::GivenUp) => continue,
                Ok(Tried::Interrupted) => return Outcome::Interrupted,
                Err(EngineError::Missing) => return Outcome::Gone,
                Err(error) => {
                    tracing::warn!(delivery_stream = %self.stream, cut = cut.id, %error, "records cannot be read now");
                    unreadable += 1;
                    if !self.signals.pause(self.backoff(unreadable)).await {
                        return Outcome::Interrupted;
                    }
                    continue;
                }
            }
            if progress.left.as_ref().is_none_or(Vec::is_empty) {
                break;
            }
            let clock = &self.shared.env.clock;
            let waited = self.past.waited(cut.id, Duration::ZERO);
            let remaining = endpoint.retry_for().saturating_sub(waited);
            if remaining.is_zero() {
                progress.give_up(clock.now_ms());
                break;
            }
            let began = clock.monotonic();
            if !self.signals.pause(self.wait(progress.attempts).min(remaining)).await {
                return Outcome::Interrupted;
            }
            self.past.waited(cut.id, clock.monotonic().saturating_sub(began));
        }
        self.write_errors(endpoint.as_ref(), cut, progress).await
    }

    /// One attempt at what is left.
    async fn try_request(
        &self,
        endpoint: &dyn Endpoint,
        cut: &Cut,
        id: [u8; 16],
        progress: &mut Progress,
    ) -> Result<Tried, EngineError> {
        let clock = &self.shared.env.clock;
        let bytes = cut.bytes * TIMES_THREE / 3 + cut.records() * RECORD_BYTES;
        let Some(memory) = self.memory(endpoint.place(), bytes).await else { return Ok(Tried::Interrupted) };
        let Packed { parcel, offsets, lost } = self.pack(cut, id, progress.left.as_deref()).await?;
        // Of what was there at the last attempt, some may be unreadable now.
        let lost = progress.left.as_ref().map_or(lost, |left| (left.len() - offsets.len()) as u64);
        if parcel.records.is_empty() {
            progress.taken.lost += lost;
            progress.left = Some(Vec::new());
            return Ok(Tried::Attempted);
        }
        let began = clock.monotonic();
        let attempted = memory.attempt(endpoint.attempt(&parcel)).await;
        if endpoint.retry_includes_attempts() {
            self.past.waited(cut.id, clock.monotonic().saturating_sub(began));
        }
        let Some(mut verdict) = attempted else {
            let seconds = memory.patience().as_secs();
            tracing::warn!(
                delivery_stream = %self.stream, cut = cut.id, url = endpoint.origin(), seconds,
                "request given up and to be made again: no answer yet, and others need its memory"
            );
            return Ok(Tried::GivenUp);
        };
        let records = parcel.records.len() as u64;
        drop(parcel);
        if let Some(receipt) = verdict.receipt.take() {
            drop(memory);
            let taken = clock.monotonic();
            match endpoint.confirmed(receipt).await {
                Ok(()) => verdict.acknowledged_after = Some(clock.monotonic().saturating_sub(taken)),
                Err(fault) => verdict.unconfirmed(offsets.len(), &fault),
            }
        }
        progress.attempts += 1;
        progress.taken.lost += lost;
        let taken = records.saturating_sub((verdict.retry.len() + verdict.refused.len()) as u64);
        progress.taken.records += taken;
        // What was sent in vain is no part of it.
        progress.taken.bytes += verdict.bytes * taken / records;
        self.report(endpoint, cut, &verdict, records, progress.attempts);
        progress.apply(&self.shared.memory, &offsets, verdict, clock.now_ms());
        Ok(Tried::Attempted)
    }

    /// The records of the cut that are left.
    async fn pack(
        &self,
        cut: &Cut,
        id: [u8; 16],
        left: Option<&[(Offset, Arc<Fault>)]>,
    ) -> Result<Packed, EngineError> {
        let (mut records, mut offsets) = (Vec::new(), Vec::new());
        let (mut at, mut lost) = (cut.from, 0);
        while at < cut.to {
            let page = self.read(at, cut.to).await?;
            for read in page.records {
                let wanted =
                    |left: &[(Offset, _)]| left.binary_search_by_key(&read.offset, |(offset, _)| *offset).is_ok();
                if left.is_none_or(wanted) {
                    offsets.push(read.offset);
                    records.push(read.record);
                }
            }
            (at, lost) = (page.next, lost + page.lost);
        }
        let parcel = Parcel { id, created: cut.created, now: self.shared.env.clock.now_ms(), records };
        Ok(Packed { parcel, offsets, lost })
    }

    /// Doubled after each attempt, then up to 15 percent more or less.
    fn wait(&self, attempts: u32) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_WAIT);
        let percent = 100 - JITTER_PERCENT + self.shared.env.random.next_u64() % (2 * JITTER_PERCENT + 1);
        Duration::from_millis(doubled.as_millis() as u64 * percent / 100).min(LONGEST_WAIT)
    }

    /// Writes what was given up as error output, if anything was.
    async fn write_errors(&self, endpoint: &dyn Endpoint, cut: &Cut, mut progress: Progress) -> Outcome {
        let mut taken = progress.taken;
        if progress.given_up.is_empty() {
            return Outcome::Taken { taken, failed: 0, error_bytes: 0 };
        }
        progress.given_up.sort_by_key(|refused| refused.offset);
        let failed = progress.given_up.len() as u64;
        let content = Content::Lines { endpoint, given_up: &progress.given_up };
        match self.put_until_durable(cut, &content).await {
            Put::Durable { records, lost, object_bytes, .. } => {
                taken.lost += lost;
                Outcome::Taken { taken, failed: records, error_bytes: object_bytes }
            }
            Put::Late { reason } => Outcome::Abandoned { records: failed, reason, taken },
            Put::Interrupted => Outcome::Interrupted,
            Put::Gone => Outcome::Gone,
        }
    }
}

impl Progress {
    fn apply(&mut self, memory: &Memory, offsets: &[Offset], verdict: Verdict, ended: u64) {
        let attempts = self.attempts;
        let mut reasons = Reasons::new(memory, self.given_up_memory.take());
        for (place, fault) in verdict.refused {
            if let Some(offset) = offsets.get(place) {
                self.given_up.push(Refused { offset: *offset, fault: reasons.of(fault), attempts, ended });
            }
        }
        self.given_up_memory = reasons.kept.take();
        // Those of the others are replaced by the next attempt's.
        (self.left, self.left_memory) = (None, None);
        let mut left = Vec::with_capacity(verdict.retry.len());
        for (place, fault) in verdict.retry {
            if let Some(offset) = offsets.get(place) {
                left.push((*offset, reasons.of(fault)));
            }
        }
        (self.left, self.left_memory) = (Some(left), reasons.kept);
    }

    /// Gives up what is left.
    fn give_up(&mut self, ended: u64) {
        let attempts = self.attempts;
        for (offset, fault) in self.left.take().unwrap_or_default() {
            self.given_up.push(Refused { offset, fault, attempts, ended });
        }
    }
}

/// Keeps equal reasons once: a request that failed gives each of its records the same one.
struct Reasons<'a> {
    memory: &'a Memory,
    last: Option<Arc<Fault>>,
    /// Those that are kept in short.
    short: Vec<Arc<Fault>>,
    kept: Option<OwnedSemaphorePermit>,
}

impl<'a> Reasons<'a> {
    fn new(memory: &'a Memory, kept: Option<OwnedSemaphorePermit>) -> Self {
        Self { memory, last: None, short: Vec::new(), kept }
    }

    fn of(&mut self, mut fault: Fault) -> Arc<Fault> {
        if let Some(last) = self.last.as_ref().filter(|last| ***last == fault) {
            return Arc::clone(last);
        }
        if self.has_memory(fault.message.len() + REASON_BYTES) {
            return Arc::clone(self.last.insert(Arc::new(fault)));
        }
        fault.message = Arc::clone(&fault.summary);
        if let Some(known) = self.short.iter().find(|known| ***known == fault) {
            return Arc::clone(known);
        }
        let alike = self.short.iter().find(|known| known.code == fault.code);
        match alike.filter(|_| self.short.len() >= SHORT_REASONS) {
            Some(alike) => Arc::clone(alike),
            None => {
                let fault = Arc::new(fault);
                self.short.push(Arc::clone(&fault));
                fault
            }
        }
    }

    /// Takes memory for so many bytes more.
    fn has_memory(&mut self, bytes: usize) -> bool {
        let most = REASONS_BYTES as u64;
        match (self.memory.try_acquire_reasons(bytes as u64), &mut self.kept) {
            (Some(more), Some(kept)) if Memory::bytes_of(&more) + Memory::bytes_of(kept) <= most => kept.merge(more),
            (Some(more), kept @ None) => *kept = Some(more),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(records: usize, message: impl Fn(usize) -> String) -> Verdict {
        let fault = |n| Fault { code: "400".into(), message: message(n).into(), summary: "no".into() };
        Verdict { retry: (0..records).map(|n| (n, fault(n))).collect(), ..Verdict::default() }
    }

    /// Bytes of different messages that are remembered.
    fn remembered(progress: &Progress) -> usize {
        let faults = progress.left.iter().flatten().map(|(_, fault)| fault);
        let messages = faults.map(|fault| (fault.message.as_ptr(), fault.message.len()));
        messages.collect::<std::collections::BTreeMap<_, _>>().values().sum()
    }

    #[test]
    fn reasons_are_remembered_once_and_up_to_a_bound() {
        let memory = Memory::new(64 << 20, 0);
        let offsets: Vec<Offset> = (0..10_000).collect();
        let mut progress = Progress::default();
        for _ in 0..3 {
            progress.apply(&memory, &offsets, verdict(10_000, |_| "x".repeat(1024)), 0);
            assert_eq!(remembered(&progress), 1024);
            progress.apply(&memory, &offsets, verdict(10_000, |n| format!("{n:01024}")), 0);
            assert!((REASONS_BYTES / 2..REASONS_BYTES).contains(&remembered(&progress)));
            assert_eq!(progress.left.as_ref().map(Vec::len), Some(10_000));
        }
    }

    #[test]
    fn the_memory_of_error_output_includes_what_the_endpoint_said() {
        let offsets: Vec<Offset> = (0..100).collect();
        let mut progress = Progress::default();
        progress.apply(&Memory::new(64 << 20, 0), &offsets, verdict(100, |_| "\"".repeat(1000)), 0);
        progress.give_up(0);
        let lines = progress.given_up.iter().map(|refused| serde_json::to_vec(&*refused.fault.message));
        let bytes: usize = lines.map(|line| line.map_or(0, |line| line.len())).sum();
        assert!(Content::lines_memory(0, &progress.given_up) >= bytes as u64);
    }

    #[test]
    fn the_reasons_of_all_cuts_share_the_memory_of_the_node() {
        let memory = Memory::new(64 << 20, 0);
        let offsets: Vec<Offset> = (0..2_000).collect();
        let cuts: Vec<Progress> = (0..50)
            .map(|cut| {
                let mut progress = Progress::default();
                for _ in 0..2 {
                    let Verdict { retry: refused, .. } = verdict(2_000, |n| format!("{cut:0500}{n:0500}"));
                    let (refused, retry) = (refused[..1_000].to_vec(), refused[1_000..].to_vec());
                    progress.apply(&memory, &offsets, Verdict { refused, retry, ..Verdict::default() }, 0);
                }
                progress
            })
            .collect();
        let given_up = |progress: &Progress| {
            let messages = progress.given_up.iter().map(|refused| &refused.fault.message);
            messages.map(|message| (message.as_ptr(), message.len())).collect::<std::collections::BTreeMap<_, _>>()
        };
        let all: usize = cuts.iter().map(|cut| given_up(cut).values().sum::<usize>() + remembered(cut)).sum();
        assert!(all <= 4 << 20, "{all} bytes");
        assert!(cuts.iter().all(|cut| cut.given_up.len() == 2_000 && cut.given_up[999].fault.code == "400"));
        drop(cuts);
        assert!(memory.try_acquire_reasons(4 << 20).is_some(), "all of it comes back");
    }
}
