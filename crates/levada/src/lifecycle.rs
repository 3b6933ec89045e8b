//! What durable decisions leave to be done, done when it is due: logs created, sealed and deleted, statuses that have
//! lasted long enough, shards handed over to their children.
//!
//! A decision is durable before anything follows from it, so whatever is interrupted here is found again by whoever
//! looks next: the caller's own task, the scheduler, or the next start. All of it may be done twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use levada_core::catalog::{Command, DeliveryStatus, NewDeliveryStream, ResourceKey, State, Unfinished, Work};
use levada_core::engine::EngineError;
use levada_core::env::Clock;
use levada_core::shard::ShardId;
use levada_delivery::source::PositionError;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::cli::LifecycleMode;
use crate::node::{APPEND_TIMEOUT, Node};
use crate::registry::SubmitError;
use crate::source::{self, StartError};

/// How long to wait before what failed is tried again.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

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
    /// Where a source begins could not be written.
    #[error(transparent)]
    Positions(#[from] PositionError),
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
            if let Some(hold) = self.try_take(incarnation) {
                return hold;
            }
            freed.await;
        }
    }

    fn try_take(&self, incarnation: u64) -> Option<Hold<'_>> {
        let free = self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(incarnation);
        free.then(|| Hold { hands: self, incarnation })
    }

    /// Whether somebody has it.
    pub(crate) fn has(&self, incarnation: u64) -> bool {
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
        let deadline = Instant::now() + APPEND_TIMEOUT;
        let ((answer, answered), (finish, finished)) = (oneshot::channel(), oneshot::channel::<()>());
        tokio::spawn(async move {
            let submitted = node.registry.submit(&command).await.map(|event| node.follow(event.as_ref()));
            let instant = submitted.is_ok() && node.config.lifecycle == LifecycleMode::Instant;
            if let (true, Command::CreateDeliveryStream(new)) = (submitted.is_ok(), &command) {
                begin_source(&node, new).await;
            }
            let _ = answer.send(submitted);
            let of = instant.then(|| concerned(&node.registry.state(), &command)).flatten();
            if let Some(incarnation) = of {
                complete(&node, incarnation).await;
            }
            drop(finish);
        });
        let unanswered = || SubmitError::Unavailable(format!("no outcome within {} s", APPEND_TIMEOUT.as_secs()));
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(submitted)) => submitted?,
            Ok(Err(_)) | Err(_) => return Err(unanswered()),
        }
        // What is decided stands. If the rest takes too long, it goes on behind the answer.
        let _ = tokio::time::timeout_at(deadline, finished).await;
        Ok(())
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
        Command::CreateDeliveryStream(new) => delivery_stream(&new.scope, &new.name),
        Command::DeleteDeliveryStream { scope, name }
        | Command::UpdateDestination { scope, name, .. }
        | Command::StartDeliveryEncryption { scope, name, .. }
        | Command::StopDeliveryEncryption { scope, name }
        | Command::TagDeliveryStream { scope, name, .. }
        | Command::UntagDeliveryStream { scope, name, .. } => delivery_stream(scope, name),
        Command::FinishUpdate(key)
        | Command::AdvanceReshard { stream: key, .. }
        | Command::FinishStream(key)
        | Command::FinishDeliveryStream(key)
        | Command::FinishDeliveryEncryption(key)
        | Command::AssignLogBlock(key)
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

/// Does what is overdue at the start, before anybody is served: a parent whose time is over takes no more puts. What
/// fails is tried again later. Puts go to the parent until the catalog says otherwise, so nothing is wrong meanwhile.
pub(crate) async fn complete_overdue(node: &Arc<Node>) {
    let overdue = node.registry.state().due_by(node.clock.now_ms());
    for incarnation in overdue {
        complete(node, incarnation).await;
    }
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
            tokio::spawn(async move { complete(&node, incarnation).await });
        }
    }
    RETRY
}

/// Does all that is due for one stream or delivery stream. What fails holds up nothing else.
async fn complete(node: &Arc<Node>, incarnation: u64) {
    let _hold = node.hands.take(incarnation).await;
    let mut tried: Vec<Unfinished> = Vec::new();
    loop {
        let due = node.registry.state().unfinished_in(incarnation, node.clock.now_ms());
        // Tried, and still to be done: not now, then.
        let Some(next) = due.into_iter().find(|next| !tried.contains(next)) else { return };
        tried.push(next.clone());
        if let Err(error) = complete_one(node, next).await {
            tracing::error!(%error, "a decided change is not done yet; it is tried again");
        }
    }
}

