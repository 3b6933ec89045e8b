//! Records between processors, and what becomes of them at the end.

use std::collections::BTreeMap;

use bytes::Bytes;
use levada_core::batch::RECORD_HEADER_BYTES;
use levada_core::engine::{Millis, Offset};

use super::ChainSpec;
use super::error::{ErrorLine, Failure};
use super::lambda::Input;
use super::logs;
use crate::chain::MAX_OUTCOME_BYTES;
use crate::record::{Envelope, ErrorType, Origin, Partition, Product, SourceRecord};

/// Bytes that processors before the function may have made in one run; beyond, it takes no further record. One record
/// may become as much, if it is not larger itself.
const PREPARED_BYTES: usize = 8 * 1024 * 1024;

/// A record between two processors.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Place of its source record in the batch.
    source: usize,
    /// Of its source record.
    offset: Offset,
    /// Place among those that its source record was parted into.
    part: usize,
    /// As it was before any processor but de-aggregation.
    original: Bytes,
    arrival: Millis,
    origin: Option<Origin>,
    /// Once it is known.
    pub(super) partition: Option<Partition>,
    pub(super) state: State,
}

/// How far a record has come.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Further processors may see it.
    Data {
        /// As the processors so far have made it.
        data: Bytes,
        /// `metadata.partitionKeys` of the function.
        keys: BTreeMap<String, serde_json::Value>,
    },
    /// The function does not want it delivered.
    Dropped,
    /// At the first attempt.
    Failed(ErrorType, Failure),
    /// After so many invocations.
    FailedByFunction(Failure, u32),
}

impl Item {
    fn new(source: usize, record: &SourceRecord, part: usize, original: Bytes) -> Self {
        let state = State::Data { data: original.clone(), keys: BTreeMap::new() };
        let (arrival, origin) = (record.arrival, record.origin.clone());
        Self { source, offset: record.offset, part, original, arrival, origin, partition: None, state }
    }

    /// The data, if further processors may see it.
    pub(super) fn data(&self) -> Option<&Bytes> {
        match &self.state {
            State::Data { data, .. } => Some(data),
            _ => None,
        }
    }

    /// For the function, if it may see it. The id looks like AWS's, which is opaque: place in the data log, place in the
    /// record; so it is the same when the chain runs again.
    pub(super) fn input(&self) -> Option<Input> {
        Some(Input {
            id: format!("{:056}{:06}", self.offset, self.part),
            arrival: self.arrival,
            origin: self.origin.clone(),
            data: self.data()?.clone(),
            original_bytes: self.original.len(),
        })
    }

    /// Decompression and extraction.
    fn decompress(&mut self, extraction: bool) {
        let content = logs::decompress(&self.original);
        let content = if extraction { content.and_then(|content| logs::extract(&content)) } else { content };
        self.state = match content {
            Ok(data) => State::Data { data, keys: BTreeMap::new() },
            Err(why) => State::Failed(ErrorType::Decompression, Failure::decompression(&why)),
        };
    }

    /// `None` if it was dropped.
    fn product(self, lambda_arn: Option<&str>, now: Millis) -> Option<Product> {
        let (kind, failure, attempts, lambda_arn) = match self.state {
            State::Data { data, .. } => {
                let (arrival, origin, partition) = (self.arrival, self.origin, self.partition);
                return Some(Product::Record { arrival, origin, partition, data });
            }
            State::Dropped => return None,
            State::Failed(kind, failure) => (kind, failure, 1, None),
            State::FailedByFunction(failure, attempts) => (ErrorType::Processing, failure, attempts, lambda_arn),
        };
        Some(failed(kind, &failure, attempts, (self.arrival, &self.original), lambda_arn, now))
    }
}

fn failed(
    kind: ErrorType,
    failure: &Failure,
    attempts: u32,
    (arrival, raw): (Millis, &[u8]),
    lambda_arn: Option<&str>,
    now: Millis,
) -> Product {
    let line = ErrorLine { raw, failure, attempts, arrival, ended: now, lambda_arn };
    Product::Failed { kind, arrival, line: line.to_bytes() }
}

