//! What an operator finds around a node: its directory, its log, its health.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "the test looks at the disk as an operator does")]

mod call;
mod log;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use levada::cli::ServeArgs;
use levada::config::Config;
use levada::serve::Running;
use serde_json::{Value, json};

use self::log::Log;

fn config(dir: &Path, file: &str) -> Config {
    let args = ServeArgs {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        data_dir: Some(dir.to_owned()),
        ..ServeArgs::default()
    };
    Config::new(&args, Some(file)).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The catalog has destinations' tokens and access keys in it, the log records: nobody but the node's user reads them,
/// in a directory that the node makes, and in one that it finds.
#[tokio::test]
async fn nobody_else_reads_the_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let (made, found) = (home.path().join("made"), home.path().join("found"));
    // As versions before this one left it, and as an operator may want it: buckets can be reached.
    Running::start(config(&found, "")).await.unwrap().stop().await.unwrap();
    for (name, wide) in [("", 0o755), ("journal", 0o755), ("segments", 0o755), ("token.key", 0o644)] {
        std::fs::set_permissions(found.join(name), std::fs::Permissions::from_mode(wide)).unwrap();
    }
    for dir in [&made, &found] {
        Running::start(config(dir, "")).await.unwrap().stop().await.unwrap();
        for part in ["journal", "segments"] {
            assert_eq!(mode(&dir.join(part)), 0o700, "{part} of {}", dir.display());
        }
        assert_eq!(mode(&dir.join("token.key")), 0o600, "{}", dir.display());
    }
    assert_eq!((mode(&made), mode(&found)), (0o700, 0o755));
}

async fn call(running: &Running, operation: &str, body: &Value) -> (u16, Value) {
    call::call(&running.node, &format!("Firehose_20150804.{operation}"), body).await
}

