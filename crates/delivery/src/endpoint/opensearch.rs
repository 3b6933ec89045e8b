//! OpenSearch, Elasticsearch and OpenSearch Serverless destinations: `_bulk` requests.
//!
//! ```text
//! POST <endpoint>/_bulk
//! {"index":{"_index":"logs-2026-11-20","_id":"…"}}       ◀── {"errors":true,"items":[{"index":{"status":201}},
//! {"message":"…"}                                             {"index":{"status":429,"error":{…}}}]}
//! …
//! ```
//!
//! Each document is judged by its own item of the answer. Document ids follow from the record, index names from its
//! arrival, so that a document that is sent again takes the place of its first copy.

mod bulk;
mod document;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::BoxFuture;
use md5::{Digest, Md5};

use self::bulk::Outcome;
use self::document::Document;
use super::line::Object;
use super::{BadEndpoint, Endpoint, Fault, GivenUp, Parcel, ParcelRecord, Verdict, takes_paths};
use crate::blocking::Blocking;
use crate::http::{Address, HttpClient, HttpRequest, Method};
use crate::record::ErrorType;

pub use self::document::Rotation;

/// Bytes of a request at most: what the smallest instances of AWS's service take ("network limits": 10 MiB).
const MAX_BULK_BYTES: usize = 10_000_000;
/// A request of this size is not halved any more when the cluster says that it is too large.
const MIN_BULK_BYTES: usize = 256 << 10;
/// Documents in a request at most; bounds the answer.
const MAX_DOCUMENTS: usize = 5000;
/// Bytes of an answer at most: more than 6 KiB for each document.
const MAX_RESPONSE_BYTES: usize = 32 << 20;
/// How long a cluster may take to answer.
const TIMEOUT: Duration = Duration::from_secs(180);

/// What is behind the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// A cluster: OpenSearch or Elasticsearch.
    Domain,
    /// A collection of OpenSearch Serverless: no types, and no document ids, which time series collections refuse.
    Serverless,
}

/// `DocumentIdOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentIds {
    /// `FIREHOSE_DEFAULT`: from the record; a document that is sent twice is there once.
    Firehose,
    /// `NO_DOCUMENT_ID`: the cluster makes them; faster, and a document that is sent twice is there twice.
    None,
}

/// What an OpenSearch destination is made of.
#[derive(Clone, Debug)]
pub struct OpenSearchSpec {
    /// The cluster's or collection's endpoint, or the domain's ARN with its mapping.
    pub address: Address,
    /// What is behind it.
    pub flavour: Flavour,
    /// `IndexName`.
    pub index: String,
    /// `IndexRotationPeriod`.
    pub rotation: Rotation,
    /// `TypeName`; only Elasticsearch before 7 has types. Empty is none.
    pub type_name: Option<String>,
    /// `DocumentIdOptions`.
    pub document_ids: DocumentIds,
    /// What tells this delivery stream from every other that ever wrote to the cluster: its ARN and when it was made.
    pub scope: String,
    /// `RetryOptions`.
    pub retry_for: Duration,
}

impl OpenSearchSpec {
    /// Says what would keep every request from being sent.
    ///
    /// # Errors
    /// See [`BadEndpoint`].
    pub fn check(&self) -> Result<(), BadEndpoint> {
        takes_paths(&self.address)
    }
}

/// An OpenSearch destination.
#[derive(Debug)]
pub struct OpenSearch {
    actions: Arc<Actions>,
    client: Arc<dyn HttpClient>,
    blocking: Blocking,
    /// Bytes of a request at most; falls when the cluster says that one was too large.
    limit: AtomicUsize,
}

/// Knows where a document goes.
#[derive(Debug)]
struct Actions {
    spec: OpenSearchSpec,
    /// Keeps ids of different delivery streams apart: 16 hexadecimal digits.
    scope: String,
}

