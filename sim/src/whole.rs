//! The whole node: HTTP over the simulated network, handlers, catalog, journal, delivery, on a disk that loses what
//! was not synced.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use levada::cli::{LimitsMode, ServeArgs};
use levada::config::Config;
use levada::listener::{self, Accept};
use levada::node::{Environment, Node};
use levada_core::env::sim::{SimDisk, SimRandom};
use levada_core::env::{Disk, Open};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use turmoil::net::{TcpListener, TcpStream};

use crate::node::{self, DATA_DIR, HOST, PORT};
use crate::run::{Outcome, Plan, Trouble, small};

const CLIENTS: u64 = 4;
const CALLS: u64 = 30;
const SHARDS: u64 = 3;
const STREAM: &str = "stream";
const DELIVERY_STREAM: &str = "delivery";
const BUCKET: &str = "bucket";
/// A client waits so long for an answer before it takes the outcome for open.
const PATIENCE: Duration = Duration::from_millis(500);

/// The simulated network as the node's.
struct Listener(TcpListener);

impl Accept for Listener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        self.0.accept().await.map(|(stream, _)| stream)
    }
}

/// What the clients were told.
#[derive(Default)]
struct Notes {
    /// Texts that were put, successfully or not.
    asked: BTreeSet<String>,
    /// Shard and sequence number of acknowledged records.
    stored: BTreeMap<(String, String), String>,
    /// Records that the delivery stream has accepted.
    accepted: BTreeSet<String>,
    trace: u64,
}

