//! Tags of streams and consumers.

use super::invalid;
use crate::error::AwsError;

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

/// A tag's key or value has a character that AWS does not take (seen by kinesalite in 2015).
#[must_use]
pub fn invalid_tag_characters() -> AwsError {
    invalid(
        "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % \
         @ :.",
    )
}
