//! Kinesis Data Streams: from a decoded request to the domain and back.

mod describe;
mod get;
mod list_shards;
mod put;
mod reading;
mod subscribe;

use std::sync::Arc;

use bytes::Bytes;
use levada_core::catalog::{Command, NewStream, Scope, Stream, StreamMode};
use levada_core::env::Clock;
use levada_core::shard::ShardId;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors::{self, StreamText};
use levada_wire::kinesis::types::{self, StreamRef};
use levada_wire::kinesis::{Request, decode};
use levada_wire::operation::KinesisOp;
use levada_wire::typed::{WriteMember, to_bytes};

use crate::call::{Answer, Principal, Reply};
use crate::node::Node;
use crate::refusal::{not_submitted, refused};

/// Answers a request of an authenticated caller.
///
/// # Errors
/// AWS's.
pub async fn answer(
    node: &Arc<Node>,
    principal: &Principal,
    protocol: Protocol,
    op: KinesisOp,
    body: &Bytes,
) -> Answer {
    let caller = Caller { node, principal, protocol };
    // The hot path decodes in place, without the tree in between.
    if op == KinesisOp::PutRecords {
        return put::put_records(caller, body).await;
    }
    let request = decode(op, protocol, body)?;
    node.rates.admit(principal, op, &request)?;
    match request {
        Request::CreateStream(request) => create_stream(caller, request).await,
        Request::DeleteStream(request) => delete_stream(caller, &request).await,
        Request::DescribeStream(request) => describe::stream(caller, &request),
        Request::DescribeStreamSummary(request) => describe::summary(caller, &request),
        Request::ListStreams(request) => describe::list(caller, &request),
        Request::ListShards(request) => list_shards::answer(caller, &request),
        Request::PutRecord(request) => put::put_record(caller, &request).await,
        Request::PutRecords(_) => Err(AwsError::internal_failure()),
        Request::GetShardIterator(request) => get::shard_iterator(caller, &request).await,
        Request::GetRecords(request) => get::records(caller, &request).await,
        Request::SubscribeToShard(request) => subscribe::to_shard(caller, &request).await,
        Request::AddTagsToStream(_)
        | Request::DecreaseStreamRetentionPeriod(_)
        | Request::DeleteResourcePolicy(_)
        | Request::DeregisterStreamConsumer(_)
        | Request::DescribeAccountSettings(_)
        | Request::DescribeLimits(_)
        | Request::DescribeStreamConsumer(_)
        | Request::DisableEnhancedMonitoring(_)
        | Request::EnableEnhancedMonitoring(_)
        | Request::GetResourcePolicy(_)
        | Request::IncreaseStreamRetentionPeriod(_)
        | Request::ListStreamConsumers(_)
        | Request::ListTagsForResource(_)
        | Request::ListTagsForStream(_)
        | Request::MergeShards(_)
        | Request::PutResourcePolicy(_)
        | Request::RegisterStreamConsumer(_)
        | Request::RemoveTagsFromStream(_)
        | Request::SplitShard(_)
        | Request::StartStreamEncryption(_)
        | Request::StopStreamEncryption(_)
        | Request::TagResource(_)
        | Request::UntagResource(_)
        | Request::UpdateAccountSettings(_)
        | Request::UpdateMaxRecordSize(_)
        | Request::UpdateShardCount(_)
        | Request::UpdateStreamMode(_)
        | Request::UpdateStreamRecordDistributionStrategy(_)
        | Request::UpdateStreamWarmThroughput(_)
        | Request::Unserved(..) => Err(AwsError::unknown_operation()),
    }
}

/// A request's node, its principal, and how its reply is encoded.
#[derive(Clone, Copy)]
struct Caller<'a> {
    node: &'a Arc<Node>,
    principal: &'a Principal,
    protocol: Protocol,
}

/// What a request means by its stream: where the name holds, and the name.
struct Named {
    scope: Scope,
    name: Arc<str>,
}

impl Caller<'_> {
    /// A reply in the protocol of the request.
    fn reply(&self, reply: &impl WriteMember) -> Answer {
        Ok(Reply::Document(to_bytes(reply, self.protocol)))
    }

    fn now(&self) -> u64 {
        self.node.clock.now_ms()
    }

    fn scope(&self) -> Scope {
        Scope::new(self.principal.account.clone(), &self.principal.region)
    }

    /// An ARN overrides a name, and brings its own account.
    fn named(&self, stream: StreamRef<'_>) -> Result<Named, AwsError> {
        if let Some(arn) = stream.arn {
            let unnamed = errors::stream_not_named;
            let mut parts = arn.splitn(6, ':').skip(3);
            let (region, account, resource) = (parts.next(), parts.next(), parts.next());
            let account = account.and_then(levada_core::catalog::Account::new).ok_or_else(unnamed)?;
            let name = resource.and_then(|r| r.strip_prefix("stream/")).ok_or_else(unnamed)?;
            if region != Some(&self.principal.region) {
                return Err(errors::arn_of_other_region(arn));
            }
            return Ok(Named { scope: Scope::new(account, &self.principal.region), name: name.into() });
        }
        let name = stream.name.ok_or_else(errors::stream_not_named)?;
        Ok(Named { scope: self.scope(), name: name.into() })
    }

    /// The stream, whatever its status.
    fn stream(&self, stream: StreamRef<'_>) -> Result<Arc<Stream>, AwsError> {
        let Named { scope, name } = self.named(stream)?;
        self.node.registry.state().stream(&scope, &name).cloned().map_err(|e| refused(&e))
    }

    /// The stream, for data calls: one that is being created or deleted is not found.
    fn readable_stream(&self, stream: StreamRef<'_>) -> Result<Arc<Stream>, AwsError> {
        let Named { scope, name } = self.named(stream)?;
        self.node.registry.state().usable_stream(&scope, &name).cloned().map_err(|e| refused(&e))
    }
}

/// How error texts name a stream.
fn text(stream: &Stream) -> StreamText<'_> {
    StreamText { stream: &stream.name, account: stream.scope.account.as_str() }
}

/// The shard that a request names, or AWS's two ways of not knowing it.
fn shard_id(given: &str, stream: &Stream) -> Result<ShardId, AwsError> {
    ShardId::parse(given).ok_or_else(|| errors::could_not_find_shard(given, text(stream)))
}

async fn create_stream(caller: Caller<'_>, request: types::CreateStream) -> Answer {
    if request.warm_throughput_mibps.is_some() {
        return Err(errors::no_throughput_commitment(caller.principal.account.as_str()));
    }
    let mode = request.stream_mode_details.map(|details| match details.stream_mode {
        types::StreamMode::Provisioned => StreamMode::Provisioned,
        types::StreamMode::OnDemand => StreamMode::OnDemand,
    });
    let command = Command::CreateStream(NewStream {
        scope: caller.scope(),
        name: request.stream_name.into(),
        mode,
        shard_count: request.shard_count,
        max_record_kib: request.max_record_size_in_kib,
        warm_mibps: None,
        distribution: None,
        tags: request.tags.map(|tags| tags.0.into_iter().collect()).unwrap_or_default(),
    });
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    Ok(Reply::Empty)
}

async fn delete_stream(caller: Caller<'_>, request: &types::DeleteStream) -> Answer {
    let Named { scope, name } = caller.named(request.stream())?;
    let command = Command::DeleteStream { scope, name, enforce_consumer_deletion: false };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    Ok(Reply::Empty)
}
