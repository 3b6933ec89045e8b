//! Counters of one delivery stream, exported by the server under AWS's names.

use std::sync::atomic::{AtomicU64, Ordering};

use levada_core::engine::Millis;

use crate::chain::ChainCounters;

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
    /// Attempts to put that failed, of objects for S3 as the destination; with `puts_succeeded`, the sample count of
    /// `DeliveryToS3.Success`. Those of other objects are [`Delivered::failed`] of theirs.
    pub puts_failed: AtomicU64,
    /// `BackupToS3`: objects with the source records.
    pub backup: Delivered,
    /// Objects with error output: of the processing, and of what an endpoint did not take.
    pub errors: Delivered,
    /// `DeliveryToHttpEndpoint`, `DeliveryToSplunk`, `DeliveryToAmazonOpenSearchService` …: what the endpoint took;
    /// [`Delivered::succeeded`] and [`Delivered::failed`] count requests of HTTP endpoints, and of others the records of
    /// each attempt, as CloudWatch does.
    pub endpoint: Delivered,
    /// `DeliveryToHttpEndpoint.ProcessedBytes`: of all requests, those that failed too.
    pub attempted_bytes: AtomicU64,
    /// `DeliveryToHttpEndpoint.ProcessedRecords`: in all requests, those that failed too.
    pub attempted_records: AtomicU64,
    /// `DeliveryToSplunk.DataAckLatency`: requests that were acknowledged.
    pub acknowledgements: AtomicU64,
    /// And how long that took after each was answered, in µs altogether.
    pub acknowledgement_us: AtomicU64,
    /// `DeliveryToAmazonOpenSearchService.AuthFailure`: 1 while the last attempt met status 401 or 403.
    pub auth_failure: AtomicU64,
    /// `DeliveryToAmazonOpenSearchService.DeliveryRejected`: 1 while the last attempt met another refusal.
    pub delivery_rejected: AtomicU64,
    /// Records that an endpoint refused or did not take in time; they became error output.
    pub endpoint_failed_records: AtomicU64,
    /// What the chain of processors counts.
    pub chain: ChainCounters,
    /// `PartitionCount`: partitions that hold undelivered records.
    pub partitions: AtomicU64,
    /// `PartitionCountExceeded`: 1 while all partitions are taken and records of others become error output.
    pub partitions_exceeded: AtomicU64,
    /// Records that became error output because there were too many partitions.
    pub partition_overflow_records: AtomicU64,
    /// Largest `PerPartitionThroughput` of the last minute in which records were sorted, in bytes a second.
    pub partition_throughput: AtomicU64,
    /// Times that the chain of processors could not work and was run again.
    pub chain_held_up: AtomicU64,
    /// Records given up because the destination was away for too long.
    pub abandoned_records: AtomicU64,
    /// Records that could not be read any more when their turn came (trimmed or corrupt).
    pub lost_records: AtomicU64,
    /// Records that stood undelivered when the delivery stream was deleted.
    pub dropped_records: AtomicU64,
    /// 1 once the worker has ended by itself, because another took over, its logs are gone, or its control log is
    /// unreadable; then nothing is delivered any more.
    pub halted: AtomicU64,
    /// Arrival time of the oldest record not yet at its destination that the worker has seen, in ms; 0 if there is
    /// none.
    pub oldest_undelivered: AtomicU64,
    /// The same of the backup of source records.
    pub oldest_not_backed_up: AtomicU64,
}

/// What arrived at a kind of destination.
#[derive(Debug, Default)]
pub struct Delivered {
    /// `….Bytes`: of the objects or requests.
    pub bytes: AtomicU64,
    /// `….Records`.
    pub records: AtomicU64,
    /// The sum of `….Success`: puts, requests or records, whichever CloudWatch counts.
    pub succeeded: AtomicU64,
    /// Those that failed; with `succeeded`, the sample count of `….Success`.
    pub failed: AtomicU64,
}

impl Metrics {
    /// `DeliveryTo….DataFreshness`: age in ms of the oldest undelivered record at `now`; 0 if there is none.
    #[must_use]
    pub fn data_freshness_ms(&self, now: Millis) -> u64 {
        age(&self.oldest_undelivered, now)
    }

    /// `BackupToS3.DataFreshness`: the same of the backup of source records.
    #[must_use]
    pub fn backup_freshness_ms(&self, now: Millis) -> u64 {
        age(&self.oldest_not_backed_up, now)
    }

    /// Attempts to put that failed, of objects of any kind.
    #[must_use]
    pub fn failed_puts(&self) -> u64 {
        [&self.puts_failed, &self.backup.failed, &self.errors.failed]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

fn age(oldest: &AtomicU64, now: Millis) -> u64 {
    match oldest.load(Ordering::Relaxed) {
        0 => 0,
        arrival => now.saturating_sub(arrival),
    }
}
