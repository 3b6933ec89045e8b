//! Those who put records, and those who change things meanwhile. Each ends with its connection.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use base64_simd::STANDARD as BASE64;
use levada_conformance::http::{Answer, Connection, Service};
use levada_conformance::random::Seeded;
use serde_json::{Value, json};

use crate::streams::{Kind, SOURCE};

/// A record of a delivery stream, told by its number. Some are for the function to drop, some for it to fail. For the
/// cluster it is a document; one that should fail is none.
pub(crate) fn text(kind: Kind, number: u64) -> String {
    let special = match number % 20 {
        7 => "drop",
        _ if is_poison(number) => "poison",
        _ => "",
    };
    let mut random = Seeded::new((kind as u64) << 40 | number);
    // No filler says `drop`: it is upper case.
    let length = random.below(500) as usize;
    let text = format!("<{}:{number}:{special}:{}>", kind.name(), random.letters(length).to_uppercase());
    if kind == Kind::Search && !is_poison(number) { json!({ "text": text }).to_string() } else { text }
}

pub(crate) fn is_poison(number: u64) -> bool {
    number % 20 == 13
}

/// The number of a record, if it is one of this delivery stream as it was put.
pub(crate) fn number(kind: Kind, found: &str) -> Option<u64> {
    let number = found.split_once('<')?.1.split(':').nth(1)?.parse().ok()?;
    (text(kind, number) == found).then_some(number)
}

/// Puts to one delivery stream, or to what it reads.
pub(crate) struct Writer {
    pub(crate) kind: Kind,
    random: Seeded,
    /// All numbers sent so far are below this.
    pub(crate) attempted: u64,
    pub(crate) accepted: BTreeSet<u64>,
}

impl Writer {
    pub(crate) fn new(kind: Kind, random: &mut Seeded) -> Self {
        Self { kind, random: Seeded::new(random.next_u64()), attempted: 0, accepted: BTreeSet::new() }
    }

    /// Puts, one request at a time, until the server is gone.
    pub(crate) fn run(&mut self, endpoint: &str) {
        let Ok(mut connection) = Connection::open(endpoint) else { return };
        loop {
            let count = 1 + self.random.below(20);
            let numbers: Vec<u64> = (self.attempted..self.attempted + count).collect();
            self.attempted += count;
            let (service, operation, body) = self.request(&numbers);
            let Ok(answer) = connection.call(service, operation, &body) else { return };
            self.note(&numbers, &answer.success().expect(operation));
            thread::sleep(self.random.millis(0, 30));
        }
    }

    fn request(&self, numbers: &[u64]) -> (Service, &'static str, Value) {
        let data = |number: &u64| BASE64.encode_to_string(text(self.kind, *number));
        if self.kind == Kind::Sourced {
            let record = |n: &u64| json!({"Data": data(n), "PartitionKey": format!("key-{}", n % 23)});
            let records: Vec<Value> = numbers.iter().map(record).collect();
            return (Service::Kinesis, "PutRecords", json!({"StreamName": SOURCE, "Records": records}));
        }
        let records: Vec<Value> = numbers.iter().map(|n| json!({"Data": data(n)})).collect();
        let body = json!({"DeliveryStreamName": self.kind.name(), "Records": records});
        (Service::Firehose, "PutRecordBatch", body)
    }

    fn note(&mut self, numbers: &[u64], answer: &Value) {
        let results = answer[if self.kind == Kind::Sourced { "Records" } else { "RequestResponses" }].as_array();
        let results = results.filter(|results| results.len() == numbers.len()).expect("a result for each record");
        for (number, result) in numbers.iter().zip(results) {
            if result["RecordId"].is_string() || result["SequenceNumber"].is_string() {
                self.accepted.insert(*number);
            } else {
                // In doubt; nothing here is at its limit.
                assert_eq!(result["ErrorCode"], "InternalFailure", "{:?}: {result}", self.kind);
            }
        }
    }
}

/// Updates destinations and reshards the data stream until the server is gone; answers how often that took effect.
pub(crate) fn alter(endpoint: &str, random: &mut Seeded) -> (usize, usize) {
    let (mut updates, mut reshards) = (0, 0);
    let Ok(mut connection) = Connection::open(endpoint) else { return (0, 0) };
    loop {
        thread::sleep(random.millis(20, 400));
        let kind = Kind::ALL[random.below(Kind::ALL.len() as u64) as usize];
        let done = if kind == Kind::Sourced {
            reshard(&mut connection, random)
        } else {
            update(&mut connection, kind, random)
        };
        match done {
            Some(true) if kind == Kind::Sourced => reshards += 1,
            Some(true) => updates += 1,
            Some(false) => {}
            None => return (updates, reshards),
        }
    }
}

