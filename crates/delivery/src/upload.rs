//! One cut on its way: build the object, put it, again and again, until it is durable or its time is over.

mod content;
mod report;
mod request;

pub(crate) use self::report::Codes;
pub(crate) use self::request::PARCEL_RECORDS;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use levada_core::engine::{EngineError, LogId};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use self::content::Content;
use crate::body::Body;
use crate::config::Target;
use crate::control::Cut;
use crate::delivery::{Env, Shared};
use crate::endpoint::Endpoint;
use crate::memory::{Hold, Loan};
use crate::metrics::Metrics;
use crate::mutant::Mutant;
use crate::past::{Past, Puts, Store};
use crate::sink::{Attempt, Object, SinkError};
use crate::worker::Route;

/// What a put may take: this long, and so long for each byte at the slowest rate that is waited for.
const PUT_TIMEOUT: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 256 * 1024;

/// A cut that needs no further work.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) id: u64,
    pub(crate) outcome: Outcome,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All objects are durable in their bucket.
    Delivered { records: u64, lost: u64, record_bytes: u64, object_bytes: u64 },
    /// An endpoint took the records, but for `failed` ones, which are durable as error output.
    Taken { taken: Taken, failed: u64, error_bytes: u64 },
    /// The store was away for too long; so many records are lost with it. What an endpoint took is not among them.
    Abandoned { records: u64, reason: String, taken: Taken },
    /// The worker is stopping; the next one takes it up again.
    Interrupted,
    /// The log is gone.
    Gone,
}

/// What an endpoint took of a cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Records that could not be read.
    pub(crate) lost: u64,
}

/// What the worker tells all its uploads.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    wake: Notify,
    closing: AtomicBool,
}

impl Signals {
    /// Uploads that wait for their next attempt make it now.
    pub(crate) fn retry_now(&self) {
        self.wake.notify_waiters();
    }

    /// Uploads that wait for their next attempt end; those in an attempt end after it.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.wake.notify_waiters();
    }

    /// Waits until [`close`](Self::close) is called, or was.
    async fn closed(&self) {
        loop {
            let woken = self.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if self.closing.load(Ordering::SeqCst) {
                return;
            }
            woken.await;
        }
    }

    /// Waits, and answers whether to go on.
    async fn pause(&self, wait: Duration) -> bool {
        let woken = self.wake.notified();
        tokio::pin!(woken);
        // Registered before the flag is read, so that a close between the two is not missed.
        woken.as_mut().enable();
        if !self.closing.load(Ordering::SeqCst) {
            tokio::select! {
                biased;
                () = woken => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        !self.closing.load(Ordering::SeqCst)
    }
}

/// What an upload needs to know of its delivery stream.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stream: Arc<str>,
    /// Of the cut.
    pub(crate) log: LogId,
    pub(crate) route: Route,
    /// Of the newest configuration: a mended URL or access key serves what was cut before, too.
    pub(crate) target: watch::Receiver<Target>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) past: Arc<Past>,
}

/// How the puts of an object ended.
pub(crate) enum Put {
    /// It is durable.
    Durable {
        records: u64,
        lost: u64,
        record_bytes: u64,
        object_bytes: u64,
    },
    /// The store was away for too long.
    Late {
        reason: String,
    },
    Interrupted,
    Gone,
}

enum Failure {
    Sink(SinkError),
    Engine(EngineError),
}

/// What an attempt may use.
struct Lease {
    memory: Loan,
    /// Held by the one upload that probes a store that fails, and by the few that fail alone.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Upload {
    pub(crate) async fn run(self, cut: Cut) -> Finished {
        if Mutant::CheckpointFirst.is_on() {
            let (id, records) = (cut.id, cut.records());
            tokio::spawn(self.deliver(cut));
            return Finished { id, outcome: Outcome::Delivered { records, lost: 0, record_bytes: 0, object_bytes: 0 } };
        }
        self.deliver(cut).await
    }

