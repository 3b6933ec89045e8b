//! Amazon Kinesis Data Streams on the wire.

pub mod arn;
pub mod errors;
pub mod get_records;
pub mod put_records;
mod records;
pub mod shapes;
pub mod subscribe;
pub mod types;

use crate::codec::Protocol;
use crate::error::AwsError;
use crate::operation::{KinesisOp, Service};
use crate::value::Value;

/// A decoded request of an operation that is served.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `AddTagsToStream`
    AddTagsToStream(types::AddTagsToStream),
    /// `CreateStream`
    CreateStream(types::CreateStream),
    /// `DecreaseStreamRetentionPeriod`
    DecreaseStreamRetentionPeriod(types::DecreaseStreamRetentionPeriod),
    /// `DeleteResourcePolicy`
    DeleteResourcePolicy(types::DeleteResourcePolicy),
    /// `DeleteStream`
    DeleteStream(types::DeleteStream),
    /// `DeregisterStreamConsumer`
    DeregisterStreamConsumer(types::DeregisterStreamConsumer),
    /// `DescribeAccountSettings`
    DescribeAccountSettings(types::DescribeAccountSettings),
    /// `DescribeLimits`
    DescribeLimits(types::DescribeLimits),
    /// `DescribeStream`
    DescribeStream(types::DescribeStream),
    /// `DescribeStreamConsumer`
    DescribeStreamConsumer(types::DescribeStreamConsumer),
    /// `DescribeStreamSummary`
    DescribeStreamSummary(types::DescribeStreamSummary),
    /// `DisableEnhancedMonitoring`
    DisableEnhancedMonitoring(types::DisableEnhancedMonitoring),
    /// `EnableEnhancedMonitoring`
    EnableEnhancedMonitoring(types::EnableEnhancedMonitoring),
    /// `GetRecords`
    GetRecords(types::GetRecords),
    /// `GetResourcePolicy`
    GetResourcePolicy(types::GetResourcePolicy),
    /// `GetShardIterator`
    GetShardIterator(types::GetShardIterator),
    /// `IncreaseStreamRetentionPeriod`
    IncreaseStreamRetentionPeriod(types::IncreaseStreamRetentionPeriod),
    /// `ListShards`
    ListShards(types::ListShards),
    /// `ListStreamConsumers`
    ListStreamConsumers(types::ListStreamConsumers),
    /// `ListStreams`
    ListStreams(types::ListStreams),
    /// `ListTagsForResource`
    ListTagsForResource(types::ListTagsForResource),
    /// `ListTagsForStream`
    ListTagsForStream(types::ListTagsForStream),
    /// `MergeShards`
    MergeShards(types::MergeShards),
    /// `PutRecord`
    PutRecord(types::PutRecord),
    /// `PutRecords`. [`put_records::decode`] avoids the intermediate tree.
    PutRecords(types::PutRecords),
    /// `PutResourcePolicy`
    PutResourcePolicy(types::PutResourcePolicy),
    /// `RegisterStreamConsumer`
    RegisterStreamConsumer(types::RegisterStreamConsumer),
    /// `RemoveTagsFromStream`
    RemoveTagsFromStream(types::RemoveTagsFromStream),
    /// `SplitShard`
    SplitShard(types::SplitShard),
    /// `StartStreamEncryption`
    StartStreamEncryption(types::StartStreamEncryption),
    /// `StopStreamEncryption`
    StopStreamEncryption(types::StopStreamEncryption),
    /// `SubscribeToShard`
    SubscribeToShard(types::SubscribeToShard),
    /// `TagResource`
    TagResource(types::TagResource),
    /// `UntagResource`
    UntagResource(types::UntagResource),
    /// `UpdateAccountSettings`
    UpdateAccountSettings(types::UpdateAccountSettings),
    /// `UpdateMaxRecordSize`
    UpdateMaxRecordSize(types::UpdateMaxRecordSize),
    /// `UpdateShardCount`
    UpdateShardCount(types::UpdateShardCount),
    /// `UpdateStreamMode`
    UpdateStreamMode(types::UpdateStreamMode),
    /// `UpdateStreamRecordDistributionStrategy`
    UpdateStreamRecordDistributionStrategy(types::UpdateStreamRecordDistributionStrategy),
    /// `UpdateStreamWarmThroughput`
    UpdateStreamWarmThroughput(types::UpdateStreamWarmThroughput),
    /// An operation on queues or channels, which this version does not serve, with its checked request.
    Unserved(KinesisOp, Value),
}

/// Decodes and checks a request: syntax, types, constraints.
///
/// # Errors
/// `SerializationException` or `ValidationException` in AWS's words.
pub fn decode(op: KinesisOp, protocol: Protocol, body: &[u8]) -> Result<Request, AwsError> {
    let value = crate::codec::coerce(protocol, op.input(), body)?;
    crate::constraints::check(Service::Kinesis, op.input(), &value)?;
    typed(op, value).map_err(AwsError::from)
}

