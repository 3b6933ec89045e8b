//! What the worker asks of a chain of processors.
//!
//! The worker gathers records of the data log as [`Chain::gather`] says, runs the chain on them, and appends what came
//! out to the processed log together with how far the data log was taken. Only then is it decided: a run whose outcome
//! was not appended (a crash, a configuration that changed meanwhile) has not happened, and the chain runs again on
//! the same records, perhaps gathered differently.

use std::fmt::Debug;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use levada_core::engine::BoxFuture;

use crate::metrics::Metrics;
use crate::record::{Product, SourceRecord};

/// When a batch is large or old enough to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// Bytes of data: the batch ends with the record that reaches them.
    pub bytes: u64,
    /// Since the oldest record of the batch arrived in the data log; zero runs whatever is there.
    pub wait: Duration,
}

/// What a run has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Source records done, from the front, at least 1. The rest is handed in again with the next batch.
    pub taken: usize,
    /// What was made of them, in order. With keys and headers it fits one append: [`MAX_OUTCOME_BYTES`].
    pub products: Vec<Product>,
    /// For the metrics.
    pub tally: Tally,
}

/// Longest encoded products of one run, in bytes: one append of the engine, less the worker's own mark.
pub const MAX_OUTCOME_BYTES: usize = levada_core::batch::MAX_BATCH_BYTES - 1024;

/// What a run has done, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Invocations of the function.
    pub executions: u64,
    /// Those that failed; with `executions`, `ExecuteProcessing.Success`.
    pub failed_executions: u64,
    /// Sum of their durations: `ExecuteProcessing.Duration`.
    pub execution_time: Duration,
    /// `SucceedProcessing.Records`: records that the function processed.
    pub succeeded_records: u64,
    /// `SucceedProcessing.Bytes`: of the records as they were before.
    pub succeeded_bytes: u64,
    /// Records that queries ran on.
    pub queries: u64,
    /// Sum of their durations: `JQProcessing.Duration`.
    pub query_time: Duration,
}

/// The chain cannot work now, nothing happened, and nothing is to be given up for it: the worker waits and runs it
/// again on the same records. A function that is away is none of this: its batch becomes error output, as on AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("held up: {0}")]
pub struct Held(pub String);

/// A chain of processors.
pub trait Chain: Send + Sync + Debug + 'static {
    /// How records are gathered before a run.
    fn gather(&self) -> Gather;

    /// What a run waits for and may wait for in vain, by a name that tells it from others: a function. `None`: nothing.
    fn place(&self) -> Option<&str> {
        None
    }

    /// Makes of the records what is to be delivered. May take minutes, and may be dropped at any moment; what it
    /// holds is let go of soon after. The batch is not empty.
    ///
    /// # Errors
    /// [`Held`].
    fn run(&self, batch: Vec<SourceRecord>) -> BoxFuture<'_, Result<Outcome, Held>>;
}

/// Sums of [`Tally`] since the process started.
#[derive(Debug, Default)]
pub struct ChainCounters {
    /// [`Tally::executions`].
    pub executions: AtomicU64,
    /// [`Tally::failed_executions`].
    pub failed_executions: AtomicU64,
    /// [`Tally::execution_time`], in µs.
    pub execution_us: AtomicU64,
    /// [`Tally::succeeded_records`].
    pub succeeded_records: AtomicU64,
    /// [`Tally::succeeded_bytes`].
    pub succeeded_bytes: AtomicU64,
    /// [`Tally::queries`].
    pub queries: AtomicU64,
    /// [`Tally::query_time`], in µs.
    pub query_us: AtomicU64,
}

impl ChainCounters {
    pub(crate) fn add(&self, tally: &Tally) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        for (counter, n) in [
            (&self.executions, tally.executions),
            (&self.failed_executions, tally.failed_executions),
            (&self.execution_us, micros(tally.execution_time)),
            (&self.succeeded_records, tally.succeeded_records),
            (&self.succeeded_bytes, tally.succeeded_bytes),
            (&self.queries, tally.queries),
            (&self.query_us, micros(tally.query_time)),
        ] {
            Metrics::add(counter, n);
        }
    }
}
