//! Data Firehose: from a decoded request to the domain and back.

mod control;
mod describe;
mod destination;
mod put;

use std::sync::Arc;

use bytes::Bytes;
use levada_core::catalog::{DeliveryStream, Scope};
use levada_core::env::Clock;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::firehose::{Request, decode, errors};
use levada_wire::operation::FirehoseOp;
use levada_wire::typed::{WriteMember, to_bytes};

use crate::call::{Answer, Principal, Reply};
use crate::metrics::CallMetrics;
use crate::node::Node;
use crate::refusal::refused;

/// Answers a request of an authenticated caller.
///
/// # Errors
/// AWS's.
pub async fn answer(
    node: &Arc<Node>,
    principal: &Principal,
    protocol: Protocol,
    op: FirehoseOp,
    body: &Bytes,
) -> Answer {
    let caller = Caller { node, principal, protocol };
    // The hot path decodes in place, without the tree in between.
    if op == FirehoseOp::PutRecordBatch {
        return put::put_record_batch(caller, body).await;
    }
    let request = decode(op, protocol, body)?;
    node.rates.admit_delivery(principal, op)?;
    match request {
        Request::CreateDeliveryStream(request) => control::create(caller, &request).await,
        Request::DeleteDeliveryStream(request) => control::delete(caller, &request).await,
        Request::DescribeDeliveryStream(request) => {
            let stream = caller.stream(&request.delivery_stream_name).ok();
            let metrics = stream.map(|stream| node.metrics.describe_delivery_stream(&stream));
            counted(caller, metrics.as_ref(), async { describe::stream(caller, &request) }).await
        }
        Request::ListDeliveryStreams(request) => {
            let metrics = node.metrics.list_delivery_streams();
            counted(caller, Some(metrics), async { describe::list(caller, &request) }).await
        }
        Request::ListTagsForDeliveryStream(request) => control::list_tags(caller, &request),
        Request::PutRecord(request) => put::put_record(caller, &request).await,
        Request::PutRecordBatch(_) => Err(AwsError::internal_failure()),
        Request::StartDeliveryStreamEncryption(request) => control::start_encryption(caller, &request).await,
        Request::StopDeliveryStreamEncryption(request) => control::stop_encryption(caller, &request).await,
        Request::TagDeliveryStream(request) => control::tag(caller, &request).await,
        Request::UntagDeliveryStream(request) => control::untag(caller, &request).await,
        Request::UpdateDestination(request) => {
            let stream = caller.stream(&request.delivery_stream_name).ok();
            let metrics = stream.map(|stream| node.metrics.update_delivery_stream(&stream));
            counted(caller, metrics.as_ref(), control::update(caller, &request)).await
        }
    }
}

/// Counts a call, whatever its answer. One about a delivery stream that is not there has no metrics.
async fn counted(caller: Caller<'_>, metrics: Option<&CallMetrics>, call: impl Future<Output = Answer>) -> Answer {
    let started = caller.node.clock.monotonic();
    let answer = call.await;
    if let Some(metrics) = metrics {
        metrics.count(caller.node.clock.monotonic().saturating_sub(started));
    }
    answer
}

/// A request's node, its principal, and how its reply is encoded.
#[derive(Clone, Copy)]
struct Caller<'a> {
    node: &'a Arc<Node>,
    principal: &'a Principal,
    protocol: Protocol,
}

impl Caller<'_> {
    /// A reply in the protocol of the request.
    fn reply(&self, reply: &impl WriteMember) -> Answer {
        Ok(Reply::Document(to_bytes(reply, self.protocol)))
    }

    fn scope(&self) -> Scope {
        Scope::new(self.principal.account.clone(), &self.principal.region)
    }

    fn stream(&self, name: &str) -> Result<Arc<DeliveryStream>, AwsError> {
        self.node.registry.state().delivery_stream(&self.scope(), name).cloned().map_err(|e| refused(&e))
    }
}

/// The delivery stream takes no records: it is not there, or not (any more) ACTIVE.
fn not_active(stream: &DeliveryStream) -> AwsError {
    errors::not_active(&stream.name, stream.scope.account.as_str())
}
