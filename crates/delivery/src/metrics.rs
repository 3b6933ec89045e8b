//! Counters of one delivery stream, exported by the server under AWS's names.

use std::sync::atomic::{AtomicU64, Ordering};

use levada_core::engine::Millis;

/// Counters since the process started. AWS's names (`AWS/Firehose`, dimension `DeliveryStreamName`) stand at the
/// fields that have one.
#[derive(Debug, Default)]
pub struct Metrics {
    /// `DeliveryToS3.Bytes`: bytes of the objects put.
    pub object_bytes: AtomicU64,
    /// Bytes of the records in them, before compression.
    pub record_bytes: AtomicU64,
    /// `DeliveryToS3.Records`: records in the objects put.
    pub records: AtomicU64,
    /// Objects put; the sum of `DeliveryToS3.Success`.
    pub puts_succeeded: AtomicU64,
    /// Attempts to put that failed; with `puts_succeeded`, the sample count of `DeliveryToS3.Success`.
    pub puts_failed: AtomicU64,
    /// Records given up because the destination was away for too long.
    pub abandoned_records: AtomicU64,
    /// Records that could not be read any more when their turn came (trimmed or corrupt).
    pub lost_records: AtomicU64,
    /// Records that stood undelivered when the delivery stream was deleted.
    pub dropped_records: AtomicU64,
    /// 1 once the worker has ended by itself, because another took over, its logs are gone, or its control log is
    /// unreadable; then nothing is delivered any more.
    pub halted: AtomicU64,
    /// Arrival time of the oldest undelivered record that the worker has seen, in ms; 0 if there is none.
    pub oldest_undelivered: AtomicU64,
}

impl Metrics {
    /// `DeliveryToS3.DataFreshness`: age in ms of the oldest undelivered record at `now`; 0 if there is none.
    #[must_use]
    pub fn data_freshness_ms(&self, now: Millis) -> u64 {
        match self.oldest_undelivered.load(Ordering::Relaxed) {
            0 => 0,
            arrival => now.saturating_sub(arrival),
        }
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
