//! What durable decisions leave to be done, done when it is due: logs created, sealed and deleted, statuses that have
//! lasted long enough, shards handed over to their children.
//!
//! A decision is durable before anything follows from it, so whatever is interrupted here is found again by whoever
//! looks next: the caller's own task, the scheduler, or the next start. All of it may be done twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use levada_core::catalog::{Command, DeliveryStatus, State, Unfinished, Work};
use levada_core::engine::EngineError;
use levada_core::env::Clock;
use tokio::sync::{Notify, oneshot};

use crate::cli::LifecycleMode;
use crate::node::{APPEND_TIMEOUT, Node};
use crate::registry::SubmitError;

/// How long the scheduler waits before it tries again what failed.
const RETRY: Duration = Duration::from_secs(1);

/// Longest sleep of the scheduler, so that it notices a node that is gone.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Why the effects of a durable decision were not completed. They are tried again.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The catalog failed.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// The incarnations whose work somebody has in hand, so that nobody else does the same at the same time. That would do
/// no harm but cost its time.
#[derive(Default)]
pub(crate) struct Hands {
    taken: Mutex<BTreeSet<u64>>,
    freed: Notify,
}

/// An incarnation in hand, until this is dropped.
struct Hold<'a> {
    hands: &'a Hands,
    incarnation: u64,
}

impl Hands {
    async fn take(&self, incarnation: u64) -> Hold<'_> {
        loop {
            let freed = self.freed.notified();
            if self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(incarnation) {
                return Hold { hands: self, incarnation };
            }
            freed.await;
        }
    }

    fn has(&self, incarnation: u64) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).contains(&incarnation)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.hands.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.incarnation);
        self.hands.freed.notify_waiters();
    }
}

impl Node {
    /// Submits a command and does what it demands, to the end whatever becomes of the request behind it. Answers
    /// when the command is durable or, if the life cycle is instant, when all is done: then a waiter's first look
    /// finds the final state.
    ///
    /// # Errors
    /// [`SubmitError`]; the outcome is open if it is not a refusal.
    pub async fn carry_out(self: &Arc<Self>, command: Command) -> Result<(), SubmitError> {
        let node = Arc::clone(self);
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let submitted = node.registry.submit(&command).await.map(|event| node.forget_consumer(event.as_ref()));
            if submitted.is_ok() && node.config.lifecycle == LifecycleMode::Instant {
                let of = concerned(&node.registry.state(), &command);
                if let Some(incarnation) = of {
                    complete_or_log(&node, incarnation).await;
                }
            }
            let _ = answer.send(submitted);
        });
        let unanswered = || SubmitError::Unavailable(format!("no outcome within {} s", APPEND_TIMEOUT.as_secs()));
        match tokio::time::timeout(APPEND_TIMEOUT, answered).await {
            Ok(Ok(submitted)) => submitted,
            Ok(Err(_)) | Err(_) => Err(unanswered()),
        }
    }
}

/// The incarnation of the stream or delivery stream that a caller's command changes.
fn concerned(state: &State, command: &Command) -> Option<u64> {
    let stream = |scope, name: &str| state.stream(scope, name).ok().map(|stream| stream.incarnation);
    let delivery_stream = |scope, name: &str| state.delivery_stream(scope, name).ok().map(|stream| stream.incarnation);
    match command {
        Command::CreateStream(new) => stream(&new.scope, &new.name),
        Command::DeleteStream { scope, name, .. } | Command::UpdateStream { scope, name, .. } => stream(scope, name),
        Command::RegisterConsumer { scope, stream: name, .. }
        | Command::DeregisterConsumer { scope, stream: name, .. } => stream(scope, name),
        Command::Tag { resource, .. }
        | Command::Untag { resource, .. }
        | Command::PutPolicy { resource, .. }
        | Command::DeletePolicy { resource } => stream(&resource.scope, &resource.stream),
        Command::CreateDeliveryStream { scope, name, .. } | Command::DeleteDeliveryStream { scope, name } => {
            delivery_stream(scope, name)
        }
        Command::FinishUpdate(key)
        | Command::AdvanceReshard { stream: key, .. }
        | Command::FinishStream(key)
        | Command::FinishDeliveryStream(key)
        | Command::FailDeliveryStream { key, .. }
        | Command::SealShards { stream: key, .. }
        | Command::ExpireShards { stream: key, .. }
        | Command::ForgetLogs { stream: key, .. }
        | Command::NotePeak { stream: key, .. }
        | Command::Rescale { stream: key, .. }
        | Command::FinishConsumer { stream: key, .. } => Some(key.incarnation),
        Command::SetCommitment { .. } | Command::NoteClock => None,
    }
}

