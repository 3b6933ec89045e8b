//! Refusals of the catalog in AWS's words: the one place where the one becomes the other.

use levada_core::catalog::{DeliveryError, DestinationKind, DomainError, MAX_TARGET_SHARDS, SettingError};
use levada_core::reshard::ReshardError;
use levada_wire::error::AwsError;
use levada_wire::kinesis::arn::{Arn, Resource};
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
        DomainError::ShardCountZero => errors::shard_count_zero(),
        DomainError::ConsumerNotActive { consumer, created_secs, stream: name, account } => {
            errors::consumer_resource_not_active(consumer, *created_secs, stream(name, account.as_str()))
        }
        DomainError::ShardCountOnDemand => errors::shard_count_on_demand(),
        DomainError::ShardLimit { scope, current, limit, requested } => {
            errors::shard_limit_exceeded(scope.account.as_str(), &scope.region, *current, *limit, *requested)
        }
        DomainError::ConsumersRegistered { name, account } => {
            errors::consumers_registered(stream(name, account.as_str()))
        }
        DomainError::RateExceeded { name, account } => errors::control_rate_exceeded(stream(name, account.as_str())),
        DomainError::CreatingStreamLimit { account, limit } => {
            errors::too_many_creating_streams(account.as_str(), *limit)
        }
        DomainError::OnDemandStreamLimit { scope, current, limit } => {
            errors::on_demand_limit_exceeded(scope.account.as_str(), &scope.region, *current, *limit)
        }
        DomainError::Setting(error) => setting_refused(error),
        DomainError::OnDemand { name, account } => errors::stream_on_demand(stream(name, account.as_str())),
        DomainError::Reshard { name, account, error } => reshard_refused(error, stream(name, account.as_str())),
        DomainError::ScaleTooLarge { current, target } => {
            errors::shard_count_over_maximum(MAX_TARGET_SHARDS, *current, *target)
        }
        DomainError::ConsumerExists { consumer, stream: name, account } => {
            errors::consumer_exists(consumer, stream(name, account.as_str()))
        }
        DomainError::ConsumerNotFound { consumer, created_secs, stream: name, account } => match created_secs {
            Some(secs) => errors::consumer_not_found(consumer, *secs, stream(name, account.as_str())),
            None => errors::consumer_name_not_found(consumer, stream(name, account.as_str())),
        },
        DomainError::ConsumerLimit { stream: name, account, limit } => {
            errors::too_many_consumers(stream(name, account.as_str()), *limit)
        }
        DomainError::CreatingConsumerLimit { stream: name, account, limit } => {
            errors::too_many_creating_consumers(stream(name, account.as_str()), *limit)
        }
        DomainError::PolicyNotFound { arn } => errors::policy_not_found(arn),
        DomainError::SystemTag => errors::system_tag(),
        DomainError::TooManyTags { arn, account } => errors::too_many_tags(arn, account.as_str()),
        DomainError::DeliveryStreamNotFound { name, account } => firehose::not_found(name, account.as_str()),
        DomainError::DeliveryStreamExists { name, account } => firehose::exists(name, account.as_str()),
        DomainError::DeliveryStreamBusy { name, account, status } => {
            firehose::not_deletable(name, account.as_str(), status.name())
        }
        DomainError::Delivery(error) => delivery_refused(error),
    }
}

