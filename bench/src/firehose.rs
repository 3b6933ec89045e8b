//! Row 15: records put to a delivery stream until the last of them stands in a bucket, gzipped, beside the gzip library
//! alone on the same bytes and the same core. Besides: 500 active partitions beside one, and what delivery streams cost
//! that have nothing to do.
//!
//! A slice is the whole way: puts (signed, hashed, synced), the log, the cut, reading, compressing, writing and syncing
//! the objects. The compressor is the wall: the ratio says how much of the core is left to it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::load::{Request, Want, Work};
use crate::measured::Measured;
use crate::report::{LOUD, Machine, SATURATED, grid, thousands};
use crate::request::Renderer;
use crate::server::Server;
use crate::stats::{median, steady};
use crate::{Place, Result, proc};

/// Of each record.
const RECORD_BYTES: usize = 1024;
/// Records a request.
const BATCH: usize = 500;
/// Distinct request bodies, sent in turn. Together they are far longer than what gzip looks back on.
const RING: usize = 64;
const CONNECTIONS: usize = 8;
/// What zlib takes by default, and Firehose's objects are made with.
const LEVEL: u32 = 6;
/// Bytes handed to the library at a time.
const BLOCK: usize = 64 * 1024;
/// The library's throughput to reach, as a fraction.
const TARGET: f64 = 0.7;
/// Active partitions that a delivery stream may have.
const PARTITIONS: usize = 500;
/// Throughput with so many partitions, as a fraction of that with one.
const PARTITIONS_TARGET: f64 = 0.8;
/// What 1,000 delivery streams without work may cost.
const IDLE_STREAMS: usize = 1_000;
const IDLE_TARGET_BYTES: u64 = 10_000_000;
/// Idle memory is looked at when it has stood still for so long.
const SETTLED: Duration = Duration::from_secs(3);
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Options of the row.
#[derive(Args, Clone, Debug)]
pub(crate) struct FirehoseArgs {
    /// MiB of record data in each slice.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u64).range(32..=65_536))]
    mib: u64,
    /// Pairs of yardstick and server that must count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// Three pairs of 128 MiB, for a first impression.
    #[arg(long, conflicts_with_all = ["mib", "pairs"])]
    quick: bool,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// A slice of each side.
struct Pair {
    /// Bytes of records a second.
    gzip: f64,
    levada: f64,
    measured: Measured,
}

/// What came of row 15.
#[derive(Clone, Debug, Serialize)]
struct Row {
    number: u8,
    record_bytes: u64,
    gzip_bytes_per_second: f64,
    levada_bytes_per_second: f64,
    ratio: f64,
    target: f64,
    compressed_to: f64,
    server_cpu: f64,
    load_cpu: f64,
    others_cpu: f64,
    pairs_kept: usize,
    pairs_run: usize,
}

/// Runs all of it, prints it, writes the JSON.
///
/// # Errors
/// If a step cannot be done, or an object does not hold what was put.
pub(crate) fn run(args: &FirehoseArgs) -> Result<ExitCode> {
    let (mib, pairs) = if args.quick { (128, 3) } else { (args.mib, args.pairs as usize) };
    let (binary, base) = (args.place.binary()?, args.place.base()?);
    let bench = Bench { place: &args.place, binary: &binary, base: &base, batches: batches(mib) };
    let needed = bench.bytes() * 4 * (2 * pairs as u64 + 4) + (4 << 30);
    let free = proc::free_bytes(&base)?;
    if free < needed {
        return Err(format!("{} GiB are free, this takes {} GiB", free >> 30, needed >> 30).into());
    }
    let machine = Machine::this(&args.place);
    proc::pin(args.place.load_core)?;
    let row = bench.row(pairs)?;
    let partitions = bench.partitions()?;
    let idle = bench.idle()?;
    println!("{}\n\n{}", machine.line(), markdown(&row, partitions, idle));
    if let Some(path) = &args.json {
        let idle = json!({ "streams": IDLE_STREAMS, "bytes": idle, "target_bytes": IDLE_TARGET_BYTES });
        let partitions = json!({ "partitions": PARTITIONS, "ratio": partitions, "target": PARTITIONS_TARGET });
        let report = json!({ "machine": machine, "row": row, "partitions": partitions, "idle": idle });
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Requests that hold so many MiB of records.
fn batches(mib: u64) -> usize {
    usize::try_from(mib << 20).unwrap_or(usize::MAX).div_ceil(BATCH * RECORD_BYTES)
}

struct Bench<'a> {
    place: &'a Place,
    binary: &'a Path,
    base: &'a Path,
    /// Requests of a slice.
    batches: usize,
}

impl Bench<'_> {
    fn bytes(&self) -> u64 {
        (self.batches * BATCH * RECORD_BYTES) as u64
    }

    /// Row 15.
    fn row(&self, wanted: usize) -> Result<Row> {
        let texts = texts(1);
        let (mut pairs, mut kept, mut compressed) = (Vec::new(), Vec::new(), 0);
        while kept.iter().filter(|k| **k).count() < wanted && pairs.len() < 2 * wanted {
            let (gzip, length) = self.gzip(&texts)?;
            compressed = length;
            let (levada, measured) = self.slice(&texts, &plain_destination())?;
            eprintln!("  gzip {:.1} MB/s   levada {:.1} MB/s", gzip / 1e6, levada / 1e6);
            pairs.push(Pair { gzip, levada, measured });
            kept = steady(&pairs.iter().map(|pair| pair.gzip).collect::<Vec<_>>());
        }
        let counted: Vec<&Pair> = pairs.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(pair, _)| pair).collect();
        let of = |f: fn(&Pair) -> f64| median(&counted.iter().map(|pair| f(pair)).collect::<Vec<_>>());
        let none = "no pair counts";
        Ok(Row {
            number: 15,
            record_bytes: self.bytes(),
            gzip_bytes_per_second: of(|pair| pair.gzip).ok_or(none)?,
            levada_bytes_per_second: of(|pair| pair.levada).ok_or(none)?,
            ratio: of(|pair| pair.levada / pair.gzip).ok_or(none)?,
            target: TARGET,
            compressed_to: compressed as f64 / self.bytes() as f64,
            server_cpu: of(|pair| pair.measured.server_cpu).ok_or(none)?,
            load_cpu: of(|pair| pair.measured.slice.cpu_fraction()).ok_or(none)?,
            others_cpu: of(|pair| pair.measured.others_cpu).ok_or(none)?,
            pairs_kept: counted.len(),
            pairs_run: pairs.len(),
        })
    }

