//! What `UpdateDestination` asks for, in the domain's types. Absent members stay absent: the domain merges.

use levada_core::catalog::{
    BucketUpdate, Buffering, Destination, DestinationUpdate, HttpEndpointDestination, HttpEndpointUpdate,
    OpenSearchDestination, OpenSearchUpdate, Partitioning, Processing, RequestsUpdate, S3Update, SplunkDestination,
    SplunkUpdate,
};
use levada_wire::error::AwsError;
use levada_wire::firehose::{errors, types};

use super::configuration as to;
use super::processing::{self, Context};

/// The one update of a request that is made to `present`.
///
/// # Errors
/// AWS's for what is wrong, and ours for what this version does not do.
pub(in crate::firehose) fn of(
    request: &types::UpdateDestination,
    present: &Destination,
) -> Result<DestinationUpdate, AwsError> {
    let mut updates = request.updates();
    let only = updates.next().ok_or_else(errors::no_update)?;
    if updates.next().is_some() {
        return Err(errors::not_one_update());
    }
    match only {
        types::DestinationUpdate::S3(update) => {
            let bucket = bucket(update)?;
            Ok(DestinationUpdate::S3(S3Update { bucket, ..S3Update::default() }))
        }
        types::DestinationUpdate::ExtendedS3(update) => s3(update, present).map(DestinationUpdate::S3),
        types::DestinationUpdate::HttpEndpoint(update) => {
            http_endpoint(update, present).map(DestinationUpdate::HttpEndpoint)
        }
        types::DestinationUpdate::Splunk(update) => splunk(update, present).map(DestinationUpdate::Splunk),
        types::DestinationUpdate::OpenSearch(form, update) => {
            open_search(form, update, present).map(DestinationUpdate::OpenSearch)
        }
        // A destination of this kind cannot exist here.
        types::DestinationUpdate::Unserved { destination } => Err(errors::type_change(destination)),
    }
}

fn s3(update: &types::ExtendedS3DestinationUpdate, present: &Destination) -> Result<S3Update, AwsError> {
    let conversion = update.data_format_conversion_configuration.as_ref();
    let conversion = conversion
        .map(|conversion| to::conversion(conversion, update.compression_format, update.buffering_hints.as_ref()));
    let role_arn = update.role_arn.as_deref().or(match present {
        Destination::S3(s3) => Some(s3.bucket.role_arn.as_str()),
        Destination::HttpEndpoint(_) | Destination::Splunk(_) | Destination::OpenSearch(_) => None,
    });
    Ok(S3Update {
        bucket: BucketUpdate {
            bucket_arn: update.bucket_arn.clone(),
            role_arn: update.role_arn.clone(),
            prefix: update.prefix.clone(),
            error_prefix: update.error_output_prefix.clone(),
            buffering: to::buffering(update.buffering_hints.as_ref())?,
            compression: update.compression_format.map(to::compression),
            logging: update.cloud_watch_logging_options.as_ref().map(to::logging),
            encryption: to::object_encryption(update.encryption_configuration.as_ref())?,
        },
        file_extension: update.file_extension.clone(),
        time_zone: update.custom_time_zone.clone(),
        processing: processed(update.processing_configuration.as_ref(), present, Context::new(role_arn))?,
        partitioning: update.dynamic_partitioning_configuration.as_ref().map(|asked| partitioning(asked, present)),
        conversion: conversion.transpose()?,
        backup_enabled: update.s3_backup_mode.map(|mode| mode == types::S3BackupMode::Enabled),
        backup: update.s3_backup_update.as_ref().map(bucket).transpose()?,
    })
}

fn http_endpoint(
    update: &types::HttpEndpointDestinationUpdate,
    present: &Destination,
) -> Result<HttpEndpointUpdate, AwsError> {
    let endpoint = update.endpoint_configuration.as_ref();
    let role_arn = update.role_arn.as_deref().or(match present {
        Destination::HttpEndpoint(http) => http.role_arn.as_deref(),
        Destination::S3(_) | Destination::Splunk(_) | Destination::OpenSearch(_) => None,
    });
    Ok(HttpEndpointUpdate {
        url: endpoint.map(|endpoint| endpoint.url.clone()),
        name: endpoint.and_then(|endpoint| endpoint.name.clone()),
        access_key: endpoint.and_then(|endpoint| endpoint.access_key.as_ref()).map(to::secret),
        request: update.request_configuration.as_ref().map(to::request),
        role_arn: update.role_arn.clone(),
        secrets_manager: update.secrets_manager_configuration.as_ref().map(to::secrets_manager),
        common: RequestsUpdate {
            buffering: to::buffering(update.buffering_hints.as_ref())?,
            retry_secs: to::retry_secs(update.retry_options.as_ref()),
            backup_mode: update.s3_backup_mode.map(to::http_backup_mode),
            backup: update.s3_update.as_ref().map(bucket).transpose()?,
            processing: processed(update.processing_configuration.as_ref(), present, Context::new(role_arn))?,
            logging: update.cloud_watch_logging_options.as_ref().map(to::logging),
        },
    })
}

