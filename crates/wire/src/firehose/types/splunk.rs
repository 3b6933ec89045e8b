//! Splunk.

use super::processing::ProcessingConfiguration;
use super::s3::{
    BufferingHints, CloudWatchLoggingOptions, RetryOptions, S3DestinationConfiguration, S3DestinationDescription,
    S3DestinationUpdate,
};
use super::security::SecretsManagerConfiguration;
use crate::typed::{SecretText, reply_struct, request_struct, wire_enum};

wire_enum! {
    /// How Splunk reads what it is sent.
    HecEndpointType {
        Raw = "Raw",
        Event = "Event",
    }
}

wire_enum! {
    /// Which records go to the backup bucket of Splunk.
    SplunkS3BackupMode {
        FailedEventsOnly = "FailedEventsOnly",
        AllEvents = "AllEvents",
    }
}

request_struct! {
    /// Delivery to Splunk's HTTP event collector.
    SplunkDestinationConfiguration = firehose::SPLUNK_DESTINATION_CONFIGURATION {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        hec_acknowledgment_timeout_in_seconds: Option<u32> = "HECAcknowledgmentTimeoutInSeconds",
        hec_endpoint: String = "HECEndpoint",
        hec_endpoint_type: HecEndpointType = "HECEndpointType",
        hec_token: Option<SecretText> = "HECToken",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        s3_backup_mode: Option<SplunkS3BackupMode> = "S3BackupMode",
        s3_configuration: S3DestinationConfiguration = "S3Configuration",
        secrets_manager_configuration: Option<SecretsManagerConfiguration> = "SecretsManagerConfiguration",
    }
}

request_struct! {
    /// A change of delivery to Splunk: absent members stay.
    SplunkDestinationUpdate = firehose::SPLUNK_DESTINATION_UPDATE {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        hec_acknowledgment_timeout_in_seconds: Option<u32> = "HECAcknowledgmentTimeoutInSeconds",
        hec_endpoint: Option<String> = "HECEndpoint",
        hec_endpoint_type: Option<HecEndpointType> = "HECEndpointType",
        hec_token: Option<SecretText> = "HECToken",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        s3_backup_mode: Option<SplunkS3BackupMode> = "S3BackupMode",
        s3_update: Option<S3DestinationUpdate> = "S3Update",
        secrets_manager_configuration: Option<SecretsManagerConfiguration> = "SecretsManagerConfiguration",
    }
}

reply_struct! {
    /// Delivery to Splunk as described, its token too.
    SplunkDestinationDescription = firehose::SPLUNK_DESTINATION_DESCRIPTION {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        hec_acknowledgment_timeout_in_seconds: Option<u32> = "HECAcknowledgmentTimeoutInSeconds",
        hec_endpoint: Option<String> = "HECEndpoint",
        hec_endpoint_type: Option<HecEndpointType> = "HECEndpointType",
        hec_token: Option<SecretText> = "HECToken",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        s3_backup_mode: Option<SplunkS3BackupMode> = "S3BackupMode",
        s3_destination_description: Option<S3DestinationDescription> = "S3DestinationDescription",
        secrets_manager_configuration: Option<SecretsManagerConfiguration> = "SecretsManagerConfiguration",
    }
}
