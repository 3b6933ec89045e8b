use std::collections::BTreeSet;

use super::types::*;
use super::{Request, decode, errors, put_record_batch};
use crate::codec::Protocol;
use crate::error::ErrorCode;
use crate::model::Shape;
use crate::operation::{FirehoseOp, Operation, Service};
use crate::typed::Structure;
use crate::typed::test::{enum_agrees, reply_agrees, request_agrees};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn requests_have_the_model_s_members() {
    request_agrees::<BufferingHints>();
    request_agrees::<CloudWatchLoggingOptions>();
    request_agrees::<KmsEncryptionConfig>();
    request_agrees::<EncryptionConfiguration>();
    request_agrees::<RetryOptions>();
    request_agrees::<DynamicPartitioningConfiguration>();
    request_agrees::<ProcessorParameter>();
    request_agrees::<Processor>();
    request_agrees::<ProcessingConfiguration>();
    request_agrees::<HiveJsonSerDe>();
    request_agrees::<OpenXJsonSerDe>();
    request_agrees::<Deserializer>();
    request_agrees::<InputFormatConfiguration>();
    request_agrees::<OrcSerDe>();
    request_agrees::<ParquetSerDe>();
    request_agrees::<Serializer>();
    request_agrees::<OutputFormatConfiguration>();
    request_agrees::<SchemaConfiguration>();
    request_agrees::<DataFormatConversionConfiguration>();
    request_agrees::<S3DestinationConfiguration>();
    request_agrees::<S3DestinationUpdate>();
    request_agrees::<ExtendedS3DestinationConfiguration>();
    request_agrees::<ExtendedS3DestinationUpdate>();
    request_agrees::<SecretsManagerConfiguration>();
    request_agrees::<HttpEndpointCommonAttribute>();
    request_agrees::<HttpEndpointRequestConfiguration>();
    request_agrees::<HttpEndpointConfiguration>();
    request_agrees::<HttpEndpointDestinationConfiguration>();
    request_agrees::<HttpEndpointDestinationUpdate>();
    request_agrees::<SplunkDestinationConfiguration>();
    request_agrees::<SplunkDestinationUpdate>();
    request_agrees::<DocumentIdOptions>();
    request_agrees::<VpcConfiguration>();
    request_agrees::<KinesisStreamSourceConfiguration>();
    request_agrees::<DirectPutSourceConfiguration>();
    request_agrees::<DeliveryStreamEncryptionConfigurationInput>();
    request_agrees::<Tag>();
    request_agrees::<CreateDeliveryStream>();
    request_agrees::<UpdateDestination>();
    request_agrees::<DeleteDeliveryStream>();
    request_agrees::<DescribeDeliveryStream>();
    request_agrees::<ListDeliveryStreams>();
    request_agrees::<ListTagsForDeliveryStream>();
    request_agrees::<TagDeliveryStream>();
    request_agrees::<UntagDeliveryStream>();
    request_agrees::<StartDeliveryStreamEncryption>();
    request_agrees::<StopDeliveryStreamEncryption>();
    request_agrees::<Record>();
    request_agrees::<PutRecord>();
    request_agrees::<PutRecordBatch>();
}

/// A structure that stands for several shapes has the members of all, each in the shape's order.
fn members_are_those_of<T: Structure>(shapes: &[&Shape]) {
    let names = |shape: &Shape| shape.members().iter().map(|member| member.name).collect::<BTreeSet<_>>();
    let all: BTreeSet<&str> = shapes.iter().flat_map(|shape| names(shape)).collect();
    assert_eq!(T::MEMBERS, all.into_iter().collect::<Vec<_>>());
}

