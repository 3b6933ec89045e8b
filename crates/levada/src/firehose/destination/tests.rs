use levada_core::catalog::Destination;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::firehose::{Request, decode};
use levada_wire::operation::FirehoseOp;
use levada_wire::typed::to_bytes;
use serde_json::{Value, json};

use super::{check, describe, of, update};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";
const REGION: &str = "us-east-1";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// `base` with the members of `more`, nested ones too. Null takes a member away.
fn with(mut base: Value, more: &Value) -> Value {
    if let (Some(base), Some(more)) = (base.as_object_mut(), more.as_object()) {
        for (key, value) in more {
            match base.get_mut(key) {
                Some(present) if present.is_object() && value.is_object() => *present = with(present.take(), value),
                Some(_) if value.is_null() => drop(base.remove(key)),
                Some(_) | None => drop(base.insert(key.clone(), value.clone())),
            }
        }
    }
    base
}

fn bucket() -> Value {
    json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"})
}

/// The member of each destination that is served, with the least that the model asks for.
fn least(member: &str) -> Value {
    match member {
        "S3DestinationConfiguration" | "ExtendedS3DestinationConfiguration" => bucket(),
        "HttpEndpointDestinationConfiguration" => {
            json!({"EndpointConfiguration": {"Url": "https://h.example"}, "S3Configuration": bucket()})
        }
        "SplunkDestinationConfiguration" => json!({
            "HECEndpoint": "https://s.example:8088", "HECEndpointType": "Raw", "HECToken": "t",
            "S3Configuration": bucket(),
        }),
        "AmazonOpenSearchServerlessDestinationConfiguration" => json!({
            "CollectionEndpoint": "https://c.example", "IndexName": "i", "RoleARN": ROLE, "S3Configuration": bucket(),
        }),
        _ => json!({
            "ClusterEndpoint": "https://o.example", "IndexName": "i", "RoleARN": ROLE, "S3Configuration": bucket(),
        }),
    }
}

fn made(member: &str, configuration: &Value) -> Result<Destination, AwsError> {
    let body = json!({"DeliveryStreamName": "d", member: configuration}).to_string();
    let request = decode(FirehoseOp::CreateDeliveryStream, Protocol::Json, body.as_bytes())?;
    let Request::CreateDeliveryStream(request) = request else { panic!("{request:?}") };
    let destination = of(request.destinations().next().unwrap())?;
    check(REGION, &destination)?;
    Ok(destination)
}

fn refusal(member: &str, configuration: &Value) -> String {
    let error = made(member, configuration).expect_err(&configuration.to_string());
    assert_eq!(error.code.name(), "InvalidArgumentException", "{configuration}: {error:?}");
    error.message.unwrap()
}

fn described(destination: &Destination) -> Value {
    serde_json::from_slice(&to_bytes(&describe(destination), Protocol::Json)).unwrap()
}

fn described_bucket() -> Value {
    json!({
        "RoleARN": ROLE,
        "BucketARN": "arn:aws:s3:::b",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": false},
    })
}

/// One row, one destination with the least that it needs: what AWS's defaults make of it.
#[test]
fn defaults_are_shown() {
    let five = json!({"SizeInMBs": 5, "IntervalInSeconds": 300});
    let requests = json!({
        "BufferingHints": five,
        "CloudWatchLoggingOptions": {"Enabled": false},
        "RetryOptions": {"DurationInSeconds": 300},
        "S3DestinationDescription": described_bucket(),
    });
    let extended = with(described_bucket(), &json!({"S3BackupMode": "Disabled"}));
    let search = with(
        requests.clone(),
        &json!({
            "ClusterEndpoint": "https://o.example", "IndexName": "i", "IndexRotationPeriod": "OneDay", "RoleARN": ROLE,
            "S3BackupMode": "FailedDocumentsOnly",
        }),
    );
    let serverless = json!({
        "ClusterEndpoint": null, "IndexRotationPeriod": null, "CollectionEndpoint": "https://c.example",
    });
    let http = json!({"EndpointConfiguration": {"Url": "https://h.example"}, "S3BackupMode": "FailedDataOnly"});
    let splunk = json!({
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 60}, "HECAcknowledgmentTimeoutInSeconds": 180,
        "HECEndpoint": "https://s.example:8088", "HECEndpointType": "Raw", "HECToken": "t",
        "S3BackupMode": "FailedEventsOnly",
    });
    let s3 = json!({"S3DestinationDescription": described_bucket(), "ExtendedS3DestinationDescription": extended});
    for (member, expected) in [
        ("S3DestinationConfiguration", s3.clone()),
        ("ExtendedS3DestinationConfiguration", s3),
        (
            "HttpEndpointDestinationConfiguration",
            json!({"HttpEndpointDestinationDescription": with(requests.clone(), &http)}),
        ),
        ("SplunkDestinationConfiguration", json!({"SplunkDestinationDescription": with(requests, &splunk)})),
        (
            "AmazonopensearchserviceDestinationConfiguration",
            json!({"AmazonopensearchserviceDestinationDescription": search}),
        ),
        ("ElasticsearchDestinationConfiguration", json!({"ElasticsearchDestinationDescription": search})),
        (
            "AmazonOpenSearchServerlessDestinationConfiguration",
            json!({"AmazonOpenSearchServerlessDestinationDescription": with(search, &serverless)}),
        ),
    ] {
        let destination = made(member, &least(member)).unwrap();
        let expected = with(expected, &json!({"DestinationId": "destinationId-000000000001"}));
        assert_eq!(described(&destination), expected, "{member}");
    }
}

