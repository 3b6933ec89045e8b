//! Requests and replies of the served operations. Members and their order are the model's.

use bytes::Bytes;

use crate::typed::{StringMap, TimestampMs, reply_struct, request_struct, shared_struct, wire_enum};
use crate::value::Value;

wire_enum! {
    /// Where a delivery stream's records come from.
    DeliveryStreamType {
        DirectPut = "DirectPut",
        KinesisStreamAsSource = "KinesisStreamAsSource",
        MskAsSource = "MSKAsSource",
        DatabaseAsSource = "DatabaseAsSource",
    }
}

wire_enum! {
    /// Where a delivery stream is in its life.
    DeliveryStreamStatus {
        Creating = "CREATING",
        CreatingFailed = "CREATING_FAILED",
        Deleting = "DELETING",
        DeletingFailed = "DELETING_FAILED",
        Active = "ACTIVE",
    }
}

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

wire_enum! {
    /// Whose key encrypts records at rest in Firehose.
    KeyType {
        AwsOwnedCmk = "AWS_OWNED_CMK",
        CustomerManagedCmk = "CUSTOMER_MANAGED_CMK",
    }
}

wire_enum! {
    /// State of a delivery stream's encryption at rest.
    DeliveryStreamEncryptionStatus {
        Enabled = "ENABLED",
        Enabling = "ENABLING",
        EnablingFailed = "ENABLING_FAILED",
        Disabled = "DISABLED",
        Disabling = "DISABLING",
        DisablingFailed = "DISABLING_FAILED",
    }
}

wire_enum! {
    /// What a processor does.
    ProcessorType {
        RecordDeAggregation = "RecordDeAggregation",
        Decompression = "Decompression",
        CloudWatchLogProcessing = "CloudWatchLogProcessing",
        Lambda = "Lambda",
        MetadataExtraction = "MetadataExtraction",
        AppendDelimiterToRecord = "AppendDelimiterToRecord",
    }
}

wire_enum! {
    /// What a processor's parameter says.
    ProcessorParameterName {
        LambdaArn = "LambdaArn",
        NumberOfRetries = "NumberOfRetries",
        MetadataExtractionQuery = "MetadataExtractionQuery",
        JsonParsingEngine = "JsonParsingEngine",
        RoleArn = "RoleArn",
        BufferSizeInMBs = "BufferSizeInMBs",
        BufferIntervalInSeconds = "BufferIntervalInSeconds",
        SubRecordType = "SubRecordType",
        Delimiter = "Delimiter",
        CompressionFormat = "CompressionFormat",
        DataMessageExtraction = "DataMessageExtraction",
    }
}

wire_enum! {
    /// Compression inside ORC files.
    OrcCompression {
        None = "NONE",
        Zlib = "ZLIB",
        Snappy = "SNAPPY",
    }
}

wire_enum! {
    /// Version of ORC files.
    OrcFormatVersion {
        V011 = "V0_11",
        V012 = "V0_12",
    }
}

wire_enum! {
    /// Compression inside Parquet files.
    ParquetCompression {
        Uncompressed = "UNCOMPRESSED",
        Gzip = "GZIP",
        Snappy = "SNAPPY",
    }
}

