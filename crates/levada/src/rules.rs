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
        delivery_streams: limits::delivery_streams_per_account,
        delivery_encryption_changes: limits::DELIVERY_ENCRYPTION_CHANGES,
    }
}

#[cfg(test)]
mod tests {
    use levada_core::{catalog, iterator};

    use super::*;

    /// The domain does not know the wire, so what both must know stands on both sides.
    #[test]
    fn both_sides_of_a_limit_agree() {
        let rows = [
            (catalog::Commitment::MINIMUM_MS, limits::COMMITMENT_MS),
            (catalog::MAX_TARGET_SHARDS.into(), limits::SHARDS_PER_STREAM.into()),
            (catalog::MAX_SHARDS_PER_STREAM.into(), shards_per_account("us-east-1")),
            (catalog::MAX_WARM_MIBPS.into(), limits::WARM_THROUGHPUT_MIBPS_MAX.into()),
            (catalog::MAX_TAGS as u64, limits::TAGS_PER_STREAM as u64),
            (catalog::StreamMode::ON_DEMAND_SHARDS.into(), limits::ON_DEMAND_SHARDS.into()),
            (catalog::Stream::MIN_RETENTION_HOURS.into(), limits::RETENTION_HOURS_MIN.into()),
            (catalog::Stream::MAX_RETENTION_HOURS.into(), limits::RETENTION_HOURS_MAX.into()),
            (catalog::Stream::DEFAULT_MAX_RECORD_KIB.into(), limits::RECORD_KIB_DEFAULT.into()),
            (iterator::TOLERATED_MS, limits::SHARD_ITERATOR_LIFE_MS),
            (iterator::TOLERATED_MS, limits::NEXT_TOKEN_LIFE_MS),
            (crate::listener::MAX_BODY_BYTES as u64, limits::REQUEST_BODY_BYTES as u64),
        ];
        for (row, (domain, wire)) in rows.into_iter().enumerate() {
            assert_eq!(domain, wire, "row {row}");
        }
    }
}
