//! The AWS SDK for Rust, beyond what the suite checks through its adapter: Kinesis's errors as the types that programs match
//! on, and Firehose. `LEVADA_ENDPOINT` names a running endpoint; without it the test starts a node of its own.
#![allow(clippy::disallowed_methods, reason = "runs beside a node: real clock, files and threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::time::{Duration, Instant};

use aws_sdk_firehose::error::ProvideErrorMetadata as _;
use aws_sdk_firehose::types as firehose_types;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType, StreamStatus};
use levada_conformance::server::Server;

/// An endpoint, with the server and directory that belong to it.
struct Node {
    endpoint: String,
    _server: Option<(Server, tempfile::TempDir)>,
}

fn node() -> Node {
    if let Ok(endpoint) = std::env::var("LEVADA_ENDPOINT") {
        return Node { endpoint, _server: None };
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]).unwrap();
    Node { endpoint: server.endpoint().to_owned(), _server: Some((server, directory)) }
}

impl Node {
    fn kinesis(&self) -> aws_sdk_kinesis::Client {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(aws_sdk_kinesis::config::BehaviorVersion::latest())
            .region(aws_sdk_kinesis::config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_kinesis::config::Credentials::new(
                "000000000000",
                "secret",
                None,
                None,
                "test",
            ))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(aws_sdk_kinesis::config::retry::RetryConfig::disabled())
            .endpoint_url(&self.endpoint);
        aws_sdk_kinesis::Client::from_conf(config.build())
    }

    fn firehose(&self) -> aws_sdk_firehose::Client {
        let config = aws_sdk_firehose::Config::builder()
            .behavior_version(aws_sdk_firehose::config::BehaviorVersion::latest())
            .region(aws_sdk_firehose::config::Region::new("us-east-1"))
            .credentials_provider(aws_sdk_firehose::config::Credentials::new(
                "000000000000",
                "secret",
                None,
                None,
                "test",
            ))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(aws_sdk_firehose::config::retry::RetryConfig::disabled())
            .endpoint_url(&self.endpoint);
        aws_sdk_firehose::Client::from_conf(config.build())
    }
}

