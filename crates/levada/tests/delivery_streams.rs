//! Delivery streams over the handlers: creation, update, tags, encryption, lists, and what is refused in which words.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod call;

use std::path::Path;
use std::sync::Arc;

use levada::cli::{LifecycleMode, LimitsMode, ServeArgs};
use levada::config::Config;
use levada::node::{Environment, Node};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::Options;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";
const ID: &str = "destinationId-000000000001";

struct World {
    node: Arc<Node>,
}

impl World {
    async fn new() -> Self {
        Self::with(LifecycleMode::Instant, LimitsMode::Open).await
    }

    async fn with(lifecycle: LifecycleMode, limits: LimitsMode) -> Self {
        let args = ServeArgs { lifecycle: Some(lifecycle), limits: Some(limits), ..ServeArgs::default() };
        let config = r#"
            [endpoints]
            "https://mapped.example" = "http://127.0.0.1:1"
            [lambda."arn:aws:lambda:us-east-1:000000000000:function:f"]
            url = "http://127.0.0.1:1"
        "#;
        let mut config = Config::new(&args, Some(config)).unwrap();
        config.free_bytes = 0;
        let env = Environment {
            clock: Arc::new(SimClock::at(1_795_000_000_000)),
            client: Arc::new(levada::network::NoNetwork),
            random: Arc::new(SimRandom::new(1)),
            disk: Arc::new(SimDisk::new()),
            log: Options { journal_segment_bytes: 1 << 20, first_journal_segment_bytes: 1 << 18, ..Options::default() },
            threads: false,
        };
        Self { node: Node::start(config, env, Path::new("/data")).await.unwrap() }
    }

    async fn call(&self, operation: &str, body: &Value) -> (u16, Value) {
        call::call(&self.node, &format!("Firehose_20150804.{operation}"), body).await
    }

    async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 200, "{operation} {body}: {reply}");
        reply
    }

    async fn refused(&self, operation: &str, body: Value) -> String {
        let (status, reply) = self.call(operation, &body).await;
        assert_eq!(status, 400, "{operation} {body}: {reply}");
        format!("{} {}", reply["__type"].as_str().unwrap(), reply["message"].as_str().unwrap_or_default())
    }

    /// A delivery stream to a bucket, with more members of its request.
    async fn create(&self, name: &str, more: &Value) {
        let arn = self.ok("CreateDeliveryStream", new(name, more)).await;
        let expected = format!("arn:aws:firehose:us-east-1:000000000000:deliverystream/{name}");
        assert_eq!(arn, json!({"DeliveryStreamARN": expected}));
    }

    /// Until nothing is under way any more.
    async fn settled(&self, name: &str) {
        let changing = |status: &Value| status.as_str().is_some_and(|status| status.ends_with("ING"));
        for _ in 0..10_000 {
            let now = self.describe(name).await;
            let encryption = &now["DeliveryStreamEncryptionConfiguration"]["Status"];
            if !changing(&now["DeliveryStreamStatus"]) && !changing(encryption) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{}", self.describe(name).await);
    }

    async fn describe(&self, name: &str) -> Value {
        let mut reply = self.ok("DescribeDeliveryStream", json!({"DeliveryStreamName": name})).await;
        reply["DeliveryStreamDescription"].take()
    }
}

fn new(name: &str, more: &Value) -> Value {
    let mut body = json!({"DeliveryStreamName": name});
    if !more.as_object().unwrap().keys().any(|member| member.ends_with("DestinationConfiguration")) {
        body["ExtendedS3DestinationConfiguration"] = s3(&json!({}));
    }
    add(&mut body, more);
    body
}

fn s3(more: &Value) -> Value {
    let mut bucket = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"});
    add(&mut bucket, more);
    bucket
}

fn add(to: &mut Value, more: &Value) {
    to.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
}

fn update(name: &str, version: &str, more: &Value) -> Value {
    let mut body = json!({"DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": version, "DestinationId": ID});
    add(&mut body, more);
    body
}

