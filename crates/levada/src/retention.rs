//! Retention: makes records unreadable, and so removable, once they are older than their stream keeps them.
//! Readers apply the same cut-off themselves, exactly; this task lets the files follow.

use std::sync::{Arc, Weak};
use std::time::Duration;

use levada_core::engine::{EngineError, LogId, Millis};
use levada_core::env::Clock;
use levada_core::retention::{RetentionClock, Trimming, cutoff};

use crate::node::Node;

/// Time between two sweeps.
const INTERVAL: Duration = Duration::from_secs(10);

/// Sweeps until the node is gone.
pub async fn run(node: Weak<Node>) {
    let Some((mut clock, moved)) = node.upgrade().map(|n| {
        let clock = RetentionClock::start(last_seen(&n), n.clock.now_ms(), n.clock.monotonic());
        (clock, Arc::clone(&n.clock_moved))
    }) else {
        return;
    };
    let mut suspended = false;
    loop {
        let moved = moved.notified();
        {
            let Some(node) = node.upgrade() else { return };
            match clock.observe(node.clock.now_ms(), node.clock.monotonic()) {
                Trimming::Allowed { now_ms } => {
                    suspended = false;
                    sweep(&node, now_ms).await;
                }
                Trimming::Suspended { jump_ms } if !suspended => {
                    suspended = true;
                    tracing::error!(jump_ms, "the clock was set; nothing is trimmed until it agrees again");
                }
                Trimming::Suspended { .. } => {}
            }
        }
        let _ = tokio::time::timeout(INTERVAL, moved).await;
    }
}

/// The newest wall-clock time that this directory knows of: what a clock that went wrong while the node was down is
/// held against.
fn last_seen(node: &Node) -> Option<Millis> {
    Some(node.registry.last_seen()).filter(|at| *at > 0)
}

async fn sweep(node: &Node, now: Millis) {
    let streams: Vec<_> = node.registry.state().all_streams().cloned().collect();
    for stream in streams {
        let cutoff = cutoff(now, stream.retention_hours);
        for shard in stream.shards.all() {
            if let Err(error) = trim(node, shard.log, cutoff).await {
                tracing::warn!(stream = %stream.name, shard = %shard.id(), %error, "retention could not be applied");
            }
        }
    }
}

async fn trim(node: &Node, log: LogId, cutoff: Millis) -> Result<(), EngineError> {
    match node.engine.tail(log).await {
        Ok(tail) if tail.first_arrival.is_some_and(|first| first < cutoff) => {
            let before = node.engine.seek(log, cutoff).await?;
            if before > tail.start { node.engine.trim(log, before).await } else { Ok(()) }
        }
        Ok(_) | Err(EngineError::Missing) => Ok(()),
        Err(error) => Err(error),
    }
}
