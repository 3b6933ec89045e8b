//! The business errors of Kinesis, in AWS's words.
//!
//! Texts that AWS was seen to send stand without a note; those that it was not are marked "unverified".

use crate::error::{AwsError, ErrorCode};

/// Names a stream in an error text: its name and its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamText<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The twelve digits of the account.
    pub account: &'a str,
}

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

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::InvalidArgumentException, message)
}

/// No such stream, or not yet one that takes and gives data.
#[must_use]
pub fn stream_not_found(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(ErrorCode::ResourceNotFoundException, format!("Stream {stream} under account {account} not found."))
}

/// The name is taken.
#[must_use]
pub fn stream_exists(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(ErrorCode::ResourceInUseException, format!("Stream {stream} under account {account} already exists."))
}

/// The stream is in a state that forbids the operation (`status`: `CREATING`, `UPDATING`, `DELETING`).
#[must_use]
pub fn stream_not_active(StreamText { stream, account }: StreamText<'_>, status: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceInUseException,
        format!("Stream {stream} under account {account} not ACTIVE, instead in state {status}"),
    )
}

/// The request names no stream. The form AWS used while the name was required; unverified since.
#[must_use]
pub fn stream_not_named() -> AwsError {
    crate::constraints::missing_member("streamName")
}

/// The request's ARN names another region than the endpoint's.
#[must_use]
pub fn arn_of_other_region(arn: &str) -> AwsError {
    invalid(format!("The region specified in the ARN '{arn}' does not match the endpoint region"))
}

/// The account's shards would become too many. `current` and `limit` count the account's shards, `added` those of
/// this request.
#[must_use]
pub fn shard_limit_exceeded(account: &str, region: &str, current: u64, limit: u64, added: u64) -> AwsError {
    AwsError::new(
        ErrorCode::LimitExceededException,
        format!(
            "This request would exceed the shard limit for the account {account} in {region}. Current shard count \
             for the account: {current}. Limit: {limit}. Number of additional shards that would have resulted from \
             this request: {added}. Refer to the AWS Service Limits page \
             (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to \
             request higher limits."
        ),
    )
}

/// More control-plane calls than AWS allows, or too many streams being created.
#[must_use]
pub fn control_rate_exceeded(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(
        ErrorCode::LimitExceededException,
        format!("Rate exceeded for stream {stream} under account {account}."),
    )
}

/// The shard gives no more for now: what `GetRecords` says. (Older sources show the text of
/// [`shard_rate_exceeded`] here too.)
#[must_use]
pub fn get_records_rate_exceeded(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(
        ErrorCode::ProvisionedThroughputExceededException,
        format!("Rate exceeded for Shard - {account}/{stream}/{shard_id}"),
    )
}

/// The shard takes no more for now, or is asked for iterators too often. Unverified for `GetShardIterator`.
#[must_use]
pub fn shard_rate_exceeded(shard_id: &str, stream: StreamText<'_>) -> AwsError {
    AwsError::new(ErrorCode::ProvisionedThroughputExceededException, rate_exceeded_text(shard_id, stream))
}

/// `CreateStream` of a provisioned stream without `ShardCount`: the constraint that AWS states. Unverified.
#[must_use]
pub fn shard_count_missing() -> AwsError {
    crate::constraints::missing_member("shardCount")
}

/// `CreateStream` of an on-demand stream with `ShardCount`. Unverified.
#[must_use]
pub fn shard_count_on_demand() -> AwsError {
    AwsError::new(ErrorCode::ValidationException, "ShardCount must not be specified for a stream in ON_DEMAND mode.")
}

/// A stream on warm throughput needs a commitment that no account here has.
#[must_use]
pub fn no_throughput_commitment(account: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ValidationException,
        format!("Account {account} is not enabled for minimum throughput billing commitment"),
    )
}

/// The stream has consumers and the request does not say to delete them. Unverified.
#[must_use]
pub fn consumers_registered(StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceInUseException,
        format!(
            "Stream {stream} under account {account} has at least one registered consumer; set \
             EnforceConsumerDeletion to delete it."
        ),
    )
}

/// A record of a provisioned stream without partition key: the constraint of the time when the model required it.
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

/// The shard does not exist; `shard_id` in normal form.
#[must_use]
pub fn shard_not_found(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceNotFoundException,
        format!("Shard {shard_id} in stream {stream} under account {account} does not exist"),
    )
}

/// The shard id is none, or the shard is not in the stream (reshard calls).
#[must_use]
pub fn could_not_find_shard(shard_id: &str, StreamText { stream, account }: StreamText<'_>) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceNotFoundException,
        format!("Could not find shard {shard_id} in stream {stream} under account {account}."),
    )
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

/// More tags than a stream may have; `resource` is its ARN.
#[must_use]
pub fn too_many_tags(resource: &str, account: &str) -> AwsError {
    invalid(format!(
        "Failed to add tags to resource {resource} under account {account} because a given resource cannot have \
         more than 50 tags associated with it."
    ))
}

/// A tag key that AWS reserves.
#[must_use]
pub fn system_tag() -> AwsError {
    invalid("Some tag keys in the request started with 'aws:'. System tags cannot be modified.")
}
