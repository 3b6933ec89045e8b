//! Shards: listed, split, merged; and how a shard id is read.

use crate::typed::{TimestampMs, reply_struct, request_struct, wire_enum};

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
    /// Reply of `ListShards`.
    ListShardsReply = kinesis::LIST_SHARDS_OUTPUT {
        next_token: Option<String> = "NextToken",
        shards: Vec<Shard> = "Shards",
    }
}

wire_enum! {
    /// How `UpdateShardCount` lays out the shards.
    ScalingType {
        UniformScaling = "UNIFORM_SCALING",
    }
}

request_struct! {
    /// Splits a shard in two.
    SplitShard = kinesis::SPLIT_SHARD_INPUT {
        new_starting_hash_key: String = "NewStartingHashKey",
        shard_to_split: String = "ShardToSplit",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Merges two adjacent shards.
    MergeShards = kinesis::MERGE_SHARDS_INPUT {
        adjacent_shard_to_merge: String = "AdjacentShardToMerge",
        shard_to_merge: String = "ShardToMerge",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Brings a stream to a number of shards of equal size.
    UpdateShardCount = kinesis::UPDATE_SHARD_COUNT_INPUT {
        scaling_type: ScalingType = "ScalingType",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
        target_shard_count: u32 = "TargetShardCount",
    }
}

reply_struct! {
    /// Reply of `UpdateShardCount`.
    UpdateShardCountReply = kinesis::UPDATE_SHARD_COUNT_OUTPUT {
        current_shard_count: u32 = "CurrentShardCount",
        stream_arn: String = "StreamARN",
        stream_name: String = "StreamName",
        target_shard_count: u32 = "TargetShardCount",
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
