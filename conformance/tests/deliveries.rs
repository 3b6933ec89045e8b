//! Deliveries seen from outside while everything dies. Writers put numbered records to delivery streams of every kind;
//! meanwhile the node is killed, buckets go away, an endpoint, Splunk, OpenSearch and a function die or answer late,
//! wrongly, by half or not at all, destinations are updated and the source is resharded. In the end every acknowledged
//! record is in its destination, its backup or its error output; in a bucket none is twice, nor in an index, and at the
//! others none but what they took and did not confirm.
//!
//! `LEVADA_DELIVERY_SECONDS` (10), `LEVADA_SEED`.
#![allow(clippy::disallowed_methods, reason = "runs beside a node: real clock, files and threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test")]

#[path = "deliveries/check.rs"]
mod check;
#[path = "deliveries/clients.rs"]
mod clients;
#[path = "deliveries/destinations.rs"]
mod destinations;
#[path = "deliveries/full.rs"]
mod full;
#[path = "deliveries/memory.rs"]
mod memory;
#[path = "deliveries/quota.rs"]
mod quota;
#[path = "deliveries/streams.rs"]
mod streams;

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use levada_conformance::random::{Seeded, seed};
use levada_conformance::server::{Server, run};

use self::clients::Writer;
use self::destinations::Destinations;
use self::streams::Kind;

/// How long the node may take to deliver what is left once nothing fails any more.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn nothing_is_lost_whatever_dies() {
    let seconds =
        std::env::var("LEVADA_DELIVERY_SECONDS").map_or(10, |text| text.parse().expect("a number of seconds"));
    let seed = seed();
    println!("LEVADA_SEED={seed} LEVADA_DELIVERY_SECONDS={seconds}");
    let mut random = Seeded::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut destinations = Destinations::new(directory.path());
    let configuration = directory.path().join("levada.toml");
    std::fs::write(&configuration, destinations.configuration()).unwrap();
    let data = directory.path().join("data");
    let flags = ["--limits", "open", "--test-controls", "--config", configuration.to_str().unwrap()];

    let mut server = Server::start(&data, &flags).unwrap();
    clients::create(&mut server.connect().unwrap());
    let mut writers: Vec<Writer> = Kind::ALL.iter().map(|kind| Writer::new(*kind, &mut random)).collect();
    let (mut kills, mut updates, mut reshards) = (0, 0, 0);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(seconds) {
        let (updated, resharded) = round(server, &mut writers, &mut destinations, &mut random);
        (kills, updates, reshards) = (kills + 1, updates + updated, reshards + resharded);
        while random.below(3) == 0 {
            kills += 1;
            let mut starting = Server::spawn(&data, &flags).unwrap();
            thread::sleep(random.millis(0, 100));
            starting.kill().unwrap();
            starting.wait().unwrap();
        }
        server = Server::start(&data, &flags).unwrap();
    }
    server.kill().unwrap();
    destinations.heal();
    let server = Server::start(&data, &flags).unwrap();
    until_delivered(&server, &writers, &destinations);
    let found = check::nothing_twice(&writers, &destinations, kills + 1);
    let acknowledged: Vec<_> = writers.iter().map(|writer| (writer.kind, writer.accepted.len())).collect();
    let deaths = [Kind::Endpoint, Kind::Splunk, Kind::Search].map(|kind| destinations.server_of(kind).deaths);
    println!("{} kills, {deaths:?} deaths of servers, {updates} updates, {reshards} reshards", kills + 1);
    println!("acknowledged: {acknowledged:?}; {found:?}");
    assert!(acknowledged.iter().all(|(_, count)| *count > 0) && updates > 0 && found.dropped > 0, "the load never ran");
    assert!(found.requested.values().all(|requested| requested.taken > 0), "a server never took anything");
    checks_clean(server, &data);
}

/// Load and trouble, until the node is killed. Answers how many updates and reshards took effect.
fn round(
    server: Server,
    writers: &mut [Writer],
    destinations: &mut Destinations,
    random: &mut Seeded,
) -> (usize, usize) {
    let endpoint = server.endpoint().to_owned();
    let (mut of_changes, mut of_flushes) = (Seeded::new(random.next_u64()), Seeded::new(random.next_u64()));
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| writer.run(&endpoint));
        }
        scope.spawn(|| clients::flush_partitions(&endpoint, &mut of_flushes));
        let changes = scope.spawn(|| clients::alter(&endpoint, &mut of_changes));
        let (began, length) = (Instant::now(), random.millis(100, 3000));
        while began.elapsed() < length {
            thread::sleep(random.millis(10, 300).min(length.saturating_sub(began.elapsed())));
            destinations.change(random);
        }
        server.kill().unwrap();
        changes.join().expect("changes")
    })
}

/// Flushes until everything that was acknowledged is somewhere, and then the rest.
fn until_delivered(server: &Server, writers: &[Writer], destinations: &Destinations) {
    let patience = Instant::now();
    loop {
        let missing = check::missing(writers, destinations);
        if missing.is_empty() {
            break;
        }
        let counts: Vec<_> = missing.iter().map(|(kind, numbers)| (kind, numbers.len(), numbers.first())).collect();
        assert!(patience.elapsed() < PATIENCE, "acknowledged and nowhere (count, first): {counts:?}");
        // Nobody waits for it: what comes to a partition's buffer later than a flush stays there for a minute.
        let mut connection = server.connect().unwrap();
        thread::spawn(move || clients::flush(&mut connection, None));
        thread::sleep(Duration::from_millis(500));
    }
    clients::flush(&mut server.connect().unwrap(), None).expect("flushed");
}

/// The node ends as it should, and leaves a whole directory.
fn checks_clean(server: Server, data: &Path) {
    assert!(server.terminate().unwrap().success());
    let output = run(&["check", "--data-dir", data.to_str().unwrap()]).unwrap();
    assert!(output.status.success(), "levada check: {}", String::from_utf8_lossy(&output.stdout));
}
