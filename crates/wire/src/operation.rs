//! The operations of both services, as enums without a catch-all: an operation that is added does not compile until
//! every place that must know it does.

use crate::model::Shape;
use crate::{firehose, kinesis};

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Amazon Kinesis Data Streams.
    Kinesis,
    /// Amazon Data Firehose.
    Firehose,
}

impl Service {
    /// Both.
    pub const ALL: [Service; 2] = [Service::Kinesis, Service::Firehose];

    /// What stands before the dot in `X-Amz-Target` (`targetPrefix` in the model).
    #[must_use]
    pub const fn target_prefix(self) -> &'static str {
        match self {
            Service::Kinesis => "Kinesis_20131202",
            Service::Firehose => "Firehose_20150804",
        }
    }

    /// Its name in signatures and ARNs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Service::Kinesis => "kinesis",
            Service::Firehose => "firehose",
        }
    }
}

macro_rules! operations {
    ($(#[$doc:meta])* $enum:ident, $service:ident { $($op:ident = $input:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum {
            $(#[doc = concat!("`", stringify!($op), "`")] $op),+
        }

        impl $enum {
            /// All of them, by name.
            pub const ALL: &'static [$enum] = &[$($enum::$op),+];

            /// Its name in the model.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($enum::$op => stringify!($op)),+ }
            }

            /// The operation of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($op) => Some($enum::$op),)+ _ => None }
            }

            /// The shape of its input.
            #[must_use]
            pub fn input(self) -> &'static Shape {
                match self { $($enum::$op => &$service::shapes::$input),+ }
            }
        }
    };
}

operations! {
    /// The 57 operations of Kinesis (model of botocore 1.44).
    KinesisOp, kinesis {
        AcknowledgeDeadLetterQueueRecords = ACKNOWLEDGE_DEAD_LETTER_QUEUE_RECORDS_INPUT,
        AcknowledgeQueueRecords = ACKNOWLEDGE_QUEUE_RECORDS_INPUT,
        AddTagsToStream = ADD_TAGS_TO_STREAM_INPUT,
        CreateChannel = CREATE_CHANNEL_INPUT,
        CreateQueue = CREATE_QUEUE_INPUT,
        CreateStream = CREATE_STREAM_INPUT,
        DecreaseStreamRetentionPeriod = DECREASE_STREAM_RETENTION_PERIOD_INPUT,
        DeleteChannel = DELETE_CHANNEL_INPUT,
        DeleteQueue = DELETE_QUEUE_INPUT,
        DeleteResourcePolicy = DELETE_RESOURCE_POLICY_INPUT,
        DeleteStream = DELETE_STREAM_INPUT,
        DeregisterStreamConsumer = DEREGISTER_STREAM_CONSUMER_INPUT,
        DescribeAccountSettings = DESCRIBE_ACCOUNT_SETTINGS_INPUT,
        DescribeChannel = DESCRIBE_CHANNEL_INPUT,
        DescribeLimits = DESCRIBE_LIMITS_INPUT,
        DescribeQueue = DESCRIBE_QUEUE_INPUT,
        DescribeStream = DESCRIBE_STREAM_INPUT,
        DescribeStreamConsumer = DESCRIBE_STREAM_CONSUMER_INPUT,
        DescribeStreamSummary = DESCRIBE_STREAM_SUMMARY_INPUT,
        DisableEnhancedMonitoring = DISABLE_ENHANCED_MONITORING_INPUT,
        EnableEnhancedMonitoring = ENABLE_ENHANCED_MONITORING_INPUT,
        GetRecords = GET_RECORDS_INPUT,
        GetResourcePolicy = GET_RESOURCE_POLICY_INPUT,
        GetShardIterator = GET_SHARD_ITERATOR_INPUT,
        IncreaseStreamRetentionPeriod = INCREASE_STREAM_RETENTION_PERIOD_INPUT,
        ListChannels = LIST_CHANNELS_INPUT,
        ListQueues = LIST_QUEUES_INPUT,
        ListShards = LIST_SHARDS_INPUT,
        ListStreamConsumers = LIST_STREAM_CONSUMERS_INPUT,
        ListStreams = LIST_STREAMS_INPUT,
        ListTagsForResource = LIST_TAGS_FOR_RESOURCE_INPUT,
        ListTagsForStream = LIST_TAGS_FOR_STREAM_INPUT,
        MergeShards = MERGE_SHARDS_INPUT,
        PutRecord = PUT_RECORD_INPUT,
        PutRecords = PUT_RECORDS_INPUT,
        PutResourcePolicy = PUT_RESOURCE_POLICY_INPUT,
        ReceiveDeadLetterQueueRecords = RECEIVE_DEAD_LETTER_QUEUE_RECORDS_INPUT,
        ReceiveQueueRecords = RECEIVE_QUEUE_RECORDS_INPUT,
        RegisterStreamConsumer = REGISTER_STREAM_CONSUMER_INPUT,
        RemoveTagsFromStream = REMOVE_TAGS_FROM_STREAM_INPUT,
        RestoreDeadLetterQueueRecords = RESTORE_DEAD_LETTER_QUEUE_RECORDS_INPUT,
        SplitShard = SPLIT_SHARD_INPUT,
        StartStreamEncryption = START_STREAM_ENCRYPTION_INPUT,
        StopStreamEncryption = STOP_STREAM_ENCRYPTION_INPUT,
        SubscribeToShard = SUBSCRIBE_TO_SHARD_INPUT,
        TagResource = TAG_RESOURCE_INPUT,
        UntagResource = UNTAG_RESOURCE_INPUT,
        UpdateAccountSettings = UPDATE_ACCOUNT_SETTINGS_INPUT,
        UpdateChannel = UPDATE_CHANNEL_INPUT,
        UpdateDeadLetterQueueRecordsVisibility = UPDATE_DEAD_LETTER_QUEUE_RECORDS_VISIBILITY_INPUT,
        UpdateMaxRecordSize = UPDATE_MAX_RECORD_SIZE_INPUT,
        UpdateQueue = UPDATE_QUEUE_INPUT,
        UpdateQueueRecordsVisibility = UPDATE_QUEUE_RECORDS_VISIBILITY_INPUT,
        UpdateShardCount = UPDATE_SHARD_COUNT_INPUT,
        UpdateStreamMode = UPDATE_STREAM_MODE_INPUT,
        UpdateStreamRecordDistributionStrategy = UPDATE_STREAM_RECORD_DISTRIBUTION_STRATEGY_INPUT,
        UpdateStreamWarmThroughput = UPDATE_STREAM_WARM_THROUGHPUT_INPUT,
    }
}