/// Completes the hand-over of a shard whose log takes no more records although the catalog still leads puts to it.
///
/// Whoever sealed the log completes it as a rule, and this does nothing. But a crash or an error may have come between,
/// and if the clock was set back meanwhile, the hand-over is not due any more: then this puts an end to the gap, in
/// which neither parent nor child takes puts.
pub(crate) async fn complete_hand_over(node: Arc<Node>, stream: ResourceKey, sealed: ShardId) {
    let Some(_hold) = node.hands.try_take(stream.incarnation) else { return };
    let begun = |unfinished: &Unfinished| match &unfinished.work {
        Work::Seal(seal) => seal.parents.iter().any(|&(index, _)| ShardId(index) == sealed),
        Work::CreateLogs { .. } | Work::DeleteLogs { .. } | Work::Nothing { .. } => false,
    };
    let all = node.registry.state().stream_incarnation(&stream).map(|stream| stream.unfinished());
    let Some(unfinished) = all.into_iter().flatten().find(begun) else { return };
    if let Err(error) = complete_one(&node, unfinished).await {
        tracing::error!(%error, stream = %stream.name, shard = %sealed, "a hand-over is not completed yet; it is tried again");
    }
}

/// A new delivery stream that reads a data stream begins where that ends now, however long it is CREATING: who is told
/// that it is being created may put. What fails is done again before it is ACTIVE.
async fn begin_source(node: &Arc<Node>, new: &NewDeliveryStream) {
    let stream = node.registry.state().delivery_stream(&new.scope, &new.name).cloned();
    if let Ok(stream) = stream
        && let Err(error) = source::fix_start(node, &stream).await
    {
        tracing::warn!(delivery_stream = %stream.name, %error, "the start of a source is not fixed yet");
    }
}

/// Makes sure that the beginning of a source is durable before its delivery stream is ACTIVE. Answers what follows.
async fn begin(node: &Arc<Node>, then: Command) -> Result<Command, EffectError> {
    let Command::FinishDeliveryStream(key) = &then else { return Ok(then) };
    let stream = node.registry.state().delivery_stream_incarnation(key).cloned();
    let Some(stream) = stream else { return Ok(then) };
    match source::fix_start(node, &stream).await {
        Ok(()) => Ok(then),
        Err(StartError::Positions(error)) => Err(error.into()),
        Err(error @ (StartError::Gone(_) | StartError::NoLogs)) => {
            tracing::error!(delivery_stream = %key.name, %error, "the delivery stream cannot be created");
            Ok(Command::FailDeliveryStream { key: key.clone(), reason: error.to_string() })
        }
    }
}

/// Carries out one effect, first in the engine, then in the catalog.
async fn complete_one(node: &Arc<Node>, unfinished: Unfinished) -> Result<(), EffectError> {
    let command = match unfinished.work {
        Work::CreateLogs { logs, then } => {
            node.engine.create(logs).await?;
            begin(node, then).await?
        }
        Work::DeleteLogs { logs, then } => {
            if let Command::FinishDeliveryStream(key) = &then {
                node.end_delivery(key).await;
            }
            node.engine.delete(logs).await?;
            then
        }
        Work::Seal(seal) => {
            // All are asked before the first is waited for, so that they share commits: there may be 10,000, and the
            // puts of each wait until the last is sealed.
            let sealing: Vec<_> = seal.parents.iter().map(|(_, log)| node.engine.seal(*log)).collect();
            let mut last = Vec::with_capacity(sealing.len());
            for sealed in sealing {
                last.push(sealed.await?.last_arrival);
            }
            let (logs, then) = seal.after(&last);
            node.engine.create(logs).await?;
            then
        }
        Work::Nothing { then } => then,
    };
    let event = node.registry.submit(&command).await?;
    node.follow(event.as_ref());
    // Whoever's command it was that took effect starts the worker, so there is one.
    if let (Command::FinishDeliveryStream(key), true) = (&command, event.is_some()) {
        let status = node.registry.state().delivery_stream_incarnation(key).map(|stream| stream.status);
        match status {
            Some(DeliveryStatus::Active) => node.configure_delivery(key),
            Some(_) => {}
            None => {
                node.metrics.forget_delivery_stream(key);
                node.direct_put.forget(key.incarnation);
                node.refused_puts.forget(key.incarnation);
            }
        }
    }
    if let Command::FinishStream(key) = &command
        && node.registry.state().stream_incarnation(key).is_none()
    {
        node.metrics.forget_stream(key);
        node.traffic.forget(key.incarnation);
    }
    Ok(())
}