/// Records after all processors that come before the function.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Those that were taken, at least one.
    pub(super) sources: Vec<SourceRecord>,
    /// What they were parted into, in order.
    pub(super) items: Vec<Item>,
}

impl Prepared {
    pub(super) fn new(spec: &ChainSpec, mut batch: Vec<SourceRecord>) -> Self {
        let (mut items, mut bytes, mut taken) = (Vec::<Item>::new(), 0, 0);
        while taken < batch.len() && bytes < PREPARED_BYTES {
            let first = items.len();
            part(spec, taken, &batch[taken], &mut items);
            match prepare(spec, &mut items[first..], PREPARED_BYTES.max(batch[taken].data.len())) {
                Some(made) => bytes += made,
                None => {
                    let mut item = Item::new(taken, &batch[taken], 0, batch[taken].data.clone());
                    item.state = State::Failed(ErrorType::Processing, Failure::too_large());
                    items.splice(first.., [item]);
                }
            }
            taken += 1;
        }
        batch.truncate(taken);
        Self { sources: batch, items }
    }
}

/// Decompresses the parts of a record one by one, and answers how many bytes they have then. `None` as soon as they have
/// more than `most`: hundreds of small parts become a hundred times as large.
pub(super) fn prepare(spec: &ChainSpec, items: &mut [Item], most: usize) -> Option<usize> {
    let mut made = 0;
    for item in items {
        if spec.decompression {
            item.decompress(spec.extraction);
        }
        made += item.data().map_or(0, Bytes::len);
        if made > most {
            return None;
        }
    }
    Some(made)
}

pub(super) fn part(spec: &ChainSpec, source: usize, record: &SourceRecord, items: &mut Vec<Item>) {
    let whole = || Item::new(source, record, 0, record.data.clone());
    match spec.deaggregation.as_ref().map(|deaggregation| deaggregation.split(&record.data)) {
        None => items.push(whole()),
        Some(Ok(parts)) => {
            items.extend(parts.into_iter().enumerate().map(|(part, data)| Item::new(source, record, part, data)));
        }
        Some(Err(why)) => {
            let state = State::Failed(ErrorType::Processing, Failure::deaggregation(&why));
            items.push(Item { state, ..whole() });
        }
    }
}

/// Products of as many source records as fit one append, and how many those are. If not even the first one's fit, it
/// has failed.
pub(super) fn fit(
    sources: &[SourceRecord],
    items: Vec<Item>,
    lambda_arn: Option<&str>,
    now: Millis,
) -> (usize, Vec<Product>) {
    let (mut products, mut bytes) = (Vec::new(), 0);
    let mut items = items.into_iter().peekable();
    for (source, record) in sources.iter().enumerate() {
        let first = products.len();
        while let Some(item) = items.next_if(|item| item.source == source) {
            if let Some(product) = item.product(lambda_arn, now) {
                bytes += encoded_bytes(&product);
                products.push(product);
            }
        }
        if bytes > MAX_OUTCOME_BYTES {
            products.truncate(first);
            if source > 0 {
                return (source, products);
            }
            let raw = (record.arrival, &record.data[..]);
            products.push(failed(ErrorType::Processing, &Failure::too_large(), 1, raw, None, now));
            return (1, products);
        }
    }
    (sources.len(), products)
}

/// What a product takes in an append.
pub(super) fn encoded_bytes(product: &Product) -> usize {
    let (key, data) = match product {
        Product::Record { arrival, origin, partition, data } => {
            let (arrival, origin, partition) = (*arrival, origin.clone(), partition.clone());
            (Envelope::Output { arrival, origin, partition }, data.len())
        }
        Product::Failed { kind, arrival, line } => (Envelope::Failed { arrival: *arrival, kind: *kind }, line.len()),
    };
    RECORD_HEADER_BYTES + key.encode().len() + data
}
