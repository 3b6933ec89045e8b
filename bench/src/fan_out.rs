//! Row 10: how long a record takes from its put to the event that brings it to a subscriber, while the server does half
//! of what it can in single puts, beside the time that the disk takes for one commit.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::disk::{Commits, Disk};
use crate::load::{self, Request};
use crate::measured::Rounds;
use crate::record::Records;
use crate::report::{LOUD, Machine, QUIET, SATURATED, grid, thousands};
use crate::request::{Renderer, Ring, STREAM};
use crate::rows::{Operation, SHARDS};
use crate::server::Server;
use crate::stats::{median, percentile, steady};
use crate::subscriber::{Consumer, Stamped, Subscribers, Version, each_once};
use crate::{Place, Result, proc, stream};

const DATA_BYTES: usize = 100;
const CONNECTIONS: usize = 64;
/// Distinct requests of the closed loop that finds the full rate.
const RING: u32 = 8192;
/// The share of the full rate at which latency is measured.
const SHARE: f64 = 0.5;
/// Median latency to reach, in medians of the disk.
const TARGET_OF_DISK: f64 = 8.0;
/// Median latency to reach, in milliseconds.
const TARGET_MS: f64 = 1.0;
/// Wait for the last records of a slice.
const LAST_WITHIN: Duration = Duration::from_secs(10);
/// A slice that sent less than this share of what it was to send says nothing about that rate.
const KEPT_UP: f64 = 0.98;

/// Options of the fan-out.
#[derive(Args, Clone, Debug)]
pub(crate) struct FanOutArgs {
    /// Seconds of load for each protocol, all rounds together.
    #[arg(long, default_value_t = 60.0, value_parser = crate::table::parse_seconds)]
    seconds: f64,
    /// Rounds: disk, full rate, HTTP/1.1, HTTP/2.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Three rounds of five seconds, for a first impression.
    #[arg(long, conflicts_with_all = ["seconds", "rounds"])]
    quick: bool,
    /// Puts a second, instead of half of what a closed loop reaches.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn parse_rate(text: &str) -> std::result::Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number")?;
    if (1.0..=1e6).contains(&rate) { Ok(rate) } else { Err("not between 1 and 1000000".into()) }
}

/// Runs the rounds and prints a line for each protocol.
///
/// # Errors
/// If a step cannot be done, or a record does not come exactly once.
pub(crate) fn run(args: &FanOutArgs) -> Result<ExitCode> {
    let (seconds, rounds) = if args.quick { (15.0, 3) } else { (args.seconds, args.rounds) };
    let (binary, base) = (args.place.binary()?, args.place.base()?);
    let machine = Machine::this(&args.place);
    proc::pin(args.place.load_core)?;
    let dir = tempfile::Builder::new().prefix("fan-out-").tempdir_in(&base)?;
    let server = args.place.start_levada(&binary, &dir.path().join("data"), &[])?;
    let mut client = Client::new(server.addr())?;
    stream::create(&mut client, STREAM, SHARDS)?;
    let records = Records { seed: 0xfa40, data_bytes: DATA_BYTES };
    let ring = Ring { operation: Operation::PutRecord, records, bodies: RING };
    let mut bench = FanOut {
        place: &args.place,
        requests: ring.requests(&Renderer::new(server.addr().to_string())?)?,
        stream_arn: stream::arn(&mut client, STREAM)?,
        shards: stream::shards(&mut client, STREAM)?,
        disk: Disk::create(dir.path())?,
        slice: Duration::from_secs_f64(seconds / f64::from(rounds)),
        rate: args.rate,
        server: &server,
        client,
        records,
        consumers: 0,
    };
    let measured = (0..rounds).map(|_| bench.round()).collect::<Result<Vec<_>>>();
    let measured = measured.map_err(|e| format!("{e}\n{}", server.log_end()))?;
    let outcomes = [Version::Http1, Version::Http2].map(|version| Outcome::of(version, &measured));
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    println!("{}\n\n{}", machine.line(), markdown(&outcomes));
    if let Some(path) = &args.json {
        let report = json!({ "machine": machine, "seconds": seconds, "rows": outcomes });
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    drop(bench);
    server.stop()?;
    Ok(ExitCode::SUCCESS)
}

struct FanOut<'a> {
    place: &'a Place,
    server: &'a Server,
    client: Client,
    requests: Vec<Request>,
    stream_arn: String,
    shards: Vec<String>,
    records: Records,
    disk: Disk,
    slice: Duration,
    rate: Option<f64>,
    /// Consumers registered so far: each slice has its own, because a shard is not given to a consumer twice within
    /// five seconds.
    consumers: u32,
}

/// The disk, the full rate, and a slice for each protocol.
struct Round {
    disk: Commits,
    full_rate: f64,
    http1: Slice,
    http2: Slice,
}

impl Round {
    fn slice(&self, version: Version) -> &Slice {
        match version {
            Version::Http1 => &self.http1,
            Version::Http2 => &self.http2,
        }
    }
}