fn splunk(update: &types::SplunkDestinationUpdate, present: &Destination) -> Result<SplunkUpdate, AwsError> {
    Ok(SplunkUpdate {
        endpoint: update.hec_endpoint.clone(),
        endpoint_type: update.hec_endpoint_type.map(to::hec_endpoint_type),
        token: update.hec_token.as_ref().map(to::secret),
        ack_timeout_secs: update.hec_acknowledgment_timeout_in_seconds,
        secrets_manager: update.secrets_manager_configuration.as_ref().map(to::secrets_manager),
        common: RequestsUpdate {
            buffering: each_hint(update.buffering_hints.as_ref(), present),
            retry_secs: to::retry_secs(update.retry_options.as_ref()),
            backup_mode: update.s3_backup_mode.map(to::splunk_backup_mode),
            backup: update.s3_update.as_ref().map(bucket).transpose()?,
            processing: processed(update.processing_configuration.as_ref(), present, Context::splunk())?,
            logging: update.cloud_watch_logging_options.as_ref().map(to::logging),
        },
    })
}

fn open_search(
    form: types::OpenSearchForm,
    update: &types::OpenSearchDestinationUpdate,
    present: &Destination,
) -> Result<OpenSearchUpdate, AwsError> {
    let role_arn = update.role_arn.as_deref().or(match present {
        Destination::OpenSearch(search) => Some(search.role_arn.as_str()),
        Destination::S3(_) | Destination::HttpEndpoint(_) | Destination::Splunk(_) => None,
    });
    let address = [&update.domain_arn, &update.cluster_endpoint, &update.collection_endpoint];
    Ok(OpenSearchUpdate {
        flavour: to::flavour(form),
        address: to::search_address(form, address.map(Option::as_deref))?,
        index_name: update.index_name.clone(),
        type_name: update.type_name.clone(),
        rotation: update.index_rotation_period.map(to::index_rotation),
        document_id: update.document_id_options.as_ref().map(to::document_id_format),
        role_arn: update.role_arn.clone(),
        common: RequestsUpdate {
            buffering: each_hint(update.buffering_hints.as_ref(), present),
            retry_secs: to::retry_secs(update.retry_options.as_ref()),
            // The model has no member for it.
            backup_mode: None,
            backup: update.s3_update.as_ref().map(bucket).transpose()?,
            processing: processed(update.processing_configuration.as_ref(), present, Context::new(role_arn))?,
            logging: update.cloud_watch_logging_options.as_ref().map(to::logging),
        },
    })
}

fn bucket(update: &types::S3DestinationUpdate) -> Result<BucketUpdate, AwsError> {
    Ok(BucketUpdate {
        bucket_arn: update.bucket_arn.clone(),
        role_arn: update.role_arn.clone(),
        prefix: update.prefix.clone(),
        error_prefix: update.error_output_prefix.clone(),
        buffering: to::buffering(update.buffering_hints.as_ref())?,
        compression: update.compression_format.map(to::compression),
        logging: update.cloud_watch_logging_options.as_ref().map(to::logging),
        encryption: to::object_encryption(update.encryption_configuration.as_ref())?,
    })
}

/// Of hints that may be given alone the one that is not said stays.
fn each_hint(hints: Option<&types::BufferingHints>, present: &Destination) -> Option<Buffering> {
    let present = match present {
        Destination::S3(s3) => s3.bucket.buffering,
        Destination::HttpEndpoint(HttpEndpointDestination { common, .. })
        | Destination::Splunk(SplunkDestination { common, .. })
        | Destination::OpenSearch(OpenSearchDestination { common, .. }) => common.buffering,
    };
    hints.map(|hints| to::each_hint(Some(hints), present))
}

/// Dynamic partitioning, of which stays what is not said.
fn partitioning(asked: &types::DynamicPartitioningConfiguration, present: &Destination) -> Partitioning {
    let present = match present {
        Destination::S3(s3) => s3.partitioning,
        Destination::HttpEndpoint(_) | Destination::Splunk(_) | Destination::OpenSearch(_) => None,
    };
    to::partitioning(asked, present.unwrap_or_default())
}

/// Processing is replaced as a whole, but for whether it is on: that stays if nothing is said of it.
fn processed(
    update: Option<&types::ProcessingConfiguration>,
    present: &Destination,
    context: Context<'_>,
) -> Result<Option<Processing>, AwsError> {
    let enabled = present.processing().is_some_and(|processing| processing.enabled);
    update.map(|update| processing::of(update, Context { enabled, ..context })).transpose()
}
