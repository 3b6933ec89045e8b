//! `levada demo`: a node of its own, a real data set through the network into a stream and a delivery stream, all of
//! it read back and compared. Anything missing or different is an error.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ServeError;
use crate::cli::{DemoArgs, LimitsMode, ServeArgs};
use crate::config::Config;
use crate::serve::Running;

/// The flights that ship with Levada: see data/README.md.
const FLIGHTS: &[u8] = include_bytes!("../../../data/flights.csv");

const STREAM: &str = "demo";
const DELIVERY_STREAM: &str = "demo-to-bucket";
const BUCKET: &str = "demo-bucket";
const SHARDS: u32 = 4;
/// Producers side by side; lines of one partition key all go through the same one, so their order is defined.
const PRODUCERS: usize = 4;
/// How many partition keys the lines are spread over.
const PARTITION_KEYS: usize = 997;
/// Records a call, the most that both services take.
const CALL_RECORDS: usize = 500;
/// Bytes a call: below Firehose's 4 MiB and Kinesis' 10 MiB.
const CALL_BYTES: usize = 3 << 20;
/// Longest line in bytes: Firehose's record limit, less the line feed.
const MAX_LINE_BYTES: usize = 1_023_999;
/// How long the last object may take to appear.
const DELIVERY_WAIT: Duration = Duration::from_secs(60);

type Failure = String;

/// Runs the demonstration.
///
/// # Errors
/// [`ServeError::Demo`] says what is missing or different.
pub async fn run(args: &DemoArgs) -> Result<(), ServeError> {
    let lines = lines(args.file.as_deref()).map_err(ServeError::Demo)?;
    let serve = ServeArgs {
        listen: Some(([127, 0, 0, 1], 0).into()),
        ephemeral: true,
        limits: Some(LimitsMode::Open),
        ..ServeArgs::default()
    };
    let running = Running::start(Config::new(&serve, None)?).await?;
    say(&format!("A node listens on http://{}, with a temporary data directory.", running.address));
    let result = through_the_network(&running, &lines).await;
    let stopped = running.stop().await;
    result.map_err(ServeError::Demo).and(stopped)
}

async fn through_the_network(running: &Running, lines: &[Vec<u8>]) -> Result<(), Failure> {
    let bytes: usize = lines.iter().map(Vec::len).sum();
    say(&format!("{} lines, {:.1} MB.", lines.len(), bytes as f64 / 1e6));
    let mut client = Client::connect(running).await?;
    client.call("Kinesis_20131202.CreateStream", &json!({"StreamName": STREAM, "ShardCount": SHARDS})).await?;
    let destination = json!({
        "BucketARN": format!("arn:aws:s3:::{BUCKET}"),
        "RoleARN": "arn:aws:iam::000000000000:role/demo",
        "Prefix": "demo/",
        "CompressionFormat": "GZIP",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
    });
    let create = json!({"DeliveryStreamName": DELIVERY_STREAM, "ExtendedS3DestinationConfiguration": destination});
    client.call("Firehose_20150804.CreateDeliveryStream", &create).await?;

    let started = Instant::now();
    put_records(running, lines).await?;
    throughput("PutRecords", lines.len(), bytes, started);

    let started = Instant::now();
    let read = read_back(&mut client, lines.len()).await?;
    throughput("GetRecords", lines.len(), bytes, started);
    compare_stream(lines, read)?;
    say("Every line is in the stream, unchanged, once, and in order for each partition key.");

    let started = Instant::now();
    put_record_batches(&mut client, lines).await?;
    throughput("PutRecordBatch", lines.len(), bytes, started);
    let bucket = running.home().join("buckets").join(BUCKET);
    compare_bucket(&bucket, lines).await?;
    say("Every line is in the bucket, unchanged and once.");
    Ok(())
}

fn lines(file: Option<&Path>) -> Result<Vec<Vec<u8>>, Failure> {
    #[allow(clippy::disallowed_methods, reason = "the file is the user's, not Levada's data")]
    let content = match file {
        Some(path) => std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?,
        None => FLIGHTS.to_vec(),
    };
    let mut lines: Vec<Vec<u8>> = content.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() {
        return Err("there are no lines to put".into());
    }
    match lines.iter().position(|line| line.len() > MAX_LINE_BYTES) {
        Some(n) => Err(format!("line {} is longer than a Firehose record of 1,024,000 bytes", n + 1)),
        None => Ok(lines),
    }
}

