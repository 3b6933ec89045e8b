//! A chain and an endpoint for the world in memory. What they make says which record it was made of.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use levada_core::engine::BoxFuture;

use super::world::{Failpoint, Fuse, World, bucketing};
use crate::chain::{Chain, Gather, Held, Outcome, Tally};
use crate::endpoint::{Endpoint, Fault, GivenUp, Parcel, ParcelRecord, Request, Verdict};
use crate::record::{ErrorType, Partition, Product, SourceRecord};
use crate::{Bucketing, Buffering, Config, KeyLayout, LayoutSpec, Partitioning, QueryKeys, Target};

/// The number at the beginning of a record or of what was made of it.
pub(crate) fn number(data: &[u8]) -> u64 {
    std::str::from_utf8(&data[..8]).unwrap().parse().unwrap()
}

/// Becomes error output.
pub(crate) fn is_poison(n: u64) -> bool {
    n % 20 == 7
}

pub(crate) fn is_dropped(n: u64) -> bool {
    n % 20 == 13
}

/// Answers differently in each run, like a function that says the time.
#[derive(Debug)]
pub(crate) struct TestChain {
    /// 0: no partitioning.
    pub(crate) partitions: u64,
    pub(crate) gather: Gather,
    pub(crate) runs: AtomicU64,
    /// So many runs are held up.
    pub(crate) held: AtomicU64,
}

impl TestChain {
    pub(crate) fn new(partitions: u64) -> Arc<Self> {
        let gather = Gather { bytes: 300_000, wait: Duration::from_secs(2) };
        Arc::new(Self { partitions, gather, runs: AtomicU64::new(0), held: AtomicU64::new(0) })
    }

    fn product(&self, record: &SourceRecord, run: u64) -> Option<Product> {
        let SourceRecord { arrival, origin, data, .. } = record;
        let n = number(data);
        if is_dropped(n) {
            return None;
        }
        if is_poison(n) {
            let line = format!("{n:08} failed in run {run}").into_bytes();
            return Some(Product::Failed { kind: ErrorType::Processing, arrival: *arrival, line });
        }
        let value = || (n % self.partitions).to_string();
        let partition =
            (self.partitions > 0).then(|| Partition { query: vec![("p".into(), value())], ..Partition::default() });
        let text = std::str::from_utf8(&data[8..]).unwrap();
        let data = format!("{n:08} of run {run}:{text}").into();
        Some(Product::Record { arrival: *arrival, origin: origin.clone(), partition, data })
    }
}

impl Chain for TestChain {
    fn gather(&self) -> Gather {
        self.gather
    }

    fn run(&self, batch: Vec<SourceRecord>) -> BoxFuture<'_, Result<Outcome, Held>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert!(!batch.is_empty());
            let run = self.runs.fetch_add(1, Ordering::SeqCst);
            if self.held.load(Ordering::SeqCst) > 0 {
                self.held.fetch_sub(1, Ordering::SeqCst);
                return Err(Held("somebody sits on it".into()));
            }
            // Not always all of them.
            let taken = if run % 3 == 2 { batch.len().div_ceil(2) } else { batch.len() };
            let products = batch[..taken].iter().filter_map(|record| self.product(record, run)).collect();
            Ok(Outcome { taken, products, tally: Tally { queries: taken as u64, ..Tally::default() } })
        })
    }
}

/// How an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    TakesAll,
    /// Refuses all, for now.
    Busy,
    /// Refuses poison for good, takes the others but for every third, which may come again.
    Picky,
    /// Takes all, and says that it is busy.
    Lies,
}

pub(crate) struct TestEndpoint {
    pub(crate) manner: Mutex<Manner>,
    pub(crate) retry_for: Duration,
    /// How long an attempt takes.
    pub(crate) takes: Mutex<Duration>,
    /// Counts records, and attempts as a part of the retry duration, as OpenSearch does.
    pub(crate) is_search: AtomicBool,
    /// Numbers of the records it took, with the parcel's id.
    pub(crate) taken: Mutex<Vec<(u64, [u8; 16])>>,
    /// Moments of attempts, in s since the first one, and records in them.
    pub(crate) attempts: Mutex<Vec<(u64, usize)>>,
    /// Ids of records, as far as seen.
    pub(crate) ids: Mutex<std::collections::BTreeMap<String, u64>>,
    started: tokio::time::Instant,
    fuse: Arc<Fuse>,
}

impl std::fmt::Debug for TestEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestEndpoint")
    }
}

impl TestEndpoint {
    pub(crate) fn new(world: &World, retry_for: Duration) -> Arc<Self> {
        Arc::new(Self {
            manner: Mutex::new(Manner::TakesAll),
            retry_for,
            takes: Mutex::new(Duration::from_millis(50)),
            is_search: AtomicBool::new(false),
            taken: Mutex::default(),
            attempts: Mutex::default(),
            ids: Mutex::default(),
            started: tokio::time::Instant::now(),
            fuse: Arc::clone(&world.fuse),
        })
    }

