//! Where everything goes: buckets that can be taken away; an endpoint, a function and a store that misbehave and die.
//! They outlive the node.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use levada_conformance::random::Seeded;
use levada_conformance::receiver::{Fault, Plan, RandomFaults, Receiver};
use tokio::runtime::Runtime;

use crate::streams::{CLUSTER, COLLECTORS, ENDPOINT, FUNCTION, Kind, RAW};

/// Where there is no bucket.
const NOWHERE: &str = "/nonexistent/store";

pub(crate) struct Destinations {
    runtime: Runtime,
    directory: PathBuf,
    pub(crate) endpoint: Server,
    /// Splunk's.
    pub(crate) collector: Server,
    /// OpenSearch's.
    pub(crate) cluster: Server,
    pub(crate) function: Server,
    /// Of the bucket of [`Kind::Stored`].
    pub(crate) store: Server,
    /// Buckets that are away just now.
    away: Vec<&'static str>,
}

/// One that can die.
pub(crate) struct Server {
    receiver: Receiver,
    is_dead: bool,
    /// How often it died.
    pub(crate) deaths: usize,
}

impl Deref for Server {
    type Target = Receiver;

    fn deref(&self) -> &Receiver {
        &self.receiver
    }
}

impl Server {
    fn start(runtime: &Runtime) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { receiver: runtime.block_on(Receiver::start(listen)).unwrap(), is_dead: false, deaths: 0 }
    }

    fn live(&mut self, runtime: &Runtime, is_alive: bool) {
        match (is_alive, self.is_dead) {
            (true, true) => runtime.block_on(self.receiver.revive()).expect("the port is still free"),
            (false, false) => {
                runtime.block_on(self.receiver.die());
                self.deaths += 1;
            }
            _ => {}
        }
        self.is_dead = !is_alive;
    }
}

/// Buckets that are directories.
fn buckets() -> impl Iterator<Item = &'static str> {
    Kind::ALL.iter().filter(|kind| **kind != Kind::Stored).map(|kind| kind.name()).chain([RAW])
}

impl Destinations {
    pub(crate) fn new(directory: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        std::fs::create_dir_all(directory.join("mounts")).unwrap();
        let [endpoint, collector, cluster, function, store] = [(); 5].map(|()| Server::start(&runtime));
        let (directory, away) = (directory.to_owned(), Vec::new());
        let made = Self { runtime, directory, endpoint, collector, cluster, function, store, away };
        for bucket in buckets() {
            std::fs::create_dir_all(made.directory_of(bucket)).unwrap();
            made.mount(bucket, &made.directory_of(bucket));
        }
        made
    }

    /// `levada.toml` of the node.
    pub(crate) fn configuration(&self) -> String {
        let [endpoint, collector, cluster, function] =
            [&self.endpoint, &self.collector, &self.cluster, &self.function].map(|server| server.url());
        let mut text = format!("[endpoints]\n{ENDPOINT:?} = \"{endpoint}/\"\n{CLUSTER:?} = {cluster:?}\n");
        for name in COLLECTORS {
            writeln!(text, "{name:?} = {collector:?}").unwrap();
        }
        writeln!(text, "[lambda.{FUNCTION:?}]\nurl = {function:?}").unwrap();
        let (stored, store) = (Kind::Stored.name(), self.store.url());
        writeln!(text, "[buckets.{stored:?}]\nendpoint = {store:?}\naccess_key_id = \"k\"\nsecret_access_key = \"s\"")
            .unwrap();
        for bucket in buckets() {
            let mounted = self.directory.join("mounts").join(bucket);
            writeln!(text, "[buckets.{bucket:?}]\ndir = {mounted:?}").unwrap();
        }
        text
    }

    /// The server of a kind that has one.
    pub(crate) fn server_of(&self, kind: Kind) -> &Server {
        match kind {
            Kind::Splunk => &self.collector,
            Kind::Search => &self.cluster,
            _ => &self.endpoint,
        }
    }

    /// Where a bucket's objects really are.
    pub(crate) fn directory_of(&self, bucket: &str) -> PathBuf {
        self.directory.join("stores").join(bucket)
    }

    /// Where the node finds a bucket leads to `to` from now on.
    fn mount(&self, bucket: &str, to: &Path) {
        let mounts = self.directory.join("mounts");
        let next = mounts.join(".next");
        std::os::unix::fs::symlink(to, &next).unwrap();
        std::fs::rename(next, mounts.join(bucket)).unwrap();
    }

