//! Delivery streams from the API to their destinations: a function, an endpoint, partitions, updates under load, and a
//! data directory of an earlier release. Whoever is called is the test itself.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod call;
mod log;
#[path = "deliveries/world.rs"]
mod world;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use levada::controls::page;
use levada_core::batch::Batch;
use levada_core::catalog::{Account, CATALOG_LOG, DeliveryStream, Scope};
use levada_core::engine::{Append, Appended, Engine, EngineError, Expect, LogId, LogSpec};
use levada_core::env::Clock;
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::EmbeddedLog;
use serde_json::{Value, json};

use self::log::Log;
use self::world::{CLEAN, HEC, NOW, Receiver, URL, World, answer, decoded, encoded, function, log_options, taken};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn bucket(name: &str) -> Value {
    json!({
        "RoleARN": ROLE,
        "BucketARN": format!("arn:aws:s3:::{name}"),
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 900},
    })
}

fn with(mut value: Value, members: &[(&str, Value)]) -> Value {
    for (member, content) in members {
        value[*member] = content.clone();
    }
    value
}

fn lambda() -> Value {
    let parameters = json!([
        {"ParameterName": "LambdaArn", "ParameterValue": CLEAN},
        {"ParameterName": "BufferSizeInMBs", "ParameterValue": "1"},
        {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "60"},
    ]);
    json!({"Enabled": true, "Processors": [{"Type": "Lambda", "Parameters": parameters}]})
}

fn endpoint(retry_secs: u32) -> Value {
    json!({
        "EndpointConfiguration": {"Url": URL, "AccessKey": "hush"},
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        "RetryOptions": {"DurationInSeconds": retry_secs},
        "S3Configuration": bucket("backup"),
    })
}

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("record {n}\n")).collect()
}

fn scope() -> Scope {
    Scope::new(Account::new("000000000000").unwrap(), "us-east-1")
}

fn delivery_stream(world: &World) -> Arc<DeliveryStream> {
    world.node.registry.state().delivery_stream(&scope(), "d").unwrap().clone()
}

/// Records in the body of a request to an HTTP endpoint.
fn delivered(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["records"].as_array().unwrap().iter().map(|record| decoded(&record["data"])).collect()
}