impl OpenSearch {
    /// Makes one. Records are read where blocking work is done.
    ///
    /// # Errors
    /// As [`OpenSearchSpec::check`].
    pub fn new(mut spec: OpenSearchSpec, client: Arc<dyn HttpClient>, blocking: Blocking) -> Result<Self, BadEndpoint> {
        spec.check()?;
        spec.type_name = spec.type_name.filter(|name| !name.is_empty());
        if spec.flavour == Flavour::Serverless {
            spec.document_ids = DocumentIds::None;
            spec.type_name = None;
        }
        let digest = Md5::digest(spec.scope.as_bytes());
        let scope = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let actions = Arc::new(Actions { spec, scope });
        Ok(Self { actions, client, blocking, limit: AtomicUsize::new(MAX_BULK_BYTES) })
    }

    async fn attempt(&self, parcel: &Parcel) -> Verdict {
        let (actions, records, id) = (Arc::clone(&self.actions), parcel.records.clone(), parcel.uuid());
        let (documents, refused) = match self.blocking.run(move || actions.documents(&records)).await {
            Ok(prepared) => prepared,
            Err(given_up) => {
                let fault = super::not_prepared(given_up);
                let mut verdict = Verdict::retry_all(parcel, &fault);
                verdict.requested(id, parcel.records.len(), 0, Some(&fault));
                return verdict;
            }
        };
        let mut verdict = Verdict::default();
        if let Some((_, fault)) = refused.first() {
            verdict.requested(id.clone(), refused.len(), 0, Some(fault));
        }
        verdict.refused = refused;
        self.deliver(&documents, &id, &mut verdict).await;
        verdict.retry.sort_unstable_by_key(|(place, _)| *place);
        verdict.refused.sort_unstable_by_key(|(place, _)| *place);
        verdict
    }

    async fn deliver(&self, documents: &[Document], id: &str, verdict: &mut Verdict) {
        let mut queue: VecDeque<Range<usize>> = self.batches(documents, 0..documents.len()).into();
        let mut unreachable: Option<Fault> = None;
        while let Some(range) = queue.pop_front() {
            let batch = &documents[range.clone()];
            if let Some(fault) = &unreachable {
                verdict.retry.extend(batch.iter().map(|document| (document.place, fault.clone())));
                continue;
            }
            let request = self.request(batch);
            let bytes = request.body.len();
            let mut made = |fault| verdict.requested(id.to_owned(), batch.len(), bytes as u64, fault);
            let all = |fault: &Fault| batch.iter().map(|document| (document.place, fault.clone())).collect::<Vec<_>>();
            match bulk::outcome(self.client.send(request).await, batch.len()) {
                Outcome::Items(items) => {
                    made(None);
                    let (retry, refused) = (verdict.retry.len(), verdict.refused.len());
                    for (document, item) in batch.iter().zip(items) {
                        item.record(document.place, verdict);
                    }
                    verdict.some_failed(retry, refused);
                }
                Outcome::Retry(fault) => {
                    made(Some(&fault));
                    verdict.retry.extend(all(&fault));
                }
                Outcome::Unreachable(fault) => {
                    made(Some(&fault));
                    verdict.retry.extend(all(&fault));
                    unreachable = Some(fault);
                }
                Outcome::TooLarge(fault) => {
                    made(Some(&fault));
                    if batch.len() > 1 && bytes > MIN_BULK_BYTES {
                        self.limit.fetch_min((bytes / 2).max(MIN_BULK_BYTES), Ordering::Relaxed);
                        for smaller in self.batches(documents, range).into_iter().rev() {
                            queue.push_front(smaller);
                        }
                    } else {
                        verdict.refused.extend(all(&fault));
                    }
                }
            }
        }
    }

    /// Cuts documents into what one request can hold: as many as fit, at least one.
    fn batches(&self, documents: &[Document], range: Range<usize>) -> Vec<Range<usize>> {
        let limit = self.limit.load(Ordering::Relaxed);
        let mut batches = Vec::new();
        let (mut start, mut bytes) = (range.start, 0);
        for n in range.clone() {
            let len = documents[n].len();
            if n > start && (n - start == MAX_DOCUMENTS || bytes + len > limit) {
                batches.push(start..n);
                (start, bytes) = (n, 0);
            }
            bytes += len;
        }
        if start < range.end {
            batches.push(start..range.end);
        }
        batches
    }

