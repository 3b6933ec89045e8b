//! The table, as Markdown for people and as JSON for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::json;

use crate::disk::Commits;
use crate::metrics::Backlog;
use crate::proc::{self, Memory};
use crate::rows::Row;
use crate::{Place, rows};

/// A load generator busier than this is itself the limit.
pub(crate) const SATURATED: f64 = 0.95;

/// Beside the null yardstick everything else may use so much of a core; above, the figures are doubtful.
pub(crate) const QUIET: f64 = 0.10;
/// If everything else used more than this beside the null yardstick, the ratio says nothing: the yardstick had less
/// of its core than the server.
pub(crate) const LOUD: f64 = 0.25;

/// A whole run.
pub(crate) struct Report {
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Seconds of load wanted on each side of a row.
    pub(crate) seconds: f64,
    /// The rows, in the order of the run.
    pub(crate) rows: Vec<(&'static Row, RowOutcome)>,
}

/// What became of a row.
pub(crate) enum RowOutcome {
    /// It was measured; the figures may still be void.
    Measured(Box<RowReport>),
    /// It could not be measured, and why.
    Failed(String),
}

/// Where a run took place.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    server_core: usize,
    load_core: usize,
    date: String,
}

/// One side's figures.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Side {
    /// Requests a second.
    pub(crate) per_second: f64,
    /// Half of the requests took no longer, in milliseconds.
    pub(crate) p50_ms: f64,
    /// All but one in a hundred took no longer, in milliseconds.
    pub(crate) p99_ms: f64,
    /// CPU time of the server, 1 = its whole core.
    pub(crate) server_cpu: f64,
    /// CPU time of the load generator, 1 = its whole core.
    pub(crate) load_cpu: f64,
    /// CPU time of everything else on the two cores, 1 = a whole core.
    pub(crate) others_cpu: f64,
}

/// The rate with the drain paid for.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sustained {
    /// Requests a second over load and catching up together.
    pub(crate) per_second: f64,
    /// The same as a fraction of the null yardstick.
    pub(crate) ratio: f64,
    /// Seconds until the backlog was where it had started, nothing being sent.
    pub(crate) catch_up_s: f64,
}

/// One pair of slices.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PairReport {
    /// False if its yardstick strayed.
    pub(crate) kept: bool,
    /// The disk yardstick.
    pub(crate) disk: Commits,
    /// Requests a second of the null yardstick.
    pub(crate) null_per_second: f64,
    /// Requests a second of the server.
    pub(crate) levada_per_second: f64,
    /// Seconds of load on the server.
    pub(crate) seconds: f64,
    /// The journal's backlog after it.
    pub(crate) backlog: Option<f64>,
}

/// A row's figures: medians over the pairs that count.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RowReport {
    /// Number of the row.
    pub(crate) number: u8,
    /// What was done.
    pub(crate) work: &'static str,
    /// Records a request.
    pub(crate) records_per_request: u32,
    /// Bytes of data a record.
    pub(crate) data_bytes: usize,
    /// Connections.
    pub(crate) connections: usize,
    /// Shards of the stream.
    pub(crate) shards: u32,
    /// Records a second.
    pub(crate) records_per_second: f64,
    /// The null yardstick.
    pub(crate) null: Side,
    /// The server.
    pub(crate) levada: Side,
    /// Requests a second as a fraction of the null yardstick's.
    pub(crate) ratio: f64,
    /// With the drain paid for; absent if the server exports no backlog or never caught up.
    pub(crate) sustained: Option<Sustained>,
    /// The ratio to reach.
    pub(crate) target: f64,
    /// The ratio to reach first.
    pub(crate) goal: f64,
    /// Seconds of load on the server, discarded pairs included.
    pub(crate) loaded_s: f64,
    /// Pairs that count.
    pub(crate) pairs_kept: usize,
    /// Pairs whose yardstick strayed.
    pub(crate) pairs_discarded: usize,
    /// The disk yardstick.
    pub(crate) disk: Commits,
    /// The server's memory at the end.
    pub(crate) memory: Memory,
    /// Bytes the server wrote to the disk, warm-up included.
    pub(crate) disk_written_bytes: u64,
    /// The journal's backlog after the warm-up.
    pub(crate) backlog_start: Option<Backlog>,
    /// The journal's backlog after the last slice.
    pub(crate) backlog_end: Option<Backlog>,
    /// The largest backlog after any slice.
    pub(crate) backlog_most: Option<f64>,
    /// Answers parsed whole.
    pub(crate) answers_checked: u64,
    /// Records read back and compared.
    pub(crate) records_read_back: u64,
    /// True if a request with a false SHA-256 of its body was refused.
    pub(crate) hash_compared: bool,
    /// What a reader must know.
    pub(crate) notes: Vec<String>,
    /// All pairs.
    pub(crate) pairs: Vec<PairReport>,
}

