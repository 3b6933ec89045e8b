//! What the worker asks of a chain of processors.
//!
//! The worker gathers records of the data log as [`Chain::gathering`] says, runs the chain on them, and appends what
//! came out to the processed log together with how far the data log was taken. Only then is it decided: a run whose
//! result was not appended (a crash, a configuration that changed meanwhile) has not happened, and the chain runs
//! again on the same records, perhaps gathered differently.

use std::fmt::Debug;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use levada_core::engine::{BoxFuture, Offset};

use crate::record::{Product, SourceRecord};

/// When a batch is large or old enough to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathering {
    /// Bytes of data: the batch ends with the record that reaches them.
    pub bytes: u64,
    /// Records, at least 1.
    pub records: u32,
    /// Since the oldest record of the batch arrived in the data log; zero runs whatever is there.
    pub wait: Duration,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { bytes: 1024 * 1024, records: 10_000, wait: Duration::ZERO }
    }
}

/// A product, and the record that it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// [`SourceRecord::offset`].
    pub from: Offset,
    /// What was made of it.
    pub product: Product,
}

/// The chain cannot work now, and nothing is to be given up for it: the worker waits and runs it again on the same
/// records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("held up: {0}")]
pub struct HeldUp(pub String);

/// A chain of processors.
pub trait Chain: Send + Sync + Debug + 'static {
    /// How records are gathered before a run.
    fn gathering(&self) -> Gathering;

    /// Makes of the records what is to be delivered, in the order of [`Made::from`]. A record of which nothing is
    /// made is not in the result; what fails for good is a [`Product::Failed`]. May take minutes, and may be dropped
    /// at any moment. A delivered payload is at most [`MAX_PRODUCT_BYTES`] long; the worker loses a longer one, and
    /// says so.
    ///
    /// # Errors
    /// [`HeldUp`].
    fn run<'a>(
        &'a self,
        records: Vec<SourceRecord>,
        counters: &'a ChainCounters,
    ) -> BoxFuture<'a, Result<Vec<Made>, HeldUp>>;
}

/// Longest data of one product in bytes, a line of error output included: it has to fit a batch of the engine.
pub const MAX_PRODUCT_BYTES: usize = 10 * 1024 * 1024;

/// What a chain counts, since the process started. AWS's names (`AWS/Firehose`) stand at the fields. Sums and counts
/// are apart so that an average can be made.
#[derive(Debug, Default)]
pub struct ChainCounters {
    /// `ExecuteProcessing.Duration`: sum of the invocations' durations, in ms.
    pub execute_ms: AtomicU64,
    /// Invocations; the sample count of `ExecuteProcessing.Success`.
    pub executed: AtomicU64,
    /// Invocations that answered well; the sum of `ExecuteProcessing.Success`.
    pub execute_succeeded: AtomicU64,
    /// `SucceedProcessing.Records`: records that the function processed.
    pub succeeded_records: AtomicU64,
    /// `SucceedProcessing.Bytes`: their bytes, as the function gave them back.
    pub succeeded_bytes: AtomicU64,
    /// `JQProcessing.Duration`: sum in µs of the time that queries took.
    pub jq_us: AtomicU64,
    /// Records that queries ran on.
    pub jq_runs: AtomicU64,
    /// `OutputDecompressedRecords.Success`: records after decompression.
    pub decompressed_records: AtomicU64,
    /// `OutputDecompressedBytes.Success`: their bytes.
    pub decompressed_bytes: AtomicU64,
    /// `OutputDecompressedRecords.Failed`: records that could not be decompressed.
    pub decompression_failed_records: AtomicU64,
}
