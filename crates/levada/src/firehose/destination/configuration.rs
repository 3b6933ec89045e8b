//! What `CreateDeliveryStream` asks for, in the domain's types, with AWS's defaults in the place of what is absent.
//!
//! What only the wire can say (one of two hints, two addresses of one cluster) is refused here; the rest is checked on
//! the domain's type, at creation and at each update alike ([`check`](super::check)).

use levada_core::catalog::{
    BackupMode, BucketSettings, Buffering, CloudWatchLogging, Compression, ContentEncoding, Destination,
    DocumentIdFormat, EncryptionKey, HecEndpointType, HttpEndpointDestination, IndexRotation, ObjectEncryption,
    OpenSearchDestination, Partitioning, Processing, RequestConfiguration, Requests, S3Destination, SearchAddress,
    SearchFlavour, Secret, SecretsManager, SplunkDestination, Vpc,
};
use levada_wire::error::AwsError;
use levada_wire::firehose::errors;
use levada_wire::firehose::types::{self, DestinationConfiguration, OpenSearchForm};
use levada_wire::limits;
use levada_wire::typed::SecretText;

use super::processing::{self, Context};

/// The one destination of a request.
///
/// # Errors
/// AWS's for what is wrong, and ours for what this version does not do.
pub(in crate::firehose) fn of(asked: DestinationConfiguration<'_>) -> Result<Destination, AwsError> {
    match asked {
        DestinationConfiguration::S3(old) => {
            let extended = types::ExtendedS3DestinationConfiguration::from(old.clone());
            Ok(Destination::S3(S3Destination { extended: false, ..s3(&extended)? }))
        }
        DestinationConfiguration::ExtendedS3(extended) => s3(extended).map(Destination::S3),
        DestinationConfiguration::HttpEndpoint(http) => http_endpoint(http).map(Destination::HttpEndpoint),
        DestinationConfiguration::Splunk(to) => splunk(to).map(Destination::Splunk),
        DestinationConfiguration::OpenSearch(form, to) => open_search(form, to).map(Destination::OpenSearch),
        DestinationConfiguration::Unserved { member } => Err(errors::unsupported(member)),
    }
}

fn s3(asked: &types::ExtendedS3DestinationConfiguration) -> Result<S3Destination, AwsError> {
    let partitioning = asked.dynamic_partitioning_configuration.as_ref();
    let partitioning = partitioning.map(|asked| self::partitioning(asked, Partitioning::default()));
    let conversion = asked.data_format_conversion_configuration.as_ref();
    let default = if partitioning.is_some_and(|partitioning| partitioning.enabled) {
        Buffering { size_mb: limits::PARTITIONED_BUFFER_MB_DEFAULT, ..Buffering::default() }
    } else {
        Buffering::default()
    };
    let bucket = BucketSettings {
        bucket_arn: asked.bucket_arn.clone(),
        role_arn: asked.role_arn.clone(),
        prefix: asked.prefix.clone(),
        error_prefix: asked.error_output_prefix.clone(),
        buffering: buffering(asked.buffering_hints.as_ref())?.unwrap_or(default),
        compression: asked.compression_format.map(compression).unwrap_or_default(),
        logging: asked.cloud_watch_logging_options.as_ref().map(logging).unwrap_or_default(),
        kms_key_arn: kms_key_arn(asked.encryption_configuration.as_ref())?,
    };
    let conversion = conversion
        .map(|conversion| self::conversion(conversion, asked.compression_format, asked.buffering_hints.as_ref()));
    let processing = asked.processing_configuration.as_ref();
    Ok(S3Destination {
        extended: true,
        processing: processing.map(|given| processing::of(given, Context::new(Some(&bucket.role_arn)))).transpose()?,
        bucket,
        file_extension: asked.file_extension.clone().filter(|extension| !extension.is_empty()),
        time_zone: asked.custom_time_zone.clone().filter(|zone| !zone.is_empty()),
        partitioning,
        conversion: conversion.transpose()?,
        backup_enabled: asked.s3_backup_mode == Some(types::S3BackupMode::Enabled),
        backup: asked.s3_backup_configuration.as_ref().map(self::bucket).transpose()?,
    })
}

