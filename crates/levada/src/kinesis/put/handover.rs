//! Puts that meet a reshard: a shard closed while records were on their way to it, so its children take them.
//!
//! A closed shard has taken none of a call's batch, and its children take records only after it was sealed. So
//! whatever a producer put before, and was answered, stands before what is put again here.

use std::collections::BTreeSet;
use std::sync::Arc;

use levada_core::catalog::{ResourceKey, Stream};
use levada_core::engine::Appended;
use levada_core::shard::ShardId;
use levada_wire::error::AwsError;
use levada_wire::kinesis::put_records::PutRecordsRequest;
use tokio::time::Instant;

use super::super::Caller;
use super::{Settled, ShardOutcome, append_batches, group};
use crate::lifecycle;
use crate::node::APPEND_TIMEOUT;

/// Why no shard takes the place of a closed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSuccessor {
    /// The stream is gone, or going.
    Gone,
    /// None did in time.
    Late,
}

/// The stream as soon as none of `closed` takes puts any more.
///
/// # Errors
/// [`NoSuccessor`].
pub(super) async fn successor(
    caller: Caller<'_>,
    stream: &ResourceKey,
    closed: &BTreeSet<ShardId>,
    deadline: Instant,
) -> Result<Arc<Stream>, NoSuccessor> {
    let node = caller.node;
    loop {
        let changed = node.registry.changed();
        let now = node.registry.state().stream_incarnation(stream).filter(|stream| stream.is_usable()).cloned();
        let now = now.ok_or(NoSuccessor::Gone)?;
        let takes = |id: &&ShardId| now.shards.get(**id).is_some_and(|shard| now.shards.takes_puts(shard));
        let Some(waits) = closed.iter().find(takes) else { return Ok(now) };
        if Instant::now() >= deadline {
            return Err(NoSuccessor::Late);
        }
        if !node.hands.has(stream.incarnation) {
            tokio::spawn(lifecycle::complete_hand_over(Arc::clone(node), stream.clone(), *waits));
        }
        // Whoever has it in hand may fail.
        let _ = tokio::time::timeout_at(deadline.min(Instant::now() + lifecycle::RETRY), changed).await;
    }
}

/// Puts the records of shards that have closed to those that continue them, until none is left or it takes too long.
/// `places` and `outcomes` are those of the call, and are completed.
///
/// # Errors
/// Only if data that was decoded before cannot be decoded again.
pub(super) async fn hand_over(
    caller: Caller<'_>,
    request: &PutRecordsRequest<'_>,
    stream: &ResourceKey,
    places: &mut [u32],
    outcomes: &mut Vec<Settled>,
) -> Result<(), AwsError> {
    let deadline = Instant::now() + APPEND_TIMEOUT;
    loop {
        let closed = |place: u32| match outcomes.get(place as usize)?.outcome {
            ShardOutcome::Closed(shard) => Some(shard),
            ShardOutcome::Stored { .. } | ShardOutcome::Failed(_) => None,
        };
        let again: Vec<usize> = (0..places.len()).filter(|&n| closed(places[n]).is_some()).collect();
        let shards: BTreeSet<_> = again.iter().filter_map(|&n| closed(places[n])).collect();
        if again.is_empty() {
            return Ok(());
        }
        let Ok(now) = successor(caller, stream, &shards, deadline).await else { return Ok(()) };
        let entries = again.iter().map(|&n| &request.records[n]);
        let traffic = caller.node.traffic.of(&now);
        let (new_places, batches) = group(entries, &now, traffic.as_ref())?.ok_or_else(AwsError::internal_failure)?;
        let base = outcomes.len() as u32;
        // None of the abandoned outcomes has a record any more.
        for (n, place) in again.into_iter().zip(new_places) {
            outcomes[places[n] as usize].count = 0;
            places[n] = base + place;
        }
        outcomes.extend(append_batches(caller, batches, &now, false).await);
    }
}

/// True if the records may be put again elsewhere, because this shard has taken none of them and never will.
pub(super) fn is_closed(appended: &Appended) -> bool {
    matches!(appended, Appended::Closed { .. })
}
