use super::types::*;
use super::{Request, decode, errors, put_record_batch};
use crate::codec::Protocol;
use crate::operation::{FirehoseOp, Operation, Service};
use crate::typed::TimestampMs;
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
    request_agrees::<ExtendedS3DestinationConfiguration>();
    request_agrees::<DirectPutSourceConfiguration>();
    request_agrees::<DeliveryStreamEncryptionConfigurationInput>();
    request_agrees::<Tag>();
    request_agrees::<CreateDeliveryStream>();
    request_agrees::<DeleteDeliveryStream>();
    request_agrees::<DescribeDeliveryStream>();
    request_agrees::<ListDeliveryStreams>();
    request_agrees::<Record>();
    request_agrees::<PutRecord>();
    request_agrees::<PutRecordBatch>();
}

#[test]
fn replies_have_members_of_the_model() {
    reply_agrees::<CreateDeliveryStreamReply>(&[]);
    reply_agrees::<DeleteDeliveryStreamReply>(&[]);
    reply_agrees::<ListDeliveryStreamsReply>(&[]);
    reply_agrees::<PutRecordReply>(&[]);
    reply_agrees::<DeliveryStreamEncryptionConfiguration>(&[]);
    reply_agrees::<FailureDescription>(&[]);
    reply_agrees::<S3DestinationDescription>(&[]);
    reply_agrees::<ExtendedS3DestinationDescription>(&[]);
    reply_agrees::<DirectPutSourceDescription>(&[]);
    // Destinations and sources that this version does not serve.
    reply_agrees::<DestinationDescription>(&[
        "AmazonOpenSearchServerlessDestinationDescription",
        "AmazonopensearchserviceDestinationDescription",
        "ElasticsearchDestinationDescription",
        "HttpEndpointDestinationDescription",
        "IcebergDestinationDescription",
        "RedshiftDestinationDescription",
        "SnowflakeDestinationDescription",
        "SplunkDestinationDescription",
    ]);
    reply_agrees::<SourceDescription>(&[
        "DatabaseSourceDescription",
        "KinesisStreamSourceDescription",
        "MSKSourceDescription",
    ]);
    reply_agrees::<DeliveryStreamDescription>(&[]);
    reply_agrees::<DescribeDeliveryStreamReply>(&[]);
}