    /// The yardstick: bytes a second of the library on the server's core, and what it makes of them all.
    fn gzip(&self, texts: &[Vec<u8>]) -> Result<(f64, u64)> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                proc::pin(self.place.server_core)?;
                let began = Instant::now();
                let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
                for text in texts.iter().cycle().take(self.batches) {
                    text.chunks(BLOCK).try_for_each(|block| encoder.write_all(block))?;
                }
                let length = encoder.finish()?.len() as u64;
                Ok((self.bytes() as f64 / began.elapsed().as_secs_f64(), length))
            });
            thread.join().unwrap_or_else(|_| Err("the yardstick panicked".into()))
        })
    }

    /// Bytes of records a second from the first put to the last object, with a server of its own.
    fn slice(&self, texts: &[Vec<u8>], destination: &Value) -> Result<(f64, Measured)> {
        let dir = tempfile::Builder::new().prefix("firehose-").tempdir_in(self.base)?;
        let data = dir.path().join("data");
        let server = self.place.start_levada(self.binary, &data, &["--test-controls"])?;
        let mut client = Client::new(server.addr())?;
        create(&mut client, "bench", destination)?;
        let renderer = Renderer::new(server.addr().to_string())?;
        let requests = texts.iter().map(|text| Ok(Request::Memory(renderer.firehose("PutRecordBatch", &body(text))?)));
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let mut work = Fill { requests: &requests, next: 0, batches: self.batches };
        let (began, cpu) = (Instant::now(), server.cpu()?);
        let busy = self.place.cores_busy()?;
        let mut measured = self.place.measured(&server, CONNECTIONS, Duration::from_secs(24 * 3600), &mut work)?;
        client.post("/_levada/flush", "").map_err(|e| format!("{e}\n{}", server.log_end()))?;
        let elapsed = began.elapsed();
        let used = server.cpu()?.saturating_sub(cpu);
        let others = self.place.cores_busy()?.saturating_sub(busy).saturating_sub(used + measured.slice.cpu);
        measured.server_cpu = used.as_secs_f64() / elapsed.as_secs_f64();
        measured.others_cpu = others.as_secs_f64() / elapsed.as_secs_f64();
        let delivered = delivered_bytes(&data.join("buckets").join("bench"))?;
        if delivered != self.bytes() {
            return Err(format!("{delivered} bytes of {} were delivered\n{}", self.bytes(), server.log_end()).into());
        }
        server.stop()?;
        Ok((self.bytes() as f64 / elapsed.as_secs_f64(), measured))
    }

    /// Throughput with 500 active partitions as a fraction of that with one; medians of three slices each, in turn.
    fn partitions(&self) -> Result<f64> {
        let (one, many) = (texts(1), texts(PARTITIONS));
        let (mut ones, mut manys) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (with_one, _) = self.slice(&one, &partitioned_destination())?;
            let (with_many, _) = self.slice(&many, &partitioned_destination())?;
            let (a, b) = (with_one / 1e6, with_many / 1e6);
            eprintln!("  1 partition {a:.1} MB/s   {PARTITIONS} partitions {b:.1} MB/s");
            ones.push(with_one);
            manys.push(with_many);
        }
        let none = "nothing was measured";
        Ok(median(&manys).ok_or(none)? / median(&ones).ok_or(none)?)
    }

    /// Resident bytes that 1,000 delivery streams add.
    fn idle(&self) -> Result<u64> {
        let dir = tempfile::Builder::new().prefix("idle-").tempdir_in(self.base)?;
        let server = self.place.start_levada(self.binary, &dir.path().join("data"), &[])?;
        let mut client = Client::new(server.addr())?;
        // What the first one costs is not what each costs.
        create(&mut client, "first", &plain_destination())?;
        let before = settled(&server)?;
        for n in 0..IDLE_STREAMS {
            create(&mut client, &format!("idle-{n}"), &plain_destination())?;
        }
        let after = settled(&server)?;
        server.stop()?;
        Ok(after.saturating_sub(before))
    }
}

