//! Enhanced monitoring: what CloudWatch counts of each shard, as far as the stream's owner asked for it.
//!
//! CloudWatch keeps `IncomingBytes` of a shard apart from the stream's by the dimension `ShardId`. Here the name says it
//! too, `aws_kinesis_shard_incoming_bytes_total`: in one name, a sum over it would count everything twice.

use std::collections::BTreeMap;

use levada_core::catalog::{ShardMetric, Stream};

use super::Sample;
use crate::traffic::{Load, ShardLoad};

/// A metric of `AWS/Kinesis` for each shard: its name here and what it says.
fn named(metric: ShardMetric) -> (&'static str, &'static str) {
    match metric {
        ShardMetric::IncomingBytes => {
            ("aws_kinesis_shard_incoming_bytes_total", "AWS/Kinesis IncomingBytes of the shard")
        }
        ShardMetric::IncomingRecords => {
            ("aws_kinesis_shard_incoming_records_total", "AWS/Kinesis IncomingRecords of the shard")
        }
        ShardMetric::IteratorAgeMilliseconds => (
            "aws_kinesis_shard_iterator_age_milliseconds",
            "AWS/Kinesis IteratorAgeMilliseconds of the last GetRecords call on the shard",
        ),
        ShardMetric::OutgoingBytes => {
            ("aws_kinesis_shard_outgoing_bytes_total", "AWS/Kinesis OutgoingBytes of the shard, by GetRecords")
        }
        ShardMetric::OutgoingRecords => {
            ("aws_kinesis_shard_outgoing_records_total", "AWS/Kinesis OutgoingRecords of the shard, by GetRecords")
        }
        ShardMetric::ReadProvisionedThroughputExceeded => (
            "aws_kinesis_shard_read_provisioned_throughput_exceeded_total",
            "AWS/Kinesis ReadProvisionedThroughputExceeded of the shard, in GetRecords calls",
        ),
        ShardMetric::WriteProvisionedThroughputExceeded => (
            "aws_kinesis_shard_write_provisioned_throughput_exceeded_total",
            "AWS/Kinesis WriteProvisionedThroughputExceeded of the shard, in records",
        ),
    }
}

/// The value of a metric; the age is known only once somebody has read.
fn value(metric: ShardMetric, load: &Load, iterator_age_ms: Option<u64>) -> Option<u64> {
    match metric {
        ShardMetric::IncomingBytes => Some(load.bytes_in),
        ShardMetric::IncomingRecords => Some(load.records_in),
        ShardMetric::IteratorAgeMilliseconds => iterator_age_ms,
        ShardMetric::OutgoingBytes => Some(load.bytes_out),
        ShardMetric::OutgoingRecords => Some(load.records_out),
        ShardMetric::ReadProvisionedThroughputExceeded => Some(load.reads_refused),
        ShardMetric::WriteProvisionedThroughputExceeded => Some(load.writes_refused),
    }
}

/// The metrics that a stream keeps for each shard: of all shards that are open or were used since the node started.
#[must_use]
pub fn shard_samples(stream: &Stream, loads: &[ShardLoad]) -> Vec<Sample> {
    let loads: BTreeMap<_, _> = loads.iter().map(|load| (load.shard, load)).collect();
    let (name, scope) = (&stream.name, &stream.scope);
    let mut samples = Vec::new();
    for shard in stream.shards.all() {
        let load = loads.get(&shard.id());
        if load.is_none() && !shard.is_open() {
            continue;
        }
        let (total, age) = load.map_or_else(Default::default, |load| (load.total, load.iterator_age_ms));
        // Names, accounts and regions are letters, digits and [_.-], so nothing needs escaping.
        let labels = format!(
            "{{StreamName=\"{name}\",ShardId=\"{}\",account=\"{}\",region=\"{}\"}}",
            shard.id(),
            scope.account.as_str(),
            scope.region
        );
        for &kept in &stream.monitoring {
            let (metric, help) = named(kept);
            let value = value(kept, &total, age);
            samples.extend(value.map(|value| Sample { metric, help, labels: labels.clone(), value: value as f64 }));
        }
    }
    samples
}
