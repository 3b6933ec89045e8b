//! Delivery streams as wholes: creation, update, description, list, deletion.

use super::http::{
    HttpEndpointDestinationConfiguration, HttpEndpointDestinationDescription, HttpEndpointDestinationUpdate,
};
use super::opensearch::{
    OpenSearchDestinationConfiguration, OpenSearchDestinationDescription, OpenSearchDestinationUpdate, OpenSearchForm,
};
use super::s3::{
    ExtendedS3DestinationConfiguration, ExtendedS3DestinationDescription, ExtendedS3DestinationUpdate,
    S3DestinationConfiguration, S3DestinationDescription, S3DestinationUpdate,
};
use super::security::{DeliveryStreamEncryptionConfiguration, DeliveryStreamEncryptionConfigurationInput};
use super::source::{
    DeliveryStreamType, DirectPutSourceConfiguration, KinesisStreamSourceConfiguration, SourceDescription,
};
use super::splunk::{SplunkDestinationConfiguration, SplunkDestinationDescription, SplunkDestinationUpdate};
use super::tags::Tag;
use crate::typed::{Presence, TimestampMs, reply_struct, request_struct, wire_enum};

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
    /// Why something failed.
    DeliveryStreamFailureType {
        VpcEndpointServiceNameNotFound = "VPC_ENDPOINT_SERVICE_NAME_NOT_FOUND",
        VpcInterfaceEndpointServiceAccessDenied = "VPC_INTERFACE_ENDPOINT_SERVICE_ACCESS_DENIED",
        RetireKmsGrantFailed = "RETIRE_KMS_GRANT_FAILED",
        CreateKmsGrantFailed = "CREATE_KMS_GRANT_FAILED",
        KmsAccessDenied = "KMS_ACCESS_DENIED",
        DisabledKmsKey = "DISABLED_KMS_KEY",
        InvalidKmsKey = "INVALID_KMS_KEY",
        KmsKeyNotFound = "KMS_KEY_NOT_FOUND",
        KmsOptInRequired = "KMS_OPT_IN_REQUIRED",
        CreateEniFailed = "CREATE_ENI_FAILED",
        DeleteEniFailed = "DELETE_ENI_FAILED",
        SubnetNotFound = "SUBNET_NOT_FOUND",
        SecurityGroupNotFound = "SECURITY_GROUP_NOT_FOUND",
        EniAccessDenied = "ENI_ACCESS_DENIED",
        SubnetAccessDenied = "SUBNET_ACCESS_DENIED",
        SecurityGroupAccessDenied = "SECURITY_GROUP_ACCESS_DENIED",
        UnknownError = "UNKNOWN_ERROR",
    }
}

request_struct! {
    /// Creates a delivery stream.
    CreateDeliveryStream = firehose::CREATE_DELIVERY_STREAM_INPUT {
        amazon_open_search_serverless_destination_configuration: Option<OpenSearchDestinationConfiguration> =
            "AmazonOpenSearchServerlessDestinationConfiguration",
        amazonopensearchservice_destination_configuration: Option<OpenSearchDestinationConfiguration> =
            "AmazonopensearchserviceDestinationConfiguration",
        database_source_configuration: Option<Presence> = "DatabaseSourceConfiguration",
        delivery_stream_encryption_configuration_input: Option<DeliveryStreamEncryptionConfigurationInput> =
            "DeliveryStreamEncryptionConfigurationInput",
        delivery_stream_name: String = "DeliveryStreamName",
        delivery_stream_type: Option<DeliveryStreamType> = "DeliveryStreamType",
        direct_put_source_configuration: Option<DirectPutSourceConfiguration> = "DirectPutSourceConfiguration",
        elasticsearch_destination_configuration: Option<OpenSearchDestinationConfiguration> =
            "ElasticsearchDestinationConfiguration",
        extended_s3_destination_configuration: Option<ExtendedS3DestinationConfiguration> =
            "ExtendedS3DestinationConfiguration",
        http_endpoint_destination_configuration: Option<HttpEndpointDestinationConfiguration> =
            "HttpEndpointDestinationConfiguration",
        iceberg_destination_configuration: Option<Presence> = "IcebergDestinationConfiguration",
        kinesis_stream_source_configuration: Option<KinesisStreamSourceConfiguration> =
            "KinesisStreamSourceConfiguration",
        msk_source_configuration: Option<Presence> = "MSKSourceConfiguration",
        redshift_destination_configuration: Option<Presence> = "RedshiftDestinationConfiguration",
        s3_destination_configuration: Option<S3DestinationConfiguration> = "S3DestinationConfiguration",
        snowflake_destination_configuration: Option<Presence> = "SnowflakeDestinationConfiguration",
        splunk_destination_configuration: Option<SplunkDestinationConfiguration> = "SplunkDestinationConfiguration",
        tags: Option<Vec<Tag>> = "Tags",
    }
}

