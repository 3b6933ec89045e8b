//! The business errors of Firehose, in AWS's words; those that AWS was not seen to send are marked "unverified".

use crate::error::{AwsError, ErrorCode};

/// What AWS says while a delivery stream takes no more: the message of [`ErrorCode::ServiceUnavailableException`],
/// for whole requests and for entries of a batch.
pub const SLOW_DOWN: &str = "Slow down.";

/// What AWS says of an entry that failed for no fault of the client. Unverified.
pub const INTERNAL_FAILURE: &str = "Internal service failure.";

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::InvalidArgumentException, message)
}

/// No such delivery stream.
#[must_use]
pub fn not_found(name: &str, account: &str) -> AwsError {
    AwsError::new(ErrorCode::ResourceNotFoundException, format!("Firehose {name} under account {account} not found."))
}

/// The name is taken.
#[must_use]
pub fn exists(name: &str, account: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceInUseException,
        format!("Firehose {name} under accountId {account} already exists"),
    )
}

/// The delivery stream takes no records in its present state.
#[must_use]
pub fn not_active(name: &str, account: &str) -> AwsError {
    AwsError::new(ErrorCode::ResourceNotFoundException, format!("Firehose {name} is not active in {account} account."))
}

/// The delivery stream cannot be deleted in its present state. Unverified.
#[must_use]
pub fn not_deletable(name: &str, account: &str, status: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceInUseException,
        format!("Firehose {name} under accountId {account} is in state {status} and cannot be deleted."),
    )
}

/// More delivery streams than an account may have. Unverified.
#[must_use]
pub fn too_many_delivery_streams(account: &str, limit: usize) -> AwsError {
    AwsError::new(
        ErrorCode::LimitExceededException,
        format!("You have already consumed your firehose quota of {limit} hoses. AccountId: {account}"),
    )
}

/// No destination, or more than one.
#[must_use]
pub fn not_one_destination() -> AwsError {
    invalid("Exactly one destination configuration is supported for a Firehose")
}

/// A member of the request asks for what this version does not do. Not an error of AWS.
#[must_use]
pub fn unsupported(member: &str) -> AwsError {
    invalid(format!("{member} is not supported by this version of Levada"))
}

/// Buffering hints with one of size and interval only. Unverified.
#[must_use]
pub fn half_buffering_hints() -> AwsError {
    invalid("SizeInMBs and IntervalInSeconds must both be specified in BufferingHints")
}

/// The records of a call exceed [`limits::FIREHOSE_BATCH_BYTES`](crate::limits::FIREHOSE_BATCH_BYTES).
#[must_use]
pub fn records_too_large() -> AwsError {
    invalid("Records size exceeds 4 MB limit")
}

/// The delivery stream takes no more for now; 503.
#[must_use]
pub fn slow_down() -> AwsError {
    AwsError::new(ErrorCode::ServiceUnavailableException, SLOW_DOWN)
}

/// A direct put to a delivery stream that reads a Kinesis stream.
#[must_use]
pub fn reads_a_stream() -> AwsError {
    invalid("This operation is not permitted on KinesisStreamAsSource delivery stream type.")
}

/// Processing is enabled with no processor, or with more than five.
#[must_use]
pub fn wrong_number_of_processors() -> AwsError {
    invalid("A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled.")
}

/// A destination that cannot be delivered to as configured. AWS's texts for these are not known; this one says what
/// is wrong.
#[must_use]
pub fn invalid_destination(reason: &str) -> AwsError {
    invalid(reason)
}