    async fn deliver(self, cut: Cut) -> Finished {
        let id = cut.id;
        let outcome = match (self.endpoint(), cut.parcel) {
            (Some(endpoint), Some(parcel)) => self.request(endpoint, &cut, parcel).await,
            (None, Some(_)) => {
                tracing::error!(delivery_stream = %self.stream, cut = id, "the endpoint of these records is gone");
                self.signals.closed().await;
                Outcome::Interrupted
            }
            (_, None) => match self.put_until_durable(&cut, &Content::Records).await {
                Put::Durable { records, lost, record_bytes, object_bytes } => {
                    Outcome::Delivered { records, lost, record_bytes, object_bytes }
                }
                Put::Late { reason } => Outcome::Abandoned { records: cut.records(), reason, taken: Taken::default() },
                Put::Interrupted => Outcome::Interrupted,
                Put::Gone => Outcome::Gone,
            },
        };
        Finished { id, outcome }
    }

    fn endpoint(&self) -> Option<Arc<dyn Endpoint>> {
        match &*self.target.borrow() {
            Target::Endpoint { endpoint, .. } => Some(Arc::clone(endpoint)),
            Target::S3(_) => None,
        }
    }

    /// Builds the object and puts it, until it is durable or its time is over.
    async fn put_until_durable(&self, cut: &Cut, content: &Content<'_>) -> Put {
        let mut attempts = 0;
        loop {
            let turn = match self.turn(cut).await {
                Ok(turn) => turn,
                Err(end) => return end,
            };
            let failure = match self.attempt(cut, content, turn).await {
                Ok(end) => return end,
                Err(failure) => failure,
            };
            attempts += 1;
            match failure {
                Failure::Engine(EngineError::Missing) => return Put::Gone,
                // The records are still there: no time limit.
                Failure::Engine(error) => {
                    tracing::warn!(delivery_stream = %self.stream, cut = cut.id, %error, "records cannot be read now");
                }
                Failure::Sink(error) => {
                    Metrics::add(self.failed_puts(cut), 1);
                    self.past.failed(cut.id, cut.bucket(), self.shared.env.clock.monotonic());
                    if self.is_over(cut) {
                        return Put::Late { reason: error.to_string() };
                    }
                    let key = cut.objects.first().map_or("", |name| &name.key);
                    let bucket = cut.bucket();
                    tracing::warn!(
                        delivery_stream = %self.stream, cut = cut.id, attempts, bucket, key, %error, "put failed"
                    );
                }
            }
            if !self.signals.pause(self.backoff(attempts)).await {
                return Put::Interrupted;
            }
        }
    }

    /// Where a failed attempt to put the object of this cut is counted. A cut for an endpoint has an object only of what
    /// the endpoint did not take.
    fn failed_puts(&self, cut: &Cut) -> &AtomicU64 {
        match self.route {
            _ if cut.parcel.is_some() => &self.metrics.errors.failed,
            Route::Destination => &self.metrics.puts_failed,
            Route::Backup => &self.metrics.backup.failed,
            Route::Errors => &self.metrics.errors.failed,
        }
    }

    /// Whether a cut that has failed is to be given up: see [`Tuning::retry_for_ms`](crate::Tuning::retry_for_ms).
    fn is_over(&self, cut: &Cut) -> bool {
        let Env { clock, tuning, .. } = &self.shared.env;
        let late = clock.now_ms() >= cut.due.saturating_add(tuning.retry_for_ms);
        late && self.past.failing_for(cut.id, clock.monotonic()) >= Duration::from_millis(tuning.retry_for_ms)
    }

    /// Waits until an earlier attempt at the same cut has let go of its body: a store may hold it for a while after nobody
    /// waits for it any more.
    async fn turn(&self, cut: &Cut) -> Result<OwnedSemaphorePermit, Put> {
        let look_again = Duration::from_millis(self.shared.env.tuning.backoff_most_ms.max(1));
        loop {
            tokio::select! {
                biased;
                Some(turn) = self.past.turn(cut.id) => return Ok(turn),
                go_on = self.signals.pause(look_again) => {
                    if !go_on {
                        return Err(Put::Interrupted);
                    }
                    if self.is_over(cut) {
                        return Err(Put::Late { reason: "the store hangs".into() });
                    }
                }
            }
        }
    }

