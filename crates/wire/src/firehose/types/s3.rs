//! Buckets: plain ones, which are also the backups of other destinations, and the extended form.

use super::conversion::DataFormatConversionConfiguration;
use super::processing::ProcessingConfiguration;
use crate::typed::{reply_struct, request_struct, shared_struct, wire_enum};

wire_enum! {
    /// How objects are compressed.
    CompressionFormat {
        Uncompressed = "UNCOMPRESSED",
        Gzip = "GZIP",
        Zip = "ZIP",
        Snappy = "Snappy",
        HadoopSnappy = "HADOOP_SNAPPY",
    }
}

wire_enum! {
    /// The only value of `NoEncryptionConfig`.
    NoEncryptionConfig {
        NoEncryption = "NoEncryption",
    }
}

wire_enum! {
    /// Whether the records as they came are kept in S3 too.
    S3BackupMode {
        Disabled = "Disabled",
        Enabled = "Enabled",
    }
}

shared_struct! {
    /// When a batch is cut: whichever comes first. Both must be given together.
    BufferingHints = firehose::BUFFERING_HINTS {
        interval_in_seconds: Option<u32> = "IntervalInSeconds",
        size_in_mbs: Option<u32> = "SizeInMBs",
    }
}

shared_struct! {
    /// Where delivery errors are logged.
    CloudWatchLoggingOptions = firehose::CLOUD_WATCH_LOGGING_OPTIONS {
        enabled: Option<bool> = "Enabled",
        log_group_name: Option<String> = "LogGroupName",
        log_stream_name: Option<String> = "LogStreamName",
    }
}

shared_struct! {
    /// The key that encrypts objects in S3.
    KmsEncryptionConfig = firehose::KMS_ENCRYPTION_CONFIG {
        aws_kms_key_arn: String = "AWSKMSKeyARN",
    }
}

shared_struct! {
    /// How objects in S3 are encrypted.
    EncryptionConfiguration = firehose::ENCRYPTION_CONFIGURATION {
        kms_encryption_config: Option<KmsEncryptionConfig> = "KMSEncryptionConfig",
        no_encryption_config: Option<NoEncryptionConfig> = "NoEncryptionConfig",
    }
}

shared_struct! {
    /// How long dynamic partitioning retries.
    RetryOptions = firehose::RETRY_OPTIONS {
        duration_in_seconds: Option<u32> = "DurationInSeconds",
    }
}

shared_struct! {
    /// Dynamic partitioning.
    DynamicPartitioningConfiguration = firehose::DYNAMIC_PARTITIONING_CONFIGURATION {
        enabled: Option<bool> = "Enabled",
        retry_options: Option<RetryOptions> = "RetryOptions",
    }
}

request_struct! {
    /// Delivery to S3 in the old form, and the backup of the new one.
    S3DestinationConfiguration = firehose::S3_DESTINATION_CONFIGURATION {
        bucket_arn: String = "BucketARN",
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        compression_format: Option<CompressionFormat> = "CompressionFormat",
        encryption_configuration: Option<EncryptionConfiguration> = "EncryptionConfiguration",
        error_output_prefix: Option<String> = "ErrorOutputPrefix",
        prefix: Option<String> = "Prefix",
        role_arn: String = "RoleARN",
    }
}

request_struct! {
    /// A change of delivery to S3 in the old form, or of a backup: absent members stay.
    S3DestinationUpdate = firehose::S3_DESTINATION_UPDATE {
        bucket_arn: Option<String> = "BucketARN",
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        compression_format: Option<CompressionFormat> = "CompressionFormat",
        encryption_configuration: Option<EncryptionConfiguration> = "EncryptionConfiguration",
        error_output_prefix: Option<String> = "ErrorOutputPrefix",
        prefix: Option<String> = "Prefix",
        role_arn: Option<String> = "RoleARN",
    }
}

reply_struct! {
    /// Delivery to S3 as described in the old form.
    S3DestinationDescription = firehose::S3_DESTINATION_DESCRIPTION {
        bucket_arn: String = "BucketARN",
        buffering_hints: BufferingHints = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        compression_format: CompressionFormat = "CompressionFormat",
        encryption_configuration: EncryptionConfiguration = "EncryptionConfiguration",
        error_output_prefix: Option<String> = "ErrorOutputPrefix",
        prefix: Option<String> = "Prefix",
        role_arn: String = "RoleARN",
    }
}