fn typed(op: KinesisOp, value: Value) -> Result<Request, crate::typed::Mismatch> {
    use KinesisOp as Op;
    Ok(match op {
        Op::AddTagsToStream => Request::AddTagsToStream(types::AddTagsToStream::from_value(value)?),
        Op::CreateStream => Request::CreateStream(types::CreateStream::from_value(value)?),
        Op::DecreaseStreamRetentionPeriod => {
            Request::DecreaseStreamRetentionPeriod(types::DecreaseStreamRetentionPeriod::from_value(value)?)
        }
        Op::DeleteResourcePolicy => Request::DeleteResourcePolicy(types::DeleteResourcePolicy::from_value(value)?),
        Op::DeleteStream => Request::DeleteStream(types::DeleteStream::from_value(value)?),
        Op::DeregisterStreamConsumer => {
            Request::DeregisterStreamConsumer(types::DeregisterStreamConsumer::from_value(value)?)
        }
        Op::DescribeAccountSettings => {
            Request::DescribeAccountSettings(types::DescribeAccountSettings::from_value(value)?)
        }
        Op::DescribeLimits => Request::DescribeLimits(types::DescribeLimits::from_value(value)?),
        Op::DescribeStream => Request::DescribeStream(types::DescribeStream::from_value(value)?),
        Op::DescribeStreamConsumer => {
            Request::DescribeStreamConsumer(types::DescribeStreamConsumer::from_value(value)?)
        }
        Op::DescribeStreamSummary => Request::DescribeStreamSummary(types::DescribeStreamSummary::from_value(value)?),
        Op::DisableEnhancedMonitoring => {
            Request::DisableEnhancedMonitoring(types::DisableEnhancedMonitoring::from_value(value)?)
        }
        Op::EnableEnhancedMonitoring => {
            Request::EnableEnhancedMonitoring(types::EnableEnhancedMonitoring::from_value(value)?)
        }
        Op::GetRecords => Request::GetRecords(types::GetRecords::from_value(value)?),
        Op::GetResourcePolicy => Request::GetResourcePolicy(types::GetResourcePolicy::from_value(value)?),
        Op::GetShardIterator => Request::GetShardIterator(types::GetShardIterator::from_value(value)?),
        Op::IncreaseStreamRetentionPeriod => {
            Request::IncreaseStreamRetentionPeriod(types::IncreaseStreamRetentionPeriod::from_value(value)?)
        }
        Op::ListShards => Request::ListShards(types::ListShards::from_value(value)?),
        Op::ListStreamConsumers => Request::ListStreamConsumers(types::ListStreamConsumers::from_value(value)?),
        Op::ListStreams => Request::ListStreams(types::ListStreams::from_value(value)?),
        Op::ListTagsForResource => Request::ListTagsForResource(types::ListTagsForResource::from_value(value)?),
        Op::ListTagsForStream => Request::ListTagsForStream(types::ListTagsForStream::from_value(value)?),
        Op::MergeShards => Request::MergeShards(types::MergeShards::from_value(value)?),
        Op::PutRecord => Request::PutRecord(types::PutRecord::from_value(value)?),
        Op::PutRecords => Request::PutRecords(types::PutRecords::from_value(value)?),
        Op::PutResourcePolicy => Request::PutResourcePolicy(types::PutResourcePolicy::from_value(value)?),
        Op::RegisterStreamConsumer => {
            Request::RegisterStreamConsumer(types::RegisterStreamConsumer::from_value(value)?)
        }
        Op::RemoveTagsFromStream => Request::RemoveTagsFromStream(types::RemoveTagsFromStream::from_value(value)?),
        Op::SplitShard => Request::SplitShard(types::SplitShard::from_value(value)?),
        Op::StartStreamEncryption => Request::StartStreamEncryption(types::StartStreamEncryption::from_value(value)?),
        Op::StopStreamEncryption => Request::StopStreamEncryption(types::StopStreamEncryption::from_value(value)?),
        Op::SubscribeToShard => Request::SubscribeToShard(types::SubscribeToShard::from_value(value)?),
        Op::TagResource => Request::TagResource(types::TagResource::from_value(value)?),
        Op::UntagResource => Request::UntagResource(types::UntagResource::from_value(value)?),
        Op::UpdateAccountSettings => Request::UpdateAccountSettings(types::UpdateAccountSettings::from_value(value)?),
        Op::UpdateMaxRecordSize => Request::UpdateMaxRecordSize(types::UpdateMaxRecordSize::from_value(value)?),
        Op::UpdateShardCount => Request::UpdateShardCount(types::UpdateShardCount::from_value(value)?),
        Op::UpdateStreamMode => Request::UpdateStreamMode(types::UpdateStreamMode::from_value(value)?),
        Op::UpdateStreamRecordDistributionStrategy => Request::UpdateStreamRecordDistributionStrategy(
            types::UpdateStreamRecordDistributionStrategy::from_value(value)?,
        ),
        Op::UpdateStreamWarmThroughput => {
            Request::UpdateStreamWarmThroughput(types::UpdateStreamWarmThroughput::from_value(value)?)
        }
        Op::AcknowledgeDeadLetterQueueRecords
        | Op::AcknowledgeQueueRecords
        | Op::CreateChannel
        | Op::CreateQueue
        | Op::DeleteChannel
        | Op::DeleteQueue
        | Op::DescribeChannel
        | Op::DescribeQueue
        | Op::ListChannels
        | Op::ListQueues
        | Op::ReceiveDeadLetterQueueRecords
        | Op::ReceiveQueueRecords
        | Op::RestoreDeadLetterQueueRecords
        | Op::UpdateChannel
        | Op::UpdateDeadLetterQueueRecordsVisibility
        | Op::UpdateQueue
        | Op::UpdateQueueRecordsVisibility => Request::Unserved(op, value),
    })
}

#[cfg(test)]
mod tests;