    fn request(&self, batch: &[Document]) -> HttpRequest {
        let mut body = Vec::with_capacity(batch.iter().map(Document::len).sum());
        for document in batch {
            document.write(&mut body);
        }
        HttpRequest {
            method: Method::Post,
            address: self.actions.spec.address.clone(),
            path: "/_bulk".to_owned(),
            headers: vec![("content-type".to_owned(), "application/x-ndjson".to_owned())],
            secret_headers: Vec::new(),
            body: Bytes::from(body),
            timeout: TIMEOUT,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

impl Actions {
    /// The records as documents, and those that are none.
    fn documents(&self, records: &[ParcelRecord]) -> (Vec<Document>, Vec<(usize, Fault)>) {
        let (mut documents, mut refused) = (Vec::with_capacity(records.len()), Vec::new());
        for (place, record) in records.iter().enumerate() {
            match Document::new(place, self.action(record), &record.data) {
                Ok(document) => documents.push(document),
                Err(fault) => refused.push((place, fault)),
            }
        }
        (documents, refused)
    }

    fn action(&self, record: &ParcelRecord) -> Vec<u8> {
        let mut action = Object::new().text("_index", &self.index(record));
        if let Some(name) = &self.spec.type_name {
            action = action.text("_type", name);
        }
        if let Some(id) = self.document_id(record) {
            action = action.text("_id", &id);
        }
        Object::new().object("index", action).end()
    }

    fn index(&self, record: &ParcelRecord) -> String {
        format!("{}{}", self.spec.index, self.spec.rotation.suffix(record.arrival))
    }

    fn document_id(&self, record: &ParcelRecord) -> Option<String> {
        match self.spec.document_ids {
            DocumentIds::Firehose => Some(format!("{}-{}", record.id, self.scope)),
            DocumentIds::None => None,
        }
    }
}

impl Endpoint for OpenSearch {
    fn attempt<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Verdict> {
        Box::pin(self.attempt(parcel))
    }

    fn place(&self) -> &str {
        self.actions.spec.address.target()
    }

    fn retry_for(&self) -> Duration {
        self.actions.spec.retry_for
    }

    fn error_type(&self) -> ErrorType {
        ErrorType::OpenSearch
    }

    /// "The total amount of time during which Firehose retries delivery (including the first attempt)" (API reference,
    /// `AmazonopensearchserviceRetryOptions`, `ElasticsearchRetryOptions`, `AmazonOpenSearchServerlessRetryOptions`).
    fn retry_includes_attempts(&self) -> bool {
        true
    }

    fn origin(&self) -> String {
        self.actions.spec.address.origin()
    }

    /// What AWS writes for an id that the cluster would have made is unverified; here it is an empty text.
    fn error_line(&self, given_up: &GivenUp<'_>) -> Vec<u8> {
        let record = given_up.record;
        let id = self.actions.document_id(record).unwrap_or_default();
        let line = Object::new()
            .number("attemptsMade", given_up.attempts.into())
            .number("arrivalTimestamp", record.arrival)
            .text("errorCode", &given_up.fault.code)
            .text("errorMessage", &given_up.fault.message)
            .number("attemptEndingTimestamp", given_up.ended);
        let line = match self.actions.spec.flavour {
            Flavour::Domain => line
                .text("esDocumentId", &id)
                .text("esIndexName", &self.actions.index(record))
                .text("esTypeName", self.actions.spec.type_name.as_deref().unwrap_or_default()),
            Flavour::Serverless => line.text("osDocumentId", &id).text("osIndexName", &self.actions.index(record)),
        };
        line.base64("rawData", &record.data).end()
    }

    fn metric_name(&self) -> &'static str {
        match self.actions.spec.flavour {
            Flavour::Domain => "AmazonOpenSearchService",
            Flavour::Serverless => "AmazonOpenSearchServerless",
        }
    }
}
