//! Operations on a stream of many shards, one call after the other: how long each takes, and whether a page costs what
//! it returns or what the stream has.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::record::Records;
use crate::report::{Machine, grid};
use crate::request::put_body_to;
use crate::rows::Operation;
use crate::stats::percentile;
use crate::{Place, Result, proc, stream};

/// A call is to be answered in this time, in milliseconds.
const TARGET_MS: f64 = 10.0;
/// The stream with many shards, and the one that its pages are compared with.
const LARGE: &str = "large";
const SMALL: &str = "small";
/// Shards of the small one: one page of `ListShards`.
const SMALL_SHARDS: u32 = 1_000;
/// A page of the large stream may cost so many times that of the small one.
const TARGET_RATIO: f64 = 1.5;

/// Options of the control operations.
#[derive(Args, Clone, Debug)]
pub(crate) struct ControlArgs {
    /// Shards of the stream.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2_000..=100_000))]
    shards: u32,
    /// Calls of each operation.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    calls: u32,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Creates the streams, calls everything, prints a table.
///
/// # Errors
/// If a call is refused.
pub(crate) fn run(args: &ControlArgs) -> Result<ExitCode> {
    let (binary, base) = (args.place.binary()?, args.place.base()?);
    let machine = Machine::this(&args.place);
    proc::pin(args.place.load_core)?;
    let dir = tempfile::Builder::new().prefix("control-").tempdir_in(&base)?;
    let server = args.place.start_levada(&binary, &dir.path().join("data"), &[])?;
    let mut control =
        Control { client: Client::new(server.addr())?, shards: args.shards, calls: args.calls, lines: Vec::new() };
    control.all().map_err(|e| format!("{e}\n{}", server.log_end()))?;
    let memory = proc::memory(server.pid())?;
    let pages = control.pages();
    println!("{}\n\n{}", machine.line(), control.markdown());
    for page in &pages {
        println!("{}", page.text());
    }
    println!("RSS at the end {} MB.", memory.rss / 1_000_000);
    if let Some(path) = &args.json {
        let report = json!({
            "machine": machine, "shards": args.shards, "calls": args.calls,
            "operations": control.lines, "pages": pages, "memory": memory,
        });
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    server.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// An operation's figures. The time is that of the round trip over a loopback connection.
#[derive(Clone, Debug, Serialize)]
struct Line {
    operation: String,
    calls: usize,
    p50_ms: f64,
    max_ms: f64,
    /// Bytes of the last reply.
    reply_bytes: usize,
    /// Median until the stream is ACTIVE again, of operations that change it.
    until_active_ms: Option<f64>,
}

/// A page of the large stream beside the same page of the small one.
#[derive(Clone, Debug, Serialize)]
struct Pages {
    operation: &'static str,
    small_ms: f64,
    large_ms: f64,
    ratio: f64,
}

/// The calls under way.
struct Control {
    client: Client,
    shards: u32,
    calls: u32,
    lines: Vec<Line>,
}

impl Control {
    fn all(&mut self) -> Result<()> {
        eprintln!("creating streams of {SMALL_SHARDS} and {} shards ...", self.shards);
        stream::create(&mut self.client, SMALL, SMALL_SHARDS)?;
        let begun = Instant::now();
        stream::create(&mut self.client, LARGE, self.shards)?;
        self.note("CreateStream until ACTIVE", &[begun.elapsed()], 0, None);
        self.floor()?;
        self.looks()?;
        self.lists()?;
        self.puts()?;
        self.settings()?;
        self.consumers()?;
        self.splits_and_merges()?;
        // Closed shards stand in the table from here on, before the open ones.
        let latest = json!({ "StreamName": LARGE, "ShardFilter": { "Type": "AT_LATEST" } });
        self.repeat("ListShards AT_LATEST, after the splits", "ListShards", |_| latest.clone())?;
        self.update_shard_count()
    }

    /// What a round trip costs when the server does nothing.
    fn floor(&mut self) -> Result<()> {
        let mut times = Vec::new();
        for _ in 0..self.calls {
            let begun = Instant::now();
            let (status, _) = self.client.get("/livez")?;
            times.push(begun.elapsed());
            if status != 200 {
                return Err(format!("/livez is answered with {status}").into());
            }
        }
        self.note("GET /livez (the round trip alone)", &times, 0, None);
        Ok(())
    }

    fn looks(&mut self) -> Result<()> {
        let named = json!({ "StreamName": LARGE });
        self.repeat("DescribeLimits", "DescribeLimits", |_| json!({}))?;
        self.repeat("ListStreams", "ListStreams", |_| json!({}))?;
        self.repeat("DescribeStreamSummary", "DescribeStreamSummary", |_| named.clone())?;
        let start = format!("shardId-{:012}", self.shards - 101);
        let last = json!({ "StreamName": LARGE, "ExclusiveStartShardId": start });
        self.repeat("DescribeStream, first page", "DescribeStream", |_| named.clone())?;
        self.repeat("DescribeStream, last page", "DescribeStream", |_| last.clone())?;
        self.repeat("DescribeStream, small stream", "DescribeStream", |_| json!({ "StreamName": SMALL }))
    }

    fn lists(&mut self) -> Result<()> {
        let first = json!({ "StreamName": LARGE, "MaxResults": 1000 });
        let mut page = first.clone();
        // Half the way through the stream.
        for _ in 0..self.shards / 2000 {
            let token = stream::text(&self.client.kinesis("ListShards", &page)?["NextToken"])?;
            page = json!({ "NextToken": token, "MaxResults": 1000 });
        }
        let latest = json!({ "StreamName": LARGE, "ShardFilter": { "Type": "AT_LATEST" } });
        self.repeat("ListShards, first page", "ListShards", |_| first.clone())?;
        self.repeat("ListShards, middle page", "ListShards", |_| page.clone())?;
        self.repeat("ListShards AT_LATEST", "ListShards", |_| latest.clone())?;
        self.repeat("ListShards, small stream", "ListShards", |_| json!({ "StreamName": SMALL }))
    }

    fn puts(&mut self) -> Result<()> {
        let records = Records { seed: 0xc0, data_bytes: 100 };
        let put = Operation::PutRecords { records: 500 };
        let bodies: Vec<_> = (0..self.calls).map(|i| put_body_to(LARGE, put, &records, u64::from(i) * 500)).collect();
        self.repeat_bytes("PutRecords, 500 records to as many shards", "PutRecords", bodies)
    }

    fn settings(&mut self) -> Result<()> {
        let arn = stream::arn(&mut self.client, LARGE)?;
        let tags = |i: u32| json!({ "ResourceARN": arn, "Tags": { "round": i.to_string() } });
        self.repeat("TagResource", "TagResource", tags)?;
        let hours = |i: u32| json!({ "StreamName": LARGE, "RetentionPeriodHours": 25 + i });
        self.changes("IncreaseStreamRetentionPeriod", "IncreaseStreamRetentionPeriod", hours)
    }

    fn consumers(&mut self) -> Result<()> {
        let arn = stream::arn(&mut self.client, LARGE)?;
        let (mut registered, mut deregistered) = (Vec::new(), Vec::new());
        for i in 0..self.calls {
            let name = format!("consumer-{i}");
            let begun = Instant::now();
            self.client.kinesis("RegisterStreamConsumer", &json!({ "StreamARN": arn, "ConsumerName": name }))?;
            registered.push(begun.elapsed());
            let begun = Instant::now();
            self.client.kinesis("DeregisterStreamConsumer", &json!({ "StreamARN": arn, "ConsumerName": name }))?;
            deregistered.push(begun.elapsed());
        }
        self.note("RegisterStreamConsumer", &registered, 0, None);
        self.note("DeregisterStreamConsumer", &deregistered, 0, None);
        Ok(())
    }

    /// Splits a shard and merges its children, again and again.
    fn splits_and_merges(&mut self) -> Result<()> {
        let (mut splits, mut split_active) = (Vec::new(), Vec::new());
        let (mut merges, mut merge_active) = (Vec::new(), Vec::new());
        let width = u128::MAX / u128::from(self.shards);
        for i in 0..self.calls {
            let place = u128::from(i) * u128::from(self.shards / self.calls.max(1)).max(1);
            let parent = format!("shardId-{:012}", place % u128::from(self.shards));
            let middle = width * (place % u128::from(self.shards)) + width / 2;
            let children = [0, 1].map(|child| format!("shardId-{:012}", self.shards + 3 * i + child));
            let split = json!({
                "StreamName": LARGE, "ShardToSplit": parent, "NewStartingHashKey": middle.to_string(),
            });
            let (took, active) = self.change("SplitShard", &split)?;
            splits.push(took);
            split_active.push(active);
            let merge = json!({
                "StreamName": LARGE, "ShardToMerge": children[0], "AdjacentShardToMerge": children[1],
            });
            let (took, active) = self.change("MergeShards", &merge)?;
            merges.push(took);
            merge_active.push(active);
        }
        self.note("SplitShard", &splits, 0, Some(&split_active));
        self.note("MergeShards", &merges, 0, Some(&merge_active));
        Ok(())
    }

    /// Once: it closes nearly every shard.
    fn update_shard_count(&mut self) -> Result<()> {
        let target = self.shards - 1;
        let input = json!({ "StreamName": LARGE, "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING" });
        let (took, active) = self.change("UpdateShardCount", &input)?;
        self.note(&format!("UpdateShardCount {} → {target}", self.shards), &[took], 0, Some(&[active]));
        let latest = json!({ "StreamName": LARGE, "ShardFilter": { "Type": "AT_LATEST" } });
        self.repeat("ListShards AT_LATEST, after UpdateShardCount", "ListShards", |_| latest.clone())?;
        self.repeat(
            "DescribeStreamSummary, after UpdateShardCount",
            "DescribeStreamSummary",
            |_| json!({ "StreamName": LARGE }),
        )
    }

    /// Calls an operation that changes the stream; answers how long the call took, and how long it was until the
    /// stream was ACTIVE.
    fn change(&mut self, operation: &str, input: &Value) -> Result<(Duration, Duration)> {
        let begun = Instant::now();
        self.client.kinesis(operation, input)?;
        let took = begun.elapsed();
        stream::active(&mut self.client, LARGE)?;
        Ok((took, begun.elapsed()))
    }

    fn changes(&mut self, name: &str, operation: &str, input: impl Fn(u32) -> Value) -> Result<()> {
        let changes = (0..self.calls).map(|i| self.change(operation, &input(i)));
        let (took, active): (Vec<_>, Vec<_>) = changes.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        self.note(name, &took, 0, Some(&active));
        Ok(())
    }

    fn repeat(&mut self, name: &str, operation: &str, input: impl Fn(u32) -> Value) -> Result<()> {
        let bodies = (0..self.calls).map(|i| input(i).to_string().into_bytes()).collect();
        self.repeat_bytes(name, operation, bodies)
    }

    fn repeat_bytes(&mut self, name: &str, operation: &str, bodies: Vec<Vec<u8>>) -> Result<()> {
        let (mut times, mut reply_bytes) = (Vec::with_capacity(bodies.len()), 0);
        for body in bodies {
            let begun = Instant::now();
            reply_bytes = self.client.kinesis_bytes(operation, &body)?.len();
            times.push(begun.elapsed());
        }
        self.note(name, &times, reply_bytes, None);
        Ok(())
    }

    fn note(&mut self, operation: &str, times: &[Duration], reply_bytes: usize, until_active: Option<&[Duration]>) {
        let line = Line {
            operation: operation.into(),
            calls: times.len(),
            p50_ms: ms(times, 50.0),
            max_ms: ms(times, 100.0),
            reply_bytes,
            until_active_ms: until_active.map(|times| ms(times, 50.0)),
        };
        eprintln!("  {}: p50 {:.2} ms, max {:.2} ms", line.operation, line.p50_ms, line.max_ms);
        self.lines.push(line);
    }

    fn pages(&self) -> Vec<Pages> {
        let p50 = |name: &str| self.lines.iter().find(|line| line.operation == name).map(|line| line.p50_ms);
        let pairs = [
            ("ListShards, a page of 1,000", "ListShards, small stream", "ListShards, first page"),
            ("DescribeStream, a page of 100", "DescribeStream, small stream", "DescribeStream, first page"),
        ];
        let pages = pairs.into_iter().filter_map(|(operation, small, large)| {
            let (small_ms, large_ms) = (p50(small)?, p50(large)?);
            Some(Pages { operation, small_ms, large_ms, ratio: large_ms / small_ms })
        });
        pages.collect()
    }

    fn markdown(&self) -> String {
        let columns = ["operation", "calls", "p50 ms", "max ms", "until ACTIVE ms", "reply bytes", "≤ 10 ms"];
        let cells = |line: &Line| {
            vec![
                line.operation.clone(),
                line.calls.to_string(),
                format!("{:.2}", line.p50_ms),
                format!("{:.2}", line.max_ms),
                line.until_active_ms.map_or("–".into(), |ms| format!("{ms:.2}")),
                if line.reply_bytes > 0 { line.reply_bytes.to_string() } else { "–".into() },
                line.verdict().into(),
            ]
        };
        grid(&columns, &self.lines.iter().map(cells).collect::<Vec<_>>())
    }
}

impl Line {
    fn verdict(&self) -> &'static str {
        match () {
            () if self.max_ms <= TARGET_MS => "always",
            () if self.p50_ms <= TARGET_MS => "median",
            () => "NO",
        }
    }
}

impl Pages {
    fn text(&self) -> String {
        let verdict = if self.ratio <= TARGET_RATIO { "costs what it returns" } else { "GROWS with the stream" };
        let Self { operation, small_ms, large_ms, ratio } = self;
        format!(
            "{operation}: {small_ms:.2} ms on the small stream, {large_ms:.2} ms on the large one, ratio {ratio:.2}: {verdict}."
        )
    }
}

fn ms(times: &[Duration], p: f64) -> f64 {
    let mut micros: Vec<u32> = times.iter().map(|t| u32::try_from(t.as_micros()).unwrap_or(u32::MAX)).collect();
    percentile(&mut micros, p).map_or(0.0, |us| f64::from(us) / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_judged_by_its_slowest_call_and_by_its_median() {
        let line = |times: &[u64]| {
            let times: Vec<_> = times.iter().map(|t| Duration::from_millis(*t)).collect();
            Line {
                operation: String::new(),
                calls: times.len(),
                p50_ms: ms(&times, 50.0),
                max_ms: ms(&times, 100.0),
                reply_bytes: 0,
                until_active_ms: None,
            }
        };
        for (times, expected) in [(&[1, 10, 2][..], "always"), (&[1, 11, 2], "median"), (&[11, 11, 2], "NO")] {
            assert_eq!(line(times).verdict(), expected, "{times:?}");
        }
    }
}