request_struct! {
    /// Delivery to S3.
    ExtendedS3DestinationConfiguration = firehose::EXTENDED_S3_DESTINATION_CONFIGURATION {
        bucket_arn: String = "BucketARN",
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        compression_format: Option<CompressionFormat> = "CompressionFormat",
        custom_time_zone: Option<String> = "CustomTimeZone",
        data_format_conversion_configuration: Option<DataFormatConversionConfiguration> =
            "DataFormatConversionConfiguration",
        dynamic_partitioning_configuration: Option<DynamicPartitioningConfiguration> =
            "DynamicPartitioningConfiguration",
        encryption_configuration: Option<EncryptionConfiguration> = "EncryptionConfiguration",
        error_output_prefix: Option<String> = "ErrorOutputPrefix",
        file_extension: Option<String> = "FileExtension",
        prefix: Option<String> = "Prefix",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        role_arn: String = "RoleARN",
        s3_backup_configuration: Option<S3DestinationConfiguration> = "S3BackupConfiguration",
        s3_backup_mode: Option<S3BackupMode> = "S3BackupMode",
    }
}

request_struct! {
    /// A change of delivery to S3: absent members stay.
    ExtendedS3DestinationUpdate = firehose::EXTENDED_S3_DESTINATION_UPDATE {
        bucket_arn: Option<String> = "BucketARN",
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        compression_format: Option<CompressionFormat> = "CompressionFormat",
        custom_time_zone: Option<String> = "CustomTimeZone",
        data_format_conversion_configuration: Option<DataFormatConversionConfiguration> =
            "DataFormatConversionConfiguration",
        dynamic_partitioning_configuration: Option<DynamicPartitioningConfiguration> =
            "DynamicPartitioningConfiguration",
        encryption_configuration: Option<EncryptionConfiguration> = "EncryptionConfiguration",
        error_output_prefix: Option<String> = "ErrorOutputPrefix",
        file_extension: Option<String> = "FileExtension",
        prefix: Option<String> = "Prefix",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        role_arn: Option<String> = "RoleARN",
        s3_backup_mode: Option<S3BackupMode> = "S3BackupMode",
        s3_backup_update: Option<S3DestinationUpdate> = "S3BackupUpdate",
    }
}

reply_struct! {
    /// Delivery to S3 as described.
    ExtendedS3DestinationDescription = firehose::EXTENDED_S3_DESTINATION_DESCRIPTION {
        bucket_arn: String = "BucketARN",
        buffering_hints: BufferingHints = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        compression_format: CompressionFormat = "CompressionFormat",
        custom_time_zone: Option<String> = "CustomTimeZone",
        data_format_conversion_configuration: Option<DataFormatConversionConfiguration> =
            "DataFormatConversionConfiguration",
        dynamic_partitioning_configuration: Option<DynamicPartitioningConfiguration> =
            "DynamicPartitioningConfiguration",
        encryption_configuration: EncryptionConfiguration = "EncryptionConfiguration",
        error_output_prefix: Option<String> = "ErrorOutputPrefix",
        file_extension: Option<String> = "FileExtension",
        prefix: Option<String> = "Prefix",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        role_arn: String = "RoleARN",
        s3_backup_description: Option<S3DestinationDescription> = "S3BackupDescription",
        s3_backup_mode: Option<S3BackupMode> = "S3BackupMode",
    }
}

impl From<S3DestinationConfiguration> for ExtendedS3DestinationConfiguration {
    /// The old form says less and means the same.
    fn from(old: S3DestinationConfiguration) -> Self {
        Self {
            bucket_arn: old.bucket_arn,
            buffering_hints: old.buffering_hints,
            cloud_watch_logging_options: old.cloud_watch_logging_options,
            compression_format: old.compression_format,
            custom_time_zone: None,
            data_format_conversion_configuration: None,
            dynamic_partitioning_configuration: None,
            encryption_configuration: old.encryption_configuration,
            error_output_prefix: old.error_output_prefix,
            file_extension: None,
            prefix: old.prefix,
            processing_configuration: None,
            role_arn: old.role_arn,
            s3_backup_configuration: None,
            s3_backup_mode: None,
        }
    }
}