impl Machine {
    /// The machine that this runs on.
    pub(crate) fn this(place: &Place) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            cpu: proc::cpu_model(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: read("/proc/sys/kernel/osrelease"),
            server_core: place.server_core,
            load_core: place.load_core,
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        }
    }

    /// In a sentence.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, {} cores, Linux {}, {}; server and all its threads on core {}, load generator on core {}.",
            self.cpu, self.cores, self.kernel, self.date, self.server_core, self.load_core
        )
    }
}

impl RowReport {
    /// What the figures say, in a word or two.
    pub(crate) fn verdict(&self) -> &'static str {
        if self.null.load_cpu.max(self.levada.load_cpu) > SATURATED {
            return "void: load generator saturated";
        }
        if self.null.others_cpu > LOUD {
            return "void: machine not quiet";
        }
        let ratio = self.sustained.map_or(self.ratio, |s| s.ratio.min(self.ratio));
        match ratio {
            r if r >= self.target => "target",
            r if r >= self.goal => "goal",
            _ => "below",
        }
    }
}

impl Report {
    /// The tables and what stands around them.
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let lines = [
            self.machine.line(),
            format!(
                "{} s of load a side and row; {} shards; every put is durable before its answer; the body's SHA-256 is \
                 computed and compared; signatures are sent, but not verified yet.",
                self.seconds,
                rows::SHARDS
            ),
        ];
        for line in lines {
            let _ = writeln!(out, "{line}\n");
        }
        let measured: Vec<_> = self.rows.iter().filter_map(|(_, outcome)| outcome.measured()).collect();
        out += &grid(&RESULT_COLUMNS, &measured.iter().map(|r| result_cells(r)).collect::<Vec<_>>());
        out.push('\n');
        out += &grid(&DETAIL_COLUMNS, &measured.iter().map(|r| detail_cells(r)).collect::<Vec<_>>());
        out.push('\n');
        for (row, outcome) in &self.rows {
            match outcome {
                RowOutcome::Failed(why) => {
                    let _ = writeln!(out, "Row {} FAILED: {why}", row.number);
                }
                RowOutcome::Measured(report) => {
                    for note in &report.notes {
                        let _ = writeln!(out, "Row {}: {note}.", row.number);
                    }
                }
            }
        }
        out
    }

    /// Everything, pair by pair.
    pub(crate) fn json(&self) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|(row, outcome)| match outcome {
                RowOutcome::Failed(why) => json!({ "number": row.number, "work": row.work, "failed": why }),
                RowOutcome::Measured(report) => {
                    let mut value = json!(report);
                    value["verdict"] = report.verdict().into();
                    value
                }
            })
            .collect();
        json!({ "machine": self.machine, "seconds": self.seconds, "signatures_verified": false, "rows": rows })
    }
}

impl RowOutcome {
    fn measured(&self) -> Option<&RowReport> {
        match self {
            Self::Measured(report) => Some(report),
            Self::Failed(_) => None,
        }
    }
}

const RESULT_COLUMNS: [&str; 12] = [
    "#",
    "work",
    "null req/s",
    "levada req/s",
    "records/s",
    "ratio",
    "sustained",
    "goal",
    "target",
    "verdict",
    "p50 ms",
    "p99 ms",
];

fn result_cells(row: &RowReport) -> Vec<String> {
    vec![
        row.number.to_string(),
        row.work.into(),
        thousands(row.null.per_second),
        thousands(row.levada.per_second),
        thousands(row.records_per_second),
        format!("{:.3}", row.ratio),
        row.sustained.map_or("–".into(), |s| format!("{:.3}", s.ratio)),
        format!("{:.3}", row.goal),
        format!("{:.2}", row.target),
        row.verdict().into(),
        format!("{:.2}", row.levada.p50_ms),
        format!("{:.2}", row.levada.p99_ms),
    ]
}