/// Whatever is given comes back, but for access keys: what is asked for, the description's member, and in which members
/// the description differs.
#[test]
fn what_is_given_is_described() {
    let full_bucket = json!({
        "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b", "BufferingHints": {"SizeInMBs": 7, "IntervalInSeconds": 0},
        "CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"},
        "CompressionFormat": "HADOOP_SNAPPY", "ErrorOutputPrefix": "e/", "Prefix": "p/",
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:r:000000000000:key/k"}},
    });
    let delimiter = json!({"Enabled": true, "Processors": [
        {"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]},
    ]});
    let extended = with(
        full_bucket.clone(),
        &json!({
            "CustomTimeZone": "Europe/Lisbon", "FileExtension": ".x", "ProcessingConfiguration": delimiter,
            "DynamicPartitioningConfiguration": {"Enabled": false, "RetryOptions": {"DurationInSeconds": 9}},
            "S3BackupMode": "Enabled", "S3BackupConfiguration": full_bucket,
        }),
    );
    let requests = json!({
        "BufferingHints": {"SizeInMBs": 3, "IntervalInSeconds": 10}, "ProcessingConfiguration": delimiter,
        "CloudWatchLoggingOptions": {"Enabled": false, "LogGroupName": "g"},
        "RetryOptions": {"DurationInSeconds": 0}, "S3Configuration": full_bucket,
    });
    let manager = json!({
        "SecretsManagerConfiguration": {"Enabled": true, "RoleARN": ROLE,
            "SecretARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:s"},
    });
    let http = json!({
        "EndpointConfiguration": {"Url": "https://h.example/x", "Name": "n", "AccessKey": "hidden"}, "RoleARN": ROLE,
        "RequestConfiguration": {"ContentEncoding": "GZIP",
            "CommonAttributes": [{"AttributeName": "b", "AttributeValue": "1"}, {"AttributeName": "a", "AttributeValue": ""}]},
        "S3BackupMode": "AllData",
    });
    let splunk = json!({
        "HECAcknowledgmentTimeoutInSeconds": 600, "HECEndpoint": "https://s", "HECEndpointType": "Event",
        "HECToken": "shown", "S3BackupMode": "AllEvents",
    });
    let search = json!({
        "DomainARN": "arn:aws:es:us-east-1:000000000000:domain/abc", "IndexName": "i", "RoleARN": ROLE, "TypeName": "",
        "IndexRotationPeriod": "OneWeek", "DocumentIdOptions": {"DefaultDocumentIdFormat": "NO_DOCUMENT_ID"},
        "S3BackupMode": "AllDocuments",
        "VpcConfiguration": {"RoleARN": ROLE, "SubnetIds": ["s"], "SecurityGroupIds": ["g"]},
    });
    let renamed = json!({"S3Configuration": null, "S3DestinationDescription": full_bucket});
    let vpc = json!({"VpcConfiguration": null, "VpcConfigurationDescription":
        {"RoleARN": ROLE, "SubnetIds": ["s"], "SecurityGroupIds": ["g"], "VpcId": "vpc-00000000000000000"}});
    for (what, given, differs) in [
        ("ExtendedS3", extended, json!({"S3BackupConfiguration": null, "S3BackupDescription": full_bucket})),
        (
            "HttpEndpoint",
            with(with(requests.clone(), &http), &manager),
            with(renamed.clone(), &json!({"EndpointConfiguration": {"AccessKey": null}})),
        ),
        ("Splunk", with(with(requests.clone(), &splunk), &manager), renamed.clone()),
        ("Amazonopensearchservice", with(requests.clone(), &search), with(renamed.clone(), &vpc)),
        ("Elasticsearch", with(requests, &search), with(renamed, &vpc)),
    ] {
        let destination = made(&format!("{what}DestinationConfiguration"), &given).unwrap();
        let expected = with(given, &differs);
        assert_eq!(described(&destination)[format!("{what}DestinationDescription")], expected, "{what}");
        let printed = format!("{destination:?}");
        assert!(!printed.contains("hidden") && !printed.contains("shown"), "{printed}");
    }
}