/// A slice with subscribers.
struct Slice {
    /// Puts a second wanted, and had.
    rate: f64,
    achieved: f64,
    /// Nanoseconds.
    puts: Vec<u32>,
    events: Vec<u32>,
    event_count: usize,
    server_cpu: f64,
    /// The load generator's and the subscribers' together.
    load_cpu: f64,
    others_cpu: f64,
}

impl FanOut<'_> {
    fn round(&mut self) -> Result<Round> {
        self.server.pause()?;
        let disk = self.disk.commits(self.place.server_core, Duration::from_secs(1).min(self.slice / 4));
        self.server.resume()?;
        let disk = disk?;
        let full = load::run(self.server.addr(), CONNECTIONS, self.slice / 2, &mut Rounds::new(&self.requests))?;
        let full_rate = full.rate();
        let rate = self.rate.unwrap_or(full_rate * SHARE);
        let http1 = self.slice(Version::Http1, rate)?;
        let http2 = self.slice(Version::Http2, rate)?;
        Ok(Round { disk, full_rate, http1, http2 })
    }

    fn slice(&mut self, version: Version, rate: f64) -> Result<Slice> {
        self.consumers += 1;
        let name = format!("consumer-{}", self.consumers);
        let arn = stream::register(&mut self.client, &self.stream_arn, &name)?;
        let epoch = Instant::now();
        let consumers = vec![Consumer { arn: arn.clone(), shards: self.shards.clone() }];
        let subscribers = Subscribers::start(self.server.addr(), self.place.load_core, version, consumers, epoch)?;
        let mut work = Stamped::new(self.server.addr(), self.records, epoch)?;
        let (server, own, busy) =
            (self.server.cpu()?, proc::process_cpu(std::process::id())?, self.place.cores_busy()?);
        let puts = load::run_paced(self.server.addr(), CONNECTIONS, self.slice, rate, &mut work)?;
        let server = self.server.cpu()?.saturating_sub(server);
        let own = proc::process_cpu(std::process::id())?.saturating_sub(own);
        let busy = self.place.cores_busy()?.saturating_sub(busy);
        subscribers.wait(work.sent, LAST_WITHIN);
        let logs = subscribers.stop()?;
        each_once(&logs, work.sent)?;
        self.client.kinesis("DeregisterStreamConsumer", &json!({ "ConsumerARN": arn }))?;
        let of_slice = |time: Duration| time.as_secs_f64() / puts.elapsed.as_secs_f64();
        let slice = Slice {
            rate,
            achieved: puts.rate(),
            events: logs.iter().flat_map(|log| log.latencies.iter().copied()).collect(),
            event_count: logs.iter().flat_map(|log| &log.arrivals).filter(|event| event.records > 0).count(),
            server_cpu: of_slice(server),
            load_cpu: of_slice(own),
            others_cpu: of_slice(busy.saturating_sub(server).saturating_sub(own)),
            puts: puts.latencies,
        };
        let p50 = percentile(&mut slice.events.clone(), 50.0).unwrap_or(0) / 1000;
        eprintln!("  {}: {rate:.0} puts/s wanted, {:.0} had, events p50 {p50} µs", version.name(), slice.achieved);
        Ok(slice)
    }
}

/// A line of the table: medians over the rounds that count; the percentiles are those of all their records together.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    number: u8,
    work: &'static str,
    full_rate: f64,
    rate: f64,
    achieved: f64,
    records_per_event: f64,
    put_p50_ms: f64,
    put_p99_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    disk: Commits,
    /// Median latency in medians of the disk.
    ratio: f64,
    target_of_disk: f64,
    target_ms: f64,
    server_cpu: f64,
    load_cpu: f64,
    others_cpu: f64,
    rounds_kept: usize,
    rounds_discarded: usize,
    verdict: &'static str,
}