fn partition_key(line: usize) -> String {
    format!("key-{}", line % PARTITION_KEYS)
}

/// Cuts the lines of `which` into calls of at most 500 records and a safe size.
fn calls(lines: &[Vec<u8>], which: impl Fn(usize) -> bool) -> Vec<Vec<(usize, &[u8])>> {
    let mut calls = Vec::new();
    let (mut call, mut size) = (Vec::new(), 0);
    for (n, line) in lines.iter().enumerate().filter(|(n, _)| which(*n)) {
        if call.len() == CALL_RECORDS || (size + line.len() > CALL_BYTES && !call.is_empty()) {
            calls.push(std::mem::take(&mut call));
            size = 0;
        }
        size += line.len();
        call.push((n, line.as_slice()));
    }
    if !call.is_empty() {
        calls.push(call);
    }
    calls
}

async fn put_records(running: &Running, lines: &[Vec<u8>]) -> Result<(), Failure> {
    let bar = progress(lines.len(), "PutRecords");
    let producer = |producer: usize| {
        let bar = bar.clone();
        async move {
            let mut client = Client::connect(running).await?;
            for call in calls(lines, |n| n % PARTITION_KEYS % PRODUCERS == producer) {
                let records: Vec<_> = call
                    .iter()
                    .map(|(n, line)| json!({"Data": base64(line), "PartitionKey": partition_key(*n)}))
                    .collect();
                let body = json!({"StreamName": STREAM, "Records": records});
                let reply = client.call("Kinesis_20131202.PutRecords", &body).await?;
                accepted(&reply, "FailedRecordCount", "Records", call.len())?;
                bar.inc(call.len() as u64);
            }
            Ok::<(), Failure>(())
        }
    };
    let (a, b, c, d) = tokio::join!(producer(0), producer(1), producer(2), producer(3));
    bar.finish_and_clear();
    a.and(b).and(c).and(d)
}

