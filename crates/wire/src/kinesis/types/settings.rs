//! Settings of a stream that exists: retention, encryption, monitoring, record size, mode, distribution, warm throughput.

use super::{EncryptionType, MetricsName, RecordDistributionStrategy, StreamModeDetails, WarmThroughput};
use crate::typed::{reply_struct, request_struct};

request_struct! {
    /// Keeps records longer.
    IncreaseStreamRetentionPeriod = kinesis::INCREASE_STREAM_RETENTION_PERIOD_INPUT {
        retention_period_hours: i64 = "RetentionPeriodHours",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Keeps records less long.
    DecreaseStreamRetentionPeriod = kinesis::DECREASE_STREAM_RETENTION_PERIOD_INPUT {
        retention_period_hours: i64 = "RetentionPeriodHours",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Encrypts what is put from now on, or changes the key.
    StartStreamEncryption = kinesis::START_STREAM_ENCRYPTION_INPUT {
        encryption_type: EncryptionType = "EncryptionType",
        key_id: String = "KeyId",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Encrypts no more.
    StopStreamEncryption = kinesis::STOP_STREAM_ENCRYPTION_INPUT {
        encryption_type: EncryptionType = "EncryptionType",
        key_id: String = "KeyId",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Switches shard-level metrics on.
    EnableEnhancedMonitoring = kinesis::ENABLE_ENHANCED_MONITORING_INPUT {
        shard_level_metrics: Vec<MetricsName> = "ShardLevelMetrics",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

request_struct! {
    /// Switches shard-level metrics off.
    DisableEnhancedMonitoring = kinesis::DISABLE_ENHANCED_MONITORING_INPUT {
        shard_level_metrics: Vec<MetricsName> = "ShardLevelMetrics",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

reply_struct! {
    /// Reply of `EnableEnhancedMonitoring` and `DisableEnhancedMonitoring`: the metrics before and after.
    EnhancedMonitoringReply = kinesis::ENHANCED_MONITORING_OUTPUT {
        current_shard_level_metrics: Vec<MetricsName> = "CurrentShardLevelMetrics",
        desired_shard_level_metrics: Vec<MetricsName> = "DesiredShardLevelMetrics",
        stream_arn: String = "StreamARN",
        stream_name: String = "StreamName",
    }
}

request_struct! {
    /// Sets the largest record that a stream takes.
    UpdateMaxRecordSize = kinesis::UPDATE_MAX_RECORD_SIZE_INPUT {
        max_record_size_in_kib: u32 = "MaxRecordSizeInKiB",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Switches between provisioned and on demand.
    UpdateStreamMode = kinesis::UPDATE_STREAM_MODE_INPUT {
        stream_arn: String = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_mode_details: StreamModeDetails = "StreamModeDetails",
        warm_throughput_mibps: Option<u32> = "WarmThroughputMiBps",
    }
}

request_struct! {
    /// Sets how an on-demand stream spreads records.
    UpdateStreamRecordDistributionStrategy = kinesis::UPDATE_STREAM_RECORD_DISTRIBUTION_STRATEGY_INPUT {
        record_distribution_strategy: RecordDistributionStrategy = "RecordDistributionStrategy",
        stream_arn: String = "StreamARN",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Sets the throughput that an on-demand stream keeps ready.
    UpdateStreamWarmThroughput = kinesis::UPDATE_STREAM_WARM_THROUGHPUT_INPUT {
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
        warm_throughput_mibps: u32 = "WarmThroughputMiBps",
    }
}

reply_struct! {
    /// Reply of `UpdateStreamWarmThroughput`.
    UpdateStreamWarmThroughputReply = kinesis::UPDATE_STREAM_WARM_THROUGHPUT_OUTPUT {
        stream_arn: String = "StreamARN",
        stream_name: String = "StreamName",
        warm_throughput: WarmThroughput = "WarmThroughput",
    }
}
