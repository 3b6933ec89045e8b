//! Between the catalog and the delivery workers: what a worker is told, and what it tells `/metrics`.

use std::sync::atomic::Ordering;

use levada_core::catalog::{Compression, DeliveryStream, Destination, DestinationKind};
use levada_delivery::{Bucketing, Buffering, Config, Delimiter, Handle, KeyLayout, PrefixError};

use crate::metrics::Sample;

/// A destination that this version cannot deliver to. Creation refuses it; a version that understood more may have
/// accepted it.
#[derive(Debug, thiserror::Error)]
pub enum Undeliverable {
    /// Its keys cannot be built.
    #[error(transparent)]
    Keys(#[from] PrefixError),
    /// Its objects cannot be compressed.
    #[error("compression {0} is not implemented")]
    Compression(&'static str),
    /// Nobody takes its requests.
    #[error("destinations of the kind {0:?} are not implemented")]
    Kind(DestinationKind),
}

/// What a worker needs to know of a destination.
///
/// # Errors
/// [`Undeliverable`].
pub fn delivery_config(destination: &Destination) -> Result<Config, Undeliverable> {
    let s3 = match destination {
        Destination::S3(s3) => s3,
        other @ (Destination::HttpEndpoint(_) | Destination::Splunk(_) | Destination::OpenSearch(_)) => {
            return Err(Undeliverable::Kind(other.kind()));
        }
    };
    let bucket = &s3.bucket;
    let layout = KeyLayout::new(
        bucket.prefix.as_deref(),
        bucket.error_prefix.as_deref(),
        s3.time_zone.as_deref(),
        s3.file_extension.as_deref(),
    )?;
    let compression = match bucket.compression {
        Compression::Uncompressed => levada_delivery::Compression::Uncompressed,
        Compression::Gzip => levada_delivery::Compression::Gzip,
        other @ (Compression::Zip | Compression::Snappy | Compression::HadoopSnappy) => {
            return Err(Undeliverable::Compression(other.name()));
        }
    };
    Ok(Config::s3(Bucketing {
        bucket: bucket.bucket().to_owned(),
        layout,
        compression,
        delimiter: Delimiter::None,
        buffering: Buffering { size_mib: bucket.buffering.size_mb, interval_s: bucket.buffering.interval_secs },
    }))
}

/// What `/metrics` says of a delivery stream's delivery.
#[must_use]
pub fn samples(stream: &DeliveryStream, handle: &Handle, now: u64) -> Vec<Sample> {
    let metrics = handle.metrics();
    let labels = crate::metrics::delivery_stream_labels(stream);
    let sample = |metric, help, value: f64| Sample { metric, help, labels: labels.clone(), value };
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let freshness = metrics.data_freshness_ms(now) as f64 / 1000.0;
    vec![
        sample("aws_firehose_delivery_to_s3_bytes", "AWS/Firehose DeliveryToS3.Bytes", count(&metrics.object_bytes)),
        sample("aws_firehose_delivery_to_s3_records", "AWS/Firehose DeliveryToS3.Records", count(&metrics.records)),
        sample(
            "aws_firehose_delivery_to_s3_success",
            "AWS/Firehose DeliveryToS3.Success",
            count(&metrics.puts_succeeded),
        ),
        sample(
            "aws_firehose_delivery_to_s3_data_freshness_seconds",
            "AWS/Firehose DeliveryToS3.DataFreshness",
            freshness,
        ),
        sample("levada_delivery_failed_puts", "Failed attempts to put an object", count(&metrics.puts_failed)),
        sample(
            "levada_delivery_backlog_bytes",
            "Bytes retained from the oldest undelivered record on",
            handle.backlog_bytes() as f64,
        ),
        sample(
            "levada_delivery_abandoned_records",
            "Records given up after 24 hours of attempts",
            count(&metrics.abandoned_records),
        ),
        sample("levada_delivery_halted", "1 while the worker cannot go on", f64::from(u8::from(handle.is_halted()))),
        sample("levada_delivery_lost_records", "Records that could not be read any more", count(&metrics.lost_records)),
    ]
}