/// Sends the ring over and over.
struct Fill<'a> {
    requests: &'a [Request],
    next: usize,
    batches: usize,
}

impl Work for Fill<'_> {
    fn next(&mut self) -> Result<Option<(u64, Request)>> {
        if self.next == self.batches {
            return Ok(None);
        }
        let index = self.next % self.requests.len();
        self.next += 1;
        Ok(Some((index as u64, self.requests[index].clone())))
    }

    fn wants(&mut self, _: u64) -> Want {
        Want::Beginning(64)
    }

    fn answered(&mut self, _: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        let body = String::from_utf8_lossy(body.unwrap_or_default());
        // The members stand in alphabetical order.
        let whole = status == 200 && body.contains("\"FailedPutCount\":0");
        if whole { Ok(()) } else { Err(format!("the server answers {status}: {body}").into()) }
    }
}

/// Cut by size (AWS's default) and by the flush.
fn plain_destination() -> Value {
    json!({
        "RoleARN": "arn:aws:iam::000000000000:role/bench", "BucketARN": "arn:aws:s3:::bench",
        "CompressionFormat": "GZIP", "BufferingHints": { "SizeInMBs": 5, "IntervalInSeconds": 900 },
    })
}

fn partitioned_destination() -> Value {
    let parameter = |name: &str, value: &str| json!({ "ParameterName": name, "ParameterValue": value });
    let mut destination = plain_destination();
    // The least with partitions.
    destination["BufferingHints"]["SizeInMBs"] = json!(64);
    destination["Prefix"] = json!("p=!{partitionKeyFromQuery:p}/");
    destination["ErrorOutputPrefix"] = json!("errors/!{firehose:error-output-type}/");
    destination["DynamicPartitioningConfiguration"] = json!({ "Enabled": true });
    destination["ProcessingConfiguration"] = json!({ "Enabled": true, "Processors": [{
        "Type": "MetadataExtraction",
        "Parameters": [parameter("MetadataExtractionQuery", "{p: .p}"), parameter("JsonParsingEngine", "JQ-1.6")],
    }] });
    destination
}

fn create(client: &mut Client, name: &str, destination: &Value) -> Result<()> {
    let input = json!({ "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination });
    client.firehose("CreateDeliveryStream", &input)?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let described = client.firehose("DescribeDeliveryStream", &json!({ "DeliveryStreamName": name }))?;
        if described["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE" {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("the delivery stream does not become ACTIVE: {described}").into());
        }
        sleep(Duration::from_millis(2));
    }
}

/// The records of each request, one behind the other: lines of JSON, as services log them, in so many partitions.
fn texts(partitions: usize) -> Vec<Vec<u8>> {
    let mut random = 0x0f1e_e705_u64;
    (0..RING)
        .map(|batch| (0..BATCH).flat_map(|n| record(&mut random, batch * BATCH + n, partitions)).collect())
        .collect()
}

/// An event of [`RECORD_BYTES`] bytes, filled up by its message.
fn record(random: &mut u64, serial: usize, partitions: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "order",
        "payment",
        "accepted",
        "declined",
        "user",
        "session",
        "timeout",
        "retry",
        "cache",
        "miss",
        "upstream",
        "connected",
        "region",
        "latency",
        "checkout",
        "basket",
    ];
    let mut draw = || {
        // xorshift64 (Marsaglia 2003)
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random
    };
    let mut text = format!(
        "{{\"p\":\"{:03}\",\"serial\":\"{serial:08}\",\"trace\":\"{:016x}{:016x}\",\"status\":{},\"ms\":{},\"message\":\"",
        serial % partitions,
        draw(),
        draw(),
        200 + draw() % 300,
        draw() % 10_000,
    );
    while text.len() < RECORD_BYTES - 3 {
        text.push_str(WORDS[(draw() % 16) as usize]);
        text.push(' ');
    }
    text.truncate(RECORD_BYTES - 3);
    text.push_str("\"}\n");
    text.into_bytes()
}

