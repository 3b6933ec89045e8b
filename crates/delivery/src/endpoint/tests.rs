//! Endpoints against a client that answers from a script.

mod http_endpoint;
mod opensearch;
mod splunk;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::BoxFuture;
use serde_json::Value;

use super::{Endpoint, Fault, GivenUp, Parcel, ParcelRecord, Verdict};
use crate::blocking::Blocking;
use crate::http::{Address, HttpClient, HttpError, HttpRequest, HttpResponse};

type Answer = Result<HttpResponse, HttpError>;

/// Answers the n-th request by `answer(n, request)`, and keeps what was asked.
struct Scripted<F> {
    answer: F,
    requests: Mutex<Vec<HttpRequest>>,
}

impl<F> std::fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl<F: Fn(usize, &HttpRequest) -> Answer + Send + Sync + 'static> Scripted<F> {
    fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, requests: Mutex::default() })
    }

    fn requests(&self) -> Vec<HttpRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl<F: Fn(usize, &HttpRequest) -> Answer + Send + Sync + 'static> HttpClient for Scripted<F> {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Answer> {
        let mut requests = self.requests.lock().unwrap();
        let answer = (self.answer)(requests.len(), &request);
        requests.push(request);
        Box::pin(std::future::ready(answer))
    }
}

fn json(status: u16, body: impl Into<Bytes>) -> Answer {
    let body = body.into();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("content-type", "application/json"), header("content-length", &body.len().to_string())];
    Ok(HttpResponse { status, headers, body })
}

/// All that can go wrong without an answer.
fn no_answers() -> Vec<HttpError> {
    vec![
        HttpError::Connect("refused".to_owned()),
        HttpError::Connect("TLS: UnknownIssuer".to_owned()),
        HttpError::Connect("TLS: InvalidCertificate(NotValidForName)".to_owned()),
        HttpError::Forbidden("a loopback address".to_owned()),
        HttpError::Closed("reset".to_owned()),
        HttpError::Timeout(Duration::from_secs(180)),
        HttpError::TooLarge(1),
    ]
}

fn address(url: &str) -> Address {
    Address { url: url.to_owned(), mapped: None }
}

fn parcel(datas: impl IntoIterator<Item = impl Into<Bytes>>) -> Parcel {
    let record = |(n, data): (usize, Bytes)| ParcelRecord {
        id: format!("{n:056}.{}", n % 3),
        arrival: 1_456_405_200_000 + n as u64,
        origin: None,
        data,
    };
    let records = datas.into_iter().map(Into::into).enumerate().map(record).collect();
    Parcel { id: [7; 16], created: 1, now: 1_578_090_901_599, records }
}

/// What the driver hands in after this verdict.
fn remaining(parcel: &Parcel, verdict: &Verdict) -> Parcel {
    let records = verdict.retry.iter().map(|(place, _)| parcel.records[*place].clone()).collect();
    Parcel { records, ..parcel.clone() }
}

/// All was taken by requests of these ids, records and bytes.
fn all_taken(requests: impl IntoIterator<Item = (String, usize, usize)>) -> Verdict {
    let mut verdict = Verdict::default();
    for (id, records, bytes) in requests {
        verdict.requested(id, records, bytes as u64, None);
    }
    verdict
}

/// Of each request: records, those that failed, and the code of the first.
fn fates(verdict: &Verdict) -> Vec<(usize, usize, &str)> {
    let requests = verdict.requests.iter();
    requests.map(|r| (r.records, r.failed, r.fault.as_ref().map_or("", |fault| fault.code.as_str()))).collect()
}

fn places(faults: &[(usize, Fault)]) -> Vec<usize> {
    faults.iter().map(|(place, _)| *place).collect()
}

fn set(faults: &[(usize, Fault)]) -> BTreeSet<usize> {
    places(faults).into_iter().collect()
}

fn codes(faults: &[(usize, Fault)]) -> Vec<&str> {
    faults.iter().map(|(_, fault)| fault.code.as_str()).collect()
}

/// Each record has one fate, and faults stand in order.
fn assert_sound(verdict: &Verdict, records: usize) {
    for faults in [&verdict.retry, &verdict.refused] {
        let places = places(faults);
        assert!(places.is_sorted_by(|a, b| a < b) && places.iter().all(|place| *place < records), "{places:?}");
    }
    assert!(set(&verdict.retry).is_disjoint(&set(&verdict.refused)));
}

fn error_line(endpoint: &dyn Endpoint, parcel: &Parcel, fault: &Fault) -> String {
    let given_up = GivenUp { record: &parcel.records[0], fault, attempts: 5, ended: 1_594_266_081_318 };
    let line = String::from_utf8(endpoint.error_line(&given_up)).unwrap();
    assert!(serde_json::from_str::<Value>(&line).unwrap().is_object());
    assert!(!line.contains('\n'));
    line
}
