//! The delivery streams of the test, one of each kind.

use serde_json::{Value, json};

/// The data stream that one of them reads.
pub(crate) const SOURCE: &str = "source";
pub(crate) const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
/// What delivery streams are told; the configuration says where they are.
pub(crate) const ENDPOINT: &str = "https://endpoint.example/";
/// Two names of one collector.
pub(crate) const COLLECTORS: [&str; 2] = ["https://splunk-a.example:8088", "https://splunk-b.example:8088"];
pub(crate) const CLUSTER: &str = "https://search.example";
/// Keeps the source records of [`Kind::Processed`]; every other bucket has the name of its delivery stream.
pub(crate) const RAW: &str = "raw";

const ROLE: &str = "arn:aws:iam::000000000000:role/levada";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Direct puts to S3; its prefix changes now and then.
    Plain,
    /// As that, but to a store behind HTTP.
    Stored,
    /// Through the function. All source records are kept too. Now and then, processing is switched off and on.
    Processed,
    /// The function chooses each record's partition, another one each time.
    Partitioned,
    /// To the endpoint; what it does not take within some seconds is kept.
    Endpoint,
    /// To the endpoint; everything is kept.
    Kept,
    /// To the collector, whose name changes now and then; what it does not acknowledge is kept.
    Splunk,
    /// To the cluster, as documents; what it does not take is kept.
    Search,
    /// From the data stream, through its reshards.
    Sourced,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Plain,
        Self::Stored,
        Self::Processed,
        Self::Partitioned,
        Self::Endpoint,
        Self::Kept,
        Self::Splunk,
        Self::Search,
        Self::Sourced,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Stored => "stored",
            Self::Processed => "processed",
            Self::Partitioned => "partitioned",
            Self::Endpoint => "endpoint",
            Self::Kept => "kept",
            Self::Splunk => "splunk",
            Self::Search => "search",
            Self::Sourced => "sourced",
        }
    }

    pub(crate) fn has_endpoint(self) -> bool {
        matches!(self, Self::Endpoint | Self::Kept | Self::Splunk | Self::Search)
    }

    /// The request that creates it.
    pub(crate) fn creation(self) -> Value {
        let name = self.name();
        match self {
            Self::Plain | Self::Stored => {
                json!({"DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": s3(name, json!({}))})
            }
            Self::Processed => json!({
                "DeliveryStreamName": name,
                "ExtendedS3DestinationConfiguration": s3(name, json!({
                    "ProcessingConfiguration": processing(true),
                    "S3BackupMode": "Enabled",
                    "S3BackupConfiguration": s3(RAW, json!({})),
                })),
            }),
            Self::Partitioned => json!({
                "DeliveryStreamName": name,
                // The least that AWS takes with dynamic partitioning; the test flushes.
                "ExtendedS3DestinationConfiguration": s3(name, json!({
                    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
                    "Prefix": "!{partitionKeyFromLambda:region}/",
                    "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
                    "ProcessingConfiguration": processing(true),
                    "DynamicPartitioningConfiguration": {"Enabled": true},
                })),
            }),
            Self::Endpoint => endpoint(name, "FailedDataOnly"),
            Self::Kept => endpoint(name, "AllData"),
            Self::Splunk => json!({
                "DeliveryStreamName": name,
                "SplunkDestinationConfiguration": {
                    "HECEndpoint": COLLECTORS[0],
                    "HECEndpointType": "Raw",
                    "HECToken": "00872dc6-ac83-4ede-8afe-8413c3825c4c",
                    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
                    "RetryOptions": {"DurationInSeconds": 3},
                    "S3BackupMode": "FailedEventsOnly",
                    "S3Configuration": s3(name, json!({})),
                },
            }),
            Self::Search => json!({
                "DeliveryStreamName": name,
                "AmazonopensearchserviceDestinationConfiguration": {
                    "RoleARN": ROLE,
                    "ClusterEndpoint": CLUSTER,
                    "IndexName": "numbers",
                    "IndexRotationPeriod": "NoRotation",
                    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
                    "RetryOptions": {"DurationInSeconds": 3},
                    "S3BackupMode": "FailedDocumentsOnly",
                    "S3Configuration": s3(name, json!({})),
                },
            }),
            Self::Sourced => json!({
                "DeliveryStreamName": name,
                "DeliveryStreamType": "KinesisStreamAsSource",
                "KinesisStreamSourceConfiguration": {
                    "KinesisStreamARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{SOURCE}"),
                    "RoleARN": ROLE,
                },
                "ExtendedS3DestinationConfiguration": s3(name, json!({})),
            }),
        }
    }

    /// An update that changes how, but not what is delivered; `draw` is any number. `None` for a kind that stays.
    pub(crate) fn update(self, version: &str, draw: u64) -> Option<Value> {
        let (member, update) = match self {
            Self::Plain | Self::Stored => ("ExtendedS3DestinationUpdate", json!({"Prefix": format!("p{}/", draw % 3)})),
            Self::Processed => {
                ("ExtendedS3DestinationUpdate", json!({"ProcessingConfiguration": processing(!draw.is_multiple_of(3))}))
            }
            Self::Partitioned => {
                let prefix = format!("v{}/!{{partitionKeyFromLambda:region}}/", draw % 3);
                ("ExtendedS3DestinationUpdate", json!({ "Prefix": prefix }))
            }
            Self::Endpoint => {
                ("HttpEndpointDestinationUpdate", json!({"RetryOptions": {"DurationInSeconds": draw % 4}}))
            }
            Self::Splunk => {
                let (collector, retry) = (COLLECTORS[draw as usize % 2], draw % 4);
                let update = json!({"HECEndpoint": collector, "RetryOptions": {"DurationInSeconds": retry}});
                ("SplunkDestinationUpdate", update)
            }
            Self::Search => {
                let update = json!({"RetryOptions": {"DurationInSeconds": draw % 4}});
                ("AmazonopensearchserviceDestinationUpdate", update)
            }
            Self::Kept | Self::Sourced => return None,
        };
        Some(json!({
            "DeliveryStreamName": self.name(),
            "CurrentDeliveryStreamVersionId": version,
            "DestinationId": "destinationId-000000000001",
            member: update,
        }))
    }
}

fn endpoint(name: &str, backup: &str) -> Value {
    json!({
        "DeliveryStreamName": name,
        "HttpEndpointDestinationConfiguration": {
            "EndpointConfiguration": {"Url": format!("{ENDPOINT}{name}"), "Name": name},
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
            "RetryOptions": {"DurationInSeconds": 3},
            "RoleARN": ROLE,
            "S3BackupMode": backup,
            "S3Configuration": s3(name, json!({})),
        },
    })
}

/// Settings of a bucket: cut as soon as there is something.
pub(crate) fn s3(bucket: &str, more: Value) -> Value {
    let mut settings = json!({
        "BucketARN": format!("arn:aws:s3:::{bucket}"),
        "RoleARN": ROLE,
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
    });
    if let (Value::Object(settings), Value::Object(more)) = (&mut settings, more) {
        settings.extend(more);
    }
    settings
}

fn processing(enabled: bool) -> Value {
    let parameter = |name: &str, value: &str| json!({"ParameterName": name, "ParameterValue": value});
    json!({
        "Enabled": enabled,
        "Processors": [{"Type": "Lambda", "Parameters": [
            parameter("LambdaArn", FUNCTION),
            parameter("NumberOfRetries", "3"),
            parameter("BufferSizeInMBs", "1"),
            parameter("BufferIntervalInSeconds", "0"),
        ]}],
    })
}