#[test]
fn one_structure_serves_shapes_that_are_alike() {
    use super::shapes as s;
    members_are_those_of::<BufferingHints>(&[&s::AMAZON_OPEN_SEARCH_SERVERLESS_BUFFERING_HINTS]);
    members_are_those_of::<BufferingHints>(&[&s::AMAZONOPENSEARCHSERVICE_BUFFERING_HINTS]);
    members_are_those_of::<BufferingHints>(&[&s::ELASTICSEARCH_BUFFERING_HINTS]);
    members_are_those_of::<BufferingHints>(&[&s::HTTP_ENDPOINT_BUFFERING_HINTS]);
    members_are_those_of::<BufferingHints>(&[&s::SPLUNK_BUFFERING_HINTS]);
    members_are_those_of::<RetryOptions>(&[&s::AMAZON_OPEN_SEARCH_SERVERLESS_RETRY_OPTIONS]);
    members_are_those_of::<RetryOptions>(&[&s::AMAZONOPENSEARCHSERVICE_RETRY_OPTIONS]);
    members_are_those_of::<RetryOptions>(&[&s::ELASTICSEARCH_RETRY_OPTIONS]);
    members_are_those_of::<RetryOptions>(&[&s::HTTP_ENDPOINT_RETRY_OPTIONS]);
    members_are_those_of::<RetryOptions>(&[&s::SPLUNK_RETRY_OPTIONS]);
    members_are_those_of::<OpenSearchDestinationConfiguration>(&[
        &s::AMAZON_OPEN_SEARCH_SERVERLESS_DESTINATION_CONFIGURATION,
        &s::AMAZONOPENSEARCHSERVICE_DESTINATION_CONFIGURATION,
        &s::ELASTICSEARCH_DESTINATION_CONFIGURATION,
    ]);
    members_are_those_of::<OpenSearchDestinationUpdate>(&[
        &s::AMAZON_OPEN_SEARCH_SERVERLESS_DESTINATION_UPDATE,
        &s::AMAZONOPENSEARCHSERVICE_DESTINATION_UPDATE,
        &s::ELASTICSEARCH_DESTINATION_UPDATE,
    ]);
    members_are_those_of::<OpenSearchDestinationDescription>(&[
        &s::AMAZON_OPEN_SEARCH_SERVERLESS_DESTINATION_DESCRIPTION,
        &s::AMAZONOPENSEARCHSERVICE_DESTINATION_DESCRIPTION,
        &s::ELASTICSEARCH_DESTINATION_DESCRIPTION,
    ]);
}

#[test]
fn replies_have_members_of_the_model() {
    reply_agrees::<CreateDeliveryStreamReply>(&[]);
    reply_agrees::<UpdateDestinationReply>(&[]);
    reply_agrees::<DeleteDeliveryStreamReply>(&[]);
    reply_agrees::<ListDeliveryStreamsReply>(&[]);
    reply_agrees::<ListTagsForDeliveryStreamReply>(&[]);
    reply_agrees::<TagDeliveryStreamReply>(&[]);
    reply_agrees::<UntagDeliveryStreamReply>(&[]);
    reply_agrees::<StartDeliveryStreamEncryptionReply>(&[]);
    reply_agrees::<StopDeliveryStreamEncryptionReply>(&[]);
    reply_agrees::<PutRecordReply>(&[]);
    reply_agrees::<DeliveryStreamEncryptionConfiguration>(&[]);
    reply_agrees::<FailureDescription>(&[]);
    reply_agrees::<S3DestinationDescription>(&[]);
    reply_agrees::<ExtendedS3DestinationDescription>(&[]);
    reply_agrees::<HttpEndpointDescription>(&[]);
    reply_agrees::<HttpEndpointDestinationDescription>(&[]);
    reply_agrees::<SplunkDestinationDescription>(&[]);
    reply_agrees::<VpcConfigurationDescription>(&[]);
    reply_agrees::<DirectPutSourceDescription>(&[]);
    reply_agrees::<KinesisStreamSourceDescription>(&[]);
    // Destinations and sources that this version does not serve.
    reply_agrees::<DestinationDescription>(&[
        "IcebergDestinationDescription",
        "RedshiftDestinationDescription",
        "SnowflakeDestinationDescription",
    ]);
    reply_agrees::<SourceDescription>(&["DatabaseSourceDescription", "MSKSourceDescription"]);
    reply_agrees::<DeliveryStreamDescription>(&[]);
    reply_agrees::<DescribeDeliveryStreamReply>(&[]);
}