impl Notes {
    fn event(&mut self, at_ms: u128, what: &str) {
        for byte in at_ms.to_le_bytes().iter().chain(what.as_bytes()) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

/// Runs a plan.
///
/// # Errors
/// What the node lost or doubled, with the seed.
pub fn simulate(plan: Plan) -> Result<Outcome, String> {
    simulate_inner(plan).map_err(|what| format!("seed {}: {what}", plan.seed))
}

fn simulate_inner(plan: Plan) -> Result<Outcome, String> {
    let random = SimRandom::new(plan.seed);
    let notes: Rc<RefCell<Notes>> = Rc::default();
    let machine = node::Node::new(random.fork(), small(), 0);
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(Duration::from_secs(600))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .build();
    let software = machine.clone();
    sim.host(HOST, move || serve(software.clone()));
    for client in 0..CLIENTS {
        let (notes, random) = (Rc::clone(&notes), random.fork());
        sim.client(format!("client{client}"), async move { Ok(work(client, notes, random).await?) });
    }
    // The node's tasks die in an order that no seed decides; nobody hears of it if the network goes with the power.
    let mut trouble = Trouble::new(machine.clone(), random.fork());
    trouble.cut_off = (0..CLIENTS).map(|client| format!("client{client}")).collect();
    while !sim.step().map_err(|error| error.to_string())? {
        if plan.lying_disk && sim.elapsed() > Duration::from_millis(200) {
            machine.disk().set_lies(true);
        }
        let at = sim.elapsed().as_millis();
        trouble.make(&mut sim, &mut |what| notes.borrow_mut().event(at, what));
    }
    drop(sim);
    machine.replace_disk(|disk| disk.crash(&random));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let notes = notes.take();
    runtime.block_on(async {
        let node = start(&machine).await?;
        check_stream(&node, &notes).await?;
        for handle in node.all_deliveries() {
            handle.flush().await.map_err(|_| "the delivery stopped")?;
        }
        check_bucket(&machine.disk(), &notes)
    })?;
    let acknowledged = notes.stored.len() + notes.accepted.len();
    Ok(Outcome { trace: notes.trace, acknowledged, deaths: trouble.deaths })
}

async fn start(machine: &node::Node) -> Result<Arc<Node>, String> {
    let args = ServeArgs { limits: Some(LimitsMode::Open), ..ServeArgs::default() };
    let mut config = Config::new(&args, None).map_err(|error| error.to_string())?;
    config.free_bytes = 0;
    let env = Environment {
        clock: Arc::new(machine.time.clone()),
        random: Arc::new(machine.random.clone()),
        disk: Arc::new(machine.disk()),
        log: small(),
        threads: false,
    };
    Node::start(config, env, Path::new(DATA_DIR)).await.map_err(|error| error.to_string())
}

/// The host's software: serves until the machine is switched off or the log gives itself up.
async fn serve(machine: node::Node) -> turmoil::Result {
    let disk = machine.disk();
    let node = match start(&machine).await {
        Ok(node) => node,
        Err(_) if disk.is_powerless() => return pending().await,
        Err(error) => return Err(error.into()),
    };
    let socket = Listener(TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?);
    let died = node.died();
    tokio::select! {
        biased; // The order of an unbiased one is drawn outside the seed.
        why = died => {
            if disk.is_powerless() { pending().await } else { Err(why.into()) }
        }
        () = listener::serve(socket, node, pending()) => Ok(()),
    }
}

/// Puts records until all calls are made; connects again whenever the node does not answer.
async fn work(client: u64, notes: Rc<RefCell<Notes>>, random: SimRandom) -> Result<(), String> {
    let mut connection = None;
    create(&mut connection).await?;
    for number in 0..CALLS {
        sleep(Duration::from_millis(random.below(40))).await;
        let texts: Vec<String> = (0..1 + random.below(5))
            .map(|n| format!("<{client}/{number}/{n}{}>", "x".repeat(random.below(900) as usize)))
            .collect();
        notes.borrow_mut().asked.extend(texts.iter().cloned());
        let to_stream = random.percent(60);
        let (target, body) = if to_stream { put_records(&texts) } else { put_record_batch(&texts) };
        let answer = call(&mut connection, target, &body).await;
        let mut notes = notes.borrow_mut();
        let at = turmoil::sim_elapsed().unwrap_or_default();
        match answer {
            Ok((200, reply)) => {
                // Request ids are random by intent, so of an answer only the outcome belongs to the story.
                notes.event(at.as_millis(), &format!("{client}/{number} answered"));
                note(&mut notes, &texts, &reply, to_stream)?;
            }
            Ok((status @ 500.., _)) => notes.event(at.as_millis(), &format!("{client}/{number} {status}")),
            Ok((status, reply)) => return Err(format!("{target} was refused: {status} {reply}")),
            Err(_) => notes.event(at.as_millis(), &format!("{client}/{number} open")),
        }
    }
    Ok(())
}

fn note(notes: &mut Notes, texts: &[String], reply: &Value, to_stream: bool) -> Result<(), String> {
    let results = reply[if to_stream { "Records" } else { "RequestResponses" }].as_array();
    let results = results.filter(|results| results.len() == texts.len());
    let results = results.ok_or_else(|| format!("{} records were answered {reply}", texts.len()))?;
    for (text, result) in texts.iter().zip(results) {
        if let (Some(shard), Some(number)) = (result["ShardId"].as_str(), result["SequenceNumber"].as_str()) {
            let place = (shard.to_owned(), number.to_owned());
            if let Some(before) = notes.stored.insert(place, text.clone()) {
                return Err(format!("{text} has the sequence number of {before}"));
            }
        } else if result["RecordId"].is_string() {
            notes.accepted.insert(text.clone());
        } else if result["ErrorCode"] != "InternalFailure" {
            return Err(format!("{text} was answered {result}"));
        }
    }
    Ok(())
}

fn put_records(texts: &[String]) -> (&'static str, Value) {
    let record = |text: &String| json!({"Data": STANDARD.encode_to_string(text), "PartitionKey": text});
    let records: Vec<_> = texts
        .iter()
        .map(|text| {
            let mut record = record(text);
            // The key is the text up to where it is padded: long enough to spread, short enough to be one.
            record["PartitionKey"] = text.split('x').next().into();
            record
        })
        .collect();
    ("Kinesis_20131202.PutRecords", json!({"StreamName": STREAM, "Records": records}))
}

fn put_record_batch(texts: &[String]) -> (&'static str, Value) {
    let records: Vec<_> = texts.iter().map(|text| json!({"Data": STANDARD.encode_to_string(text)})).collect();
    ("Firehose_20150804.PutRecordBatch", json!({"DeliveryStreamName": DELIVERY_STREAM, "Records": records}))
}

/// Creates stream and delivery stream, if nobody else has.
async fn create(connection: &mut Option<SendRequest<Full<Bytes>>>) -> Result<(), String> {
    let stream = json!({"StreamName": STREAM, "ShardCount": SHARDS});
    let delivery = json!({
        "DeliveryStreamName": DELIVERY_STREAM,
        "ExtendedS3DestinationConfiguration": {
            "BucketARN": format!("arn:aws:s3:::{BUCKET}"),
            "RoleARN": "arn:aws:iam::000000000000:role/r",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        },
    });
    for (target, body) in
        [("Kinesis_20131202.CreateStream", stream), ("Firehose_20150804.CreateDeliveryStream", delivery)]
    {
        loop {
            match call(connection, target, &body).await {
                Ok((200, _)) => break,
                Ok((_, reply)) if reply["__type"] == "ResourceInUseException" => break,
                Ok((500.., _)) | Err(_) => sleep(Duration::from_millis(20)).await,
                Ok((status, reply)) => return Err(format!("{target} was refused: {status} {reply}")),
            }
        }
    }
    // Somebody else's creation may still be under way.
    sleep(Duration::from_millis(200)).await;
    Ok(())
}

async fn call(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    target: &str,
    body: &Value,
) -> Result<(u16, Value), String> {
    let outcome = timeout(PATIENCE, attempt(connection, target, body)).await;
    match outcome {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            *connection = None;
            Err(error)
        }
        Err(_) => {
            *connection = None;
            Err("no answer".to_owned())
        }
    }
}

async fn attempt(
    connection: &mut Option<SendRequest<Full<Bytes>>>,
    target: &str,
    body: &Value,
) -> Result<(u16, Value), String> {
    let error = |error: &dyn std::fmt::Display| error.to_string();
    let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect((HOST, PORT)).await.map_err(|e| error(&e))?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| error(&e))?;
            tokio::spawn(connection);
            sender
        }
    };
    sender.ready().await.map_err(|e| error(&e))?;
    let response = sender.send_request(request(target, body)).await.map_err(|e| error(&e))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|e| error(&e))?.to_bytes();
    *connection = Some(sender);
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).map_err(|e| error(&e))? };
    Ok((status, body))
}

