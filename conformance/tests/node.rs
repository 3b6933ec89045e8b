//! The binary from outside: one process a directory, clean ends, damaged directories.
#![allow(clippy::disallowed_methods, reason = "runs beside a node: real clock, files and threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64_simd::STANDARD as BASE64;
use levada_conformance::http::{Connection, Service};
use levada_conformance::random::{Seeded, seed};
use levada_conformance::server::{Server, binary, refused, run};
use serde_json::{Value, json};

const SHARD: &str = "shardId-000000000000";

fn kinesis(connection: &mut Connection, operation: &str, body: Value) -> Value {
    connection.call(Service::Kinesis, operation, &body).expect(operation).success().expect(operation)
}

/// A stream of one shard, ACTIVE.
fn create(connection: &mut Connection, stream: &str) {
    kinesis(connection, "CreateStream", json!({ "StreamName": stream, "ShardCount": 1 }));
    let patience = Instant::now();
    while kinesis(connection, "DescribeStreamSummary", json!({ "StreamName": stream }))["StreamDescriptionSummary"]["StreamStatus"]
        != "ACTIVE"
    {
        assert!(patience.elapsed() < Duration::from_secs(30), "{stream} is not ACTIVE");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Puts one record and answers its sequence number.
fn put(connection: &mut Connection, stream: &str, data: &str) -> String {
    let body = json!({ "StreamName": stream, "PartitionKey": "k", "Data": BASE64.encode_to_string(data) });
    kinesis(connection, "PutRecord", body)["SequenceNumber"].as_str().unwrap().to_owned()
}

/// Everything from the start to the end of a stream's only shard, or what came before the refusal of a page, and that.
fn read(connection: &mut Connection, stream: &str) -> (Vec<(String, String)>, Option<Value>) {
    let from = json!({ "StreamName": stream, "ShardId": SHARD, "ShardIteratorType": "TRIM_HORIZON" });
    let mut iterator = kinesis(connection, "GetShardIterator", from)["ShardIterator"].clone();
    let mut records = Vec::new();
    loop {
        let body = json!({ "ShardIterator": iterator });
        let answer = connection.call(Service::Kinesis, "GetRecords", &body).expect("GetRecords");
        if answer.status != 200 {
            return (records, Some(json!({ "status": answer.status, "body": answer.json() })));
        }
        let page = answer.json();
        for record in page["Records"].as_array().unwrap() {
            let data = BASE64.decode_to_vec(record["Data"].as_str().unwrap()).unwrap();
            records.push((record["SequenceNumber"].as_str().unwrap().to_owned(), String::from_utf8(data).unwrap()));
        }
        if page["Records"].as_array().unwrap().is_empty() && page["MillisBehindLatest"] == 0 {
            return (records, None);
        }
        iterator = page["NextShardIterator"].clone();
    }
}

/// `levada check`: whether it found nothing, and what it printed.
fn check(data: &Path) -> (bool, String) {
    let output = run(&["check", "--data-dir", data.to_str().unwrap()]).unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(printed).unwrap())
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, into) } else { into.push(path) }
    }
    into.sort();
}

