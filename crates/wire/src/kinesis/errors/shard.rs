//! Shards: listed, split, merged, counted.

use super::{StreamText, invalid, limit_exceeded, not_found, validation};
use crate::error::AwsError;

/// The shard does not exist; `shard_id` in normal form.
#[must_use]
pub fn shard_not_found(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    not_found(format!("Shard {shard_id} in stream {stream} under account {account} does not exist"))
}

/// The shard id is none, or the shard is not in the stream (reshard calls).
#[must_use]
pub fn could_not_find_shard(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    not_found(format!("Could not find shard {shard_id} in stream {stream} under account {account}."))
}

/// `ListShards`: neither a token nor a stream (kinesalite).
#[must_use]
pub fn list_shards_of_nothing() -> AwsError {
    invalid("Either NextToken or StreamName should be provided.")
}

/// `ListShards`: a filter from before the oldest record.
#[must_use]
pub fn filter_timestamp_too_old() -> AwsError {
    invalid("ShardFilter Timestamp cannot be older than TRIM_HORIZON of the stream.")
}

/// `ListShards`: a filter from the future.
#[must_use]
pub fn filter_timestamp_in_future() -> AwsError {
    invalid("ShardFilter Timestamp must not be greater than current time.")
}

/// `ListShards`: `AFTER_SHARD_ID` without a shard id.
#[must_use]
pub fn filter_shard_id_missing() -> AwsError {
    invalid("ShardId must be provided when the ShardFilter Type is AFTER_SHARD_ID.")
}

/// `ListShards`: a timestamp filter without a timestamp. Unverified.
#[must_use]
pub fn filter_timestamp_missing(filter_type: &str) -> AwsError {
    invalid(format!("Timestamp must be provided when the ShardFilter Type is {filter_type}."))
}

/// `ListShards`: a token goes with no filter.
#[must_use]
pub fn token_with_filter() -> AwsError {
    invalid("NextToken and ShardFilter cannot be provided together.")
}

/// `ListShards`: a token goes with no creation time.
#[must_use]
pub fn token_with_creation_time() -> AwsError {
    invalid("NextToken and StreamCreationEpoch cannot be provided together.")
}

/// `ListShards`: a token goes with no exclusive start. Unverified, worded like its neighbours.
#[must_use]
pub fn token_with_start_shard() -> AwsError {
    invalid("NextToken and ExclusiveStartShardId cannot be provided together.")
}

/// `ListShards`: the token belongs to another stream.
#[must_use]
pub fn token_of_other_stream() -> AwsError {
    invalid("NextToken does not match the provided StreamName.")
}

/// `SplitShard`: the key does not leave at least one hash key to either child. All in decimal.
#[must_use]
pub fn split_key_out_of_range(
    key: &str,
    shard_id: &str,
    StreamText { stream, account }: StreamText<'_>,
    starting_hash_key: &str,
    ending_hash_key: &str,
) -> AwsError {
    invalid(format!(
        "NewStartingHashKey {key} used in SplitShard() on shard {shard_id} in stream {stream} under account {account} \
         is not both greater than one plus the shard's StartingHashKey {starting_hash_key} and less than the shard's \
         EndingHashKey {ending_hash_key}."
    ))
}

/// `SplitShard`, `MergeShards`: the shard has children already.
#[must_use]
pub fn shard_already_resharded(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    invalid(format!(
        "Shard {shard_id} in stream {stream} under account {account} has already been merged or split, and thus is \
         not eligible for merging or splitting."
    ))
}

/// `MergeShards`: the second shard does not begin where the first ends. The order of the two counts.
#[must_use]
pub fn shards_not_adjacent(
    shard_id: &str,
    adjacent_shard_id: &str,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    invalid(format!(
        "Shards {shard_id} and {adjacent_shard_id} in stream {stream} under account {account} are not an adjacent pair \
         of shards eligible for merging"
    ))
}

/// Resharding of an on-demand stream. Unverified: moto's text.
#[must_use]
pub fn stream_on_demand(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    validation(format!("Request is invalid. Stream {stream} under account {account} is in On-Demand mode."))
}

/// `UpdateShardCount`: more than twice the open shards. The text is AWS's, as users quote it; the code is that of
/// kinesalite's tests.
#[must_use]
pub fn shard_count_over_double(open: u32, target: u32) -> AwsError {
    limit_exceeded(format!(
        "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: {open} \
         Target shard count: {target}"
    ))
}

/// `UpdateShardCount`: less than half of the open shards. Unverified, by kinesalite, in the form of its neighbour.
#[must_use]
pub fn shard_count_below_half(open: u32, target: u32) -> AwsError {
    limit_exceeded(format!(
        "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: \
         {open} Target shard count: {target}"
    ))
}

/// `UpdateShardCount`: more shards than a stream may have. Unverified, by kinesalite, in the form of its neighbours.
#[must_use]
pub fn shard_count_over_maximum(limit: u32, open: u32, target: u32) -> AwsError {
    limit_exceeded(format!(
        "Target shard count or number of open shards cannot be greater than {limit}. Current open shard count: {open} \
         Target shard count: {target}"
    ))
}