/// Does what is overdue at the start, before anybody is served: a parent whose time is over takes no more puts.
///
/// # Errors
/// The first failure.
pub(crate) async fn complete_overdue(node: &Arc<Node>) -> Result<(), EffectError> {
    let overdue = node.registry.state().due_by(node.clock.now_ms());
    for incarnation in overdue {
        complete(node, incarnation).await?;
    }
    Ok(())
}

/// Does what becomes due, until the node is gone.
pub(crate) async fn run(node: Weak<Node>) {
    loop {
        let Some((changes, moves)) =
            node.upgrade().map(|node| (node.registry.changes(), Arc::clone(&node.clock_moved)))
        else {
            return;
        };
        let (changed, moved) = (changes.notified(), moves.notified());
        let Some(wait) = node.upgrade().map(|node| begin_what_is_due(&node)) else { return };
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => {}
            () = moved => {}
            () = changed => {}
        }
    }
}

/// Answers how long to wait for what is due next.
fn begin_what_is_due(node: &Arc<Node>) -> Duration {
    let now = node.clock.now_ms();
    let (due, next) = {
        let state = node.registry.state();
        (state.due_by(now), state.next_due())
    };
    if due.is_empty() {
        let next = next.map(|next| Duration::from_millis(next.saturating_sub(now)));
        return next.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
    }
    for incarnation in due {
        if !node.hands.has(incarnation) {
            let node = Arc::clone(node);
            tokio::spawn(async move { complete_or_log(&node, incarnation).await });
        }
    }
    RETRY
}

async fn complete_or_log(node: &Arc<Node>, incarnation: u64) {
    if let Err(error) = complete(node, incarnation).await {
        tracing::error!(%error, "a decided change is not done yet; it is tried again");
    }
}

/// Does all that is due for one stream or delivery stream.
async fn complete(node: &Arc<Node>, incarnation: u64) -> Result<(), EffectError> {
    let _hold = node.hands.take(incarnation).await;
    let mut last = None;
    loop {
        let next = node.registry.state().next_unfinished(incarnation, node.clock.now_ms());
        // Done, and still to be done: not now, then.
        let Some(unfinished) = next.filter(|next| last.as_ref() != Some(next)) else { return Ok(()) };
        last = Some(unfinished.clone());
        complete_one(node, unfinished).await?;
    }
}

/// Carries out one effect, first in the engine, then in the catalog.
async fn complete_one(node: &Arc<Node>, unfinished: Unfinished) -> Result<(), EffectError> {
    let command = match unfinished.work {
        Work::CreateLogs { logs, then } => {
            node.engine.create(logs).await?;
            then
        }
        Work::DeleteLogs { logs, then } => {
            if let Command::FinishDeliveryStream(key) = &then {
                node.end_delivery(key).await;
            }
            node.engine.delete(logs).await?;
            then
        }
        Work::Seal(seal) => {
            // All are asked for before the first is waited for, so that they share commits: there may be 10,000.
            let asked: Vec<_> = seal.parents.iter().map(|(_, log)| node.engine.seal(*log)).collect();
            let mut last = Vec::with_capacity(asked.len());
            for sealed in asked {
                last.push(sealed.await?.last_arrival);
            }
            let (logs, then) = seal.after(&last);
            node.engine.create(logs).await?;
            then
        }
        Work::Nothing { then } => then,
    };
    let event = node.registry.submit(&command).await?;
    node.forget_consumer(event.as_ref());
    match &command {
        // Whoever's command it was that took effect starts the worker, so there is one.
        Command::FinishDeliveryStream(key) if event.is_some() => {
            let stream = node.registry.state().delivery_stream_incarnation(key).cloned();
            match stream {
                Some(stream) if stream.status == DeliveryStatus::Active => node.start_delivery(&stream),
                Some(_) => {}
                None => node.metrics.forget_delivery_stream(key),
            }
        }
        Command::FinishStream(key) if node.registry.state().stream_incarnation(key).is_none() => {
            node.metrics.forget_stream(key);
            node.traffic.forget(key.incarnation);
        }
        _ => {}
    }
    Ok(())
}
