//! A destination as `DescribeDeliveryStream` shows it: with AWS's defaults, without access keys.

use levada_core::catalog::{
    BackupMode, BucketSettings, Buffering, CloudWatchLogging, Compression, ContentEncoding, Destination,
    DocumentIdFormat, HecEndpointType, HttpEndpointDestination, IndexRotation, OpenSearchDestination, Partitioning,
    RequestConfiguration, S3Destination, SearchAddress, SearchFlavour, SecretsManager, SplunkDestination, Vpc,
};
use levada_wire::firehose::types;
use levada_wire::typed::SecretText;

use super::processing;

/// The network that addresses are reached from. AWS shows that of the subnets; here there is none.
const NO_VPC: &str = "vpc-00000000000000000";

/// The one destination of a delivery stream.
pub(in crate::firehose) fn describe(destination: &Destination) -> types::DestinationDescription {
    let only = types::DestinationDescription::only();
    match destination {
        // AWS shows both forms, whichever was given.
        Destination::S3(to) => types::DestinationDescription {
            extended_s3_destination_description: Some(s3(to)),
            s3_destination_description: Some(bucket(&to.bucket)),
            ..only
        },
        Destination::HttpEndpoint(to) => {
            types::DestinationDescription { http_endpoint_destination_description: Some(http_endpoint(to)), ..only }
        }
        Destination::Splunk(to) => {
            types::DestinationDescription { splunk_destination_description: Some(splunk(to)), ..only }
        }
        Destination::OpenSearch(to) => {
            let search = Some(open_search(to));
            match to.flavour {
                SearchFlavour::Service => {
                    types::DestinationDescription { amazonopensearchservice_destination_description: search, ..only }
                }
                SearchFlavour::Serverless => types::DestinationDescription {
                    amazon_open_search_serverless_destination_description: search,
                    ..only
                },
                SearchFlavour::Elasticsearch => {
                    types::DestinationDescription { elasticsearch_destination_description: search, ..only }
                }
            }
        }
    }
}

fn s3(to: &S3Destination) -> types::ExtendedS3DestinationDescription {
    let plain = bucket(&to.bucket);
    let conversion = to.conversion.as_deref();
    let mode = if to.backup_enabled { types::S3BackupMode::Enabled } else { types::S3BackupMode::Disabled };
    types::ExtendedS3DestinationDescription {
        bucket_arn: plain.bucket_arn,
        buffering_hints: plain.buffering_hints,
        cloud_watch_logging_options: plain.cloud_watch_logging_options,
        compression_format: plain.compression_format,
        custom_time_zone: to.time_zone.clone(),
        data_format_conversion_configuration: conversion.and_then(types::DataFormatConversionConfiguration::from_json),
        dynamic_partitioning_configuration: to.partitioning.map(partitioning),
        encryption_configuration: plain.encryption_configuration,
        error_output_prefix: plain.error_output_prefix,
        file_extension: to.file_extension.clone(),
        prefix: plain.prefix,
        processing_configuration: to.processing.as_ref().map(processing::describe),
        role_arn: plain.role_arn,
        s3_backup_description: to.backup.as_ref().map(bucket),
        s3_backup_mode: Some(mode),
    }
}

fn http_endpoint(to: &HttpEndpointDestination) -> types::HttpEndpointDestinationDescription {
    types::HttpEndpointDestinationDescription {
        buffering_hints: Some(buffering(to.common.buffering)),
        cloud_watch_logging_options: Some(logging(&to.common.logging)),
        endpoint_configuration: Some(types::HttpEndpointDescription { name: to.name.clone(), url: to.url.clone() }),
        processing_configuration: to.common.processing.as_ref().map(processing::describe),
        request_configuration: to.request.as_ref().map(request),
        retry_options: Some(retry(to.common.retry_secs)),
        role_arn: to.role_arn.clone(),
        s3_backup_mode: Some(match to.common.backup_mode {
            BackupMode::FailedOnly => types::HttpEndpointS3BackupMode::FailedDataOnly,
            BackupMode::All => types::HttpEndpointS3BackupMode::AllData,
        }),
        s3_destination_description: Some(bucket(&to.common.backup)),
        secrets_manager_configuration: to.secrets_manager.as_ref().map(secrets_manager),
    }
}

