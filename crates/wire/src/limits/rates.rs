//! How often each operation may be called, and what the calls are counted by.
//!
//! Sources for Kinesis: "reference" is the operation's page in the API reference; "quotas" the table of control plane
//! limits on the page "Quotas and limits". A rate that neither states is marked "unverified"; it is the five calls a second that AWS
//! grants to nearly all of its neighbours.

use crate::operation::{FirehoseOp, KinesisOp as Op};

/// What the calls of an operation are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateScope {
    /// All calls of an account in a region.
    Account,
    /// The calls on each stream.
    Stream,
    /// The calls on each shard.
    Shard,
    /// The calls of each consumer on each shard.
    ConsumerShard,
}

/// How often an operation may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls per second.
    pub per_second: u32,
    /// What they are counted by.
    pub scope: RateScope,
}

const fn account(per_second: u32) -> Option<Rate> {
    Some(Rate { per_second, scope: RateScope::Account })
}

const fn stream(per_second: u32) -> Option<Rate> {
    Some(Rate { per_second, scope: RateScope::Stream })
}

/// How often AWS lets an operation be called. `None` for puts, which only the shards' throughput limits, and for the
/// operations on queues and channels, which are not served.
///
/// Too many calls are refused with `LimitExceededException`; those counted by the shard (`GetRecords`,
/// `GetShardIterator`) with `ProvisionedThroughputExceededException`.
#[must_use]
pub const fn control_rate(op: Op) -> Option<Rate> {
    match op {
        // Reference.
        Op::AddTagsToStream | Op::RemoveTagsFromStream | Op::ListTagsForStream => account(5),
        Op::CreateStream | Op::DeleteStream | Op::ListStreams | Op::MergeShards | Op::SplitShard => account(5),
        Op::DescribeAccountSettings | Op::UpdateAccountSettings | Op::UpdateStreamWarmThroughput => account(5),
        Op::RegisterStreamConsumer => account(5),
        Op::DeregisterStreamConsumer | Op::ListStreamConsumers => stream(5),
        Op::DescribeLimits => account(1),
        Op::DescribeStream | Op::UpdateShardCount => account(10),
        Op::DescribeStreamSummary => account(20),
        Op::DescribeStreamConsumer => stream(20),
        Op::ListShards => stream(1_000),
        Op::GetRecords | Op::GetShardIterator => Some(Rate { per_second: 5, scope: RateScope::Shard }),
        Op::SubscribeToShard => Some(Rate { per_second: 1, scope: RateScope::ConsumerShard }),
        // Quotas; what they are counted by is unverified.
        Op::DeleteResourcePolicy | Op::GetResourcePolicy | Op::PutResourcePolicy => account(5),
        Op::TagResource | Op::UntagResource | Op::ListTagsForResource => account(5),
        Op::IncreaseStreamRetentionPeriod | Op::DecreaseStreamRetentionPeriod => stream(5),
        Op::EnableEnhancedMonitoring | Op::DisableEnhancedMonitoring => stream(5),
        // Unverified.
        Op::StartStreamEncryption | Op::StopStreamEncryption | Op::UpdateStreamMode => stream(5),
        Op::UpdateMaxRecordSize | Op::UpdateStreamRecordDistributionStrategy => stream(5),
        Op::PutRecord | Op::PutRecords => None,
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
        | Op::UpdateQueueRecordsVisibility => None,
    }
}

/// How often a second an account may call an operation of Firehose in a region (Firehose quota: a hard limit). `None` for
/// puts, which have a budget of their own ([`DirectPutRates`](super::DirectPutRates)).
#[must_use]
pub const fn delivery_control_rate(op: FirehoseOp) -> Option<u32> {
    match op {
        FirehoseOp::CreateDeliveryStream
        | FirehoseOp::DeleteDeliveryStream
        | FirehoseOp::DescribeDeliveryStream
        | FirehoseOp::ListDeliveryStreams
        | FirehoseOp::ListTagsForDeliveryStream
        | FirehoseOp::StartDeliveryStreamEncryption
        | FirehoseOp::StopDeliveryStreamEncryption
        | FirehoseOp::TagDeliveryStream
        | FirehoseOp::UntagDeliveryStream
        | FirehoseOp::UpdateDestination => Some(5),
        FirehoseOp::PutRecord | FirehoseOp::PutRecordBatch => None,
    }
}

/// How often an operation may succeed on one stream within any 24 hours (reference; for modes observed, and there the
/// count outlived the stream: its name, created anew, had no switch left). A call that changes nothing is free
/// (observed of modes).
#[must_use]
pub fn daily_limit(op: Op) -> Option<u32> {
    const LIMITS: [(Op, u32); 4] = [
        (Op::UpdateShardCount, 10),
        (Op::StartStreamEncryption, 25),
        (Op::StopStreamEncryption, 25),
        (Op::UpdateStreamMode, 2),
    ];
    LIMITS.iter().find(|(limited, _)| *limited == op).map(|(_, limit)| *limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_is_served_has_a_rate_but_the_puts() {
        let without: Vec<&str> = Op::ALL.iter().filter(|op| control_rate(**op).is_none()).map(|op| op.name()).collect();
        let expected: Vec<&str> = Op::ALL
            .iter()
            .map(|op| op.name())
            .filter(|name| name.contains("Queue") || name.contains("Channel") || name.starts_with("PutRecord"))
            .collect();
        assert_eq!(without, expected);
        assert_eq!(without.len(), 12 + 5 + 2);
    }

    #[test]
    fn rates_are_the_references() {
        use RateScope::{Account, ConsumerShard, Shard, Stream};
        for (op, per_second, scope) in [
            (Op::AddTagsToStream, 5, Account),
            (Op::CreateStream, 5, Account),
            (Op::RegisterStreamConsumer, 5, Account),
            (Op::DeregisterStreamConsumer, 5, Stream),
            (Op::ListStreamConsumers, 5, Stream),
            (Op::DescribeStreamConsumer, 20, Stream),
            (Op::DescribeLimits, 1, Account),
            (Op::DescribeStream, 10, Account),
            (Op::DescribeStreamSummary, 20, Account),
            (Op::UpdateShardCount, 10, Account),
            (Op::ListShards, 1_000, Stream),
            (Op::GetShardIterator, 5, Shard),
            (Op::GetRecords, 5, Shard),
            (Op::SubscribeToShard, 1, ConsumerShard),
        ] {
            assert_eq!(control_rate(op), Some(Rate { per_second, scope }), "{}", op.name());
        }
        let daily: Vec<(&str, u32)> =
            Op::ALL.iter().filter_map(|op| daily_limit(*op).map(|limit| (op.name(), limit))).collect();
        assert_eq!(
            daily,
            [
                ("StartStreamEncryption", 25),
                ("StopStreamEncryption", 25),
                ("UpdateShardCount", 10),
                ("UpdateStreamMode", 2)
            ]
        );
    }
}