wire_enum! {
    /// Version of Parquet's data pages.
    ParquetWriterVersion {
        V1 = "V1",
        V2 = "V2",
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

shared_struct! {
    /// A parameter of a processor.
    ProcessorParameter = firehose::PROCESSOR_PARAMETER {
        parameter_name: ProcessorParameterName = "ParameterName",
        parameter_value: String = "ParameterValue",
    }
}

shared_struct! {
    /// A processor.
    Processor = firehose::PROCESSOR {
        parameters: Option<Vec<ProcessorParameter>> = "Parameters",
        processor_type: ProcessorType = "Type",
    }
}

shared_struct! {
    /// What happens to records on their way.
    ProcessingConfiguration = firehose::PROCESSING_CONFIGURATION {
        enabled: Option<bool> = "Enabled",
        processors: Option<Vec<Processor>> = "Processors",
    }
}

shared_struct! {
    /// Hive's reader of JSON.
    HiveJsonSerDe = firehose::HIVE_JSON_SER_DE {
        timestamp_formats: Option<Vec<String>> = "TimestampFormats",
    }
}

shared_struct! {
    /// OpenX's reader of JSON.
    OpenXJsonSerDe = firehose::OPEN_X_JSON_SER_DE {
        case_insensitive: Option<bool> = "CaseInsensitive",
        column_to_json_key_mappings: Option<StringMap> = "ColumnToJsonKeyMappings",
        convert_dots_in_json_keys_to_underscores: Option<bool> = "ConvertDotsInJsonKeysToUnderscores",
    }
}

shared_struct! {
    /// How records are read for conversion.
    Deserializer = firehose::DESERIALIZER {
        hive_json_ser_de: Option<HiveJsonSerDe> = "HiveJsonSerDe",
        open_x_json_ser_de: Option<OpenXJsonSerDe> = "OpenXJsonSerDe",
    }
}

shared_struct! {
    /// How records are read for conversion.
    InputFormatConfiguration = firehose::INPUT_FORMAT_CONFIGURATION {
        deserializer: Option<Deserializer> = "Deserializer",
    }
}

shared_struct! {
    /// How ORC files are written.
    OrcSerDe = firehose::ORC_SER_DE {
        block_size_bytes: Option<u32> = "BlockSizeBytes",
        bloom_filter_columns: Option<Vec<String>> = "BloomFilterColumns",
        bloom_filter_false_positive_probability: Option<f64> = "BloomFilterFalsePositiveProbability",
        compression: Option<OrcCompression> = "Compression",
        dictionary_key_threshold: Option<f64> = "DictionaryKeyThreshold",
        enable_padding: Option<bool> = "EnablePadding",
        format_version: Option<OrcFormatVersion> = "FormatVersion",
        padding_tolerance: Option<f64> = "PaddingTolerance",
        row_index_stride: Option<u32> = "RowIndexStride",
        stripe_size_bytes: Option<u32> = "StripeSizeBytes",
    }
}

shared_struct! {
    /// How Parquet files are written.
    ParquetSerDe = firehose::PARQUET_SER_DE {
        block_size_bytes: Option<u32> = "BlockSizeBytes",
        compression: Option<ParquetCompression> = "Compression",
        enable_dictionary_compression: Option<bool> = "EnableDictionaryCompression",
        max_padding_bytes: Option<u32> = "MaxPaddingBytes",
        page_size_bytes: Option<u32> = "PageSizeBytes",
        writer_version: Option<ParquetWriterVersion> = "WriterVersion",
    }
}

shared_struct! {
    /// How converted records are written.
    Serializer = firehose::SERIALIZER {
        orc_ser_de: Option<OrcSerDe> = "OrcSerDe",
        parquet_ser_de: Option<ParquetSerDe> = "ParquetSerDe",
    }
}

shared_struct! {
    /// How converted records are written.
    OutputFormatConfiguration = firehose::OUTPUT_FORMAT_CONFIGURATION {
        serializer: Option<Serializer> = "Serializer",
    }
}

shared_struct! {
    /// Where the schema for conversion stands.
    SchemaConfiguration = firehose::SCHEMA_CONFIGURATION {
        catalog_id: Option<String> = "CatalogId",
        database_name: Option<String> = "DatabaseName",
        region: Option<String> = "Region",
        role_arn: Option<String> = "RoleARN",
        table_name: Option<String> = "TableName",
        version_id: Option<String> = "VersionId",
    }
}

shared_struct! {
    /// Conversion of JSON to Parquet or ORC.
    DataFormatConversionConfiguration = firehose::DATA_FORMAT_CONVERSION_CONFIGURATION {
        enabled: Option<bool> = "Enabled",
        input_format_configuration: Option<InputFormatConfiguration> = "InputFormatConfiguration",
        output_format_configuration: Option<OutputFormatConfiguration> = "OutputFormatConfiguration",
        schema_configuration: Option<SchemaConfiguration> = "SchemaConfiguration",
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
    /// Expected throughput of direct put in MiB/s.
    DirectPutSourceConfiguration = firehose::DIRECT_PUT_SOURCE_CONFIGURATION {
        throughput_hint_in_mbs: u32 = "ThroughputHintInMBs",
    }
}

request_struct! {
    /// Encryption at rest that a new delivery stream asks for.
    DeliveryStreamEncryptionConfigurationInput = firehose::DELIVERY_STREAM_ENCRYPTION_CONFIGURATION_INPUT {
        key_arn: Option<String> = "KeyARN",
        key_type: KeyType = "KeyType",
    }
}

request_struct! {
    /// A tag.
    Tag = firehose::TAG {
        key: String = "Key",
        value: Option<String> = "Value",
    }
}

request_struct! {
    /// Creates a delivery stream. Destinations and sources other than S3 and direct put have passed their
    /// constraints and are kept as they are, for the handler to refuse by name.
    CreateDeliveryStream = firehose::CREATE_DELIVERY_STREAM_INPUT {
        amazon_open_search_serverless_destination_configuration: Option<Value> =
            "AmazonOpenSearchServerlessDestinationConfiguration",
        amazonopensearchservice_destination_configuration: Option<Value> =
            "AmazonopensearchserviceDestinationConfiguration",
        database_source_configuration: Option<Value> = "DatabaseSourceConfiguration",
        delivery_stream_encryption_configuration_input: Option<DeliveryStreamEncryptionConfigurationInput> =
            "DeliveryStreamEncryptionConfigurationInput",
        delivery_stream_name: String = "DeliveryStreamName",
        delivery_stream_type: Option<DeliveryStreamType> = "DeliveryStreamType",
        direct_put_source_configuration: Option<DirectPutSourceConfiguration> = "DirectPutSourceConfiguration",
        elasticsearch_destination_configuration: Option<Value> = "ElasticsearchDestinationConfiguration",
        extended_s3_destination_configuration: Option<ExtendedS3DestinationConfiguration> =
            "ExtendedS3DestinationConfiguration",
        http_endpoint_destination_configuration: Option<Value> = "HttpEndpointDestinationConfiguration",
        iceberg_destination_configuration: Option<Value> = "IcebergDestinationConfiguration",
        kinesis_stream_source_configuration: Option<Value> = "KinesisStreamSourceConfiguration",
        msk_source_configuration: Option<Value> = "MSKSourceConfiguration",
        redshift_destination_configuration: Option<Value> = "RedshiftDestinationConfiguration",
        s3_destination_configuration: Option<S3DestinationConfiguration> = "S3DestinationConfiguration",
        snowflake_destination_configuration: Option<Value> = "SnowflakeDestinationConfiguration",
        splunk_destination_configuration: Option<Value> = "SplunkDestinationConfiguration",
        tags: Option<Vec<Tag>> = "Tags",
    }
}

impl CreateDeliveryStream {
    /// How many destinations the request configures; AWS wants exactly one.
    #[must_use]
    pub fn destinations(&self) -> usize {
        self.other_destinations().count()
            + usize::from(self.s3_destination_configuration.is_some())
            + usize::from(self.extended_s3_destination_configuration.is_some())
    }

    /// The member names of the configured destinations other than S3.
    pub fn other_destinations(&self) -> impl Iterator<Item = &'static str> + '_ {
        [
            (
                "AmazonOpenSearchServerlessDestinationConfiguration",
                &self.amazon_open_search_serverless_destination_configuration,
            ),
            (
                "AmazonopensearchserviceDestinationConfiguration",
                &self.amazonopensearchservice_destination_configuration,
            ),
            ("ElasticsearchDestinationConfiguration", &self.elasticsearch_destination_configuration),
            ("HttpEndpointDestinationConfiguration", &self.http_endpoint_destination_configuration),
            ("IcebergDestinationConfiguration", &self.iceberg_destination_configuration),
            ("RedshiftDestinationConfiguration", &self.redshift_destination_configuration),
            ("SnowflakeDestinationConfiguration", &self.snowflake_destination_configuration),
            ("SplunkDestinationConfiguration", &self.splunk_destination_configuration),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|_| name))
    }

    /// The member names of the configured sources other than direct put.
    pub fn other_sources(&self) -> impl Iterator<Item = &'static str> + '_ {
        [
            ("DatabaseSourceConfiguration", &self.database_source_configuration),
            ("KinesisStreamSourceConfiguration", &self.kinesis_stream_source_configuration),
            ("MSKSourceConfiguration", &self.msk_source_configuration),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|_| name))
    }
}

request_struct! {
    /// Deletes a delivery stream.
    DeleteDeliveryStream = firehose::DELETE_DELIVERY_STREAM_INPUT {
        allow_force_delete: Option<bool> = "AllowForceDelete",
        delivery_stream_name: String = "DeliveryStreamName",
    }
}

request_struct! {
    /// Describes a delivery stream.
    DescribeDeliveryStream = firehose::DESCRIBE_DELIVERY_STREAM_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        exclusive_start_destination_id: Option<String> = "ExclusiveStartDestinationId",
        limit: Option<u32> = "Limit",
    }
}