fn http_endpoint(asked: &types::HttpEndpointDestinationConfiguration) -> Result<HttpEndpointDestination, AwsError> {
    let endpoint = &asked.endpoint_configuration;
    Ok(HttpEndpointDestination {
        url: endpoint.url.clone(),
        name: endpoint.name.clone(),
        // Terraform sends an empty one where there is none.
        access_key: endpoint.access_key.as_ref().map(secret).filter(|key| !key.reveal().is_empty()),
        request: asked.request_configuration.as_ref().map(request),
        role_arn: asked.role_arn.clone(),
        secrets_manager: asked.secrets_manager_configuration.as_ref().map(secrets_manager),
        common: Requests {
            buffering: buffering(asked.buffering_hints.as_ref())?.unwrap_or_default(),
            retry_secs: retry_secs(asked.retry_options.as_ref()).unwrap_or(limits::RETRY_S_DEFAULT),
            backup_mode: asked.s3_backup_mode.map(http_backup_mode).unwrap_or_default(),
            backup: bucket(&asked.s3_configuration)?,
            processing: processed(asked.processing_configuration.as_ref(), asked.role_arn.as_deref())?,
            logging: asked.cloud_watch_logging_options.as_ref().map(logging).unwrap_or_default(),
        },
    })
}

fn splunk(asked: &types::SplunkDestinationConfiguration) -> Result<SplunkDestination, AwsError> {
    let processing = asked.processing_configuration.as_ref();
    Ok(SplunkDestination {
        endpoint: asked.hec_endpoint.clone(),
        endpoint_type: hec_endpoint_type(asked.hec_endpoint_type),
        token: asked.hec_token.as_ref().map(secret),
        ack_timeout_secs: asked.hec_acknowledgment_timeout_in_seconds.unwrap_or(limits::HEC_ACK_TIMEOUT_S_DEFAULT),
        secrets_manager: asked.secrets_manager_configuration.as_ref().map(secrets_manager),
        common: Requests {
            buffering: each_hint(asked.buffering_hints.as_ref(), SplunkDestination::BUFFERING),
            retry_secs: retry_secs(asked.retry_options.as_ref()).unwrap_or(limits::RETRY_S_DEFAULT),
            backup_mode: asked.s3_backup_mode.map(splunk_backup_mode).unwrap_or_default(),
            backup: bucket(&asked.s3_configuration)?,
            processing: processing.map(|given| processing::of(given, Context::splunk())).transpose()?,
            logging: asked.cloud_watch_logging_options.as_ref().map(logging).unwrap_or_default(),
        },
    })
}

fn open_search(
    form: OpenSearchForm,
    asked: &types::OpenSearchDestinationConfiguration,
) -> Result<OpenSearchDestination, AwsError> {
    let address = search_address(
        form,
        [&asked.domain_arn, &asked.cluster_endpoint, &asked.collection_endpoint].map(|text| text.as_deref()),
    )?;
    let rotation = match form {
        OpenSearchForm::Serverless => IndexRotation::NoRotation,
        OpenSearchForm::Service | OpenSearchForm::Elasticsearch => {
            asked.index_rotation_period.map_or(IndexRotation::OneDay, index_rotation)
        }
    };
    Ok(OpenSearchDestination {
        flavour: flavour(form),
        address: address.ok_or_else(|| missing_address(form))?,
        index_name: asked.index_name.clone(),
        type_name: asked.type_name.clone(),
        rotation,
        document_id: asked.document_id_options.as_ref().map(document_id_format),
        role_arn: asked.role_arn.clone(),
        vpc: asked.vpc_configuration.as_ref().map(vpc),
        common: Requests {
            buffering: each_hint(asked.buffering_hints.as_ref(), Buffering::default()),
            retry_secs: retry_secs(asked.retry_options.as_ref()).unwrap_or(limits::RETRY_S_DEFAULT),
            backup_mode: asked.s3_backup_mode.map(search_backup_mode).unwrap_or_default(),
            backup: bucket(&asked.s3_configuration)?,
            processing: processed(asked.processing_configuration.as_ref(), Some(&asked.role_arn))?,
            logging: asked.cloud_watch_logging_options.as_ref().map(logging).unwrap_or_default(),
        },
    })
}

