//! What `/metrics` says of a delivery stream's delivery, under names made of CloudWatch's: `AWS/Firehose`
//! `DeliveryToS3.Bytes` is `aws_firehose_delivery_to_s3_bytes_total`. Durations and ages are in seconds.

use std::sync::atomic::{AtomicU64, Ordering};

use levada_core::catalog::{BackupMode, DeliveryStream, Destination, DestinationKind};
use levada_delivery::{Delivered, Handle, Metrics};

use crate::metrics::Sample;

/// Names of the metrics of one kind of delivery: bytes, records, successes, failures, age of the oldest record.
struct Names {
    bytes: [&'static str; 2],
    records: [&'static str; 2],
    success: [&'static str; 2],
    failed: [&'static str; 2],
    freshness: [&'static str; 2],
}

/// `$of`: what CloudWatch's mean `….Success` is taken of.
macro_rules! names {
    ($ours:literal, $aws:literal, $of:literal) => {
        Names {
            bytes: [concat!("aws_firehose_", $ours, "_bytes_total"), concat!("AWS/Firehose ", $aws, ".Bytes")],
            records: [concat!("aws_firehose_", $ours, "_records_total"), concat!("AWS/Firehose ", $aws, ".Records")],
            success: [
                concat!("aws_firehose_", $ours, "_success_total"),
                concat!("AWS/Firehose ", $aws, ".Success: ", $of, " that succeeded"),
            ],
            failed: [
                concat!("aws_firehose_", $ours, "_failure_total"),
                concat!("AWS/Firehose ", $aws, ".Success: ", $of, " that failed"),
            ],
            freshness: [
                concat!("aws_firehose_", $ours, "_data_freshness_seconds"),
                concat!("AWS/Firehose ", $aws, ".DataFreshness"),
            ],
        }
    };
}

const TO_S3: Names = names!("delivery_to_s3", "DeliveryToS3", "puts");
const BACKUP: Names = names!("backup_to_s3", "BackupToS3", "puts");
/// AWS has no metric of error output but `DeliveryToS3.Success` of its puts, with some destinations.
const ERRORS: [[&str; 2]; 3] = [
    ["levada_delivery_error_output_bytes_total", "Bytes of objects with error output"],
    [
        "levada_delivery_error_output_records_total",
        "Records that became error output: of the processing, or not taken by an endpoint",
    ],
    ["levada_delivery_error_output_objects_total", "Objects with error output"],
];
/// `….AuthFailure` and `….DeliveryRejected`.
const REJECTIONS: [[&str; 2]; 2] = [
    [
        "aws_firehose_delivery_to_amazon_open_search_service_auth_failure",
        "AWS/Firehose DeliveryToAmazonOpenSearchService.AuthFailure: 1 while the last attempt met status 401 or 403",
    ],
    [
        "aws_firehose_delivery_to_amazon_open_search_service_delivery_rejected",
        "AWS/Firehose DeliveryToAmazonOpenSearchService.DeliveryRejected: 1 while the last attempt met another refusal",
    ],
];
const SERVERLESS_REJECTIONS: [[&str; 2]; 2] = [
    [
        "aws_firehose_delivery_to_amazon_open_search_serverless_auth_failure",
        "AWS/Firehose DeliveryToAmazonOpenSearchServerless.AuthFailure: 1 while the last attempt met status 401 or 403",
    ],
    [
        "aws_firehose_delivery_to_amazon_open_search_serverless_delivery_rejected",
        "AWS/Firehose DeliveryToAmazonOpenSearchServerless.DeliveryRejected: 1 while the last attempt met another refusal",
    ],
];

/// `None` for S3 itself.
fn names_of(kind: DestinationKind) -> Option<Names> {
    match kind {
        DestinationKind::S3 => None,
        DestinationKind::HttpEndpoint => {
            Some(names!("delivery_to_http_endpoint", "DeliveryToHttpEndpoint", "requests"))
        }
        DestinationKind::Splunk => Some(names!("delivery_to_splunk", "DeliveryToSplunk", "records of attempts")),
        DestinationKind::OpenSearch => Some(names!(
            "delivery_to_amazon_open_search_service",
            "DeliveryToAmazonOpenSearchService",
            "records of attempts"
        )),
        DestinationKind::OpenSearchServerless => Some(names!(
            "delivery_to_amazon_open_search_serverless",
            "DeliveryToAmazonOpenSearchServerless",
            "records of attempts"
        )),
        DestinationKind::Elasticsearch => {
            Some(names!("delivery_to_elasticsearch", "DeliveryToElasticsearch", "records of attempts"))
        }
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

    /// The two values of a summary of durations.
    fn durations(&mut self, [sum, count, help]: [&'static str; 3], micros: &AtomicU64, number: &AtomicU64) {
        self.value([sum, help], micros.load(Ordering::Relaxed) as f64 / 1e6);
        self.count([count, help], number);
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

    /// What CloudWatch has of one kind of endpoint only.
    fn requests(&mut self, kind: DestinationKind, metrics: &Metrics) {
        let rejections = match kind {
            DestinationKind::HttpEndpoint => {
                self.count(
                    [
                        "aws_firehose_delivery_to_http_endpoint_processed_bytes_total",
                        "AWS/Firehose DeliveryToHttpEndpoint.ProcessedBytes: of all attempts",
                    ],
                    &metrics.attempted_bytes,
                );
                self.count(
                    [
                        "aws_firehose_delivery_to_http_endpoint_processed_records_total",
                        "AWS/Firehose DeliveryToHttpEndpoint.ProcessedRecords: of all attempts",
                    ],
                    &metrics.attempted_records,
                );
                return;
            }
            DestinationKind::Splunk => {
                self.durations(
                    [
                        "aws_firehose_delivery_to_splunk_data_ack_latency_seconds_sum",
                        "aws_firehose_delivery_to_splunk_data_ack_latency_seconds_count",
                        "AWS/Firehose DeliveryToSplunk.DataAckLatency: from the collector's answer to its acknowledgement",
                    ],
                    &metrics.acknowledgement_us,
                    &metrics.acknowledgements,
                );
                return;
            }
            DestinationKind::OpenSearch => REJECTIONS,
            DestinationKind::OpenSearchServerless => SERVERLESS_REJECTIONS,
            // CloudWatch has none for the older kind.
            DestinationKind::S3 | DestinationKind::Elasticsearch => return,
        };
        let [auth_failure, rejected] = rejections;
        self.count(auth_failure, &metrics.auth_failure);
        self.count(rejected, &metrics.delivery_rejected);
    }

    fn processing(&mut self, metrics: &Metrics) {
        let chain = &metrics.chain;
        let executions = chain.executions.load(Ordering::Relaxed);
        let failed = chain.failed_executions.load(Ordering::Relaxed);
        self.value(
            [
                "aws_firehose_execute_processing_success_total",
                "AWS/Firehose ExecuteProcessing.Success: invocations that succeeded",
            ],
            executions.saturating_sub(failed) as f64,
        );
        self.value(
            [
                "aws_firehose_execute_processing_failure_total",
                "AWS/Firehose ExecuteProcessing.Success: invocations that failed",
            ],
            failed as f64,
        );
        self.durations(
            [
                "aws_firehose_execute_processing_duration_seconds_sum",
                "aws_firehose_execute_processing_duration_seconds_count",
                "AWS/Firehose ExecuteProcessing.Duration",
            ],
            &chain.execution_us,
            &chain.executions,
        );
        self.count(
            ["aws_firehose_succeed_processing_records_total", "AWS/Firehose SucceedProcessing.Records"],
            &chain.succeeded_records,
        );
        self.count(
            ["aws_firehose_succeed_processing_bytes_total", "AWS/Firehose SucceedProcessing.Bytes"],
            &chain.succeeded_bytes,
        );
        self.durations(
            [
                "aws_firehose_jq_processing_duration_seconds_sum",
                "aws_firehose_jq_processing_duration_seconds_count",
                "AWS/Firehose JQProcessing.Duration, by record",
            ],
            &chain.query_us,
            &chain.queries,
        );
        self.count(
            [
                "levada_delivery_processing_held_up_total",
                "Times that the processing could not work and was tried again",
            ],
            &metrics.chain_held_up,
        );
    }

    fn errors(&mut self, metrics: &Metrics) {
        let errors = &metrics.errors;
        for (name, counter) in ERRORS.into_iter().zip([&errors.bytes, &errors.records, &errors.succeeded]) {
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
            [
                "levada_delivery_partition_overflow_records_total",
                "Records beyond the active partitions, now error output",
            ],
            &metrics.partition_overflow_records,
        );
    }

    fn trouble(&mut self, metrics: &Metrics) {
        self.value(
            ["levada_delivery_failed_puts_total", "Failed attempts to put an object of any kind"],
            metrics.failed_puts() as f64,
        );
        self.count(
            ["levada_delivery_abandoned_records_total", "Records given up after 24 hours of attempts"],
            &metrics.abandoned_records,
        );
        self.count(
            ["levada_delivery_lost_records_total", "Records that could not be read any more"],
            &metrics.lost_records,
        );
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
                    "levada_delivery_endpoint_failed_records_total",
                    "Records that the destination did not take, now error output",
                ],
                &metrics.endpoint_failed_records,
            );
            samples.requests(stream.destination.kind(), metrics);
        }
    }
    let backed_up = match &stream.destination {
        Destination::S3(s3) => s3.backup_enabled,
        Destination::HttpEndpoint(http) => http.common.backup_mode == BackupMode::All,
        Destination::Splunk(splunk) => splunk.common.backup_mode == BackupMode::All,
        Destination::OpenSearch(search) => search.common.backup_mode == BackupMode::All,
    };
    if backed_up {
        samples.delivered(&BACKUP, &metrics.backup, metrics.backup_freshness_ms(now));
    }
    let is_processed = stream.destination.processing().is_some_and(|processing| processing.enabled);
    if is_processed {
        samples.processing(metrics);
    }
    if is_processed || stream.destination.kind() != DestinationKind::S3 {
        samples.errors(metrics);
    }
    if let Destination::S3(s3) = &stream.destination
        && s3.partitioning.is_some_and(|partitioning| partitioning.enabled)
    {
        samples.partitions(metrics);
    }
    samples.all
}
