//! The chain of processors: what becomes of records between a source and a destination.
//!
//! ```text
//! record ─▶ RecordDeAggregation ─▶ Decompression ─▶ CloudWatchLogProcessing ─▶ Lambda ─▶ partition keys ─▶ product
//!           1 to 500 of one        GZIP             messages                   0 or 1    jq, or the function's
//! ```
//!
//! The order is AWS's, whatever the order in `Processors`. Aggregates of the Kinesis Producer Library are taken apart
//! before ([`kpl`]); AppendDelimiterToRecord belongs to the body of an object ([`crate::Delimiter`]).
//!
//! What fails for good becomes a line of error output that holds the record as it was before any processing, except
//! that de-aggregated ones are records of their own; the neighbours of a failed record are delivered.
//!
//! Architecture invariant: a chain keeps nothing between two runs. A run that was not recorded has not happened, and
//! is repeated; only a function sees the difference.

pub mod error;
pub mod function;
mod item;
pub mod kpl;
mod lambda;
mod logs;
mod query;
mod said;
mod split;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::BoxFuture;
use levada_core::env::{Clock, Random};

use self::error::Failure;
pub use self::function::{CommandFunction, Function, FunctionError, HttpFunction, SaidBy};
use self::item::{Item, Prepared, State};
pub use self::lambda::LambdaSpec;
use self::lambda::{Caller, Verdict};
pub use self::query::{Interpreters, MAX_KEYS, Query, QueryError};
pub use self::split::{Deaggregation, MAX_PARTS};
use crate::blocking::Blocking;
use crate::chain::{Chain, Gather, Held, Outcome, Tally};
use crate::prefix::{KeyError, KeyLayout};
use crate::record::{ErrorType, Partition, SourceRecord};

/// Bytes of data that a chain without a function takes at a time.
const GATHER_BYTES: u64 = 1024 * 1024;

/// A `ProcessingConfiguration` whose every part is known to be valid.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// For the function's events and for log lines.
    pub delivery_stream_arn: String,
    /// For the function's events.
    pub region: String,
    /// `KinesisStreamARN` of the source, if it is one.
    pub source_stream_arn: Option<String>,
    /// RecordDeAggregation.
    pub deaggregation: Option<Deaggregation>,
    /// Decompression, GZIP.
    pub decompression: bool,
    /// CloudWatchLogProcessing with `DataMessageExtraction` `true`.
    pub extraction: bool,
    /// Lambda.
    pub lambda: Option<LambdaSpec>,
    /// MetadataExtraction.
    pub query: Option<Query>,
    /// With dynamic partitioning, whose prefix takes the keys: products have partitions. What a function or a query
    /// names beyond those makes no partitions.
    pub partitioning: Option<KeyLayout>,
}

/// The world of a chain.
#[derive(Clone)]
pub struct ChainEnv {
    /// For time stamps and durations.
    pub clock: Arc<dyn Clock>,
    /// For the ids of invocations.
    pub random: Arc<dyn Random>,
    /// Where records are decompressed and queries evaluated.
    pub blocking: Blocking,
    /// One for the node.
    pub interpreters: Interpreters,
}

impl fmt::Debug for ChainEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainEnv").field("blocking", &self.blocking).finish_non_exhaustive()
    }
}

/// The value of AppendDelimiterToRecord's parameter `Delimiter` as it is put between records: a newline unless given.
/// The two characters `\n` mean a newline, as CLI and CloudFormation examples write it; likewise `\t`, `\r` and `\\`.
#[must_use]
pub fn delimiter(parameter: Option<&str>) -> String {
    let Some(text) = parameter else { return "\n".to_owned() };
    let (mut delimiter, mut chars) = (String::new(), text.chars().peekable());
    while let Some(char) = chars.next() {
        let meant = match (char, chars.peek()) {
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some('t')) => Some('\t'),
            ('\\', Some('r')) => Some('\r'),
            ('\\', Some('\\')) => Some('\\'),
            _ => None,
        };
        delimiter.push(meant.unwrap_or(char));
        if meant.is_some() {
            chars.next();
        }
    }
    delimiter
}

/// The processors of one delivery stream.
#[derive(Clone, Debug)]
pub struct Processors {
    spec: Arc<ChainSpec>,
    env: ChainEnv,
}

impl Processors {
    /// A chain of these processors.
    #[must_use]
    pub fn new(mut spec: ChainSpec, env: ChainEnv) -> Self {
        if let Some(layout) = &spec.partitioning {
            spec.query = spec.query.map(|query| query.only(&layout.partition_keys().query));
        }
        Self { spec: Arc::new(spec), env }
    }
}

impl Chain for Processors {
    fn gather(&self) -> Gather {
        match &self.spec.lambda {
            Some(lambda) => Gather { bytes: lambda.buffer_bytes, wait: lambda.buffer_interval },
            None => Gather { bytes: GATHER_BYTES, wait: Duration::ZERO },
        }
    }

    fn place(&self) -> Option<&str> {
        self.spec.lambda.as_ref().map(|lambda| lambda.arn.as_str())
    }