/// A bucket as other destinations have it, and backups.
fn bucket(asked: &types::S3DestinationConfiguration) -> Result<BucketSettings, AwsError> {
    Ok(BucketSettings {
        bucket_arn: asked.bucket_arn.clone(),
        role_arn: asked.role_arn.clone(),
        prefix: asked.prefix.clone(),
        error_prefix: asked.error_output_prefix.clone(),
        buffering: buffering(asked.buffering_hints.as_ref())?.unwrap_or_default(),
        compression: asked.compression_format.map(compression).unwrap_or_default(),
        logging: asked.cloud_watch_logging_options.as_ref().map(logging).unwrap_or_default(),
        kms_key_arn: kms_key_arn(asked.encryption_configuration.as_ref())?,
    })
}

fn processed(
    asked: Option<&types::ProcessingConfiguration>,
    role_arn: Option<&str>,
) -> Result<Option<Processing>, AwsError> {
    asked.map(|given| processing::of(given, Context::new(role_arn))).transpose()
}

/// Conversion to Parquet and ORC: what AWS checks comes first, in its order, then that this version does not do it.
/// One that is switched off is not checked and only kept.
pub(super) fn conversion(
    asked: &types::DataFormatConversionConfiguration,
    compression: Option<types::CompressionFormat>,
    hints: Option<&types::BufferingHints>,
) -> Result<String, AwsError> {
    // Enabled is the default of a conversion that is there.
    if asked.enabled == Some(false) {
        return Ok(asked.to_json());
    }
    if compression.is_some_and(|format| format != types::CompressionFormat::Uncompressed) {
        return Err(errors::converted_and_compressed());
    }
    if hints.and_then(|hints| hints.size_in_mbs).is_some_and(|size| size < limits::PARTITIONED_BUFFER_MB_MIN) {
        return Err(errors::converted_buffer_too_small());
    }
    let deserializer = asked.input_format_configuration.as_ref().map(|input| input.deserializer.as_ref());
    let serializer = asked.output_format_configuration.as_ref().map(|output| output.serializer.as_ref());
    for (member, missing) in [
        ("InputFormatConfiguration", deserializer.is_none()),
        ("OutputFormatConfiguration", serializer.is_none()),
        ("SchemaConfiguration", asked.schema_configuration.is_none()),
        (
            "Deserializer",
            deserializer.flatten().is_none_or(|d| d.hive_json_ser_de.is_none() && d.open_x_json_ser_de.is_none()),
        ),
        ("Serializer", serializer.flatten().is_none_or(|s| s.orc_ser_de.is_none() && s.parquet_ser_de.is_none())),
    ] {
        if missing {
            return Err(errors::conversion_member_missing(member));
        }
    }
    if deserializer.flatten().is_some_and(|d| d.hive_json_ser_de.is_some() && d.open_x_json_ser_de.is_some()) {
        return Err(errors::more_than_one_serde("deserializer"));
    }
    if serializer.flatten().is_some_and(|s| s.orc_ser_de.is_some() && s.parquet_ser_de.is_some()) {
        return Err(errors::more_than_one_serde("serializer"));
    }
    Err(errors::unsupported("DataFormatConversionConfiguration"))
}

/// Hints of S3 and of HTTP endpoints come in pairs (API reference); none are as good as absent ones.
pub(super) fn buffering(hints: Option<&types::BufferingHints>) -> Result<Option<Buffering>, AwsError> {
    match hints.map(|hints| (hints.size_in_mbs, hints.interval_in_seconds)) {
        None | Some((None, None)) => Ok(None),
        Some((Some(size_mb), Some(interval_secs))) => Ok(Some(Buffering { size_mb, interval_secs })),
        Some(_) => Err(errors::half_buffering_hints()),
    }
}

/// Hints of the other destinations, of which one may be given alone; the other one is as it is `otherwise`.
pub(super) fn each_hint(hints: Option<&types::BufferingHints>, otherwise: Buffering) -> Buffering {
    let given = |hint: fn(&types::BufferingHints) -> Option<u32>| hints.and_then(hint);
    Buffering {
        size_mb: given(|hints| hints.size_in_mbs).unwrap_or(otherwise.size_mb),
        interval_secs: given(|hints| hints.interval_in_seconds).unwrap_or(otherwise.interval_secs),
    }
}

