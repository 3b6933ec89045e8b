//! HTTP endpoints.

use super::processing::ProcessingConfiguration;
use super::s3::{
    BufferingHints, CloudWatchLoggingOptions, RetryOptions, S3DestinationConfiguration, S3DestinationDescription,
    S3DestinationUpdate,
};
use super::security::SecretsManagerConfiguration;
use crate::typed::{SecretText, reply_struct, request_struct, shared_struct, wire_enum};

wire_enum! {
    /// Whether a request's body is compressed.
    ContentEncoding {
        None = "NONE",
        Gzip = "GZIP",
    }
}

wire_enum! {
    /// Which records go to the backup bucket of an HTTP endpoint.
    HttpEndpointS3BackupMode {
        FailedDataOnly = "FailedDataOnly",
        AllData = "AllData",
    }
}

shared_struct! {
    /// What is sent with each request beside the records.
    HttpEndpointCommonAttribute = firehose::HTTP_ENDPOINT_COMMON_ATTRIBUTE {
        attribute_name: String = "AttributeName",
        attribute_value: SecretText = "AttributeValue",
    }
}

shared_struct! {
    /// How requests are made.
    HttpEndpointRequestConfiguration = firehose::HTTP_ENDPOINT_REQUEST_CONFIGURATION {
        common_attributes: Option<Vec<HttpEndpointCommonAttribute>> = "CommonAttributes",
        content_encoding: Option<ContentEncoding> = "ContentEncoding",
    }
}

request_struct! {
    /// Where requests go.
    HttpEndpointConfiguration = firehose::HTTP_ENDPOINT_CONFIGURATION {
        access_key: Option<SecretText> = "AccessKey",
        name: Option<String> = "Name",
        url: String = "Url",
    }
}

reply_struct! {
    /// Where requests go, without the access key.
    HttpEndpointDescription = firehose::HTTP_ENDPOINT_DESCRIPTION {
        name: Option<String> = "Name",
        url: String = "Url",
    }
}

request_struct! {
    /// Delivery to an HTTP endpoint.
    HttpEndpointDestinationConfiguration = firehose::HTTP_ENDPOINT_DESTINATION_CONFIGURATION {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        endpoint_configuration: HttpEndpointConfiguration = "EndpointConfiguration",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        request_configuration: Option<HttpEndpointRequestConfiguration> = "RequestConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        role_arn: Option<String> = "RoleARN",
        s3_backup_mode: Option<HttpEndpointS3BackupMode> = "S3BackupMode",
        s3_configuration: S3DestinationConfiguration = "S3Configuration",
        secrets_manager_configuration: Option<SecretsManagerConfiguration> = "SecretsManagerConfiguration",
    }
}

request_struct! {
    /// A change of delivery to an HTTP endpoint: absent members stay.
    HttpEndpointDestinationUpdate = firehose::HTTP_ENDPOINT_DESTINATION_UPDATE {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        endpoint_configuration: Option<HttpEndpointConfiguration> = "EndpointConfiguration",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        request_configuration: Option<HttpEndpointRequestConfiguration> = "RequestConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        role_arn: Option<String> = "RoleARN",
        s3_backup_mode: Option<HttpEndpointS3BackupMode> = "S3BackupMode",
        s3_update: Option<S3DestinationUpdate> = "S3Update",
        secrets_manager_configuration: Option<SecretsManagerConfiguration> = "SecretsManagerConfiguration",
    }
}

reply_struct! {
    /// Delivery to an HTTP endpoint as described.
    HttpEndpointDestinationDescription = firehose::HTTP_ENDPOINT_DESTINATION_DESCRIPTION {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        endpoint_configuration: Option<HttpEndpointDescription> = "EndpointConfiguration",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        request_configuration: Option<HttpEndpointRequestConfiguration> = "RequestConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        role_arn: Option<String> = "RoleARN",
        s3_backup_mode: Option<HttpEndpointS3BackupMode> = "S3BackupMode",
        s3_destination_description: Option<S3DestinationDescription> = "S3DestinationDescription",
        secrets_manager_configuration: Option<SecretsManagerConfiguration> = "SecretsManagerConfiguration",
    }
}
