//! Retention: makes records unreadable, and so removable, once they are older than their stream keeps them.
//! Readers apply the same cut-off themselves, exactly; this task lets the files follow.

use std::sync::{Arc, Weak};
use std::time::Duration;

use levada_core::catalog::Command;
use levada_core::engine::{EngineError, LogId, Millis};
use levada_core::env::Clock;
use levada_core::retention::{RetentionClock, Trimming};

use crate::node::Node;

/// Time between two sweeps.
const INTERVAL: Duration = Duration::from_secs(10);

/// Time between two notes of the clock in the catalog, in ms. They cost an event each.
const NOTE_INTERVAL_MS: u64 = 3_600_000;

/// Sweeps until the node is gone.
pub async fn run(node: Weak<Node>) {
    let Some((mut clock, moved)) = node.upgrade().map(|node| (watch(&node), Arc::clone(&node.clock_moved))) else {
        return;
    };
    let mut suspended = false;
    loop {
        let moved = moved.notified();
        {
            let Some(node) = node.upgrade() else { return };
            if let Err(error) = node.registry.refresh().await {
                tracing::warn!(%error, "the catalog cannot be read");
            }
            node.traffic.retain(node.registry.state().all_streams());
            match clock.observe(node.clock.now_ms(), node.clock.monotonic()) {
                Trimming::Allowed { now_ms } => {
                    suspended = false;
                    sweep(&node, now_ms).await;
                    note_clock(&node, now_ms).await;
                }
                Trimming::Suspended { jump_ms } if !suspended => {
                    suspended = true;
                    tracing::error!(
                        jump_ms,
                        "the clock is not where it should be: nothing is trimmed until it is, \
                         or until a start with --trust-clock"
                    );
                }
                Trimming::Suspended { .. } => {}
            }
        }
        let _ = tokio::time::timeout(INTERVAL, moved).await;
    }
}

/// Holds the clock against what the catalog last noted, unless the operator vouches for it.
fn watch(node: &Node) -> RetentionClock {
    let noted = if node.config.trust_clock { None } else { node.registry.state().clock_noted() };
    RetentionClock::start(noted, node.clock.now_ms(), node.clock.monotonic())
}

/// Notes a clock that is believed, so that the next start has something to hold its own against.
async fn note_clock(node: &Node, now: Millis) {
    let noted = node.registry.state().clock_noted();
    if noted.is_none_or(|noted| now >= noted.saturating_add(NOTE_INTERVAL_MS))
        && let Err(error) = node.registry.submit(&Command::NoteClock).await
    {
        tracing::warn!(%error, "the clock was not noted");
    }
}

async fn sweep(node: &Arc<Node>, now: Millis) {
    let streams: Vec<_> = node.registry.state().all_streams().cloned().collect();
    for stream in streams {
        let horizon = stream.horizon(now);
        for shard in stream.shards.all() {
            if let Err(error) = trim(node, shard.log, horizon).await {
                tracing::warn!(stream = %stream.name, shard = %shard.id(), %error, "retention could not be applied");
            }
        }
        if !stream.shards.expired(horizon).is_empty() {
            let command = Command::ExpireShards { stream: stream.key(), believed_ms: now };
            if let Err(error) = node.carry_out(command).await {
                tracing::warn!(stream = %stream.name, %error, "shards past retention could not be taken out");
            }
        }
    }
}

async fn trim(node: &Node, log: LogId, horizon: Millis) -> Result<(), EngineError> {
    match node.engine.tail(log).await {
        Ok(tail) if tail.first_arrival.is_some_and(|first| first < horizon) => {
            let before = node.engine.seek(log, horizon).await?;
            if before > tail.start { node.engine.trim(log, before).await } else { Ok(()) }
        }
        // A shard whose parents are not sealed has no log yet.
        Ok(_) | Err(EngineError::Missing) => Ok(()),
        Err(error) => Err(error),
    }
}