async fn put_record_batches(client: &mut Client, lines: &[Vec<u8>]) -> Result<(), Failure> {
    let bar = progress(lines.len(), "PutRecordBatch");
    for call in calls(lines, |_| true) {
        let with_line_feed = |line: &[u8]| json!({"Data": base64(&[line, b"\n"].concat())});
        let records: Vec<_> = call.iter().map(|(_, line)| with_line_feed(line)).collect();
        let body = json!({"DeliveryStreamName": DELIVERY_STREAM, "Records": records});
        let reply = client.call("Firehose_20150804.PutRecordBatch", &body).await?;
        accepted(&reply, "FailedPutCount", "RequestResponses", call.len())?;
        bar.inc(call.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

fn accepted(reply: &Value, failed: &str, results: &str, sent: usize) -> Result<(), Failure> {
    let answers = reply[results].as_array().map_or(0, Vec::len);
    if reply[failed] != json!(0) || answers != sent {
        return Err(format!("{sent} records were put, {answers} answered, {failed} is {}", reply[failed]));
    }
    Ok(())
}

/// A line as it came out of the stream: its partition key and its data.
type ReadLine = (String, Vec<u8>);

async fn read_back(client: &mut Client, expected: usize) -> Result<Vec<ReadLine>, Failure> {
    let bar = progress(expected, "GetRecords");
    let mut read = Vec::with_capacity(expected);
    let shards = client.call("Kinesis_20131202.ListShards", &json!({"StreamName": STREAM})).await?;
    for shard in shards["Shards"].as_array().into_iter().flatten() {
        let body = json!({"StreamName": STREAM, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
        let mut iterator = client.call("Kinesis_20131202.GetShardIterator", &body).await?["ShardIterator"].clone();
        loop {
            let page = client.call("Kinesis_20131202.GetRecords", &json!({"ShardIterator": iterator})).await?;
            let records = page["Records"].as_array().ok_or("GetRecords answered no Records")?;
            for record in records {
                let key = record["PartitionKey"].as_str().ok_or("a record without PartitionKey")?;
                let data = record["Data"].as_str().ok_or("a record without Data")?;
                let data = base64_simd::STANDARD.decode_to_vec(data).map_err(|e| e.to_string())?;
                read.push((key.to_owned(), data));
            }
            bar.inc(records.len() as u64);
            iterator = page["NextShardIterator"].clone();
            if page["MillisBehindLatest"] == json!(0) || iterator.is_null() {
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(read)
}

fn compare_stream(lines: &[Vec<u8>], read: Vec<ReadLine>) -> Result<(), Failure> {
    if read.len() != lines.len() {
        return Err(format!("{} lines were put into the stream, {} came back", lines.len(), read.len()));
    }
    let mut by_key: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for (key, data) in read {
        by_key.entry(key).or_default().push(data);
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (n, line) in lines.iter().enumerate() {
        let key = partition_key(n);
        let place = taken.entry(key.clone()).or_default();
        if by_key.get(&key).and_then(|lines| lines.get(*place)) != Some(line) {
            return Err(format!("line {} is missing, changed or out of order under partition key {key}", n + 1));
        }
        *place += 1;
    }
    Ok(())
}

async fn compare_bucket(bucket: &Path, lines: &[Vec<u8>]) -> Result<(), Failure> {
    let deadline = Instant::now() + DELIVERY_WAIT;
    let mut expected: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    expected.sort_unstable();
    loop {
        let objects = objects(bucket)?;
        let mut content = Vec::new();
        for object in &objects {
            content.extend(gunzip(object)?);
        }
        let mut delivered: Vec<&[u8]> = content.split(|&b| b == b'\n').collect();
        // What follows the last line feed is empty.
        delivered.pop();
        if delivered.len() >= expected.len() {
            delivered.sort_unstable();
            if delivered != expected {
                return Err(format!("the bucket holds {} lines, but not those that were put", delivered.len()));
            }
            show(bucket, &objects);
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!(
                "{} of {} lines were delivered within {} s",
                delivered.len(),
                expected.len(),
                DELIVERY_WAIT.as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "the demo looks at the bucket as a user would")]
fn objects(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(dir) = directories.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{}: {error}", dir.display())),
        };
        for entry in entries {
            let path = entry.map_err(|e| e.to_string())?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|e| e == "gz") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[allow(clippy::disallowed_methods, reason = "the demo looks at the bucket as a user would")]
fn gunzip(object: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    std::fs::File::open(object)
        .and_then(|file| MultiGzDecoder::new(file).read_to_end(&mut content))
        .map_err(|e| format!("{}: {e}", object.display()))?;
    Ok(content)
}

fn show(bucket: &Path, objects: &[PathBuf]) {
    say(&format!("{} objects in the bucket {BUCKET}:", objects.len()));
    for object in objects {
        let key = object.strip_prefix(bucket).unwrap_or(object).display();
        let len = object.metadata().map_or(0, |m| m.len());
        say(&format!("  {len:>9} bytes  {key}"));
    }
}

/// One HTTP/1.1 connection that speaks AWS JSON 1.1.
struct Client {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn connect(running: &Running) -> Result<Self, Failure> {
        let failed = |e: &dyn std::fmt::Display| format!("cannot connect: {e}");
        let io = tokio::net::TcpStream::connect(running.address).await.map_err(|e| failed(&e))?;
        io.set_nodelay(true).map_err(|e| failed(&e))?;
        let (sender, connection) = handshake(TokioIo::new(io)).await.map_err(|e| failed(&e))?;
        tokio::spawn(connection);
        Ok(Self { host: running.address.to_string(), sender })
    }

    async fn call(&mut self, target: &str, body: &Value) -> Result<Value, Failure> {
        let failed = |e: &dyn std::fmt::Display| format!("{target}: {e}");
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("host", &self.host)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .header("x-amz-date", "20260101T000000Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-target, Signature=00",
            )
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|e| failed(&e))?;
        self.sender.ready().await.map_err(|e| failed(&e))?;
        let response = self.sender.send_request(request).await.map_err(|e| failed(&e))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| failed(&e))?.to_bytes();
        if !status.is_success() {
            return Err(failed(&format!("{status} {}", String::from_utf8_lossy(&body))));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|e| failed(&e))
    }
}

fn base64(data: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(data)
}

fn progress(records: usize, what: &'static str) -> ProgressBar {
    // Draws on a terminal only.
    let bar = ProgressBar::new(records as u64).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{msg:15} {bar:40} {human_pos}/{human_len} {per_sec}") {
        bar.set_style(style);
    }
    bar
}

fn throughput(what: &str, records: usize, bytes: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    let rate = records as f64 / seconds;
    say(&format!(
        "{what:15} {records} records in {seconds:.2} s: {rate:.0} records/s, {:.1} MB/s",
        bytes as f64 / 1e6 / seconds
    ));
}

#[allow(clippy::print_stdout, reason = "what the demo says is its output")]
fn say(text: &str) {
    println!("{text}");
}
