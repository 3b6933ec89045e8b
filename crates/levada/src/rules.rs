//! What the catalog decides by, as the configuration wants it.

use levada_core::catalog::{Lifecycle, Quotas, Rules};
use levada_wire::limits::{self, daily_limit, shards_per_account};
use levada_wire::operation::KinesisOp;

use crate::cli::LifecycleMode;
use crate::config::Config;

/// The rules of a configuration.
#[must_use]
pub fn rules(config: &Config) -> Rules {
    let lifecycle = match config.lifecycle {
        LifecycleMode::Instant => Lifecycle::INSTANT,
        LifecycleMode::Aws => Lifecycle::AWS,
    };
    let quotas = config.limits.are_strict().then(quotas);
    Rules { lifecycle, quotas }
}

/// AWS's quotas.
#[must_use]
pub fn quotas() -> Quotas {
    let daily = |op| daily_limit(op).map_or(usize::MAX, |limit| limit as usize);
    Quotas {
        creating_streams: limits::CREATING_STREAMS,
        on_demand_streams: limits::ON_DEMAND_STREAMS,
        shards: shards_per_account,
        consumers: limits::CONSUMERS_PER_STREAM,
        advantage_consumers: limits::CONSUMERS_PER_ADVANTAGE_STREAM,
        creating_consumers: limits::CREATING_CONSUMERS,
        mode_switches: daily(KinesisOp::UpdateStreamMode),
        encryption_changes: daily(KinesisOp::StartStreamEncryption),
        shard_count_updates: daily(KinesisOp::UpdateShardCount),
    }
}
