//! What `/metrics` says of a delivery stream's delivery, under names made of CloudWatch's: `AWS/Firehose`
//! `DeliveryToS3.Bytes` is `aws_firehose_delivery_to_s3_bytes`. Durations and ages are in seconds.

use std::sync::atomic::{AtomicU64, Ordering};

use levada_core::catalog::{DeliveryStream, Destination, DestinationKind};
use levada_delivery::{Delivered, Handle, Metrics};

use crate::metrics::Sample;

/// Names of the metrics of one kind of delivery: bytes, records, successes, failed attempts, age of the oldest record.
struct Names {
    bytes: [&'static str; 2],
    records: [&'static str; 2],
    success: [&'static str; 2],
    failed: [&'static str; 2],
    freshness: [&'static str; 2],
}

macro_rules! names {
    ($ours:literal, $aws:literal) => {
        Names {
            bytes: [concat!("aws_firehose_", $ours, "_bytes"), concat!("AWS/Firehose ", $aws, ".Bytes")],
            records: [concat!("aws_firehose_", $ours, "_records"), concat!("AWS/Firehose ", $aws, ".Records")],
            success: [
                concat!("aws_firehose_", $ours, "_success"),
                concat!("AWS/Firehose ", $aws, ".Success: attempts that succeeded"),
            ],
            failed: [
                concat!("aws_firehose_", $ours, "_failure"),
                concat!("AWS/Firehose ", $aws, ".Success: attempts that failed"),
            ],
            freshness: [
                concat!("aws_firehose_", $ours, "_data_freshness_seconds"),
                concat!("AWS/Firehose ", $aws, ".DataFreshness"),
            ],
        }
    };
}

const TO_S3: Names = names!("delivery_to_s3", "DeliveryToS3");
const BACKUP: Names = names!("backup_to_s3", "BackupToS3");
/// Error output of the processing: AWS has no metric of it.
const ERRORS: [[&str; 2]; 3] = [
    ["levada_delivery_error_output_bytes", "Bytes of objects with error output of the processing"],
    ["levada_delivery_error_output_records", "Records that became error output of the processing"],
    ["levada_delivery_error_output_objects", "Objects with error output of the processing"],
];

/// `None` for S3 itself.
fn names_of(kind: DestinationKind) -> Option<Names> {
    match kind {
        DestinationKind::S3 => None,
        DestinationKind::HttpEndpoint => Some(names!("delivery_to_http_endpoint", "DeliveryToHttpEndpoint")),
        DestinationKind::Splunk => Some(names!("delivery_to_splunk", "DeliveryToSplunk")),
        DestinationKind::OpenSearch => {
            Some(names!("delivery_to_amazon_open_search_service", "DeliveryToAmazonOpenSearchService"))
        }
        DestinationKind::OpenSearchServerless => {
            Some(names!("delivery_to_amazon_open_search_serverless", "DeliveryToAmazonOpenSearchServerless"))
        }
        DestinationKind::Elasticsearch => Some(names!("delivery_to_elasticsearch", "DeliveryToElasticsearch")),
    }
}

/// Collects samples of one delivery stream.
struct Samples {
    labels: String,
    all: Vec<Sample>,
}

impl Samples {
    fn value(&mut self, [metric, help]: [&'static str; 2], value: f64) {
        self.all.push(Sample { metric, help, labels: self.labels.clone(), value });
    }

    fn count(&mut self, name: [&'static str; 2], counter: &AtomicU64) {
        self.value(name, counter.load(Ordering::Relaxed) as f64);
    }

    fn micros(&mut self, name: [&'static str; 2], counter: &AtomicU64) {
        self.value(name, counter.load(Ordering::Relaxed) as f64 / 1e6);
    }

    fn delivered(&mut self, names: &Names, delivered: &Delivered, freshness_ms: u64) {
        self.count(names.bytes, &delivered.bytes);
        self.count(names.records, &delivered.records);
        self.count(names.success, &delivered.succeeded);
        self.count(names.failed, &delivered.failed);
        self.value(names.freshness, freshness_ms as f64 / 1e3);
    }

    fn objects(&mut self, metrics: &Metrics, now: u64) {
        self.count(TO_S3.bytes, &metrics.object_bytes);
        self.count(TO_S3.records, &metrics.records);
        self.count(TO_S3.success, &metrics.puts_succeeded);
        self.count(TO_S3.failed, &metrics.puts_failed);
        self.value(TO_S3.freshness, metrics.data_freshness_ms(now) as f64 / 1e3);
    }

    fn processing(&mut self, metrics: &Metrics) {
        let chain = &metrics.chain;
        let executions = chain.executions.load(Ordering::Relaxed);
        let failed = chain.failed_executions.load(Ordering::Relaxed);
        self.value(
            [
                "aws_firehose_execute_processing_success",
                "AWS/Firehose ExecuteProcessing.Success: invocations that succeeded",
            ],
            executions.saturating_sub(failed) as f64,
        );
        self.value(
            [
                "aws_firehose_execute_processing_failure",
                "AWS/Firehose ExecuteProcessing.Success: invocations that failed",
            ],
            failed as f64,
        );
        self.micros(
            ["aws_firehose_execute_processing_duration_seconds", "AWS/Firehose ExecuteProcessing.Duration, summed up"],
            &chain.execution_us,
        );
        self.count(
            ["aws_firehose_succeed_processing_records", "AWS/Firehose SucceedProcessing.Records"],
            &chain.succeeded_records,
        );
        self.count(
            ["aws_firehose_succeed_processing_bytes", "AWS/Firehose SucceedProcessing.Bytes"],
            &chain.succeeded_bytes,
        );
        self.count(["levada_delivery_queries", "Records that partition keys were asked of by jq"], &chain.queries);
        self.micros(
            ["aws_firehose_jq_processing_duration_seconds", "AWS/Firehose JQProcessing.Duration, summed up"],
            &chain.query_us,
        );
        self.count(
            ["levada_delivery_processing_held_up", "Times that the processing could not work and was tried again"],
            &metrics.chain_held_up,
        );
        for (name, counter) in
            ERRORS.into_iter().zip([&metrics.errors.bytes, &metrics.errors.records, &metrics.errors.succeeded])
        {
            self.count(name, counter);
        }
    }

    fn partitions(&mut self, metrics: &Metrics) {
        self.count(["aws_firehose_partition_count", "AWS/Firehose PartitionCount"], &metrics.partitions);
        self.count(
            ["aws_firehose_partition_count_exceeded", "AWS/Firehose PartitionCountExceeded"],
            &metrics.partitions_exceeded,
        );
        self.count(
            ["aws_firehose_per_partition_throughput", "AWS/Firehose PerPartitionThroughput, of the busiest one"],
            &metrics.partition_throughput,
        );
        self.count(
            ["levada_delivery_partition_overflow_records", "Records beyond the active partitions, now error output"],
            &metrics.partition_overflow_records,
        );
    }

    fn trouble(&mut self, metrics: &Metrics) {
        self.value(
            ["levada_delivery_failed_puts", "Failed attempts to put an object of any kind"],
            metrics.failed_puts() as f64,
        );
        self.count(
            ["levada_delivery_abandoned_records", "Records given up after 24 hours of attempts"],
            &metrics.abandoned_records,
        );
        self.count(["levada_delivery_lost_records", "Records that could not be read any more"], &metrics.lost_records);
    }
}

/// What `/metrics` says of a delivery stream. Without a worker all it says is that.
#[must_use]
pub fn samples(stream: &DeliveryStream, handle: Option<&Handle>, now: u64) -> Vec<Sample> {
    let mut samples = Samples { labels: crate::metrics::delivery_stream_labels(stream), all: Vec::new() };
    let halted = handle.is_none_or(Handle::is_halted);
    samples.value(["levada_delivery_halted", "1 while nothing is delivered"], f64::from(u8::from(halted)));
    let Some(handle) = handle else { return samples.all };
    let metrics = handle.metrics();
    samples.value(
        ["levada_delivery_backlog_bytes", "Bytes retained from the oldest undelivered record on"],
        handle.backlog_bytes() as f64,
    );
    samples.trouble(metrics);
    match names_of(stream.destination.kind()) {
        None => samples.objects(metrics, now),
        Some(names) => {
            samples.delivered(&names, &metrics.endpoint, metrics.data_freshness_ms(now));
            samples.count(
                [
                    "levada_delivery_endpoint_failed_records",
                    "Records that the destination did not take, now error output",
                ],
                &metrics.endpoint_failed_records,
            );
        }
    }
    let backed_up = match &stream.destination {
        Destination::S3(s3) => s3.backup_enabled,
        Destination::HttpEndpoint(_) | Destination::Splunk(_) | Destination::OpenSearch(_) => true,
    };
    if backed_up {
        samples.delivered(&BACKUP, &metrics.backup, metrics.backup_freshness_ms(now));
    }
    if stream.destination.processing().is_some_and(|processing| processing.enabled) {
        samples.processing(metrics);
    }
    if let Destination::S3(s3) = &stream.destination
        && s3.partitioning.is_some_and(|partitioning| partitioning.enabled)
    {
        samples.partitions(metrics);
    }
    samples.all
}