impl Outcome {
    fn of(version: Version, all: &[Round]) -> Result<Self> {
        let steady = steady(&all.iter().map(|round| round.disk.p50_us).collect::<Vec<_>>());
        let rounds: Vec<&Round> = all.iter().zip(steady).filter_map(|(round, kept)| kept.then_some(round)).collect();
        let of = |f: &dyn Fn(&Round) -> f64| median(&rounds.iter().map(|round| f(round)).collect::<Vec<_>>());
        let of_slices = |f: fn(&Slice) -> f64| of(&|round| f(round.slice(version))).ok_or("no round counts");
        let of_disk = |f: fn(&Commits) -> f64| of(&|round| f(&round.disk)).ok_or("no round counts");
        let p = |p, of: fn(&Slice) -> &Vec<u32>| {
            let mut all: Vec<u32> = rounds.iter().flat_map(|round| of(round.slice(version)).iter().copied()).collect();
            percentile(&mut all, p).map_or(0.0, |nanos| f64::from(nanos) / 1e6)
        };
        let disk = Commits {
            per_second: of_disk(|disk| disk.per_second)?,
            p50_us: of_disk(|disk| disk.p50_us)?,
            p99_us: of_disk(|disk| disk.p99_us)?,
        };
        let p50_ms = p(50.0, |slice| &slice.events);
        let mut outcome = Self {
            number: 10,
            work: match version {
                Version::Http1 => "put → event, HTTP/1.1",
                Version::Http2 => "put → event, HTTP/2",
            },
            full_rate: of(&|round| round.full_rate).ok_or("no round counts")?,
            rate: of_slices(|slice| slice.rate)?,
            achieved: of_slices(|slice| slice.achieved)?,
            records_per_event: of_slices(|slice| slice.events.len() as f64 / slice.event_count.max(1) as f64)?,
            put_p50_ms: p(50.0, |slice| &slice.puts),
            put_p99_ms: p(99.0, |slice| &slice.puts),
            p50_ms,
            p99_ms: p(99.0, |slice| &slice.events),
            ratio: p50_ms * 1e3 / disk.p50_us,
            disk,
            target_of_disk: TARGET_OF_DISK,
            target_ms: TARGET_MS,
            server_cpu: of_slices(|slice| slice.server_cpu)?,
            load_cpu: of_slices(|slice| slice.load_cpu)?,
            others_cpu: of_slices(|slice| slice.others_cpu)?,
            rounds_kept: rounds.len(),
            rounds_discarded: all.len() - rounds.len(),
            verdict: "",
        };
        outcome.verdict = outcome.verdict();
        Ok(outcome)
    }

    fn verdict(&self) -> &'static str {
        match () {
            () if self.load_cpu > SATURATED => "void: load generator saturated",
            () if self.achieved < self.rate * KEPT_UP => "void: rate not kept",
            () if self.others_cpu > LOUD => "void: machine not quiet",
            () if self.ratio <= self.target_of_disk && self.p50_ms <= self.target_ms => "target",
            () => "below",
        }
    }
}

fn markdown(outcomes: &[Outcome]) -> String {
    let columns = [
        "#",
        "work",
        "full puts/s",
        "puts/s",
        "records/event",
        "put p50 ms",
        "put p99 ms",
        "p50 ms",
        "p99 ms",
        "disk p50 µs",
        "p50 ÷ disk p50",
        "target",
        "verdict",
        "rounds",
        "load CPU",
        "server CPU",
        "others' CPU",
    ];
    let percent = |fraction: f64| format!("{:.0} %", fraction * 100.0);
    let cells = |outcome: &Outcome| {
        vec![
            outcome.number.to_string(),
            outcome.work.into(),
            thousands(outcome.full_rate),
            thousands(outcome.achieved),
            format!("{:.1}", outcome.records_per_event),
            format!("{:.2}", outcome.put_p50_ms),
            format!("{:.2}", outcome.put_p99_ms),
            format!("{:.2}", outcome.p50_ms),
            format!("{:.2}", outcome.p99_ms),
            format!("{:.0}", outcome.disk.p50_us),
            format!("{:.1}", outcome.ratio),
            format!("≤ {:.0} and ≤ {:.0} ms", outcome.target_of_disk, outcome.target_ms),
            outcome.verdict.into(),
            format!("{} kept, {} not", outcome.rounds_kept, outcome.rounds_discarded),
            percent(outcome.load_cpu),
            percent(outcome.server_cpu),
            percent(outcome.others_cpu),
        ]
    };
    let mut out = grid(&columns, &outcomes.iter().map(cells).collect::<Vec<_>>());
    if outcomes.iter().any(|outcome| outcome.others_cpu > QUIET) {
        out += "\nOther work disturbed the two cores: repeat on a quiet machine.\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(disk_us: f64, events: &[u32]) -> Round {
        let slice = || Slice {
            rate: 100.0,
            achieved: 99.0,
            puts: vec![1_000_000],
            events: events.to_vec(),
            event_count: 1,
            server_cpu: 0.5,
            load_cpu: 0.4,
            others_cpu: 0.0,
        };
        let disk = Commits { per_second: 1.0, p50_us: disk_us, p99_us: disk_us };
        Round { disk, full_rate: 200.0, http1: slice(), http2: slice() }
    }

    #[test]
    fn latency_is_judged_by_the_disk_and_by_the_clock() {
        for (disk_us, nanos, expected) in [
            (100.0, 800_000, "target"),
            (100.0, 810_000, "below"),
            (200.0, 1_000_000, "target"),
            (200.0, 1_010_000, "below"),
        ] {
            let outcome = Outcome::of(Version::Http2, &[round(disk_us, &[nanos])]).unwrap();
            assert_eq!(outcome.verdict, expected, "{disk_us} µs, {nanos} ns: {outcome:?}");
        }
    }

    #[test]
    fn rounds_with_a_straying_disk_do_not_count() {
        let rounds = [round(100.0, &[1]), round(100.0, &[1]), round(300.0, &[u32::MAX])];
        let outcome = Outcome::of(Version::Http1, &rounds).unwrap();
        assert_eq!((outcome.rounds_kept, outcome.rounds_discarded), (2, 1));
        assert!(outcome.p99_ms < 1.0);
    }
}
