//! Runs rows: for each, slices of the yardsticks and of the server in turn, until enough pairs count.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::disk::{Commits, Disk};
use crate::load::{Request, Want, Work};
use crate::measured::{Measured, Rounds, side};
use crate::metrics::{Backlog, backlog};
use crate::record::Records;
use crate::report::{self, Machine, PairReport, Report, RowOutcome, RowReport, Sustained};
use crate::request::{Renderer, Ring, STREAM, put_body, wire_name};
use crate::rows::{GOAL_OF_TARGET, ROWS, Row, SHARDS};
use crate::server::Server;
use crate::stats::{median, steady};
use crate::verify::Samples;
use crate::{Place, Result, build, proc, stream};

/// Room that is always left on the disk.
const SPARE_BYTES: u64 = 4 << 30;
/// Longest disk yardstick in a pair.
const DISK_SLICE: Duration = Duration::from_secs(1);
/// Longest warm-up of each server.
const WARM_UP: Duration = Duration::from_secs(2);
/// Longest wait for the backlog to go back to where it started.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(180);
/// A backlog that has not moved for so long is not going to.
const CATCH_UP_STILL: Duration = Duration::from_secs(3);
/// Seed of the records: every run puts the same ones.
const SEED: u64 = 0x1e7a_da00;

/// Options of the table.
#[derive(Args, Clone, Debug)]
pub(crate) struct TableArgs {
    /// Rows to run.
    #[arg(long, value_delimiter = ',', default_values_t = ROWS.iter().map(|r| r.number))]
    rows: Vec<u8>,
    /// Seconds of load on each side of a row, all its pairs together.
    #[arg(long, default_value_t = 60.0, value_parser = parse_seconds)]
    seconds: f64,
    /// Pairs of yardstick and server that must count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// Three pairs of five seconds, for a first impression.
    #[arg(long, conflicts_with_all = ["seconds", "pairs"])]
    quick: bool,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A row that has filled so many GiB of disk stops early, and says so.
    #[arg(long, default_value_t = 60)]
    max_disk_gib: u64,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn parse_seconds(text: &str) -> std::result::Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number")?;
    if (0.1..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err("not between 0.1 and 86400".into()) }
}

/// Runs the rows, prints the table, writes the JSON.
///
/// # Errors
/// If nothing can be measured at all; a row that fails is a line of the table.
pub(crate) fn run(args: &TableArgs) -> Result<ExitCode> {
    let (seconds, pairs) = if args.quick { (15.0, 3) } else { (args.seconds, args.pairs) };
    let rows = args
        .rows
        .iter()
        .map(|n| ROWS.iter().find(|r| r.number == *n).ok_or_else(|| format!("there is no row {n}")))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let bench = Bench {
        levada: args.place.binary()?,
        base: args.place.base()?,
        place: args.place.clone(),
        pairs: pairs as usize,
        slice: Duration::from_secs_f64(seconds / f64::from(pairs)),
        max_disk: args.max_disk_gib << 30,
    };
    let mut report = Report { machine: Machine::this(&args.place), seconds, rows: Vec::new() };
    proc::pin(args.place.load_core)?;
    for row in rows {
        eprintln!("row {}: {} ...", row.number, row.work);
        let outcome =
            bench.row(row).map_or_else(|e| RowOutcome::Failed(e.to_string()), |r| RowOutcome::Measured(Box::new(r)));
        report.rows.push((row, outcome));
    }
    println!("{}", report.markdown());
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report.json())?)?;
    }
    let failed = report.rows.iter().any(|(_, outcome)| matches!(outcome, RowOutcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Place {
    /// The binary under test, built if none was named.
    ///
    /// # Errors
    /// If it cannot be built.
    pub(crate) fn binary(&self) -> Result<PathBuf> {
        if self.server_core == self.load_core {
            return Err("the server and the load generator need a core each".into());
        }
        self.levada.clone().map_or_else(build::levada, Ok)
    }

    /// The directory in which data directories are made.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn base(&self) -> Result<PathBuf> {
        let beside = || Ok::<_, crate::Error>(std::env::current_exe()?.with_file_name("bench-data"));
        let base = self.data_dir.clone().map_or_else(beside, Ok)?;
        std::fs::create_dir_all(&base)?;
        Ok(base)
    }

    /// Starts `levada serve` on a free port.
    ///
    /// # Errors
    /// If it does not become ready.
    pub(crate) fn start_levada(&self, binary: &Path, data_dir: &Path, more: &[&str]) -> Result<Server> {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", "127.0.0.1:0", "--limits", "open", "--data-dir"]).arg(data_dir).args(more);
        Server::start(command, self.server_core, &data_dir.with_extension("log"))
    }
}

/// What all rows have in common.
struct Bench {
    levada: PathBuf,
    base: PathBuf,
    place: Place,
    pairs: usize,
    /// Load on each side of a pair.
    slice: Duration,
    /// Bytes of disk a row may fill.
    max_disk: u64,
}

/// One row under way.
struct Run<'a> {
    bench: &'a Bench,
    row: &'a Row,
    disk: Disk,
    null: Server,
    levada: Server,
    null_requests: Vec<Request>,
    levada_requests: Vec<Request>,
    ring: Ring,
    samples: Samples,
    free_at_start: u64,
}

