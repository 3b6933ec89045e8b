//! The matrices of `docs/COMPATIBILITY.md`: each operation through each client, from what the suite saw; one for Kinesis and
//! one for Firehose.
//!
//! ```text
//! cargo xtask matrix [--check]
//! ```
//!
//! The steps of `cargo xtask test` leave their results in `target/conformance/`, a file for each run of the suite. A cell is green only if a success and a
//! business error of the operation were both seen through the client.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::run::root;
use crate::suite::results_dir;

/// One table of the document.
struct Matrix {
    /// The service's name in the results.
    service: &'static str,
    begin: &'static str,
    end: &'static str,
    /// The columns: the client's name in the results, the file of the results without `.jsonl`, and the title.
    clients: &'static [(&'static str, &'static str, &'static str)],
    /// The rows.
    operations: &'static [&'static str],
}

const MATRICES: [Matrix; 2] = [
    Matrix {
        service: "kinesis",
        begin: "<!-- matrix: made by `cargo xtask matrix` -->",
        end: "<!-- end of the matrix -->",
        clients: CLIENTS,
        operations: KINESIS_OPERATIONS,
    },
    Matrix {
        service: "firehose",
        begin: "<!-- matrix of Firehose: made by `cargo xtask matrix` -->",
        end: "<!-- end of the matrix of Firehose -->",
        // The SDK for Ruby of Debian is older than Firehose.
        clients: CLIENTS.split_at(CLIENTS.len() - 1).0,
        operations: FIREHOSE_OPERATIONS,
    },
];

const CLIENTS: &[(&str, &str, &str)] = &[
    ("boto3", "python", "boto3"),
    ("cli", "python", "AWS CLI"),
    ("rust", "rust", "Rust"),
    ("js", "js", "JS v3"),
    ("java", "java", "Java v2 async"),
    ("java-json", "java-json", "Java v2 sync"),
    ("go", "go", "Go v2"),
    ("ruby", "ruby", "Ruby 1.67"),
];

/// The operations of Kinesis but those of queues and channels.
const KINESIS_OPERATIONS: &[&str] = &[
    "AddTagsToStream",
    "CreateStream",
    "DecreaseStreamRetentionPeriod",
    "DeleteResourcePolicy",
    "DeleteStream",
    "DeregisterStreamConsumer",
    "DescribeAccountSettings",
    "DescribeLimits",
    "DescribeStream",
    "DescribeStreamConsumer",
    "DescribeStreamSummary",
    "DisableEnhancedMonitoring",
    "EnableEnhancedMonitoring",
    "GetRecords",
    "GetResourcePolicy",
    "GetShardIterator",
    "IncreaseStreamRetentionPeriod",
    "ListShards",
    "ListStreamConsumers",
    "ListStreams",
    "ListTagsForResource",
    "ListTagsForStream",
    "MergeShards",
    "PutRecord",
    "PutRecords",
    "PutResourcePolicy",
    "RegisterStreamConsumer",
    "RemoveTagsFromStream",
    "SplitShard",
    "StartStreamEncryption",
    "StopStreamEncryption",
    "SubscribeToShard",
    "TagResource",
    "UntagResource",
    "UpdateAccountSettings",
    "UpdateMaxRecordSize",
    "UpdateShardCount",
    "UpdateStreamMode",
    "UpdateStreamRecordDistributionStrategy",
    "UpdateStreamWarmThroughput",
];

const FIREHOSE_OPERATIONS: &[&str] = &[
    "CreateDeliveryStream",
    "DeleteDeliveryStream",
    "DescribeDeliveryStream",
    "ListDeliveryStreams",
    "ListTagsForDeliveryStream",
    "PutRecord",
    "PutRecordBatch",
    "StartDeliveryStreamEncryption",
    "StopDeliveryStreamEncryption",
    "TagDeliveryStream",
    "UntagDeliveryStream",
    "UpdateDestination",
];

/// Operations whose model has no errors of their own: a success is all there is to see.
const WITHOUT_ERRORS: &[&str] = &["ListDeliveryStreams"];

/// Refusals that come before an operation's own rules: they do not show that a client understands its errors.
const NOT_BUSINESS: &[&str] = &[
    "AccessDeniedException",
    "IncompleteSignatureException",
    "InternalFailure",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
];

const GREEN: &str = "✓";
const ABSENT: &str = "–";
const ONLY_SUCCESS: &str = "no error seen";
const ONLY_ERROR: &str = "no success seen";

