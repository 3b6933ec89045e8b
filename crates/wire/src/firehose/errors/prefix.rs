//! Refusals of prefixes and their expressions, all seen in 2026 unless marked.

use super::{invalid, invalid_texts};
use crate::error::{AwsError, quoted};

/// A refusal of what stands in a prefix, after the sentence that precedes them all.
fn constraint(text: &str) -> AwsError {
    invalid(format!("The supplied prefix(es) do not satisfy the following constraint: {text}"))
}

/// The prefix of error output is missing where the other has expressions.
#[must_use]
pub fn error_prefix_missing() -> AwsError {
    constraint("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")
}

/// The prefix of error output has expressions, and none for the type of the error.
#[must_use]
pub fn error_type_missing() -> AwsError {
    constraint("ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}")
}

/// The prefix of delivered records has an expression for the type of an error.
#[must_use]
pub fn error_type_in_prefix() -> AwsError {
    constraint("Prefix must not contain any occurrence of !{firehose:error-output-type}")
}

/// An expression that does not end, or has no namespace.
#[must_use]
pub fn bad_expression(prefix: &str) -> AwsError {
    constraint(&format!("Invalid expression usage: {}.Must be of the form !{{<namespace>:<value>}}", quoted(prefix)))
}

/// An expression of an unknown namespace.
#[must_use]
pub fn unknown_namespace(namespace: &str) -> AwsError {
    constraint(&format!("Namespace to the left of colon ({}) is an invalid keyword!", quoted(namespace)))
}

/// A value that its namespace does not have, or a letter that timestamps do not have. `member` is `Prefix` or
/// `ErrorOutputPrefix`.
#[must_use]
pub fn bad_expression_value(member: &str) -> AwsError {
    constraint(&format!("Invalid conversion character used in the value of the expression in {member}"))
}

/// A prefix longer than AWS evaluates: `prefix` or `ErrorOutputPrefix`, and the most characters it may have.
#[must_use]
pub fn prefix_too_long(member: &str, limit: usize) -> AwsError {
    constraint(&format!("Length of evaluated {member} cannot be greater than {limit}"))
}

invalid_texts! {
    /// Partition keys in the prefix of error output.
    partition_key_in_error_prefix = "Dynamic Partitioning Namespaces can't be part of an error prefix expression";
    /// Partition keys without partitions (CDK, and issues of Terraform's provider).
    partition_key_without_partitioning = "Dynamic Partitioning Namespaces can only be part of a prefix expression \
                                          when Dynamic Partitioning is enabled.";
    /// Partitions without partition keys.
    no_partition_key =
        "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled";
    /// Partition keys of a query that is not there (CDK).
    query_missing =
        "MetadataExtraction processor should be present when S3 Prefix has partitionKeyFromQuery namespace";
    /// Partition keys of a function that is not there (CDK).
    function_missing =
        "Lambda should be present when S3 Prefix contains keys from partitionKeyFromLambda namespace";
    /// A query that makes keys which the prefix does not use (seen in 2026, of one that lacked a key of the prefix too).
    unused_query_key =
        "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression";
}

/// A prefix that uses a key which the query does not make. Unverified.
#[must_use]
pub fn unknown_query_key(key: &str) -> AwsError {
    invalid(format!("S3 Prefix contains the key {} that MetaDataExtraction JQ Query does not have", quoted(key)))
}