fn splunk(to: &SplunkDestination) -> types::SplunkDestinationDescription {
    types::SplunkDestinationDescription {
        buffering_hints: Some(buffering(to.common.buffering)),
        cloud_watch_logging_options: Some(logging(&to.common.logging)),
        hec_acknowledgment_timeout_in_seconds: Some(to.ack_timeout_secs),
        hec_endpoint: Some(to.endpoint.clone()),
        hec_endpoint_type: Some(match to.endpoint_type {
            HecEndpointType::Raw => types::HecEndpointType::Raw,
            HecEndpointType::Event => types::HecEndpointType::Event,
        }),
        hec_token: to.token.as_ref().map(|token| SecretText::new(token.reveal().to_owned())),
        processing_configuration: to.common.processing.as_ref().map(processing::describe),
        retry_options: Some(retry(to.common.retry_secs)),
        s3_backup_mode: Some(match to.common.backup_mode {
            BackupMode::FailedOnly => types::SplunkS3BackupMode::FailedEventsOnly,
            BackupMode::All => types::SplunkS3BackupMode::AllEvents,
        }),
        s3_destination_description: Some(bucket(&to.common.backup)),
        secrets_manager_configuration: to.secrets_manager.as_ref().map(secrets_manager),
    }
}

fn open_search(to: &OpenSearchDestination) -> types::OpenSearchDestinationDescription {
    let serverless = to.flavour == SearchFlavour::Serverless;
    let (domain_arn, endpoint) = match &to.address {
        SearchAddress::Domain(arn) => (Some(arn.clone()), None),
        SearchAddress::Endpoint(url) => (None, Some(url.clone())),
    };
    let (collection_endpoint, cluster_endpoint) = if serverless { (endpoint, None) } else { (None, endpoint) };
    types::OpenSearchDestinationDescription {
        buffering_hints: Some(buffering(to.common.buffering)),
        cloud_watch_logging_options: Some(logging(&to.common.logging)),
        cluster_endpoint,
        collection_endpoint,
        document_id_options: to.document_id.map(document_ids),
        domain_arn,
        index_name: Some(to.index_name.clone()),
        index_rotation_period: (!serverless).then(|| rotation(to.rotation)),
        processing_configuration: to.common.processing.as_ref().map(processing::describe),
        retry_options: Some(retry(to.common.retry_secs)),
        role_arn: Some(to.role_arn.clone()),
        s3_backup_mode: Some(match to.common.backup_mode {
            BackupMode::FailedOnly => types::OpenSearchS3BackupMode::FailedDocumentsOnly,
            BackupMode::All => types::OpenSearchS3BackupMode::AllDocuments,
        }),
        s3_destination_description: Some(bucket(&to.common.backup)),
        type_name: to.type_name.clone(),
        vpc_configuration_description: to.vpc.as_ref().map(vpc),
    }
}

fn bucket(to: &BucketSettings) -> types::S3DestinationDescription {
    types::S3DestinationDescription {
        bucket_arn: to.bucket_arn.clone(),
        buffering_hints: buffering(to.buffering),
        cloud_watch_logging_options: Some(logging(&to.logging)),
        compression_format: compression(to.compression),
        encryption_configuration: encryption(to.kms_key_arn.as_deref()),
        error_output_prefix: to.error_prefix.clone(),
        prefix: to.prefix.clone(),
        role_arn: to.role_arn.clone(),
    }
}

fn buffering(kept: Buffering) -> types::BufferingHints {
    types::BufferingHints { interval_in_seconds: Some(kept.interval_secs), size_in_mbs: Some(kept.size_mb) }
}

