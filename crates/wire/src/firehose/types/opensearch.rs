//! OpenSearch in its three forms, which are one on the wire: a form sends no member that it does not know.

use super::processing::ProcessingConfiguration;
use super::s3::{
    BufferingHints, CloudWatchLoggingOptions, RetryOptions, S3DestinationConfiguration, S3DestinationDescription,
    S3DestinationUpdate,
};
use crate::typed::{reply_struct, request_struct, shared_struct, wire_enum};

/// Which of its forms OpenSearch is configured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenSearchForm {
    /// Amazon OpenSearch Service.
    Service,
    /// Amazon OpenSearch Serverless.
    Serverless,
    /// Amazon Elasticsearch Service, as it was called.
    Elasticsearch,
}

wire_enum! {
    /// How often a new index is begun.
    OpenSearchIndexRotationPeriod {
        NoRotation = "NoRotation",
        OneHour = "OneHour",
        OneDay = "OneDay",
        OneWeek = "OneWeek",
        OneMonth = "OneMonth",
    }
}

wire_enum! {
    /// Which documents go to the backup bucket.
    OpenSearchS3BackupMode {
        FailedDocumentsOnly = "FailedDocumentsOnly",
        AllDocuments = "AllDocuments",
    }
}

wire_enum! {
    /// Who names documents.
    DefaultDocumentIdFormat {
        FirehoseDefault = "FIREHOSE_DEFAULT",
        NoDocumentId = "NO_DOCUMENT_ID",
    }
}

shared_struct! {
    /// Who names documents.
    DocumentIdOptions = firehose::DOCUMENT_ID_OPTIONS {
        default_document_id_format: DefaultDocumentIdFormat = "DefaultDocumentIdFormat",
    }
}

request_struct! {
    /// The network that an endpoint stands in.
    VpcConfiguration = firehose::VPC_CONFIGURATION {
        role_arn: String = "RoleARN",
        security_group_ids: Vec<String> = "SecurityGroupIds",
        subnet_ids: Vec<String> = "SubnetIds",
    }
}

reply_struct! {
    /// The network that an endpoint stands in, as described.
    VpcConfigurationDescription = firehose::VPC_CONFIGURATION_DESCRIPTION {
        role_arn: String = "RoleARN",
        security_group_ids: Vec<String> = "SecurityGroupIds",
        subnet_ids: Vec<String> = "SubnetIds",
        vpc_id: String = "VpcId",
    }
}

request_struct! {
    /// Delivery to OpenSearch Service, to Elasticsearch or to a Serverless collection.
    OpenSearchDestinationConfiguration = firehose::AMAZONOPENSEARCHSERVICE_DESTINATION_CONFIGURATION {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        cluster_endpoint: Option<String> = "ClusterEndpoint",
        collection_endpoint: Option<String> = "CollectionEndpoint",
        document_id_options: Option<DocumentIdOptions> = "DocumentIdOptions",
        domain_arn: Option<String> = "DomainARN",
        index_name: String = "IndexName",
        index_rotation_period: Option<OpenSearchIndexRotationPeriod> = "IndexRotationPeriod",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        role_arn: String = "RoleARN",
        s3_backup_mode: Option<OpenSearchS3BackupMode> = "S3BackupMode",
        s3_configuration: S3DestinationConfiguration = "S3Configuration",
        type_name: Option<String> = "TypeName",
        vpc_configuration: Option<VpcConfiguration> = "VpcConfiguration",
    }
}

request_struct! {
    /// A change of delivery to OpenSearch in one of its forms: absent members stay.
    OpenSearchDestinationUpdate = firehose::AMAZONOPENSEARCHSERVICE_DESTINATION_UPDATE {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        cluster_endpoint: Option<String> = "ClusterEndpoint",
        collection_endpoint: Option<String> = "CollectionEndpoint",
        document_id_options: Option<DocumentIdOptions> = "DocumentIdOptions",
        domain_arn: Option<String> = "DomainARN",
        index_name: Option<String> = "IndexName",
        index_rotation_period: Option<OpenSearchIndexRotationPeriod> = "IndexRotationPeriod",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        role_arn: Option<String> = "RoleARN",
        s3_update: Option<S3DestinationUpdate> = "S3Update",
        type_name: Option<String> = "TypeName",
    }
}

reply_struct! {
    /// Delivery to OpenSearch in one of its forms, as described.
    OpenSearchDestinationDescription = firehose::AMAZONOPENSEARCHSERVICE_DESTINATION_DESCRIPTION {
        buffering_hints: Option<BufferingHints> = "BufferingHints",
        cloud_watch_logging_options: Option<CloudWatchLoggingOptions> = "CloudWatchLoggingOptions",
        cluster_endpoint: Option<String> = "ClusterEndpoint",
        collection_endpoint: Option<String> = "CollectionEndpoint",
        document_id_options: Option<DocumentIdOptions> = "DocumentIdOptions",
        domain_arn: Option<String> = "DomainARN",
        index_name: Option<String> = "IndexName",
        index_rotation_period: Option<OpenSearchIndexRotationPeriod> = "IndexRotationPeriod",
        processing_configuration: Option<ProcessingConfiguration> = "ProcessingConfiguration",
        retry_options: Option<RetryOptions> = "RetryOptions",
        role_arn: Option<String> = "RoleARN",
        s3_backup_mode: Option<OpenSearchS3BackupMode> = "S3BackupMode",
        s3_destination_description: Option<S3DestinationDescription> = "S3DestinationDescription",
        type_name: Option<String> = "TypeName",
        vpc_configuration_description: Option<VpcConfigurationDescription> = "VpcConfigurationDescription",
    }
}
