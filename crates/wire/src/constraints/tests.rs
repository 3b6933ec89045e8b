use super::*;
use crate::operation::{FirehoseOp, KinesisOp, Operation};

fn refusal_of(op: Operation, body: &str) -> Option<String> {
    let value = crate::json::coerce(op.input(), body.as_bytes()).unwrap();
    let error = check(op.service(), op.input(), &value).err()?;
    assert_eq!(error.code, ErrorCode::ValidationException);
    error.message
}

fn kinesis(op: KinesisOp, body: &str) -> Option<String> {
    refusal_of(Operation::Kinesis(op), body)
}

#[test]
fn one_row_one_refusal() {
    use KinesisOp as Op;
    let long = "a".repeat(129);
    let rows: &[(Op, &str, String)] = &[
        (
            Op::CreateStream,
            "{}",
            "Value null at 'streamName' failed to satisfy constraint: Member must not be null".into(),
        ),
        (
            Op::CreateStream,
            r#"{"StreamName":"a","ShardCount":0}"#,
            "Value '0' at 'shardCount' failed to satisfy constraint: Member must have value greater than or equal to 1"
                .into(),
        ),
        (
            Op::DescribeStream,
            r#"{"StreamName":"a","Limit":10001}"#,
            "Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000"
                .into(),
        ),
        (
            Op::DeleteStream,
            r#"{"StreamName":"a b"}"#,
            "Value 'a b' at 'streamName' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: [a-zA-Z0-9_.-]+"
                .into(),
        ),
        (
            Op::GetShardIterator,
            r#"{"ShardId":"s-0","StreamName":"a","ShardIteratorType":"LATEST","StartingSequenceNumber":"007"}"#,
            "Value '007' at 'startingSequenceNumber' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: ^(0|([1-9]\\d{0,128}))$"
                .into(),
        ),
        (
            Op::GetShardIterator,
            r#"{"ShardId":"s-0","StreamName":"a","ShardIteratorType":"LAST"}"#,
            "Value 'LAST' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value set: \
             [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
                .into(),
        ),
        (
            Op::StartStreamEncryption,
            r#"{"StreamName":"a","KeyId":"k","EncryptionType":"AES"}"#,
            "Value 'AES' at 'encryptionType' failed to satisfy constraint: Member must satisfy enum value set: \
             [KMS, NONE]"
                .into(),
        ),
        (
            Op::UpdateStreamMode,
            r#"{"StreamARN":"arn:aws:kinesis:r:123456789012:stream/s","StreamModeDetails":{"StreamMode":"INVALID"}}"#,
            "Value 'INVALID' at 'streamModeDetails.streamMode' failed to satisfy constraint: Member must satisfy enum \
             value set: [ON_DEMAND, PROVISIONED]"
                .into(),
        ),
        (
            Op::EnableEnhancedMonitoring,
            r#"{"StreamName":"a","ShardLevelMetrics":["INVALID"]}"#,
            "Value '[INVALID]' at 'shardLevelMetrics' failed to satisfy constraint: Member must satisfy constraint: \
             [Member must satisfy enum value set: [ALL, IteratorAgeMilliseconds, IncomingBytes, \
             WriteProvisionedThroughputExceeded, OutgoingRecords, ReadProvisionedThroughputExceeded, IncomingRecords, \
             OutgoingBytes]]"
                .into(),
        ),
        (
            Op::RemoveTagsFromStream,
            r#"{"StreamName":"a","TagKeys":["a","","b",""]}"#,
            "Value '[a, , b, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must \
             have length less than or equal to 128, Member must have length greater than or equal to 1]"
                .into(),
        ),
        (
            Op::PutRecords,
            r#"{"StreamName":"a","Records":[]}"#,
            "Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"
                .into(),
        ),
        (
            Op::PutRecords,
            r#"{"StreamName":"a","Records":[{"Data":"","PartitionKey":"k"},{"Data":"","PartitionKey":""}]}"#,
            "Value '' at 'records.2.member.partitionKey' failed to satisfy constraint: Member must have length \
             greater than or equal to 1"
                .into(),
        ),
        (
            Op::PutRecords,
            r#"{"StreamName":"a","Records":[{"Data":"","PartitionKey":"k"},null]}"#,
            "Value null at 'records.2.member' failed to satisfy constraint: Member must not be null".into(),
        ),
        (
            Op::AddTagsToStream,
            r#"{"StreamName":"a","Tags":{}}"#,
            "Value '{}' at 'tags' failed to satisfy constraint: Member must have length greater than or equal to 1"
                .into(),
        ),
        (
            Op::DeleteStream,
            &format!(r#"{{"StreamName":"{long}"}}"#),
            format!(
                "Value '{long}' at 'streamName' failed to satisfy constraint: Member must have length less than or \
                 equal to 128"
            ),
        ),
        (
            Op::PutRecord,
            r#"{"StreamName":"a","Data":"","PartitionKey":"k","ExplicitHashKey":"-1"}"#,
            "Value '-1' at 'explicitHashKey' failed to satisfy constraint: Member must satisfy regular expression \
             pattern: ^(0|([1-9]\\d{0,38}))$"
                .into(),
        ),
        (
            Op::GetRecords,
            r#"{"ShardIterator":"a","Limit":0}"#,
            "Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
                .into(),
        ),
        (
            Op::PutRecords,
            r#"{"StreamName":"a","Records":[null]}"#,
            "Value null at 'records.1.member' failed to satisfy constraint: Member must not be null".into(),
        ),
        // Items that are no structures are told of at their list, once.
        (
            Op::RemoveTagsFromStream,
            &format!(r#"{{"StreamName":"a","TagKeys":["a","{long}","","b"]}}"#),
            format!(
                "Value '[a, {long}, , b]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: \
                 [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]"
            ),
        ),
        (
            Op::RemoveTagsFromStream,
            r#"{"StreamName":"a","TagKeys":[]}"#,
            "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must have length greater than or equal to 1"
                .into(),
        ),
        (
            Op::RemoveTagsFromStream,
            r#"{"StreamName":"a","TagKeys":["a",null]}"#,
            "Value null at 'tagKeys.2.member' failed to satisfy constraint: Member must not be null".into(),
        ),
        (
            Op::AddTagsToStream,
            &format!(r#"{{"StreamName":"a","Tags":{{"{long}":"v"}}}}"#),
            format!(
                "Value '{long}' at 'tags.{long}.member' failed to satisfy constraint: Member must have length less \
                 than or equal to 128"
            ),
        ),
        (
            Op::AddTagsToStream,
            r#"{"StreamName":"a","Tags":{"k":null}}"#,
            "Value null at 'tags.k.member' failed to satisfy constraint: Member must not be null".into(),
        ),
        (
            Op::SubscribeToShard,
            r#"{"ConsumerARN":"arn:aws:kinesis:eu-west-1:000000000000:stream/s/consumer/c:1","ShardId":"s-0",
                "StartingPosition":{"Type":"NEWEST"}}"#,
            "Value 'NEWEST' at 'startingPosition.type' failed to satisfy constraint: Member must satisfy enum value \
             set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
                .into(),
        ),
        (
            Op::ListShards,
            r#"{"StreamName":"a","ShardFilter":{}}"#,
            "Value null at 'shardFilter.type' failed to satisfy constraint: Member must not be null".into(),
        ),
    ];
    for (op, body, expected) in rows {
        let expected = format!("1 validation error detected: {expected}");
        assert_eq!(kinesis(*op, body).as_deref(), Some(expected.as_str()), "{} {body}", op.name());
    }
}

#[test]
fn several_violations_are_joined() {
    assert_eq!(
        kinesis(KinesisOp::GetShardIterator, r#"{"ShardId":"","StreamName":"a"}"#).unwrap(),
        "3 validation errors detected: Value '' at 'shardId' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'shardId' failed to satisfy constraint: Member \
         must have length greater than or equal to 1; Value null at 'shardIteratorType' failed to satisfy \
         constraint: Member must not be null"
    );
}

#[test]
fn a_map_is_named_by_its_key() {
    let value = "v".repeat(257);
    assert_eq!(
        kinesis(KinesisOp::AddTagsToStream, &format!(r#"{{"StreamName":"a","Tags":{{"k":"{value}"}}}}"#)).unwrap(),
        format!(
            "1 validation error detected: Value '{value}' at 'tags.k.member' failed to satisfy constraint: Member \
             must have length less than or equal to 256"
        )
    );
}

#[test]
fn no_more_than_ten_violations_are_told() {
    let entries = vec![r#"{"Data":"","PartitionKey":""}"#; 501].join(",");
    let text = kinesis(KinesisOp::PutRecords, &format!(r#"{{"StreamName":"a","Records":[{entries}]}}"#)).unwrap();
    assert!(text.starts_with("10 validation errors detected: Value '[com.amazonaws.kinesis.v20131202.PutRecords"));
    assert_eq!(text.matches("failed to satisfy constraint").count(), 10);
    assert!(
        text.contains("at 'records' failed to satisfy constraint: Member must have length less than or equal to 500; ")
    );
    assert!(text.ends_with("at 'records.9.member.partitionKey' failed to satisfy constraint: Member must have length greater than or equal to 1"));
}

#[test]
fn a_blob_is_not_printed() {
    let data = "A".repeat(1_366_000);
    assert_eq!(
        refusal_of(
            Operation::Firehose(FirehoseOp::PutRecordBatch),
            &format!(r#"{{"DeliveryStreamName":"d","Records":[{{"Data":"{data}"}}]}}"#)
        )
        .unwrap(),
        "1 validation error detected: Value at 'records.1.member.data' failed to satisfy constraint: Member must \
         have length less than or equal to 1024000"
    );
}

#[test]
fn lengths_are_counted_as_java_does() {
    let body = |n: usize| format!(r#"{{"StreamName":"s","Data":"","PartitionKey":"{}"}}"#, "\u{1f600}".repeat(n));
    assert_eq!(kinesis(KinesisOp::PutRecord, &body(128)), None);
    assert!(kinesis(KinesisOp::PutRecord, &body(129)).unwrap().contains("less than or equal to 256"));
}

#[test]
fn what_is_right_passes() {
    for (op, body) in [
        (KinesisOp::CreateStream, r#"{"StreamName":"a","ShardCount":4,"Tags":{"k":""}}"#),
        (KinesisOp::ListStreams, "{}"),
        (KinesisOp::PutRecord, r#"{"StreamName":"a","Data":"","PartitionKey":"k","ExplicitHashKey":"0"}"#),
        (KinesisOp::DescribeLimits, "{}"),
    ] {
        assert_eq!(kinesis(op, body), None, "{body}");
    }
}

#[test]
fn a_huge_text_is_refused_without_matching_it() {
    let huge = "1".repeat(PATTERN_TEXT_BYTES + 1);
    let name = kinesis(KinesisOp::DeleteStream, &format!(r#"{{"StreamName":"{huge}"}}"#)).unwrap();
    assert!(name.starts_with("1 validation error detected") && name.ends_with("less than or equal to 128"));
    let key = kinesis(KinesisOp::PutRecord, &format!(r#"{{"Data":"","StreamName":"a","ExplicitHashKey":"{huge}"}}"#));
    assert!(key.unwrap().ends_with(r"regular expression pattern: ^(0|([1-9]\d{0,38}))$"));
}

/// One row, one refusal of Firehose as AWS words it: no values, lengths before patterns, enumerations in its order.
#[test]
fn firehose_repeats_no_values() {
    let extended = |more: &str| {
        format!(
            r#"{{"DeliveryStreamName":"d","ExtendedS3DestinationConfiguration":{{"BucketARN":"arn:aws:s3:::b",
            "RoleARN":"arn:aws:iam::000000000000:role/r",{more}}}}}"#
        )
    };
    let processors =
        |processor: &str| extended(&format!(r#""ProcessingConfiguration":{{"Processors":[{processor}]}}"#));
    let to = "at 'extendedS3DestinationConfiguration.";
    let parameter =
        format!("{to}processingConfiguration.processors.1.member.parameters.1.member.parameterValue' failed");
    let mappings = format!(
        "{to}dataFormatConversionConfiguration.inputFormatConfiguration.deserializer.openXJsonSerDe.\
         columnToJsonKeyMappings' failed"
    );
    let rows = [
        (
            extended(r#""CompressionFormat":"BROTLI""#),
            format!(
                "1 validation error detected: Value {to}compressionFormat' failed to satisfy constraint: Member must \
                 satisfy enum value set: [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]"
            ),
        ),
        (
            extended(r#""FileExtension":"nodot""#),
            format!(
                "1 validation error detected: Value {to}fileExtension' failed to satisfy constraint: Member must satisfy \
                 regular expression pattern: ^(|\\.[0-9a-z!\\-_.*'()]+)$"
            ),
        ),
        (
            processors(r#"{}"#),
            format!(
                "1 validation error detected: Value {to}processingConfiguration.processors.1.member.type' failed to \
                 satisfy constraint: Member must not be null"
            ),
        ),
        (
            processors(r#"{"Type":"Lambda","Parameters":[{"ParameterName":"LambdaArn","ParameterValue":""}]}"#),
            format!(
                "2 validation errors detected: Value {parameter} to satisfy constraint: Member must have length greater \
                 than or equal to 1; Value {parameter} to satisfy constraint: Member must satisfy regular expression \
                 pattern: ^(?!\\s*$).+"
            ),
        ),
        (
            extended(
                r#""DataFormatConversionConfiguration":{"InputFormatConfiguration":{"Deserializer":{"OpenXJsonSerDe":
                {"ColumnToJsonKeyMappings":{"has space":"","also space":" "}}}}}"#,
            ),
            format!(
                "2 validation errors detected: Value {mappings} to satisfy constraint: Map keys must satisfy constraint: \
                 [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, \
                 Member must satisfy regular expression pattern: ^\\S+$]; Value {mappings} to satisfy constraint: Map \
                 value must satisfy constraint: [Member must have length less than or equal to 1024, Member must have \
                 length greater than or equal to 1, Member must satisfy regular expression pattern: ^(?!\\s*$).+]"
            ),
        ),
    ];
    for (body, expected) in rows {
        let op = FirehoseOp::CreateDeliveryStream;
        let error = crate::firehose::decode(op, crate::codec::Protocol::Json, body.as_bytes()).unwrap_err();
        assert_eq!(error.message.unwrap(), expected, "{body}");
    }
}

/// JSON cannot write it, CBOR can.
#[test]
fn what_is_no_number_is_within_no_bounds() {
    let op = FirehoseOp::CreateDeliveryStream;
    let orc = |number| {
        let mut value = Value::Double(number);
        let path = [
            "DictionaryKeyThreshold",
            "OrcSerDe",
            "Serializer",
            "OutputFormatConfiguration",
            "DataFormatConversionConfiguration",
        ];
        for name in path {
            value = Value::Structure(vec![(name, value)]);
        }
        let Value::Structure(mut destination) = value else { unreachable!() };
        destination.push(("BucketARN", Value::String("arn:aws:s3:::b".into())));
        destination.push(("RoleARN", Value::String("arn:aws:iam::000000000000:role/r".into())));
        let name = Value::String("d".into());
        let destination = Value::Structure(destination);
        let request = vec![("DeliveryStreamName", name), ("ExtendedS3DestinationConfiguration", destination)];
        check(Service::Firehose, op.input(), &Value::Structure(request)).err().and_then(|error| error.message)
    };
    assert_eq!(orc(0.5), None);
    for (number, told) in [
        (f64::NAN, "2 validation errors"),
        (f64::INFINITY, "1 validation error"),
        (f64::NEG_INFINITY, "1 validation error"),
    ] {
        assert!(orc(number).unwrap().starts_with(told), "{number}");
    }
}

/// What is a little longer than allowed is told whole; what is far longer is cut, wherever it stands.
#[test]
fn long_values_and_paths_are_cut() {
    use KinesisOp as Op;
    let (plain, long) = ("a".repeat(2_048), "a".repeat(1 << 20));
    let cut = format!("{plain}...");
    let rows = [
        (Op::DeleteStream, format!(r#"{{"StreamName":"{plain}"}}"#), format!("Value '{plain}' at 'streamName' failed")),
        (Op::DeleteStream, format!(r#"{{"StreamName":"{long}"}}"#), format!("Value '{cut}' at 'streamName' failed")),
        (
            Op::RemoveTagsFromStream,
            format!(r#"{{"StreamName":"a","TagKeys":["{long}","{long}"]}}"#),
            format!("Value '[{}...' at 'tagKeys' failed", &plain[1..]),
        ),
        (
            Op::AddTagsToStream,
            format!(r#"{{"StreamName":"a","Tags":{{"{long}":""}}}}"#),
            format!("Value '{cut}' at 'tags.{}...' failed", &plain["tags.".len()..]),
        ),
    ];
    for (op, body, says) in rows {
        let message = kinesis(op, &body).unwrap();
        assert!(message.contains(&says), "{}: {} bytes, {}", op.name(), message.len(), &message[..100]);
    }
}
