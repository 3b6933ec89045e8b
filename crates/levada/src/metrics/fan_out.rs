//! What CloudWatch counts of enhanced fan-out, per consumer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use levada_core::catalog::Stream;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The dimensions of `AWS/Kinesis` for a consumer, and what CloudWatch keeps apart by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[allow(non_snake_case, reason = "the labels are the CloudWatch dimensions")]
struct ConsumerLabel {
    ConsumerName: String,
    StreamName: String,
    account: String,
    region: String,
}

/// One consumer's metrics.
#[derive(Debug)]
pub struct ConsumerMetrics {
    /// Calls of `SubscribeToShard` that named this consumer.
    pub requests: Counter,
    /// `SubscribeToShard.Success`.
    pub success: Counter,
    /// `SubscribeToShard.RateExceeded`: refused because another call had succeeded just before.
    pub rate_exceeded: Counter,
    /// Events, and once more for each stream that came to its end of 5 minutes: what `SubscribeToShardEvent.Success` is
    /// an average over.
    pub events: Counter,
    /// `SubscribeToShardEvent.Success`.
    pub event_success: Counter,
    /// `SubscribeToShardEvent.Bytes`.
    pub event_bytes: Counter,
    /// `SubscribeToShardEvent.Records`.
    pub event_records: Counter,
    /// `SubscribeToShardEvent.MillisBehindLatest` of the last event.
    pub behind: Gauge,
}

type Counters = Family<ConsumerLabel, Counter>;
type Known = BTreeMap<(u64, Arc<str>), (ConsumerLabel, Arc<ConsumerMetrics>)>;

/// The metrics of all consumers.
pub(super) struct FanOut {
    requests: Counters,
    success: Counters,
    rate_exceeded: Counters,
    events: Counters,
    event_success: Counters,
    event_bytes: Counters,
    event_records: Counters,
    behind: Family<ConsumerLabel, Gauge>,
    /// By the stream's incarnation and the consumer's name.
    known: Mutex<Known>,
}

impl FanOut {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| {
            let family = Counters::default();
            registry.register(format!("aws_kinesis_subscribe_to_shard_{name}"), help, family.clone());
            family
        };
        let requests = counter("requests", "AWS/Kinesis SubscribeToShard: calls");
        let success = counter("success", "AWS/Kinesis SubscribeToShard.Success");
        let rate_exceeded = counter("rate_exceeded", "AWS/Kinesis SubscribeToShard.RateExceeded");
        let events = counter("event_samples", "AWS/Kinesis SubscribeToShardEvent: events, and ends after 5 minutes");
        let event_success = counter("event_success", "AWS/Kinesis SubscribeToShardEvent.Success");
        let event_bytes = counter("event_bytes", "AWS/Kinesis SubscribeToShardEvent.Bytes");
        let event_records = counter("event_records", "AWS/Kinesis SubscribeToShardEvent.Records");
        let behind = Family::default();
        registry.register(
            "aws_kinesis_subscribe_to_shard_event_millis_behind_latest",
            "AWS/Kinesis SubscribeToShardEvent.MillisBehindLatest of the last event",
            behind.clone(),
        );
        let known = Mutex::default();
        Self { requests, success, rate_exceeded, events, event_success, event_bytes, event_records, behind, known }
    }

    pub(super) fn of(&self, stream: &Stream, consumer: &Arc<str>) -> Arc<ConsumerMetrics> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry((stream.incarnation, Arc::clone(consumer))).or_insert_with(|| {
            let label = ConsumerLabel {
                ConsumerName: consumer.to_string(),
                StreamName: stream.name.to_string(),
                account: stream.scope.account.as_str().to_owned(),
                region: stream.scope.region.to_string(),
            };
            let metrics = ConsumerMetrics {
                requests: self.requests.get_or_create_owned(&label),
                success: self.success.get_or_create_owned(&label),
                rate_exceeded: self.rate_exceeded.get_or_create_owned(&label),
                events: self.events.get_or_create_owned(&label),
                event_success: self.event_success.get_or_create_owned(&label),
                event_bytes: self.event_bytes.get_or_create_owned(&label),
                event_records: self.event_records.get_or_create_owned(&label),
                behind: self.behind.get_or_create_owned(&label),
            };
            (label, Arc::new(metrics))
        });
        Arc::clone(&entry.1)
    }

    /// Forgets the consumers of a stream for which `gone` is true.
    pub(super) fn forget(&self, incarnation: u64, gone: impl Fn(&str) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(stream, name), (label, _)| {
            let goes = *stream == incarnation && gone(name);
            if goes {
                for family in [
                    &self.requests,
                    &self.success,
                    &self.rate_exceeded,
                    &self.events,
                    &self.event_success,
                    &self.event_bytes,
                    &self.event_records,
                ] {
                    family.remove(label);
                }
                self.behind.remove(label);
            }
            !goes
        });
    }
}