fn request(target: &str, body: &Value) -> Request<Full<Bytes>> {
    let credential = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/kinesis/aws4_request, \
                      SignedHeaders=host, Signature=00";
    let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
    *request.method_mut() = http::Method::POST;
    let headers = request.headers_mut();
    let text = |text: &str| http::HeaderValue::from_str(text).unwrap_or(http::HeaderValue::from_static(""));
    headers.insert("host", text(HOST));
    headers.insert("content-type", text("application/x-amz-json-1.1"));
    headers.insert("x-amz-target", text(target));
    headers.insert("x-amz-date", text("20260101T000000Z"));
    headers.insert("authorization", text(credential));
    request
}

/// Asks the node directly, without a network.
async fn ask(node: &Arc<Node>, target: &str, body: &Value) -> Result<Value, String> {
    let (head, _) = request(target, body).into_parts();
    let response = levada::ladder::descend(node, &head, Bytes::from(body.to_string())).await;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    if !status.is_success() {
        return Err(format!("{target}: {status} {}", String::from_utf8_lossy(&body)));
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

/// Every acknowledged record stands in its place once; nothing stands there that nobody put, and nothing twice.
async fn check_stream(node: &Arc<Node>, notes: &Notes) -> Result<(), String> {
    let mut found = BTreeMap::new();
    let mut once = BTreeSet::new();
    for shard in 0..SHARDS {
        let shard = format!("shardId-{shard:012}");
        let body = json!({"StreamName": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let mut iterator = ask(node, "Kinesis_20131202.GetShardIterator", &body).await?["ShardIterator"].clone();
        let mut last = String::new();
        loop {
            let page = ask(node, "Kinesis_20131202.GetRecords", &json!({"ShardIterator": iterator})).await?;
            let records = page["Records"].as_array().ok_or("no Records")?;
            for record in records {
                let number = record["SequenceNumber"].as_str().unwrap_or_default().to_owned();
                let data = STANDARD.decode_to_vec(record["Data"].as_str().unwrap_or_default());
                let text = String::from_utf8(data.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
                if number <= last {
                    return Err(format!("{shard}: {number} stands after {last}"));
                }
                if !notes.asked.contains(&text) || !once.insert(text.clone()) {
                    return Err(format!("{shard} at {number}: {text} was not put, or stands there twice"));
                }
                last.clone_from(&number);
                found.insert((shard.clone(), number), text);
            }
            iterator = page["NextShardIterator"].clone();
            if records.is_empty() {
                break;
            }
        }
    }
    match notes.stored.iter().find(|(place, text)| found.get(place) != Some(text)) {
        Some((place, text)) => Err(format!("{place:?}: {text} was acknowledged, there is {:?}", found.get(place))),
        None => Ok(()),
    }
}

/// Every accepted record is in the bucket, and nothing is there twice.
fn check_bucket(disk: &SimDisk, notes: &Notes) -> Result<(), String> {
    let mut delivered = BTreeSet::new();
    let mut directories = vec![Path::new(DATA_DIR).join("buckets").join(BUCKET)];
    while let Some(directory) = directories.pop() {
        for entry in disk.list(&directory).map_err(|error| error.to_string())? {
            let path = directory.join(&entry.name);
            if entry.is_dir {
                // Unfinished objects; no key leads there.
                if entry.name != ".%tmp" {
                    directories.push(path);
                }
                continue;
            }
            let mut content = vec![0; entry.len as usize];
            let read = disk.open(&path, Open::Read).and_then(|file| file.read_exact_at(&mut content, 0));
            read.map_err(|error| error.to_string())?;
            let content = String::from_utf8(content).map_err(|error| error.to_string())?;
            for text in content.split_inclusive('>') {
                if !notes.asked.contains(text) || !delivered.insert(text.to_owned()) {
                    return Err(format!("{}: {text} was not put, or was delivered twice", path.display()));
                }
            }
        }
    }
    match notes.accepted.iter().find(|text| !delivered.contains(*text)) {
        Some(text) => Err(format!("{text} was accepted and not delivered")),
        None => Ok(()),
    }
}
