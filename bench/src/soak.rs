//! Puts N GiB, restarts the server, drains and compares every record, and lets it all expire; watches memory and
//! disk meanwhile.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::load::{self, Request, Slice, Want, Work};
use crate::record::Records;
use crate::request::{Renderer, STREAM, put_body};
use crate::rows::{Operation, SHARDS};
use crate::server::Server;
use crate::stats::percentile;
use crate::verify::Samples;
use crate::{Place, Result, proc, stream};

/// What fills a stream.
pub(crate) const PUT: Operation = Operation::PutRecords { records: 500 };
const DATA_BYTES: usize = 1024;
const CONNECTIONS: usize = 8;
/// Between two looks at the server's memory.
const SAMPLE_EVERY: Duration = Duration::from_millis(50);
/// A little more than the 24 hours of retention, in milliseconds.
const PAST_RETENTION_MS: u64 = 25 * 3600 * 1000;
/// Files follow retention within this time.
const FALL_WITHIN: Duration = Duration::from_secs(60);

/// Options of the soak.
#[derive(Args, Clone, Debug)]
pub(crate) struct SoakArgs {
    /// GiB of record data to put.
    #[arg(long, default_value_t = 10.0, value_parser = parse_gib)]
    gib: f64,
    /// Resident memory that the server must not exceed, in MB.
    #[arg(long, default_value_t = 200)]
    max_rss_mb: u64,
    /// Also writes the result to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn parse_gib(text: &str) -> std::result::Result<f64, String> {
    let gib: f64 = text.parse().map_err(|_| "not a number")?;
    if (0.001..=1000.0).contains(&gib) { Ok(gib) } else { Err("not between 0.001 and 1000".into()) }
}

/// Runs the soak and prints what came of it; success only if every line of it is right.
///
/// # Errors
/// If a step cannot be done, or a record is missing, doubled or changed.
pub(crate) fn run(args: &SoakArgs) -> Result<ExitCode> {
    let binary = args.place.binary()?;
    let base = args.place.base()?;
    let requests = ((args.gib * (1u64 << 30) as f64) / (DATA_BYTES as f64 * f64::from(PUT.records()))).ceil() as u64;
    let total = requests * u64::from(PUT.records());
    let payload = total * DATA_BYTES as u64;
    let (needed, free) = (payload * 3 / 2 + (4 << 30), proc::free_bytes(&base)?);
    if free < needed {
        return Err(format!("{} GiB are free, this takes {} GiB", free >> 30, needed >> 30).into());
    }
    proc::pin(args.place.load_core)?;
    let dir = tempfile::Builder::new().prefix("soak-").tempdir_in(&base)?;
    let data = dir.path().join("data");
    let records = Records { seed: 0x50a4, data_bytes: DATA_BYTES };

    let server = args.place.start_levada(&binary, &data, &["--test-controls"])?;
    stream::create(&mut Client::new(server.addr())?, STREAM, SHARDS)?;
    let (put, put_rss) = watched(&server, || fill(&server, records, requests))?;
    println!(
        "put      {total} records of {DATA_BYTES} B, {} in {:.1} s: {}",
        gib(payload),
        put.elapsed.as_secs_f64(),
        put_line(&put)
    );
    println!("memory   at most {} MB resident while putting", put_rss / 1_000_000);
    server.stop()?;
    println!("disk     {} after the put", gib(proc::dir_bytes(&data)?));

    let restarting = Instant::now();
    let server = args.place.start_levada(&binary, &data, &["--test-controls"])?;
    let restart = restarting.elapsed();
    println!("restart  ready after {:.2} s", restart.as_secs_f64());
    let draining = Instant::now();
    let (drained, drain_rss) = watched(&server, || drain(&server, records, total))?;
    let drain_time = draining.elapsed();
    println!("drained  {drained} records, each exactly once and unchanged, in {:.1} s", drain_time.as_secs_f64());
    println!("memory   at most {} MB resident while draining", drain_rss / 1_000_000);

    let before = proc::dir_bytes(&data)?;
    let (after, fell) = expire(&server, &data, payload)?;
    println!("expired  disk {} → {} within {:.1} s of passing retention", gib(before), gib(after), fell.as_secs_f64());
    let rss_ok = put_rss.max(drain_rss) <= args.max_rss_mb * 1_000_000;
    let disk_ok = has_fallen(before, after, payload);
    println!("verdict  memory ≤ {} MB: {}; disk falls: {}", args.max_rss_mb, yes(rss_ok), yes(disk_ok));
    if let Some(path) = &args.json {
        let result = json!({
            "records": total, "payload_bytes": payload,
            "put_s": put.elapsed.as_secs_f64(), "put_per_second": put.rate(),
            "peak_rss_put": put_rss, "peak_rss_drain": drain_rss,
            "restart_s": restart.as_secs_f64(), "drain_s": drain_time.as_secs_f64(),
            "disk_before_expiry": before, "disk_after_expiry": after, "expiry_s": fell.as_secs_f64(),
        });
        std::fs::write(path, serde_json::to_vec_pretty(&result)?)?;
    }
    server.stop()?;
    Ok(if rss_ok && disk_ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts `requests` requests, every record of its own, and reads a sample back.
///
/// # Errors
/// If a put fails, or a record cannot be read back.
pub(crate) fn fill(server: &Server, records: Records, requests: u64) -> Result<Slice> {
    let renderer = Renderer::new(server.addr().to_string())?;
    let mut work = Fill { renderer, records, next: 0, requests, samples: Samples::default() };
    let slice = load::run(server.addr(), CONNECTIONS, Duration::from_secs(24 * 3600), &mut work)?;
    work.samples.read_back(&mut Client::new(server.addr())?, &records)?;
    Ok(slice)
}

struct Fill {
    renderer: Renderer,
    records: Records,
    next: u64,
    requests: u64,
    samples: Samples,
}

impl Work for Fill {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        if self.next == self.requests {
            return Ok(None);
        }
        let first = self.next * u64::from(PUT.records());
        self.next += 1;
        let body = put_body(PUT, &self.records, first);
        Ok(Some((first, Request::Memory(self.renderer.kinesis("PutRecords", &body)?))))
    }

    fn wants(&mut self, _: u64) -> Want {
        Want::Whole
    }

    fn answered(&mut self, first: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        self.samples.take(PUT, first, status, body)
    }
}

/// Runs `work` and answers its result with the most memory that was resident meanwhile.
fn watched<T>(server: &Server, work: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let done = AtomicBool::new(false);
    let pid = server.pid();
    let (result, most) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = proc::memory(pid).map_or(most, |m| most.max(m.rss));
                sleep(SAMPLE_EVERY);
            }
            most
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, watcher.join().unwrap_or(0))
    });
    let result = result.map_err(|e| format!("{e}\n{}", server.log_end()))?;
    // The kernel's own high-water mark also knows what happened between two looks.
    Ok((result, most.max(proc::memory(pid)?.peak_rss)))
}

