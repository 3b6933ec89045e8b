//! Settings of streams and accounts.
//!
//! AWS's order, as far as it was seen: the account, the stream, bounds, the stream's status, what the stream is.

use std::collections::BTreeSet;

use super::{Decision, Moment, check_active};
use crate::catalog::command::MAX_WARM_MIBPS;
use crate::catalog::error::{DomainError, SettingError};
use crate::catalog::event::Event;
use crate::catalog::scope::{ResourceKey, Scope};
use crate::catalog::settings::{
    Change, Commitment, CommitmentStatus, Distribution, History, PendingUpdate, ShardMetric,
};
use crate::catalog::stream::{Stream, StreamMode};
use crate::engine::Millis;

/// A plain setting changes: at once, or when UPDATING is over.
fn change(moment: Moment<'_>, stream: &Stream, change: Change) -> Event {
    let (key, at) = (stream.key(), moment.now);
    match moment.rules.lifecycle.update {
        0 => Event::StreamUpdated { key, at, change },
        ms => {
            let update = PendingUpdate { since: at, due: at.saturating_add(ms), change };
            Event::StreamUpdateStarted { key, update }
        }
    }
}

/// Refuses what was done as often in the last 24 hours as the quota allows. `None`: no quota.
pub(super) fn check_history(
    moment: Moment<'_>,
    stream: &Stream,
    times: &[Millis],
    quota: Option<usize>,
) -> Result<(), DomainError> {
    match quota {
        Some(quota) if History::recent(times, moment.now) >= quota => {
            let (name, account) = (stream.name.clone(), stream.scope.account.clone());
            Err(DomainError::RateExceeded { name, account })
        }
        _ => Ok(()),
    }
}

pub(super) fn retention(moment: Moment<'_>, stream: &Stream, hours: i64, longer: bool) -> Decision {
    if hours < i64::from(Stream::MIN_RETENTION_HOURS) {
        return Err(SettingError::RetentionTooShort { hours }.into());
    }
    let requested = u32::try_from(hours).ok().filter(|&hours| hours <= Stream::MAX_RETENTION_HOURS);
    let requested = requested.ok_or(SettingError::RetentionTooLong { hours })?;
    check_active(stream)?;
    let existing = stream.retention_hours;
    if requested == existing {
        return Ok(None);
    }
    if (requested > existing) != longer {
        return Err(SettingError::RetentionDirection { name: stream.name.clone(), requested, existing }.into());
    }
    Ok(Some(change(moment, stream, Change::Retention(requested))))
}

pub(super) fn mode(moment: Moment<'_>, stream: &Stream, mode: StreamMode, warm_mibps: Option<u32>) -> Decision {
    if let Some(mibps) = warm_mibps {
        moment.check_commitment(&stream.scope)?;
        check_warm(mibps)?;
        if mode == StreamMode::Provisioned {
            return Err(SettingError::WarmThroughputNeedsOnDemand.into());
        }
    }
    check_active(stream)?;
    if stream.mode == mode {
        return match warm_mibps {
            Some(mibps) => warm_throughput(moment, stream, mibps),
            None => Ok(None),
        };
    }
    check_history(moment, stream, &stream.history.mode_switches, moment.quotas().map(|quotas| quotas.mode_switches))?;
    if mode == StreamMode::OnDemand {
        moment.check_on_demand_quota(&stream.scope)?;
    }
    Ok(Some(change(moment, stream, Change::Mode { mode, warm_mibps })))
}

/// Also of a stream that is encrypted, with the same key or another: AWS goes through UPDATING again.
pub(super) fn start_encryption(moment: Moment<'_>, stream: &Stream, key_id: &str) -> Decision {
    check_active(stream)?;
    let quota = moment.quotas().map(|quotas| quotas.encryption_changes);
    check_history(moment, stream, &stream.history.encryption_starts, quota)?;
    Ok(Some(change(moment, stream, Change::Encryption(Some(key_id.to_owned())))))
}

pub(super) fn stop_encryption(moment: Moment<'_>, stream: &Stream) -> Decision {
    check_active(stream)?;
    if stream.encryption_key.is_none() {
        return Err(SettingError::NotEncrypted.into());
    }
    let quota = moment.quotas().map(|quotas| quotas.encryption_changes);
    check_history(moment, stream, &stream.history.encryption_stops, quota)?;
    Ok(Some(change(moment, stream, Change::Encryption(None))))
}

pub(super) fn monitoring(moment: Moment<'_>, stream: &Stream, metrics: BTreeSet<ShardMetric>) -> Decision {
    check_active(stream)?;
    Ok((stream.monitoring != metrics).then(|| change(moment, stream, Change::Monitoring(metrics))))
}

pub(super) fn max_record_size(moment: Moment<'_>, stream: &Stream, kib: u32) -> Decision {
    check_active(stream)?;
    Ok((stream.max_record_kib != kib).then(|| change(moment, stream, Change::MaxRecordSize(kib))))
}

/// Throughput that a stream may be ready for.
pub(super) fn check_warm(mibps: u32) -> Result<(), DomainError> {
    if mibps > MAX_WARM_MIBPS {
        return Err(SettingError::WarmThroughputTooHigh { mibps }.into());
    }
    Ok(())
}

/// The account's commitment has been checked.
pub(super) fn warm_throughput(moment: Moment<'_>, stream: &Stream, mibps: u32) -> Decision {
    if stream.mode == StreamMode::Provisioned {
        return Err(SettingError::WarmThroughputNeedsOnDemand.into());
    }
    check_warm(mibps)?;
    check_active(stream)?;
    Ok((stream.warm_mibps != Some(mibps)).then(|| change(moment, stream, Change::WarmThroughput(mibps))))
}

pub(super) fn distribution(moment: Moment<'_>, stream: &Stream, distribution: Distribution) -> Decision {
    if stream.mode == StreamMode::Provisioned && distribution == Distribution::Auto {
        return Err(SettingError::DistributionNeedsOnDemand.into());
    }
    check_active(stream)?;
    Ok((stream.distribution != distribution).then(|| change(moment, stream, Change::Distribution(distribution))))
}

/// Applies what is due. A reshard goes on by [`reshard::advance`](super::reshard::advance).
pub(super) fn finish(moment: Moment<'_>, key: &ResourceKey) -> Option<Event> {
    let update = moment.usable(key)?.update.as_ref()?;
    let plain = !matches!(update.change, Change::Reshard { .. });
    (plain && update.due <= moment.now).then(|| Event::StreamUpdateFinished(key.clone()))
}

/// A commitment holds for its minimum: given up earlier, it ends then; given again before it ends, it just goes on.
pub(super) fn commitment(moment: Moment<'_>, scope: &Scope, enabled: bool) -> Option<Event> {
    let now = moment.now;
    let held = moment.state.commitment(scope).filter(|commitment| commitment.holds(now));
    let commitment = match (held, enabled) {
        (None, false) => return None,
        (None, true) => Commitment { started: now, ends: None },
        (Some(held), _) if (held.status(now) == CommitmentStatus::Enabled) == enabled => return None,
        (Some(held), true) => Commitment { ends: None, ..*held },
        (Some(held), false) => Commitment { ends: Some(held.earliest_end().max(now)), ..*held },
    };
    Some(Event::CommitmentChanged { scope: scope.clone(), commitment })
}