fn retry(secs: u32) -> types::RetryOptions {
    types::RetryOptions { duration_in_seconds: Some(secs) }
}

fn partitioning(kept: Partitioning) -> types::DynamicPartitioningConfiguration {
    types::DynamicPartitioningConfiguration { enabled: Some(kept.enabled), retry_options: kept.retry_secs.map(retry) }
}

fn logging(kept: &CloudWatchLogging) -> types::CloudWatchLoggingOptions {
    types::CloudWatchLoggingOptions {
        enabled: Some(kept.enabled),
        log_group_name: kept.group.clone(),
        log_stream_name: kept.stream.clone(),
    }
}

fn encryption(kms_key_arn: Option<&str>) -> types::EncryptionConfiguration {
    let kms = kms_key_arn.map(|arn| types::KmsEncryptionConfig { aws_kms_key_arn: arn.to_owned() });
    types::EncryptionConfiguration {
        no_encryption_config: kms.is_none().then_some(types::NoEncryptionConfig::NoEncryption),
        kms_encryption_config: kms,
    }
}

fn request(kept: &RequestConfiguration) -> types::HttpEndpointRequestConfiguration {
    let attributes = kept.common_attributes.iter().map(|(name, value)| types::HttpEndpointCommonAttribute {
        attribute_name: name.clone(),
        attribute_value: SecretText::new(value.reveal().to_owned()),
    });
    types::HttpEndpointRequestConfiguration {
        common_attributes: Some(attributes.collect()),
        content_encoding: Some(match kept.content_encoding {
            ContentEncoding::None => types::ContentEncoding::None,
            ContentEncoding::Gzip => types::ContentEncoding::Gzip,
        }),
    }
}

fn secrets_manager(kept: &SecretsManager) -> types::SecretsManagerConfiguration {
    types::SecretsManagerConfiguration {
        enabled: kept.enabled,
        role_arn: kept.role_arn.clone(),
        secret_arn: kept.secret_arn.clone(),
    }
}

fn vpc(kept: &Vpc) -> types::VpcConfigurationDescription {
    types::VpcConfigurationDescription {
        role_arn: kept.role_arn.clone(),
        security_group_ids: kept.security_group_ids.clone(),
        subnet_ids: kept.subnet_ids.clone(),
        vpc_id: NO_VPC.to_owned(),
    }
}

fn compression(kept: Compression) -> types::CompressionFormat {
    match kept {
        Compression::Uncompressed => types::CompressionFormat::Uncompressed,
        Compression::Gzip => types::CompressionFormat::Gzip,
        Compression::Zip => types::CompressionFormat::Zip,
        Compression::Snappy => types::CompressionFormat::Snappy,
        Compression::HadoopSnappy => types::CompressionFormat::HadoopSnappy,
    }
}

fn rotation(kept: IndexRotation) -> types::OpenSearchIndexRotationPeriod {
    match kept {
        IndexRotation::NoRotation => types::OpenSearchIndexRotationPeriod::NoRotation,
        IndexRotation::OneHour => types::OpenSearchIndexRotationPeriod::OneHour,
        IndexRotation::OneDay => types::OpenSearchIndexRotationPeriod::OneDay,
        IndexRotation::OneWeek => types::OpenSearchIndexRotationPeriod::OneWeek,
        IndexRotation::OneMonth => types::OpenSearchIndexRotationPeriod::OneMonth,
    }
}

fn document_ids(kept: DocumentIdFormat) -> types::DocumentIdOptions {
    types::DocumentIdOptions {
        default_document_id_format: match kept {
            DocumentIdFormat::FirehoseDefault => types::DefaultDocumentIdFormat::FirehoseDefault,
            DocumentIdFormat::NoDocumentId => types::DefaultDocumentIdFormat::NoDocumentId,
        },
    }
}
