//! One destination is dead for long: its delivery stream fills its own quota and nothing else.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use base64_simd::STANDARD as BASE64;
use levada_conformance::http::{Connection, Service};
use levada_conformance::server::Server;
use serde_json::{Value, json};

use crate::clients::{create_delivery, flush};
use crate::streams::s3;

const QUOTA: usize = 8 << 20;
const RECORD: usize = 50_000;
/// Of the dead one's neighbour: more than the quota in all.
const NEIGHBOURS_CALLS: usize = 40;
/// Many times the quota.
const REFUSED_CALLS: usize = 200;

/// How a call for ten records was answered: how many were taken, and the codes of the others.
fn put(connection: &mut Connection, name: &str, from: usize) -> (usize, Vec<Value>) {
    let text = |n: usize| format!("{:08}{}>", from + n, "x".repeat(RECORD));
    let records: Vec<Value> = (0..10).map(|n| json!({"Data": BASE64.encode_to_string(text(n))})).collect();
    let body = json!({"DeliveryStreamName": name, "Records": records});
    let answer = connection.call(Service::Firehose, "PutRecordBatch", &body).unwrap().success().unwrap();
    let results = answer["RequestResponses"].as_array().unwrap();
    let refused: Vec<Value> = results.iter().filter(|result| result["RecordId"].is_null()).cloned().collect();
    (results.len() - refused.len(), refused)
}

/// Bytes of all files below.
fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

/// Bytes of memory that the process has (`VmRSS:`), or had at most (`VmHWM:`).
pub(crate) fn memory(server: &Server, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix(which)).expect(which);
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") << 10
}

/// How many records a bucket holds.
pub(crate) fn count(directory: &Path) -> usize {
    let mut found = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with(".%tmp") {
            continue;
        }
        found += if path.is_dir() {
            count(&path)
        } else {
            fs::read(&path).unwrap_or_default().iter().filter(|b| **b == b'>').count()
        };
    }
    found
}

#[test]
fn a_dead_destination_fills_its_own_quota_only() {
    let directory = tempfile::tempdir().unwrap();
    let (data, store) = (directory.path().join("data"), directory.path().join("store"));
    let mount = directory.path().join("mount");
    std::os::unix::fs::symlink("/nonexistent/store", &mount).unwrap();
    let configuration = directory.path().join("levada.toml");
    let text = format!("[storage]\nbacklog_bytes = {QUOTA}\n[buckets.\"dead\"]\ndir = {mount:?}\n");
    fs::write(&configuration, text).unwrap();
    let flags = ["--limits", "open", "--test-controls", "--config", configuration.to_str().unwrap()];
    let server = Server::start(&data, &flags).unwrap();
    let mut connection = server.connect().unwrap();
    for name in ["dead", "live"] {
        let s3 = s3(name, json!({}));
        create_delivery(
            &mut connection,
            &json!({"DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": s3}),
        );
    }

    let mut accepted = fill(&mut connection);
    assert!(accepted * RECORD <= QUOTA && accepted * RECORD > QUOTA / 2, "{accepted} records under the quota");
    let (disk, memory_then) = (size(&data), memory(&server, "VmRSS:"));
    for _ in 0..REFUSED_CALLS {
        assert_eq!(put(&mut connection, "dead", 0).0, 0, "there is no room");
    }
    let (more_disk, more_memory) =
        (size(&data).saturating_sub(disk), memory(&server, "VmRSS:").saturating_sub(memory_then));
    println!("full: {disk} bytes on disk, {memory_then} in memory; then {more_disk} and {more_memory} more");
    // What was taken moves from the journal to segments meanwhile.
    assert!(more_disk < 2 * QUOTA as u64, "{more_disk} bytes of disk for what was refused");
    assert!(more_memory < 32 << 20, "{more_memory} bytes of memory for what was refused");
    for call in 0..NEIGHBOURS_CALLS {
        let (_, refused) = put(&mut connection, "live", call * 10);
        assert_eq!(refused, Vec::<Value>::new(), "the neighbour of a full backlog");
        assert_eq!(put(&mut connection, "dead", 0).0, 0, "there is no room");
        // Its own backlog stays below the quota.
        if call % 4 == 3 {
            flush(&mut connection, Some("live")).expect("flushed");
        }
    }
    let delivered = data.join("buckets").join("live");
    until(|| count(&delivered) == NEIGHBOURS_CALLS * 10, "the neighbour's records are delivered");
    println!("{accepted} records of {RECORD} bytes under a quota of {QUOTA}");

    // The quota outlives the process.
    server.kill().unwrap();
    let server = Server::start(&data, &flags).unwrap();
    let mut connection = server.connect().unwrap();
    accepted += fill(&mut connection);
    assert!(accepted * RECORD <= QUOTA, "a restart has made room for {accepted} records");

    fs::create_dir(&store).unwrap();
    let next = directory.path().join("next");
    std::os::unix::fs::symlink(&store, &next).unwrap();
    fs::rename(next, &mount).unwrap();
    server.kill().unwrap();
    let server = Server::start(&data, &flags).unwrap();
    let mut connection = server.connect().unwrap();
    flush(&mut connection, None).expect("flushed");
    assert_eq!(count(&store), accepted, "records of the one that was dead");
    until(|| put(&mut connection, "dead", 0).0 == 10, "there is room again");
    flush(&mut connection, None).expect("flushed");
}

/// Puts to the dead one until nothing is taken any more; answers how many records were. A call may be refused early:
/// until it is settled, a record may count twice.
fn fill(connection: &mut Connection) -> usize {
    let (mut accepted, mut refused_calls) = (0, 0);
    while refused_calls < 10 {
        let (taken, refused) = put(connection, "dead", accepted);
        accepted += taken;
        for result in &refused {
            assert_eq!(result["ErrorCode"], "ServiceUnavailableException", "{result}");
            assert_eq!(result["ErrorMessage"], "Slow down.", "{result}");
        }
        assert!(accepted * RECORD <= 2 * QUOTA, "no quota holds");
        if taken == 0 {
            refused_calls += 1;
            thread::sleep(Duration::from_millis(50));
        } else {
            refused_calls = 0;
        }
    }
    accepted
}

fn until(mut holds: impl FnMut() -> bool, what: &str) {
    let patience = Instant::now();
    while !holds() {
        assert!(patience.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