/// The JSON of a PutRecordBatch.
fn body(text: &[u8]) -> Vec<u8> {
    let mut body = br#"{"DeliveryStreamName":"bench","Records":["#.to_vec();
    for (n, record) in text.chunks(RECORD_BYTES).enumerate() {
        body.extend_from_slice(if n == 0 { b"{\"Data\":\"" } else { b",{\"Data\":\"" });
        base64_simd::STANDARD.encode_append(record, &mut body);
        body.extend_from_slice(b"\"}");
    }
    body.extend_from_slice(b"]}");
    body
}

/// Bytes in all objects of a bucket's directory, decompressed.
fn delivered_bytes(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            total += delivered_bytes(&path)?;
        } else {
            let mut decoder = MultiGzDecoder::new(File::open(&path)?);
            let mut block = vec![0; BLOCK];
            loop {
                match decoder.read(&mut block).map_err(|e| format!("{}: {e}", path.display()))? {
                    0 => break,
                    n => total += n as u64,
                }
            }
        }
    }
    Ok(total)
}

/// Resident memory once it does not rise any more.
fn settled(server: &Server) -> Result<u64> {
    let mut last = proc::memory(server.pid())?.rss;
    let mut still_since = Instant::now();
    let deadline = Instant::now() + READY_WITHIN;
    while still_since.elapsed() < SETTLED && Instant::now() < deadline {
        sleep(Duration::from_millis(100));
        let now = proc::memory(server.pid())?.rss;
        if now.abs_diff(last) > 64 * 1024 {
            still_since = Instant::now();
        }
        last = now;
    }
    Ok(last)
}

fn markdown(row: &Row, partitions: f64, idle: u64) -> String {
    let verdict = if row.load_cpu > SATURATED {
        "void: the load generator is saturated"
    } else if row.others_cpu > LOUD {
        "others were loud"
    } else if row.ratio >= row.target {
        "target"
    } else {
        "missed"
    };
    let met = |met: bool| if met { "target".to_owned() } else { "missed".to_owned() };
    let mb = |bytes: f64| format!("{} MB/s", thousands(bytes / 1e6));
    let rows = vec![
        vec![
            "15 Firehose to a bucket, 1 KiB, GZIP".into(),
            mb(row.gzip_bytes_per_second),
            mb(row.levada_bytes_per_second),
            format!("{:.2}", row.ratio),
            format!("{:.1}", row.target),
            verdict.into(),
        ],
        vec![
            format!("   {PARTITIONS} partitions beside 1"),
            "–".into(),
            "–".into(),
            format!("{partitions:.2}"),
            format!("{PARTITIONS_TARGET:.1}"),
            met(partitions >= PARTITIONS_TARGET),
        ],
        vec![
            format!("   {} idle delivery streams", thousands(IDLE_STREAMS as f64)),
            "–".into(),
            format!("{:.1} MB", idle as f64 / 1e6),
            "–".into(),
            format!("{} MB", IDLE_TARGET_BYTES / 1_000_000),
            met(idle <= IDLE_TARGET_BYTES),
        ],
    ];
    let note = format!(
        "gzip makes {:.2} of each byte; server CPU {:.2}, load generator {:.2}, others {:.2}; {} of {} pairs count",
        row.compressed_to, row.server_cpu, row.load_cpu, row.others_cpu, row.pairs_kept, row.pairs_run
    );
    format!("{}\n{note}\n", grid(&["work", "gzip alone", "levada", "ratio", "target", "verdict"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_their_size_and_partition_and_are_json() {
        for partitions in [1, PARTITIONS] {
            let texts = texts(partitions);
            assert_eq!(texts.len(), RING);
            let all: Vec<&[u8]> = texts.iter().flat_map(|text| text.chunks(RECORD_BYTES)).collect();
            assert_eq!(all.len(), RING * BATCH);
            let mut seen = std::collections::BTreeSet::new();
            for record in all {
                assert_eq!(record.len(), RECORD_BYTES);
                let event: Value = serde_json::from_slice(record).unwrap();
                seen.insert(event["p"].as_str().unwrap().to_owned());
            }
            assert_eq!(seen.len(), partitions);
        }
    }

    #[test]
    fn a_request_holds_its_records() {
        let text = &texts(1)[0];
        let body: Value = serde_json::from_slice(&body(text)).unwrap();
        let records = body["Records"].as_array().unwrap();
        assert_eq!(records.len(), BATCH);
        let last = base64_simd::STANDARD.decode_to_vec(records[BATCH - 1]["Data"].as_str().unwrap()).unwrap();
        assert_eq!(last, text[text.len() - RECORD_BYTES..]);
    }
}