const DETAIL_COLUMNS: [&str; 14] = [
    "#",
    "pairs",
    "load CPU null/levada",
    "server CPU null/levada",
    "others' CPU null/levada",
    "disk commits/s",
    "disk p50 µs",
    "disk p99 µs",
    "RSS MB",
    "peak MB",
    "backlog start → end (most)",
    "catch-up s",
    "written MB",
    "checked",
];

fn detail_cells(row: &RowReport) -> Vec<String> {
    let percent = |null: f64, levada: f64| format!("{:.0} % / {:.0} %", null * 100.0, levada * 100.0);
    let backlog = match (&row.backlog_start, &row.backlog_end, row.backlog_most) {
        (Some(start), Some(end), Some(most)) if start.name.contains("bytes") => {
            format!("{} → {} ({}) MB", megabytes(start.value), megabytes(end.value), megabytes(most))
        }
        (Some(start), Some(end), Some(most)) => {
            format!("{} → {} ({}) {}", thousands(start.value), thousands(end.value), thousands(most), start.name)
        }
        _ => "–".into(),
    };
    vec![
        row.number.to_string(),
        format!("{} kept, {} not", row.pairs_kept, row.pairs_discarded),
        percent(row.null.load_cpu, row.levada.load_cpu),
        percent(row.null.server_cpu, row.levada.server_cpu),
        percent(row.null.others_cpu, row.levada.others_cpu),
        thousands(row.disk.per_second),
        format!("{:.0}", row.disk.p50_us),
        format!("{:.0}", row.disk.p99_us),
        megabytes(row.memory.rss as f64),
        megabytes(row.memory.peak_rss as f64),
        backlog,
        row.sustained.map_or("–".into(), |s| format!("{:.1}", s.catch_up_s)),
        megabytes(row.disk_written_bytes as f64),
        format!("{} answers, {} records", row.answers_checked, row.records_read_back),
    ]
}

fn megabytes(bytes: f64) -> String {
    thousands(bytes / 1e6)
}

/// A rounded number with its digits in threes.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &digits[..]), |d| ("-", d));
    let mut out = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A Markdown table whose columns are aligned in plain text too.
pub(crate) fn grid(columns: &[&str], rows: &[Vec<String>]) -> String {
    let width = |i: usize| {
        let cells = rows.iter().map(|r| r[i].chars().count());
        cells.chain([columns[i].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, w)| format!(" {cell:<w$} "));
        format!("|{}|\n", padded.collect::<Vec<_>>().join("|"))
    };
    let mut out = line(columns.to_vec());
    out += &format!("|{}|\n", widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("|"));
    for row in rows {
        out += &line(row.iter().map(String::as_str).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let row = |ratio, sustained: Option<f64>, load_cpu, others_cpu| RowReport {
            ratio,
            sustained: sustained.map(|ratio| Sustained { per_second: 1.0, ratio, catch_up_s: 0.0 }),
            null: Side { load_cpu, others_cpu, ..Side::default() },
            target: 0.6,
            goal: 0.3,
            ..RowReport::default()
        };
        for (ratio, sustained, load_cpu, others_cpu, expected) in [
            (0.6, None, 0.9, 0.2, "target"),
            (0.59, None, 0.9, 0.2, "goal"),
            (0.7, Some(0.3), 0.9, 0.2, "goal"),
            (0.7, Some(0.2), 0.9, 0.2, "below"),
            (0.29, Some(0.4), 0.9, 0.2, "below"),
            (0.7, None, 0.96, 0.2, "void: load generator saturated"),
            (0.7, None, 0.9, 0.3, "void: machine not quiet"),
        ] {
            let row = row(ratio, sustained, load_cpu, others_cpu);
            assert_eq!(row.verdict(), expected, "{ratio} {sustained:?} {load_cpu} {others_cpu}");
        }
    }

    #[test]
    fn numbers_in_threes() {
        for (number, text) in
            [(0.0, "0"), (999.4, "999"), (999.5, "1,000"), (1_234_567.0, "1,234,567"), (-1234.0, "-1,234")]
        {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn a_grid_is_markdown_and_aligned() {
        let text = grid(&["#", "µs"], &[vec!["1".into(), "a".into()], vec!["22".into(), "bcd".into()]]);
        assert_eq!(text, "| #  | µs  |\n|----|-----|\n| 1  | a   |\n| 22 | bcd |\n");
    }
}
