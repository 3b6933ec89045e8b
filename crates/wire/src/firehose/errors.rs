//! The business errors of Firehose, in AWS's words; those that AWS was not seen to send are marked "unverified".
//!
//! "Seen in 2026" is what the project cdk-preflight recorded of `CreateDeliveryStream` in us-east-1 and ap-northeast-1
//! in September 2026 (the `meta.yaml` of its rules); "CDK" is what the AWS CDK's source quotes from deployments.

mod destination;
mod prefix;
mod processing;

pub use destination::*;
pub use prefix::*;
pub use processing::*;

use crate::error::{AwsError, ErrorCode, quoted};

/// Refusals whose text never changes: each becomes a function that makes an `InvalidArgumentException`.
macro_rules! invalid_texts {
    ($($(#[$doc:meta])+ $name:ident = $text:expr;)+) => {$(
        $(#[$doc])+
        #[must_use]
        pub fn $name() -> crate::error::AwsError {
            crate::error::AwsError::new(crate::error::ErrorCode::InvalidArgumentException, $text)
        }
    )+};
}

use invalid_texts;

/// What AWS says while a delivery stream takes no more: the message of [`ErrorCode::ServiceUnavailableException`],
/// for whole requests and for entries of a batch.
pub const SLOW_DOWN: &str = "Slow down.";

/// What AWS says of an entry that failed for no fault of the client. Unverified.
pub const INTERNAL_FAILURE: &str = "Internal service failure.";

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorCode::InvalidArgumentException, message)
}

/// No such delivery stream. Older sightings of puts (2016, 2019) have `… not found under account N.`
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

/// A member of the request asks for what this version does not do. Not an error of AWS.
#[must_use]
pub fn unsupported(member: &str) -> AwsError {
    invalid(format!("{member} is not supported by this version of Levada"))
}

/// A type of delivery stream whose source is not read by this version. Not an error of AWS.
#[must_use]
pub fn unsupported_source(delivery_stream_type: &str) -> AwsError {
    unsupported(&format!("DeliveryStreamType {delivery_stream_type}"))
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

/// The server cannot deliver what it would take; 500, so that clients come again. AWS sends this code without a text;
/// this one is ours.
#[must_use]
pub fn undeliverable(why: &str) -> AwsError {
    AwsError::new(ErrorCode::InternalFailure, format!("This server cannot deliver: {why}"))
}

/// More control calls in a second than AWS allows. Seen of `DescribeDeliveryStream` in 2022 (hashicorp/
/// terraform-provider-aws, pull request 26197). In 2025 `ListTagsForDeliveryStream` was refused with the same code and a
/// newer text, of which only the beginning is known: "Please slow down. Max limit of 5 RPS has breached for"
/// (prowler-cloud/prowler, issue 9124).
#[must_use]
pub fn rate_exceeded() -> AwsError {
    AwsError::new(ErrorCode::ThrottlingException, "Rate exceeded")
}

/// A direct put to a delivery stream that decompresses what CloudWatch Logs sends, by somebody else.
#[must_use]
pub fn not_from_cloudwatch(name: &str, account: &str) -> AwsError {
    AwsError::new(
        ErrorCode::InvalidSourceException,
        format!(
            "Put to Firehose failed for AccountId: {account}, FirehoseName: {name} because the request is not \
             originating from CloudWatch."
        ),
    )
}

invalid_texts! {
    /// A direct put to a delivery stream that reads a Kinesis stream.
    reads_a_stream = "This operation is not permitted on KinesisStreamAsSource delivery stream type.";
    /// A delivery stream of type KinesisStreamAsSource without the stream (seen in 2026). The other way round, a
    /// configuration beside DirectPut, is accepted and ignored (seen in 2026).
    stream_source_missing = "KinesisSourceStreamConfig is mandatory for KinesisStreamAsSource stream type.";
    /// A delivery stream of type MSKAsSource without the cluster (seen in 2026).
    msk_source_missing = "MSKSourceConfig is mandatory for MSK as Source stream type.";
    /// An update without what is to change.
    no_update = "At least one destination or source configuration update must be provided";
    /// An update of two destinations. Unverified.
    not_one_update = "Exactly one destination update is supported for a Firehose";
    /// Encryption of a delivery stream that has another source (seen in 2026).
    encryption_of_source = "Server side encryption from firehose is only allowed for direct put delivery streams and \
                            database as a source delivery streams";
    /// A customer's key is asked for and not named (seen in 2026).
    key_arn_missing = "KeyARN has to be specified when KeyType is CUSTOMER_MANAGED_CMK";
    /// A key is named beside AWS's own (seen in 2026).
    key_arn_of_aws_key = "KeyARN cannot be specified when KeyType is AWS_OWNED_CMK";
    /// A key of another region (seen in 2026).
    key_of_other_region = "Cross-region keys are not allowed for SSE. Please provide CMKs in the same region as firehose";
    /// Encryption is stopped that never began. Unverified; the words are those of Kinesis.
    not_encrypted = "Cannot stop encrypting an unencrypted stream.";
}

/// The stream that is to be read cannot be: AWS passes on what Kinesis says of it.
#[must_use]
pub fn source_refused(of_kinesis: &AwsError) -> AwsError {
    invalid(of_kinesis.message.clone().unwrap_or_default())
}

/// The stream that is to be read is in another account or region. Unverified.
#[must_use]
pub fn source_elsewhere(arn: &str) -> AwsError {
    invalid(format!("The Kinesis stream {} is not in the account and region of the delivery stream", quoted(arn)))
}

/// Somebody else's update came first.
#[must_use]
pub fn version_mismatch(name: &str, current: u64, specified: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ConcurrentModificationException,
        format!(
            "Cannot update firehose: {name} since the current version id: {current} and specified version id: \
             {specified} do not match"
        ),
    )
}

/// A delivery stream has one destination, and this is not it.
#[must_use]
pub fn destination_not_found(id: &str) -> AwsError {
    invalid(format!("Destination Id {id} not found"))
}

/// The delivery stream cannot be changed in its present state. Unverified.
#[must_use]
pub fn not_changeable(name: &str, account: &str, status: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceInUseException,
        format!("Firehose {name} under accountId {account} is in state {status} and cannot be changed."),
    )
}

/// Encryption is being started or stopped. Unverified.
#[must_use]
pub fn encryption_changing(name: &str, account: &str, status: &str) -> AwsError {
    AwsError::new(
        ErrorCode::ResourceInUseException,
        format!("Server side encryption of Firehose {name} under accountId {account} is in state {status}."),
    )
}

/// Encryption was started and stopped too often within 24 hours. Unverified.
#[must_use]
pub fn encryption_limit(name: &str, account: &str, limit: usize) -> AwsError {
    AwsError::new(
        ErrorCode::LimitExceededException,
        format!(
            "StartDeliveryStreamEncryption and StopDeliveryStreamEncryption can be called {limit} times in 24 hours \
             for Firehose {name} under accountId {account}."
        ),
    )
}

/// More tags than a delivery stream may have. Unverified.
#[must_use]
pub fn too_many_tags(name: &str, account: &str, limit: usize) -> AwsError {
    AwsError::new(
        ErrorCode::LimitExceededException,
        format!("Firehose {name} under accountId {account} cannot have more than {limit} tags."),
    )
}
