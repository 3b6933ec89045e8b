//! A stream: created, deleted, described, listed.

use super::Shard;
use crate::typed::{StringMap, TimestampSeconds, reply_struct, request_struct, shared_struct, wire_enum};

wire_enum! {
    /// Who counts a stream's shards: the user or AWS.
    StreamMode {
        Provisioned = "PROVISIONED",
        OnDemand = "ON_DEMAND",
    }
}

wire_enum! {
    /// Where a stream is in its life.
    StreamStatus {
        Creating = "CREATING",
        Deleting = "DELETING",
        Active = "ACTIVE",
        Updating = "UPDATING",
    }
}

wire_enum! {
    /// How an on-demand stream spreads records.
    RecordDistributionStrategy {
        Auto = "AUTO",
        UserPartitionKey = "USER_PARTITION_KEY",
    }
}

wire_enum! {
    /// Whether records are encrypted at rest.
    EncryptionType {
        None = "NONE",
        Kms = "KMS",
    }
}

wire_enum! {
    /// A shard-level metric of enhanced monitoring.
    MetricsName {
        IncomingBytes = "IncomingBytes",
        IncomingRecords = "IncomingRecords",
        OutgoingBytes = "OutgoingBytes",
        OutgoingRecords = "OutgoingRecords",
        WriteProvisionedThroughputExceeded = "WriteProvisionedThroughputExceeded",
        ReadProvisionedThroughputExceeded = "ReadProvisionedThroughputExceeded",
        IteratorAgeMilliseconds = "IteratorAgeMilliseconds",
        All = "ALL",
    }
}

shared_struct! {
    /// A stream's capacity mode.
    StreamModeDetails = kinesis::STREAM_MODE_DETAILS {
        stream_mode: StreamMode = "StreamMode",
    }
}

request_struct! {
    /// Creates a stream.
    CreateStream = kinesis::CREATE_STREAM_INPUT {
        max_record_size_in_kib: Option<u32> = "MaxRecordSizeInKiB",
        record_distribution_strategy: Option<RecordDistributionStrategy> = "RecordDistributionStrategy",
        shard_count: Option<u32> = "ShardCount",
        stream_mode_details: Option<StreamModeDetails> = "StreamModeDetails",
        stream_name: String = "StreamName",
        tags: Option<StringMap> = "Tags",
        warm_throughput_mibps: Option<u32> = "WarmThroughputMiBps",
    }
}

