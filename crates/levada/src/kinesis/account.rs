//! What holds for a whole account: its quotas and its commitment.

use levada_core::catalog::{Command, Commitment, CommitmentStatus};
use levada_wire::kinesis::types::{self, MinimumThroughputBillingCommitmentOutput};
use levada_wire::limits;
use levada_wire::typed::TimestampMs;

use super::Caller;
use crate::call::Answer;
use crate::refusal::not_submitted;

/// Shards of on-demand streams are not counted, as at AWS. The quotas are told in every `--limits` mode; only `strict` holds anybody to them.
pub(super) fn limits(caller: Caller<'_>) -> Answer {
    let scope = caller.scope();
    let usage = caller.node.registry.state().usage(&scope);
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    caller.reply(&types::DescribeLimitsReply {
        channel_count: 0,
        channel_count_limit: limits::CHANNELS_PER_ACCOUNT,
        on_demand_stream_count: small(usage.on_demand_streams as u64),
        on_demand_stream_count_limit: small(limits::ON_DEMAND_STREAMS as u64),
        open_shard_count: small(usage.provisioned_shards),
        shard_limit: small(limits::shards_per_account(&scope.region)),
    })
}

pub(super) fn settings(caller: Caller<'_>) -> Answer {
    let commitment = commitment(caller);
    caller.reply(&types::DescribeAccountSettingsReply { minimum_throughput_billing_commitment: commitment })
}

pub(super) async fn update_settings(caller: Caller<'_>, request: &types::UpdateAccountSettings) -> Answer {
    let enabled = match request.minimum_throughput_billing_commitment.status {
        types::CommitmentRequest::Enabled => true,
        types::CommitmentRequest::Disabled => false,
    };
    let command = Command::SetCommitment { scope: caller.scope(), enabled };
    caller.node.carry_out(command).await.map_err(|e| not_submitted(&e))?;
    let commitment = commitment(caller);
    caller.reply(&types::UpdateAccountSettingsReply { minimum_throughput_billing_commitment: commitment })
}

fn commitment(caller: Caller<'_>) -> MinimumThroughputBillingCommitmentOutput {
    let commitment = caller.node.registry.state().commitment(&caller.scope()).copied();
    let Some(commitment) = commitment else {
        return MinimumThroughputBillingCommitmentOutput {
            earliest_allowed_end_at: None,
            ended_at: None,
            started_at: None,
            status: types::CommitmentStatus::Disabled,
        };
    };
    told(&commitment, caller.now())
}

fn told(commitment: &Commitment, now: u64) -> MinimumThroughputBillingCommitmentOutput {
    let time = |ms: u64| Some(TimestampMs(i64::try_from(ms).unwrap_or(i64::MAX)));
    let status = commitment.status(now);
    let over = status == CommitmentStatus::Disabled;
    MinimumThroughputBillingCommitmentOutput {
        earliest_allowed_end_at: if over { None } else { time(commitment.earliest_end()) },
        ended_at: commitment.ends.filter(|_| over).and_then(time),
        started_at: time(commitment.started),
        status: match status {
            CommitmentStatus::Enabled => types::CommitmentStatus::Enabled,
            CommitmentStatus::EnabledUntilEarliestAllowedEnd => types::CommitmentStatus::EnabledUntilEarliestAllowedEnd,
            CommitmentStatus::Disabled => types::CommitmentStatus::Disabled,
        },
    }
}
