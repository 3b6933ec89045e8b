//! Kinesis Data Streams: from a decoded request to the domain and back.

mod account;
mod caller;
mod consumers;
mod describe;
mod get;
mod list_shards;
mod policy;
mod policy_document;
mod put;
mod reading;
mod reshard;
mod settings;
mod streams;
mod subscribe;
mod tags;

use std::sync::Arc;

use bytes::Bytes;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::kinesis::{Request, decode};
use levada_wire::operation::KinesisOp;

use self::caller::{Caller, Named, shard_id, text};
use crate::call::{Answer, Principal};
use crate::node::Node;

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
        Request::PutRecord(request) => put::put_record(caller, &request).await,
        Request::GetShardIterator(request) => get::shard_iterator(caller, &request).await,
        Request::GetRecords(request) => get::records(caller, &request).await,
        // A connection moves the future of its request several times, so those that are not on the hot path stand aside.
        request => Box::pin(control(caller, request)).await,
    }
}

/// Answers an operation that is not called for every record.
async fn control(caller: Caller<'_>, request: Request) -> Answer {
    match request {
        Request::AddTagsToStream(request) => tags::add_to_stream(caller, request).await,
        Request::CreateStream(request) => streams::create(caller, request).await,
        Request::DecreaseStreamRetentionPeriod(request) => settings::decrease_retention(caller, &request).await,
        Request::DeleteResourcePolicy(request) => policy::delete(caller, &request).await,
        Request::DeleteStream(request) => streams::delete(caller, &request).await,
        Request::DeregisterStreamConsumer(request) => consumers::deregister(caller, &request).await,
        Request::DescribeAccountSettings(_) => account::settings(caller),
        Request::DescribeLimits(_) => account::limits(caller),
        Request::DescribeStream(request) => describe::stream(caller, &request),
        Request::DescribeStreamConsumer(request) => consumers::describe(caller, &request),
        Request::DescribeStreamSummary(request) => describe::summary(caller, &request),
        Request::DisableEnhancedMonitoring(request) => settings::disable_monitoring(caller, &request).await,
        Request::EnableEnhancedMonitoring(request) => settings::enable_monitoring(caller, &request).await,
        Request::GetResourcePolicy(request) => policy::get(caller, &request),
        Request::IncreaseStreamRetentionPeriod(request) => settings::increase_retention(caller, &request).await,
        Request::ListShards(request) => list_shards::answer(caller, &request),
        Request::ListStreamConsumers(request) => consumers::list(caller, &request),
        Request::ListStreams(request) => describe::list(caller, &request),
        Request::ListTagsForResource(request) => tags::list(caller, &request),
        Request::ListTagsForStream(request) => tags::list_of_stream(caller, &request),
        Request::MergeShards(request) => reshard::merge(caller, &request).await,
        // These have been answered.
        Request::PutRecords(_) | Request::PutRecord(_) | Request::GetRecords(_) | Request::GetShardIterator(_) => {
            Err(AwsError::internal_failure())
        }
        Request::PutResourcePolicy(request) => policy::put(caller, &request).await,
        Request::RegisterStreamConsumer(request) => consumers::register(caller, request).await,
        Request::RemoveTagsFromStream(request) => tags::remove_from_stream(caller, request).await,
        Request::SplitShard(request) => reshard::split(caller, &request).await,
        Request::StartStreamEncryption(request) => settings::start_encryption(caller, &request).await,
        Request::StopStreamEncryption(request) => settings::stop_encryption(caller, &request).await,
        Request::SubscribeToShard(request) => subscribe::to_shard(caller, &request).await,
        Request::TagResource(request) => tags::add(caller, request).await,
        Request::UntagResource(request) => tags::remove(caller, request).await,
        Request::UpdateAccountSettings(request) => account::update_settings(caller, &request).await,
        Request::UpdateMaxRecordSize(request) => settings::max_record_size(caller, &request).await,
        Request::UpdateShardCount(request) => reshard::update_count(caller, &request).await,
        Request::UpdateStreamMode(request) => settings::mode(caller, &request).await,
        Request::UpdateStreamRecordDistributionStrategy(request) => settings::distribution(caller, &request).await,
        Request::UpdateStreamWarmThroughput(request) => settings::warm_throughput(caller, &request).await,
        Request::Unserved(..) => Err(AwsError::unknown_operation()),
    }
}
