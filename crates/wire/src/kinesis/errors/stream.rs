//! A stream as a whole: named, created, deleted, listed; throttled calls.

use super::{StreamText, in_use, invalid, limit_exceeded, not_found, validation};
use crate::error::{AwsError, ErrorCode};

/// No such stream, or not yet one that takes and gives data.
#[must_use]
pub fn stream_not_found(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    not_found(format!("Stream {stream} under account {account} not found."))
}

/// The name is taken.
#[must_use]
pub fn stream_exists(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    in_use(format!("Stream {stream} under account {account} already exists."))
}

/// The stream is in a state that forbids the operation (`status`: `CREATING`, `UPDATING`, `DELETING`).
#[must_use]
pub fn stream_not_active(StreamText { stream, account }: StreamText<'_>, status: &str) -> AwsError {
    in_use(format!("Stream {stream} under account {account} not ACTIVE, instead in state {status}"))
}

/// The request names no stream, neither by name nor by ARN (seen of `DescribeStreamSummary` in 2026).
#[must_use]
pub fn stream_not_named() -> AwsError {
    invalid("Stream arn and stream name can't be empty at the same time")
}

/// The request names a stream by name and by ARN, and they differ.
#[must_use]
pub fn stream_name_mismatch(name: &str, name_in_arn: &str) -> AwsError {
    invalid(format!("Input stream name {name} doesn't match the inferred name in stream arn {name_in_arn}"))
}

/// An ARN that has the form the model wants but names nothing. Unverified.
#[must_use]
pub fn invalid_arn(arn: &str) -> AwsError {
    invalid(format!("The ARN '{arn}' is invalid"))
}

/// The request's ARN names another region than the endpoint's.
#[must_use]
pub fn arn_of_other_region(arn: &str) -> AwsError {
    invalid(format!("The region specified in the ARN '{arn}' does not match the endpoint region"))
}

/// More control-plane calls than AWS allows on this stream, or more than its allowance of a day: the third switch of
/// mode within 24 hours is answered so.
#[must_use]
pub fn control_rate_exceeded(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    limit_exceeded(format!("Rate exceeded for stream {stream} under account {account}."))
}

/// `CreateStream` of a provisioned stream without `ShardCount`: the constraint that AWS states. Unverified.
#[must_use]
pub fn shard_count_missing() -> AwsError {
    crate::constraints::missing_member("shardCount")
}

/// `CreateStream` with a `ShardCount` of 0, which the model allows and no stream can have: the constraint of the time when
/// the model had it. Unverified.
#[must_use]
pub fn shard_count_zero() -> AwsError {
    crate::constraints::number_too_small("shardCount", 0, 1)
}

/// `CreateStream` of an on-demand stream with `ShardCount`. Unverified.
#[must_use]
pub fn shard_count_on_demand() -> AwsError {
    validation("ShardCount must not be specified for a stream in ON_DEMAND mode.")
}

/// The stream has consumers and the request does not say to delete them. Unverified.
#[must_use]
pub fn consumers_registered(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    in_use(format!(
        "Stream {stream} under account {account} has at least one registered consumer; set \
             EnforceConsumerDeletion to delete it."
    ))
}

/// `ListStreams`: a token goes with no exclusive start.
#[must_use]
pub fn token_with_start_stream() -> AwsError {
    invalid("ExclusiveStartStreamName and NextToken cannot be provided together.")
}

/// A token that nobody handed out.
#[must_use]
pub fn invalid_next_token() -> AwsError {
    invalid("Invalid NextToken.")
}

/// A token older than 300 s. The code is AWS's; the text is unverified.
#[must_use]
pub fn expired_next_token() -> AwsError {
    AwsError::new(ErrorCode::ExpiredNextTokenException, "The specified NextToken has expired.")
}
