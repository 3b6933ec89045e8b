//! Refusals of destinations: what they are, their buffers, backups, endpoints, conversion.

use super::{invalid, invalid_texts};
use crate::error::{AwsError, quoted};

invalid_texts! {
    /// No destination, or more than one.
    not_one_destination = "Exactly one destination configuration is supported for a Firehose";
    /// Buffering hints with one of size and interval only. Unverified.
    half_buffering_hints = "SizeInMBs and IntervalInSeconds must both be specified in BufferingHints";
    /// A buffer too small for dynamic partitioning (seen in 2026).
    partitioned_buffer_too_small =
        "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.";
    /// A buffer too short for dynamic partitioning (CDK).
    partitioned_interval_too_short =
        "BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning is enabled.";
    /// A buffer too small for conversion (quoted by the acceptance tests of Terraform's provider).
    converted_buffer_too_small =
        "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.";
    /// Conversion beside a compression of its own (seen in 2026).
    converted_and_compressed = "The S3 destination's compression format must be set to UNCOMPRESSED when data format \
                                conversion is enabled. To enable compression within the converted output format, set \
                                the appropriate serialization option in the output format configuration.";
    /// Both keys of objects, or neither (seen in 2026).
    not_one_encryption = "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified";
    /// Error logging to no log group (seen in 2026).
    log_group_missing = "CloudWatch Log Group Name is required if CloudWatch Logging is enabled";
    /// Error logging to no log stream. Unverified; formed after the one of the log group.
    log_stream_missing = "CloudWatch Log Stream Name is required if CloudWatch Logging is enabled";
    /// A backup to nowhere (seen in 2026).
    backup_missing = "S3 backup destination configuration is required when enabling S3 backup.";
    /// A backup of all records stays (seen for S3, Splunk and HTTP endpoints).
    backup_disabled = "Disabling S3 backup is not currently supported.";
    /// Dynamic partitioning is decided when a delivery stream is created. Unverified.
    partitioning_is_for_creation =
        "Dynamic Partitioning can only be enabled or disabled when the delivery stream is created.";
    /// A zone that AWS does not know (seen in 2026).
    unknown_time_zone = "Provided custom time zone is not supported. Custom time zones are limited to UTC and \
                         non-3-letter IANA time zones.";
    /// Neither a domain nor an endpoint of OpenSearch (seen in 2026).
    no_cluster = "Provide either the Elasticsearch cluster endpoint or domain arn. Must specify cluster endpoint for \
                  cross account Elasticsearch cluster.";
    /// Both a domain and an endpoint of OpenSearch (seen in 2026).
    two_clusters = "Cannot provide both Elasticsearch cluster endpoint and domain ARN. Provide either the cluster \
                    endpoint or domain arn. Must specify cluster endpoint for cross account elasticsearch cluster.";
    /// OpenSearch Serverless without a collection (seen in 2026).
    no_collection = "Must specify collection endpoint for delivery to OpenSearch serverless.";
    /// An address of Splunk that is none (seen in 2026).
    bad_hec_endpoint = "Invalid HECEndpoint. Supported endpoint format is https://<domain>:<port>.";
    /// Splunk without a token and without a secret. Unverified.
    hec_token_missing = "HECToken is required for Splunk destination";
    /// A secret that is to be used and not named (seen in 2026).
    secret_arn_missing = "Invalid secret ARN: null";
    /// A secret of another region (seen in 2026).
    secret_of_other_region =
        "Cross-region secrets are not allowed. Please provide a secret in the same region as firehose";
}

/// Objects are to be encrypted with a key of another region than their bucket's (seen in 2026).
#[must_use]
pub fn object_key_of_other_region(arn: &str, key_region: &str, bucket_region: &str) -> AwsError {
    invalid(format!(
        "KMS Key {} does not exist in the same region as the S3 bucket. KMS Key region: {}. S3 Bucket Region: \
         {bucket_region}",
        quoted(arn),
        quoted(key_region)
    ))
}

/// Two common attributes of one name (seen in 2026).
#[must_use]
pub fn duplicate_attribute(name: &str) -> AwsError {
    invalid(format!("Http Endpoint Common Attributes have duplicate name {}.", quoted(name)))
}

/// A destination cannot become one of another kind. `kind` as AWS names the type.
#[must_use]
pub fn type_change(kind: &str) -> AwsError {
    invalid(format!("Changing the destination type to or from {kind} is not supported at this time."))
}

/// A member that conversion cannot do without, with its path's last name (seen in 2026).
#[must_use]
pub fn conversion_member_missing(member: &str) -> AwsError {
    invalid(format!("{member} must not be null"))
}

/// Serializer or deserializer given twice (seen in 2026): `what` is one of the two words.
#[must_use]
pub fn more_than_one_serde(what: &str) -> AwsError {
    invalid(format!("More than one {what} specified. Only one may be chosen."))
}

/// A destination that cannot be delivered to as configured. AWS's texts for these are not known; this one says what
/// is wrong.
#[must_use]
pub fn invalid_destination(reason: &str) -> AwsError {
    invalid(reason)
}