struct Pair {
    disk: Commits,
    null: Measured,
    levada: Measured,
    backlog: Option<Backlog>,
}

impl Bench {
    fn row(&self, row: &Row) -> Result<RowReport> {
        let dir = tempfile::Builder::new().prefix("row-").tempdir_in(&self.base)?;
        let free_at_start = proc::free_bytes(dir.path())?;
        let disk = Disk::create(dir.path())?;
        let levada = self.place.start_levada(&self.levada, &dir.path().join("data"), &[])?;
        let mut client = Client::new(levada.addr())?;
        stream::create(&mut client, STREAM, SHARDS)?;
        let ring = Ring {
            operation: row.operation,
            records: Records { seed: SEED, data_bytes: row.data_bytes },
            bodies: row.ring,
        };
        let first = put_body(row.operation, &ring.records, 0);
        let reply_bytes = client.kinesis_bytes(wire_name(row.operation), &first)?.len();
        let hash_compared = client.kinesis_with_false_hash(wire_name(row.operation), &first)?.0 >= 400;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["null", "--reply-bytes", &reply_bytes.to_string()]);
        let null = Server::start(command, self.place.server_core, &dir.path().join("null.log"))?;
        let mut run = Run {
            bench: self,
            row,
            disk,
            null_requests: ring.requests(&Renderer::new(null.addr().to_string())?)?,
            levada_requests: ring.requests(&Renderer::new(levada.addr().to_string())?)?,
            null,
            levada,
            ring,
            samples: Samples::default(),
            free_at_start,
        };
        let outcome = run.measure();
        let mut report = outcome.map_err(|e| format!("{e}\n{}", run.levada.log_end()))?;
        report.hash_compared = hash_compared;
        if !hash_compared {
            report.notes.push("the server does not compare the body's SHA-256".into());
        }
        if let Err(error) = run.levada.stop() {
            report.notes.push(format!("after SIGTERM the server {error}"));
        }
        Ok(report)
    }
}

