//! Records: put, and read by iterator.

use super::{StreamText, invalid};
use crate::error::{AwsError, ErrorCode};

/// Why one record of `PutRecords` failed: its error code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryError {
    /// The code.
    pub code: ErrorCode,
    /// The message.
    pub message: String,
}

impl EntryError {
    /// The record may be sent again.
    #[must_use]
    pub fn internal_failure() -> Self {
        Self { code: ErrorCode::InternalFailure, message: "Internal Service Failure".to_owned() }
    }

    /// The shard takes no more for now.
    #[must_use]
    pub fn rate_exceeded(shard_id: &str, stream: StreamText<'_>) -> Self {
        Self { code: ErrorCode::ProvisionedThroughputExceededException, message: rate_exceeded_text(shard_id, stream) }
    }
}

fn rate_exceeded_text(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> String {
    format!("Rate exceeded for shard {shard_id} in stream {stream} under account {account}.")
}

/// The shard takes or gives no more for now.
#[must_use]
pub fn shard_rate_exceeded(shard_id: &str, stream: StreamText<'_>) -> AwsError {
    AwsError::new(ErrorCode::ProvisionedThroughputExceededException, rate_exceeded_text(shard_id, stream))
}

/// A record without partition key, of a stream that does not distribute records by itself: the constraint of the time
/// when the model required it (unverified for today).
/// `index` counts the records from 1; `None` for `PutRecord`.
#[must_use]
pub fn partition_key_missing(index: Option<usize>) -> AwsError {
    match index {
        None => crate::constraints::missing_member("partitionKey"),
        Some(index) => crate::constraints::missing_member(&format!("records.{index}.member.partitionKey")),
    }
}

/// A record larger than the stream allows. `path` is `data`, or `records.N.member.data` counting from 1; `limit` in
/// bytes.
#[must_use]
pub fn record_too_large(path: &str, limit: usize) -> AwsError {
    crate::constraints::blob_too_long(path, limit)
}

/// The same for a record of `PutRecords`, `index` counting from 1.
#[must_use]
pub fn batch_record_too_large(index: usize, limit: usize) -> AwsError {
    record_too_large(&format!("records.{index}.member.data"), limit)
}

/// The records of a call exceed [`limits::PUT_RECORDS_BYTES`](crate::limits::PUT_RECORDS_BYTES). AWS said "5 MB"
/// while that was the limit; the text for 10 is unverified.
#[must_use]
pub fn records_too_large() -> AwsError {
    invalid("Records size exceeds 10 MB limit")
}

/// `ExplicitHashKey` of 2^128 or more.
#[must_use]
pub fn invalid_explicit_hash_key(value: &str) -> AwsError {
    invalid(format!(
        "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {value}"
    ))
}

/// `SequenceNumberForOrdering` that is invalid or lies in the future.
#[must_use]
pub fn invalid_sequence_number_for_ordering(number: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    invalid(format!(
        "ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {stream} under account {account} is \
         invalid."
    ))
}

/// Iterator type and `StartingSequenceNumber` do not go together: `given` tells whether there is one.
#[must_use]
pub fn iterator_type_mismatch(iterator_type: &str, given: bool) -> AwsError {
    let number = if given { "also a" } else { "no" };
    invalid(format!(
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) \
         TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {iterator_type} and {number} \
         StartingSequenceNumber."
    ))
}

/// The number was never given out by this stream.
#[must_use]
pub fn sequence_number_of_other_stream(
    number: &str,
    shard_id: &str,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    invalid(format!(
        "StartingSequenceNumber {number} used in GetShardIterator on shard {shard_id} in stream {stream} under \
         account {account} is invalid because it did not come from this stream."
    ))
}

/// The number has not the form of one.
#[must_use]
pub fn invalid_sequence_number(
    number: &str,
    shard_id: &str,
    StreamText { stream, account }: StreamText<'_>,
) -> AwsError {
    invalid(format!(
        "StartingSequenceNumber {number} used in GetShardIterator on shard {shard_id} in stream {stream} under \
         account {account} is invalid."
    ))
}

/// The number belongs to the shard `encoded`, and was used with `used`.
#[must_use]
pub fn sequence_number_of_other_shard(encoded: &str, used: &str) -> AwsError {
    invalid(format!(
        "Invalid StartingSequenceNumber. It encodes {encoded}, while it was used in a call to a shard with {used}"
    ))
}

/// `AT_TIMESTAMP` without `Timestamp`.
#[must_use]
pub fn timestamp_missing() -> AwsError {
    invalid(
        "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no \
         timestamp parameter.",
    )
}

/// A timestamp in the future; both in milliseconds since the epoch.
#[must_use]
pub fn timestamp_in_future(timestamp_ms: i64, now_ms: i64) -> AwsError {
    invalid(format!(
        "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: \
         {timestamp_ms}, currentTimestampInMillis: {now_ms}"
    ))
}

/// An iterator that nobody handed out.
#[must_use]
pub fn invalid_shard_iterator() -> AwsError {
    invalid("Invalid ShardIterator.")
}

/// An iterator older than 5 minutes. `created` and `now` as Java prints dates (`Thu Jan 01 00:00:00 UTC 1970`).
#[must_use]
pub fn expired_iterator(created: &str, now: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ExpiredIteratorException,
        format!(
            "Iterator expired. The iterator was created at time {created} while right now it is {now} which is \
             further in the future than the tolerated delay of {} milliseconds.",
            crate::limits::SHARD_ITERATOR_LIFE_MS
        ),
    )
}

/// The request would have succeeded, and `DryRun` was set.
#[must_use]
pub fn dry_run(operation: &str) -> AwsError {
    AwsError::new(
        ErrorCode::DryRunOperationException,
        format!(
            "DryRunOperation validation succeeded while calling {operation} operation.: Request would have \
             succeeded, but DryRun flag is set."
        ),
    )
}

/// Too many `GetRecords` calls on the shard, or too many bytes: the newer form, which names the shard by a path (seen in
/// 2023, risingwavelabs/risingwave issue 7453).
#[must_use]
pub fn get_records_rate_exceeded(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(
        ErrorCode::ProvisionedThroughputExceededException,
        format!("Rate exceeded for Shard - {account}/{stream}/{shard_id}"),
    )
}