#[test]
fn enumerations_have_the_model_s_values() {
    use super::shapes as s;
    macro_rules! agree {
        ($($shape:ident = $type:ty,)+) => {$(enum_agrees(&s::$shape, <$type>::ALL, <$type>::as_str);)+};
    }
    agree! {
        DELIVERY_STREAM_TYPE = DeliveryStreamType,
        DELIVERY_STREAM_STATUS = DeliveryStreamStatus,
        DELIVERY_STREAM_FAILURE_TYPE = DeliveryStreamFailureType,
        COMPRESSION_FORMAT = CompressionFormat,
        NO_ENCRYPTION_CONFIG = NoEncryptionConfig,
        S3_BACKUP_MODE = S3BackupMode,
        KEY_TYPE = KeyType,
        DELIVERY_STREAM_ENCRYPTION_STATUS = DeliveryStreamEncryptionStatus,
        PROCESSOR_TYPE = ProcessorType,
        PROCESSOR_PARAMETER_NAME = ProcessorParameterName,
        ORC_COMPRESSION = OrcCompression,
        ORC_FORMAT_VERSION = OrcFormatVersion,
        PARQUET_COMPRESSION = ParquetCompression,
        PARQUET_WRITER_VERSION = ParquetWriterVersion,
        CONTENT_ENCODING = ContentEncoding,
        HTTP_ENDPOINT_S3_BACKUP_MODE = HttpEndpointS3BackupMode,
        HEC_ENDPOINT_TYPE = HecEndpointType,
        SPLUNK_S3_BACKUP_MODE = SplunkS3BackupMode,
        AMAZONOPENSEARCHSERVICE_INDEX_ROTATION_PERIOD = OpenSearchIndexRotationPeriod,
        ELASTICSEARCH_INDEX_ROTATION_PERIOD = OpenSearchIndexRotationPeriod,
        AMAZONOPENSEARCHSERVICE_S3_BACKUP_MODE = OpenSearchS3BackupMode,
        AMAZON_OPEN_SEARCH_SERVERLESS_S3_BACKUP_MODE = OpenSearchS3BackupMode,
        ELASTICSEARCH_S3_BACKUP_MODE = OpenSearchS3BackupMode,
        DEFAULT_DOCUMENT_ID_FORMAT = DefaultDocumentIdFormat,
    }
}

#[test]
fn targets_name_operations() {
    assert_eq!(FirehoseOp::ALL.len(), 12);
    for op in FirehoseOp::ALL {
        let target = format!("{}.{}", Service::Firehose.target_prefix(), op.name());
        assert_eq!(Operation::from_target(&target), Some(Operation::Firehose(*op)));
        assert_eq!(op.input().name, format!("{}Input", op.name()));
    }
}

fn create(body: &str) -> CreateDeliveryStream {
    match decode(FirehoseOp::CreateDeliveryStream, Protocol::Json, body.as_bytes()) {
        Ok(Request::CreateDeliveryStream(request)) => *request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_served_is_named_and_forgotten() {
    let request = create(
        r#"{"DeliveryStreamName":"d","RedshiftDestinationConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/r",
        "ClusterJDBCURL":"jdbc:redshift://a.redshift.amazonaws.com:1/d","CopyCommand":{"DataTableName":"t"},
        "Username":"u","Password":"hunter2","S3Configuration":{"RoleARN":"arn:aws:iam::000000000000:role/r",
        "BucketARN":"arn:aws:s3:::b"}},"MSKSourceConfiguration":{"MSKClusterARN":"arn:aws:kafka:r:0:cluster/c",
        "TopicName":"t","AuthenticationConfiguration":{"RoleARN":"arn:aws:iam::000000000000:role/r",
        "Connectivity":"PUBLIC"}}}"#,
    );
    let destinations: Vec<_> = request.destinations().collect();
    assert_eq!(destinations, [DestinationConfiguration::Unserved { member: "RedshiftDestinationConfiguration" }]);
    assert!(request.msk_source_configuration.is_some());
    assert!(!format!("{request:?}").contains("hunter2"));
}

#[test]
fn secrets_do_not_print() {
    let request = create(
        r#"{"DeliveryStreamName":"d","HttpEndpointDestinationConfiguration":{"EndpointConfiguration":{"Url":"https://x",
        "AccessKey":"hunter2"},"S3Configuration":{"RoleARN":"arn:aws:iam::000000000000:role/r",
        "BucketARN":"arn:aws:s3:::b"}},"SplunkDestinationConfiguration":{"HECEndpoint":"https://s",
        "HECEndpointType":"Raw","HECToken":"hunter2","S3Configuration":{"RoleARN":
        "arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::b"}}}"#,
    );
    assert_eq!(request.destinations().count(), 2);
    assert!(!format!("{request:?}").contains("hunter2"));
    let http = request.http_endpoint_destination_configuration.unwrap();
    assert_eq!(http.endpoint_configuration.access_key.unwrap().expose(), "hunter2");
    assert_eq!(request.splunk_destination_configuration.unwrap().hec_token.unwrap().expose(), "hunter2");
}