#[test]
fn enumerations_have_the_model_s_values() {
    use super::shapes;
    enum_agrees(&shapes::DELIVERY_STREAM_TYPE, DeliveryStreamType::ALL, DeliveryStreamType::as_str);
    enum_agrees(&shapes::DELIVERY_STREAM_STATUS, DeliveryStreamStatus::ALL, DeliveryStreamStatus::as_str);
    enum_agrees(&shapes::COMPRESSION_FORMAT, CompressionFormat::ALL, CompressionFormat::as_str);
    enum_agrees(&shapes::NO_ENCRYPTION_CONFIG, NoEncryptionConfig::ALL, NoEncryptionConfig::as_str);
    enum_agrees(&shapes::S3_BACKUP_MODE, S3BackupMode::ALL, S3BackupMode::as_str);
    enum_agrees(&shapes::KEY_TYPE, KeyType::ALL, KeyType::as_str);
    enum_agrees(&shapes::PROCESSOR_TYPE, ProcessorType::ALL, ProcessorType::as_str);
    enum_agrees(&shapes::PROCESSOR_PARAMETER_NAME, ProcessorParameterName::ALL, ProcessorParameterName::as_str);
    enum_agrees(&shapes::ORC_COMPRESSION, OrcCompression::ALL, OrcCompression::as_str);
    enum_agrees(&shapes::ORC_FORMAT_VERSION, OrcFormatVersion::ALL, OrcFormatVersion::as_str);
    enum_agrees(&shapes::PARQUET_COMPRESSION, ParquetCompression::ALL, ParquetCompression::as_str);
    enum_agrees(&shapes::PARQUET_WRITER_VERSION, ParquetWriterVersion::ALL, ParquetWriterVersion::as_str);
    enum_agrees(
        &shapes::DELIVERY_STREAM_ENCRYPTION_STATUS,
        DeliveryStreamEncryptionStatus::ALL,
        DeliveryStreamEncryptionStatus::as_str,
    );
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

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

#[test]
fn a_delivery_stream_is_described_with_aws_s_defaults() {
    let request = create(&format!(
        r#"{{"DeliveryStreamName":"d","S3DestinationConfiguration":{{"RoleARN":"{ROLE}","BucketARN":"arn:aws:s3:::b"}}}}"#
    ));
    assert_eq!((request.destinations(), request.other_destinations().count()), (1, 0));
    let configuration = ExtendedS3DestinationConfiguration::from(request.s3_destination_configuration.unwrap());
    let reply = DescribeDeliveryStreamReply {
        delivery_stream_description: DeliveryStreamDescription {
            create_timestamp: Some(TimestampMs(1_789_779_944_662)),
            delivery_stream_arn: "arn".into(),
            delivery_stream_encryption_configuration: Some(DeliveryStreamEncryptionConfiguration::disabled()),
            delivery_stream_name: "d".into(),
            delivery_stream_status: DeliveryStreamStatus::Active,
            delivery_stream_type: DeliveryStreamType::DirectPut,
            destinations: vec![DestinationDescription::s3(&configuration)],
            failure_description: None,
            has_more_destinations: false,
            last_update_timestamp: None,
            source: None,
            version_id: "1".into(),
        },
    };
    let common = concat!(
        r#""BucketARN":"arn:aws:s3:::b","BufferingHints":{"IntervalInSeconds":300,"SizeInMBs":5},"#,
        r#""CloudWatchLoggingOptions":{"Enabled":false},"CompressionFormat":"UNCOMPRESSED","#,
        r#""EncryptionConfiguration":{"NoEncryptionConfig":"NoEncryption"},"RoleARN":"arn:aws:iam::000000000000:role/r""#,
    );
    assert_eq!(
        text(reply.to_bytes(Protocol::Json)),
        format!(
            concat!(
                r#"{{"DeliveryStreamDescription":{{"CreateTimestamp":1.789779944662E9,"DeliveryStreamARN":"arn","#,
                r#""DeliveryStreamEncryptionConfiguration":{{"Status":"DISABLED"}},"DeliveryStreamName":"d","#,
                r#""DeliveryStreamStatus":"ACTIVE","DeliveryStreamType":"DirectPut","Destinations":["#,
                r#"{{"DestinationId":"destinationId-000000000001","#,
                r#""ExtendedS3DestinationDescription":{{{common},"S3BackupMode":"Disabled"}},"#,
                r#""S3DestinationDescription":{{{common}}}}}],"HasMoreDestinations":false,"VersionId":"1"}}}}"#,
            ),
            common = common
        )
    );
}

#[test]
fn the_extended_form_is_kept_whole() {
    let body = format!(
        concat!(
            r#"{{"DeliveryStreamName":"d","DeliveryStreamType":"DirectPut","ExtendedS3DestinationConfiguration":{{"#,
            r#""RoleARN":"{role}","BucketARN":"arn:aws:s3:::b","BufferingHints":{{"SizeInMBs":64,"IntervalInSeconds":0}},"#,
            r#""CompressionFormat":"GZIP","CustomTimeZone":"Europe/Lisbon","FileExtension":".x","Prefix":"p/","#,
            r#""ErrorOutputPrefix":"e/","S3BackupMode":"Enabled","#,
            r#""S3BackupConfiguration":{{"RoleARN":"{role}","BucketARN":"arn:aws:s3:::c"}},"#,
            r#""ProcessingConfiguration":{{"Enabled":true,"Processors":[{{"Type":"AppendDelimiterToRecord","Parameters":"#,
            r#"[{{"ParameterName":"Delimiter","ParameterValue":"\\n"}}]}}]}},"#,
            r#""DataFormatConversionConfiguration":{{"Enabled":false,"OutputFormatConfiguration":{{"Serializer":"#,
            r#"{{"OrcSerDe":{{"PaddingTolerance":0.05}}}}}}}}}},"Tags":[{{"Key":"k"}}]}}"#,
        ),
        role = ROLE
    );
    let request = create(&body);
    let description = text(crate::typed::to_bytes(
        &request.extended_s3_destination_configuration.unwrap().describe(),
        Protocol::Json,
    ));
    for piece in [
        r#""BufferingHints":{"IntervalInSeconds":0,"SizeInMBs":64}"#,
        r#""CompressionFormat":"GZIP","CustomTimeZone":"Europe/Lisbon""#,
        r#""OutputFormatConfiguration":{"Serializer":{"OrcSerDe":{"PaddingTolerance":0.05}}}"#,
        r#""ErrorOutputPrefix":"e/","FileExtension":".x","Prefix":"p/","ProcessingConfiguration":{"Enabled":true,"Processors":[{"Parameters":[{"ParameterName":"Delimiter","ParameterValue":"\\n"}],"Type":"AppendDelimiterToRecord"}]}"#,
        r#""S3BackupDescription":{"BucketARN":"arn:aws:s3:::c","BufferingHints":{"IntervalInSeconds":300,"SizeInMBs":5}"#,
        r#""S3BackupMode":"Enabled"}"#,
    ] {
        assert!(description.contains(piece), "{piece} in {description}");
    }
}

#[test]
fn other_destinations_and_sources_can_be_refused_by_name() {
    let request = create(
        r#"{"DeliveryStreamName":"d","HttpEndpointDestinationConfiguration":{"EndpointConfiguration":{"Url":"https://x"},
        "S3Configuration":{"RoleARN":"arn:aws:iam::000000000000:role/r","BucketARN":"arn:aws:s3:::b"}},
        "KinesisStreamSourceConfiguration":{"KinesisStreamARN":"arn:aws:kinesis:r:000000000000:stream/s",
        "RoleARN":"arn:aws:iam::000000000000:role/r"}}"#,
    );
    assert_eq!(request.destinations(), 1);
    assert_eq!(request.other_destinations().collect::<Vec<_>>(), ["HttpEndpointDestinationConfiguration"]);
    assert_eq!(request.other_sources().collect::<Vec<_>>(), ["KinesisStreamSourceConfiguration"]);
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
    ] {
        assert_eq!((error.status(), text(error.body(Protocol::Json)).as_str()), (status, expected));
    }
}
