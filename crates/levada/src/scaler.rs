//! On-demand streams grow and shrink with their load. The rule stands in [`levada_core::scaling`] and is defended by
//! decision 0007; this task brings it what was counted and carries out what it proposes.
//!
//! Once a minute of the node's clock, for each on-demand stream: the minutes that are over go into its history, the
//! peaks of their hours into the catalog, and what the rule proposes becomes one generation of shards.
//!
//! **What survives a restart.** Peaks do: they decide for a month how much capacity must remain. An hour's peak is noted
//! when the hour begins (a quiet one is known to be quiet), when it has risen by more than an eighth, and exactly when the
//! hour is over. So a crash loses an eighth of the present hour's peak at most, and the minute in progress, for a few small
//! events an hour. The minutes themselves are not kept: after a restart a stream is watched for 5 minutes before it splits
//! and for an hour before it merges.
//!
//! **Time.** Traffic counts minutes on the monotonic clock, the catalog on the wall clock. Minutes are taken over with the
//! distance between the two, in whole minutes; if that changes because the wall clock was set, the history begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use levada_core::catalog::{Command, Stream, StreamMode, StreamStatus};
use levada_core::env::Clock;
use levada_core::scaling::{Capacity, History, MINUTE_MS, Peaks, Policy, Proposal, QUIET_MINUTES, Why, generation};

use crate::node::Node;

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Minutes of an hour.
const HOUR: u64 = 60;

/// Watches until the node is gone.
pub(crate) async fn run(node: Weak<Node>) {
    let Some(moves) = node.upgrade().map(|node| Arc::clone(&node.clock_moved)) else { return };
    let mut scaler = Scaler::default();
    loop {
        let moved = moves.notified();
        let wait = {
            let Some(node) = node.upgrade() else { return };
            scaler.pass(&node).await;
            MINUTE_MS - node.traffic.now_ms() % MINUTE_MS
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
            () = moved => {}
        }
    }
}

/// What is known of each on-demand stream, by incarnation.
#[derive(Default)]
struct Scaler {
    watched: BTreeMap<u64, Watched>,
    /// True once the minute in which the node started is over.
    began: bool,
}

/// What is known of one stream.
struct Watched {
    /// The first minute, as traffic counts them, that is not in the history.
    next: u64,
    history: History,
    /// Those of the catalog, and what is not noted there yet.
    peaks: Peaks,
    /// Hours since the Unix epoch whose peak may not be in the catalog.
    unnoted: BTreeSet<u64>,
}

/// The present.
#[derive(Clone, Copy)]
struct Now {
    /// As the wall clock shows it, in ms.
    wall_ms: u64,
    /// Minutes that have begun, as traffic counts them.
    minute: u64,
    /// What makes traffic's minutes those of the wall clock.
    shift: i64,
}

impl Now {
    fn of(node: &Node) -> Self {
        let (wall_ms, traffic_ms) = (node.clock.now_ms(), node.traffic.now_ms());
        let ahead = i64::try_from(wall_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(traffic_ms);
        let minute = MINUTE_MS as i64;
        Self { wall_ms, minute: traffic_ms / MINUTE_MS, shift: ahead.saturating_add(minute / 2).div_euclid(minute) }
    }

    /// A minute of traffic's as the wall clock counts them.
    fn wall(self, minute: u64) -> u64 {
        minute.saturating_add_signed(self.shift)
    }
}

impl Scaler {
    async fn pass(&mut self, node: &Arc<Node>) {
        let now = Now::of(node);
        let streams: Vec<Arc<Stream>> = {
            let state = node.registry.state();
            let scaled = |stream: &&Arc<Stream>| stream.mode == StreamMode::OnDemand && stream.is_usable();
            state.all_streams().filter(scaled).cloned().collect()
        };
        let existing: BTreeSet<u64> = streams.iter().map(|stream| stream.incarnation).collect();
        self.watched.retain(|incarnation, _| existing.contains(incarnation));
        // Traffic knows the whole minute in which a stream came, but not what was before the node's start.
        let first = if self.began { now.minute } else { now.minute + 1 };
        for stream in streams {
            let watched = self.watched.entry(stream.incarnation).or_insert_with(|| Watched::new(first, &stream));
            if !watched.catch_up(node, &stream, now) {
                continue;
            }
            watched.note(node, &stream, now).await;
            if stream.status == StreamStatus::Active {
                let policy = policy(node, &stream);
                let proposals = policy.propose(&stream.shards, &watched.history, &watched.peaks, now.wall_ms);
                rescale(node, &stream, &proposals).await;
            }
        }
        self.began = true;
    }
}

impl Watched {
    fn new(next: u64, stream: &Stream) -> Self {
        let peaks = Peaks::clone(&stream.peaks);
        Self { next, history: History::default(), peaks, unnoted: BTreeSet::new() }
    }

