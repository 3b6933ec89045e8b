//! `kill -9` under load, seen from outside. Writers put, the process dies at a random moment (sometimes again while it
//! starts), starts on the same directory, and every acknowledged (shard, sequence number, payload) must be there exactly
//! once in its place. What was not acknowledged may be there, once. One directory lives through all rounds.
//!
//! `LEVADA_KILL_ROUNDS` (20), `LEVADA_SEED`.
#![allow(clippy::disallowed_methods, reason = "runs beside a node: real clock, files and threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use base64_simd::STANDARD as BASE64;
use levada_conformance::http::{Connection, Service};
use levada_conformance::random::{Seeded, seed};
use levada_conformance::server::Server;
use serde_json::{Value, json};

/// Streams with their shard counts.
const STREAMS: [(&str, u32); 2] = [("kill-one", 1), ("kill-four", 4)];
const DELIVERY_STREAM: &str = "kill-delivery";
const BUCKET: &str = "kill-bucket";

/// A record's name: who put it, and as which of its own.
type Id = (usize, u64);

/// Where a record was acknowledged: stream, shard id, sequence number.
type Place = (&'static str, String, String);

#[derive(Clone, Copy)]
enum Target {
    /// PutRecord and PutRecords, at random.
    Stream(&'static str),
    /// PutRecord and PutRecordBatch, at random.
    Delivery,
}

struct Writer {
    index: usize,
    target: Target,
    random: Seeded,
    /// Records sent so far; all of their numbers are below this.
    attempted: u64,
    acknowledged: Vec<(Place, Id)>,
    delivered: Vec<Id>,
}

/// A record's payload: a line that names it, with a filler that its name determines.
fn payload((writer, number): Id) -> String {
    let mut random = Seeded::new((writer as u64) << 40 | number);
    let length = random.below(600) as usize;
    format!("{writer}:{number}:{}\n", random.letters(length))
}

fn identify(line: &str) -> Id {
    let mut parts = line.splitn(3, ':');
    let id = (|| Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?)))();
    let id = id.unwrap_or_else(|| panic!("not a record of this test: {line:?}"));
    assert_eq!(line, payload(id).trim_end_matches('\n'), "the payload of {id:?} was changed");
    id
}

impl Writer {
    /// Puts, one request at a time, until the server is gone.
    fn run(&mut self, endpoint: &str) {
        let Ok(mut connection) = Connection::open(endpoint) else { return };
        loop {
            let count = if self.random.below(4) == 0 { 1 } else { 1 + self.random.below(40) };
            let ids: Vec<Id> = (0..count).map(|n| (self.index, self.attempted + n)).collect();
            self.attempted += count;
            let put = match self.target {
                Target::Stream(stream) => self.put(&mut connection, stream, &ids),
                Target::Delivery => self.deliver(&mut connection, &ids),
            };
            if put.is_none() {
                return;
            }
        }
    }

    /// `None` if the server did not answer.
    fn put(&mut self, connection: &mut Connection, stream: &'static str, ids: &[Id]) -> Option<()> {
        let entry = |id: &Id| json!({ "Data": BASE64.encode_to_string(payload(*id)), "PartitionKey": format!("key-{}", id.1 % 23) });
        let (operation, body) = match ids {
            [one] => {
                let mut body = entry(one);
                body["StreamName"] = stream.into();
                ("PutRecord", body)
            }
            many => {
                ("PutRecords", json!({ "StreamName": stream, "Records": many.iter().map(entry).collect::<Vec<_>>() }))
            }
        };
        let answer = connection.call(Service::Kinesis, operation, &body).ok()?.success().expect(operation);
        let places = match ids {
            [_] => vec![answer],
            _ => {
                assert_eq!(answer["FailedRecordCount"], 0, "{answer}");
                answer["Records"].as_array().expect("Records").clone()
            }
        };
        assert_eq!(places.len(), ids.len());
        for (place, id) in places.iter().zip(ids) {
            self.acknowledged.push(((stream, text(&place["ShardId"]), text(&place["SequenceNumber"])), *id));
        }
        Some(())
    }