impl Run<'_> {
    fn measure(&mut self) -> Result<RowReport> {
        let warm_up = WARM_UP.min(self.bench.slice);
        self.null_slice(warm_up)?;
        self.levada_slice(warm_up)?;
        let backlog_start = backlog(self.levada.addr());
        let (mut pairs, mut kept) = (Vec::new(), Vec::new());
        // Noise may take as many pairs again as are wanted; after that the report says that it did.
        while kept.iter().filter(|k| **k).count() < self.bench.pairs && pairs.len() < 2 * self.bench.pairs {
            let pair = self.pair()?;
            let halted = pair.levada.slice.halted.is_some();
            pairs.push(pair);
            kept = steady(&pairs.iter().map(|p| p.null.slice.rate()).collect::<Vec<_>>());
            if halted {
                break;
            }
        }
        let catch_up = backlog_start.as_ref().and_then(|start| catch_up(self.levada.addr(), start.value));
        let memory = proc::memory(self.levada.pid())?;
        let disk_written = proc::disk_written(self.levada.pid())?;
        let read_back = self.samples.read_back(&mut Client::new(self.levada.addr())?, &self.ring.records)?;
        let mut report = summarise(self.row, self.bench.pairs, pairs, &kept, backlog_start, catch_up)?;
        (report.memory, report.disk_written_bytes) = (memory, disk_written);
        (report.answers_checked, report.records_read_back) = (self.samples.checked, read_back);
        Ok(report)
    }

    /// The yardsticks, then the server, which stands still meanwhile: its background work belongs to its own time.
    fn pair(&mut self) -> Result<Pair> {
        self.levada.pause()?;
        let disk = self.disk.commits(self.bench.place.server_core, DISK_SLICE.min(self.bench.slice / 4))?;
        let null = self.null_slice(self.bench.slice)?;
        self.levada.resume()?;
        let levada = self.levada_slice(self.bench.slice)?;
        let backlog = backlog(self.levada.addr());
        eprintln!(
            "  disk {:.0}/s   null {:.0}/s   levada {:.0}/s   ratio {:.3}",
            disk.per_second,
            null.slice.rate(),
            levada.slice.rate(),
            levada.slice.rate() / null.slice.rate()
        );
        Ok(Pair { disk, null, levada, backlog })
    }

    fn null_slice(&self, period: Duration) -> Result<Measured> {
        let mut work = Rounds::new(&self.null_requests);
        self.bench.place.measured(&self.null, self.row.connections, period, &mut work)
    }

    fn levada_slice(&mut self, period: Duration) -> Result<Measured> {
        let mut samples = std::mem::take(&mut self.samples);
        let mut work = LevadaWork {
            requests: &self.levada_requests,
            next: 0,
            ring: &self.ring,
            samples: &mut samples,
            dir: &self.bench.base,
            least_free: SPARE_BYTES.max(self.free_at_start.saturating_sub(self.bench.max_disk)),
        };
        let measured = self.bench.place.measured(&self.levada, self.row.connections, period, &mut work);
        self.samples = samples;
        measured
    }
}

/// Sends the ring, checks a sample of the answers, and minds the disk.
struct LevadaWork<'a> {
    requests: &'a [Request],
    next: usize,
    ring: &'a Ring,
    samples: &'a mut Samples,
    dir: &'a Path,
    least_free: u64,
}

impl Work for LevadaWork<'_> {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        let index = self.next % self.requests.len();
        self.next += 1;
        Ok(Some((index as u64, self.requests[index].clone())))
    }

    fn wants(&mut self, _: u64) -> Want {
        Want::whole_if(self.samples.wants())
    }

    fn answered(&mut self, number: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        self.samples.take(self.ring.operation, self.ring.first_serial(number as usize), status, body)
    }

    fn halt(&mut self) -> Option<String> {
        let free = proc::free_bytes(self.dir).ok()?;
        (free < self.least_free).then(|| format!("stopped early, the disk share is used up ({} MiB free)", free >> 20))
    }
}

/// How long the server, left alone, needs until its backlog is at `start` again. `None` if that never happens.
fn catch_up(addr: SocketAddr, start: f64) -> Option<Duration> {
    let begun = Instant::now();
    let (mut lowest, mut lowest_at) = (f64::INFINITY, begun);
    loop {
        let now = Instant::now();
        let value = backlog(addr)?.value;
        if value <= start {
            return Some(now - begun);
        }
        if value < lowest {
            (lowest, lowest_at) = (value, now);
        }
        if now - lowest_at > CATCH_UP_STILL || now - begun > CATCH_UP_WITHIN {
            return None;
        }
        sleep(Duration::from_millis(20));
    }
}

