//! Many subscriptions at once: what each costs in memory, whether each hears a heartbeat in time, and how long a record
//! takes to one of them and to all.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::load;
use crate::record::Records;
use crate::report::{LOUD, Machine, grid, thousands};
use crate::request::STREAM;
use crate::server::Server;
use crate::stats::percentile;
use crate::subscriber::{Consumer, Log, Stamped, Subscribers, Version, each_once};
use crate::{Place, Result, proc, stream};

const DATA_BYTES: usize = 100;
/// Connections of the puts.
const CONNECTIONS: usize = 8;
/// What the service promises: an event at least so often.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How much later a heartbeat may be on a loopback connection.
const LATE: Duration = Duration::from_millis(250);
/// Wait for the last records.
const LAST_WITHIN: Duration = Duration::from_secs(30);

/// Options of the subscriptions.
#[derive(Args, Clone, Debug)]
pub(crate) struct SubscriptionsArgs {
    /// Shards of the stream, each with a subscription of every consumer.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1000))]
    shards: u32,
    /// Consumers; a stream has at most 20.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=20))]
    consumers: u32,
    /// Puts a second; every record goes to every consumer.
    #[arg(long, default_value_t = 250.0, value_name = "RATE", value_parser = crate::fan_out::parse_rate)]
    rate: f64,
    /// Seconds of silence, and then as many of puts.
    #[arg(long, default_value_t = 22.0, value_parser = crate::table::parse_seconds)]
    seconds: f64,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Subscribes over HTTP/1.1 and over HTTP/2, each with a server of its own, and prints a line for each.
///
/// # Errors
/// If a step cannot be done, or a record does not come to every consumer exactly once.
pub(crate) fn run(args: &SubscriptionsArgs) -> Result<ExitCode> {
    let (binary, base) = (args.place.binary()?, args.place.base()?);
    let machine = Machine::this(&args.place);
    proc::pin(args.place.load_core)?;
    let mut outcomes = Vec::new();
    for version in [Version::Http1, Version::Http2] {
        let dir = tempfile::Builder::new().prefix("subscriptions-").tempdir_in(&base)?;
        let server = args.place.start_levada(&binary, &dir.path().join("data"), &[])?;
        let outcome = measure(args, &server, version);
        outcomes.push(outcome.map_err(|e| format!("{}: {e}\n{}", version.name(), server.log_end()))?);
        server.stop()?;
    }
    println!("{}\n\n{}", machine.line(), markdown(&outcomes));
    if let Some(path) = &args.json {
        let report = json!({ "machine": machine, "seconds": args.seconds, "rows": outcomes });
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What one protocol came to.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    work: String,
    subscriptions: usize,
    subscribing_s: f64,
    rss_before: u64,
    rss_idle: u64,
    rss_busy: u64,
    bytes_per_subscription: f64,
    heartbeats: usize,
    silence_p50_s: f64,
    silence_max_s: f64,
    records: u64,
    pushed_per_second: f64,
    one_p50_ms: f64,
    one_p99_ms: f64,
    all_p50_ms: f64,
    all_p99_ms: f64,
    all_max_ms: f64,
    idle_server_cpu: f64,
    server_cpu: f64,
    /// The load generator's and the subscribers' together.
    load_cpu: f64,
    others_cpu: f64,
}

fn measure(args: &SubscriptionsArgs, server: &Server, version: Version) -> Result<Outcome> {
    let mut client = Client::new(server.addr())?;
    stream::create(&mut client, STREAM, args.shards)?;
    let (arn, shards) = (stream::arn(&mut client, STREAM)?, stream::shards(&mut client, STREAM)?);
    let consumers = (0..args.consumers).map(|i| {
        let arn = stream::register(&mut client, &arn, &format!("consumer-{i}"))?;
        Ok(Consumer { arn, shards: shards.clone() })
    });
    let consumers = consumers.collect::<Result<Vec<_>>>()?;
    let rss = || proc::memory(server.pid()).map(|memory| memory.rss);
    let rss_before = rss()?;
    let epoch = Instant::now();
    let subscribers = Subscribers::start(server.addr(), args.place.load_core, version, consumers, epoch)?;
    let stood = epoch.elapsed();

    let (cpu, period) = (server.cpu()?, Duration::from_secs_f64(args.seconds));
    sleep(period);
    let idle_server_cpu = server.cpu()?.saturating_sub(cpu).as_secs_f64() / args.seconds;
    let (silent_until, rss_idle) = (epoch.elapsed(), rss()?);

    let records = Records { seed: 0x5b5c, data_bytes: DATA_BYTES };
    let mut work = Stamped::new(server.addr(), records, epoch)?;
    let (cpu, own, busy) = (server.cpu()?, proc::process_cpu(std::process::id())?, args.place.cores_busy()?);
    let puts = load::run_paced(server.addr(), CONNECTIONS, period, args.rate, &mut work)?;
    let cpu = server.cpu()?.saturating_sub(cpu);
    let own = proc::process_cpu(std::process::id())?.saturating_sub(own);
    let busy = args.place.cores_busy()?.saturating_sub(busy);
    subscribers.wait(work.sent * u64::from(args.consumers), LAST_WITHIN);
    let rss_busy = rss()?;
    let logs = subscribers.stop()?;
    for (number, consumer) in logs.chunks(shards.len()).enumerate() {
        each_once(consumer, work.sent).map_err(|e| format!("consumer {number}: {e}"))?;
    }

    let of_puts = |time: Duration| time.as_secs_f64() / puts.elapsed.as_secs_f64();
    let mut gaps: Vec<u32> = logs.iter().flat_map(|log| silences(log, stood, silent_until)).collect();
    let mut one = logs.first().map(|log| log.latencies.clone()).unwrap_or_default();
    let mut all: Vec<u32> = logs.iter().flat_map(|log| log.latencies.iter().copied()).collect();
    let ms = |values: &mut Vec<u32>, p| percentile(values, p).map_or(0.0, |nanos| f64::from(nanos) / 1e6);
    let mut seconds = |p| percentile(&mut gaps, p).map_or(0.0, |ms| f64::from(ms) / 1e3);
    Ok(Outcome {
        work: format!("{} subscriptions, {}", logs.len(), version.name()),
        subscriptions: logs.len(),
        subscribing_s: stood.as_secs_f64(),
        rss_before,
        rss_idle,
        rss_busy,
        bytes_per_subscription: rss_idle.saturating_sub(rss_before) as f64 / logs.len() as f64,
        silence_p50_s: seconds(50.0),
        silence_max_s: seconds(100.0),
        heartbeats: logs.iter().flat_map(|log| &log.arrivals).filter(|event| event.records == 0).count(),
        records: work.sent,
        pushed_per_second: all.len() as f64 / puts.elapsed.as_secs_f64(),
        one_p50_ms: ms(&mut one, 50.0),
        one_p99_ms: ms(&mut one, 99.0),
        all_p50_ms: ms(&mut all, 50.0),
        all_p99_ms: ms(&mut all, 99.0),
        all_max_ms: ms(&mut all, 100.0),
        idle_server_cpu,
        server_cpu: of_puts(cpu),
        load_cpu: of_puts(own),
        others_cpu: of_puts(busy.saturating_sub(cpu).saturating_sub(own)),
    })
}

/// How long a subscription heard nothing, each time, in milliseconds, from the moment at which all stood until the
/// first put.
fn silences(log: &Log, stood: Duration, until: Duration) -> Vec<u32> {
    let events = log.arrivals.iter().map(|event| event.at).filter(|at| (stood..until).contains(at));
    let moments: Vec<Duration> = [stood].into_iter().chain(events).chain([until]).collect();
    // The last one is cut short by the puts, but may be the longest all the same.
    let gaps = moments.windows(2).map(|pair| u32::try_from((pair[1] - pair[0]).as_millis()).unwrap_or(u32::MAX));
    let mut gaps: Vec<u32> = gaps.collect();
    let last = gaps.pop();
    gaps.extend(last.filter(|last| u128::from(*last) > HEARTBEAT.as_millis()));
    gaps
}

impl Outcome {
    fn verdict(&self) -> &'static str {
        match () {
            () if self.silence_max_s <= (HEARTBEAT + LATE).as_secs_f64() => "in time",
            () if self.others_cpu > LOUD => "void: machine not quiet",
            () => "heartbeats late",
        }
    }
}

fn markdown(outcomes: &[Outcome]) -> String {
    let columns = [
        "work",
        "subscribing s",
        "RSS before MB",
        "idle MB",
        "busy MB",
        "KiB each",
        "silence p50 s",
        "silence max s",
        "verdict",
        "records pushed/s",
        "one p50 ms",
        "one p99 ms",
        "all p50 ms",
        "all p99 ms",
        "all max ms",
        "server CPU idle/busy",
        "load CPU",
        "others' CPU",
    ];
    let percent = |fraction: f64| format!("{:.0} %", fraction * 100.0);
    let cells = |outcome: &Outcome| {
        vec![
            outcome.work.clone(),
            format!("{:.2}", outcome.subscribing_s),
            thousands(outcome.rss_before as f64 / 1e6),
            thousands(outcome.rss_idle as f64 / 1e6),
            thousands(outcome.rss_busy as f64 / 1e6),
            format!("{:.1}", outcome.bytes_per_subscription / 1024.0),
            format!("{:.2}", outcome.silence_p50_s),
            format!("{:.2}", outcome.silence_max_s),
            outcome.verdict().into(),
            thousands(outcome.pushed_per_second),
            format!("{:.2}", outcome.one_p50_ms),
            format!("{:.2}", outcome.one_p99_ms),
            format!("{:.2}", outcome.all_p50_ms),
            format!("{:.2}", outcome.all_p99_ms),
            format!("{:.2}", outcome.all_max_ms),
            format!("{} / {}", percent(outcome.idle_server_cpu), percent(outcome.server_cpu)),
            percent(outcome.load_cpu),
            percent(outcome.others_cpu),
        ]
    };
    grid(&columns, &outcomes.iter().map(cells).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subscriber::Arrival;

    #[test]
    fn silences_are_those_between_events_and_the_edges() {
        let seconds = Duration::from_secs;
        let log = |at: &[u64]| {
            let arrivals = at.iter().map(|at| Arrival { at: seconds(*at), records: 0 }).collect();
            Log { arrivals, ..Log::default() }
        };
        for (at, expected) in [
            (&[1, 7, 12, 16][..], &[5000, 5000, 4000][..]),
            (&[7], &[5000, 13_000]),
            (&[], &[18_000]),
            (&[3, 8, 13, 18, 30], &[1000, 5000, 5000, 5000]),
        ] {
            assert_eq!(silences(&log(at), seconds(2), seconds(20)), expected, "{at:?}");
        }
    }
}
