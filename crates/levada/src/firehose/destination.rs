//! A delivery stream's destination: checked and brought from the wire to the domain, and back.

use levada_core::catalog::{BucketSettings, Buffering, CloudWatchLogging, Compression, Destination, S3Destination};
use levada_wire::error::AwsError;
use levada_wire::firehose::errors;
use levada_wire::firehose::types::{
    BufferingHints, CloudWatchLoggingOptions, CompressionFormat, CreateDeliveryStream, DeliveryStreamType,
    EncryptionConfiguration, ExtendedS3DestinationConfiguration, KmsEncryptionConfig, S3BackupMode,
};

use crate::deliveries::delivery_config;
use crate::node::Node;

/// The one destination of a request.
///
/// # Errors
/// AWS's for what is wrong, and ours for what this version does not do.
pub(super) fn of(node: &Node, request: &CreateDeliveryStream) -> Result<Destination, AwsError> {
    if request.destinations() != 1 {
        return Err(errors::not_one_destination());
    }
    if let Some(member) = request.other_sources().chain(request.other_destinations()).next() {
        return Err(errors::unsupported(member));
    }
    if request.delivery_stream_type.is_some_and(|t| t != DeliveryStreamType::DirectPut) {
        return Err(errors::unsupported("DeliveryStreamType"));
    }
    if request.delivery_stream_encryption_configuration_input.is_some() {
        return Err(errors::unsupported("DeliveryStreamEncryptionConfigurationInput"));
    }
    let (configuration, extended) =
        match (&request.extended_s3_destination_configuration, &request.s3_destination_configuration) {
            (Some(extended), _) => (extended.clone(), true),
            (None, Some(old)) => (ExtendedS3DestinationConfiguration::from(old.clone()), false),
            (None, None) => return Err(errors::not_one_destination()),
        };
    refuse_unsupported(&configuration)?;
    let destination = to_domain(configuration, extended)?;
    let bucket = destination.bucket.bucket().to_owned();
    let destination = Destination::S3(destination);
    delivery_config(&destination).map_err(|error| errors::invalid_destination(&error.to_string()))?;
    if !node.knows_bucket(&bucket) {
        let reason = format!("The bucket {bucket} is not one of this server's buckets");
        return Err(errors::invalid_destination(&reason));
    }
    Ok(destination)
}

fn refuse_unsupported(configuration: &ExtendedS3DestinationConfiguration) -> Result<(), AwsError> {
    let processing = configuration.processing_configuration.as_ref();
    let partitioning = configuration.dynamic_partitioning_configuration.as_ref();
    let conversion = configuration.data_format_conversion_configuration.as_ref();
    let encryption = configuration.encryption_configuration.as_ref();
    let refusals = [
        ("ProcessingConfiguration", processing.is_some_and(|p| p.enabled == Some(true))),
        ("DynamicPartitioningConfiguration", partitioning.is_some_and(|p| p.enabled == Some(true))),
        // Enabled is the default of a conversion that is there.
        ("DataFormatConversionConfiguration", conversion.is_some_and(|c| c.enabled != Some(false))),
        ("KMSEncryptionConfig", encryption.is_some_and(|e| e.kms_encryption_config.is_some())),
        ("S3BackupMode", configuration.s3_backup_mode == Some(S3BackupMode::Enabled)),
        ("S3BackupConfiguration", configuration.s3_backup_configuration.is_some()),
    ];
    match refusals.into_iter().find(|(_, asked)| *asked) {
        Some((member, _)) => Err(errors::unsupported(member)),
        None => Ok(()),
    }
}

fn to_domain(configuration: ExtendedS3DestinationConfiguration, extended: bool) -> Result<S3Destination, AwsError> {
    let buffering = match configuration.buffering_hints {
        None => Buffering::default(),
        Some(BufferingHints { size_in_mbs: Some(size_mb), interval_in_seconds: Some(interval_secs) }) => {
            Buffering { size_mb, interval_secs }
        }
        Some(BufferingHints { size_in_mbs: None, interval_in_seconds: None }) => Buffering::default(),
        Some(_) => return Err(errors::half_buffering_hints()),
    };
    let compression = match configuration.compression_format {
        None | Some(CompressionFormat::Uncompressed) => Compression::Uncompressed,
        Some(CompressionFormat::Gzip) => Compression::Gzip,
        Some(CompressionFormat::Zip | CompressionFormat::Snappy | CompressionFormat::HadoopSnappy) => {
            return Err(errors::unsupported("CompressionFormat other than GZIP"));
        }
    };
    let logging = configuration.cloud_watch_logging_options;
    Ok(S3Destination {
        extended,
        bucket: BucketSettings {
            bucket_arn: configuration.bucket_arn,
            role_arn: configuration.role_arn,
            prefix: configuration.prefix,
            error_prefix: configuration.error_output_prefix,
            buffering,
            compression,
            logging: logging.map(|options| CloudWatchLogging {
                enabled: options.enabled.unwrap_or(false),
                group: options.log_group_name,
                stream: options.log_stream_name,
            }),
            kms_key_arn: None,
        },
        file_extension: configuration.file_extension,
        time_zone: configuration.custom_time_zone,
        processing: None,
        partitioning: None,
        backup_enabled: false,
        backup: None,
    })
}

/// The destination as its owner configured it.
pub(super) fn to_wire(destination: &S3Destination) -> ExtendedS3DestinationConfiguration {
    let kms = destination.bucket.kms_key_arn.clone();
    ExtendedS3DestinationConfiguration {
        bucket_arn: destination.bucket.bucket_arn.clone(),
        buffering_hints: Some(BufferingHints {
            interval_in_seconds: Some(destination.bucket.buffering.interval_secs),
            size_in_mbs: Some(destination.bucket.buffering.size_mb),
        }),
        cloud_watch_logging_options: destination.bucket.logging.as_ref().map(|logging| CloudWatchLoggingOptions {
            enabled: Some(logging.enabled),
            log_group_name: logging.group.clone(),
            log_stream_name: logging.stream.clone(),
        }),
        compression_format: Some(match destination.bucket.compression {
            Compression::Uncompressed => CompressionFormat::Uncompressed,
            Compression::Gzip => CompressionFormat::Gzip,
            Compression::Zip => CompressionFormat::Zip,
            Compression::Snappy => CompressionFormat::Snappy,
            Compression::HadoopSnappy => CompressionFormat::HadoopSnappy,
        }),
        custom_time_zone: destination.time_zone.clone(),
        data_format_conversion_configuration: None,
        dynamic_partitioning_configuration: None,
        encryption_configuration: kms.map(|aws_kms_key_arn| EncryptionConfiguration {
            kms_encryption_config: Some(KmsEncryptionConfig { aws_kms_key_arn }),
            no_encryption_config: None,
        }),
        error_output_prefix: destination.bucket.error_prefix.clone(),
        file_extension: destination.file_extension.clone(),
        prefix: destination.bucket.prefix.clone(),
        processing_configuration: None,
        role_arn: destination.bucket.role_arn.clone(),
        s3_backup_configuration: None,
        s3_backup_mode: None,
    }
}
