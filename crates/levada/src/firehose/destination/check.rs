//! What AWS demands of a destination as a whole, at creation and after each update.

use levada_core::catalog::{
    BucketSettings, CloudWatchLogging, Destination, HttpEndpointDestination, ProcessorKind, S3Destination, Scope,
    SecretsManager, Source, SplunkDestination,
};
use levada_delivery::PrefixError;
use levada_wire::error::AwsError;
use levada_wire::firehose::errors;
use levada_wire::limits;

use crate::deliveries::{BadChain, Undeliverable};
use crate::node::Node;

/// Checks a destination of a delivery stream in `region`.
///
/// # Errors
/// AWS's for what is wrong.
pub(in crate::firehose) fn check(region: &str, destination: &Destination) -> Result<(), AwsError> {
    match destination {
        Destination::S3(s3) => partitioned(s3)?,
        Destination::HttpEndpoint(http) => http_endpoint(http, region)?,
        Destination::Splunk(to) => splunk(to, region)?,
        Destination::OpenSearch(_) => {}
    }
    log_streams(destination)?;
    processors(destination)
}

/// Checks a destination against the one that it replaces. Decompression comes in the place of a function that did it, or
/// at creation.
///
/// # Errors
/// AWS's.
pub(in crate::firehose) fn check_change(from: &Destination, to: &Destination) -> Result<(), AwsError> {
    let active = |of: &Destination, kind| of.processing().is_some_and(|processing| processing.active(kind).is_some());
    let had = |kind| active(from, kind);
    let decompresses = active(to, ProcessorKind::Decompression);
    if decompresses && !had(ProcessorKind::Decompression) && !had(ProcessorKind::Lambda) {
        return Err(errors::decompression_is_for_creation());
    }
    Ok(())
}

/// Whether this node can deliver there for a delivery stream that is or is to be: keys can be built, queries compiled,
/// buckets, functions and addresses are known. What depends on where a bucket is comes first.
///
/// # Errors
/// AWS's where its words are known, and ours.
pub(in crate::firehose) fn deliverable(
    node: &Node,
    scope: &Scope,
    name: &str,
    source: &Source,
    destination: &Destination,
) -> Result<(), AwsError> {
    destination.buckets().try_for_each(|bucket| object_key(node, &scope.region, bucket))?;
    node.check_destination(scope, name, source, destination).map_err(|error| undeliverable(&error))
}

/// The key of a bucket's objects has to be of the bucket's region: the delivery stream's, or the one that the configuration
/// signs for.
fn object_key(node: &Node, region: &str, bucket: &BucketSettings) -> Result<(), AwsError> {
    let Some(arn) = bucket.kms_key_arn.as_deref() else { return Ok(()) };
    // arn:aws:kms:REGION:…
    let of_key = arn.split(':').nth(3).unwrap_or_default();
    if of_key == region || node.config.region_of_bucket(bucket.bucket()) == Some(of_key) {
        return Ok(());
    }
    Err(errors::object_key_of_other_region(arn, of_key, region))
}

pub(super) fn undeliverable(error: &Undeliverable) -> AwsError {
    match error {
        Undeliverable::Keys(error) => bad_prefix(error),
        Undeliverable::Chain(BadChain::Query(error)) => errors::bad_query(&error.to_string()),
        Undeliverable::Chain(BadChain::UnknownFunction(_) | BadChain::Parameter(..))
        | Undeliverable::Endpoint(_)
        | Undeliverable::NoToken
        | Undeliverable::Bucket(_) => errors::invalid_destination(&error.to_string()),
    }
}

fn bad_prefix(error: &PrefixError) -> AwsError {
    match error {
        PrefixError::BadExpression { member: _, text } => errors::bad_expression(text),
        PrefixError::UnknownNamespace { member: _, namespace } => errors::unknown_namespace(namespace),
        PrefixError::BadValue { member, .. } => errors::bad_expression_value(member.name()),
        PrefixError::ErrorPrefixRequired => errors::error_prefix_missing(),
        PrefixError::ErrorTypeMissing => errors::error_type_missing(),
        PrefixError::ErrorTypeInPrefix => errors::error_type_in_prefix(),
        PrefixError::PartitionKeyInErrorPrefix => errors::partition_key_in_error_prefix(),
        PrefixError::PartitioningDisabled => errors::partition_key_without_partitioning(),
        PrefixError::PartitionKeyMissing => errors::no_partition_key(),
        PrefixError::NoQuery => errors::query_missing(),
        PrefixError::NoLambda => errors::function_missing(),
        PrefixError::QueryKeyUnknown(key) => errors::unknown_query_key(key),
        PrefixError::QueryKeyUnused(_) => errors::unused_query_key(),
        PrefixError::TooLong(member) => {
            // AWS writes the one small and the other as the member is called.
            let name = if member.name() == "Prefix" { "prefix" } else { member.name() };
            errors::prefix_too_long(name, limits::EVALUATED_PREFIX)
        }
        PrefixError::UnknownTimeZone(_) => errors::unknown_time_zone(),
    }
}

