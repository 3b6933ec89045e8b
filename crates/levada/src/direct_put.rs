//! What each delivery stream may still take from its producers now. `PutRecord` and `PutRecordBatch` share one budget
//! of calls, records and bytes (API reference: the limits are an aggregate across both).
//!
//! A call takes one request, or is refused as a whole. Then each record is admitted for itself, in request order: one
//! that does not fit takes nothing, and a smaller one after it may fit. AWS says that a record that fails does not stop
//! those after it; which of them its throttling picks is not known. What was admitted stays taken if the append fails
//! afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use levada_core::catalog::DeliveryStream;
use levada_core::env::Clock;
use levada_core::throttle::Bucket;

use crate::config::{Limits, PutLimits};
use crate::metrics::{Sample, delivery_stream_labels};
use crate::traffic::Admitted;

/// The budgets of a node's delivery streams, by incarnation. Those without limits have none.
pub struct DirectPut {
    clock: Arc<dyn Clock>,
    limits: Limits,
    budgets: RwLock<HashMap<u64, Arc<Mutex<Budget>>>>,
}

struct Budget {
    requests: Bucket,
    records: Bucket,
    bytes: Bucket,
}

impl DirectPut {
    /// Full budgets.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { clock, limits, budgets: RwLock::default() }
    }

    fn limits(&self, stream: &DeliveryStream) -> Option<PutLimits> {
        self.limits.of_delivery_stream(&stream.name, &stream.scope.region)
    }

    /// Admits a call with so many records and bytes. `sizes` tells the bytes of each record, in request order; it is
    /// asked only if they do not all fit.
    pub fn admit(
        &self,
        stream: &DeliveryStream,
        records: u64,
        bytes: u64,
        sizes: impl FnOnce() -> Vec<u64>,
    ) -> Admitted {
        let Some(limits) = self.limits(stream) else { return Admitted::All };
        let now = self.clock.monotonic();
        let budget = self.budget(stream.incarnation, limits, now);
        let mut budget = budget.lock().unwrap_or_else(PoisonError::into_inner);
        if !budget.requests.take(1, now) {
            return Admitted::Some(sizes().iter().map(|_| false).collect());
        }
        if budget.take(records, bytes, now) {
            return Admitted::All;
        }
        Admitted::Some(sizes().into_iter().map(|bytes| budget.take(1, bytes, now)).collect())
    }

    fn budget(&self, incarnation: u64, limits: PutLimits, now: Duration) -> Arc<Mutex<Budget>> {
        if let Some(found) = self.budgets.read().unwrap_or_else(PoisonError::into_inner).get(&incarnation) {
            return Arc::clone(found);
        }
        let full = |limit| Bucket::full(limit, now);
        let new =
            || Budget { requests: full(limits.requests), records: full(limits.records), bytes: full(limits.bytes) };
        let mut budgets = self.budgets.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(budgets.entry(incarnation).or_insert_with(|| Arc::new(Mutex::new(new()))))
    }

    /// Forgets a deleted delivery stream.
    pub fn forget(&self, incarnation: u64) {
        self.budgets.write().unwrap_or_else(PoisonError::into_inner).remove(&incarnation);
    }

    /// What `/metrics` says of a delivery stream's limits: nothing if it has none.
    #[must_use]
    pub fn samples(&self, stream: &DeliveryStream) -> Vec<Sample> {
        let Some(limits) = self.limits(stream).filter(|_| stream.source.kinesis().is_none()) else {
            return Vec::new();
        };
        let labels = delivery_stream_labels(stream);
        let rows = [
            ("aws_firehose_bytes_per_second_limit", "AWS/Firehose BytesPerSecondLimit", limits.bytes),
            ("aws_firehose_put_requests_per_second_limit", "AWS/Firehose PutRequestsPerSecondLimit", limits.requests),
            ("aws_firehose_records_per_second_limit", "AWS/Firehose RecordsPerSecondLimit", limits.records),
        ];
        let sample = |(metric, help, limit): (_, _, levada_core::throttle::Limit)| {
            let value = limit.rate().whole_per_second() as f64;
            Sample { metric, help, labels: labels.clone(), value }
        };
        rows.map(sample).into()
    }
}

impl Budget {
    /// Takes what records need, all or nothing.
    fn take(&mut self, records: u64, bytes: u64, now: Duration) -> bool {
        let fits = self.records.has(records, now) && self.bytes.has(bytes, now);
        if fits {
            self.records.take(records, now);
            self.bytes.take(bytes, now);
        }
        fits
    }
}