    fn run(&self, batch: Vec<SourceRecord>) -> BoxFuture<'_, Result<Outcome, Held>> {
        Box::pin(async move {
            let mut tally = Tally::default();
            let Prepared { sources, mut items } = self.prepare(batch).await?;
            self.invoke(&mut items, &mut tally).await;
            self.partition(&mut items, &mut tally).await?;
            let now = self.env.clock.now_ms();
            let arn = self.spec.lambda.as_ref().map(|lambda| lambda.arn.as_str());
            let (taken, products) = item::fit(&sources, items, arn, now);
            Ok(Outcome { taken, products, tally })
        })
    }
}

impl Processors {
    /// What comes before the function, of as many records as memory is given to.
    async fn prepare(&self, batch: Vec<SourceRecord>) -> Result<Prepared, Held> {
        let spec = Arc::clone(&self.spec);
        let simple = spec.deaggregation.is_none() && !spec.decompression;
        let work = move || Prepared::new(&spec, batch);
        if simple {
            return Ok(work());
        }
        self.env.blocking.run(work).await.map_err(|given_up| Held(given_up.to_string()))
    }

    async fn invoke(&self, items: &mut [Item], tally: &mut Tally) {
        let Some(lambda) = &self.spec.lambda else { return };
        let mut open: Vec<_> = items.iter_mut().filter(|item| item.data().is_some()).collect();
        let inputs: Vec<_> = open.iter().filter_map(|item| item.input()).collect();
        if inputs.is_empty() {
            return;
        }
        let caller = Caller {
            delivery_stream_arn: &self.spec.delivery_stream_arn,
            region: &self.spec.region,
            source_stream_arn: self.spec.source_stream_arn.as_deref(),
        };
        let verdicts = lambda::transform(lambda, caller, &self.env, &inputs, tally).await;
        for (item, verdict) in open.iter_mut().zip(verdicts) {
            item.state = match verdict {
                Verdict::Ok(data, keys) => State::Data { data, keys },
                Verdict::Dropped => State::Dropped,
                Verdict::Failed(failure, attempts) => State::FailedByFunction(failure, attempts),
            };
        }
    }

    async fn partition(&self, items: &mut [Item], tally: &mut Tally) -> Result<(), Held> {
        let Some(layout) = &self.spec.partitioning else { return Ok(()) };
        let mut open: Vec<_> = items.iter_mut().filter(|item| item.data().is_some()).collect();
        let mut by_query = self.query(&open, tally).await?.into_iter();
        let mut good = HashSet::new();
        for item in &mut open {
            let query = by_query.next().unwrap_or_else(|| Ok(Vec::new()));
            let partition = query.map_err(|why| Failure::metadata(&why)).and_then(|query| values(layout, query, item));
            let checked = partition.and_then(|partition| {
                // Most records share their partition with others.
                if !good.contains(&partition) {
                    check(layout, &partition)?;
                    good.insert(partition.clone());
                }
                Ok(partition)
            });
            match checked {
                Ok(partition) => item.partition = Some(partition),
                Err(failure) => item.state = State::Failed(ErrorType::Processing, failure),
            }
        }
        Ok(())
    }

    /// What the query says of each item, or nothing if there is none.
    async fn query(&self, items: &[&mut Item], tally: &mut Tally) -> Result<Vec<query::Evaluated>, Held> {
        let Some(query) = &self.spec.query else { return Ok(Vec::new()) };
        let inputs: Vec<Bytes> = items.iter().filter_map(|item| item.data().cloned()).collect();
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let started = self.env.clock.monotonic();
        tally.queries += inputs.len() as u64;
        let clock = Arc::clone(&self.env.clock);
        let results = query.evaluate(inputs, clock, self.env.blocking, &self.env.interpreters).await;
        tally.query_time += self.env.clock.monotonic().saturating_sub(started);
        results
    }
}

/// All values that the prefix takes.
fn values(layout: &KeyLayout, query: Vec<(String, String)>, item: &Item) -> Result<Partition, Failure> {
    let State::Data { keys, .. } = &item.state else { return Ok(Partition::default()) };
    let mut lambda = Vec::new();
    for name in &layout.partition_keys().lambda {
        let value = keys.get(name).and_then(scalar).ok_or_else(Failure::partition_keys)?;
        lambda.push((name.clone(), value));
    }
    lambda.sort();
    Ok(Partition { query, lambda })
}

/// Whether there can be objects of a partition.
fn check(layout: &KeyLayout, partition: &Partition) -> Result<(), Failure> {
    match layout.check(partition) {
        Ok(()) => {}
        Err(KeyError::MissingPartitionKey { .. }) => return Err(Failure::partition_keys()),
        Err(error) => return Err(Failure::metadata(&error.to_string())),
    }
    let bytes = serde_json::to_vec(partition).map_or(usize::MAX, |json| json.len());
    if bytes > Partition::MAX_BYTES {
        return Err(Failure::metadata("The values of the partition keys are too long."));
    }
    Ok(())
}

/// A value of `metadata.partitionKeys` as it stands in an object's key: neither null, nor empty, nor made of several.
fn scalar(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}