#[tokio::test]
async fn a_delivery_stream_is_described_as_aws_does() {
    let world = World::new().await;
    world.create("d", &json!({})).await;
    let bucket = json!({
        "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b", "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED", "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": false},
    });
    let mut extended = bucket.clone();
    add(&mut extended, &json!({"S3BackupMode": "Disabled"}));
    let expected = json!({
        "CreateTimestamp": 1.795E9,
        "DeliveryStreamARN": "arn:aws:firehose:us-east-1:000000000000:deliverystream/d",
        "DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"},
        "DeliveryStreamName": "d",
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "DirectPut",
        "Destinations": [{"DestinationId": ID, "S3DestinationDescription": bucket,
            "ExtendedS3DestinationDescription": extended}],
        "HasMoreDestinations": false,
        "VersionId": "1",
    });
    assert_eq!(world.describe("d").await, expected);
    // One destination fits every limit, and an unknown cursor is ignored.
    let paged = json!({"DeliveryStreamName": "d", "Limit": 1, "ExclusiveStartDestinationId": "destinationId-7"});
    assert_eq!(world.ok("DescribeDeliveryStream", paged).await["DeliveryStreamDescription"], expected);
    let said = world.refused("CreateDeliveryStream", new("d", &json!({}))).await;
    assert_eq!(said, "ResourceInUseException Firehose d under accountId 000000000000 already exists");
}

#[tokio::test]
async fn lists_have_pages_and_types() {
    let world = World::new().await;
    call::call(&world.node, "Kinesis_20131202.CreateStream", &json!({"StreamName": "s", "ShardCount": 1})).await;
    let source = json!({
        "DeliveryStreamType": "KinesisStreamAsSource",
        "KinesisStreamSourceConfiguration":
            {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "RoleARN": ROLE},
    });
    for n in 0..11 {
        world.create(&format!("d{n:02}"), &if n == 3 { source.clone() } else { json!({}) }).await;
    }
    let names = |from: usize, to: usize| (from..to).map(|n| format!("d{n:02}")).collect::<Vec<_>>();
    for (asked, expected, more) in [
        (json!({}), names(0, 10), true),
        (json!({"ExclusiveStartDeliveryStreamName": "d09"}), names(10, 11), false),
        (json!({"ExclusiveStartDeliveryStreamName": "d04x", "Limit": 2}), names(5, 7), true),
        (json!({"DeliveryStreamType": "KinesisStreamAsSource"}), names(3, 4), false),
        (json!({"DeliveryStreamType": "DirectPut", "ExclusiveStartDeliveryStreamName": "d02"}), names(4, 11), false),
        (json!({"DeliveryStreamType": "MSKAsSource"}), Vec::new(), false),
    ] {
        let page = world.ok("ListDeliveryStreams", asked.clone()).await;
        assert_eq!(page, json!({"DeliveryStreamNames": expected, "HasMoreDeliveryStreams": more}), "{asked}");
    }
    let description = world.describe("d03").await;
    let kinesis = json!({
        "KinesisStreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "RoleARN": ROLE,
        "DeliveryStartTimestamp": description["CreateTimestamp"],
    });
    assert_eq!(description["Source"], json!({"KinesisStreamSourceDescription": kinesis}));
    assert_eq!(description["DeliveryStreamType"], "KinesisStreamAsSource");
    assert_eq!(description.get("DeliveryStreamEncryptionConfiguration"), None);
}

#[tokio::test]
async fn a_hint_of_throughput_is_described() {
    let world = World::new().await;
    world.create("d", &json!({"DirectPutSourceConfiguration": {"ThroughputHintInMBs": 100}})).await;
    let source = json!({"DirectPutSourceDescription": {"ThroughputHintInMBs": 100}});
    assert_eq!(world.describe("d").await["Source"], source);
}