/// What was seen: client, service, operation, outcomes.
type Seen = BTreeMap<(String, String, String), BTreeSet<String>>;

/// Runs `cargo xtask matrix` with the arguments after `matrix`.
///
/// # Errors
/// If results are missing or unreadable; with `--check`, if the document does not show what the results say.
pub(crate) fn command(args: &[String]) -> Result<(), String> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: cargo xtask matrix [--check]".to_owned()),
    };
    let (seen, missing) = results(&results_dir())?;
    if !missing.is_empty() {
        return Err(format!("no results of {}: run cargo xtask test, or its steps --only", missing.join(", ")));
    }
    if check {
        return compare(&seen, &missing);
    }
    let path = root().join("docs").join("COMPATIBILITY.md");
    let mut text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    for matrix in &MATRICES {
        let (before, _, after) = matrix.parts(&text)?;
        text = format!("{before}{}{after}", matrix.table(&seen));
    }
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The results that are missing, if the document shows what the others say.
///
/// # Errors
/// Names each cell that is not what the document says.
pub(crate) fn check() -> Result<Vec<&'static str>, String> {
    let (seen, missing) = results(&results_dir())?;
    compare(&seen, &missing)?;
    Ok(missing)
}

fn compare(seen: &Seen, missing: &[&str]) -> Result<(), String> {
    let path = root().join("docs").join("COMPATIBILITY.md");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut differences = Vec::new();
    for matrix in &MATRICES {
        differences.extend(matrix.differences(matrix.parts(&text)?.1, seen, missing));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("docs/COMPATIBILITY.md is not what the run says:\n{}", differences.join("\n")))
}

