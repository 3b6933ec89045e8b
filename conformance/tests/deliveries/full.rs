//! The node's disk is full, or fuller than the operator wants: nothing is taken any more, what was taken is delivered.

use std::time::Duration;
use std::{fs, thread};

use levada_conformance::http::{Connection, Service};
use levada_conformance::random::{Seeded, seed};
use levada_conformance::server::Server;
use serde_json::{Value, json};

use crate::clients::{self, Writer};
use crate::destinations::Destinations;
use crate::streams::{Kind, SOURCE};
use crate::{check, until_delivered};

/// More than any disk has free.
const NO_ROOM: &str = "[storage]\nfree_bytes = 1_000_000_000_000_000\n";

#[test]
fn a_full_disk_refuses_puts_and_delivers_what_it_has() {
    let seed = seed();
    println!("LEVADA_SEED={seed}");
    let mut random = Seeded::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut destinations = Destinations::new(directory.path());
    let data = directory.path().join("data");
    let [roomy, full] = [("roomy.toml", ""), ("full.toml", NO_ROOM)].map(|(name, storage)| {
        let path = directory.path().join(name);
        fs::write(&path, format!("{storage}{}", destinations.configuration())).unwrap();
        path
    });
    let flags = |path| ["--limits", "open", "--test-controls", "--config", path];
    let (roomy, full) = (flags(roomy.to_str().unwrap()), flags(full.to_str().unwrap()));

    destinations.lose_all();
    let server = Server::start(&data, &roomy).unwrap();
    clients::create(&mut server.connect().unwrap());
    let mut writers: Vec<Writer> = Kind::ALL.iter().map(|kind| Writer::new(*kind, &mut random)).collect();
    put_for(Duration::from_secs(2), server, &mut writers);

    let server = Server::start(&data, &full).unwrap();
    let mut connection = server.connect().unwrap();
    refuses(&mut connection);
    destinations.heal();
    // Records of a data stream are not copied for now: they stay where they are.
    let (sourced, others) = writers.split_last().unwrap();
    assert_eq!(sourced.kind, Kind::Sourced);
    until_delivered(&server, others, &destinations);
    refuses(&mut connection);
    let metrics = connection.request("GET", "/metrics", "", b"").unwrap();
    assert!(String::from_utf8_lossy(&metrics.body).contains("levada_disk_full 1"), "the operator is not told");
    server.kill().unwrap();

    // There is room again.
    let taken: Vec<usize> = writers.iter().map(|writer| writer.accepted.len()).collect();
    put_for(Duration::from_secs(1), Server::start(&data, &roomy).unwrap(), &mut writers);
    assert!(writers.iter().zip(&taken).all(|(writer, taken)| writer.accepted.len() > *taken), "puts are taken again");
    let server = Server::start(&data, &roomy).unwrap();
    until_delivered(&server, &writers, &destinations);
    println!("acknowledged: {taken:?}, then more; {:?}", check::nothing_twice(&writers, &destinations, 3));
    crate::checks_clean(server, &data);
}

/// Lets all writers put, then kills the node.
fn put_for(time: Duration, server: Server, writers: &mut [Writer]) {
    let endpoint = server.endpoint().to_owned();
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| writer.run(&endpoint));
        }
        thread::sleep(time);
        server.kill().unwrap();
    });
}

/// Puts are refused, in words that the clients of AWS try again after.
fn refuses(connection: &mut Connection) {
    let text = "bm9uZQ==";
    for kind in Kind::ALL {
        if kind == Kind::Sourced {
            let body = json!({"StreamName": SOURCE, "Records": [{"Data": text, "PartitionKey": "k"}]});
            let answer = connection.call(Service::Kinesis, "PutRecords", &body).unwrap().success().unwrap();
            assert_eq!(answer["FailedRecordCount"], 1, "{answer}");
            assert_eq!(answer["Records"][0]["ErrorCode"], "InternalFailure", "{answer}");
            continue;
        }
        let name = kind.name();
        let body = json!({"DeliveryStreamName": name, "Records": [{"Data": text}, {"Data": text}]});
        let answer = connection.call(Service::Firehose, "PutRecordBatch", &body).unwrap().success().unwrap();
        assert_eq!(answer["FailedPutCount"], 2, "{name}: {answer}");
        let codes: Vec<&Value> =
            answer["RequestResponses"].as_array().unwrap().iter().map(|result| &result["ErrorCode"]).collect();
        assert_eq!(codes, ["ServiceUnavailableException"; 2], "{name}");
        let body = json!({"DeliveryStreamName": name, "Record": {"Data": text}});
        let answer = connection.call(Service::Firehose, "PutRecord", &body).unwrap();
        assert_eq!(answer.status, 503, "{name}: {answer:?}");
        assert_eq!(answer.json()["__type"], "ServiceUnavailableException", "{name}");
    }
}