#[test]
fn put_record_batch_replies_in_one_buffer() {
    let mut reply = put_record_batch::PutRecordBatchReply::new(Protocol::Json, false, 1, 2);
    reply.accepted("id");
    reply.failed("ServiceUnavailableException", errors::SLOW_DOWN);
    assert_eq!(
        text(reply.finish()),
        concat!(
            r#"{"Encrypted":false,"FailedPutCount":1,"RequestResponses":[{"RecordId":"id"},"#,
            r#"{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}]}"#
        )
    );
    let reply = PutRecordReply { encrypted: false, record_id: "id".into() };
    assert_eq!(text(reply.to_bytes(Protocol::Json)), r#"{"Encrypted":false,"RecordId":"id"}"#);
    assert_eq!(text(DeleteDeliveryStreamReply {}.to_bytes(Protocol::Json)), "{}");
}

#[test]
fn errors_read_as_aws_words_them() {
    for (error, status, expected) in [
        (
            errors::not_found("d", "0"),
            400,
            r#"{"__type":"ResourceNotFoundException","message":"Firehose d under account 0 not found."}"#,
        ),
        (
            errors::exists("d", "0"),
            400,
            r#"{"__type":"ResourceInUseException","message":"Firehose d under accountId 0 already exists"}"#,
        ),
        (errors::slow_down(), 503, r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#),
        (
            errors::records_too_large(),
            400,
            r#"{"__type":"InvalidArgumentException","message":"Records size exceeds 4 MB limit"}"#,
        ),
        (
            errors::version_mismatch("d", 2, "1"),
            400,
            concat!(
                r#"{"__type":"ConcurrentModificationException","message":"Cannot update firehose: d since the current "#,
                r#"version id: 2 and specified version id: 1 do not match"}"#,
            ),
        ),
        (
            errors::not_from_cloudwatch("d", "0"),
            400,
            concat!(
                r#"{"__type":"InvalidSourceException","message":"Put to Firehose failed for AccountId: 0, "#,
                r#"FirehoseName: d because the request is not originating from CloudWatch."}"#,
            ),
        ),
    ] {
        assert_eq!((error.status(), text(error.body(Protocol::Json)).as_str()), (status, expected));
    }
}

/// Texts that are put together: one row, one refusal, as it was seen.
#[test]
fn refused_arguments_are_quoted_in_their_places() {
    let lead = "The supplied prefix(es) do not satisfy the following constraint: ";
    for (error, expected) in [
        (
            errors::bad_expression("my!{prefix/"),
            format!("{lead}Invalid expression usage: my!{{prefix/.Must be of the form !{{<namespace>:<value>}}"),
        ),
        (
            errors::unknown_namespace("bogus"),
            format!("{lead}Namespace to the left of colon (bogus) is an invalid keyword!"),
        ),
        (
            errors::bad_expression_value("Prefix"),
            format!("{lead}Invalid conversion character used in the value of the expression in Prefix"),
        ),
        (
            errors::prefix_too_long("ErrorOutputPrefix", 512),
            format!("{lead}Length of evaluated ErrorOutputPrefix cannot be greater than 512"),
        ),
        (errors::destination_not_found("x"), "Destination Id x not found".to_owned()),
        (
            errors::type_change("Splunk"),
            "Changing the destination type to or from Splunk is not supported at this time.".to_owned(),
        ),
        (errors::two_processors("Lambda"), "Cannot have more than 1 Lambda processor.".to_owned()),
        (
            errors::needs_partitioning("MetadataExtraction"),
            "class com.amazonaws.services.firehose.internal.model.MetadataExtractionProcessor can only be present when \
             Dynamic Partitioning is enabled."
                .to_owned(),
        ),
        (errors::duplicate_attribute("a"), "Http Endpoint Common Attributes have duplicate name a.".to_owned()),
        (errors::conversion_member_missing("Serializer"), "Serializer must not be null".to_owned()),
    ] {
        assert_eq!((error.code, error.message), (ErrorCode::InvalidArgumentException, Some(expected)));
    }
}