async fn create(running: &Running, name: &str, bucket: &str, extra: &[(&str, Value)]) -> (u16, Value) {
    let mut destination = json!({
        "RoleARN": "arn:aws:iam::000000000000:role/r",
        "BucketARN": format!("arn:aws:s3:::{bucket}"),
        "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 900},
    });
    for (member, value) in extra {
        destination[*member] = value.clone();
    }
    let body = json!({"DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination});
    let answer = call(running, "CreateDeliveryStream", &body).await;
    while answer.0 == 200 && running.node.all_deliveries().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    answer
}

async fn put(running: &Running, name: &str, data: &str) -> (u16, Value) {
    let record = json!({"Data": base64_simd::STANDARD.encode_to_string(data)});
    call(running, "PutRecord", &json!({"DeliveryStreamName": name, "Record": record})).await
}

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

fn processed() -> [(&'static str, Value); 1] {
    let parameter = |name: &str, value: &str| json!({"ParameterName": name, "ParameterValue": value});
    let parameters = [
        parameter("LambdaArn", FUNCTION),
        parameter("BufferSizeInMBs", "1"),
        parameter("BufferIntervalInSeconds", "0"),
        parameter("NumberOfRetries", "0"),
    ];
    let processors = json!([{"Type": "Lambda", "Parameters": parameters}]);
    [("ProcessingConfiguration", json!({"Enabled": true, "Processors": processors}))]
}

/// The client is told little; the log says which delivery stream and why, and does not repeat it with each attempt.
#[tokio::test]
async fn why_puts_are_refused() {
    let log = Log::of_all();
    let home = tempfile::tempdir().unwrap();
    let mapped = format!("[lambda.\"{FUNCTION}\"]\ncommand = [\"cat\"]");
    let running = Running::start(config(&home.path().join("gone"), &mapped)).await.unwrap();
    assert_eq!(create(&running, "gone", "gone", &processed()).await.0, 200);
    running.stop().await.unwrap();
    let running = Running::start(config(&home.path().join("gone"), "")).await.unwrap();
    for _ in 0..3 {
        let (status, reply) = put(&running, "gone", "x").await;
        assert_eq!((status, &reply["__type"]), (500, &json!("InternalFailure")));
        assert!(reply["message"].as_str().unwrap().contains(FUNCTION), "{reply}");
    }
    running.stop().await.unwrap();
    let lines = log.saying("gone", "puts refused");
    let [(level, fields)] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((level.as_str(), &fields["records"]), ("WARN", &json!(1)));
    assert_eq!(fields["arn"], "arn:aws:firehose:us-east-1:000000000000:deliverystream/gone");
    assert!(fields["detail"].as_str().unwrap().contains(FUNCTION), "{fields}");

    let running = Running::start(config(&home.path().join("full"), "[storage]\nbacklog_bytes = 100")).await.unwrap();
    assert_eq!(create(&running, "full", "full", &[]).await.0, 200);
    let batch = json!({"DeliveryStreamName": "full", "Records": [{"Data": "eA=="}, {"Data": "eHh4".repeat(40)}]});
    let (status, reply) = call(&running, "PutRecordBatch", &batch).await;
    assert_eq!((status, &reply["FailedPutCount"]), (200, &json!(2)));
    running.stop().await.unwrap();
    let lines = log.saying("full", "puts refused");
    let [(_, fields)] = &lines[..] else { panic!("{lines:?}") };
    assert!(fields["reason"].as_str().unwrap().contains("backlog_bytes"), "{fields}");
    assert_eq!(fields["records"], 2);
}

/// What an operator asked for is no error.
#[tokio::test]
async fn a_deletion_with_a_backlog_is_one_warning() {
    let log = Log::of_all();
    let home = tempfile::tempdir().unwrap();
    let running = Running::start(config(home.path(), "")).await.unwrap();
    assert_eq!(create(&running, "dropped", "dropped", &[]).await.0, 200);
    assert_eq!(put(&running, "dropped", "x").await.0, 200);
    assert_eq!(call(&running, "DeleteDeliveryStream", &json!({"DeliveryStreamName": "dropped"})).await.0, 200);
    while log.about("dropped").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.stop().await.unwrap();
    let lines = log.about("dropped");
    let [(level, fields)] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((level.as_str(), &fields["records"]), ("WARN", &json!(1)));
}

/// A bucket that is not named may be a mistake in its name.
#[tokio::test]
async fn buckets_that_the_configuration_does_not_name() {
    let log = Log::of_all();
    let home = tempfile::tempdir().unwrap();
    let named = "[buckets.named]\ndir = \"/tmp/named\"";
    let running = Running::start(config(&home.path().join("a"), named)).await.unwrap();
    assert_eq!(create(&running, "mistyped", "nmaed", &[]).await.0, 200);
    running.stop().await.unwrap();
    let lines = log.about("mistyped");
    let [(level, fields)] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((level.as_str(), &fields["bucket"]), ("WARN", &json!("nmaed")));
    assert_eq!(fields["store"], format!("dir:{}", home.path().join("a/buckets/nmaed").display()));

    // Not if there are no names at all; and where they are all there are, it is refused.
    for (file, name, status) in [("", "local", 200), ("[node]\nlocal_buckets = false", "refused", 400)] {
        let running = Running::start(config(&home.path().join(name), file)).await.unwrap();
        let (answered, reply) = create(&running, name, "lake", &[]).await;
        assert_eq!(answered, status, "{reply}");
        assert_eq!(status == 400, reply.to_string().contains("The bucket lake is not one"), "{reply}");
        running.stop().await.unwrap();
        assert_eq!(log.about(name), []);
    }
}

#[tokio::test]
async fn what_a_function_says_on_its_standard_error() {
    let log = Log::of_all();
    let home = tempfile::tempdir().unwrap();
    let script = "echo first >&2; printf 'Traceback: boom' >&2; exit 1";
    let mapped = format!("[lambda.\"{FUNCTION}\"]\ncommand = [\"sh\", \"-c\", {script:?}]");
    let running = Running::start(config(home.path(), &mapped)).await.unwrap();
    assert_eq!(create(&running, "boom", "boom", &processed()).await.0, 200);
    assert_eq!(put(&running, "boom", "x").await.0, 200);
    let said = || log.saying("boom", "the function said on its standard error");
    while said().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.stop().await.unwrap();
    let lines: Vec<_> =
        said().into_iter().map(|(_, fields)| (fields["line"].clone(), fields["function"].clone())).collect();
    assert_eq!(lines, [(json!("first"), json!(FUNCTION)), (json!("Traceback: boom"), json!(FUNCTION))]);
}

/// Which of two places an object went to is not told by its bucket.
#[tokio::test]
async fn each_object_is_logged_with_its_store() {
    let log = Log::of_all();
    let home = tempfile::tempdir().unwrap();
    let named = format!("[buckets.named]\ndir = {:?}", home.path().join("elsewhere"));
    let running = Running::start(config(&home.path().join("data"), &named)).await.unwrap();
    for (name, bucket, dir) in [("in-named", "named", "elsewhere"), ("in-local", "local", "data/buckets/local")] {
        let soon = [("BufferingHints", json!({"SizeInMBs": 1, "IntervalInSeconds": 0}))];
        assert_eq!(create(&running, name, bucket, &soon).await.0, 200);
        while put(&running, name, "x").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while log.saying(name, "object delivered").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (level, fields) = log.saying(name, "object delivered").remove(0);
        assert_eq!((level.as_str(), &fields["bucket"]), ("INFO", &json!(bucket)));
        assert_eq!(fields["store"], format!("dir:{}", home.path().join(dir).display()));
    }
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let Err(error) = Running::start(config(file.path(), "")).await else { panic!("a file is no directory") };
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}
