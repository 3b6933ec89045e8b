//! Data Firehose: from a decoded request to the domain and back.

mod describe;
mod destination;
mod put;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use levada_core::catalog::{Command, DeliveryStream, Scope};
use levada_delivery::Handle;
use levada_wire::error::AwsError;
use levada_wire::firehose::{Request, decode, errors, types};
use levada_wire::operation::FirehoseOp;

pub use destination::delivery_config;

use crate::kinesis::{not_submitted, refused};
use crate::ladder::{Answer, Principal, Reply};
use crate::metrics::Sample;
use crate::node::Node;

/// Answers a request of an authenticated caller.
///
/// # Errors
/// AWS's.
pub async fn answer(node: &Arc<Node>, principal: &Principal, op: FirehoseOp, body: &Bytes) -> Answer {
    let caller = Caller { node, principal };
    // The hot path decodes in place, without the tree in between.
    if op == FirehoseOp::PutRecordBatch {
        return put::put_record_batch(caller, body).await;
    }
    match decode(op, body)? {
        Request::CreateDeliveryStream(request) => create(caller, &request).await,
        Request::DeleteDeliveryStream(request) => delete(caller, &request).await,
        Request::DescribeDeliveryStream(request) => describe::stream(caller, &request),
        Request::ListDeliveryStreams(request) => Ok(describe::list(caller, &request)),
        Request::PutRecord(request) => put::put_record(caller, &request).await,
        Request::PutRecordBatch(_) => Err(AwsError::internal_failure()),
        Request::Unserved(..) => Err(AwsError::unknown_operation()),
    }
}

/// A request's node and its principal.
#[derive(Clone, Copy)]
struct Caller<'a> {
    node: &'a Arc<Node>,
    principal: &'a Principal,
}

impl Caller<'_> {
    fn scope(&self) -> Scope {
        Scope::new(self.principal.account.clone(), &self.principal.region)
    }

    fn stream(&self, name: &str) -> Result<Arc<DeliveryStream>, AwsError> {
        self.node.registry.state().delivery_stream(&self.scope(), name).cloned().map_err(|e| refused(&e))
    }
}

async fn create(caller: Caller<'_>, request: &types::CreateDeliveryStream) -> Answer {
    let destination = destination::of(caller.node, request)?;
    let scope = caller.scope();
    let name = request.delivery_stream_name.as_str();
    let tags = request.tags.iter().flatten();
    let command = Command::CreateDeliveryStream {
        scope: scope.clone(),
        name: name.into(),
        destination,
        tags: tags.map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default())).collect(),
    };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    let delivery_stream_arn = scope.arn("firehose", &format!("deliverystream/{name}"));
    Ok(Reply::Json(types::CreateDeliveryStreamReply { delivery_stream_arn }.to_json()))
}

async fn delete(caller: Caller<'_>, request: &types::DeleteDeliveryStream) -> Answer {
    let name: Arc<str> = request.delivery_stream_name.as_str().into();
    let command = Command::DeleteDeliveryStream { scope: caller.scope(), name };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    Ok(Reply::Json(types::DeleteDeliveryStreamReply {}.to_json()))
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

/// The delivery stream takes no records: it is not there, or not (any more) ACTIVE.
fn not_active(stream: &DeliveryStream) -> AwsError {
    errors::not_active(&stream.name, stream.scope.account.as_str())
}