fn delivery_refused(error: &DeliveryError) -> AwsError {
    use levada_wire::firehose::errors as firehose;
    match error {
        DeliveryError::Limit { scope, limit } => firehose::too_many_delivery_streams(scope.account.as_str(), *limit),
        DeliveryError::TooManyTags { name, account } => {
            firehose::too_many_tags(name, account.as_str(), levada_core::catalog::MAX_TAGS)
        }
        DeliveryError::SourceNotFound { arn } => firehose::source_refused(&source_not_found(arn)),
        DeliveryError::NotActive { name, account, status } => {
            firehose::not_changeable(name, account.as_str(), status.name())
        }
        DeliveryError::Version { name, current, specified } => firehose::version_mismatch(name, *current, specified),
        DeliveryError::DestinationType { from, to } => firehose::type_change(destination_type(*from, *to)),
        DeliveryError::BackupDisabled | DeliveryError::BackupModeChange(_) => firehose::backup_disabled(),
        DeliveryError::BackupWithoutBucket => firehose::backup_missing(),
        DeliveryError::PartitioningChange { .. } => firehose::partitioning_is_for_creation(),
        DeliveryError::EncryptionOfSource { .. } => firehose::encryption_of_source(),
        DeliveryError::EncryptionBusy { name, account, status } => {
            firehose::encryption_changing(name, account.as_str(), status.name())
        }
        DeliveryError::EncryptionLimit { name, account, limit } => {
            firehose::encryption_limit(name, account.as_str(), *limit)
        }
    }
}

/// What Kinesis says of a stream that is not there.
fn source_not_found(arn: &str) -> AwsError {
    match Arn::parse(arn) {
        Some(Arn { account, resource: Resource::Stream { stream }, .. }) => {
            errors::stream_not_found(StreamText { stream, account })
        }
        _ => errors::stream_not_found(StreamText { stream: arn, account: "" }),
    }
}

/// The type that cannot be changed to or from: the one of the two that is not S3. How AWS names types in this text is
/// not known.
fn destination_type(from: DestinationKind, to: DestinationKind) -> &'static str {
    let name = |kind| match kind {
        DestinationKind::S3 => "S3",
        DestinationKind::HttpEndpoint => "HttpEndpoint",
        DestinationKind::Splunk => "Splunk",
        DestinationKind::OpenSearch => "Amazonopensearchservice",
        DestinationKind::OpenSearchServerless => "AmazonOpenSearchServerless",
        DestinationKind::Elasticsearch => "Elasticsearch",
    };
    name(if to == DestinationKind::S3 { from } else { to })
}

fn setting_refused(error: &SettingError) -> AwsError {
    match error {
        SettingError::DistributionNeedsOnDemand => errors::distribution_needs_on_demand(),
        SettingError::WarmThroughputNeedsOnDemand => errors::warm_throughput_needs_on_demand(),
        SettingError::WarmThroughputTooHigh { mibps } => errors::warm_throughput_too_high(*mibps),
        SettingError::NoCommitment { account } => errors::no_throughput_commitment(account.as_str()),
        SettingError::RetentionTooShort { hours } => errors::retention_too_short(*hours),
        SettingError::RetentionTooLong { hours } => errors::retention_too_long(*hours),
        SettingError::RetentionDirection { name, requested, existing } if requested > existing => {
            errors::retention_not_decreased(i64::from(*requested), name, *existing)
        }
        SettingError::RetentionDirection { name, requested, existing } => {
            errors::retention_not_increased(i64::from(*requested), name, *existing)
        }
        SettingError::NotEncrypted => errors::not_encrypted(),
    }
}

fn reshard_refused(error: &ReshardError, stream: StreamText<'_>) -> AwsError {
    match error {
        ReshardError::ShardNotFound(shard) => errors::could_not_find_shard(&shard.to_string(), stream),
        ReshardError::HasEnd(shard) => errors::shard_already_resharded(&shard.to_string(), stream),
        ReshardError::SplitKey { given, shard, range } => errors::split_key_out_of_range(
            given,
            &shard.to_string(),
            stream,
            &range.start.to_string(),
            &range.end.to_string(),
        ),
        ReshardError::NotAdjacent { shard, adjacent } => {
            errors::shards_not_adjacent(&shard.to_string(), &adjacent.to_string(), stream)
        }
        ReshardError::TooMany { open, target } => errors::shard_count_over_double(*open, *target),
        ReshardError::TooFew { open, target } => errors::shard_count_below_half(*open, *target),
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
