//! A backlog many times as large as the memory that deliveries may have, while its destinations are dead in different
//! ways, and while it is delivered.

use std::time::{Duration, Instant};
use std::{fs, thread};

use base64_simd::STANDARD as BASE64;
use levada_conformance::http::{Connection, Service};
use levada_conformance::receiver::{Fault, Plan};
use levada_conformance::server::Server;
use serde_json::{Value, json};

use crate::clients::{self, create_delivery, flush};
use crate::destinations::Destinations;
use crate::quota::{count, memory};
use crate::streams::Kind;

/// `[storage] delivery_memory_bytes`.
const CEILING: usize = 32 << 20;
/// What the log and requests may take besides: its memory for records that are not in segments yet, its queue
/// (crates/log, `Options`), and the bodies of the puts.
const BESIDES: usize = 160 << 20;
/// Backlog of each delivery stream.
const BACKLOG: usize = 48 << 20;
/// Of objects and requests, in MiB. Without a ceiling the uploads that a destination may have at a time would hold several
/// times as much as with it.
const SIZE: u64 = 8;
const RECORD: usize = 16 << 10;
const KINDS: [Kind; 6] = [Kind::Plain, Kind::Stored, Kind::Processed, Kind::Partitioned, Kind::Endpoint, Kind::Splunk];

#[test]
fn memory_is_bounded_however_large_the_backlog() {
    let directory = tempfile::tempdir().unwrap();
    let mut destinations = Destinations::new(directory.path());
    let configuration = directory.path().join("levada.toml");
    let text = format!("[storage]\ndelivery_memory_bytes = {CEILING}\n{}", destinations.configuration());
    fs::write(&configuration, text).unwrap();
    let data = directory.path().join("data");
    let flags = ["--limits", "open", "--test-controls", "--config", configuration.to_str().unwrap()];
    let server = Server::start(&data, &flags).unwrap();
    let mut connection = server.connect().unwrap();
    for kind in KINDS {
        create_delivery(&mut connection, &creation(kind));
    }
    let idle = memory(&server, "VmRSS:");
    let hang = || Plan { always: Some(Fault::Hang), ..Plan::default() };
    destinations.lose(Kind::Plain.name());
    destinations.plan_all(&hang());
    thread::scope(|scope| {
        for kind in KINDS {
            let mut connection = server.connect().unwrap();
            scope.spawn(move || fill(&mut connection, kind));
        }
    });
    thread::sleep(Duration::from_secs(2));
    let dead = memory(&server, "VmHWM:");

    destinations.heal();
    // Requests that hang do so for minutes: they die with the process.
    server.kill().unwrap();
    let server = Server::start(&data, &flags).unwrap();
    clients::flush(&mut server.connect().unwrap(), None).expect("flushed");
    until_counted(&server, &destinations, Kind::Plain);
    until_counted(&server, &destinations, Kind::Partitioned);
    let drained = memory(&server, "VmHWM:");
    let mib = [idle, dead, drained].map(|bytes| bytes >> 20);
    println!("{} MiB of backlog; memory idle, dead and drained: {mib:?} MiB", (BACKLOG * KINDS.len()) >> 20);
    let bound = idle + (CEILING + BESIDES) as u64;
    assert!(bound < (BACKLOG * KINDS.len()) as u64, "the bound says something");
    assert!(dead < bound, "{mib:?} MiB while nothing is delivered");
    assert!(drained < bound, "{mib:?} MiB while it is delivered");
}

fn creation(kind: Kind) -> Value {
    let mut body = kind.creation();
    for member in ["ExtendedS3DestinationConfiguration", "HttpEndpointDestinationConfiguration"] {
        if let Some(hints) = body.pointer_mut(&format!("/{member}/BufferingHints"))
            && kind != Kind::Partitioned
        {
            hints["SizeInMBs"] = json!(SIZE);
        }
    }
    body
}

/// Puts [`BACKLOG`] bytes.
fn fill(connection: &mut Connection, kind: Kind) {
    let filler = "x".repeat(RECORD);
    let data = BASE64.encode_to_string(format!("{filler}>"));
    let records: Vec<Value> = (0..128).map(|_| json!({ "Data": data })).collect();
    let body = json!({"DeliveryStreamName": kind.name(), "Records": records});
    for _ in 0..BACKLOG / RECORD / 128 {
        let answer = connection.call(Service::Firehose, "PutRecordBatch", &body).unwrap().success().unwrap();
        assert_eq!(answer["FailedPutCount"], 0, "{kind:?}");
    }
}

/// Waits until a bucket holds all that was put.
fn until_counted(server: &Server, destinations: &Destinations, kind: Kind) {
    let patience = Instant::now();
    let wanted = BACKLOG / RECORD / 128 * 128;
    while count(&destinations.directory_of(kind.name())) != wanted {
        assert!(patience.elapsed() < Duration::from_secs(120), "{kind:?}: not everything is delivered");
        flush(&mut server.connect().unwrap(), Some(kind.name())).expect("flushed");
    }
}