operations! {
    /// The 12 operations of Firehose.
    FirehoseOp, firehose {
        CreateDeliveryStream = CREATE_DELIVERY_STREAM_INPUT,
        DeleteDeliveryStream = DELETE_DELIVERY_STREAM_INPUT,
        DescribeDeliveryStream = DESCRIBE_DELIVERY_STREAM_INPUT,
        ListDeliveryStreams = LIST_DELIVERY_STREAMS_INPUT,
        ListTagsForDeliveryStream = LIST_TAGS_FOR_DELIVERY_STREAM_INPUT,
        PutRecord = PUT_RECORD_INPUT,
        PutRecordBatch = PUT_RECORD_BATCH_INPUT,
        StartDeliveryStreamEncryption = START_DELIVERY_STREAM_ENCRYPTION_INPUT,
        StopDeliveryStreamEncryption = STOP_DELIVERY_STREAM_ENCRYPTION_INPUT,
        TagDeliveryStream = TAG_DELIVERY_STREAM_INPUT,
        UntagDeliveryStream = UNTAG_DELIVERY_STREAM_INPUT,
        UpdateDestination = UPDATE_DESTINATION_INPUT,
    }
}

/// An operation of either service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Of Kinesis.
    Kinesis(KinesisOp),
    /// Of Firehose.
    Firehose(FirehoseOp),
}

impl Operation {
    /// The operation that an `X-Amz-Target` header names (`Kinesis_20131202.PutRecord`); `None` if there is none
    /// such.
    #[must_use]
    pub fn from_target(target: &str) -> Option<Self> {
        let (prefix, name) = target.split_once('.')?;
        match Service::ALL.into_iter().find(|service| service.target_prefix() == prefix)? {
            Service::Kinesis => KinesisOp::from_name(name).map(Operation::Kinesis),
            Service::Firehose => FirehoseOp::from_name(name).map(Operation::Firehose),
        }
    }

    /// Its name in the model.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Kinesis(op) => op.name(),
            Operation::Firehose(op) => op.name(),
        }
    }

    /// True for the operations that this version serves; the others are unknown to it.
    #[must_use]
    pub const fn is_served(self) -> bool {
        match self {
            Operation::Kinesis(op) => kinesis::is_served(op),
            Operation::Firehose(op) => firehose::is_served(op),
        }
    }

    /// The service it belongs to.
    #[must_use]
    pub const fn service(self) -> Service {
        match self {
            Operation::Kinesis(_) => Service::Kinesis,
            Operation::Firehose(_) => Service::Firehose,
        }
    }

    /// The shape of its input.
    #[must_use]
    pub fn input(self) -> &'static Shape {
        match self {
            Operation::Kinesis(op) => op.input(),
            Operation::Firehose(op) => op.input(),
        }
    }
}
