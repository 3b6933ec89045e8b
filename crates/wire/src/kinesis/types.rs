//! Requests and replies of the served operations. Members and their order are the model's.

use bytes::Bytes;

use crate::typed::{StringMap, TimestampMs, TimestampSeconds, reply_struct, request_struct, shared_struct, wire_enum};

wire_enum! {
    /// Where a shard iterator starts.
    ShardIteratorType {
        AtSequenceNumber = "AT_SEQUENCE_NUMBER",
        AfterSequenceNumber = "AFTER_SEQUENCE_NUMBER",
        TrimHorizon = "TRIM_HORIZON",
        Latest = "LATEST",
        AtTimestamp = "AT_TIMESTAMP",
    }
}

wire_enum! {
    /// Which shards `ListShards` lists.
    ShardFilterType {
        AfterShardId = "AFTER_SHARD_ID",
        AtTrimHorizon = "AT_TRIM_HORIZON",
        FromTrimHorizon = "FROM_TRIM_HORIZON",
        AtLatest = "AT_LATEST",
        AtTimestamp = "AT_TIMESTAMP",
        FromTimestamp = "FROM_TIMESTAMP",
    }
}

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

/// How a request names its stream. An ARN overrides a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamRef<'a> {
    /// `StreamName`
    pub name: Option<&'a str>,
    /// `StreamARN`
    pub arn: Option<&'a str>,
    /// `StreamId`
    pub id: Option<&'a str>,
}

macro_rules! names_a_stream {
    ($($request:ident),+) => {$(
        impl $request {
            /// How the request names its stream.
            #[must_use]
            pub fn stream(&self) -> StreamRef<'_> {
                StreamRef {
                    name: self.stream_name.as_deref(),
                    arn: self.stream_arn.as_deref(),
                    id: self.stream_id.as_deref(),
                }
            }
        }
    )+};
}