/// All results, and the names of the files that are missing.
fn results(dir: &Path) -> Result<(Seen, Vec<&'static str>), String> {
    let (mut seen, mut missing) = (Seen::new(), Vec::new());
    let files: BTreeSet<&'static str> = CLIENTS.iter().map(|(_, file, _)| *file).collect();
    for file in files {
        let path = dir.join(format!("{file}.jsonl"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            missing.push(file);
            continue;
        };
        read(&text, &mut seen).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok((seen, missing))
}

fn read(text: &str, seen: &mut Seen) -> Result<(), String> {
    for line in text.lines() {
        let sight: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let member = |name: &str| sight[name].as_str().map(str::to_owned).ok_or_else(|| format!("{line}: no {name}"));
        let operation = (member("client")?, member("service")?, member("operation")?);
        seen.entry(operation).or_default().insert(member("outcome")?);
    }
    Ok(())
}

impl Matrix {
    /// What a cell shows.
    fn cell(&self, seen: &Seen, client: &str, operation: &str) -> &'static str {
        let place = (client.to_owned(), self.service.to_owned(), operation.to_owned());
        let Some(outcomes) = seen.get(&place) else { return "" };
        let success = outcomes.contains("OK");
        let is_business = |one: &String| one != "OK" && one != "unknown" && !NOT_BUSINESS.contains(&one.as_str());
        let business = outcomes.iter().any(is_business) || success && WITHOUT_ERRORS.contains(&operation);
        match (success, business) {
            (true, true) => GREEN,
            (true, false) => ONLY_SUCCESS,
            (false, true) => ONLY_ERROR,
            (false, false) if outcomes.len() == 1 && outcomes.contains("unknown") => ABSENT,
            (false, false) => "",
        }
    }

    fn table(&self, seen: &Seen) -> String {
        let mut out = format!("{}\n| Operation |", self.begin);
        for (_, _, title) in self.clients {
            let _ = write!(out, " {title} |");
        }
        out.push_str("\n|---|");
        out.push_str(&"---|".repeat(self.clients.len()));
        for operation in self.operations {
            let _ = write!(out, "\n| {operation} |");
            for (client, _, _) in self.clients {
                let _ = write!(out, " {} |", self.cell(seen, client, operation));
            }
        }
        out.push('\n');
        out.push_str(self.end);
        out
    }

    /// The document before, in and after the matrix.
    fn parts<'a>(&self, text: &'a str) -> Result<(&'a str, &'a str, &'a str), String> {
        let marked = || {
            let begin = text.find(self.begin)?;
            let end = begin + text[begin..].find(self.end)? + self.end.len();
            Some((&text[..begin], &text[begin..end], &text[end..]))
        };
        marked().ok_or_else(|| format!("docs/COMPATIBILITY.md has no {} … {}", self.begin, self.end))
    }

    /// The cells that differ from what is shown, leaving out clients whose results are missing.
    fn differences(&self, shown: &str, seen: &Seen, missing: &[&str]) -> Vec<String> {
        let rows: BTreeMap<&str, Vec<&str>> = shown
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.strip_suffix('|')?.split('|').map(str::trim);
                Some((cells.next()?, cells.collect()))
            })
            .collect();
        let mut found = Vec::new();
        for operation in self.operations {
            for (column, (client, file, title)) in self.clients.iter().enumerate() {
                let shows = rows.get(operation).and_then(|cells| cells.get(column)).copied().unwrap_or("nothing");
                let is = self.cell(seen, client, operation);
                if shows != is && !missing.contains(file) {
                    let is = if is.is_empty() { "nothing was seen" } else { is };
                    found.push(format!("{operation} through {title}: the document shows {shows:?}, the run: {is}"));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(rows: &[(&str, &str, &str)]) -> Seen {
        let mut seen = Seen::new();
        let line = |(client, operation, outcome): &(&str, &str, &str)| {
            format!(
                "{{\"client\":{client:?},\"service\":\"kinesis\",\"operation\":{operation:?},\"outcome\":{outcome:?}}}\n"
            )
        };
        read(&rows.iter().map(line).collect::<String>(), &mut seen).unwrap();
        seen
    }

    #[test]
    fn green_needs_a_success_and_a_business_error() {
        let rows: &[(&[&str], &str)] = &[
            (&[], ""),
            (&["OK"], ONLY_SUCCESS),
            (&["ResourceNotFoundException"], ONLY_ERROR),
            (&["OK", "ResourceNotFoundException"], GREEN),
            (&["OK", "ResourceNotFoundException", "unknown"], GREEN),
            (&["OK", "ValidationException"], ONLY_SUCCESS),
            (&["OK", "UnknownOperationException"], ONLY_SUCCESS),
            (&["UnknownOperationException"], ""),
            (&["unknown"], ABSENT),
            (&["unknown", "OK"], ONLY_SUCCESS),
        ];
        for (outcomes, expected) in rows {
            let lines: Vec<_> = outcomes.iter().map(|outcome| ("js", "PutRecord", *outcome)).collect();
            assert_eq!(MATRICES[0].cell(&seen(&lines), "js", "PutRecord"), *expected, "{outcomes:?}");
            assert_eq!(MATRICES[1].cell(&seen(&lines), "js", "PutRecord"), "", "another service's operation");
        }
    }

    #[test]
    fn an_operation_without_errors_needs_a_success_only() {
        for (outcome, expected) in [("OK", GREEN), ("unknown", ABSENT), ("ValidationException", "")] {
            let line = format!(
                "{{\"client\":\"js\",\"service\":\"firehose\",\"operation\":\"ListDeliveryStreams\",\"outcome\":{outcome:?}}}"
            );
            let mut seen = Seen::new();
            read(&line, &mut seen).unwrap();
            assert_eq!(MATRICES[1].cell(&seen, "js", "ListDeliveryStreams"), expected, "{outcome}");
        }
    }

    #[test]
    fn the_document_is_held_to_the_run() {
        let green = [("go", "PutRecord", "OK"), ("go", "PutRecord", "ResourceNotFoundException")];
        let matrix = &MATRICES[0];
        let document = format!("before\n{}\nafter\n", matrix.table(&seen(&green)));
        let (before, shown, after) = matrix.parts(&document).unwrap();
        assert_eq!((before, after), ("before\n", "\nafter\n"));
        assert_eq!(matrix.differences(shown, &seen(&green), &[]), Vec::<String>::new());
        let lost = matrix.differences(shown, &seen(&green[..1]), &[]);
        assert_eq!(lost, ["PutRecord through Go v2: the document shows \"✓\", the run: no error seen"]);
        assert_eq!(
            matrix.differences(shown, &seen(&green[..1]), &["go"]),
            Vec::<String>::new(),
            "that client did not run"
        );
        assert!(matrix.parts("no matrix").is_err());
    }

    #[test]
    fn results_that_are_no_results_are_refused() {
        for bad in ["x", "{}", "{\"client\":\"js\",\"service\":\"kinesis\",\"operation\":\"PutRecord\"}"] {
            assert!(read(bad, &mut Seen::new()).is_err(), "{bad}");
        }
    }
}
