//! The whole node: HTTP over the simulated network, handlers, catalog, journal, delivery, on a disk that loses what
//! was not synced. Its clients put records and reshard the stream that they put them to.

pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod shards;

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
use levada::cli::{LifecycleMode, LimitsMode, ServeArgs};
use levada::config::Config;
use levada::listener::{self, Accept};
use levada::network::NoNetwork;
use levada::node::{Environment, Node};
use levada_core::env::sim::SimRandom;
use levada_delivery::http::HttpClient;
use serde_json::{Value, json};
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

use self::check::{check_bucket, check_stream};
use self::client::Client;
use self::shards::reshard;
use crate::node::{self, DATA_DIR, HOST, PORT};
use crate::run::{Outcome, Plan, Trouble, small};

const CLIENTS: u64 = 4;
const CALLS: u64 = 30;
/// Of each client.
const KEYS: u64 = 6;
const SHARDS: u64 = 3;
pub(crate) const STREAM: &str = "stream";
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
    /// The same places by partition key, in the order in which the records were put.
    by_key: BTreeMap<String, Vec<(String, String)>>,
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
        .tick_duration(plan.tick())
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .build();
    let host = machine.clone();
    sim.host(HOST, move || serve(host.clone(), plan, Software::default()));
    for client in 0..CLIENTS {
        let (notes, random) = (Rc::clone(&notes), random.fork());
        sim.client(format!("client{client}"), async move { Ok(work(plan, client, notes, random).await?) });
    }
    // The node's tasks die in an order that no seed decides; nobody hears of it if the network goes with the power.
    let mut trouble = Trouble::new(machine.clone(), random.fork());
    if plan.lifecycle_of_aws {
        // A clock that is set back puts off what is due; a simulation does not last for hours.
        (trouble.skew_ms, trouble.every) = (10_000, 1_500);
    }
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
        let node = start(&machine, plan, &Software::default()).await?;
        check_stream(&node, &notes).await?;
        for handle in node.all_deliveries() {
            handle.flush().await.map_err(|_| "the delivery stopped")?;
        }
        check_bucket(&machine.disk(), &notes)
    })?;
    let acknowledged = notes.stored.len() + notes.accepted.len();
    let shards = notes.stored.keys().map(|(shard, _)| shard).collect::<BTreeSet<_>>().len();
    Ok(Outcome { trace: notes.trace, acknowledged, shards, deaths: trouble.deaths })
}

/// What is installed on the machine, beside the binary.
#[derive(Clone)]
pub(crate) struct Software {
    /// `levada.toml`.
    pub(crate) config: Option<&'static str>,
    /// Whom the node's requests reach.
    pub(crate) client: Arc<dyn HttpClient>,
}

impl Default for Software {
    fn default() -> Self {
        Self { config: None, client: Arc::new(NoNetwork) }
    }
}

pub(crate) async fn start(machine: &node::Node, plan: Plan, software: &Software) -> Result<Arc<Node>, String> {
    let lifecycle = if plan.lifecycle_of_aws { LifecycleMode::Aws } else { LifecycleMode::Instant };
    let args = ServeArgs { limits: Some(LimitsMode::Open), lifecycle: Some(lifecycle), ..ServeArgs::default() };
    let mut config = Config::new(&args, software.config).map_err(|error| error.to_string())?;
    config.free_bytes = 0;
    let env = Environment {
        clock: Arc::new(machine.time.clone()),
        random: Arc::new(machine.random.clone()),
        disk: Arc::new(machine.disk()),
        log: small(),
        client: Arc::clone(&software.client),
        threads: false,
    };
    Node::start(config, env, Path::new(DATA_DIR)).await.map_err(|error| error.to_string())
}