    fn deliver(&mut self, connection: &mut Connection, ids: &[Id]) -> Option<()> {
        let entry = |id: &Id| json!({ "Data": BASE64.encode_to_string(payload(*id)) });
        let (operation, body) = match ids {
            [one] => ("PutRecord", json!({ "DeliveryStreamName": DELIVERY_STREAM, "Record": entry(one) })),
            many => {
                let records: Vec<Value> = many.iter().map(entry).collect();
                ("PutRecordBatch", json!({ "DeliveryStreamName": DELIVERY_STREAM, "Records": records }))
            }
        };
        let answer = connection.call(Service::Firehose, operation, &body).ok()?.success().expect(operation);
        if ids.len() > 1 {
            assert_eq!(answer["FailedPutCount"], 0, "{answer}");
            assert_eq!(answer["RequestResponses"].as_array().map(Vec::len), Some(ids.len()));
        }
        self.delivered.extend(ids);
        Some(())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string, not {value}")).to_owned()
}

/// What was read of each shard so far, in order.
#[derive(Default)]
struct Read {
    shards: BTreeMap<(&'static str, String), Vec<(String, Id)>>,
}

impl Read {
    /// Reads on to the end of every shard: from the start, or after what was read before.
    fn on(&mut self, connection: &mut Connection) {
        for (stream, count) in STREAMS {
            let call = |connection: &mut Connection, operation: &str, body: Value| {
                connection.call(Service::Kinesis, operation, &body).expect(operation).success().expect(operation)
            };
            let shards = call(connection, "ListShards", json!({ "StreamName": stream }));
            let shards: Vec<String> =
                shards["Shards"].as_array().unwrap().iter().map(|shard| text(&shard["ShardId"])).collect();
            assert_eq!(shards.len(), count as usize);
            for shard in shards {
                let records = self.shards.entry((stream, shard.clone())).or_default();
                let mut from = json!({ "StreamName": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
                if let Some((last, _)) = records.last() {
                    from["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
                    from["StartingSequenceNumber"] = last.as_str().into();
                }
                let mut iterator = text(&call(connection, "GetShardIterator", from)["ShardIterator"]);
                loop {
                    let page = call(connection, "GetRecords", json!({ "ShardIterator": iterator }));
                    let page_records = page["Records"].as_array().expect("Records");
                    for record in page_records {
                        let data = BASE64.decode_to_vec(text(&record["Data"])).expect("base64");
                        let data = String::from_utf8(data).expect("UTF-8");
                        let id = identify(data.strip_suffix('\n').expect("a line"));
                        assert_eq!(record["PartitionKey"], format!("key-{}", id.1 % 23).as_str());
                        records.push((text(&record["SequenceNumber"]), id));
                    }
                    if page_records.is_empty() && page["MillisBehindLatest"] == 0 {
                        break;
                    }
                    iterator = text(&page["NextShardIterator"]);
                }
            }
        }
    }

    /// Everything that was promised is there, once and in its place; nothing is there that nobody put.
    fn check(&self, writers: &[Writer]) {
        let mut seen = BTreeSet::new();
        let mut places = BTreeMap::new();
        for ((stream, shard), records) in &self.shards {
            let mut last_of = BTreeMap::new();
            let mut last_sequence = "";
            for (sequence, id) in records {
                assert!(
                    sequence.len() == 56 && sequence.as_str() > last_sequence,
                    "{stream}/{shard}: {sequence} after {last_sequence}"
                );
                last_sequence = sequence;
                assert!(seen.insert(*id), "{stream}/{shard}: {id:?} is there twice");
                assert!(id.1 < writers[id.0].attempted, "{stream}/{shard}: {id:?} was never sent");
                if let Some(before) = last_of.insert(id.0, id.1) {
                    assert!(before < id.1, "{stream}/{shard}: writer {} put {} before {before}", id.0, id.1);
                }
                places.insert((*stream, shard.as_str(), sequence.as_str()), *id);
            }
        }
        for (place, id) in writers.iter().flat_map(|writer| &writer.acknowledged) {
            let (stream, shard, sequence) = place;
            let there = places.get(&(*stream, shard.as_str(), sequence.as_str()));
            assert_eq!(there, Some(id), "acknowledged in {stream}/{shard} at {sequence}");
        }
    }

    fn len(&self) -> usize {
        self.shards.values().map(Vec::len).sum()
    }
}

/// Every line of every object, object by object. What is being written stands in `.%tmp` until it is whole.
fn objects(dir: &Path, into: &mut Vec<Vec<Id>>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("directory entry").path();
        if path.ends_with(".%tmp") {
            continue;
        }
        if path.is_dir() {
            objects(&path, into);
        } else if let Ok(content) = std::fs::read_to_string(&path) {
            into.push(content.lines().map(identify).collect());
        }
    }
}

/// Waits until every acknowledged record is in the bucket, then checks that nothing is there twice.
fn check_bucket(bucket: &Path, writer: &Writer) -> usize {
    let patience = Instant::now();
    let mut found = Vec::new();
    loop {
        found.clear();
        objects(bucket, &mut found);
        let there: BTreeSet<Id> = found.iter().flatten().copied().collect();
        let missing = writer.delivered.iter().filter(|id| !there.contains(id)).count();
        if missing == 0 {
            break;
        }
        assert!(
            patience.elapsed() < Duration::from_secs(60),
            "{missing} of {} are not delivered",
            writer.delivered.len()
        );
        thread::sleep(Duration::from_millis(100));
    }
    let mut seen = BTreeSet::new();
    for object in &found {
        assert!(object.is_sorted(), "an object out of order");
        for id in object {
            assert!(id.0 == writer.index && id.1 < writer.attempted, "{id:?} was never sent");
            assert!(seen.insert(*id), "{id:?} was delivered twice");
        }
    }
    found.len()
}

fn create(connection: &mut Connection) {
    for (stream, count) in STREAMS {
        let body = json!({ "StreamName": stream, "ShardCount": count });
        connection.call(Service::Kinesis, "CreateStream", &body).unwrap().success().unwrap();
    }
    let body = json!({
        "DeliveryStreamName": DELIVERY_STREAM,
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/levada",
            "BucketARN": format!("arn:aws:s3:::{BUCKET}"),
            "BufferingHints": { "SizeInMBs": 1, "IntervalInSeconds": 0 },
        },
    });
    connection.call(Service::Firehose, "CreateDeliveryStream", &body).unwrap().success().unwrap();
    for (stream, _) in STREAMS {
        until_active(|| {
            let body = json!({ "StreamName": stream });
            let answer = connection.call(Service::Kinesis, "DescribeStreamSummary", &body).unwrap().success().unwrap();
            text(&answer["StreamDescriptionSummary"]["StreamStatus"])
        });
    }
    until_active(|| {
        let body = json!({ "DeliveryStreamName": DELIVERY_STREAM });
        let answer = connection.call(Service::Firehose, "DescribeDeliveryStream", &body).unwrap().success().unwrap();
        text(&answer["DeliveryStreamDescription"]["DeliveryStreamStatus"])
    });
}

fn until_active(mut status: impl FnMut() -> String) {
    let patience = Instant::now();
    while status() != "ACTIVE" {
        assert!(patience.elapsed() < Duration::from_secs(30), "not ACTIVE after 30 s");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Rounds on one directory; more of them take a new one, so that checking everything each round stays quick.
const ROUNDS_OF_A_DIRECTORY: u32 = 50;

#[test]
fn what_was_acknowledged_survives_kill_nine() {
    let rounds: u32 =
        std::env::var("LEVADA_KILL_ROUNDS").map_or(20, |rounds| rounds.parse().expect("a number of rounds"));
    let seed = seed();
    println!("LEVADA_SEED={seed} LEVADA_KILL_ROUNDS={rounds}");
    let mut random = Seeded::new(seed);
    let mut left = rounds;
    while left > 0 {
        let now = left.min(ROUNDS_OF_A_DIRECTORY);
        one_directory(&mut random, now);
        left -= now;
    }
}

fn writers(random: &mut Seeded) -> Vec<Writer> {
    let [(one, _), (four, _)] = STREAMS;
    let targets =
        [Target::Stream(one), Target::Stream(one), Target::Stream(four), Target::Stream(four), Target::Delivery];
    let writer = |(index, target)| Writer {
        index,
        target,
        random: Seeded::new(random.next_u64()),
        attempted: 0,
        acknowledged: Vec::new(),
        delivered: Vec::new(),
    };
    (0..).zip(targets).map(writer).collect()
}

fn one_directory(random: &mut Seeded, rounds: u32) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let flags = ["--limits", "open"];
    let mut writers = writers(random);

    let mut server = Server::start(&data, &flags).unwrap();
    create(&mut server.connect().unwrap());
    let mut read = Read::default();
    let mut killed_at_start = 0;
    for _ in 0..rounds {
        let endpoint = server.endpoint().to_owned();
        thread::scope(|scope| {
            for writer in &mut writers {
                let endpoint = &endpoint;
                scope.spawn(move || writer.run(endpoint));
            }
            thread::sleep(random.millis(5, 600));
            server.kill().unwrap();
        });
        while random.below(3) == 0 {
            killed_at_start += 1;
            let mut starting = Server::spawn(&data, &flags).unwrap();
            thread::sleep(random.millis(0, 40));
            starting.kill().unwrap();
            starting.wait().unwrap();
        }
        server = Server::start(&data, &flags).unwrap();
        read.on(&mut server.connect().unwrap());
        read.check(&writers);
    }

    let mut again = Read::default();
    again.on(&mut server.connect().unwrap());
    assert!(again.shards == read.shards, "what was read once is not what is read at last");
    let deliverer = &writers[4];
    let objects = check_bucket(&data.join("buckets").join(BUCKET), deliverer);
    let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged.len()).sum();
    println!(
        "{rounds} kills under load, {killed_at_start} at start: {acknowledged} acknowledged in streams, {} there; {} \
         acknowledged for delivery, in {objects} objects",
        read.len(),
        deliverer.delivered.len()
    );
    assert!(acknowledged > rounds as usize && deliverer.delivered.len() > rounds as usize, "the load never ran");
}