/// One row, one refusal of an S3 destination. What is wrong twice is told in AWS's order.
// fact: firehose-conversion-order
#[test]
fn buckets_are_refused_in_aws_s_words() {
    let processors = |more: Value| with(json!({"Enabled": true, "Processors": []}), &more);
    let lambda = json!({"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": FUNCTION}]});
    let partitioned = json!({
        "DynamicPartitioningConfiguration": {"Enabled": true},
        "ProcessingConfiguration": processors(json!({"Processors": [lambda]})),
    });
    let converted = |more: Value| json!({"DataFormatConversionConfiguration": more});
    for (more, message) in [
        (json!({"BufferingHints": {"SizeInMBs": 5}}), "SizeInMBs and IntervalInSeconds must both be specified"),
        (json!({"EncryptionConfiguration": {}}), "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be"),
        (
            json!({"EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption",
                "KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:r:000000000000:key/k"}}}),
            "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified",
        ),
        (
            json!({"CloudWatchLoggingOptions": {"Enabled": true}}),
            "CloudWatch Log Group Name is required if CloudWatch Logging is enabled",
        ),
        (
            json!({"CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g"}}),
            "CloudWatch Log Stream Name is required if CloudWatch Logging is enabled",
        ),
        (
            json!({"S3BackupMode": "Enabled"}),
            "S3 backup destination configuration is required when enabling S3 backup.",
        ),
        (
            with(partitioned.clone(), &json!({"BufferingHints": {"SizeInMBs": 63, "IntervalInSeconds": 60}})),
            "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.",
        ),
        (
            with(partitioned.clone(), &json!({"BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 59}})),
            "BufferingHints.IntervalInSeconds must be at least 60 seconds when Dynamic Partitioning is enabled.",
        ),
        (
            with(partitioned, &json!({"ProcessingConfiguration": {"Enabled": false}})),
            "Processing Configuration is not enabled when DataPartitioning is enabled",
        ),
        (
            with(
                converted(json!({})),
                &json!({"CompressionFormat": "GZIP", "BufferingHints": {"SizeInMBs": 63, "IntervalInSeconds": 60}}),
            ),
            "The S3 destination's compression format must be set to UNCOMPRESSED",
        ),
        (
            with(converted(json!({})), &json!({"BufferingHints": {"SizeInMBs": 63, "IntervalInSeconds": 60}})),
            "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.",
        ),
        (converted(json!({"Enabled": true})), "InputFormatConfiguration must not be null"),
        (converted(json!({"InputFormatConfiguration": {}})), "OutputFormatConfiguration must not be null"),
        (
            converted(json!({"InputFormatConfiguration": {}, "OutputFormatConfiguration": {}})),
            "SchemaConfiguration must not be null",
        ),
        (
            converted(json!({"InputFormatConfiguration": {"Deserializer": {}}, "OutputFormatConfiguration": {},
                "SchemaConfiguration": {}})),
            "Deserializer must not be null",
        ),
        (
            converted(
                json!({"InputFormatConfiguration": {"Deserializer": {"HiveJsonSerDe": {}, "OpenXJsonSerDe": {}}},
                "OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {}}}, "SchemaConfiguration": {}}),
            ),
            "More than one deserializer specified. Only one may be chosen.",
        ),
        (
            converted(json!({"InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                "OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {}}}, "SchemaConfiguration": {}})),
            "DataFormatConversionConfiguration is not supported by this version of Levada",
        ),
    ] {
        let configuration = with(bucket(), &more);
        let said = refusal("ExtendedS3DestinationConfiguration", &configuration);
        assert!(said.starts_with(message), "{configuration}: {said}");
    }
}

/// One row, one refusal of another destination.
#[test]
fn endpoints_are_refused_in_aws_s_words() {
    let manager = |more: Value| json!({"SecretsManagerConfiguration": with(json!({"Enabled": true}), &more)});
    let attribute = json!({"AttributeName": "a", "AttributeValue": "v"});
    let no_type = json!({"SubRecordType": "JSON"});
    let of_partitioning = json!({"ProcessingConfiguration": {"Processors": [
        {"Type": "RecordDeAggregation", "Parameters": [
            {"ParameterName": "SubRecordType", "ParameterValue": no_type["SubRecordType"]}]},
    ]}});
    for (what, more, message) in [
        (
            "HttpEndpoint",
            json!({"RequestConfiguration": {"CommonAttributes": [attribute, attribute]}}),
            "Http Endpoint Common Attributes have duplicate name a.",
        ),
        ("HttpEndpoint", manager(json!({})), "Invalid secret ARN: null"),
        (
            "HttpEndpoint",
            manager(json!({"SecretARN": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:s"})),
            "Cross-region secrets are not allowed. Please provide a secret in the same region as firehose",
        ),
        (
            "HttpEndpoint",
            of_partitioning,
            "class com.amazonaws.services.firehose.internal.model.RecordDeAggregationProcessor can only be present when",
        ),
        (
            "HttpEndpoint",
            json!({"CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": ""}}),
            "CloudWatch Log Group Name is required if CloudWatch Logging is enabled",
        ),
        (
            "HttpEndpoint",
            json!({"S3Configuration": {"CloudWatchLoggingOptions": {"Enabled": true}}}),
            "CloudWatch Log Group Name is required if CloudWatch Logging is enabled",
        ),
        (
            "Splunk",
            json!({"HECEndpoint": "http://s.example:8088"}),
            "Invalid HECEndpoint. Supported endpoint format is https://<domain>:<port>.",
        ),
        ("Splunk", json!({"HECEndpoint": "https://:8088"}), "Invalid HECEndpoint. Supported endpoint format is"),
        (
            "Splunk",
            json!({"HECEndpoint": "https://s.example:8088/services/collector"}),
            "Invalid HECEndpoint. Supported endpoint format is",
        ),
        (
            "Splunk",
            json!({"HECEndpoint": "https://s.example:8088?x"}),
            "Invalid HECEndpoint. Supported endpoint format is",
        ),
        ("Splunk", json!({"HECToken": null}), "HECToken is required for Splunk destination"),
        (
            "Amazonopensearchservice",
            json!({"DomainARN": "arn:aws:es:us-east-1:000000000000:domain/abc"}),
            "Cannot provide both Elasticsearch cluster endpoint and domain ARN. Provide either the cluster endpoint or",
        ),
        (
            "Elasticsearch",
            json!({"ClusterEndpoint": null}),
            "Provide either the Elasticsearch cluster endpoint or domain arn. Must specify cluster endpoint for",
        ),
        (
            "AmazonOpenSearchServerless",
            json!({"CollectionEndpoint": null}),
            "Must specify collection endpoint for delivery to OpenSearch serverless.",
        ),
    ] {
        let member = format!("{what}DestinationConfiguration");
        let configuration = with(least(&member), &more);
        let said = refusal(&member, &configuration);
        assert!(said.starts_with(message), "{configuration}: {said}");
    }
}

/// One row, one list of processors that is refused: each a type with names and values of parameters.
#[test]
fn processors_are_refused_in_aws_s_words() {
    type Given<'a> = (&'a str, &'a [(&'a str, &'a str)]);
    const DELIMITER: Given<'_> = ("AppendDelimiterToRecord", &[]);
    let lambda = ("LambdaArn", FUNCTION);
    let rows: [(&[Given<'_>], &str); 21] = [
        (&[], "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled."),
        (&[DELIMITER; 6], "A maximum of 5 and a minimum of 1 processor needs to be supplied"),
        (&[("Lambda", &[lambda]), ("Lambda", &[lambda])], "Cannot have more than 1 Lambda processor."),
        (&[("Lambda", &[("NumberOfRetries", "1")])], "LambdaArn is required when Lambda processor is used."),
        (&[("Lambda", &[("LambdaArn", "arn:aws:s3:::f")])], "LambdaArn must be the ARN of a Lambda function."),
        (&[("Lambda", &[lambda, lambda])], "LambdaArn is given more than once for the Lambda processor."),
        (
            &[("Lambda", &[lambda, ("NumberOfRetries", "301")])],
            "Number of retries for lambda must be between 0 and 300.",
        ),
        (
            &[("Lambda", &[lambda, ("NumberOfRetries", "-1")])],
            "Number of retries for lambda must be between 0 and 300.",
        ),
        (&[("Lambda", &[lambda, ("BufferSizeInMBs", "1")])], "Both BufferSizeInMBs and BufferIntervalInSeconds are"),
        (
            &[("Lambda", &[lambda, ("BufferSizeInMBs", "0.199"), ("BufferIntervalInSeconds", "60")])],
            "BufferSizeInMBs for lambda processor must be between 0.2 and 3.",
        ),
        (
            &[("Lambda", &[lambda, ("BufferSizeInMBs", "3.01"), ("BufferIntervalInSeconds", "60")])],
            "BufferSizeInMBs for lambda processor must be between 0.2 and 3.",
        ),
        (
            &[("Lambda", &[lambda, ("BufferSizeInMBs", "nan"), ("BufferIntervalInSeconds", "60")])],
            "BufferSizeInMBs for lambda processor must be between 0.2 and 3.",
        ),
        (
            &[("Lambda", &[lambda, ("BufferSizeInMBs", "1"), ("BufferIntervalInSeconds", "1000")])],
            "BufferIntervalInSeconds for lambda processor must be between 0 and 900.",
        ),
        (
            &[("MetadataExtraction", &[("MetadataExtractionQuery", "{a:.a}")])],
            "MetaDataExtraction JSON Parsing Engine has to be one of JQ-1.6",
        ),
        (&[("RecordDeAggregation", &[("SubRecordType", "CSV")])], "SubRecordType has to be one of JSON, DELIMITED"),
        (&[("RecordDeAggregation", &[("SubRecordType", "DELIMITED")])], "Delimiter should be present for DELIMITED"),
        (
            &[("RecordDeAggregation", &[("SubRecordType", "DELIMITED"), ("Delimiter", "#")])],
            "Delimiter has to be base64 encoded",
        ),
        (&[("Decompression", &[("CompressionFormat", "ZIP")])], "CompressionFormat has to be GZIP"),
        (
            &[("CloudWatchLogProcessing", &[("DataMessageExtraction", "true")])],
            "CloudWatchLogProcessingProcessor can only be enabled with DecompressionProcessor",
        ),
        (
            &[("Decompression", &[]), ("CloudWatchLogProcessing", &[("DataMessageExtraction", "yes")])],
            "Invalid parameter value for DataMessageExtraction. Allowed values are True and False.",
        ),
        (
            &[("Decompression", &[]), ("CloudWatchLogProcessing", &[])],
            "Invalid parameter value for DataMessageExtraction. Allowed values are True and False.",
        ),
    ];
    for (given, message) in rows {
        let said = refusal("ExtendedS3DestinationConfiguration", &with(bucket(), &processing(given)));
        assert!(said.starts_with(message), "{given:?}: {said}");
    }
}

fn processing(given: &[(&str, &[(&str, &str)])]) -> Value {
    let parameter = |(name, value): &(&str, &str)| json!({"ParameterName": name, "ParameterValue": value});
    let processor = |(kind, parameters): &(&str, &[(&str, &str)])| json!({"Type": kind, "Parameters": parameters.iter().map(parameter).collect::<Vec<_>>()});
    let processors: Vec<Value> = given.iter().map(processor).collect();
    json!({"ProcessingConfiguration": {"Enabled": true, "Processors": processors}})
}

/// AWS shows the defaults of what a processor was not told.
#[test]
fn processors_are_described_with_their_defaults() {
    let given: [(&str, &[(&str, &str)]); 3] = [
        ("Lambda", &[("LambdaArn", FUNCTION)]),
        ("Decompression", &[]),
        ("CloudWatchLogProcessing", &[("DataMessageExtraction", "True")]),
    ];
    let buffer = |size| [("BufferSizeInMBs", size), ("BufferIntervalInSeconds", "60")];
    for (what, role, size) in [
        ("ExtendedS3", Some(ROLE), "1"),
        ("HttpEndpoint", None, "1"),
        ("Splunk", None, "0.25"),
        ("Elasticsearch", Some(ROLE), "1"),
    ] {
        let member = format!("{what}DestinationConfiguration");
        let destination = made(&member, &with(least(&member), &processing(&given))).unwrap();
        let function: Vec<(&str, &str)> = [("LambdaArn", FUNCTION), ("NumberOfRetries", "3")]
            .into_iter()
            .chain(role.map(|role| ("RoleArn", role)))
            .chain(buffer(size))
            .collect();
        let expected = processing(&[
            ("Lambda", &function),
            ("Decompression", &[("CompressionFormat", "GZIP")]),
            ("CloudWatchLogProcessing", &[("DataMessageExtraction", "true")]),
        ]);
        let shown = &described(&destination)[format!("{what}DestinationDescription")]["ProcessingConfiguration"];
        assert_eq!(*shown, expected["ProcessingConfiguration"], "{what}");
    }
}

fn updated(member: &str, destination: &Destination, more: &Value) -> Result<Destination, String> {
    let body = json!({
        "DeliveryStreamName": "d", "CurrentDeliveryStreamVersionId": "1", "DestinationId": "destinationId-000000000001",
        member: more,
    });
    let body = body.to_string();
    let request = match decode(FirehoseOp::UpdateDestination, Protocol::Json, body.as_bytes()) {
        Ok(Request::UpdateDestination(request)) => request,
        other => panic!("{other:?}"),
    };
    let update = update(&request, destination).map_err(|error| error.message.unwrap())?;
    let merged = update.merge(destination).map_err(|error| error.to_string())?;
    check(REGION, &merged).map_err(|error| error.message.unwrap())?;
    Ok(merged)
}

/// What an update does not name stays as it was; what it names is described.
#[test]
fn updates_change_what_they_name() {
    for (what, more, differs) in [
        ("S3", json!({"Prefix": "q/"}), json!({"Prefix": "q/"})),
        (
            "ExtendedS3",
            json!({"BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 1}, "FileExtension": ".y",
                "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:r:000000000000:key/k"}}}),
            json!({"BufferingHints": {"SizeInMBs": 9, "IntervalInSeconds": 1}, "FileExtension": ".y",
                "EncryptionConfiguration": {"NoEncryptionConfig": null,
                    "KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:r:000000000000:key/k"}}}),
        ),
        (
            "ExtendedS3",
            json!({"S3BackupMode": "Enabled", "S3BackupUpdate": bucket()}),
            json!({"S3BackupMode": "Enabled", "S3BackupDescription": described_bucket()}),
        ),
        (
            "HttpEndpoint",
            json!({"RetryOptions": {"DurationInSeconds": 7}, "S3BackupMode": "AllData", "S3Update": {"Prefix": "x"}}),
            json!({"RetryOptions": {"DurationInSeconds": 7}, "S3BackupMode": "AllData",
                "S3DestinationDescription": {"Prefix": "x"}}),
        ),
        ("Splunk", json!({"HECToken": "u"}), json!({"HECToken": "u"})),
        ("Elasticsearch", json!({"IndexRotationPeriod": "OneHour"}), json!({"IndexRotationPeriod": "OneHour"})),
        ("AmazonOpenSearchServerless", json!({"IndexName": "j"}), json!({"IndexName": "j"})),
    ] {
        let member = format!("{what}DestinationConfiguration");
        let before = made(&member, &least(&member)).unwrap();
        let after = updated(&format!("{what}DestinationUpdate"), &before, &more).unwrap();
        let description = format!("{what}DestinationDescription");
        let expected = with(described(&before)[&description].clone(), &differs);
        assert_eq!(described(&after)[&description], expected, "{what} {more}");
        assert_eq!(updated(&format!("{what}DestinationUpdate"), &after, &more), Ok(after), "{what} {more} again");
    }
}

/// The description as an update, or what can be one of it.
fn as_update(description: Value) -> Value {
    let Value::Object(mut members) = description else { panic!("{description}") };
    for (described, updated) in [
        ("S3DestinationDescription", "S3Update"),
        ("S3BackupDescription", "S3BackupUpdate"),
        ("VpcConfigurationDescription", ""),
    ] {
        if let Some(value) = members.remove(described).filter(|_| !updated.is_empty()) {
            members.insert(updated.to_owned(), value);
        }
    }
    members.into()
}

/// To say what is so already, or to switch off what is off, is no change: it would make a version for nothing.
#[test]
fn what_is_so_already_is_no_change() {
    let off = json!({"CloudWatchLoggingOptions": {"Enabled": false}});
    let kept = json!({"DataFormatConversionConfiguration": {"Enabled": false}});
    for (what, more) in [
        ("S3", json!({})),
        ("ExtendedS3", json!({"S3BackupMode": "Enabled", "S3BackupConfiguration": bucket()})),
        ("ExtendedS3", kept),
        ("HttpEndpoint", json!({"RequestConfiguration": {"ContentEncoding": "GZIP"}})),
        ("Splunk", json!({})),
        ("Amazonopensearchservice", json!({})),
        ("AmazonOpenSearchServerless", json!({})),
        ("Elasticsearch", json!({})),
    ] {
        let member = format!("{what}DestinationConfiguration");
        let before = made(&member, &with(least(&member), &more)).unwrap();
        let described = as_update(described(&before)[format!("{what}DestinationDescription")].clone());
        let of_backup = match what {
            "S3" => off.clone(),
            "ExtendedS3" if more["S3BackupMode"].is_string() => json!({"S3BackupUpdate": off}),
            "ExtendedS3" => json!({}),
            _ => json!({"S3Update": off}),
        };
        for update in [&described, &off, &of_backup] {
            assert_eq!(
                updated(&format!("{what}DestinationUpdate"), &before, update),
                Ok(before.clone()),
                "{what} {update}"
            );
        }
        // And the names of a log can be taken away again.
        let named = json!({"CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g", "LogStreamName": "s"}});
        let on = updated(&format!("{what}DestinationUpdate"), &before, &named).unwrap();
        assert_ne!(on, before);
        assert_eq!(updated(&format!("{what}DestinationUpdate"), &on, &off), Ok(before), "{what}");
    }
}

/// S3 and HTTP endpoints want both hints, all others take one alone: the other stays, or is AWS's default.
#[test]
fn buffering_hints_come_in_pairs_or_alone() {
    let (size, interval) = (json!({"SizeInMBs": 2}), json!({"IntervalInSeconds": 7}));
    let hints = |of: &Value| json!({"BufferingHints": of});
    for (what, default) in
        [("Splunk", 60), ("Amazonopensearchservice", 300), ("AmazonOpenSearchServerless", 300), ("Elasticsearch", 300)]
    {
        let member = format!("{what}DestinationConfiguration");
        let shown = |destination: &Destination| {
            described(destination)[format!("{what}DestinationDescription")]["BufferingHints"].clone()
        };
        let before = made(&member, &with(least(&member), &hints(&size))).unwrap();
        assert_eq!(shown(&before), with(size.clone(), &json!({"IntervalInSeconds": default})), "{what}");
        let after = updated(&format!("{what}DestinationUpdate"), &before, &hints(&interval)).unwrap();
        assert_eq!(shown(&after), with(size.clone(), &interval), "{what}");
    }
    for what in ["S3", "ExtendedS3", "HttpEndpoint"] {
        let member = format!("{what}DestinationConfiguration");
        let before = made(&member, &least(&member)).unwrap();
        for half in [hints(&size), hints(&interval)] {
            let said = refusal(&member, &with(least(&member), &half));
            assert_eq!(said, "SizeInMBs and IntervalInSeconds must both be specified in BufferingHints");
            assert_eq!(updated(&format!("{what}DestinationUpdate"), &before, &half), Err(said));
        }
    }
}

/// A conversion that is switched off is kept and told as it was given, and replaced by another.
#[test]
fn conversion_that_is_off_is_described() {
    let member = "ExtendedS3DestinationConfiguration";
    let only_off = json!({"Enabled": false});
    let whole = json!({
        "Enabled": false,
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {"CaseInsensitive": false,
            "ColumnToJsonKeyMappings": {"ts": "timestamp"}}}},
        "OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {"BloomFilterColumns": ["a"], "Compression": "ZLIB",
            "DictionaryKeyThreshold": 0.5, "StripeSizeBytes": 67_108_864}}},
        "SchemaConfiguration": {"DatabaseName": "d", "RoleARN": ROLE, "TableName": "t"},
    });
    let shown = |destination: &Destination| {
        described(destination)["ExtendedS3DestinationDescription"]["DataFormatConversionConfiguration"].clone()
    };
    let given = |conversion: &Value| json!({"DataFormatConversionConfiguration": conversion});
    for (first, second) in [(&only_off, &whole), (&whole, &only_off)] {
        // Nothing is checked of it, neither the compression nor the size of the buffer.
        let before = made(member, &with(bucket(), &with(given(first), &json!({"CompressionFormat": "GZIP"})))).unwrap();
        assert_eq!(shown(&before), *first);
        let after = updated("ExtendedS3DestinationUpdate", &before, &json!({"Prefix": "p/"})).unwrap();
        assert_eq!(shown(&after), *first);
        let after = updated("ExtendedS3DestinationUpdate", &before, &given(second)).unwrap();
        assert_eq!(shown(&after), *second);
        let said = updated("ExtendedS3DestinationUpdate", &before, &given(&json!({"Enabled": true}))).unwrap_err();
        assert_eq!(said, "InputFormatConfiguration must not be null");
    }
    assert_eq!(shown(&made(member, &bucket()).unwrap()), Value::Null);
}

