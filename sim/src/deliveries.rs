//! Delivery streams of every kind, on a machine that loses power and whose disk is full now and then, with a function and
//! an endpoint that fail, answer wrongly and late. Clients put numbered records, reshard the source and update destinations.

mod check;
mod network;
mod streams;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base64_simd::STANDARD;
use levada_core::env::sim::SimRandom;
use serde_json::{Value, json};
use tokio::time::sleep;

use self::check::check;
use self::network::{DROPPED, Network, POISON};
use self::streams::{CONFIG, Kind};
use crate::node::{self, HOST};
use crate::run::{Plan, Trouble, small};
use crate::whole::client::Client;
use crate::whole::shards::reshard;
use crate::whole::{STREAM, Software, serve, start};

const CLIENTS: u64 = 3;
const CALLS: u64 = 40;
const SHARDS: u64 = 2;

/// What the clients were told.
#[derive(Default)]
struct Notes {
    /// Texts that were put, successfully or not.
    asked: BTreeMap<Kind, BTreeSet<String>>,
    /// Texts that were acknowledged.
    accepted: BTreeMap<Kind, BTreeSet<String>>,
    updates: usize,
    trace: u64,
}

impl Notes {
    fn event(&mut self, at_ms: u128, what: &str) {
        for byte in at_ms.to_le_bytes().iter().chain(what.as_bytes()) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

/// What came of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of all events.
    pub trace: u64,
    /// Records that were acknowledged.
    pub acknowledged: usize,
    /// How often the node was switched off or killed.
    pub deaths: usize,
    /// How often the disk was full for a while.
    pub filled: usize,
    /// Updates of destinations that took effect.
    pub updates: usize,
    /// Records that the endpoint took more than once.
    pub doubled: u64,
    /// Records that it took while it said otherwise.
    pub injected: u64,
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
    let network = Network::new(random.fork());
    let software = Software { config: Some(CONFIG), client: Arc::clone(&network) as _ };
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(Duration::from_secs(600))
        .tick_duration(plan.tick())
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .build();
    let (host, installed) = (machine.clone(), software.clone());
    sim.host(HOST, move || serve(host.clone(), plan, installed.clone()));
    for client in 0..CLIENTS {
        let (notes, random) = (Rc::clone(&notes), random.fork());
        sim.client(format!("client{client}"), async move { Ok(work(client, notes, random).await?) });
    }
    let mut trouble = Trouble::new(machine.clone(), random.fork());
    trouble.cut_off = (0..CLIENTS).map(|client| format!("client{client}")).collect();
    trouble.fills = true;
    while !sim.step().map_err(|error| error.to_string())? {
        let at = sim.elapsed().as_millis();
        trouble.make(&mut sim, &mut |what| notes.borrow_mut().event(at, what));
    }
    drop(sim);
    machine.replace_disk(|disk| disk.crash(&random));
    machine.disk().set_capacity(u64::MAX);
    let notes = notes.take();
    finish(&machine, plan, &software, &network)?;
    check(&machine.disk(), &notes, &network.seen())?;
    let seen = network.seen();
    Ok(Outcome {
        trace: notes.trace,
        acknowledged: notes.accepted.values().map(BTreeSet::len).sum(),
        deaths: trouble.deaths,
        filled: trouble.filled,
        updates: notes.updates,
        doubled: seen.taken.values().map(|times| times - 1).sum(),
        injected: seen.injected,
    })
}

/// The machine's last life, in which nothing fails any more: all is delivered.
fn finish(machine: &node::Node, plan: Plan, software: &Software, network: &Network) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    network.seen().well = true;
    runtime.block_on(async {
        let node = start(machine, plan, software).await?;
        // A pump needs a moment for what its shards still hold.
        sleep(Duration::from_secs(30)).await;
        for handle in node.all_deliveries() {
            handle.flush().await.map_err(|_| "the delivery stopped")?;
        }
        Ok(())
    })
}

/// Puts records until all calls are made; reshards and updates now and then.
async fn work(client: u64, notes: Rc<RefCell<Notes>>, random: SimRandom) -> Result<(), String> {
    let mut node = Client::default();
    create(&mut node).await?;
    let now = || turmoil::sim_elapsed().unwrap_or_default().as_millis();
    for number in 0..CALLS {
        sleep(Duration::from_millis(random.below(60))).await;
        if random.percent(5) {
            let status = reshard(&mut node, &random).await?;
            notes.borrow_mut().event(now(), &format!("{client}/{number} reshard {status:?}"));
        }
        let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
        if random.percent(20) && update(&mut node, kind, &random).await? {
            notes.borrow_mut().updates += 1;
            notes.borrow_mut().event(now(), &format!("{client}/{number} updated {kind:?}"));
        }
        let texts: Vec<String> = (0..1 + random.below(6))
            .map(|n| {
                let special = match random.below(20) {
                    0 => DROPPED,
                    1 => POISON,
                    _ => "",
                };
                format!("<{client}/{number}/{n}{special}{}>", "x".repeat(random.below(700) as usize))
            })
            .collect();
        notes.borrow_mut().asked.entry(kind).or_default().extend(texts.iter().cloned());
        let (target, body) = put(kind, &texts);
        let answer = node.call(target, &body).await;
        let mut notes = notes.borrow_mut();
        match answer {
            Ok((200, reply)) => {
                notes.event(now(), &format!("{client}/{number} answered"));
                note(&mut notes, kind, &texts, &reply)?;
            }
            Ok((status @ 500.., _)) => notes.event(now(), &format!("{client}/{number} {status}")),
            Ok((status, reply)) => return Err(format!("{target} was refused: {status} {reply}")),
            Err(_) => notes.event(now(), &format!("{client}/{number} open")),
        }
    }
    Ok(())
}