request_struct! {
    /// Lists the account's delivery streams.
    ListDeliveryStreams = firehose::LIST_DELIVERY_STREAMS_INPUT {
        delivery_stream_type: Option<DeliveryStreamType> = "DeliveryStreamType",
        exclusive_start_delivery_stream_name: Option<String> = "ExclusiveStartDeliveryStreamName",
        limit: Option<u32> = "Limit",
    }
}

request_struct! {
    /// A record.
    Record = firehose::RECORD {
        data: Bytes = "Data",
    }
}

request_struct! {
    /// Puts one record.
    PutRecord = firehose::PUT_RECORD_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        record: Record = "Record",
    }
}

request_struct! {
    /// Puts up to 500 records.
    PutRecordBatch = firehose::PUT_RECORD_BATCH_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        records: Vec<Record> = "Records",
    }
}

reply_struct! {
    /// Reply of `CreateDeliveryStream`.
    CreateDeliveryStreamReply = firehose::CREATE_DELIVERY_STREAM_OUTPUT {
        delivery_stream_arn: String = "DeliveryStreamARN",
    }
}

reply_struct! {
    /// Reply of `DeleteDeliveryStream`: an object without members.
    DeleteDeliveryStreamReply = firehose::DELETE_DELIVERY_STREAM_OUTPUT {}
}

