//! Row 8: a stream is read from its beginning to its end in the largest pages, from segments that the page cache does
//! not hold, beside a server that answers pages of the same size from memory.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::load::{Request, Want, Work};
use crate::measured::{Measured, Rounds, side};
use crate::metrics::backlog;
use crate::record::Records;
use crate::report::{LOUD, Machine, SATURATED, Side, grid, thousands};
use crate::request::{Renderer, STREAM};
use crate::rows::{GOAL_OF_TARGET, SHARDS};
use crate::server::Server;
use crate::soak::{self, PUT};
use crate::stats::{median, steady};
use crate::{Place, Result, proc, stream};

/// Records of a full page.
const PAGE: u64 = 10_000;
const DATA_BYTES: usize = 100;
/// Full pages a second to reach, as a fraction of the null yardstick's.
const TARGET: f64 = 0.25;
/// Bytes of a page's body in which everything stands before its records: a page is not looked at any further.
const BEGINNING: usize = 4096;
/// A shard is read to its end in this time, however slow.
const WITHIN: Duration = Duration::from_secs(3600);
/// A slice that reads less of the data from the disk was not cold.
const COLD: f64 = 0.9;

/// Options of the drain.
#[derive(Args, Clone, Debug)]
pub(crate) struct DrainArgs {
    /// GiB of record data that are read in each slice.
    #[arg(long, default_value_t = 2.0, value_parser = soak::parse_gib)]
    gib: f64,
    /// Pairs of yardstick and server that must count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// Three pairs of a quarter of a GiB, for a first impression.
    #[arg(long, conflicts_with_all = ["gib", "pairs"])]
    quick: bool,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Fills a stream, restarts the server, checks every record once, and then reads it again and again.
///
/// # Errors
/// If a step cannot be done, or a record is missing, doubled or changed.
pub(crate) fn run(args: &DrainArgs) -> Result<ExitCode> {
    let (gib, pairs) = if args.quick { (0.25, 3) } else { (args.gib, args.pairs as usize) };
    let (binary, base) = (args.place.binary()?, args.place.base()?);
    let puts = (gib * (1u64 << 30) as f64 / (DATA_BYTES as f64 * f64::from(PUT.records()))).ceil() as u64;
    let total = puts * u64::from(PUT.records());
    let (needed, free) = (total * DATA_BYTES as u64 * 3 + (4 << 30), proc::free_bytes(&base)?);
    if free < needed {
        return Err(format!("{} GiB are free, this takes {} GiB", free >> 30, needed >> 30).into());
    }
    let machine = Machine::this(&args.place);
    proc::pin(args.place.load_core)?;
    let dir = tempfile::Builder::new().prefix("drain-").tempdir_in(&base)?;
    let data = dir.path().join("data");
    let records = Records { seed: 0xd5a1, data_bytes: DATA_BYTES };

    eprintln!("filling with {total} records ...");
    let server = args.place.start_levada(&binary, &data, &[])?;
    stream::create(&mut Client::new(server.addr())?, STREAM, SHARDS)?;
    soak::fill(&server, records, puts)?;
    server.stop()?;
    let server = args.place.start_levada(&binary, &data, &[])?;
    eprintln!("reading and comparing all of them ...");
    soak::drain(&server, records, total).map_err(|e| format!("{e}\n{}", server.log_end()))?;
    let mut drain = Drain::new(&args.place, &server, &data, total, dir.path())?;
    let outcome = drain.measure(pairs).map_err(|e| format!("{e}\n{}", server.log_end()))?;
    println!("{}\n\n{}", machine.line(), outcome.markdown());
    if let Some(path) = &args.json {
        let report = json!({ "machine": machine, "verdict": outcome.verdict(), "row": outcome });
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    server.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// A drain under way.
struct Drain<'a> {
    place: &'a Place,
    server: &'a Server,
    null: Server,
    null_requests: Vec<Request>,
    client: Client,
    shards: Vec<String>,
    data: &'a Path,
    /// Records of the stream.
    total: u64,
    page_bytes: usize,
}

/// A slice of each side.
struct Pair {
    null: Measured,
    levada: Measured,
    /// Full pages a second.
    pages_per_second: f64,
    /// Bytes read from the disk for each byte of record data.
    read: f64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    number: u8,
    work: &'static str,
    records: u64,
    shards: usize,
    page_bytes: usize,
    pages_per_second: f64,
    records_per_second: f64,
    /// Bytes of answers a second.
    bytes_per_second: f64,
    ratio: f64,
    target: f64,
    goal: f64,
    null: Side,
    levada: Side,
    /// Bytes read from the disk for each byte of record data; keys and frames are read too.
    read_per_byte: f64,
    backlog_bytes: Option<f64>,
    memory: proc::Memory,
    pairs_kept: usize,
    pairs_discarded: usize,
}

impl<'a> Drain<'a> {
    fn new(place: &'a Place, server: &'a Server, data: &'a Path, total: u64, dir: &Path) -> Result<Self> {
        let mut client = Client::new(server.addr())?;
        let shards = stream::shards(&mut client, STREAM)?;
        let first = trim_horizon(&mut client, shards.first().ok_or("no shard")?)?;
        let input = json!({ "ShardIterator": first, "Limit": PAGE }).to_string();
        let page_bytes = client.kinesis_bytes("GetRecords", input.as_bytes())?.len();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["null", "--reply-bytes", &page_bytes.to_string()]);
        let null = Server::start(command, place.server_core, &dir.join("null.log"))?;
        let renderer = Renderer::new(null.addr().to_string())?;
        let null_requests = vec![Request::Memory(renderer.kinesis("GetRecords", input.as_bytes())?)];
        Ok(Self { place, server, null, null_requests, client, shards, data, total, page_bytes })
    }

    fn measure(&mut self, wanted: usize) -> Result<Outcome> {
        let backlog = backlog(self.server.addr()).map(|backlog| backlog.value);
        let (mut pairs, mut kept) = (Vec::new(), Vec::new());
        while kept.iter().filter(|kept| **kept).count() < wanted && pairs.len() < 2 * wanted {
            pairs.push(self.pair()?);
            kept = steady(&pairs.iter().map(|pair| pair.null.slice.rate()).collect::<Vec<_>>());
        }
        let measured = pairs.len();
        let mut keep = kept.iter();
        pairs.retain(|_| keep.next() == Some(&true));
        let of_pairs = |f: &dyn Fn(&Pair) -> f64| median(&pairs.iter().map(f).collect::<Vec<_>>()).unwrap_or(0.0);
        let pages_per_second = of_pairs(&|pair| pair.pages_per_second);
        Ok(Outcome {
            number: 8,
            work: "GetRecords 10,000×100 B, from cold segments",
            records: self.total,
            shards: self.shards.len(),
            page_bytes: self.page_bytes,
            pages_per_second,
            records_per_second: pages_per_second * PAGE as f64,
            bytes_per_second: pages_per_second * self.page_bytes as f64,
            ratio: of_pairs(&|pair| pair.pages_per_second / pair.null.slice.rate()),
            target: TARGET,
            goal: TARGET * GOAL_OF_TARGET,
            null: side(pairs.iter().map(|pair| &pair.null))?,
            levada: side(pairs.iter().map(|pair| &pair.levada))?,
            read_per_byte: of_pairs(&|pair| pair.read),
            backlog_bytes: backlog,
            memory: proc::memory(self.server.pid())?,
            pairs_kept: pairs.len(),
            pairs_discarded: measured - pairs.len(),
        })
    }

    /// The yardstick, then the whole stream once.
    fn pair(&mut self) -> Result<Pair> {
        self.server.pause()?;
        let null = self.place.measured(
            &self.null,
            self.shards.len(),
            Duration::from_secs(5),
            &mut Rounds::new(&self.null_requests),
        );
        let evicted = proc::evict(self.data);
        self.server.resume()?;
        let (null, ()) = (null?, evicted?);
        let mut work = Shards { renderer: Renderer::new(self.server.addr().to_string())?, next: Vec::new(), pages: 0 };
        for (number, shard) in (0..).zip(&self.shards) {
            work.next.push((number, trim_horizon(&mut self.client, shard)?));
        }
        let before = proc::disk_read(self.server.pid())?;
        let levada = self.place.measured(self.server, self.shards.len(), WITHIN, &mut work)?;
        let read = proc::disk_read(self.server.pid())?.saturating_sub(before);
        let pages = self.total / PAGE;
        if !(pages..=pages + self.shards.len() as u64).contains(&work.pages) {
            return Err(format!("{} pages for {} records", work.pages, self.total).into());
        }
        let pages_per_second = self.total as f64 / PAGE as f64 / levada.slice.elapsed.as_secs_f64();
        let read = read as f64 / (self.total * DATA_BYTES as u64) as f64;
        eprintln!(
            "  null {:.0}/s   levada {pages_per_second:.0}/s   ratio {:.3}   {read:.2} bytes read for each byte of data",
            null.slice.rate(),
            pages_per_second / null.slice.rate()
        );
        Ok(Pair { null, levada, pages_per_second, read })
    }
}

fn trim_horizon(client: &mut Client, shard: &str) -> Result<String> {
    let input = json!({ "StreamName": STREAM, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    stream::text(&client.kinesis("GetShardIterator", &input)?["ShardIterator"])
}

/// Follows each shard from page to page until one is empty.
struct Shards {
    renderer: Renderer,
    /// Iterators to be used, each with its shard's number.
    next: Vec<(u64, String)>,
    /// Pages with records.
    pages: u64,
}

impl Work for Shards {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        let Some((shard, iterator)) = self.next.pop() else { return Ok(None) };
        let input = json!({ "ShardIterator": iterator, "Limit": PAGE }).to_string();
        Ok(Some((shard, Request::Memory(self.renderer.kinesis("GetRecords", input.as_bytes())?))))
    }

    fn wants(&mut self, _: u64) -> Want {
        Want::Beginning(BEGINNING)
    }

    fn answered(&mut self, shard: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        let body = String::from_utf8_lossy(body.unwrap_or(b""));
        if status != 200 {
            return Err(format!("GetRecords is answered with {status}: {body}").into());
        }
        if let Some(iterator) = goes_on(&body)? {
            self.pages += 1;
            self.next.push((shard, iterator.to_owned()));
        }
        Ok(())
    }
}

/// The next iterator in the beginning of a page; `None` if the page is empty, which is the end.
fn goes_on(beginning: &str) -> Result<Option<&str>> {
    let (head, records) = beginning.split_once("\"Records\":[").ok_or("a page that does not begin with its members")?;
    let (_, iterator) = head.split_once("\"NextShardIterator\":\"").ok_or("a page without NextShardIterator")?;
    let (iterator, _) = iterator.split_once('"').ok_or("NextShardIterator does not end")?;
    Ok((!records.starts_with(']')).then_some(iterator))
}

impl Outcome {
    fn verdict(&self) -> &'static str {
        match self.ratio {
            _ if self.null.load_cpu.max(self.levada.load_cpu) > SATURATED => "void: load generator saturated",
            _ if self.null.others_cpu > LOUD => "void: machine not quiet",
            _ if self.read_per_byte < COLD => "void: not cold",
            ratio if ratio >= self.target => "target",
            ratio if ratio >= self.goal => "goal",
            _ => "below",
        }
    }

    fn markdown(&self) -> String {
        let percent = |null: f64, levada: f64| format!("{:.0} % / {:.0} %", null * 100.0, levada * 100.0);
        let columns = [
            "#",
            "work",
            "null pages/s",
            "levada pages/s",
            "records/s",
            "MB/s",
            "ratio",
            "goal",
            "target",
            "verdict",
            "p50 ms",
            "p99 ms",
        ];
        let cells = vec![
            self.number.to_string(),
            self.work.into(),
            thousands(self.null.per_second),
            thousands(self.pages_per_second),
            thousands(self.records_per_second),
            thousands(self.bytes_per_second / 1e6),
            format!("{:.3}", self.ratio),
            format!("{:.3}", self.goal),
            format!("{:.2}", self.target),
            self.verdict().into(),
            format!("{:.2}", self.levada.p50_ms),
            format!("{:.2}", self.levada.p99_ms),
        ];
        let detail_columns = [
            "#",
            "pairs",
            "records",
            "page bytes",
            "load CPU null/levada",
            "server CPU null/levada",
            "others' CPU null/levada",
            "read/byte",
            "backlog MB",
            "RSS MB",
            "peak MB",
        ];
        let details = vec![
            self.number.to_string(),
            format!("{} kept, {} not", self.pairs_kept, self.pairs_discarded),
            thousands(self.records as f64),
            thousands(self.page_bytes as f64),
            percent(self.null.load_cpu, self.levada.load_cpu),
            percent(self.null.server_cpu, self.levada.server_cpu),
            percent(self.null.others_cpu, self.levada.others_cpu),
            format!("{:.2}", self.read_per_byte),
            self.backlog_bytes.map_or("–".into(), |bytes| thousands(bytes / 1e6)),
            thousands(self.memory.rss as f64 / 1e6),
            thousands(self.memory.peak_rss as f64 / 1e6),
        ];
        format!("{}\n{}", grid(&columns, &[cells]), grid(&detail_columns, &[details]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_until_it_is_empty() {
        let page =
            |records: &str| format!(r#"{{"MillisBehindLatest":5,"NextShardIterator":"AA/+=","Records":[{records}"#);
        assert_eq!(goes_on(&page(r#"{"Data":"AA"#)).unwrap(), Some("AA/+="));
        assert_eq!(goes_on(&page("]}")).unwrap(), None);
        assert!(goes_on(r#"{"MillisBehindLatest":5,"Records":[]}"#).is_err(), "the end of a closed shard");
        assert!(goes_on("").is_err());
    }
}