/// One row, one request for a delivery stream that is refused.
#[tokio::test]
async fn creation_is_refused_in_aws_s_words() {
    let world = World::new().await;
    let lead = "The supplied prefix(es) do not satisfy the following constraint: ";
    let kinesis = |arn: &str| {
        json!({"DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {"KinesisStreamARN": arn, "RoleARN": ROLE}})
    };
    let encrypted = |more: Value| json!({"DeliveryStreamEncryptionConfigurationInput": more});
    let prefixes = |prefix: &str, error: &str| json!({"Prefix": prefix, "ErrorOutputPrefix": error});
    let to_s3 = |more: Value| json!({"ExtendedS3DestinationConfiguration": s3(&more)});
    let query = |query: &str, prefix: &str| {
        let parameter = |name: &str, value: &str| json!({"ParameterName": name, "ParameterValue": value});
        let parameters = [parameter("MetadataExtractionQuery", query), parameter("JsonParsingEngine", "JQ-1.6")];
        to_s3(json!({
            "Prefix": prefix, "ErrorOutputPrefix": "e/",
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
            "DynamicPartitioningConfiguration": {"Enabled": true},
            "ProcessingConfiguration": {"Enabled": true, "Processors": [
                {"Type": "MetadataExtraction", "Parameters": parameters},
            ]},
        }))
    };
    let function = |arn: &str| {
        let parameters = json!([{"ParameterName": "LambdaArn", "ParameterValue": arn}]);
        to_s3(json!({"ProcessingConfiguration": {"Enabled": true, "Processors": [
            {"Type": "Lambda", "Parameters": parameters},
        ]}}))
    };
    let http = |url: &str| {
        json!({"HttpEndpointDestinationConfiguration":
            {"EndpointConfiguration": {"Url": url}, "S3Configuration": s3(&json!({}))}})
    };
    let redshift = json!({"RoleARN": ROLE, "ClusterJDBCURL": "jdbc:redshift://a.redshift.amazonaws.com:1/d",
        "CopyCommand": {"DataTableName": "t"}, "S3Configuration": s3(&json!({}))});
    let rows = [
        (json!({"S3DestinationConfiguration": s3(&json!({})), "ExtendedS3DestinationConfiguration": s3(&json!({}))}),
            "Exactly one destination configuration is supported for a Firehose".to_owned()),
        (json!({"RedshiftDestinationConfiguration": redshift}),
            "RedshiftDestinationConfiguration is not supported by this version of Levada".to_owned()),
        (json!({"DeliveryStreamType": "KinesisStreamAsSource"}),
            "KinesisSourceStreamConfig is mandatory for KinesisStreamAsSource stream type.".to_owned()),
        (json!({"DeliveryStreamType": "MSKAsSource"}),
            "MSKSourceConfig is mandatory for MSK as Source stream type.".to_owned()),
        (json!({"DeliveryStreamType": "DatabaseAsSource"}),
            "DeliveryStreamType DatabaseAsSource is not supported by this version of Levada".to_owned()),
        (kinesis("arn:aws:kinesis:us-east-1:000000000000:stream/none"),
            "Stream none under account 000000000000 not found.".to_owned()),
        ({
            let mut both = kinesis("arn:aws:kinesis:us-east-1:000000000000:stream/none");
            add(&mut both, &encrypted(json!({"KeyType": "AWS_OWNED_CMK"})));
            both
        }, "Server side encryption from firehose is only allowed for direct put delivery streams and database as a source \
            delivery streams".to_owned()),
        (encrypted(json!({"KeyType": "CUSTOMER_MANAGED_CMK"})),
            "KeyARN has to be specified when KeyType is CUSTOMER_MANAGED_CMK".to_owned()),
        (encrypted(json!({"KeyType": "AWS_OWNED_CMK", "KeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"})),
            "KeyARN cannot be specified when KeyType is AWS_OWNED_CMK".to_owned()),
        (encrypted(json!({"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "arn:aws:kms:eu-west-1:000000000000:key/k"})),
            "Cross-region keys are not allowed for SSE. Please provide CMKs in the same region as firehose".to_owned()),
        (to_s3(prefixes("a/!{timestamp:yyyy}/", "")),
            format!("{lead}ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")),
        (to_s3(prefixes("a/", "e/!{timestamp:yyyy}/")),
            format!("{lead}ErrorOutputPrefix must contain at least one occurrence of !{{firehose:error-output-type}}")),
        (to_s3(prefixes("a/!{firehose:error-output-type}/", "e/")),
            format!("{lead}Prefix must not contain any occurrence of !{{firehose:error-output-type}}")),
        (to_s3(prefixes("my!{prefix/", "e/")),
            format!("{lead}Invalid expression usage: my!{{prefix/.Must be of the form !{{<namespace>:<value>}}")),
        (to_s3(prefixes("a/!{bogus:yyyy}/", "e/")),
            format!("{lead}Namespace to the left of colon (bogus) is an invalid keyword!")),
        (to_s3(prefixes("a/!{firehose:bogus}/", "e/")),
            format!("{lead}Invalid conversion character used in the value of the expression in Prefix")),
        (to_s3(prefixes(&"a".repeat(601), "e/")),
            format!("{lead}Length of evaluated prefix cannot be greater than 512")),
        (to_s3(prefixes("a/", &"e".repeat(513))),
            format!("{lead}Length of evaluated ErrorOutputPrefix cannot be greater than 512")),
        (to_s3(prefixes("a/", "e/!{partitionKeyFromQuery:a}/!{firehose:error-output-type}/")),
            "Dynamic Partitioning Namespaces can't be part of an error prefix expression".to_owned()),
        (to_s3(prefixes("a/!{partitionKeyFromQuery:a}/", "e/")),
            "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."
                .to_owned()),
        (query("{a:.a}", "plain/"),
            "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled".to_owned()),
        (query("{a:.a}", "!{partitionKeyFromLambda:a}/"),
            "Lambda should be present when S3 Prefix contains keys from partitionKeyFromLambda namespace".to_owned()),
        (query("{a:.a,b:.b}", "!{partitionKeyFromQuery:a}/"),
            "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression".to_owned()),
        (query("{a:", "!{partitionKeyFromQuery:a}/"), "MetaDataExtraction JQ Query is invalid: ".to_owned()),
        (to_s3(json!({"EncryptionConfiguration": {"KMSEncryptionConfig":
                {"AWSKMSKeyARN": "arn:aws:kms:eu-west-1:000000000000:key/k"}}})),
            "KMS Key arn:aws:kms:eu-west-1:000000000000:key/k does not exist in the same region as the S3 bucket. KMS Key \
             region: eu-west-1. S3 Bucket Region: us-east-1".to_owned()),
        (to_s3(json!({"CustomTimeZone": "Mars/Phobos"})),
            "Provided custom time zone is not supported. Custom time zones are limited to UTC and non-3-letter IANA time \
             zones.".to_owned()),
        (function("arn:aws:lambda:us-east-1:000000000000:function:unmapped"),
            "The function arn:aws:lambda:us-east-1:000000000000:function:unmapped is not one of".to_owned()),
        (http("https://127.0.0.1/x"), "The URL names".to_owned()),
    ];
    for (more, expected) in rows {
        let said = world.refused("CreateDeliveryStream", new("d", &more)).await;
        let said = said.strip_prefix("InvalidArgumentException ").expect(&said);
        // Where the text is AWS's it is known to the end.
        assert!(said.starts_with(&expected), "{more}: {said}");
    }
    world.create("mapped", &http("https://mapped.example/x")).await;
    let key = json!({"AWSKMSKeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"});
    world.create("encrypted", &to_s3(json!({"EncryptionConfiguration": {"KMSEncryptionConfig": key}}))).await;
    world.create("function", &function("arn:aws:lambda:us-east-1:000000000000:function:f:7")).await;
    // A source beside direct put is ignored, as AWS was seen to do.
    let beside = json!({"KinesisStreamSourceConfiguration":
        {"KinesisStreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/none", "RoleARN": ROLE}});
    world.create("beside", &beside).await;
    let constrained = new("d", &json!({"MSKSourceConfiguration": {}, "DeliveryStreamType": "MSKAsSource"}));
    let said = world.refused("CreateDeliveryStream", constrained).await;
    assert!(said.starts_with("ValidationException 3 validation errors detected"), "{said}");
}

#[tokio::test]
async fn updates_count_versions() {
    let world = World::new().await;
    world.create("d", &json!({})).await;
    let prefix = |prefix: &str| json!({"ExtendedS3DestinationUpdate": {"Prefix": prefix}});
    world.node.advance_clock(1_000);
    assert_eq!(world.ok("UpdateDestination", update("d", "1", &prefix("p/"))).await, json!({}));
    let description = world.describe("d").await;
    assert_eq!(description["VersionId"], "2");
    assert_eq!(description["LastUpdateTimestamp"], json!(1.795_000_001E9));
    let destination = &description["Destinations"][0];
    assert_eq!(destination["ExtendedS3DestinationDescription"]["Prefix"], "p/");
    assert_eq!(destination["S3DestinationDescription"]["Prefix"], "p/");
    // The same again changes nothing; the old form updates the same destination.
    world.ok("UpdateDestination", update("d", "2", &prefix("p/"))).await;
    assert_eq!(world.describe("d").await["VersionId"], "2");
    world.ok("UpdateDestination", update("d", "2", &json!({"S3DestinationUpdate": {"Prefix": "q/"}}))).await;
    assert_eq!(world.describe("d").await["VersionId"], "3");
}

/// One row, one update that is refused.
#[tokio::test]
async fn updates_are_refused_in_aws_s_words() {
    let world = World::new().await;
    world.create("d", &json!({})).await;
    let backup = json!({"ExtendedS3DestinationUpdate": {"S3BackupMode": "Enabled", "S3BackupUpdate": s3(&json!({}))}});
    world.ok("UpdateDestination", update("d", "1", &backup)).await;
    let prefix = json!({"ExtendedS3DestinationUpdate": {"Prefix": "p/"}});
    let mut other_id = update("d", "2", &prefix);
    other_id["DestinationId"] = json!("destinationId-000000000002");
    let extended = |more: Value| update("d", "2", &json!({"ExtendedS3DestinationUpdate": more}));
    for (body, expected) in [
        (update("none", "1", &prefix), "ResourceNotFoundException Firehose none under account 000000000000 not found."),
        (
            update("d", "1", &prefix),
            "ConcurrentModificationException Cannot update firehose: d since the current version id: 2 and specified \
             version id: 1 do not match",
        ),
        (other_id, "InvalidArgumentException Destination Id destinationId-000000000002 not found"),
        (
            update("d", "2", &json!({})),
            "InvalidArgumentException At least one destination or source configuration update must be provided",
        ),
        (
            update("d", "2", &json!({"S3DestinationUpdate": {}, "ExtendedS3DestinationUpdate": {}})),
            "InvalidArgumentException Exactly one destination update is supported for a Firehose",
        ),
        (
            update("d", "2", &json!({"SplunkDestinationUpdate": {"HECToken": "t"}})),
            "InvalidArgumentException Changing the destination type to or from Splunk is not supported at this time.",
        ),
        (
            update("d", "2", &json!({"RedshiftDestinationUpdate": {}})),
            "InvalidArgumentException Changing the destination type to or from Redshift is not supported at this time.",
        ),
        (
            extended(json!({"S3BackupMode": "Disabled"})),
            "InvalidArgumentException Disabling S3 backup is not currently supported.",
        ),
        (
            extended(json!({"DynamicPartitioningConfiguration": {"Enabled": true}})),
            "InvalidArgumentException Dynamic Partitioning can only be enabled or disabled when the delivery stream is \
             created.",
        ),
        (
            extended(json!({"ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "Decompression"}]}})),
            "InvalidArgumentException Enabling source decompression is not supported for existing stream with no Lambda \
             function attached.",
        ),
        (
            extended(json!({"Prefix": "!{timestamp:yyyy}"})),
            "InvalidArgumentException The supplied prefix(es) do not satisfy the following constraint: ErrorOutputPrefix \
             cannot be null or empty when Prefix contains expressions",
        ),
    ] {
        assert_eq!(world.refused("UpdateDestination", body.clone()).await, expected, "{body}");
    }
    assert_eq!(world.describe("d").await["VersionId"], "2");
}

#[tokio::test]
async fn tags_have_pages() {
    let world = World::new().await;
    world.create("d", &json!({"Tags": [{"Key": "b", "Value": "1"}, {"Key": "a"}]})).await;
    let tags = |tags: Value| json!({"DeliveryStreamName": "d", "Tags": tags});
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    assert_eq!(world.ok("TagDeliveryStream", tags(json!([tag("c", "2"), tag("b", "3")]))).await, json!({}));
    for (asked, expected, more) in [
        (json!({}), json!([tag("a", ""), tag("b", "3"), tag("c", "2")]), false),
        (json!({"Limit": 2}), json!([tag("a", ""), tag("b", "3")]), true),
        (json!({"Limit": 1, "ExclusiveStartTagKey": "b"}), json!([tag("c", "2")]), false),
        (json!({"ExclusiveStartTagKey": "aa"}), json!([tag("b", "3"), tag("c", "2")]), false),
    ] {
        let mut body = json!({"DeliveryStreamName": "d"});
        add(&mut body, &asked);
        let page = world.ok("ListTagsForDeliveryStream", body).await;
        assert_eq!(page, json!({"HasMoreTags": more, "Tags": expected}), "{asked}");
    }
    let untag = json!({"DeliveryStreamName": "d", "TagKeys": ["a", "c", "none"]});
    assert_eq!(world.ok("UntagDeliveryStream", untag).await, json!({}));
    let page = world.ok("ListTagsForDeliveryStream", json!({"DeliveryStreamName": "d"})).await;
    assert_eq!(page, json!({"HasMoreTags": false, "Tags": [tag("b", "3")]}));
    let fifty: Vec<Value> = (0..50).map(|n| tag(&format!("k{n}"), "v")).collect();
    let said = world.refused("TagDeliveryStream", tags(json!(fifty))).await;
    assert_eq!(said, "LimitExceededException Firehose d under accountId 000000000000 cannot have more than 50 tags.");
    let said = world.refused("TagDeliveryStream", tags(json!([tag("aws:x", "v")]))).await;
    assert!(said.starts_with("ValidationException 1 validation error detected: Value"), "{said}");
    for operation in ["TagDeliveryStream", "UntagDeliveryStream", "ListTagsForDeliveryStream"] {
        let body = json!({"DeliveryStreamName": "none", "Tags": [tag("k", "v")], "TagKeys": ["k"]});
        let said = world.refused(operation, body).await;
        assert_eq!(said, "ResourceNotFoundException Firehose none under account 000000000000 not found.");
    }
}

#[tokio::test]
async fn encryption_starts_and_stops() {
    let world = World::with(LifecycleMode::Aws, LimitsMode::Open).await;
    let encryption = async || world.describe("d").await["DeliveryStreamEncryptionConfiguration"].clone();
    let settle = async || {
        world.node.advance_clock(60_000);
        world.settled("d").await;
    };
    world.create("d", &json!({"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"}})).await;
    let said = world.refused("StopDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})).await;
    assert_eq!(
        said,
        "ResourceInUseException Firehose d under accountId 000000000000 is in state CREATING and cannot be changed."
    );
    settle().await;
    assert_eq!(encryption().await, json!({"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}));
    let arn = "arn:aws:kms:us-east-1:000000000000:key/k";
    let input = json!({"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": arn});
    let start = json!({"DeliveryStreamName": "d", "DeliveryStreamEncryptionConfigurationInput": input});
    assert_eq!(world.ok("StartDeliveryStreamEncryption", start.clone()).await, json!({}));
    let described = |status: &str| json!({"KeyARN": arn, "KeyType": "CUSTOMER_MANAGED_CMK", "Status": status});
    assert_eq!(encryption().await, described("ENABLING"));
    let said = world.refused("StartDeliveryStreamEncryption", start).await;
    assert!(said.starts_with("ResourceInUseException Server side encryption of Firehose d"), "{said}");
    settle().await;
    assert_eq!(encryption().await, described("ENABLED"));
    assert_eq!(world.ok("StopDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})).await, json!({}));
    assert_eq!(encryption().await, described("DISABLING"));
    settle().await;
    assert_eq!(encryption().await, json!({"Status": "DISABLED"}));
    // Without a configuration AWS's own key is meant.
    world.ok("StartDeliveryStreamEncryption", json!({"DeliveryStreamName": "d"})).await;
    settle().await;
    assert_eq!(encryption().await, json!({"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}));
}

#[tokio::test]
async fn encryption_changes_twenty_five_times_a_day() {
    let world = World::with(LifecycleMode::Instant, LimitsMode::Strict).await;
    world.create("d", &json!({})).await;
    let body = json!({"DeliveryStreamName": "d"});
    for n in 0..25 {
        let operation = if n % 2 == 0 { "StartDeliveryStreamEncryption" } else { "StopDeliveryStreamEncryption" };
        world.ok(operation, body.clone()).await;
        world.settled("d").await;
        world.node.advance_clock(60_000);
    }
    let said = world.refused("StopDeliveryStreamEncryption", body.clone()).await;
    assert!(said.starts_with("LimitExceededException StartDeliveryStreamEncryption and Stop"), "{said}");
    world.node.advance_clock(24 * 3_600_000);
    world.ok("StopDeliveryStreamEncryption", body).await;
}