names_a_stream! {
    DescribeStream, DescribeStreamSummary, DeleteStream, GetShardIterator, ListShards, PutRecord, PutRecords
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

request_struct! {
    /// Which shards to list.
    ShardFilter = kinesis::SHARD_FILTER {
        shard_id: Option<String> = "ShardId",
        timestamp: Option<TimestampMs> = "Timestamp",
        filter_type: ShardFilterType = "Type",
    }
}

request_struct! {
    /// Lists a stream's shards.
    ListShards = kinesis::LIST_SHARDS_INPUT {
        exclusive_start_shard_id: Option<String> = "ExclusiveStartShardId",
        max_results: Option<u32> = "MaxResults",
        next_token: Option<String> = "NextToken",
        shard_filter: Option<ShardFilter> = "ShardFilter",
        stream_arn: Option<String> = "StreamARN",
        stream_creation_timestamp: Option<TimestampMs> = "StreamCreationTimestamp",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Puts one record. The model does not require a partition key any more; provisioned streams do.
    PutRecord = kinesis::PUT_RECORD_INPUT {
        data: Bytes = "Data",
        dry_run: Option<bool> = "DryRun",
        explicit_hash_key: Option<String> = "ExplicitHashKey",
        partition_key: Option<String> = "PartitionKey",
        sequence_number_for_ordering: Option<String> = "SequenceNumberForOrdering",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// A record of `PutRecords`.
    PutRecordsRequestEntry = kinesis::PUT_RECORDS_REQUEST_ENTRY {
        data: Bytes = "Data",
        explicit_hash_key: Option<String> = "ExplicitHashKey",
        partition_key: Option<String> = "PartitionKey",
    }
}

request_struct! {
    /// Puts up to 500 records.
    PutRecords = kinesis::PUT_RECORDS_INPUT {
        dry_run: Option<bool> = "DryRun",
        records: Vec<PutRecordsRequestEntry> = "Records",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Asks for a place to read a shard from.
    GetShardIterator = kinesis::GET_SHARD_ITERATOR_INPUT {
        dry_run: Option<bool> = "DryRun",
        shard_id: String = "ShardId",
        shard_iterator_type: ShardIteratorType = "ShardIteratorType",
        starting_sequence_number: Option<String> = "StartingSequenceNumber",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
        timestamp: Option<TimestampMs> = "Timestamp",
    }
}

request_struct! {
    /// Reads a page of records.
    GetRecords = kinesis::GET_RECORDS_INPUT {
        dry_run: Option<bool> = "DryRun",
        limit: Option<u32> = "Limit",
        shard_iterator: String = "ShardIterator",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
    }
}

reply_struct! {
    /// Reply of `PutRecord`.
    PutRecordReply = kinesis::PUT_RECORD_OUTPUT {
        encryption_type: Option<EncryptionType> = "EncryptionType",
        sequence_number: String = "SequenceNumber",
        shard_id: String = "ShardId",
    }
}

reply_struct! {
    /// Reply of `GetShardIterator`.
    GetShardIteratorReply = kinesis::GET_SHARD_ITERATOR_OUTPUT {
        shard_iterator: String = "ShardIterator",
    }
}

reply_struct! {
    /// The hash keys of a shard, both inclusive, in decimal.
    HashKeyRange = kinesis::HASH_KEY_RANGE {
        ending_hash_key: String = "EndingHashKey",
        starting_hash_key: String = "StartingHashKey",
    }
}

reply_struct! {
    /// A shard's first sequence number and, if it is closed, its last.
    SequenceNumberRange = kinesis::SEQUENCE_NUMBER_RANGE {
        ending_sequence_number: Option<String> = "EndingSequenceNumber",
        starting_sequence_number: String = "StartingSequenceNumber",
    }
}

reply_struct! {
    /// A shard.
    Shard = kinesis::SHARD {
        adjacent_parent_shard_id: Option<String> = "AdjacentParentShardId",
        hash_key_range: HashKeyRange = "HashKeyRange",
        parent_shard_id: Option<String> = "ParentShardId",
        sequence_number_range: SequenceNumberRange = "SequenceNumberRange",
        shard_id: String = "ShardId",
    }
}

reply_struct! {
    /// A child of a shard that has been read to its end.
    ChildShard = kinesis::CHILD_SHARD {
        hash_key_range: HashKeyRange = "HashKeyRange",
        parent_shards: Vec<String> = "ParentShards",
        shard_id: String = "ShardId",
    }
}

reply_struct! {
    /// Shard-level metrics that are switched on. AWS describes a stream without any as one empty list.
    EnhancedMetrics = kinesis::ENHANCED_METRICS {
        shard_level_metrics: Vec<MetricsName> = "ShardLevelMetrics",
    }
}

impl EnhancedMetrics {
    /// What AWS shows while nothing is switched on.
    #[must_use]
    pub fn none() -> Vec<Self> {
        vec![Self { shard_level_metrics: Vec::new() }]
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

reply_struct! {
    /// Reply of `ListShards`.
    ListShardsReply = kinesis::LIST_SHARDS_OUTPUT {
        next_token: Option<String> = "NextToken",
        shards: Vec<Shard> = "Shards",
    }
}

/// Brings a shard id into the form that AWS answers in: whatever stands before the last hyphen becomes `shardId`,
/// the digits after it are padded to twelve (`foo-1` is `shardId-000000000001`; digits alone will do too). `None` if
/// there are no digits, or more than an `i32` holds: AWS then says that it could not find the shard.
#[must_use]
pub fn normalize_shard_id(id: &str) -> Option<String> {
    shard_index(id).map(|index| format!("shardId-{index:012}"))
}

/// The number in a shard id, read as [`normalize_shard_id`] reads it.
#[must_use]
pub fn shard_index(id: &str) -> Option<u32> {
    let digits = id.rsplit_once('-').map_or(id, |(_, digits)| digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<i32>().ok().and_then(|index| u32::try_from(index).ok())
}