/// `None` if the server is gone.
fn update(connection: &mut Connection, kind: Kind, random: &mut Seeded) -> Option<bool> {
    let name = json!({"DeliveryStreamName": kind.name()});
    let described = connection.call(Service::Firehose, "DescribeDeliveryStream", &name).ok()?.success().unwrap();
    let version = described["DeliveryStreamDescription"]["VersionId"].as_str().unwrap();
    let Some(body) = kind.update(version, random.next_u64()) else { return Some(false) };
    connection.call(Service::Firehose, "UpdateDestination", &body).ok()?.success().unwrap();
    Some(true)
}

/// Splits a shard, or merges two. `None` if the server is gone.
fn reshard(connection: &mut Connection, random: &mut Seeded) -> Option<bool> {
    let name = json!({"StreamName": SOURCE});
    let listed = connection.call(Service::Kinesis, "ListShards", &name).ok()?.success().unwrap();
    let is_open = |shard: &&Value| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none();
    let mut open: Vec<&Value> = listed["Shards"].as_array().unwrap().iter().filter(is_open).collect();
    let key = |shard: &Value, name: &str| shard["HashKeyRange"][name].as_str().unwrap().parse::<u128>().unwrap();
    open.sort_by_key(|shard| key(shard, "StartingHashKey"));
    let at = random.below(open.len() as u64) as usize;
    let (operation, body) = if open.len() < 4 && random.below(2) == 0 {
        let (start, end) = (key(open[at], "StartingHashKey"), key(open[at], "EndingHashKey"));
        let middle = (start + (end - start) / 2).to_string();
        let body = json!({
            "StreamName": SOURCE, "ShardToSplit": open[at]["ShardId"], "NewStartingHashKey": middle,
        });
        ("SplitShard", body)
    } else if at + 1 < open.len() {
        let body = json!({
            "StreamName": SOURCE,
            "ShardToMerge": open[at]["ShardId"],
            "AdjacentShardToMerge": open[at + 1]["ShardId"],
        });
        ("MergeShards", body)
    } else {
        return Some(false);
    };
    let answer = connection.call(Service::Kinesis, operation, &body).ok()?;
    match answer.status {
        200 => Some(true),
        // An earlier one is still under way.
        400 if answer.json()["__type"] == "ResourceInUseException" => Some(false),
        _ => panic!("{operation}: {answer:?}"),
    }
}

/// Flushes the partitions, whose buffers are wide, until the server is gone.
pub(crate) fn flush_partitions(endpoint: &str, random: &mut Seeded) {
    let Ok(mut connection) = Connection::open(endpoint) else { return };
    loop {
        thread::sleep(random.millis(50, 500));
        if flush(&mut connection, Some(Kind::Partitioned.name())).is_none() {
            return;
        }
    }
}

/// Waits until what is buffered is delivered. `None` if the server does not say so.
pub(crate) fn flush(connection: &mut Connection, name: Option<&str>) -> Option<Answer> {
    let body = name.map(|name| json!({ "delivery_stream": name }).to_string()).unwrap_or_default();
    let answer = connection.request("POST", "/_levada/flush", "", body.as_bytes()).ok()?;
    assert_eq!(answer.status, 200, "{answer:?}");
    Some(answer)
}

/// Creates the data stream and the delivery streams, and waits until they are ACTIVE.
pub(crate) fn create(connection: &mut Connection) {
    let stream = json!({"StreamName": SOURCE, "ShardCount": 2});
    connection.call(Service::Kinesis, "CreateStream", &stream).unwrap().success().unwrap();
    let name = json!({ "StreamName": SOURCE });
    until_active(
        connection,
        Service::Kinesis,
        "DescribeStreamSummary",
        &name,
        "/StreamDescriptionSummary/StreamStatus",
    );
    for kind in Kind::ALL {
        create_delivery(connection, &kind.creation());
    }
}

/// Creates a delivery stream, and waits until it is ACTIVE.
pub(crate) fn create_delivery(connection: &mut Connection, body: &Value) {
    connection.call(Service::Firehose, "CreateDeliveryStream", body).unwrap().success().unwrap();
    let name = json!({ "DeliveryStreamName": body["DeliveryStreamName"] });
    let path = "/DeliveryStreamDescription/DeliveryStreamStatus";
    until_active(connection, Service::Firehose, "DescribeDeliveryStream", &name, path);
}

fn until_active(connection: &mut Connection, service: Service, operation: &str, name: &Value, path: &str) {
    let patience = Instant::now();
    loop {
        let described = connection.call(service, operation, name).unwrap().success().unwrap();
        if described.pointer(path).is_some_and(|status| status == "ACTIVE") {
            return;
        }
        assert!(patience.elapsed() < Duration::from_secs(30), "{name} is not ACTIVE after 30 s");
        thread::sleep(Duration::from_millis(10));
    }
}
