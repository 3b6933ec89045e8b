//! One simulation from its seed to its verdict.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use levada_core::env::sim::SimRandom;
use levada_log::Options;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use crate::door::{Answer, Call, Connection};
use crate::ledger::Ledger;
use crate::node::{HOST, Node};

const LOGS: u64 = 5;
const CLIENTS: u64 = 4;
const CALLS: u64 = 60;
/// A client waits so long for an answer before it takes the outcome for open.
const PATIENCE: Duration = Duration::from_millis(400);

/// What to simulate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Everything random is drawn from it.
    pub seed: u64,
    /// From 200 ms on, when the directory has been laid out, the disk only claims to make things durable. A simulation
    /// that does not notice is worth nothing.
    pub lying_disk: bool,
    /// Transitions of streams last as long as at AWS, and the clients take their time. Only the whole node knows them.
    pub lifecycle_of_aws: bool,
}

impl Plan {
    /// How finely time passes: trouble comes at most once in it.
    pub(crate) fn tick(self) -> Duration {
        Duration::from_millis(if self.lifecycle_of_aws { 5 } else { 1 })
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of all events.
    pub trace: u64,
    /// Batches that were acknowledged.
    pub acknowledged: usize,
    /// Logs or shards that hold them.
    pub shards: usize,
    /// How often the node was switched off or killed.
    pub deaths: usize,
}

type Notes = Rc<RefCell<Ledger>>;

/// Runs a plan.
///
/// # Errors
/// What the node lost, doubled or tore, with the seed.
pub fn simulate(plan: Plan) -> Result<Outcome, String> {
    simulate_inner(plan).map_err(|what| format!("seed {}: {what}", plan.seed))
}

/// Sizes so small that files fill, roll and are recycled within a simulation.
pub(crate) fn small() -> Options {
    Options {
        journal_segment_bytes: 128 * 1024,
        first_journal_segment_bytes: 32 * 1024,
        round_bytes: 32 * 1024,
        drain_bytes: 8 * 1024,
        drain_bytes_many_logs: 16 * 1024,
        memory_bytes: 128 * 1024,
        busy_log_bytes: 4 * 1024,
        direct_bytes: 4 * 1024,
        segment_bytes: 32 * 1024,
        segment_age_ms: 500,
        max_open_files: 4,
        disk_watermark_bytes: 0,
        ..Options::default()
    }
}

fn simulate_inner(plan: Plan) -> Result<Outcome, String> {
    let random = SimRandom::new(plan.seed);
    let notes = Notes::default();
    let node = Node::new(random.fork(), small(), LOGS);
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(Duration::from_secs(600))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .build();
    let software = node.clone();
    sim.host(HOST, move || software.clone().serve());
    for client in 0..CLIENTS {
        let (notes, random) = (Rc::clone(&notes), random.fork());
        sim.client(format!("client{client}"), async move { Ok(work(client, notes, random).await?) });
    }
    let mut trouble = Trouble::new(node.clone(), random.fork());
    while !sim.step().map_err(|error| error.to_string())? {
        if plan.lying_disk && sim.elapsed() > Duration::from_millis(200) {
            node.disk().set_lies(true);
        }
        let at = sim.elapsed().as_millis();
        trouble.make(&mut sim, &mut |what| notes.borrow_mut().event(at, what));
    }
    drop(sim);
    node.replace_disk(|disk| disk.crash(&random));
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    let notes = notes.take();
    LocalSet::new().block_on(&runtime, async {
        let engine = node.start().await?.ok_or("the disk has no power")?;
        notes.check(&*engine, LOGS).await
    })?;
    let (trace, acknowledged, shards) = (notes.trace(), notes.acknowledged(), notes.logs());
    Ok(Outcome { trace, acknowledged, shards, deaths: trouble.deaths })
}

/// What goes wrong with the machine.
pub(crate) struct Trouble {
    node: Node,
    random: SimRandom,
    off_until: Option<Duration>,
    /// How wrong the clock may be set.
    pub(crate) skew_ms: i64,
    /// Each kind of trouble comes once in so many ticks.
    pub(crate) every: u64,
    /// How often the node was switched off or killed.
    pub(crate) deaths: usize,
    /// Hosts that cannot reach the node while it is down.
    pub(crate) cut_off: Vec<String>,
    /// Whether the disk is full now and then.
    pub(crate) fills: bool,
    /// How often it was.
    pub(crate) filled: usize,
    full_until: Option<Duration>,
}

impl Trouble {
    /// Trouble for this machine.
    pub(crate) fn new(node: Node, random: SimRandom) -> Self {
        Self {
            node,
            random,
            off_until: None,
            skew_ms: 3_600_000,
            every: 600,
            deaths: 0,
            cut_off: Vec::new(),
            fills: false,
            filled: 0,
            full_until: None,
        }
    }