/// The host's software: serves until the machine is switched off or the log gives itself up.
pub(crate) async fn serve(machine: node::Node, plan: Plan, software: Software) -> turmoil::Result {
    let disk = machine.disk();
    let node = match start(&machine, plan, &software).await {
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

/// Puts records until all calls are made, and reshards now and then; connects again whenever the node does not answer.
async fn work(plan: Plan, client: u64, notes: Rc<RefCell<Notes>>, random: SimRandom) -> Result<(), String> {
    let mut node = Client::default();
    create(&mut node).await?;
    for number in 0..CALLS {
        sleep(Duration::from_millis(random.below(if plan.lifecycle_of_aws { 5_000 } else { 40 }))).await;
        let now = || turmoil::sim_elapsed().unwrap_or_default().as_millis();
        if random.percent(10) {
            let status = reshard(&mut node, &random).await?;
            notes.borrow_mut().event(now(), &format!("{client}/{number} reshard {status:?}"));
        }
        let records: Vec<Record> = (0..1 + random.below(5))
            .map(|n| Record {
                key: format!("{client}.{}", random.below(KEYS)),
                text: format!("<{client}/{number}/{n}{}>", "x".repeat(random.below(900) as usize)),
            })
            .collect();
        notes.borrow_mut().asked.extend(records.iter().map(|record| record.text.clone()));
        let to_stream = random.percent(60);
        let (target, body) = if to_stream { put_records(&records) } else { put_record_batch(&records) };
        let answer = node.call(target, &body).await;
        let mut notes = notes.borrow_mut();
        match answer {
            Ok((200, reply)) => {
                // Request ids are random by intent, so of an answer only the outcome belongs to the story.
                notes.event(now(), &format!("{client}/{number} answered"));
                note(&mut notes, &records, &reply, to_stream)?;
            }
            Ok((status @ 500.., _)) => notes.event(now(), &format!("{client}/{number} {status}")),
            Ok((status, reply)) => return Err(format!("{target} was refused: {status} {reply}")),
            Err(_) => notes.event(now(), &format!("{client}/{number} open")),
        }
    }
    Ok(())
}

/// What a client puts.
struct Record {
    key: String,
    text: String,
}

fn note(notes: &mut Notes, records: &[Record], reply: &Value, to_stream: bool) -> Result<(), String> {
    let results = reply[if to_stream { "Records" } else { "RequestResponses" }].as_array();
    let results = results.filter(|results| results.len() == records.len());
    let results = results.ok_or_else(|| format!("{} records were answered {reply}", records.len()))?;
    for (Record { key, text }, result) in records.iter().zip(results) {
        if let (Some(shard), Some(number)) = (result["ShardId"].as_str(), result["SequenceNumber"].as_str()) {
            let place = (shard.to_owned(), number.to_owned());
            notes.by_key.entry(key.clone()).or_default().push(place.clone());
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

fn put_records(records: &[Record]) -> (&'static str, Value) {
    let record = |Record { key, text }: &Record| json!({"Data": STANDARD.encode_to_string(text), "PartitionKey": key});
    let records: Vec<_> = records.iter().map(record).collect();
    ("Kinesis_20131202.PutRecords", json!({"StreamName": STREAM, "Records": records}))
}

fn put_record_batch(records: &[Record]) -> (&'static str, Value) {
    let records: Vec<_> =
        records.iter().map(|record| json!({"Data": STANDARD.encode_to_string(&record.text)})).collect();
    ("Firehose_20150804.PutRecordBatch", json!({"DeliveryStreamName": DELIVERY_STREAM, "Records": records}))
}

/// Creates stream and delivery stream, if nobody else has.
async fn create(node: &mut Client) -> Result<(), String> {
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
            match node.call(target, &body).await {
                Ok((200, _)) => break,
                Ok((_, reply)) if reply["__type"] == "ResourceInUseException" => break,
                Ok((500.., _)) | Err(_) => sleep(Duration::from_millis(20)).await,
                Ok((status, reply)) => return Err(format!("{target} was refused: {status} {reply}")),
            }
        }
    }
    let ready = [
        ("Kinesis_20131202.DescribeStreamSummary", "StreamName", STREAM, "/StreamDescriptionSummary/StreamStatus"),
        (
            "Firehose_20150804.DescribeDeliveryStream",
            "DeliveryStreamName",
            DELIVERY_STREAM,
            "/DeliveryStreamDescription/DeliveryStreamStatus",
        ),
    ];
    for (target, member, name, status) in ready {
        // A stream that somebody else reshards already is UPDATING.
        let is_ready = |reply: &Value| {
            reply.pointer(status).and_then(Value::as_str).is_some_and(|status| ["ACTIVE", "UPDATING"].contains(&status))
        };
        while !node.call(target, &json!({member: name})).await.is_ok_and(|(_, reply)| is_ready(&reply)) {
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}
