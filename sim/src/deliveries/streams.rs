//! The delivery streams of a simulation, one of each kind.

use serde_json::{Value, json};

use crate::whole::STREAM;

/// `levada.toml` of the node.
pub(super) const CONFIG: &str = r#"
    [endpoints]
    "https://endpoint.example/" = "http://endpoint/"
    [lambda."arn:aws:lambda:us-east-1:000000000000:function:f"]
    url = "http://function"
"#;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// A delivery stream, and the bucket of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Direct put to S3; its prefix is changed now and then.
    Plain,
    /// Through the function, which drops some and fails some; all source records are kept too. Now and then, processing
    /// is switched off and on.
    Processed,
    /// The function chooses each record's partition, another one each time.
    Partitioned,
    /// To the endpoint; what it does not take is kept.
    Endpoint,
    /// From the data stream, through its reshards.
    Sourced,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Plain, Self::Processed, Self::Partitioned, Self::Endpoint, Self::Sourced];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Processed => "processed",
            Self::Partitioned => "partitioned",
            Self::Endpoint => "endpoint",
            Self::Sourced => "sourced",
        }
    }

    /// The request that creates it.
    pub(super) fn creation(self) -> Value {
        let name = self.name();
        match self {
            Self::Plain => {
                json!({"DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": s3(name, json!({}))})
            }
            Self::Processed => json!({
                "DeliveryStreamName": name,
                "ExtendedS3DestinationConfiguration": s3(name, json!({
                    "ProcessingConfiguration": processing(true),
                    "S3BackupMode": "Enabled",
                    "S3BackupConfiguration": s3("raw", json!({})),
                })),
            }),
            Self::Partitioned => json!({
                "DeliveryStreamName": name,
                "ExtendedS3DestinationConfiguration": s3(name, json!({
                    "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
                    "Prefix": "!{partitionKeyFromLambda:region}/",
                    "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
                    "ProcessingConfiguration": processing(true),
                    "DynamicPartitioningConfiguration": {"Enabled": true},
                })),
            }),
            Self::Endpoint => json!({
                "DeliveryStreamName": name,
                "HttpEndpointDestinationConfiguration": {
                    "EndpointConfiguration": {"Url": "https://endpoint.example/take", "Name": "e"},
                    "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
                    "RetryOptions": {"DurationInSeconds": 3},
                    "RoleARN": ROLE,
                    "S3BackupMode": "FailedDataOnly",
                    "S3Configuration": s3(name, json!({})),
                },
            }),
            Self::Sourced => json!({
                "DeliveryStreamName": name,
                "DeliveryStreamType": "KinesisStreamAsSource",
                "KinesisStreamSourceConfiguration": {
                    "KinesisStreamARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}"),
                    "RoleARN": ROLE,
                },
                "ExtendedS3DestinationConfiguration": s3(name, json!({})),
            }),
        }
    }

    /// An update that changes how, but not what is delivered; `draw` is any number. `None` for a kind that stays.
    pub(super) fn update(self, version: &str, draw: u64) -> Option<Value> {
        let update = match self {
            Self::Plain => json!({"Prefix": format!("p{}/", draw % 3)}),
            Self::Processed => json!({"ProcessingConfiguration": processing(draw.is_multiple_of(2))}),
            Self::Partitioned => {
                json!({"Prefix": format!("v{}/!{{partitionKeyFromLambda:region}}/", draw % 3)})
            }
            Self::Endpoint => {
                return Some(json!({
                    "DeliveryStreamName": self.name(),
                    "CurrentDeliveryStreamVersionId": version,
                    "DestinationId": "destinationId-000000000001",
                    "HttpEndpointDestinationUpdate": {"RetryOptions": {"DurationInSeconds": draw % 4}},
                }));
            }
            Self::Sourced => return None,
        };
        Some(json!({
            "DeliveryStreamName": self.name(),
            "CurrentDeliveryStreamVersionId": version,
            "DestinationId": "destinationId-000000000001",
            "ExtendedS3DestinationUpdate": update,
        }))
    }
}

fn s3(bucket: &str, more: Value) -> Value {
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