/// Which serial numbers have been read.
pub(crate) struct Seen {
    bits: Vec<u64>,
    total: u64,
    /// How many have been read.
    pub(crate) count: u64,
}

impl Seen {
    /// None of `total` yet.
    pub(crate) fn new(total: u64) -> Self {
        Self { bits: vec![0; total.div_ceil(64) as usize], total, count: 0 }
    }

    /// Notes a serial number.
    ///
    /// # Errors
    /// If it is unknown or was there before.
    pub(crate) fn note(&mut self, serial: u64) -> Result<()> {
        if serial >= self.total {
            return Err(format!("record {serial} was never put").into());
        }
        let word = &mut self.bits[(serial / 64) as usize];
        let bit = 1 << (serial % 64);
        if *word & bit != 0 {
            return Err(format!("record {serial} is there twice").into());
        }
        *word |= bit;
        self.count += 1;
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page<'a> {
    #[serde(borrow)]
    records: Vec<Read<'a>>,
    next_shard_iterator: Option<String>,
    millis_behind_latest: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Read<'a> {
    sequence_number: &'a str,
    partition_key: &'a str,
    data: &'a str,
}

/// Reads all shards at once, from the trim horizon to the tip; every one of `total` records must come once.
///
/// # Errors
/// If a record is missing, doubled or changed.
pub(crate) fn drain(server: &Server, records: Records, total: u64) -> Result<u64> {
    let seen = Mutex::new(Seen::new(total));
    let shards = Client::new(server.addr())?.kinesis("ListShards", &json!({ "StreamName": STREAM }))?;
    let shards: Vec<_> =
        shards["Shards"].as_array().into_iter().flatten().filter_map(|s| s["ShardId"].as_str()).collect();
    if shards.len() != SHARDS as usize {
        return Err(format!("{} shards instead of {SHARDS}", shards.len()).into());
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            shards.iter().map(|shard| scope.spawn(|| drain_shard(server, records, shard, &seen))).collect();
        for thread in threads {
            thread.join().unwrap_or_else(|_| Err("a drain panicked".into()))?;
        }
        Ok::<_, crate::Error>(())
    })?;
    let count = seen.into_inner()?.count;
    if count == total {
        Ok(count)
    } else {
        Err(format!("{} of {total} acknowledged records are lost", total - count).into())
    }
}