    /// Something becomes worse, or better.
    pub(crate) fn change(&mut self, random: &mut Seeded) {
        match random.below(12) {
            0 => {
                let bucket = buckets().nth(random.below(buckets().count() as u64) as usize).unwrap();
                if let Some(at) = self.away.iter().position(|away| *away == bucket) {
                    self.away.swap_remove(at);
                    self.mount(bucket, &self.directory_of(bucket));
                } else {
                    self.lose(bucket);
                }
            }
            1 => self.endpoint.live(&self.runtime, random.below(2) == 0),
            2 => self.function.live(&self.runtime, random.below(2) == 0),
            3 => self.store.live(&self.runtime, random.below(2) == 0),
            4 => self.store.plan(plan(random, STORES, &[], &[status(403), status(503)])),
            5 => self.function.plan(plan(random, ANY, &[], &[Fault::FewerItems, status(429)])),
            6 => self.collector.live(&self.runtime, random.below(2) == 0),
            7 => self.cluster.live(&self.runtime, random.below(2) == 0),
            8 => {
                let taking = [Fault::NeverAck, Fault::NoAckId, Fault::LargeAnswer { bytes: 2 << 20 }];
                let refusing = [status(403), status(503), Fault::Hang, Fault::AckAfter { questions: 2 }];
                // Acknowledgements are lost too.
                let questions = random.below(2) == 0;
                self.collector.plan(Plan { questions, ..plan(random, ANY, &taking, &refusing) });
            }
            9 => {
                let some = |status, error: &str| Fault::SomeItems { every: 3, status, error: error.to_owned() };
                let refusing = [
                    status(403),
                    status(413),
                    Fault::Hang,
                    some(429, "es_rejected_execution_exception"),
                    some(400, "mapper_parsing_exception"),
                ];
                self.cluster.plan(plan(random, ANY, &[Fault::FewerItems], &refusing));
            }
            _ => {
                let taking = [
                    Fault::NoLength,
                    Fault::WrongType,
                    Fault::LargeAnswer { bytes: 2 << 20 },
                    Fault::NoTimestamp,
                    Fault::MoreMembers,
                ];
                let refusing = [status(413), Fault::WrongRequestId, Fault::Hang];
                self.endpoint.plan(plan(random, ANY, &taking, &refusing));
            }
        }
    }

    /// A bucket is not there any more.
    pub(crate) fn lose(&mut self, bucket: &'static str) {
        self.mount(bucket, Path::new(NOWHERE));
        self.away.push(bucket);
    }

    /// Nothing is there any more.
    pub(crate) fn lose_all(&mut self) {
        let Self { endpoint, collector, cluster, function, store, .. } = self;
        for server in [endpoint, collector, cluster, function, store] {
            server.live(&self.runtime, false);
        }
        buckets().for_each(|bucket| self.lose(bucket));
    }

    /// Says to all servers what goes wrong from now on.
    pub(crate) fn plan_all(&self, plan: &Plan) {
        let Self { endpoint, collector, cluster, function, store, .. } = self;
        [endpoint, collector, cluster, function, store].iter().for_each(|server| server.plan(plan.clone()));
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&mut self) {
        let Self { endpoint, collector, cluster, function, store, .. } = self;
        for server in [endpoint, collector, cluster, function, store] {
            server.plan(Plan::default());
            server.live(&self.runtime, true);
        }
        for bucket in std::mem::take(&mut self.away) {
            self.mount(bucket, &self.directory_of(bucket));
        }
    }
}

const fn status(status: u16) -> Fault {
    Fault::Status { status, body: None }
}

/// What may go wrong with any of the servers; the first three take nothing.
const ANY: &[Fault] =
    &[status(500), Fault::Cut, Fault::Garbage, Fault::Slow { ms: 300 }, Fault::CutAfter, Fault::HalfAnswer];
/// The same of a store, in which whatever is answered by 200 counts as durable.
const STORES: &[Fault] =
    &[status(500), Fault::Cut, status(307), Fault::Slow { ms: 300 }, Fault::CutAfter, Fault::HalfAnswer];

/// Nothing goes wrong, all requests are refused, or some of them meet any of the faults.
fn plan(random: &mut Seeded, any: &[Fault], taking: &[Fault], refusing: &[Fault]) -> Plan {
    match random.below(4) {
        0 => Plan::default(),
        1 => Plan { always: Some(any[random.below(3) as usize].clone()), ..Plan::default() },
        _ => {
            let faults = [any, taking, refusing].concat();
            let random = RandomFaults { seed: random.next_u64(), per_mille: 100 + random.below(700), faults };
            Plan { random: Some(random), ..Plan::default() }
        }
    }
}