/// How objects are to be encrypted, if the request says it.
pub(super) fn object_encryption(
    asked: Option<&types::EncryptionConfiguration>,
) -> Result<Option<ObjectEncryption>, AwsError> {
    match asked.map(|asked| (&asked.kms_encryption_config, asked.no_encryption_config)) {
        None => Ok(None),
        Some((Some(kms), None)) => Ok(Some(ObjectEncryption::Kms(kms.aws_kms_key_arn.clone()))),
        Some((None, Some(types::NoEncryptionConfig::NoEncryption))) => Ok(Some(ObjectEncryption::None)),
        Some(_) => Err(errors::not_one_encryption()),
    }
}

fn kms_key_arn(asked: Option<&types::EncryptionConfiguration>) -> Result<Option<String>, AwsError> {
    Ok(match object_encryption(asked)? {
        Some(ObjectEncryption::Kms(arn)) => Some(arn),
        None | Some(ObjectEncryption::None) => None,
    })
}

/// The key of a request for encryption at rest, in `region`. AWS's own is the default.
///
/// # Errors
/// AWS's.
pub(in crate::firehose) fn key(
    asked: Option<&types::DeliveryStreamEncryptionConfigurationInput>,
    region: &str,
) -> Result<EncryptionKey, AwsError> {
    match asked.map(|asked| (asked.key_type, &asked.key_arn)) {
        None | Some((types::KeyType::AwsOwnedCmk, None)) => Ok(EncryptionKey::AwsOwned),
        Some((types::KeyType::AwsOwnedCmk, Some(_))) => Err(errors::key_arn_of_aws_key()),
        Some((types::KeyType::CustomerManagedCmk, None)) => Err(errors::key_arn_missing()),
        Some((types::KeyType::CustomerManagedCmk, Some(arn))) => {
            // arn:aws:kms:REGION:…
            let same_region = arn.split(':').nth(3) == Some(region);
            if same_region {
                Ok(EncryptionKey::CustomerManaged(arn.clone()))
            } else {
                Err(errors::key_of_other_region())
            }
        }
    }
}

/// Where a cluster is: a domain's ARN, or an endpoint; `None` if nothing is said.
pub(super) fn search_address(
    form: OpenSearchForm,
    [domain, cluster, collection]: [Option<&str>; 3],
) -> Result<Option<SearchAddress>, AwsError> {
    let endpoint = |url: &str| SearchAddress::Endpoint(url.to_owned());
    match form {
        OpenSearchForm::Serverless => Ok(collection.map(endpoint)),
        OpenSearchForm::Service | OpenSearchForm::Elasticsearch => match (domain, cluster) {
            (Some(_), Some(_)) => Err(errors::two_clusters()),
            (Some(arn), None) => Ok(Some(SearchAddress::Domain(arn.to_owned()))),
            (None, cluster) => Ok(cluster.map(endpoint)),
        },
    }
}

fn missing_address(form: OpenSearchForm) -> AwsError {
    match form {
        OpenSearchForm::Serverless => errors::no_collection(),
        OpenSearchForm::Service | OpenSearchForm::Elasticsearch => errors::no_cluster(),
    }
}

/// What is not said of it stays as it is `present`.
pub(super) fn partitioning(asked: &types::DynamicPartitioningConfiguration, present: Partitioning) -> Partitioning {
    let enabled = asked.enabled.unwrap_or(present.enabled);
    let retry_secs = retry_secs(asked.retry_options.as_ref()).or(present.retry_secs);
    Partitioning { enabled, retry_secs: retry_secs.or(enabled.then_some(limits::RETRY_S_DEFAULT)) }
}

pub(super) fn retry_secs(asked: Option<&types::RetryOptions>) -> Option<u32> {
    asked.and_then(|asked| asked.duration_in_seconds)
}

pub(super) fn logging(asked: &types::CloudWatchLoggingOptions) -> CloudWatchLogging {
    CloudWatchLogging {
        enabled: asked.enabled.unwrap_or(false),
        group: asked.log_group_name.clone(),
        stream: asked.log_stream_name.clone(),
    }
}