/// A destination that a new delivery stream asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DestinationConfiguration<'a> {
    /// A bucket, in the old form.
    S3(&'a S3DestinationConfiguration),
    /// A bucket.
    ExtendedS3(&'a ExtendedS3DestinationConfiguration),
    /// An HTTP endpoint.
    HttpEndpoint(&'a HttpEndpointDestinationConfiguration),
    /// Splunk.
    Splunk(&'a SplunkDestinationConfiguration),
    /// OpenSearch in one of its forms.
    OpenSearch(OpenSearchForm, &'a OpenSearchDestinationConfiguration),
    /// A destination that this version does not serve.
    Unserved {
        /// The member that asks for it.
        member: &'static str,
    },
}

impl CreateDeliveryStream {
    /// The destinations that the request configures, in the model's order; AWS wants exactly one.
    pub fn destinations(&self) -> impl Iterator<Item = DestinationConfiguration<'_>> {
        use DestinationConfiguration as To;
        let unserved = |to: &Option<Presence>, member| to.as_ref().map(|Presence| To::Unserved { member });
        [
            self.amazon_open_search_serverless_destination_configuration
                .as_ref()
                .map(|to| To::OpenSearch(OpenSearchForm::Serverless, to)),
            self.amazonopensearchservice_destination_configuration
                .as_ref()
                .map(|to| To::OpenSearch(OpenSearchForm::Service, to)),
            self.elasticsearch_destination_configuration
                .as_ref()
                .map(|to| To::OpenSearch(OpenSearchForm::Elasticsearch, to)),
            self.extended_s3_destination_configuration.as_ref().map(To::ExtendedS3),
            self.http_endpoint_destination_configuration.as_ref().map(To::HttpEndpoint),
            unserved(&self.iceberg_destination_configuration, "IcebergDestinationConfiguration"),
            unserved(&self.redshift_destination_configuration, "RedshiftDestinationConfiguration"),
            self.s3_destination_configuration.as_ref().map(To::S3),
            unserved(&self.snowflake_destination_configuration, "SnowflakeDestinationConfiguration"),
            self.splunk_destination_configuration.as_ref().map(To::Splunk),
        ]
        .into_iter()
        .flatten()
    }
}

/// A change of a destination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DestinationUpdate<'a> {
    /// Of a bucket, in the old form.
    S3(&'a S3DestinationUpdate),
    /// Of a bucket.
    ExtendedS3(&'a ExtendedS3DestinationUpdate),
    /// Of an HTTP endpoint.
    HttpEndpoint(&'a HttpEndpointDestinationUpdate),
    /// Of Splunk.
    Splunk(&'a SplunkDestinationUpdate),
    /// Of OpenSearch in one of its forms.
    OpenSearch(OpenSearchForm, &'a OpenSearchDestinationUpdate),
    /// Of a destination that this version does not serve.
    Unserved {
        /// The destination, as AWS names the type in its texts.
        destination: &'static str,
    },
}

impl UpdateDestination {
    /// The changes that the request asks for, in the model's order; AWS wants exactly one.
    pub fn updates(&self) -> impl Iterator<Item = DestinationUpdate<'_>> {
        use DestinationUpdate as To;
        let unserved = |to: &Option<Presence>, destination| to.as_ref().map(|Presence| To::Unserved { destination });
        [
            self.amazon_open_search_serverless_destination_update
                .as_ref()
                .map(|to| To::OpenSearch(OpenSearchForm::Serverless, to)),
            self.amazonopensearchservice_destination_update
                .as_ref()
                .map(|to| To::OpenSearch(OpenSearchForm::Service, to)),
            self.elasticsearch_destination_update.as_ref().map(|to| To::OpenSearch(OpenSearchForm::Elasticsearch, to)),
            self.extended_s3_destination_update.as_ref().map(To::ExtendedS3),
            self.http_endpoint_destination_update.as_ref().map(To::HttpEndpoint),
            unserved(&self.iceberg_destination_update, "Iceberg"),
            unserved(&self.redshift_destination_update, "Redshift"),
            self.s3_destination_update.as_ref().map(To::S3),
            unserved(&self.snowflake_destination_update, "Snowflake"),
            self.splunk_destination_update.as_ref().map(To::Splunk),
        ]
        .into_iter()
        .flatten()
    }
}

reply_struct! {
    /// Reply of `CreateDeliveryStream`.
    CreateDeliveryStreamReply = firehose::CREATE_DELIVERY_STREAM_OUTPUT {
        delivery_stream_arn: String = "DeliveryStreamARN",
    }
}

request_struct! {
    /// Changes the destination of a delivery stream.
    UpdateDestination = firehose::UPDATE_DESTINATION_INPUT {
        amazon_open_search_serverless_destination_update: Option<OpenSearchDestinationUpdate> =
            "AmazonOpenSearchServerlessDestinationUpdate",
        amazonopensearchservice_destination_update: Option<OpenSearchDestinationUpdate> =
            "AmazonopensearchserviceDestinationUpdate",
        current_delivery_stream_version_id: String = "CurrentDeliveryStreamVersionId",
        delivery_stream_name: String = "DeliveryStreamName",
        destination_id: String = "DestinationId",
        elasticsearch_destination_update: Option<OpenSearchDestinationUpdate> = "ElasticsearchDestinationUpdate",
        extended_s3_destination_update: Option<ExtendedS3DestinationUpdate> = "ExtendedS3DestinationUpdate",
        http_endpoint_destination_update: Option<HttpEndpointDestinationUpdate> = "HttpEndpointDestinationUpdate",
        iceberg_destination_update: Option<Presence> = "IcebergDestinationUpdate",
        redshift_destination_update: Option<Presence> = "RedshiftDestinationUpdate",
        s3_destination_update: Option<S3DestinationUpdate> = "S3DestinationUpdate",
        snowflake_destination_update: Option<Presence> = "SnowflakeDestinationUpdate",
        splunk_destination_update: Option<SplunkDestinationUpdate> = "SplunkDestinationUpdate",
    }
}

reply_struct! {
    /// Reply of `UpdateDestination`: an object without members.
    UpdateDestinationReply = firehose::UPDATE_DESTINATION_OUTPUT {
    }
}

request_struct! {
    /// Deletes a delivery stream.
    DeleteDeliveryStream = firehose::DELETE_DELIVERY_STREAM_INPUT {
        allow_force_delete: Option<bool> = "AllowForceDelete",
        delivery_stream_name: String = "DeliveryStreamName",
    }
}

reply_struct! {
    /// Reply of `DeleteDeliveryStream`: an object without members.
    DeleteDeliveryStreamReply = firehose::DELETE_DELIVERY_STREAM_OUTPUT {}
}

request_struct! {
    /// Describes a delivery stream.
    DescribeDeliveryStream = firehose::DESCRIBE_DELIVERY_STREAM_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        exclusive_start_destination_id: Option<String> = "ExclusiveStartDestinationId",
        limit: Option<u32> = "Limit",
    }
}

reply_struct! {
    /// Reply of `DescribeDeliveryStream`.
    DescribeDeliveryStreamReply = firehose::DESCRIBE_DELIVERY_STREAM_OUTPUT {
        delivery_stream_description: DeliveryStreamDescription = "DeliveryStreamDescription",
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
    /// A destination of a delivery stream.
    DestinationDescription = firehose::DESTINATION_DESCRIPTION {
        amazon_open_search_serverless_destination_description: Option<OpenSearchDestinationDescription> =
            "AmazonOpenSearchServerlessDestinationDescription",
        amazonopensearchservice_destination_description: Option<OpenSearchDestinationDescription> =
            "AmazonopensearchserviceDestinationDescription",
        destination_id: String = "DestinationId",
        elasticsearch_destination_description: Option<OpenSearchDestinationDescription> =
            "ElasticsearchDestinationDescription",
        extended_s3_destination_description: Option<ExtendedS3DestinationDescription> =
            "ExtendedS3DestinationDescription",
        http_endpoint_destination_description: Option<HttpEndpointDestinationDescription> =
            "HttpEndpointDestinationDescription",
        s3_destination_description: Option<S3DestinationDescription> = "S3DestinationDescription",
        splunk_destination_description: Option<SplunkDestinationDescription> = "SplunkDestinationDescription",
    }
}

/// The id of a delivery stream's only destination.
pub const DESTINATION_ID: &str = "destinationId-000000000001";

impl DestinationDescription {
    /// The one destination, without what it is yet.
    #[must_use]
    pub fn only() -> Self {
        Self {
            amazon_open_search_serverless_destination_description: None,
            amazonopensearchservice_destination_description: None,
            destination_id: DESTINATION_ID.to_owned(),
            elasticsearch_destination_description: None,
            extended_s3_destination_description: None,
            http_endpoint_destination_description: None,
            s3_destination_description: None,
            splunk_destination_description: None,
        }
    }
}

reply_struct! {
    /// Why a change failed.
    FailureDescription = firehose::FAILURE_DESCRIPTION {
        details: String = "Details",
        failure_type: DeliveryStreamFailureType = "Type",
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

reply_struct! {
    /// Reply of `ListDeliveryStreams`.
    ListDeliveryStreamsReply = firehose::LIST_DELIVERY_STREAMS_OUTPUT {
        delivery_stream_names: Vec<String> = "DeliveryStreamNames",
        has_more_delivery_streams: bool = "HasMoreDeliveryStreams",
    }
}