async fn until_active(client: &aws_sdk_kinesis::Client, stream: &str) {
    let patience = Instant::now();
    loop {
        let summary = client.describe_stream_summary().stream_name(stream).send().await.unwrap();
        if *summary.stream_description_summary().unwrap().stream_status() == StreamStatus::Active {
            return;
        }
        assert!(patience.elapsed() < Duration::from_secs(60), "{stream} is not ACTIVE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The modelled error type and the message of a refused call.
macro_rules! refused {
    ($call:expr, $is:ident, $message:expr) => {{
        let error = $call.send().await.expect_err("must be refused").into_service_error();
        assert!(error.$is(), "{error:?}");
        assert_eq!(error.meta().message(), Some($message));
    }};
}

#[tokio::test]
async fn kinesis_refuses_with_the_modelled_types() {
    let node = node();
    let client = node.kinesis();
    let stream = "sdk-refusals";
    client.create_stream().stream_name(stream).shard_count(1).send().await.unwrap();
    until_active(&client, stream).await;
    let missing = "Stream nothing under account 000000000000 not found.";
    refused!(
        client.create_stream().stream_name(stream).shard_count(1),
        is_resource_in_use_exception,
        "Stream sdk-refusals under account 000000000000 already exists."
    );
    refused!(client.describe_stream().stream_name("nothing"), is_resource_not_found_exception, missing);
    refused!(client.describe_stream_summary().stream_name("nothing"), is_resource_not_found_exception, missing);
    refused!(client.list_shards().stream_name("nothing"), is_resource_not_found_exception, missing);
    refused!(client.delete_stream().stream_name("nothing"), is_resource_not_found_exception, missing);
    let put = client.put_record().stream_name("nothing").partition_key("k").data(Blob::new("x"));
    refused!(put, is_resource_not_found_exception, missing);
    let entry = PutRecordsRequestEntry::builder().partition_key("k").data(Blob::new("x")).build().unwrap();
    refused!(client.put_records().stream_name("nothing").records(entry), is_resource_not_found_exception, missing);
    let iterator = client.get_shard_iterator().stream_name(stream).shard_iterator_type(ShardIteratorType::Latest);
    refused!(
        iterator.shard_id("shardId-000000000009"),
        is_resource_not_found_exception,
        "Shard shardId-000000000009 in stream sdk-refusals under account 000000000000 does not exist"
    );
    refused!(
        client.get_records().shard_iterator("not an iterator"),
        is_invalid_argument_exception,
        "Invalid ShardIterator."
    );
    let error = client.list_streams().limit(0).send().await.expect_err("a limit of 0").into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
    let message = error.message().unwrap();
    assert!(
        message.contains("at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1")
    );
}

fn destination(bucket: &str) -> firehose_types::ExtendedS3DestinationConfiguration {
    firehose_types::ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/levada")
        .bucket_arn(format!("arn:aws:s3:::{bucket}"))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_delivery_stream_from_creation_to_deletion() {
    let node = node();
    let client = node.firehose();
    let name = "sdk-delivery";
    let created = client.create_delivery_stream().delivery_stream_name(name);
    let created = created.extended_s3_destination_configuration(destination("sdk-bucket")).send().await.unwrap();
    let arn = "arn:aws:firehose:us-east-1:000000000000:deliverystream/sdk-delivery";
    assert_eq!(created.delivery_stream_arn(), Some(arn));
    let patience = Instant::now();
    loop {
        let described = client.describe_delivery_stream().delivery_stream_name(name).send().await.unwrap();
        let described = described.delivery_stream_description().unwrap();
        assert_eq!(described.version_id(), "1");
        if *described.delivery_stream_status() == firehose_types::DeliveryStreamStatus::Active {
            let destination = described.destinations().first().unwrap();
            assert_eq!(destination.destination_id(), "destinationId-000000000001");
            assert!(destination.s3_destination_description().is_some());
            assert!(destination.extended_s3_destination_description().is_some());
            break;
        }
        assert!(patience.elapsed() < Duration::from_secs(60), "{name} is not ACTIVE");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let record = |text: &str| {
        let data = aws_sdk_firehose::primitives::Blob::new(text);
        firehose_types::Record::builder().data(data).build().unwrap()
    };
    let put = client.put_record().delivery_stream_name(name).record(record("one\n")).send().await.unwrap();
    assert!(!put.record_id().is_empty());
    assert_eq!(put.encrypted(), Some(false));
    let batch = client.put_record_batch().delivery_stream_name(name);
    let batch = batch.records(record("two\n")).records(record("three\n")).send().await.unwrap();
    assert_eq!(batch.failed_put_count(), 0);
    assert_eq!(batch.request_responses().len(), 2);
    assert!(batch.request_responses().iter().all(|answer| answer.record_id().is_some()));
    let listed = client.list_delivery_streams().send().await.unwrap();
    assert!(listed.delivery_stream_names().iter().any(|listed| listed == name));
    client.delete_delivery_stream().delivery_stream_name(name).send().await.unwrap();
}

#[tokio::test]
async fn firehose_refuses_with_the_modelled_types() {
    let node = node();
    let client = node.firehose();
    let create = || client.create_delivery_stream().delivery_stream_name("sdk-refused");
    create().extended_s3_destination_configuration(destination("sdk-bucket")).send().await.unwrap();
    refused!(
        create().extended_s3_destination_configuration(destination("sdk-bucket")),
        is_resource_in_use_exception,
        "Firehose sdk-refused under accountId 000000000000 already exists"
    );
    let missing = "Firehose nothing under account 000000000000 not found.";
    let describe = client.describe_delivery_stream().delivery_stream_name("nothing");
    refused!(describe, is_resource_not_found_exception, missing);
    let delete = client.delete_delivery_stream().delivery_stream_name("nothing");
    refused!(delete, is_resource_not_found_exception, missing);
    let data = aws_sdk_firehose::primitives::Blob::new("x");
    let record = firehose_types::Record::builder().data(data).build().unwrap();
    let put = client.put_record().delivery_stream_name("nothing").record(record.clone());
    refused!(put, is_resource_not_found_exception, missing);
    let batch = client.put_record_batch().delivery_stream_name("nothing").records(record);
    refused!(batch, is_resource_not_found_exception, missing);
}