    pub(crate) fn manner(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Numbers it took, rising, repetitions left out.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.taken.lock().unwrap().iter().map(|(n, _)| *n).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn take(&self, parcel: &Parcel, record: &ParcelRecord) {
        self.taken.lock().unwrap().push((number(&record.data), parcel.id));
    }
}

impl Endpoint for TestEndpoint {
    fn attempt<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            self.fuse.step().await;
            self.fuse.at(Failpoint::BeforeUpload).await;
            let takes = *self.takes.lock().unwrap();
            tokio::time::sleep(takes).await;
            let since = self.started.elapsed().as_secs();
            self.attempts.lock().unwrap().push((since, parcel.records.len()));
            let manner = *self.manner.lock().unwrap();
            let busy = Fault::new("Test.Busy", "come again");
            let never = Fault::new("Test.Never", "go away");
            let mut verdict = Verdict { bytes: parcel.records.len() as u64, ..Verdict::default() };
            for (place, record) in parcel.records.iter().enumerate() {
                let n = number(&record.data);
                let known = *self.ids.lock().unwrap().entry(record.id.clone()).or_insert(n);
                assert_eq!(known, n, "an id belongs to one record");
                match manner {
                    Manner::TakesAll => self.take(parcel, record),
                    Manner::Busy => verdict.retry.push((place, busy.clone())),
                    Manner::Picky if is_poison(n) => verdict.refused.push((place, never.clone())),
                    Manner::Picky if place % 3 == 2 => verdict.retry.push((place, busy.clone())),
                    Manner::Picky => self.take(parcel, record),
                    Manner::Lies => {
                        self.take(parcel, record);
                        verdict.retry.push((place, busy.clone()));
                    }
                }
            }
            self.fuse.at(Failpoint::AfterUpload).await;
            let fault = verdict.retry.first().or(verdict.refused.first()).map(|(_, fault)| fault.clone());
            verdict.requests.push(Request {
                id: parcel.uuid(),
                records: parcel.records.len(),
                bytes: verdict.bytes,
                failed: verdict.retry.len() + verdict.refused.len(),
                fault,
            });
            self.fuse.step().await;
            verdict
        })
    }

    fn place(&self) -> &str {
        "test"
    }

    fn retry_for(&self) -> Duration {
        self.retry_for
    }

    fn error_type(&self) -> ErrorType {
        ErrorType::HttpEndpoint
    }

    fn error_line(&self, given_up: &GivenUp<'_>) -> Vec<u8> {
        let GivenUp { record, fault, attempts, .. } = given_up;
        format!("{:08} {} after {attempts}", number(&record.data), fault.code).into_bytes()
    }

    fn retry_includes_attempts(&self) -> bool {
        self.is_search.load(Ordering::SeqCst)
    }

    fn success_is_of_records(&self) -> bool {
        self.is_search.load(Ordering::SeqCst)
    }

    fn origin(&self) -> String {
        "https://test".to_owned()
    }

    fn metric_name(&self) -> &'static str {
        "Test"
    }
}

/// Keys with partitions, and keys of error output.
pub(crate) fn layout(partitioned: bool) -> KeyLayout {
    let keys = ["p".to_owned()];
    let (prefix, partitioning) = if partitioned {
        ("p=!{partitionKeyFromQuery:p}/", Partitioning::On { query: QueryKeys::These(&keys), lambda: false })
    } else {
        ("plain/", Partitioning::Off)
    };
    let error_prefix = Some("err/!{firehose:error-output-type}/");
    KeyLayout::new(&LayoutSpec { prefix: Some(prefix), error_prefix, partitioning, ..LayoutSpec::default() }).unwrap()
}

/// A bucket with that layout.
pub(crate) fn lake(partitioned: bool) -> Bucketing {
    Bucketing { layout: layout(partitioned), ..bucketing(&super::world::config(1, 60)) }
}

/// Records through a chain to a bucket.
pub(crate) fn processed(chain: Arc<TestChain>) -> Config {
    let partitioned = chain.partitions > 0;
    Config { chain: Some(chain), ..Config::s3(lake(partitioned)) }
}

/// Records to an endpoint.
pub(crate) fn requested(endpoint: Arc<TestEndpoint>) -> Config {
    let buffering = Buffering { size_mib: 1, interval_s: 60 };
    Config { target: Target::Endpoint { endpoint, buffering, errors: lake(false) }, chain: None, backup: None }
}

/// All source records besides.
pub(crate) fn backed_up(config: Config) -> Config {
    Config { backup: Some(Bucketing { bucket: "backup".into(), ..lake(false) }), ..config }
}