fn summarise(
    row: &Row,
    wanted: usize,
    mut pairs: Vec<Pair>,
    kept: &[bool],
    backlog_start: Option<Backlog>,
    catch_up: Option<Duration>,
) -> Result<RowReport> {
    let requests: u64 = pairs.iter().map(|p| p.levada.slice.requests).sum();
    let loaded: Duration = pairs.iter().map(|p| p.levada.slice.elapsed).sum();
    let backlog_end = pairs.last().and_then(|p| p.backlog.clone());
    let backlog_most = pairs
        .iter()
        .filter_map(|p| Some(p.backlog.as_ref()?.value))
        .fold(None, |a: Option<f64>, b| Some(a.map_or(b, |a| a.max(b))));
    let mut notes: Vec<String> = pairs.iter().filter_map(|p| p.levada.slice.halted.clone()).collect();
    let listed = pairs.iter().zip(kept).map(|(p, kept)| p.report(*kept)).collect();

    let mut keep = kept.iter();
    pairs.retain(|_| keep.next() == Some(&true));
    let null = side(pairs.iter().map(|p| &p.null))?;
    let levada = side(pairs.iter().map(|p| &p.levada))?;
    let of_pairs = |f: &dyn Fn(&Pair) -> f64| median(&pairs.iter().map(f).collect::<Vec<_>>()).unwrap_or(0.0);
    let ratio = of_pairs(&|p| p.levada.slice.rate() / p.null.slice.rate());
    let disk = Commits {
        per_second: of_pairs(&|p| p.disk.per_second),
        p50_us: of_pairs(&|p| p.disk.p50_us),
        p99_us: of_pairs(&|p| p.disk.p99_us),
    };
    let sustained = catch_up.map(|idle| {
        let per_second = requests as f64 / (loaded + idle).as_secs_f64();
        Sustained { per_second, ratio: ratio * per_second / levada.per_second, catch_up_s: idle.as_secs_f64() }
    });
    remark(&mut notes, pairs.len(), wanted, null.others_cpu);
    if let (Some(start), Some(end)) = (&backlog_start, &backlog_end)
        && end.value > start.value
    {
        notes.push(backlog_note(row, requests, start.value, end.value, sustained.is_some()));
    }
    let discarded = kept.len() - pairs.len();
    Ok(RowReport {
        number: row.number,
        work: row.work,
        records_per_request: row.operation.records(),
        data_bytes: row.data_bytes,
        connections: row.connections,
        shards: SHARDS,
        records_per_second: levada.per_second * f64::from(row.operation.records()),
        null,
        levada,
        ratio,
        sustained,
        target: row.target,
        goal: row.target * GOAL_OF_TARGET,
        loaded_s: loaded.as_secs_f64(),
        pairs_kept: pairs.len(),
        pairs_discarded: discarded,
        disk,
        backlog_start,
        backlog_end,
        backlog_most,
        notes,
        pairs: listed,
        ..RowReport::default()
    })
}

/// What keeps a row from being a result.
fn remark(notes: &mut Vec<String>, kept: usize, wanted: usize, others_cpu: f64) {
    if kept < wanted {
        notes.push(format!("only {kept} of {wanted} pairs count"));
    }
    if others_cpu > report::QUIET {
        let percent = others_cpu * 100.0;
        notes.push(format!(
            "something else used {percent:.0} % of a core beside the yardstick: repeat on a quiet machine"
        ));
    }
    if kept < 5 {
        notes.push("fewer than five pairs: an impression, not a result".into());
    }
}

fn backlog_note(row: &Row, requests: u64, start: f64, end: f64, went_back: bool) -> String {
    let back = if went_back { "and went back when left alone" } else { "and did not go back" };
    let put = requests as f64 * f64::from(row.operation.records()) * row.data_bytes as f64;
    let share = (end - start) / put * 100.0;
    format!("the backlog grew from {start:.0} to {end:.0}, {share:.1} % of the data put, {back}")
}

impl Pair {
    fn report(&self, kept: bool) -> PairReport {
        PairReport {
            kept,
            disk: self.disk,
            null_per_second: self.null.slice.rate(),
            levada_per_second: self.levada.slice.rate(),
            seconds: self.levada.slice.elapsed.as_secs_f64(),
            backlog: self.backlog.as_ref().map(|b| b.value),
        }
    }
}