request_struct! {
    /// Deletes a stream.
    DeleteStream = kinesis::DELETE_STREAM_INPUT {
        enforce_consumer_deletion: Option<bool> = "EnforceConsumerDeletion",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Describes a stream and a page of its shards.
    DescribeStream = kinesis::DESCRIBE_STREAM_INPUT {
        exclusive_start_shard_id: Option<String> = "ExclusiveStartShardId",
        limit: Option<u32> = "Limit",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Describes a stream without its shards.
    DescribeStreamSummary = kinesis::DESCRIBE_STREAM_SUMMARY_INPUT {
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Lists the account's streams.
    ListStreams = kinesis::LIST_STREAMS_INPUT {
        exclusive_start_stream_name: Option<String> = "ExclusiveStartStreamName",
        limit: Option<u32> = "Limit",
        next_token: Option<String> = "NextToken",
    }
}

reply_struct! {
    /// Shard-level metrics that are switched on. AWS describes a stream without any as one empty list.
    EnhancedMetrics = kinesis::ENHANCED_METRICS {
        shard_level_metrics: Vec<MetricsName> = "ShardLevelMetrics",
    }
}

impl MetricsName {
    /// The seven metrics in the order in which AWS shows those that are on (observed; a hash's order). `ALL` is asked
    /// for, never shown.
    pub const SHOWN: [Self; 7] = [
        Self::IteratorAgeMilliseconds,
        Self::IncomingBytes,
        Self::WriteProvisionedThroughputExceeded,
        Self::OutgoingRecords,
        Self::ReadProvisionedThroughputExceeded,
        Self::IncomingRecords,
        Self::OutgoingBytes,
    ];

    /// Those of `metrics`, each once, in the order in which AWS shows them; `ALL` stands for all seven.
    #[must_use]
    pub fn shown(metrics: &[Self]) -> Vec<Self> {
        let all = metrics.contains(&Self::All);
        Self::SHOWN.into_iter().filter(|metric| all || metrics.contains(metric)).collect()
    }
}

impl EnhancedMetrics {
    /// What AWS shows while nothing is switched on.
    #[must_use]
    pub fn none() -> Vec<Self> {
        Self::of(&[])
    }

    /// What AWS shows while `metrics` are switched on.
    #[must_use]
    pub fn of(metrics: &[MetricsName]) -> Vec<Self> {
        vec![Self { shard_level_metrics: MetricsName::shown(metrics) }]
    }
}

reply_struct! {
    /// A stream with a page of its shards.
    StreamDescription = kinesis::STREAM_DESCRIPTION {
        encryption_type: Option<EncryptionType> = "EncryptionType",
        enhanced_monitoring: Vec<EnhancedMetrics> = "EnhancedMonitoring",
        has_more_shards: bool = "HasMoreShards",
        key_id: Option<String> = "KeyId",
        retention_period_hours: u32 = "RetentionPeriodHours",
        shards: Vec<Shard> = "Shards",
        stream_arn: String = "StreamARN",
        stream_creation_timestamp: TimestampSeconds = "StreamCreationTimestamp",
        stream_mode_details: Option<StreamModeDetails> = "StreamModeDetails",
        stream_name: String = "StreamName",
        stream_status: StreamStatus = "StreamStatus",
    }
}

reply_struct! {
    /// Reply of `DescribeStream`.
    DescribeStreamReply = kinesis::DESCRIBE_STREAM_OUTPUT {
        stream_description: StreamDescription = "StreamDescription",
    }
}

reply_struct! {
    /// Throughput that an on-demand stream keeps ready, in MiB/s.
    WarmThroughput = kinesis::WARM_THROUGHPUT_OBJECT {
        current_mibps: Option<u32> = "CurrentMiBps",
        target_mibps: Option<u32> = "TargetMiBps",
    }
}

reply_struct! {
    /// A stream without its shards. `StreamId` is never told: AWS omits it, and clients would address hosts by it.
    StreamDescriptionSummary = kinesis::STREAM_DESCRIPTION_SUMMARY {
        channel_count: u32 = "ChannelCount",
        consumer_count: u32 = "ConsumerCount",
        encryption_type: EncryptionType = "EncryptionType",
        enhanced_monitoring: Vec<EnhancedMetrics> = "EnhancedMonitoring",
        key_id: Option<String> = "KeyId",
        max_record_size_in_kib: u32 = "MaxRecordSizeInKiB",
        open_shard_count: Option<u32> = "OpenShardCount",
        queue_count: Option<u32> = "QueueCount",
        record_distribution_strategy: Option<RecordDistributionStrategy> = "RecordDistributionStrategy",
        retention_period_hours: u32 = "RetentionPeriodHours",
        stream_arn: String = "StreamARN",
        stream_creation_timestamp: TimestampSeconds = "StreamCreationTimestamp",
        stream_mode_details: Option<StreamModeDetails> = "StreamModeDetails",
        stream_name: String = "StreamName",
        stream_status: StreamStatus = "StreamStatus",
        warm_throughput: Option<WarmThroughput> = "WarmThroughput",
    }
}

reply_struct! {
    /// Reply of `DescribeStreamSummary`.
    DescribeStreamSummaryReply = kinesis::DESCRIBE_STREAM_SUMMARY_OUTPUT {
        stream_description_summary: StreamDescriptionSummary = "StreamDescriptionSummary",
    }
}

reply_struct! {
    /// A stream in a list.
    StreamSummary = kinesis::STREAM_SUMMARY {
        stream_arn: String = "StreamARN",
        stream_creation_timestamp: TimestampSeconds = "StreamCreationTimestamp",
        stream_mode_details: Option<StreamModeDetails> = "StreamModeDetails",
        stream_name: String = "StreamName",
        stream_status: StreamStatus = "StreamStatus",
    }
}

reply_struct! {
    /// Reply of `ListStreams`.
    ListStreamsReply = kinesis::LIST_STREAMS_OUTPUT {
        has_more_streams: bool = "HasMoreStreams",
        next_token: Option<String> = "NextToken",
        stream_names: Vec<String> = "StreamNames",
        stream_summaries: Vec<StreamSummary> = "StreamSummaries",
    }
}