fn put(kind: Kind, texts: &[String]) -> (&'static str, Value) {
    if kind == Kind::Sourced {
        let record = |text: &String| json!({"Data": STANDARD.encode_to_string(text), "PartitionKey": text[..6]});
        let records: Vec<_> = texts.iter().map(record).collect();
        return ("Kinesis_20131202.PutRecords", json!({"StreamName": STREAM, "Records": records}));
    }
    let records: Vec<_> = texts.iter().map(|text| json!({"Data": STANDARD.encode_to_string(text)})).collect();
    ("Firehose_20150804.PutRecordBatch", json!({"DeliveryStreamName": kind.name(), "Records": records}))
}

fn note(notes: &mut Notes, kind: Kind, texts: &[String], reply: &Value) -> Result<(), String> {
    let results = reply[if kind == Kind::Sourced { "Records" } else { "RequestResponses" }].as_array();
    let results = results.filter(|results| results.len() == texts.len());
    let results = results.ok_or_else(|| format!("{} records were answered {reply}", texts.len()))?;
    for (text, result) in texts.iter().zip(results) {
        if result["RecordId"].is_string() || result["SequenceNumber"].is_string() {
            notes.accepted.entry(kind).or_default().insert(text.clone());
        } else if !["InternalFailure", "ServiceUnavailableException"].iter().any(|code| result["ErrorCode"] == *code) {
            return Err(format!("{text} was answered {result}"));
        }
    }
    Ok(())
}

/// Changes a destination; answers whether that took effect.
async fn update(node: &mut Client, kind: Kind, random: &SimRandom) -> Result<bool, String> {
    let described = json!({"DeliveryStreamName": kind.name()});
    let Ok((200, reply)) = node.call("Firehose_20150804.DescribeDeliveryStream", &described).await else {
        return Ok(false);
    };
    let version = reply["DeliveryStreamDescription"]["VersionId"].as_str().unwrap_or_default();
    let Some(body) = kind.update(version, random.below(1_000_000)) else { return Ok(false) };
    match node.call("Firehose_20150804.UpdateDestination", &body).await {
        Ok((200, _)) => Ok(true),
        Ok((500.., _)) | Err(_) => Ok(false),
        // Another client was faster, or an earlier try of this one took effect after all.
        Ok((_, reply)) if reply["__type"] == "ConcurrentModificationException" => Ok(false),
        Ok((_, reply)) if reply["message"].as_str().is_some_and(|text| text.contains("do not match")) => Ok(false),
        Ok((status, reply)) => Err(format!("the update of {kind:?} was refused: {status} {reply}")),
    }
}

/// Creates the data stream, then the delivery streams, if nobody else has.
async fn create(node: &mut Client) -> Result<(), String> {
    let stream = json!({"StreamName": STREAM, "ShardCount": SHARDS});
    persist(node, "Kinesis_20131202.CreateStream", &stream).await?;
    let ready = |reply: &Value, path: &str| {
        let status = reply.pointer(path).and_then(Value::as_str);
        status.is_some_and(|status| ["ACTIVE", "UPDATING"].contains(&status))
    };
    let (target, path) = ("Kinesis_20131202.DescribeStreamSummary", "/StreamDescriptionSummary/StreamStatus");
    let name = json!({"StreamName": STREAM});
    while !node.call(target, &name).await.is_ok_and(|(_, reply)| ready(&reply, path)) {
        sleep(Duration::from_millis(20)).await;
    }
    for kind in Kind::ALL {
        persist(node, "Firehose_20150804.CreateDeliveryStream", &kind.creation()).await?;
    }
    let (target, path) =
        ("Firehose_20150804.DescribeDeliveryStream", "/DeliveryStreamDescription/DeliveryStreamStatus");
    for kind in Kind::ALL {
        let name = json!({"DeliveryStreamName": kind.name()});
        while !node.call(target, &name).await.is_ok_and(|(_, reply)| ready(&reply, path)) {
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Calls until it is done, by whomever.
async fn persist(node: &mut Client, target: &str, body: &Value) -> Result<(), String> {
    loop {
        match node.call(target, body).await {
            Ok((200, _)) => return Ok(()),
            Ok((_, reply)) if reply["__type"] == "ResourceInUseException" => return Ok(()),
            Ok((500.., _)) | Err(_) => sleep(Duration::from_millis(20)).await,
            Ok((status, reply)) => return Err(format!("{target} was refused: {status} {reply}")),
        }
    }
}
