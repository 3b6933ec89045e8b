//! Amazon Kinesis Data Streams on the wire.

pub mod arn;
pub mod errors;
pub mod get_records;
pub mod put_records;
pub mod records;
pub mod shapes;
pub mod subscribe;
pub mod types;

use crate::codec::Protocol;
use crate::error::AwsError;
use crate::operation::{KinesisOp, Service};
use crate::value::Value;

/// Declares [`Request`] and how a checked value becomes one: each operation that is served has the variant and the
/// structure of its name. An operation of the model that neither list has does not compile.
macro_rules! requests {
    (served { $($op:ident),+ $(,)? } unserved { $($other:ident),+ $(,)? }) => {
        /// A decoded request. For `PutRecords`, [`put_records::decode`] avoids the intermediate tree.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(#[doc = concat!("`", stringify!($op), "`")] $op(types::$op),)+
            /// An operation on queues or channels, which this version does not serve, with its checked request.
            Unserved(KinesisOp, Value),
        }

        /// True for the operations that this version serves.
        #[must_use]
        pub const fn is_served(op: KinesisOp) -> bool {
            match op {
                $(KinesisOp::$op)|+ => true,
                $(KinesisOp::$other)|+ => false,
            }
        }

        fn typed(op: KinesisOp, value: Value) -> Result<Request, crate::typed::Mismatch> {
            Ok(match op {
                $(KinesisOp::$op => Request::$op(types::$op::from_value(value)?),)+
                $(KinesisOp::$other)|+ => Request::Unserved(op, value),
            })
        }
    };
}

requests! {
    served {
        AddTagsToStream, CreateStream, DecreaseStreamRetentionPeriod, DeleteResourcePolicy, DeleteStream,
        DeregisterStreamConsumer, DescribeAccountSettings, DescribeLimits, DescribeStream, DescribeStreamConsumer,
        DescribeStreamSummary, DisableEnhancedMonitoring, EnableEnhancedMonitoring, GetRecords, GetResourcePolicy,
        GetShardIterator, IncreaseStreamRetentionPeriod, ListShards, ListStreamConsumers, ListStreams,
        ListTagsForResource, ListTagsForStream, MergeShards, PutRecord, PutRecords, PutResourcePolicy,
        RegisterStreamConsumer, RemoveTagsFromStream, SplitShard, StartStreamEncryption, StopStreamEncryption,
        SubscribeToShard, TagResource, UntagResource, UpdateAccountSettings, UpdateMaxRecordSize, UpdateShardCount,
        UpdateStreamMode, UpdateStreamRecordDistributionStrategy, UpdateStreamWarmThroughput,
    }
    unserved {
        AcknowledgeDeadLetterQueueRecords, AcknowledgeQueueRecords, CreateChannel, CreateQueue, DeleteChannel,
        DeleteQueue, DescribeChannel, DescribeQueue, ListChannels, ListQueues, ReceiveDeadLetterQueueRecords,
        ReceiveQueueRecords, RestoreDeadLetterQueueRecords, UpdateChannel, UpdateDeadLetterQueueRecordsVisibility,
        UpdateQueue, UpdateQueueRecordsVisibility,
    }
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

#[cfg(test)]
mod tests;
