//! Refusals of the catalog in AWS's words: the one place where the one becomes the other.

use levada_core::catalog::DomainError;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors::{self, StreamText};

use crate::registry::SubmitError;

/// What a refusal of the catalog answers.
pub(crate) fn refused(error: &DomainError) -> AwsError {
    use levada_wire::firehose::errors as firehose;
    let stream = |name, account| StreamText { stream: name, account };
    match error {
        DomainError::StreamNotFound { name, account } => errors::stream_not_found(stream(name, account.as_str())),
        DomainError::StreamExists { name, account } => errors::stream_exists(stream(name, account.as_str())),
        DomainError::StreamNotActive { name, account, status } => {
            errors::stream_not_active(stream(name, account.as_str()), status.name())
        }
        DomainError::ShardCountMissing => errors::shard_count_missing(),
        DomainError::ShardCountOnDemand => errors::shard_count_on_demand(),
        DomainError::ShardLimit { scope, current, limit, requested } => {
            errors::shard_limit_exceeded(scope.account.as_str(), &scope.region, *current, *limit, *requested)
        }
        DomainError::SystemTag => errors::system_tag(),
        DomainError::TooManyTags { arn, account } => errors::too_many_tags(arn, account.as_str()),
        DomainError::DeliveryStreamNotFound { name, account } => firehose::not_found(name, account.as_str()),
        DomainError::DeliveryStreamExists { name, account } => firehose::exists(name, account.as_str()),
        DomainError::DeliveryStreamBusy { name, account, status } => {
            firehose::not_deletable(name, account.as_str(), status.name())
        }
    }
}

/// What a failed command answers.
pub(crate) fn not_submitted(error: &SubmitError) -> AwsError {
    match error {
        SubmitError::Refused(error) => refused(error),
        SubmitError::Moved | SubmitError::Unavailable(_) => {
            let reason = error;
            tracing::error!(%reason, "the catalog cannot be written");
            AwsError::internal_failure()
        }
    }
}