    /// Takes over the minutes that are over; whether there were any.
    fn catch_up(&mut self, node: &Node, stream: &Stream, now: Now) -> bool {
        if self.next >= now.minute {
            return false;
        }
        let mut offered = node.traffic.offered(stream, self.next);
        // The history looks back no further; a clock may be moved by years.
        let from = self.next.max(now.minute.saturating_sub(QUIET_MINUTES as u64));
        let busy_before: Vec<u64> = offered.range(..from).map(|(minute, _)| *minute).collect();
        for minute in busy_before.into_iter().chain(from..now.minute) {
            let wall = now.wall(minute);
            let load = self.history.push(wall, offered.remove(&minute).unwrap_or_default());
            self.peaks.note(wall, load);
            self.unnoted.insert(wall / HOUR);
        }
        self.next = now.minute;
        true
    }

    /// Notes in the catalog the peaks that are worth an event.
    async fn note(&mut self, node: &Node, stream: &Stream, now: Now) {
        let present = now.wall(now.minute) / HOUR;
        for hour in self.unnoted.clone() {
            let Some(peak) = self.peaks.hour(hour) else {
                self.unnoted.remove(&hour);
                continue;
            };
            let noted = stream.peaks.hour(hour);
            let over = hour < present;
            let worth = noted.is_none_or(|noted| peak.rises_above(noted) || (over && peak != noted));
            if worth {
                let command = Command::NotePeak { stream: stream.key(), minute: hour * HOUR, load: peak };
                if let Err(error) = node.registry.submit(&command).await {
                    tracing::warn!(stream = %stream.name, %error, "an hour's peak was not noted; it is tried again");
                    continue;
                }
            }
            if over {
                self.unnoted.remove(&hour);
            }
        }
    }
}

/// The rule's numbers for a stream.
fn policy(node: &Node, stream: &Stream) -> Policy {
    let limits = &node.config.limits;
    let capacity = limits.of(&stream.name).map_or(Capacity::SHARD, |shard| Capacity {
        bytes_per_sec: shard.write_bytes.rate().whole_per_second().max(1),
        records_per_sec: shard.write_records.rate().whole_per_second().max(1),
    });
    let ready_for = stream.warm_mibps.map_or(0, |mibps| u64::from(mibps) * MIB);
    Policy { capacity, max_shards: limits.on_demand_shards(), ready_for }
}

async fn rescale(node: &Arc<Node>, stream: &Stream, proposals: &[Proposal]) {
    if proposals.is_empty() {
        return;
    }
    let count = |why| proposals.iter().filter(|proposal| proposal.why == why).count();
    tracing::info!(
        stream = %stream.name, shards = stream.shards.open_count(), hot = count(Why::Hot),
        headroom = count(Why::Headroom), quiet = count(Why::Quiet), "the shards of an on-demand stream change"
    );
    let command = Command::Rescale { stream: stream.key(), generation: generation(proposals) };
    if let Err(error) = node.carry_out(command).await {
        tracing::warn!(stream = %stream.name, %error, "the shards could not be changed");
    }
}
