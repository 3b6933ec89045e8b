//! One cut on its way: build the object, put it, again and again, until it is durable or its time is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use levada_core::engine::{EngineError, LogId};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::body::{Body, Range, build};
use crate::control::Cut;
use crate::delivery::{Env, Shared};
use crate::metrics::Metrics;
use crate::past::Past;
use crate::sink::{Object, SinkError};

/// What a put may take: this long, and so long for each byte at the slowest rate that is waited for.
const PUT_TIMEOUT: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 256 * 1024;

/// Memory is counted in units of this many bytes, because the semaphore's numbers are small.
const MEMORY_UNIT: u64 = 1024;

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
    /// The store was away for too long.
    Abandoned { reason: String },
    /// The worker is stopping; the next one takes it up again.
    Interrupted,
    /// The data log is gone.
    Gone,
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
    pub(crate) data: LogId,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) past: Arc<Past>,
}

enum Failure {
    Sink(SinkError),
    Engine(EngineError),
}

impl Upload {
    pub(crate) async fn run(self, cut: Cut) -> Finished {
        let mut attempts = 0;
        let outcome = loop {
            let failure = match self.attempt(&cut).await {
                Ok(outcome) => break outcome,
                Err(failure) => failure,
            };
            attempts += 1;
            match failure {
                Failure::Engine(EngineError::Missing) => break Outcome::Gone,
                // The records are still there: no time limit.
                Failure::Engine(error) => {
                    tracing::warn!(delivery_stream = %self.stream, cut = cut.id, %error, "records cannot be read now");
                }
                Failure::Sink(error) => {
                    Metrics::add(&self.metrics.puts_failed, 1);
                    self.past.failed(cut.id, self.shared.env.clock.monotonic());
                    if self.is_over(&cut) {
                        break Outcome::Abandoned { reason: error.to_string() };
                    }
                    tracing::warn!(delivery_stream = %self.stream, cut = cut.id, attempts, %error, "put failed");
                }
            }
            if !self.signals.pause(self.backoff(attempts)).await {
                break Outcome::Interrupted;
            }
        };
        Finished { id: cut.id, outcome }
    }

    /// Whether a cut that has failed is to be given up: see [`Tuning::retry_for_ms`](crate::Tuning::retry_for_ms).
    fn is_over(&self, cut: &Cut) -> bool {
        let Env { clock, tuning, .. } = &self.shared.env;
        let late = clock.now_ms() >= cut.due.saturating_add(tuning.retry_for_ms);
        late && self.past.failing_for(cut.id, clock.monotonic()) >= Duration::from_millis(tuning.retry_for_ms)
    }

    /// One attempt. The content is built anew each time, so that a destination that is away holds no memory while
    /// its uploads wait.
    async fn attempt(&self, cut: &Cut) -> Result<Outcome, Failure> {
        let env = &self.shared.env;
        let mut memory = self.memory(cut.encoded_bytes()).await;
        let range = Range { log: self.data, from: cut.from, to: cut.to, bytes: cut.bytes };
        let body = build(&env.engine, range, cut.compression, env.blocking).await.map_err(Failure::Engine)?;
        if let Some(permit) = &mut memory {
            let used = units(body.bytes.len() as u64) as usize;
            drop(permit.split(permit.num_permits().saturating_sub(used)));
        }
        let mut object_bytes = 0;
        // A range of which nothing can be read any more makes no object.
        if body.records > 0 {
            for name in &cut.objects {
                let object = Object {
                    bucket: name.bucket.clone(),
                    key: name.key.clone(),
                    content_encoding: cut.compression.content_encoding(),
                    body: body.bytes.clone(),
                };
                self.put(object).await.map_err(Failure::Sink)?;
                object_bytes += body.bytes.len() as u64;
            }
        }
        let Body { records, lost, record_bytes, .. } = body;
        Ok(Outcome::Delivered { records, lost, record_bytes, object_bytes })
    }

    async fn put(&self, object: Object) -> Result<(), SinkError> {
        let wait = PUT_TIMEOUT + Duration::from_secs(object.body.len() as u64 / SLOWEST_BYTES_PER_SECOND);
        match tokio::time::timeout(wait, self.shared.env.sink.put(object)).await {
            Ok(answer) => answer,
            Err(_) => Err(SinkError::Unavailable(format!("no answer within {} s", wait.as_secs()))),
        }
    }

    /// A share of the node's memory, first come, first served. A body larger than all of it takes all of it. `None`
    /// never happens while the node runs: the semaphore is not closed.
    async fn memory(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let all = units(self.shared.env.tuning.memory_bytes);
        Arc::clone(&self.shared.memory).acquire_many_owned(units(bytes).min(all)).await.ok()
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

pub(crate) fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX).max(1)
}