/// Dynamic partitioning, and the backup that S3 has for itself.
fn partitioned(s3: &S3Destination) -> Result<(), AwsError> {
    if s3.backup_enabled && s3.backup.is_none() {
        return Err(errors::backup_missing());
    }
    if !s3.partitioning.is_some_and(|partitioning| partitioning.enabled) {
        return Ok(());
    }
    if s3.bucket.buffering.size_mb < limits::PARTITIONED_BUFFER_MB_MIN {
        return Err(errors::partitioned_buffer_too_small());
    }
    if s3.bucket.buffering.interval_secs < limits::PARTITIONED_INTERVAL_S_MIN {
        return Err(errors::partitioned_interval_too_short());
    }
    let names_partitions = |kind| s3.processing.as_ref().is_some_and(|processing| processing.active(kind).is_some());
    if names_partitions(ProcessorKind::MetadataExtraction) || names_partitions(ProcessorKind::Lambda) {
        Ok(())
    } else {
        Err(errors::partitioning_without_processing())
    }
}

fn http_endpoint(http: &HttpEndpointDestination, region: &str) -> Result<(), AwsError> {
    let attributes = http.request.iter().flat_map(|request| &request.common_attributes);
    let names: Vec<&str> = attributes.map(|(name, _)| name.as_str()).collect();
    for (n, name) in names.iter().enumerate() {
        if names[..n].contains(name) {
            return Err(errors::duplicate_attribute(name));
        }
    }
    secret(http.secrets_manager.as_ref(), region)
}

fn splunk(to: &SplunkDestination, region: &str) -> Result<(), AwsError> {
    // A path would come before the collector's own; a slash at the end is none.
    let host = to.endpoint.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':') || host.contains(['/', '?', '#'])) {
        return Err(errors::bad_hec_endpoint());
    }
    secret(to.secrets_manager.as_ref(), region)?;
    match (&to.token, &to.secrets_manager) {
        (Some(_), _) => Ok(()),
        (None, Some(manager)) if manager.enabled => {
            Err(errors::unsupported("SecretsManagerConfiguration in the place of HECToken"))
        }
        (None, _) => Err(errors::hec_token_missing()),
    }
}

fn secret(manager: Option<&SecretsManager>, region: &str) -> Result<(), AwsError> {
    let Some(manager) = manager.filter(|manager| manager.enabled) else { return Ok(()) };
    let arn = manager.secret_arn.as_deref().ok_or_else(errors::secret_arn_missing)?;
    // arn:aws:secretsmanager:REGION:…
    if arn.split(':').nth(3) == Some(region) { Ok(()) } else { Err(errors::secret_of_other_region()) }
}

/// Error logging is kept and described only, but has to be said in full.
fn log_streams(destination: &Destination) -> Result<(), AwsError> {
    let own = match destination {
        Destination::S3(_) => None,
        Destination::HttpEndpoint(http) => Some(&http.common.logging),
        Destination::Splunk(splunk) => Some(&splunk.common.logging),
        Destination::OpenSearch(search) => Some(&search.common.logging),
    };
    let of_buckets = destination.buckets().map(|bucket| &bucket.logging);
    for logging in own.into_iter().chain(of_buckets).filter(|logging| logging.enabled) {
        let CloudWatchLogging { enabled: _, group, stream } = logging;
        let said = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        if !said(group) {
            return Err(errors::log_group_missing());
        }
        if !said(stream) {
            return Err(errors::log_stream_missing());
        }
    }
    Ok(())
}

/// Two kinds of processors belong to dynamic partitioning.
fn processors(destination: &Destination) -> Result<(), AwsError> {
    let partitioned = match destination {
        Destination::S3(s3) => s3.partitioning.is_some_and(|partitioning| partitioning.enabled),
        Destination::HttpEndpoint(_) | Destination::Splunk(_) | Destination::OpenSearch(_) => false,
    };
    let given = destination.processing().into_iter().flat_map(|processing| &processing.processors).map(|p| p.kind);
    let of_partitioning =
        |kind: &ProcessorKind| matches!(kind, ProcessorKind::RecordDeAggregation | ProcessorKind::MetadataExtraction);
    match given.into_iter().find(of_partitioning) {
        Some(kind) if !partitioned => Err(errors::needs_partitioning(kind.name())),
        _ => Ok(()),
    }
}
