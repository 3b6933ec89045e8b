//! Endpoints over the network, against a receiver that misbehaves.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_conformance::receiver::{Fault, Plan, RandomFaults, Receiver};
use levada_delivery::Blocking;
use levada_delivery::endpoint::{
    DocumentIds, Endpoint, Flavour, HecKind, HttpEndpoint, HttpEndpointSpec, OpenSearch, OpenSearchSpec, Parcel,
    ParcelRecord, Rotation, Splunk, SplunkSpec, Verdict,
};
use levada_delivery::http::client::{Client, ClientConfig};
use levada_delivery::http::{HttpClient, Mappings, Secret};

const ARN: &str = "arn:aws:firehose:us-east-1:000000000000:deliverystream/s";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Splunk,
    OpenSearch,
}

const KINDS: [Kind; 3] = [Kind::Http, Kind::Splunk, Kind::OpenSearch];

/// An endpoint of this kind whose URL is mapped to the receiver.
fn endpoint(kind: Kind, receiver: &Receiver) -> Box<dyn Endpoint> {
    let client: Arc<dyn HttpClient> = Arc::new(Client::new(&ClientConfig::default()).unwrap());
    let mappings = Mappings::new([("https://in.example.com".to_owned(), receiver.url())]).unwrap();
    let address = mappings.address("https://in.example.com/");
    let retry_for = Duration::from_secs(300);
    let stream_arn = ARN.to_owned();
    match kind {
        Kind::Http => {
            let access_key = Some(Secret::new("key"));
            let common_attributes = vec![("team".to_owned(), Secret::new("tides"))];
            let spec = HttpEndpointSpec { address, access_key, common_attributes, gzip: true, stream_arn, retry_for };
            Box::new(HttpEndpoint::new(spec, client, Blocking::Pool).unwrap())
        }
        Kind::Splunk => {
            let (token, ack_timeout) = (Secret::new("token"), Duration::from_millis(600));
            let spec = SplunkSpec { address, kind: HecKind::Raw, token, ack_timeout, stream_arn, retry_for };
            Box::new(Splunk::new(spec, client).unwrap())
        }
        Kind::OpenSearch => {
            let spec = OpenSearchSpec {
                address,
                flavour: Flavour::Domain,
                index: "logs".to_owned(),
                rotation: Rotation::Month,
                type_name: None,
                document_ids: DocumentIds::Firehose,
                scope: ARN.to_owned(),
                retry_for,
            };
            Box::new(OpenSearch::new(spec, client, Blocking::Pool).unwrap())
        }
    }
}

async fn receiver() -> Receiver {
    Receiver::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap()
}

fn parcel(id: u8, records: usize) -> Parcel {
    let record = |n: usize| ParcelRecord {
        id: format!("{id}-{n:050}.0"),
        arrival: 1_456_405_200_000,
        origin: None,
        data: Bytes::from(format!("{{\"parcel\":{id},\"n\":{n}}}\n")),
    };
    Parcel { id: [id; 16], created: 1, now: 2, records: (0..records).map(record).collect() }
}

fn status(status: u16) -> Fault {
    Fault::Status { status, body: Some("{}".to_owned()) }
}

fn codes(faults: &[(usize, levada_delivery::endpoint::Fault)]) -> BTreeSet<&str> {
    faults.iter().map(|(_, fault)| fault.code.as_str()).collect()
}

