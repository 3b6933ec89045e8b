//! Settings of a stream that exists: retention, encryption, distribution, warm throughput.

use super::{invalid, limit_exceeded, validation};
use crate::error::AwsError;
use crate::limits;

/// Less than 24 hours.
#[must_use]
pub fn retention_too_short(hours: i64) -> AwsError {
    invalid(format!(
        "Minimum allowed retention period is {} hours. Requested retention period ({hours} hours) is too short.",
        limits::RETENTION_HOURS_MIN
    ))
}

/// More than 8,760 hours.
#[must_use]
pub fn retention_too_long(hours: i64) -> AwsError {
    invalid(format!(
        "Maximum allowed retention period is {} hours. Requested retention period ({hours} hours) is too long.",
        limits::RETENTION_HOURS_MAX
    ))
}

/// `DecreaseStreamRetentionPeriod` to more hours than the stream has.
#[must_use]
pub fn retention_not_decreased(hours: i64, stream: &str, existing: u32) -> AwsError {
    invalid(format!(
        "Requested retention period ({hours} hours) for stream {stream} can not be longer than existing retention \
         period ({existing} hours). Use IncreaseRetentionPeriod API."
    ))
}

/// `IncreaseStreamRetentionPeriod` to fewer hours than the stream has.
#[must_use]
pub fn retention_not_increased(hours: i64, stream: &str, existing: u32) -> AwsError {
    invalid(format!(
        "Requested retention period ({hours} hours) for stream {stream} can not be shorter than existing retention \
         period ({existing} hours). Use DecreaseRetentionPeriod API."
    ))
}

/// `StopStreamEncryption` of a stream that is not encrypted.
#[must_use]
pub fn not_encrypted() -> AwsError {
    invalid("Cannot stop encrypting an unencrypted stream.")
}

/// `StartStreamEncryption` or `StopStreamEncryption` with type `NONE`; the API reference allows `KMS` only. Unverified.
#[must_use]
pub fn encryption_type_not_supported() -> AwsError {
    invalid("The only valid EncryptionType is KMS.")
}

/// `AUTO` distribution on a provisioned stream: the code is the API reference's, the text unverified.
#[must_use]
pub fn distribution_needs_on_demand() -> AwsError {
    invalid("RecordDistributionStrategy AUTO is only supported for streams in ON_DEMAND mode.")
}

/// Warm throughput on a provisioned stream, of an account that has a commitment. Unverified.
#[must_use]
pub fn warm_throughput_needs_on_demand() -> AwsError {
    validation("Warm throughput is only supported for streams in ON_DEMAND mode.")
}

/// More warm throughput than a stream may have, in MiB/s. Unverified.
#[must_use]
pub fn warm_throughput_too_high(mibps: u32) -> AwsError {
    limit_exceeded(format!(
        "Requested warm throughput ({mibps} MiBps) exceeds the limit of {} MiBps.",
        limits::WARM_THROUGHPUT_MIBPS_MAX
    ))
}

/// Warm throughput, of an account that has no commitment.
#[must_use]
pub fn no_throughput_commitment(account: &str) -> AwsError {
    validation(format!("Account {account} is not enabled for minimum throughput billing commitment"))
}