    /// Waits for what an attempt needs; `None` if the worker stops before.
    async fn lease(&self, cut: &Cut, bytes: u64) -> Option<Lease> {
        let name = cut.bucket();
        loop {
            let (store, is_alone) = (self.past.store(name), self.past.puts(cut.id) == Puts::FailAlone);
            let turn = match store {
                Store::Well if !is_alone => None,
                _ => tokio::select! {
                    biased;
                    () = self.signals.closed() => return None,
                    turn = self.past.turn_alone(name), if is_alone => turn,
                    turn = self.past.probe(name), if !is_alone => turn,
                },
            };
            // While this one waited, others may have learned more of the store.
            let is_news = |past: &Past| past.store(name) != store || past.puts(cut.id) == Puts::FailAlone;
            if !is_alone && is_news(&self.past) {
                continue;
            }
            let memory = self.memory(name, bytes).await?;
            if turn.is_some() || self.past.store(name) == store {
                return Some(Lease { memory, _turn: turn });
            }
        }
    }

    /// Waits for memory for an attempt at a place; `None` if the worker stops before.
    async fn memory(&self, place: &str, bytes: u64) -> Option<Loan> {
        tokio::select! {
            biased;
            memory = self.shared.memory.acquire(place, bytes) => memory,
            () = self.signals.closed() => None,
        }
    }

    /// One attempt. The content is built anew each time, so that a destination that is away holds no memory while
    /// its uploads wait.
    async fn attempt(&self, cut: &Cut, content: &Content<'_>, turn: OwnedSemaphorePermit) -> Result<Put, Failure> {
        let env = &self.shared.env;
        let Some(Lease { memory, _turn }) = self.lease(cut, content.memory(cut)).await else {
            return Ok(Put::Interrupted);
        };
        let body = self.build(cut, content).await.map_err(Failure::Engine)?;
        let Body { bytes, records, lost, record_bytes, codes } = body;
        let hold = Hold::new(memory, turn, bytes.len());
        let bytes = hold.by(bytes);
        let mut object_bytes = 0;
        // A range of which nothing can be read any more makes no object.
        if records > 0 {
            for name in &cut.objects {
                let object = Object {
                    bucket: name.bucket.clone(),
                    key: name.key.clone(),
                    content_encoding: cut.compression.content_encoding(),
                    body: bytes.clone(),
                    attempt: Attempt { run: self.shared.run, number: env.random.next_u64() },
                };
                self.put(object, hold.memory()).await.map_err(Failure::Sink)?;
                self.past.succeeded(&name.bucket);
                object_bytes += bytes.len() as u64;
            }
        }
        let is_error_output = cut.parcel.is_some() || self.route == Route::Errors;
        if let Some(name) = cut.objects.first().filter(|_| is_error_output && records > 0) {
            self.report_errors(name, records, object_bytes, &codes);
        }
        Ok(Put::Durable { records, lost, record_bytes, object_bytes })
    }

    async fn put(&self, object: Object, memory: &Loan) -> Result<(), SinkError> {
        let wait = PUT_TIMEOUT + Duration::from_secs(object.body.len() as u64 / SLOWEST_BYTES_PER_SECOND);
        let no_answer =
            |wait: Duration, why| SinkError::Unavailable(format!("no answer within {} s{why}", wait.as_secs()));
        match memory.attempt(tokio::time::timeout(wait, self.shared.env.sink.put(object))).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => Err(no_answer(wait, "")),
            None => Err(no_answer(memory.patience(), ", and others need its memory")),
        }
    }

    /// Doubled after each attempt, then between half of that and all of it.
    fn backoff(&self, attempts: u32) -> Duration {
        backoff(&self.shared, attempts)
    }
}

pub(crate) fn backoff(shared: &Shared, attempts: u32) -> Duration {
    let tuning = &shared.env.tuning;
    let doubled = tuning.backoff_first_ms.saturating_mul(1 << attempts.saturating_sub(1).min(30));
    let most = doubled.clamp(1, tuning.backoff_most_ms.max(1));
    Duration::from_millis(most / 2 + shared.env.random.next_u64() % (most - most / 2 + 1))
}