pub(super) fn request(asked: &types::HttpEndpointRequestConfiguration) -> RequestConfiguration {
    let attributes = asked.common_attributes.iter().flatten();
    RequestConfiguration {
        content_encoding: match asked.content_encoding {
            None | Some(types::ContentEncoding::None) => ContentEncoding::None,
            Some(types::ContentEncoding::Gzip) => ContentEncoding::Gzip,
        },
        common_attributes: attributes
            .map(|attribute| (attribute.attribute_name.clone(), secret(&attribute.attribute_value)))
            .collect(),
    }
}

pub(super) fn secrets_manager(asked: &types::SecretsManagerConfiguration) -> SecretsManager {
    SecretsManager { enabled: asked.enabled, role_arn: asked.role_arn.clone(), secret_arn: asked.secret_arn.clone() }
}

pub(super) fn secret(text: &SecretText) -> Secret {
    Secret::new(text.expose())
}

fn vpc(asked: &types::VpcConfiguration) -> Vpc {
    Vpc {
        role_arn: asked.role_arn.clone(),
        subnet_ids: asked.subnet_ids.clone(),
        security_group_ids: asked.security_group_ids.clone(),
    }
}

pub(super) fn compression(asked: types::CompressionFormat) -> Compression {
    match asked {
        types::CompressionFormat::Uncompressed => Compression::Uncompressed,
        types::CompressionFormat::Gzip => Compression::Gzip,
        types::CompressionFormat::Zip => Compression::Zip,
        types::CompressionFormat::Snappy => Compression::Snappy,
        types::CompressionFormat::HadoopSnappy => Compression::HadoopSnappy,
    }
}

pub(super) fn hec_endpoint_type(asked: types::HecEndpointType) -> HecEndpointType {
    match asked {
        types::HecEndpointType::Raw => HecEndpointType::Raw,
        types::HecEndpointType::Event => HecEndpointType::Event,
    }
}

pub(super) fn flavour(form: OpenSearchForm) -> SearchFlavour {
    match form {
        OpenSearchForm::Service => SearchFlavour::Service,
        OpenSearchForm::Serverless => SearchFlavour::Serverless,
        OpenSearchForm::Elasticsearch => SearchFlavour::Elasticsearch,
    }
}

pub(super) fn index_rotation(asked: types::OpenSearchIndexRotationPeriod) -> IndexRotation {
    match asked {
        types::OpenSearchIndexRotationPeriod::NoRotation => IndexRotation::NoRotation,
        types::OpenSearchIndexRotationPeriod::OneHour => IndexRotation::OneHour,
        types::OpenSearchIndexRotationPeriod::OneDay => IndexRotation::OneDay,
        types::OpenSearchIndexRotationPeriod::OneWeek => IndexRotation::OneWeek,
        types::OpenSearchIndexRotationPeriod::OneMonth => IndexRotation::OneMonth,
    }
}

pub(super) fn document_id_format(asked: &types::DocumentIdOptions) -> DocumentIdFormat {
    match asked.default_document_id_format {
        types::DefaultDocumentIdFormat::FirehoseDefault => DocumentIdFormat::FirehoseDefault,
        types::DefaultDocumentIdFormat::NoDocumentId => DocumentIdFormat::NoDocumentId,
    }
}

pub(super) fn http_backup_mode(asked: types::HttpEndpointS3BackupMode) -> BackupMode {
    match asked {
        types::HttpEndpointS3BackupMode::FailedDataOnly => BackupMode::FailedOnly,
        types::HttpEndpointS3BackupMode::AllData => BackupMode::All,
    }
}

pub(super) fn splunk_backup_mode(asked: types::SplunkS3BackupMode) -> BackupMode {
    match asked {
        types::SplunkS3BackupMode::FailedEventsOnly => BackupMode::FailedOnly,
        types::SplunkS3BackupMode::AllEvents => BackupMode::All,
    }
}

fn search_backup_mode(asked: types::OpenSearchS3BackupMode) -> BackupMode {
    match asked {
        types::OpenSearchS3BackupMode::FailedDocumentsOnly => BackupMode::FailedOnly,
        types::OpenSearchS3BackupMode::AllDocuments => BackupMode::All,
    }
}