#[tokio::test(start_paused = true)]
async fn a_function_changes_records_on_their_way() {
    let receiver = Receiver::new(|_, request| function(request, str::to_uppercase));
    let world = World::new(&receiver).await;
    world
        .create("ExtendedS3DestinationConfiguration", &with(bucket("lake"), &[("ProcessingConfiguration", lambda())]))
        .await;
    world.put(&lines(3)).await;
    world.flush().await;
    let objects = world.objects("lake");
    assert_eq!(
        objects.iter().map(|(_, content)| content.as_str()).collect::<Vec<_>>(),
        ["RECORD 0\nRECORD 1\nRECORD 2\n"]
    );
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/2015-03-31/functions/clean/invocations");
    let event: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(event["deliveryStreamArn"], "arn:aws:firehose:us-east-1:000000000000:deliverystream/d");
    assert_eq!((&event["region"], event["records"].as_array().unwrap().len()), (&json!("us-east-1"), 3));
    for (metric, value) in [
        ("aws_firehose_succeed_processing_records_total", 3.0),
        ("aws_firehose_execute_processing_success_total", 1.0),
        ("aws_firehose_delivery_to_s3_success_total", 1.0),
        ("aws_firehose_delivery_to_s3_failure_total", 0.0),
        ("levada_delivery_halted", 0.0),
    ] {
        assert_eq!(world.metric(metric), value, "{metric}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_object_is_a_line_in_the_log_without_what_is_in_it() {
    let log = Log::of_all();
    let receiver = Receiver::new(|_, _| answer(500, &json!({})));
    let world = World::new(&receiver).await;
    world.create("ExtendedS3DestinationConfiguration", &bucket("logged")).await;
    for _ in 0..2 {
        world.put(&lines(3)).await;
        world.flush().await;
    }
    assert!(!log.text().contains("record 0"), "{}", log.text());
    let delivered = log.lines(|fields| fields["bucket"] == "logged");
    let objects = world.objects("logged");
    assert_eq!((objects.len(), delivered.len()), (2, 2), "{}", log.text());
    for (level, line) in delivered {
        let (_, content) = objects.iter().find(|(key, _)| line["key"] == **key).unwrap();
        assert_eq!((level.as_str(), &line["message"]), ("INFO", &json!("object delivered")));
        assert_eq!(line["delivery_stream"], "d");
        assert_eq!((&line["records"], &line["bytes"]), (&json!(3), &json!(content.len())));
    }
}

/// What a destination that is away for too long costs is counted, logged as an error, and stands where alarms look.
#[tokio::test(start_paused = true)]
async fn a_bucket_may_be_away_for_23_hours_and_what_a_longer_time_costs_is_told() {
    let log = Log::of_all();
    let receiver = Receiver::new(|_, _| answer(500, &json!({})));
    for (name, hours, lost) in [("away-for-23", 23, 0), ("away-for-26", 26, 3)] {
        let world = World::new(&receiver).await;
        world.create("ExtendedS3DestinationConfiguration", &bucket(name)).await;
        world.lose_bucket(name);
        world.put(&lines(3)).await;
        world.hours(hours).await;
        let kept = if lost == 0 { f64::from(hours) * 3_600.0 - 900.0 } else { 0.0 };
        assert!(world.metric("aws_firehose_delivery_to_s3_data_freshness_seconds") >= kept, "{hours} hours");
        assert!(world.metric("levada_delivery_failed_puts_total") > 100.0, "it was tried again and again");
        world.find_bucket();
        world.flush().await;
        assert_eq!(world.metric("levada_delivery_abandoned_records_total"), f64::from(lost));
        let delivered: String = world.objects(name).into_iter().map(|(_, content)| content).collect();
        assert_eq!(delivered, if lost == 0 { lines(3).concat() } else { String::new() });
        let is_ours = |fields: &Value| fields["reason"].as_str().is_some_and(|reason| reason.contains(name));
        let told = log.lines(|fields| fields["message"] == "records abandoned" && is_ours(fields));
        assert_eq!(told.len(), usize::from(lost > 0), "{told:?}");
        assert!(told.iter().all(|(level, fields)| level == "ERROR" && fields["records"] == lost), "{told:?}");
    }
}

/// Both sides know a request by its id; records that were not taken are found by the line of their object.
#[tokio::test(start_paused = true)]
async fn each_request_is_a_line_in_the_log_and_each_object_of_error_output() {
    let log = Log::of_all();
    let receiver = Receiver::new(|n, request| if n == 1 { taken(request) } else { answer(500, &json!({"a": 1})) });
    let world = World::new(&receiver).await;
    let destination = with(endpoint(1), &[("S3Configuration", bucket("told"))]);
    world.create("HttpEndpointDestinationConfiguration", &destination).await;
    for _ in 0..2 {
        world.put(&lines(3)).await;
        world.flush().await;
    }
    let requests = receiver.requests();
    let id = |request: &levada_delivery::http::HttpRequest| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["requestId"].clone()
    };
    let ids: Vec<Value> = requests.iter().map(id).collect();
    let told = log.lines(|fields| ids.contains(&fields["request_id"]));
    assert_eq!(told.len(), requests.len(), "{}", log.text());
    for (n, (level, line)) in told.iter().enumerate() {
        let expected = if n == 1 { ("INFO", "request delivered") } else { ("WARN", "request failed") };
        assert_eq!((level.as_str(), line["message"].as_str().unwrap()), expected, "{line}");
        assert_eq!((&line["request_id"], &line["delivery_stream"]), (&ids[n], &json!("d")));
        assert_eq!(line["url"], "http://127.0.0.1:8088", "no path, as it may hold a key");
        assert_eq!((&line["records"], &line["bytes"]), (&json!(3), &json!(requests[n].body.len())));
        let attempts = if n < 2 { n + 1 } else { n - 1 };
        assert_eq!(line["attempts"], json!(attempts), "{line}");
        if n != 1 {
            assert_eq!((&line["failed"], &line["code"]), (&json!(3), &json!("HttpEndpoint.DestinationException")));
            assert!(line["reason"].as_str().unwrap().ends_with(" 500"), "{line}");
        }
    }
    let [(key, content)] = &world.objects("told")[..] else { panic!("one object") };
    let [(level, line)] = &log.lines(|fields| fields["bucket"] == "told")[..] else { panic!("{}", log.text()) };
    assert_eq!((level.as_str(), &line["message"]), ("WARN", &json!("error output written")));
    assert_eq!((&line["delivery_stream"], &line["key"]), (&json!("d"), &json!(key)));
    assert_eq!((&line["records"], &line["bytes"]), (&json!(3), &json!(content.len())));
    assert_eq!(line["codes"], "{\"HttpEndpoint.DestinationException\": 3}");
    assert_eq!(world.metric("aws_firehose_delivery_to_http_endpoint_processed_records_total"), 3.0 * told.len() as f64);
}

/// Splunk's part in a delivery is over with the acknowledgement, and CloudWatch counts its records.
#[tokio::test(start_paused = true)]
async fn acknowledgements_of_splunk_are_timed() {
    let receiver = Receiver::new(|n, _| match n {
        0 => answer(503, &json!({"text": "busy", "code": 9})),
        1 => answer(200, &json!({"text": "Success", "code": 0, "ackId": 7})),
        _ => answer(200, &json!({"acks": {"7": true}})),
    });
    let world = World::new(&receiver).await;
    let destination = json!({
        "HECEndpoint": HEC,
        "HECEndpointType": "Raw",
        "HECToken": "token",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        "S3Configuration": bucket("backup"),
    });
    world.create("SplunkDestinationConfiguration", &destination).await;
    world.put(&lines(3)).await;
    world.flush().await;
    assert_eq!(receiver.requests().len(), 3);
    let metric = |name: &str| world.metric(&format!("aws_firehose_delivery_to_splunk_{name}"));
    assert_eq!((metric("success_total"), metric("failure_total"), metric("records_total")), (3.0, 3.0, 3.0));
    assert_eq!(metric("data_ack_latency_seconds_count"), 1.0);
    assert!(metric("data_ack_latency_seconds_sum") > 0.0);
}

/// A function that fails leaves lines under the delivery stream's name, and its error output is no delivery.
#[tokio::test(start_paused = true)]
async fn a_function_that_fails_is_told_of_and_so_is_what_became_of_the_records() {
    let log = Log::of_all();
    let receiver = Receiver::new(|n, _| if n == 0 { answer(500, &json!({})) } else { answer(200, &json!("garbage")) });
    let world = World::new(&receiver).await;
    let destination = with(bucket("garbled"), &[("ProcessingConfiguration", lambda())]);
    world.create("ExtendedS3DestinationConfiguration", &destination).await;
    world.put(&lines(3)).await;
    world.flush().await;
    let failed = log.lines(|fields| fields["message"] == "the function failed");
    assert!(!failed.is_empty() && failed.iter().all(|(_, line)| line["delivery_stream"] == "d"), "{}", log.text());
    let [(level, line)] = &log.lines(|fields| fields["bucket"] == "garbled")[..] else { panic!("{}", log.text()) };
    assert_eq!((level.as_str(), &line["message"]), ("WARN", &json!("error output written")));
    assert_eq!((&line["records"], &line["codes"]), (&json!(3), &json!("{\"Lambda.JsonProcessingException\": 3}")));
    assert_eq!(world.metric("aws_firehose_execute_processing_duration_seconds_count"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn calls_about_delivery_streams_are_counted() {
    let receiver = Receiver::new(|_, _| answer(500, &json!({})));
    let world = World::new(&receiver).await;
    world.create("ExtendedS3DestinationConfiguration", &bucket("lake")).await;
    let name = json!({"DeliveryStreamName": "d"});
    for _ in 0..2 {
        world.call("DescribeDeliveryStream", name.clone()).await;
    }
    world.call("ListDeliveryStreams", json!({})).await;
    let of_another_version = json!({
        "DeliveryStreamName": "d",
        "CurrentDeliveryStreamVersionId": "7",
        "DestinationId": "destinationId-000000000001",
        "ExtendedS3DestinationUpdate": {},
    });
    world.refused("UpdateDestination", of_another_version).await;
    world.refused("DescribeDeliveryStream", json!({"DeliveryStreamName": "none"})).await;
    assert_eq!(world.metric("aws_firehose_describe_delivery_stream_requests_total"), 2.0);
    assert_eq!(world.metric("aws_firehose_describe_delivery_stream_latency_seconds_count"), 2.0);
    assert_eq!(world.metric("aws_firehose_update_delivery_stream_requests_total"), 1.0);
    let page = world.node.metrics.page(world.node.samples());
    assert!(page.lines().any(|line| line == "aws_firehose_list_delivery_streams_requests_total 1"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_takes_late_is_delivered_once_and_what_it_never_takes_is_kept() {
    // The first request fails twice, under one id; the second, which has the poison, for ever.
    let receiver = Receiver::new(|n, request| {
        let poison = delivered(&request.body).iter().any(|data| data.starts_with("poison"));
        if n < 2 || poison { answer(500, &json!({})) } else { taken(request) }
    });
    let world = World::new(&receiver).await;
    world.create("HttpEndpointDestinationConfiguration", &endpoint(60)).await;
    world.put(&lines(3)).await;
    world.flush().await;
    let requests = receiver.requests();
    let ids: BTreeSet<_> = requests
        .iter()
        .map(|request| {
            let header = request.headers.iter().find(|(name, _)| name == "x-amz-firehose-request-id");
            header.unwrap().1.clone()
        })
        .collect();
    assert_eq!((requests.len(), ids.len()), (3, 1));
    assert!(requests.iter().all(|request| delivered(&request.body) == lines(3)));
    assert!(requests.iter().all(|request| request.address.mapped.as_deref() == Some("http://127.0.0.1:8088")));
    assert_eq!(world.objects("backup"), []);
    assert_eq!(world.metric("aws_firehose_delivery_to_http_endpoint_success_total"), 1.0);
    assert_eq!(world.metric("aws_firehose_delivery_to_http_endpoint_failure_total"), 2.0);
    assert_eq!(world.metric("aws_firehose_delivery_to_http_endpoint_records_total"), 3.0);

    world.put(&["poison\n".to_owned()]).await;
    world.flush().await;
    let objects = world.objects("backup");
    assert_eq!(objects.len(), 1, "{objects:?}");
    let (key, content) = &objects[0];
    assert!(key.starts_with("http-endpoint-failed/"), "{key}");
    let line: Value = serde_json::from_str(content.trim_end()).unwrap();
    assert_eq!(decoded(&line["rawData"]), "poison\n");
    assert_eq!(world.metric("levada_delivery_endpoint_failed_records_total"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn records_are_sorted_by_their_partition_keys() {
    let receiver = Receiver::new(|_, _| answer(500, &json!({})));
    let world = World::new(&receiver).await;
    let query = json!([
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{carrier: .carrier}"},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ]);
    let processing = json!({"Enabled": true, "Processors": [
        {"Type": "MetadataExtraction", "Parameters": query},
        {"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]},
    ]});
    let destination = with(
        bucket("lake"),
        &[
            ("Prefix", json!("by/!{partitionKeyFromQuery:carrier}/")),
            ("ErrorOutputPrefix", json!("errors/!{firehose:error-output-type}/")),
            ("DynamicPartitioningConfiguration", json!({"Enabled": true})),
            ("ProcessingConfiguration", processing),
        ],
    );
    world.create("ExtendedS3DestinationConfiguration", &destination).await;
    let record = |carrier: &str, n: usize| json!({"carrier": carrier, "n": n}).to_string();
    let records: Vec<_> = (0..6).map(|n| record(["TP", "S4"][n % 2], n)).chain(["no JSON".to_owned()]).collect();
    world.put(&records).await;
    world.flush().await;
    let objects = world.objects("lake");
    let of = |prefix: &str| -> Vec<String> {
        let found: Vec<_> = objects.iter().filter(|(key, _)| key.starts_with(prefix)).collect();
        assert_eq!(found.len(), 1, "{prefix} in {objects:?}");
        found[0].1.lines().map(str::to_owned).collect()
    };
    assert_eq!(of("by/TP/"), [record("TP", 0), record("TP", 2), record("TP", 4)]);
    assert_eq!(of("by/S4/"), [record("S4", 1), record("S4", 3), record("S4", 5)]);
    let line: Value = serde_json::from_str(&of("errors/processing-failed/")[0]).unwrap();
    assert_eq!(decoded(&line["rawData"]), "no JSON");
    assert_eq!(objects.len(), 3);
}

/// The configuration changes all the time while records come: each record is there once, whatever it went through.
#[tokio::test(start_paused = true)]
async fn updates_under_load_lose_nothing_and_repeat_nothing() {
    let receiver = Receiver::new(|_, request| function(request, |data| format!("seen {data}")));
    let world = World::new(&receiver).await;
    world.create("ExtendedS3DestinationConfiguration", &bucket("lake")).await;
    let all = lines(600);
    for (round, records) in all.chunks(50).enumerate() {
        world.put(records).await;
        let processing = if round % 2 == 0 { lambda() } else { json!({"Enabled": false}) };
        let update = json!({
            "Prefix": format!("round{round}/"),
            "BufferingHints": {"SizeInMBs": 1 + round, "IntervalInSeconds": 60},
            "ProcessingConfiguration": processing,
        });
        let version = delivery_stream(&world).version;
        assert_eq!(version, 1 + round as u64);
        world
            .call(
                "UpdateDestination",
                json!({
                    "DeliveryStreamName": "d",
                    "CurrentDeliveryStreamVersionId": version.to_string(),
                    "DestinationId": "destinationId-000000000001",
                    "ExtendedS3DestinationUpdate": update,
                }),
            )
            .await;
        if round % 3 == 0 {
            world.flush().await;
        }
        if round % 4 == 3 {
            world.node.advance_clock(61_000);
            tokio::task::yield_now().await;
        }
    }
    let world = world.restart().await;
    world.flush().await;
    let objects = world.objects("lake");
    let mut found: Vec<_> = objects.iter().flat_map(|(_, content)| content.lines()).collect();
    assert!(found.iter().any(|line| line.starts_with("seen")) && found.iter().any(|line| !line.starts_with("seen")));
    found.iter_mut().for_each(|line| *line = line.trim_start_matches("seen "));
    let distinct: BTreeSet<_> = found.iter().copied().collect();
    assert_eq!((found.len(), distinct.len()), (600, 600));
    assert!(objects.iter().map(|(key, _)| key.split('/').next().unwrap()).collect::<BTreeSet<_>>().len() > 3);
}

/// Nothing that this node could not deliver to is accepted.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_to_is_not_created() {
    let receiver = Receiver::new(|_, _| answer(500, &json!({})));
    let world = World::new(&receiver).await;
    let unknown = json!({"Enabled": true, "Processors": [
        {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": format!("{CLEAN}er")}]},
    ]});
    let mut local = endpoint(0);
    local["EndpointConfiguration"]["Url"] = json!("https://127.0.0.1/put");
    for (member, destination, says) in [
        ("ExtendedS3DestinationConfiguration", with(bucket("b"), &[("ProcessingConfiguration", unknown)]), "cleaner"),
        ("HttpEndpointDestinationConfiguration", local, "loopback"),
    ] {
        let body = json!({"DeliveryStreamName": "d", member: destination});
        let refused = world.refused("CreateDeliveryStream", body).await;
        assert!(refused.starts_with("InvalidArgumentException") && refused.contains(says), "{refused}");
    }
    assert_eq!(world.node.registry.state().all_delivery_streams().count(), 0);
}

/// A node that was told of a function and is told no more holds the records until it is, or until they need none.
#[tokio::test(start_paused = true)]
async fn records_wait_for_a_function_that_is_not_mapped_any_more() {
    let receiver = Receiver::new(|_, request| function(request, str::to_uppercase));
    let world = World::new(&receiver).await;
    let destination = with(bucket("lake"), &[("ProcessingConfiguration", lambda())]);
    world.create("ExtendedS3DestinationConfiguration", &destination).await;
    world.put(&lines(2)).await;
    let world = world.restart_without_functions().await;
    assert_eq!(world.metric("levada_delivery_halted"), 1.0);
    world.flush().await;
    assert_eq!((world.objects("lake"), receiver.requests().len()), (vec![], 0));
    let update = json!({"ProcessingConfiguration": {"Enabled": false}});
    world
        .call(
            "UpdateDestination",
            json!({
                "DeliveryStreamName": "d",
                "CurrentDeliveryStreamVersionId": "1",
                "DestinationId": "destinationId-000000000001",
                "ExtendedS3DestinationUpdate": update,
            }),
        )
        .await;
    assert_eq!(world.metric("levada_delivery_halted"), 0.0);
    world.put(&["record 2\n".to_owned()]).await;
    world.flush().await;
    let contents: String = world.objects("lake").into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, lines(3).concat());
}

/// `POST /_levada/flush` reaches every delivery stream, also those behind one whose endpoint is away.
#[tokio::test(start_paused = true)]
async fn a_destination_that_is_away_keeps_no_other_from_being_flushed() {
    let receiver = Receiver::new(|_, _| answer(500, &json!({})));
    let world = World::new(&receiver).await;
    world.create("HttpEndpointDestinationConfiguration", &endpoint(7_200)).await;
    let later = json!({"DeliveryStreamName": "later", "ExtendedS3DestinationConfiguration": bucket("lake")});
    world.call("CreateDeliveryStream", later).await;
    world.put(&lines(1)).await;
    let record = json!({"Data": encoded("in the lake")});
    world.call("PutRecord", json!({"DeliveryStreamName": "later", "Record": record})).await;
    let request = http::Request::post("/_levada/flush").body(()).unwrap();
    let (head, ()) = request.into_parts();
    let body = bytes::Bytes::new();
    let flushed = tokio::time::timeout(Duration::from_secs(60), page(&world.node, &head, &body)).await;
    assert!(flushed.is_err(), "the endpoint is away");
    let objects = world.objects("lake");
    assert_eq!(objects.iter().map(|(_, content)| content.as_str()).collect::<Vec<_>>(), ["in the lake"]);
}

/// A deleted delivery stream leaves none of its logs, and its name is free.
#[tokio::test(start_paused = true)]
async fn deletion_takes_all_logs() {
    let receiver = Receiver::new(|_, request| function(request, str::to_uppercase));
    let world = World::new(&receiver).await;
    let destination = with(bucket("lake"), &[("ProcessingConfiguration", lambda())]);
    world.create("ExtendedS3DestinationConfiguration", &destination).await;
    world.put(&lines(3)).await;
    world.flush().await;
    let stream = delivery_stream(&world);
    let made = |log| {
        let engine = Arc::clone(&world.node.engine);
        async move { engine.tail(log).await.is_ok() }
    };
    assert!(made(stream.data_log).await && made(stream.block.unwrap().first).await);
    world.call("DeleteDeliveryStream", json!({"DeliveryStreamName": "d"})).await;
    for log in stream.logs() {
        assert_eq!(world.node.engine.tail(log).await.err(), Some(EngineError::Missing), "{log:?}");
    }
    world.create("ExtendedS3DestinationConfiguration", &destination).await;
    let again = delivery_stream(&world);
    assert!(again.logs().all(|log| !stream.logs().any(|old| old == log)));
}

/// As version 2 of the catalog wrote it: two logs, a destination without its kind.
const OF_VERSION_2: [&str; 2] = [
    r#"{"v":2,"at":1794999999000,"event":{"DeliveryStreamCreated":{"incarnation":1,"scope":{"account":"000000000000","region":"us-east-1"},"name":"d","status":"Creating","created_ms":1794999999000,"version":1,"destination":{"extended":true,"bucket_arn":"arn:aws:s3:::lake","role_arn":"arn:aws:iam::000000000000:role/r","buffering":{"size_mb":5,"interval_secs":300},"compression":"Uncompressed"},"data_log":16,"control_log":17,"tags":{}}}}"#,
    r#"{"v":2,"at":1794999999000,"event":{"DeliveryStreamBecameActive":{"scope":{"account":"000000000000","region":"us-east-1"},"name":"d","incarnation":1}}}"#,
];

/// A data directory with a delivery stream of an earlier release, and an undelivered record in it.
async fn old_directory(disk: &SimDisk, clock: &SimClock) {
    let (log, driver) = EmbeddedLog::open(
        Path::new("/data"),
        Arc::new(disk.clone()),
        Arc::new(clock.clone()) as Arc<dyn Clock>,
        Arc::new(SimRandom::new(1)),
        log_options(),
    )
    .unwrap();
    tokio::spawn(driver.run());
    let spec = |id, class| LogSpec { id, class, floor: 0 };
    let (data, control) = (LogId(16), LogId(17));
    let logs = vec![
        spec(CATALOG_LOG, levada::registry::INTERNAL_CLASS),
        spec(data, DeliveryStream::DATA_CLASS),
        spec(control, DeliveryStream::CONTROL_CLASS),
    ];
    log.create(logs).await.unwrap();
    for (log_id, record) in [(CATALOG_LOG, OF_VERSION_2[0]), (CATALOG_LOG, OF_VERSION_2[1]), (data, "record 0\n")] {
        let batch = Batch::single(b"", record.as_bytes());
        let appended = log.append_many(vec![Append { log: log_id, expect: Expect::Tail, batch }]).await;
        assert!(matches!(appended[0], Appended::At { .. }));
    }
    log.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delivery_stream_of_an_earlier_release_learns_to_process() {
    use levada_core::env::Disk as _;
    let (disk, clock) = (SimDisk::new(), SimClock::at(NOW));
    disk.create_dir_all(Path::new("/data")).unwrap();
    old_directory(&disk, &clock).await;
    let receiver = Receiver::new(|_, request| function(request, str::to_uppercase));
    let world = World::on(disk, clock, &receiver).await;
    assert_eq!(delivery_stream(&world).logs().count(), 514);
    let description = world.call("DescribeDeliveryStream", json!({"DeliveryStreamName": "d"})).await;
    let description = &description["DeliveryStreamDescription"];
    assert_eq!((&description["VersionId"], &description["DeliveryStreamStatus"]), (&json!("1"), &json!("ACTIVE")));
    world.flush().await;
    let update = json!({"ProcessingConfiguration": lambda()});
    world
        .call(
            "UpdateDestination",
            json!({
                "DeliveryStreamName": "d",
                "CurrentDeliveryStreamVersionId": "1",
                "DestinationId": "destinationId-000000000001",
                "ExtendedS3DestinationUpdate": update,
            }),
        )
        .await;
    world.put(&["record 1\n".to_owned()]).await;
    let world = world.restart().await;
    world.flush().await;
    let contents: BTreeSet<_> = world.objects("lake").into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, ["record 0\n", "RECORD 1\n"].map(str::to_owned).into());
    assert!(world.now() >= NOW);
}
