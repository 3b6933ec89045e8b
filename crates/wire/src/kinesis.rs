//! Amazon Kinesis Data Streams on the wire.

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
    /// `CreateStream`
    CreateStream(types::CreateStream),
    /// `DeleteStream`
    DeleteStream(types::DeleteStream),
    /// `DescribeStream`
    DescribeStream(types::DescribeStream),
    /// `DescribeStreamSummary`
    DescribeStreamSummary(types::DescribeStreamSummary),
    /// `GetRecords`
    GetRecords(types::GetRecords),
    /// `GetShardIterator`
    GetShardIterator(types::GetShardIterator),
    /// `ListShards`
    ListShards(types::ListShards),
    /// `ListStreams`
    ListStreams(types::ListStreams),
    /// `PutRecord`
    PutRecord(types::PutRecord),
    /// `PutRecords`. [`put_records::decode`] avoids the intermediate tree.
    PutRecords(types::PutRecords),
    /// An operation of the model that this version does not serve, with its checked request.
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
        Op::CreateStream => Request::CreateStream(types::CreateStream::from_value(value)?),
        Op::DeleteStream => Request::DeleteStream(types::DeleteStream::from_value(value)?),
        Op::DescribeStream => Request::DescribeStream(types::DescribeStream::from_value(value)?),
        Op::DescribeStreamSummary => Request::DescribeStreamSummary(types::DescribeStreamSummary::from_value(value)?),
        Op::GetRecords => Request::GetRecords(types::GetRecords::from_value(value)?),
        Op::GetShardIterator => Request::GetShardIterator(types::GetShardIterator::from_value(value)?),
        Op::ListShards => Request::ListShards(types::ListShards::from_value(value)?),
        Op::ListStreams => Request::ListStreams(types::ListStreams::from_value(value)?),
        Op::PutRecord => Request::PutRecord(types::PutRecord::from_value(value)?),
        Op::PutRecords => Request::PutRecords(types::PutRecords::from_value(value)?),
        Op::AcknowledgeDeadLetterQueueRecords
        | Op::AcknowledgeQueueRecords
        | Op::AddTagsToStream
        | Op::CreateChannel
        | Op::CreateQueue
        | Op::DecreaseStreamRetentionPeriod
        | Op::DeleteChannel
        | Op::DeleteQueue
        | Op::DeleteResourcePolicy
        | Op::DeregisterStreamConsumer
        | Op::DescribeAccountSettings
        | Op::DescribeChannel
        | Op::DescribeLimits
        | Op::DescribeQueue
        | Op::DescribeStreamConsumer
        | Op::DisableEnhancedMonitoring
        | Op::EnableEnhancedMonitoring
        | Op::GetResourcePolicy
        | Op::IncreaseStreamRetentionPeriod
        | Op::ListChannels
        | Op::ListQueues
        | Op::ListStreamConsumers
        | Op::ListTagsForResource
        | Op::ListTagsForStream
        | Op::MergeShards
        | Op::PutResourcePolicy
        | Op::ReceiveDeadLetterQueueRecords
        | Op::ReceiveQueueRecords
        | Op::RegisterStreamConsumer
        | Op::RemoveTagsFromStream
        | Op::RestoreDeadLetterQueueRecords
        | Op::SplitShard
        | Op::StartStreamEncryption
        | Op::StopStreamEncryption
        | Op::SubscribeToShard
        | Op::TagResource
        | Op::UntagResource
        | Op::UpdateAccountSettings
        | Op::UpdateChannel
        | Op::UpdateDeadLetterQueueRecordsVisibility
        | Op::UpdateMaxRecordSize
        | Op::UpdateQueue
        | Op::UpdateQueueRecordsVisibility
        | Op::UpdateShardCount
        | Op::UpdateStreamMode
        | Op::UpdateStreamRecordDistributionStrategy
        | Op::UpdateStreamWarmThroughput => Request::Unserved(op, value),
    })
}

#[cfg(test)]
mod tests;
