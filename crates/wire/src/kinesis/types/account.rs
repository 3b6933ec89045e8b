//! What holds for a whole account: quotas and settings.

use crate::typed::{TimestampMs, reply_struct, request_struct, wire_enum};

wire_enum! {
    /// Whether the account shall commit itself to a minimum throughput.
    CommitmentRequest {
        Enabled = "ENABLED",
        Disabled = "DISABLED",
    }
}

wire_enum! {
    /// Whether the account is committed to a minimum throughput.
    CommitmentStatus {
        Enabled = "ENABLED",
        Disabled = "DISABLED",
        EnabledUntilEarliestAllowedEnd = "ENABLED_UNTIL_EARLIEST_ALLOWED_END",
    }
}

request_struct! {
    /// Asks for the account's quotas and what it uses of them.
    DescribeLimits = kinesis::DESCRIBE_LIMITS_INPUT {
    }
}

reply_struct! {
    /// Reply of `DescribeLimits`.
    DescribeLimitsReply = kinesis::DESCRIBE_LIMITS_OUTPUT {
        channel_count: u32 = "ChannelCount",
        channel_count_limit: u32 = "ChannelCountLimit",
        on_demand_stream_count: u32 = "OnDemandStreamCount",
        on_demand_stream_count_limit: u32 = "OnDemandStreamCountLimit",
        open_shard_count: u32 = "OpenShardCount",
        shard_limit: u32 = "ShardLimit",
    }
}

request_struct! {
    /// The commitment that is wished for.
    MinimumThroughputBillingCommitmentInput = kinesis::MINIMUM_THROUGHPUT_BILLING_COMMITMENT_INPUT {
        status: CommitmentRequest = "Status",
    }
}

reply_struct! {
    /// The commitment that there is.
    MinimumThroughputBillingCommitmentOutput = kinesis::MINIMUM_THROUGHPUT_BILLING_COMMITMENT_OUTPUT {
        earliest_allowed_end_at: Option<TimestampMs> = "EarliestAllowedEndAt",
        ended_at: Option<TimestampMs> = "EndedAt",
        started_at: Option<TimestampMs> = "StartedAt",
        status: CommitmentStatus = "Status",
    }
}

request_struct! {
    /// Asks for the account's settings.
    DescribeAccountSettings = kinesis::DESCRIBE_ACCOUNT_SETTINGS_INPUT {
    }
}

reply_struct! {
    /// Reply of `DescribeAccountSettings`.
    DescribeAccountSettingsReply = kinesis::DESCRIBE_ACCOUNT_SETTINGS_OUTPUT {
        minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentOutput = "MinimumThroughputBillingCommitment",
    }
}

request_struct! {
    /// Changes the account's settings.
    UpdateAccountSettings = kinesis::UPDATE_ACCOUNT_SETTINGS_INPUT {
        minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentInput = "MinimumThroughputBillingCommitment",
    }
}

reply_struct! {
    /// Reply of `UpdateAccountSettings`.
    UpdateAccountSettingsReply = kinesis::UPDATE_ACCOUNT_SETTINGS_OUTPUT {
        minimum_throughput_billing_commitment: MinimumThroughputBillingCommitmentOutput = "MinimumThroughputBillingCommitment",
    }
}
