//! Calls of one operation: how many, and how long they took.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the latency buckets in seconds.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// What an operation without records counts.
#[derive(Clone, Debug)]
pub struct CallMetrics {
    /// Calls, of whatever outcome.
    pub requests: Counter,
    /// Seconds from a whole request to its answer.
    pub latency: Histogram,
}

impl Default for CallMetrics {
    fn default() -> Self {
        Self { requests: Counter::default(), latency: histogram() }
    }
}

impl CallMetrics {
    /// Counts a call.
    pub fn count(&self, took: Duration) {
        self.requests.inc();
        self.latency.observe(took.as_secs_f64());
    }

    /// For an operation that belongs to no resource.
    pub(super) fn register(registry: &mut Registry, prefix: &str, operation: &str) -> Self {
        let metrics = Self::default();
        registry.register(format!("{prefix}_requests"), requests(operation), metrics.requests.clone());
        registry.register_with_unit(
            format!("{prefix}_latency"),
            latency(operation),
            Unit::Seconds,
            metrics.latency.clone(),
        );
        metrics
    }
}

/// [`CallMetrics`] by resource.
pub(super) struct CallFamily<L> {
    requests: Family<L, Counter>,
    latency: Family<L, Histogram, fn() -> Histogram>,
}

impl<L> CallFamily<L>
where
    L: Clone + std::hash::Hash + Eq + std::fmt::Debug + EncodeLabelSet + Send + Sync + 'static,
{
    pub(super) fn register(registry: &mut Registry, prefix: &str, operation: &str) -> Self {
        let family = Self { requests: Family::default(), latency: Family::new_with_constructor(histogram) };
        registry.register(format!("{prefix}_requests"), requests(operation), family.requests.clone());
        registry.register_with_unit(
            format!("{prefix}_latency"),
            latency(operation),
            Unit::Seconds,
            family.latency.clone(),
        );
        family
    }

    pub(super) fn of(&self, labels: &L) -> CallMetrics {
        CallMetrics {
            requests: self.requests.get_or_create_owned(labels),
            latency: self.latency.get_or_create_owned(labels),
        }
    }

    pub(super) fn forget(&self, labels: &L) {
        self.requests.remove(labels);
        self.latency.remove(labels);
    }
}

fn requests(operation: &str) -> String {
    format!("{operation}: calls")
}

fn latency(operation: &str) -> String {
    format!("{operation}: time from the whole request to its answer")
}

pub(super) fn histogram() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}
