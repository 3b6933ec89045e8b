//! SplitShard, MergeShards, UpdateShardCount.

use levada_core::catalog::StreamUpdate;
use levada_core::shard::ShardId;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors::{self, StreamText};
use levada_wire::kinesis::types;

use super::{Caller, Named};
use crate::call::Answer;

pub(super) async fn split(caller: Caller<'_>, request: &types::SplitShard) -> Answer {
    let named = caller.named(request.stream())?;
    let shard = shard(&request.shard_to_split, &named)?;
    let new_starting_hash_key = request.new_starting_hash_key.clone();
    caller.update(request.stream(), StreamUpdate::Split { shard, new_starting_hash_key }).await
}

pub(super) async fn merge(caller: Caller<'_>, request: &types::MergeShards) -> Answer {
    let named = caller.named(request.stream())?;
    let shard_to_merge = shard(&request.shard_to_merge, &named)?;
    let adjacent = shard(&request.adjacent_shard_to_merge, &named)?;
    caller.update(request.stream(), StreamUpdate::Merge { shard: shard_to_merge, adjacent }).await
}

pub(super) async fn update_count(caller: Caller<'_>, request: &types::UpdateShardCount) -> Answer {
    let before = caller.stream(request.stream())?;
    caller.update(request.stream(), StreamUpdate::ShardCount(request.target_shard_count)).await?;
    caller.reply(&types::UpdateShardCountReply {
        current_shard_count: u32::try_from(before.shards.open_count()).unwrap_or(u32::MAX),
        stream_arn: before.arn(),
        stream_name: before.name.to_string(),
        target_shard_count: request.target_shard_count,
    })
}

/// AWS reads the id before it looks for the stream.
fn shard(given: &str, named: &Named) -> Result<ShardId, AwsError> {
    let text = StreamText { stream: &named.name, account: named.scope.account.as_str() };
    ShardId::parse(given).ok_or_else(|| errors::could_not_find_shard(given, text))
}
