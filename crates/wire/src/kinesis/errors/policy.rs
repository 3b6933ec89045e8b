//! Resource policies.

use super::{invalid, not_found};
use crate::error::AwsError;

/// The resource has no policy to delete.
#[must_use]
pub fn policy_not_found(resource_arn: &str) -> AwsError {
    not_found(format!("No resource policy found for resource ARN {resource_arn}."))
}

/// The policy is not JSON.
#[must_use]
pub fn policy_not_json() -> AwsError {
    policy_invalid("This policy contains invalid Json")
}

/// The policy or a statement of it lacks an element (`Statement`, `Principal`, `Action`…). Unverified.
#[must_use]
pub fn policy_lacks(element: &str) -> AwsError {
    policy_invalid(&format!("Missing required field {element}"))
}

/// An element has a value that the policy language does not know (`Effect`, `Version`…). Unverified.
#[must_use]
pub fn policy_element_invalid(element: &str) -> AwsError {
    policy_invalid(&format!("Invalid value of field {element}"))
}

/// The policy is longer than [`limits::POLICY_BYTES`](crate::limits::POLICY_BYTES). Unverified.
#[must_use]
pub fn policy_too_long() -> AwsError {
    policy_invalid(&format!("The policy exceeds the limit of {} bytes", crate::limits::POLICY_BYTES))
}

fn policy_invalid(reason: &str) -> AwsError {
    invalid(format!("Policy validation error: {reason}"))
}