fn drain_shard(server: &Server, records: Records, shard: &str, seen: &Mutex<Seen>) -> Result<()> {
    let mut client = Client::new(server.addr())?;
    let start = json!({ "StreamName": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let answer = client.kinesis("GetShardIterator", &start)?;
    let mut iterator = answer["ShardIterator"].as_str().map(str::to_owned);
    let mut last = String::new();
    while let Some(from) = iterator {
        let input = json!({ "ShardIterator": from, "Limit": 10_000 });
        let body = client.kinesis_bytes("GetRecords", input.to_string().as_bytes())?;
        let page: Page<'_> = serde_json::from_slice(&body)?;
        let mut serials = Vec::with_capacity(page.records.len());
        for record in &page.records {
            if record.sequence_number <= last.as_str() {
                return Err(format!("{shard}: sequence number {} after {last}", record.sequence_number).into());
            }
            record.sequence_number.clone_into(&mut last);
            let data = base64_simd::STANDARD.decode_to_vec(record.data)?;
            serials.push(records.recognise(record.partition_key, &data)?);
        }
        {
            let mut seen = seen.lock().map_err(|_| "another drain failed")?;
            serials.into_iter().try_for_each(|serial| seen.note(serial))?;
        }
        let at_tip = page.records.is_empty() && page.millis_behind_latest == Some(0);
        iterator = page.next_shard_iterator.filter(|_| !at_tip);
    }
    Ok(())
}

/// Moves the server's clock past retention and waits for the files to go. Answers the bytes left and the time.
fn expire(server: &Server, data: &Path, payload: u64) -> Result<(u64, Duration)> {
    let before = proc::dir_bytes(data)?;
    let body = json!({ "advance_ms": PAST_RETENTION_MS }).to_string();
    Client::new(server.addr())?.post("/_levada/clock", &body)?;
    let start = Instant::now();
    let (mut lowest, mut lowest_at) = (before, Duration::ZERO);
    while start.elapsed() < FALL_WITHIN {
        let bytes = proc::dir_bytes(data)?;
        if bytes < lowest {
            (lowest, lowest_at) = (bytes, start.elapsed());
        }
        // Falling has begun and ended.
        if has_fallen(before, lowest, payload) && start.elapsed() > lowest_at + Duration::from_secs(5) {
            break;
        }
        sleep(Duration::from_millis(250));
    }
    Ok((lowest, lowest_at))
}

/// Nine tenths of what was put must go. What stays is the journal, whose segments are kept for reuse, and segments
/// that are still being written.
fn has_fallen(before: u64, after: u64, payload: u64) -> bool {
    before.saturating_sub(after) >= payload / 10 * 9
}

fn put_line(slice: &Slice) -> String {
    let mut latencies = slice.latencies.clone();
    let mut ms = |p| percentile(&mut latencies, p).map_or(0.0, |nanos| f64::from(nanos) / 1e6);
    let (p50, p99) = (ms(50.0), ms(99.0));
    format!(
        "{:.0} requests/s, p50 {p50:.2} ms, p99 {p99:.2} ms, load generator {:.0} % busy",
        slice.rate(),
        slice.cpu_fraction() * 100.0
    )
}

fn gib(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "NO" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_must_fall_by_most_of_the_payload() {
        for (before, after, fallen) in [(1300, 300, true), (1300, 400, true), (1300, 401, false), (1300, 1400, false)] {
            assert_eq!(has_fallen(before, after, 1000), fallen, "{before} to {after}");
        }
    }

    #[test]
    fn a_serial_number_is_seen_once() {
        let mut seen = Seen::new(130);
        for serial in [0, 63, 64, 129] {
            seen.note(serial).unwrap();
        }
        assert!(seen.note(63).is_err());
        assert!(seen.note(130).is_err());
        assert_eq!(seen.count, 4);
    }
}
