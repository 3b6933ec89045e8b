//! Where everything goes: buckets that can be taken away, an endpoint and a function that misbehave and die. They
//! outlive the node.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use levada_conformance::random::Seeded;
use levada_conformance::receiver::{Fault, Plan, RandomFaults, Receiver};
use tokio::runtime::Runtime;

use crate::streams::{ENDPOINT, FUNCTION, Kind, RAW};

pub(crate) struct Destinations {
    runtime: Runtime,
    directory: PathBuf,
    pub(crate) endpoint: Receiver,
    pub(crate) function: Receiver,
    /// How often the endpoint died.
    pub(crate) deaths: usize,
    /// Who is away just now.
    is_dead: [bool; 2],
    away: Vec<&'static str>,
}

/// Buckets with their names.
fn buckets() -> impl Iterator<Item = &'static str> {
    Kind::ALL.iter().map(|kind| kind.name()).chain([RAW])
}

impl Destinations {
    pub(crate) fn new(directory: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = runtime.block_on(Receiver::start(listen)).unwrap();
        let function = runtime.block_on(Receiver::start(listen)).unwrap();
        std::fs::create_dir_all(directory.join("mounts")).unwrap();
        let made = Self {
            runtime,
            directory: directory.to_owned(),
            endpoint,
            function,
            deaths: 0,
            is_dead: [false; 2],
            away: Vec::new(),
        };
        for bucket in buckets() {
            std::fs::create_dir_all(made.store(bucket)).unwrap();
            made.mount(bucket, &made.store(bucket));
        }
        made
    }

    /// `levada.toml` of the node.
    pub(crate) fn configuration(&self) -> String {
        let (endpoint, function) = (self.endpoint.url(), self.function.url());
        let mut text =
            format!("[endpoints]\n\"{ENDPOINT}\" = \"{endpoint}/\"\n[lambda.\"{FUNCTION}\"]\nurl = \"{function}\"\n");
        for bucket in buckets() {
            let mounted = self.directory.join("mounts").join(bucket);
            writeln!(text, "[buckets.{bucket:?}]\ndir = {mounted:?}").unwrap();
        }
        text
    }

    /// Where a bucket's objects really are.
    pub(crate) fn store(&self, bucket: &str) -> PathBuf {
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
        match random.below(6) {
            0 => {
                let bucket = buckets().nth(random.below(buckets().count() as u64) as usize).unwrap();
                if let Some(at) = self.away.iter().position(|away| *away == bucket) {
                    self.away.swap_remove(at);
                    self.mount(bucket, &self.store(bucket));
                } else {
                    self.away.push(bucket);
                    self.mount(bucket, Path::new("/nonexistent/store"));
                }
            }
            1 => self.live(0, random.below(2) == 0),
            2 => self.live(1, random.below(2) == 0),
            3 => self.function.plan(plan(random, &[], &[Fault::FewerItems, status(429)])),
            _ => {
                let taking = [
                    Fault::NoLength,
                    Fault::WrongType,
                    Fault::LargeAnswer { bytes: 2 << 20 },
                    Fault::NoTimestamp,
                    Fault::MoreMembers,
                ];
                let refusing = [status(413), Fault::WrongRequestId, Fault::Hang];
                self.endpoint.plan(plan(random, &taking, &refusing));
            }
        }
    }

    /// Makes one of the two servers live, or dead.
    fn live(&mut self, which: usize, is_alive: bool) {
        let server = if which == 0 { &mut self.endpoint } else { &mut self.function };
        match (is_alive, self.is_dead[which]) {
            (true, true) => self.runtime.block_on(server.revive()).expect("the port is still free"),
            (false, false) => {
                self.runtime.block_on(server.die());
                self.deaths += usize::from(which == 0);
            }
            _ => return,
        }
        self.is_dead[which] = !is_alive;
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&mut self) {
        self.endpoint.plan(Plan::default());
        self.function.plan(Plan::default());
        self.live(0, true);
        self.live(1, true);
        for bucket in std::mem::take(&mut self.away) {
            self.mount(bucket, &self.store(bucket));
        }
    }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, body: None }
}

/// Nothing goes wrong, all requests are refused, or some of them meet any of the faults.
fn plan(random: &mut Seeded, taking: &[Fault], refusing: &[Fault]) -> Plan {
    let any = [status(500), Fault::Cut, Fault::Garbage, Fault::Slow { ms: 300 }, Fault::CutAfter, Fault::HalfAnswer];
    match random.below(4) {
        0 => Plan::default(),
        1 => Plan { always: Some(any[random.below(3) as usize].clone()), ..Plan::default() },
        _ => {
            let faults = [&any, taking, refusing].concat();
            let random = RandomFaults { seed: random.next_u64(), per_mille: 100 + random.below(700), faults };
            Plan { random: Some(random), ..Plan::default() }
        }
    }
}