reply_struct! {
    /// Reply of `ListDeliveryStreams`.
    ListDeliveryStreamsReply = firehose::LIST_DELIVERY_STREAMS_OUTPUT {
        delivery_stream_names: Vec<String> = "DeliveryStreamNames",
        has_more_delivery_streams: bool = "HasMoreDeliveryStreams",
    }
}

reply_struct! {
    /// Reply of `PutRecord`.
    PutRecordReply = firehose::PUT_RECORD_OUTPUT {
        encrypted: bool = "Encrypted",
        record_id: String = "RecordId",
    }
}

reply_struct! {
    /// State of a delivery stream's encryption at rest.
    DeliveryStreamEncryptionConfiguration = firehose::DELIVERY_STREAM_ENCRYPTION_CONFIGURATION {
        failure_description: Option<FailureDescription> = "FailureDescription",
        key_arn: Option<String> = "KeyARN",
        key_type: Option<KeyType> = "KeyType",
        status: Option<DeliveryStreamEncryptionStatus> = "Status",
    }
}

impl DeliveryStreamEncryptionConfiguration {
    /// What AWS shows of a delivery stream that never was encrypted.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            failure_description: None,
            key_arn: None,
            key_type: None,
            status: Some(DeliveryStreamEncryptionStatus::Disabled),
        }
    }
}