#[test]
fn processing_stays_on_or_off_if_an_update_does_not_say_it() {
    let member = "ExtendedS3DestinationConfiguration";
    let delimiter = processing(&[("AppendDelimiterToRecord", &[])]);
    let before = made(member, &with(bucket(), &delimiter)).unwrap();
    let silent = json!({"ProcessingConfiguration": {"Processors": []}});
    let said = updated("ExtendedS3DestinationUpdate", &before, &silent).unwrap_err();
    assert!(said.starts_with("A maximum of 5 and a minimum of 1 processor"), "{said}");
    let off = json!({"ProcessingConfiguration": {"Enabled": false}});
    let after = updated("ExtendedS3DestinationUpdate", &before, &off).unwrap();
    assert!(updated("ExtendedS3DestinationUpdate", &after, &silent).is_ok());
}

#[test]
fn partitioning_stays_on_or_off_if_an_update_does_not_say_it() {
    let member = "ExtendedS3DestinationConfiguration";
    let function = json!([{"ParameterName": "LambdaArn", "ParameterValue": FUNCTION}]);
    let on = json!({
        "Prefix": "!{partitionKeyFromLambda:k}/", "ErrorOutputPrefix": "e/",
        "DynamicPartitioningConfiguration": {"Enabled": true, "RetryOptions": {"DurationInSeconds": 9}},
        "ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "Lambda", "Parameters": function}]},
    });
    let off = json!({"DynamicPartitioningConfiguration": {"Enabled": false}});
    let retry = json!({"RetryOptions": {"DurationInSeconds": 100}});
    let silent = with(on.clone(), &json!({"DynamicPartitioningConfiguration": {"RetryOptions": null}}));
    let seconds = |destination: &Destination| {
        described(destination)["ExtendedS3DestinationDescription"]["DynamicPartitioningConfiguration"]["RetryOptions"]
            ["DurationInSeconds"]
            .clone()
    };
    for (given, shown) in [(&silent, json!(300)), (&on, json!(9)), (&off, Value::Null)] {
        let before = made(member, &with(bucket(), given)).unwrap();
        assert_eq!(seconds(&before), shown);
        let again = json!({"DynamicPartitioningConfiguration": {}});
        assert_eq!(updated("ExtendedS3DestinationUpdate", &before, &again), Ok(before));
    }
    for (before, is_on) in [(on, true), (off, false), (json!({}), false)] {
        let before = made(member, &with(bucket(), &before)).unwrap();
        let update = |members: &Value| {
            let update = json!({"DynamicPartitioningConfiguration": members});
            updated("ExtendedS3DestinationUpdate", &before, &update)
        };
        let after = described(&update(&retry).unwrap());
        let described = &after["ExtendedS3DestinationDescription"]["DynamicPartitioningConfiguration"];
        assert_eq!(*described, with(retry.clone(), &json!({"Enabled": is_on})));
        // And so do its retries.
        assert_eq!(update(&json!({"Enabled": is_on})), update(&json!({})));
        assert!(update(&json!({"Enabled": !is_on})).is_err());
    }
}