/// Every file of a directory by its path inside, with its content.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = Vec::new();
    files(dir, &mut found);
    found.into_iter().map(|path| (path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

fn write(dir: &Path, contents: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in contents {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

#[test]
fn a_second_process_on_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]).unwrap();
    let (status, printed) = refused(directory.path(), &[]).unwrap();
    assert!(!status.success());
    assert!(printed.contains("in use"), "{printed}");
    let (clean, printed) = check(directory.path());
    assert!(!clean && printed.contains("in use"), "a check beside a server must refuse too: {printed}");
    let mut connection = server.connect().unwrap();
    create(&mut connection, "still-here");
    put(&mut connection, "still-here", "x");
    server.kill().unwrap();
    // The dead process holds no lock.
    let server = Server::start(directory.path(), &[]).unwrap();
    assert_eq!(read(&mut server.connect().unwrap(), "still-here").0.len(), 1);
}

#[test]
fn a_clean_end_under_load_loses_nothing_and_checks_clean() {
    let directory = tempfile::tempdir().unwrap();
    for (signal, stream) in [("TERM", "ended-by-term"), ("INT", "ended-by-int")] {
        let server = Server::start(directory.path(), &["--limits", "open"]).unwrap();
        create(&mut server.connect().unwrap(), stream);
        let endpoint = server.endpoint().to_owned();
        let writer = thread::spawn(move || {
            let mut connection = Connection::open(&endpoint).unwrap();
            let mut acknowledged = Vec::new();
            for n in 0.. {
                let data = BASE64.encode_to_string(format!("{n}"));
                let body = json!({ "StreamName": stream, "PartitionKey": "k", "Data": data });
                match connection.call(Service::Kinesis, "PutRecord", &body) {
                    Ok(answer) if answer.status == 200 => {
                        acknowledged
                            .push((answer.json()["SequenceNumber"].as_str().unwrap().to_owned(), format!("{n}")));
                    }
                    _ => break,
                }
            }
            acknowledged
        });
        thread::sleep(Duration::from_millis(300));
        let status = server.end(signal).unwrap();
        assert_eq!(status.code(), Some(0), "SIG{signal}");
        let acknowledged = writer.join().unwrap();
        assert!(acknowledged.len() > 10, "the load never ran");
        let (clean, printed) = check(directory.path());
        assert!(clean && printed.contains("clean"), "{printed}");

        let server = Server::start(directory.path(), &[]).unwrap();
        let (records, refusal) = read(&mut server.connect().unwrap(), stream);
        assert_eq!(refusal, None);
        // One more may have been written when its answer could no longer be.
        assert!(records.len() <= acknowledged.len() + 1 && records.starts_with(&acknowledged), "SIG{signal}");
        assert!(server.terminate().unwrap().success());
    }
}

#[test]
fn a_damaged_segment_fails_its_shard_only() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--limits", "open"]).unwrap();
    let mut connection = server.connect().unwrap();
    create(&mut connection, "to-be-damaged");
    create(&mut connection, "to-be-spared");
    let filler = "f".repeat(100_000);
    for n in 0..60 {
        put(&mut connection, "to-be-damaged", &format!("damaged-marker-{n:04}-{filler}"));
        put(&mut connection, "to-be-spared", &format!("spared-{n:04}"));
    }
    let (whole, _) = read(&mut connection, "to-be-damaged");
    assert!(server.terminate().unwrap().success());
    assert!(check(directory.path()).0);

    let needle = b"damaged-marker-0040";
    let holders = contents(directory.path()).into_iter().filter_map(|(path, bytes)| {
        let at = bytes.windows(needle.len()).position(|window| window == needle)?;
        path.to_str().unwrap().contains("segments").then_some((path, bytes, at))
    });
    let [(path, mut bytes, at)] =
        <[_; 1]>::try_from(holders.collect::<Vec<_>>()).expect("one segment holds the record");
    bytes[at + 10] ^= 1;
    std::fs::write(directory.path().join(&path), &bytes).unwrap();

    let (clean, printed) = check(directory.path());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(!clean, "a flipped bit went unnoticed");
    let line = printed.lines().find(|line| line.contains(name) && line.contains(" at byte "));
    let line = line.unwrap_or_else(|| panic!("names neither file nor place: {printed}"));
    let found: usize = line.split(" at byte ").nth(1).unwrap().split(':').next().unwrap().trim().parse().unwrap();
    assert!(found <= at && at - found < 1 << 20, "the damage is at {at}, not at {found}");

    let server =
        Server::start(directory.path(), &["--limits", "open"]).expect("a corrupt segment never stops the node");
    let mut connection = server.connect().unwrap();
    let (records, refusal) = read(&mut connection, "to-be-damaged");
    assert!(records.len() < 41 && whole.starts_with(&records), "{} records", records.len());
    let refusal = refusal.expect("damaged records must be refused, not skipped");
    assert_eq!(refusal["status"], 500, "{refusal}");
    assert_eq!(refusal["body"]["__type"], "InternalFailure", "{refusal}");
    let (spared, refusal) = read(&mut connection, "to-be-spared");
    assert_eq!((spared.len(), refusal), (60, None));
    put(&mut connection, "to-be-spared", "and writable");
}