/// What four records meet with each fault: the codes of those to be sent again, and how many the receiver took.
#[tokio::test]
async fn each_fault_has_its_consequence() {
    const INVALID: &str = "HttpEndpoint.InvalidResponseFromDestination";
    const EXCEPTION: &str = "HttpEndpoint.DestinationException";
    let some = |status: u16| Fault::SomeItems { every: 2, status, error: "some_exception".to_owned() };
    let large = Fault::LargeAnswer { bytes: 33 << 20 };
    let table: Vec<(Kind, Fault, &[&str], usize)> = vec![
        (Kind::Http, Fault::None, &[], 4),
        (Kind::Http, Fault::Slow { ms: 50 }, &[], 4),
        (Kind::Http, status(201), &[EXCEPTION], 0),
        (Kind::Http, status(302), &[EXCEPTION], 0),
        (Kind::Http, status(429), &[EXCEPTION], 0),
        (Kind::Http, status(500), &[EXCEPTION], 0),
        (Kind::Http, Fault::Garbage, &[INVALID], 0),
        (Kind::Http, Fault::WrongRequestId, &[INVALID], 0),
        (Kind::Http, Fault::NoTimestamp, &[INVALID], 4),
        (Kind::Http, Fault::MoreMembers, &[INVALID], 4),
        (Kind::Http, Fault::NoLength, &[INVALID], 4),
        (Kind::Http, Fault::WrongType, &[INVALID], 4),
        (Kind::Http, Fault::Cut, &["HttpEndpoint.ConnectionReset"], 0),
        (Kind::Http, Fault::CutAfter, &["HttpEndpoint.ConnectionReset"], 4),
        (Kind::Http, Fault::HalfAnswer, &["HttpEndpoint.ConnectionReset"], 4),
        (Kind::Http, large.clone(), &["HttpEndpoint.ResponseTooLarge"], 4),
        (Kind::Splunk, Fault::None, &[], 1),
        (Kind::Splunk, Fault::AckAfter { questions: 1 }, &[], 1),
        (Kind::Splunk, Fault::WrongType, &[], 1),
        (Kind::Splunk, Fault::NoLength, &[], 1),
        (Kind::Splunk, Fault::NeverAck, &["Splunk.AckTimeout"], 1),
        (Kind::Splunk, Fault::AckAfter { questions: 9 }, &["Splunk.AckTimeout"], 1),
        (Kind::Splunk, Fault::NoAckId, &["Splunk.DisabledAck"], 1),
        (Kind::Splunk, status(503), &["Splunk.ServerError"], 0),
        (Kind::Splunk, status(403), &["Splunk.InvalidToken"], 0),
        (Kind::Splunk, status(302), &["Splunk.ServerError"], 0),
        (Kind::Splunk, Fault::Garbage, &["Splunk.ServerError"], 0),
        (Kind::Splunk, Fault::Cut, &["Splunk.ConnectionClosed"], 0),
        (Kind::Splunk, Fault::CutAfter, &["Splunk.ConnectionClosed"], 1),
        (Kind::Splunk, Fault::HalfAnswer, &["Splunk.ConnectionClosed"], 1),
        (Kind::Splunk, large.clone(), &["Splunk.ServerError"], 1),
        (Kind::OpenSearch, Fault::None, &[], 4),
        (Kind::OpenSearch, some(429), &["429"], 2),
        (Kind::OpenSearch, some(503), &["503"], 2),
        (Kind::OpenSearch, some(400), &[], 2),
        (Kind::OpenSearch, Fault::FewerItems, &["200"], 4),
        (Kind::OpenSearch, status(429), &["429"], 0),
        (Kind::OpenSearch, status(500), &["500"], 0),
        (Kind::OpenSearch, status(302), &["302"], 0),
        (Kind::OpenSearch, Fault::Garbage, &["200"], 0),
        (Kind::OpenSearch, Fault::Cut, &["OS.ConnectionReset"], 0),
        (Kind::OpenSearch, Fault::CutAfter, &["OS.ConnectionReset"], 4),
        (Kind::OpenSearch, Fault::HalfAnswer, &["OS.ConnectionReset"], 4),
        (Kind::OpenSearch, large, &["OS.ResponseTooLarge"], 4),
    ];
    for (kind, fault, retried, taken) in table {
        let receiver = receiver().await;
        receiver.plan(Plan { always: Some(fault.clone()), ..Plan::default() });
        let verdict = attempt(&*endpoint(kind, &receiver), &parcel(1, 4)).await;
        assert_eq!(codes(&verdict.retry), retried.iter().copied().collect(), "{kind:?} {fault:?}");
        assert_eq!(receiver.records().len(), taken, "{kind:?} {fault:?}");
        let is_for_good = matches!(fault, Fault::SomeItems { status: 400, .. });
        let refused: Vec<usize> = verdict.refused.iter().map(|(place, _)| *place).collect();
        assert_eq!(refused, if is_for_good { vec![0, 2] } else { Vec::new() }, "{kind:?} {fault:?}");
        let data = receiver.requests().iter().filter(|request| request.protocol != "ack").count();
        assert_eq!(data, 1, "nothing is followed, nothing sent twice: {kind:?} {fault:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_finds_the_content_too_large_is_not_asked_again() {
    let receiver = receiver().await;
    receiver.plan(Plan { always: Some(status(413)), ..Plan::default() });
    let verdict = endpoint(Kind::Http, &receiver).attempt(&parcel(1, 4)).await;
    assert_eq!((verdict.retry.len(), codes(&verdict.refused)), (0, ["HttpEndpoint.DestinationException"].into()));
    let verdict = endpoint(Kind::OpenSearch, &receiver).attempt(&parcel(1, 4)).await;
    assert_eq!((verdict.retry.len(), codes(&verdict.refused)), (0, ["413"].into()));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_worth_another_attempt() {
    for (kind, code) in
        KINDS.into_iter().zip(["HttpEndpoint.ConnectionFailed", "Splunk.InvalidEndpoint", "OS.ConnectionFailed"])
    {
        let receiver = receiver().await;
        let endpoint = endpoint(kind, &receiver);
        receiver.stop();
        tokio::task::yield_now().await;
        let verdict = attempt(&*endpoint, &parcel(1, 4)).await;
        assert_eq!((codes(&verdict.retry), verdict.retry.len()), ([code].into(), 4));
        let message = &verdict.retry[0].1.message;
        assert!(!message.contains("127.0.0.1"), "no address in error output: {message}");
    }
}

/// An attempt, and what is asked afterwards, as the driver does it.
async fn attempt(endpoint: &dyn Endpoint, parcel: &Parcel) -> Verdict {
    let mut verdict = endpoint.attempt(parcel).await;
    if let Some(receipt) = verdict.receipt.take()
        && let Err(fault) = endpoint.confirmed(receipt).await
    {
        verdict.retry = Verdict::retry_all(parcel, &fault).retry;
    }
    verdict
}

/// Attempts until nothing is left, as the driver does; what was refused for good.
async fn drive(endpoint: &dyn Endpoint, parcel: Parcel) -> BTreeSet<String> {
    let mut left = parcel;
    let mut refused = BTreeSet::new();
    for _ in 0..100 {
        let verdict = attempt(endpoint, &left).await;
        refused.extend(verdict.refused.iter().map(|(place, _)| left.records[*place].id.clone()));
        let records = verdict.retry.iter().map(|(place, _)| left.records[*place].clone()).collect();
        left = Parcel { records, ..left };
        if left.records.is_empty() {
            return refused;
        }
    }
    panic!("{} records are still left", left.records.len());
}

/// Whatever happens: each record is at the receiver or was refused; ids keep the promise that makes duplicates harmless.
#[tokio::test(flavor = "multi_thread")]
async fn with_random_faults_each_record_arrives() {
    let faults = vec![
        Fault::Cut,
        Fault::CutAfter,
        Fault::HalfAnswer,
        Fault::Garbage,
        Fault::NoLength,
        Fault::WrongRequestId,
        Fault::NoTimestamp,
        Fault::NeverAck,
        Fault::NoAckId,
        Fault::FewerItems,
        Fault::SomeItems { every: 3, status: 429, error: "es_rejected_execution_exception".to_owned() },
        Fault::SomeItems { every: 5, status: 400, error: "mapper_parsing_exception".to_owned() },
        Fault::LargeAnswer { bytes: 33 << 20 },
        Fault::Slow { ms: 20 },
        status(500),
        status(429),
        status(302),
    ];
    let run = |kind: Kind, seed: u64| {
        let random = Some(RandomFaults { seed, per_mille: 500, faults: faults.clone() });
        async move {
            let receiver = receiver().await;
            receiver.plan(Plan { random, questions: seed % 2 == 1, ..Plan::default() });
            let endpoint = endpoint(kind, &receiver);
            for id in 0..4 {
                let parcel = parcel(id, 50);
                let expected: BTreeMap<String, Bytes> =
                    parcel.records.iter().map(|record| (record.id.clone(), record.data.clone())).collect();
                let refused = drive(&*endpoint, parcel).await;
                assert_arrived(kind, &receiver, &expected, &refused);
            }
            assert_idempotent(kind, &receiver);
        }
    };
    let mut runs = tokio::task::JoinSet::new();
    for seed in 0..8 {
        for kind in KINDS {
            runs.spawn(run(kind, seed));
        }
    }
    while let Some(ended) = runs.join_next().await {
        ended.unwrap();
    }
}

fn assert_arrived(kind: Kind, receiver: &Receiver, expected: &BTreeMap<String, Bytes>, refused: &BTreeSet<String>) {
    let taken: Vec<u8> =
        receiver.records().iter().flat_map(|record| [record.bytes(), b"\n".to_vec()].concat()).collect();
    let taken: BTreeSet<&[u8]> = taken.split(|byte| *byte == b'\n').collect();
    for (id, data) in expected {
        let has_arrived = taken.contains(data.strip_suffix(b"\n").unwrap());
        assert!(has_arrived || refused.contains(id), "{kind:?}: {id} is lost");
    }
    if kind != Kind::OpenSearch {
        assert_eq!(refused.len(), 0);
    }
}

fn assert_idempotent(kind: Kind, receiver: &Receiver) {
    let mut contents: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let requests = receiver.requests();
    match kind {
        // One request id, one content.
        Kind::Http => {
            let mut by_request: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
            for record in receiver.records() {
                by_request.entry(record.request).or_default().extend(record.bytes());
            }
            for (request, content) in by_request {
                contents.entry(requests[request].id.clone()).or_default().insert(content);
            }
            assert_eq!(contents.len(), 4);
        }
        // One document id, one document.
        Kind::OpenSearch => {
            for record in receiver.records() {
                contents.entry(record.id.clone().unwrap()).or_default().insert(record.bytes());
            }
            assert!(contents.len() <= 200);
        }
        Kind::Splunk => {}
    }
    assert!(contents.values().all(|contents| contents.len() == 1), "{kind:?}");
}

#[tokio::test]
async fn secrets_and_attributes_arrive_and_a_mapping_may_hold_a_password() {
    let receiver = receiver().await;
    endpoint(Kind::Http, &receiver).attempt(&parcel(1, 1)).await;
    endpoint(Kind::Splunk, &receiver).attempt(&parcel(1, 1)).await;
    let client = Arc::new(Client::new(&ClientConfig::default()).unwrap());
    let url = receiver.url().replace("http://", "http://admin:pass%20word@");
    let arn = "arn:aws:es:us-east-1:000000000000:domain/logs";
    let address = Mappings::new([(arn.to_owned(), url)]).unwrap().address(arn);
    let spec = OpenSearchSpec {
        address,
        flavour: Flavour::Domain,
        index: "logs".to_owned(),
        rotation: Rotation::None,
        type_name: None,
        document_ids: DocumentIds::None,
        scope: ARN.to_owned(),
        retry_for: Duration::ZERO,
    };
    let search = OpenSearch::new(spec, client, Blocking::Pool).unwrap();
    assert_eq!(Endpoint::attempt(&search, &parcel(1, 1)).await.retry, []);
    let requests = receiver.requests();
    let header = |n: usize, name: &str| requests[n].headers[name].as_str();
    assert_eq!(header(0, "x-amz-firehose-access-key"), "key");
    assert_eq!(header(0, "x-amz-firehose-common-attributes"), r#"{"commonAttributes":{"team":"tides"}}"#);
    assert_eq!(header(0, "x-amz-firehose-source-arn"), ARN);
    assert_eq!(header(0, "host"), receiver.url().strip_prefix("http://").unwrap());
    assert_eq!(header(1, "authorization"), "Splunk token");
    let search = requests.last().unwrap();
    assert_eq!(search.headers["authorization"], "Basic YWRtaW46cGFzcyB3b3Jk");
    assert_eq!(search.path, "/_bulk");
}