    fn make_room(&mut self, note: &mut dyn FnMut(&str)) {
        if self.full_until.take().is_some() {
            note("room");
            self.node.disk().set_capacity(u64::MAX);
        }
    }

    /// Called after every tick; tells `note` what it did.
    pub(crate) fn make(&mut self, sim: &mut turmoil::Sim<'_>, note: &mut dyn FnMut(&str)) {
        let now = sim.elapsed();
        if let Some(until) = self.off_until {
            if now >= until {
                note("on");
                self.off_until = None;
                self.make_room(note);
                self.cut_off.iter().for_each(|host| sim.repair(HOST, host.as_str()));
                sim.bounce(HOST);
            }
            return;
        }
        let disk = self.node.disk();
        if self.full_until.is_some_and(|until| now >= until) {
            self.make_room(note);
        }
        if self.fills && self.full_until.is_none() && self.random.below(self.every) == 0 {
            note("full");
            self.filled += 1;
            self.full_until = Some(now + Duration::from_millis(self.random.below(1_500)));
            disk.fill(self.random.below(48 * 1024));
        }
        if disk.is_powerless() || self.random.below(self.every) == 0 {
            note("power loss");
            self.cut_off.iter().for_each(|host| sim.partition(HOST, host.as_str()));
            sim.crash(HOST);
            self.node.replace_disk(|disk| disk.crash(&self.random));
        } else if self.random.below(self.every) == 0 {
            note("kill");
            self.cut_off.iter().for_each(|host| sim.partition(HOST, host.as_str()));
            sim.crash(HOST);
            self.node.replace_disk(levada_core::env::sim::SimDisk::kill);
        } else {
            match self.random.below(self.every) {
                0 => disk.cut_power_after(self.random.below(40)),
                1 => self.node.time.set_skew(self.random.below(2 * self.skew_ms.unsigned_abs()) as i64 - self.skew_ms),
                _ => {}
            }
            return;
        }
        self.deaths += 1;
        self.off_until = Some(now + Duration::from_millis(self.random.below(60)));
    }
}

/// Appends and reads until all calls are made; connects again whenever the node does not answer.
async fn work(client: u64, notes: Notes, random: SimRandom) -> Result<(), String> {
    let mut connection = None;
    for number in 0..CALLS {
        sleep(Duration::from_millis(random.below(40))).await;
        let log = random.below(LOGS);
        let call = if random.percent(70) {
            let texts: Vec<String> = (0..1 + random.below(4))
                .map(|n| format!("client {client} call {number} record {n} {}", "x".repeat(random.below(800) as usize)))
                .collect();
            notes.borrow_mut().ask(log, &texts);
            Call::Append { log, end: random.percent(10).then(|| random.below(30)), texts }
        } else {
            Call::Read { log, from: random.below(60) }
        };
        let answer = timeout(PATIENCE, attempt(&mut connection, &call)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => {
                connection = None;
                Answer::Unknown
            }
        };
        let mut notes = notes.borrow_mut();
        let at = turmoil::sim_elapsed().unwrap_or_default();
        notes.event(at.as_millis(), &format!("{client}/{number} {answer:?}"));
        match (answer, call) {
            (Answer::At { first, arrival }, Call::Append { texts, .. }) => {
                notes.acknowledge(log, first, arrival, texts);
            }
            (Answer::Moved { .. }, Call::Append { texts, .. }) => notes.refuse(&texts),
            (Answer::Unknown, _) => {}
            (Answer::Records(records), Call::Read { .. }) => {
                for (offset, arrival, text) in records {
                    notes.see(log, offset, arrival, text)?;
                }
            }
            (answer, call) => return Err(format!("{call:?} was answered {answer:?}")),
        }
    }
    Ok(())
}

async fn attempt(connection: &mut Option<Connection>, call: &Call) -> io::Result<Answer> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open().await?,
    };
    let answer = open.call(call).await?;
    *connection = Some(open);
    Ok(answer)
}
