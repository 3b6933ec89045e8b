//! Changes of a stream's settings.

use std::collections::BTreeSet;

use levada_core::catalog::{Distribution, ShardMetric, Stream, StreamMode, StreamUpdate};
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors;
use levada_wire::kinesis::types::{self, EncryptionType, MetricsName, StreamRef};

use super::Caller;
use crate::call::Answer;

pub(super) async fn increase_retention(caller: Caller<'_>, request: &types::IncreaseStreamRetentionPeriod) -> Answer {
    let update = StreamUpdate::IncreaseRetention(request.retention_period_hours);
    caller.update(request.stream(), update).await
}

pub(super) async fn decrease_retention(caller: Caller<'_>, request: &types::DecreaseStreamRetentionPeriod) -> Answer {
    let update = StreamUpdate::DecreaseRetention(request.retention_period_hours);
    caller.update(request.stream(), update).await
}

pub(super) async fn start_encryption(caller: Caller<'_>, request: &types::StartStreamEncryption) -> Answer {
    check_kms(request.encryption_type)?;
    let update = StreamUpdate::StartEncryption { key_id: request.key_id.clone() };
    caller.update(request.stream(), update).await
}

pub(super) async fn stop_encryption(caller: Caller<'_>, request: &types::StopStreamEncryption) -> Answer {
    check_kms(request.encryption_type)?;
    caller.update(request.stream(), StreamUpdate::StopEncryption).await
}

fn check_kms(encryption_type: EncryptionType) -> Result<(), AwsError> {
    match encryption_type {
        EncryptionType::Kms => Ok(()),
        EncryptionType::None => Err(errors::encryption_type_not_supported()),
    }
}

pub(super) async fn max_record_size(caller: Caller<'_>, request: &types::UpdateMaxRecordSize) -> Answer {
    let stream = StreamRef { name: None, arn: request.stream_arn.as_deref(), id: request.stream_id.as_deref() };
    caller.update(stream, StreamUpdate::MaxRecordSize(request.max_record_size_in_kib)).await
}

pub(super) async fn mode(caller: Caller<'_>, request: &types::UpdateStreamMode) -> Answer {
    let mode = mode_of(&request.stream_mode_details);
    let update = StreamUpdate::Mode { mode, warm_mibps: request.warm_throughput_mibps };
    caller.update(StreamRef::of_arn(&request.stream_arn), update).await
}

pub(super) fn mode_of(details: &types::StreamModeDetails) -> StreamMode {
    match details.stream_mode {
        types::StreamMode::Provisioned => StreamMode::Provisioned,
        types::StreamMode::OnDemand => StreamMode::OnDemand,
    }
}

pub(super) async fn distribution(
    caller: Caller<'_>,
    request: &types::UpdateStreamRecordDistributionStrategy,
) -> Answer {
    let update = StreamUpdate::Distribution(distribution_of(request.record_distribution_strategy));
    caller.update(StreamRef::of_arn(&request.stream_arn), update).await
}

pub(super) fn distribution_of(strategy: types::RecordDistributionStrategy) -> Distribution {
    match strategy {
        types::RecordDistributionStrategy::Auto => Distribution::Auto,
        types::RecordDistributionStrategy::UserPartitionKey => Distribution::UserPartitionKey,
    }
}

pub(super) async fn warm_throughput(caller: Caller<'_>, request: &types::UpdateStreamWarmThroughput) -> Answer {
    let target = request.warm_throughput_mibps;
    caller.update(request.stream(), StreamUpdate::WarmThroughput(target)).await?;
    let stream = caller.stream(request.stream())?;
    caller.reply(&types::UpdateStreamWarmThroughputReply {
        stream_arn: stream.arn(),
        stream_name: stream.name.to_string(),
        warm_throughput: types::WarmThroughput { current_mibps: stream.warm_mibps, target_mibps: Some(target) },
    })
}

pub(super) async fn enable_monitoring(caller: Caller<'_>, request: &types::EnableEnhancedMonitoring) -> Answer {
    let before = caller.stream(request.stream())?;
    let named = metrics_of(&request.shard_level_metrics);
    let after: BTreeSet<_> = before.monitoring.union(&named).copied().collect();
    caller.update(request.stream(), StreamUpdate::EnableMonitoring(named)).await?;
    monitoring_reply(caller, &before, &after)
}

pub(super) async fn disable_monitoring(caller: Caller<'_>, request: &types::DisableEnhancedMonitoring) -> Answer {
    let before = caller.stream(request.stream())?;
    let named = metrics_of(&request.shard_level_metrics);
    let after: BTreeSet<_> = before.monitoring.difference(&named).copied().collect();
    caller.update(request.stream(), StreamUpdate::DisableMonitoring(named)).await?;
    monitoring_reply(caller, &before, &after)
}

fn monitoring_reply(caller: Caller<'_>, before: &Stream, after: &BTreeSet<ShardMetric>) -> Answer {
    caller.reply(&types::EnhancedMonitoringReply {
        current_shard_level_metrics: metrics_told(&before.monitoring),
        desired_shard_level_metrics: metrics_told(after),
        stream_arn: before.arn(),
        stream_name: before.name.to_string(),
    })
}

fn metrics_of(names: &[MetricsName]) -> BTreeSet<ShardMetric> {
    let of = |name: &MetricsName| match name {
        MetricsName::IncomingBytes => vec![ShardMetric::IncomingBytes],
        MetricsName::IncomingRecords => vec![ShardMetric::IncomingRecords],
        MetricsName::OutgoingBytes => vec![ShardMetric::OutgoingBytes],
        MetricsName::OutgoingRecords => vec![ShardMetric::OutgoingRecords],
        MetricsName::WriteProvisionedThroughputExceeded => vec![ShardMetric::WriteProvisionedThroughputExceeded],
        MetricsName::ReadProvisionedThroughputExceeded => vec![ShardMetric::ReadProvisionedThroughputExceeded],
        MetricsName::IteratorAgeMilliseconds => vec![ShardMetric::IteratorAgeMilliseconds],
        MetricsName::All => ShardMetric::ALL.to_vec(),
    };
    names.iter().flat_map(of).collect()
}

/// Metrics in the order in which AWS lists them.
pub(super) fn metrics_told(metrics: &BTreeSet<ShardMetric>) -> Vec<MetricsName> {
    let named = metrics.iter().map(|metric| match metric {
        ShardMetric::IncomingBytes => MetricsName::IncomingBytes,
        ShardMetric::IncomingRecords => MetricsName::IncomingRecords,
        ShardMetric::OutgoingBytes => MetricsName::OutgoingBytes,
        ShardMetric::OutgoingRecords => MetricsName::OutgoingRecords,
        ShardMetric::WriteProvisionedThroughputExceeded => MetricsName::WriteProvisionedThroughputExceeded,
        ShardMetric::ReadProvisionedThroughputExceeded => MetricsName::ReadProvisionedThroughputExceeded,
        ShardMetric::IteratorAgeMilliseconds => MetricsName::IteratorAgeMilliseconds,
    });
    MetricsName::shown(&named.collect::<Vec<_>>())
}