/// Flips one bit at a time in the directory of a killed server. Whatever happens then (refusal, failing reads, a cut
/// tear), no record may come back changed, out of place, or be missing in front of one that is there; and only what the
/// last call put may be missing without a word.
#[test]
fn no_flipped_bit_is_ever_served() {
    let seed = seed();
    println!("LEVADA_SEED={seed}");
    let mut random = Seeded::new(seed);
    let original = tempfile::tempdir().unwrap();
    let server = Server::start(original.path(), &["--limits", "open"]).unwrap();
    let mut connection = server.connect().unwrap();
    create(&mut connection, "flips");
    let written: Vec<(String, String)> = (0..40)
        .map(|n| {
            let data = format!("{n}-{}", "x".repeat(random.below(3000) as usize));
            (put(&mut connection, "flips", &data), data)
        })
        .collect();
    server.kill().unwrap();
    let pristine = contents(original.path());
    let places: Vec<(&PathBuf, usize)> = pristine
        .iter()
        .filter(|(path, _)| !path.starts_with("buckets"))
        .flat_map(|(path, bytes)| {
            bytes.iter().enumerate().filter(|(_, byte)| **byte != 0).map(move |(at, _)| (path, at))
        })
        .collect();
    assert!(places.len() > 10_000, "only {} bytes to flip", places.len());

    let (mut refusals, mut failures, mut harmless, mut cut) = (0, 0, 0, 0);
    for _ in 0..30 {
        let (path, at) = places[random.below(places.len() as u64) as usize];
        let directory = tempfile::tempdir().unwrap();
        let mut damaged = pristine.clone();
        damaged.get_mut(path).unwrap()[at] ^= 1 << random.below(8);
        write(directory.path(), &damaged);
        let what = format!("{} at {at}", path.display());
        let Ok(server) = Server::start(directory.path(), &[]) else {
            let (status, printed) = refused(directory.path(), &[]).unwrap();
            assert!(!status.success() && !printed.trim().is_empty(), "{what}: refused without a word");
            let named = printed.contains(path.file_name().unwrap().to_str().unwrap());
            assert!(named || printed.contains("format"), "{what}: refused with another name: {printed}");
            refusals += 1;
            continue;
        };
        let mut connection = server.connect().unwrap();
        let known = connection.call(Service::Kinesis, "ListStreams", &json!({})).unwrap().json();
        assert_eq!(known["StreamNames"], json!(["flips"]), "{what}: the catalog lost an acknowledged stream");
        let (records, refusal) = read(&mut connection, "flips");
        assert!(written.starts_with(&records), "{what}: served something that was not put there");
        match (refusal, written.len() - records.len()) {
            (Some(_), _) => failures += 1,
            (None, 0) => harmless += 1,
            (None, 1) => cut += 1,
            (None, missing) => panic!("{what}: {missing} acknowledged records are gone without a word"),
        }
    }
    println!("{refusals} refused to start, {failures} failed reads, {harmless} harmless, {cut} cut as a tear");
    assert!(refusals + failures > 0, "no flip was ever noticed");
}

#[test]
fn a_newer_format_is_refused_before_any_write() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]).unwrap();
    assert!(server.terminate().unwrap().success());
    let mut all = contents(directory.path());
    let format = all.keys().find(|path| path.file_name().is_some_and(|name| name == "format")).unwrap().clone();
    let text = String::from_utf8(all[&format].clone()).unwrap();
    let newer = text.replace("levada log 1.", "levada log 2.");
    assert_ne!(newer, text, "the format file says {text:?}");
    all.insert(format.clone(), newer.clone().into_bytes());
    std::fs::write(directory.path().join(&format), newer).unwrap();
    let (status, printed) = refused(directory.path(), &[]).unwrap();
    assert!(!status.success() && printed.contains("format 2"), "{printed}");
    assert!(contents(directory.path()) == all, "a refused directory was written to");
}

#[test]
fn an_ephemeral_node_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--ephemeral"]).current_dir(directory.path());
    command.env("TMPDIR", directory.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let server = Server::launch(command).unwrap();
    let mut connection = server.connect().unwrap();
    create(&mut connection, "short-lived");
    put(&mut connection, "short-lived", "x");
    assert!(!contents(directory.path()).is_empty());
    assert!(server.terminate().unwrap().success());
    let mut left = Vec::new();
    files(directory.path(), &mut left);
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn other_addresses_want_keys_or_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let (status, printed) = refused(directory.path(), &["--listen", "0.0.0.0:0"]).unwrap();
    assert!(!status.success());
    assert!(printed.contains("--auth none"), "{printed}");
    let server = Server::start(directory.path(), &["--listen", "0.0.0.0:0", "--auth", "none"]).unwrap();
    let port = server.endpoint().rsplit(':').next().unwrap();
    let mut connection = Connection::open(&format!("http://127.0.0.1:{port}")).unwrap();
    assert_eq!(connection.request("GET", "/livez", "", b"").unwrap().status, 200);
}