reply_struct! {
    /// Why a change failed. The types are those of `DeliveryStreamFailureType`.
    FailureDescription = firehose::FAILURE_DESCRIPTION {
        details: String = "Details",
        failure_type: String = "Type",
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

fn buffering_or_default(hints: Option<&BufferingHints>) -> BufferingHints {
    BufferingHints {
        interval_in_seconds: hints
            .and_then(|hints| hints.interval_in_seconds)
            .or(Some(crate::limits::BUFFERING_INTERVAL_S_DEFAULT)),
        size_in_mbs: hints.and_then(|hints| hints.size_in_mbs).or(Some(crate::limits::BUFFERING_SIZE_MB_DEFAULT)),
    }
}

fn logging_or_default(options: Option<&CloudWatchLoggingOptions>) -> CloudWatchLoggingOptions {
    options.cloned().unwrap_or(CloudWatchLoggingOptions {
        enabled: Some(false),
        log_group_name: None,
        log_stream_name: None,
    })
}

fn encryption_or_default(encryption: Option<&EncryptionConfiguration>) -> EncryptionConfiguration {
    encryption.cloned().unwrap_or(EncryptionConfiguration {
        kms_encryption_config: None,
        no_encryption_config: Some(NoEncryptionConfig::NoEncryption),
    })
}

impl S3DestinationConfiguration {
    /// How AWS describes it, with its defaults shown.
    #[must_use]
    pub fn describe(&self) -> S3DestinationDescription {
        S3DestinationDescription {
            bucket_arn: self.bucket_arn.clone(),
            buffering_hints: buffering_or_default(self.buffering_hints.as_ref()),
            cloud_watch_logging_options: Some(logging_or_default(self.cloud_watch_logging_options.as_ref())),
            compression_format: self.compression_format.unwrap_or(CompressionFormat::Uncompressed),
            encryption_configuration: encryption_or_default(self.encryption_configuration.as_ref()),
            error_output_prefix: self.error_output_prefix.clone(),
            prefix: self.prefix.clone(),
            role_arn: self.role_arn.clone(),
        }
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

impl ExtendedS3DestinationConfiguration {
    /// How AWS describes it, with its defaults shown.
    #[must_use]
    pub fn describe(&self) -> ExtendedS3DestinationDescription {
        ExtendedS3DestinationDescription {
            bucket_arn: self.bucket_arn.clone(),
            buffering_hints: buffering_or_default(self.buffering_hints.as_ref()),
            cloud_watch_logging_options: Some(logging_or_default(self.cloud_watch_logging_options.as_ref())),
            compression_format: self.compression_format.unwrap_or(CompressionFormat::Uncompressed),
            custom_time_zone: self.custom_time_zone.clone(),
            data_format_conversion_configuration: self.data_format_conversion_configuration.clone(),
            dynamic_partitioning_configuration: self.dynamic_partitioning_configuration.clone(),
            encryption_configuration: encryption_or_default(self.encryption_configuration.as_ref()),
            error_output_prefix: self.error_output_prefix.clone(),
            file_extension: self.file_extension.clone(),
            prefix: self.prefix.clone(),
            processing_configuration: self.processing_configuration.clone(),
            role_arn: self.role_arn.clone(),
            s3_backup_description: self.s3_backup_configuration.as_ref().map(S3DestinationConfiguration::describe),
            s3_backup_mode: Some(self.s3_backup_mode.unwrap_or(S3BackupMode::Disabled)),
        }
    }

    /// The same in the old form, which AWS shows beside the new one.
    #[must_use]
    pub fn describe_old(&self) -> S3DestinationDescription {
        let new = self.describe();
        S3DestinationDescription {
            bucket_arn: new.bucket_arn,
            buffering_hints: new.buffering_hints,
            cloud_watch_logging_options: new.cloud_watch_logging_options,
            compression_format: new.compression_format,
            encryption_configuration: new.encryption_configuration,
            error_output_prefix: new.error_output_prefix,
            prefix: new.prefix,
            role_arn: new.role_arn,
        }
    }
}

reply_struct! {
    /// A destination of a delivery stream.
    DestinationDescription = firehose::DESTINATION_DESCRIPTION {
        destination_id: String = "DestinationId",
        extended_s3_destination_description: Option<ExtendedS3DestinationDescription> =
            "ExtendedS3DestinationDescription",
        s3_destination_description: Option<S3DestinationDescription> = "S3DestinationDescription",
    }
}

/// The id of a delivery stream's only destination.
pub const DESTINATION_ID: &str = "destinationId-000000000001";

impl DestinationDescription {
    /// A destination in S3, in both forms.
    #[must_use]
    pub fn s3(configuration: &ExtendedS3DestinationConfiguration) -> Self {
        Self {
            destination_id: DESTINATION_ID.to_owned(),
            extended_s3_destination_description: Some(configuration.describe()),
            s3_destination_description: Some(configuration.describe_old()),
        }
    }
}

reply_struct! {
    /// Expected throughput of direct put, as described.
    DirectPutSourceDescription = firehose::DIRECT_PUT_SOURCE_DESCRIPTION {
        throughput_hint_in_mbs: Option<u32> = "ThroughputHintInMBs",
    }
}

reply_struct! {
    /// The source of a delivery stream. Direct put without a hint shows none.
    SourceDescription = firehose::SOURCE_DESCRIPTION {
        direct_put_source_description: Option<DirectPutSourceDescription> = "DirectPutSourceDescription",
    }
}

reply_struct! {
    /// A delivery stream.
    DeliveryStreamDescription = firehose::DELIVERY_STREAM_DESCRIPTION {
        create_timestamp: Option<TimestampMs> = "CreateTimestamp",
        delivery_stream_arn: String = "DeliveryStreamARN",
        delivery_stream_encryption_configuration: Option<DeliveryStreamEncryptionConfiguration> =
            "DeliveryStreamEncryptionConfiguration",
        delivery_stream_name: String = "DeliveryStreamName",
        delivery_stream_status: DeliveryStreamStatus = "DeliveryStreamStatus",
        delivery_stream_type: DeliveryStreamType = "DeliveryStreamType",
        destinations: Vec<DestinationDescription> = "Destinations",
        failure_description: Option<FailureDescription> = "FailureDescription",
        has_more_destinations: bool = "HasMoreDestinations",
        last_update_timestamp: Option<TimestampMs> = "LastUpdateTimestamp",
        source: Option<SourceDescription> = "Source",
        version_id: String = "VersionId",
    }
}

reply_struct! {
    /// Reply of `DescribeDeliveryStream`.
    DescribeDeliveryStreamReply = firehose::DESCRIBE_DELIVERY_STREAM_OUTPUT {
        delivery_stream_description: DeliveryStreamDescription = "DeliveryStreamDescription",
    }
}
