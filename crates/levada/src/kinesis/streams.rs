//! CreateStream and DeleteStream.

use levada_core::catalog::{Command, NewStream};
use levada_wire::kinesis::types;

use super::settings::{distribution_of, mode_of};
use super::tags::checked;
use super::{Caller, Named};
use crate::call::Answer;

pub(super) async fn create(caller: Caller<'_>, request: types::CreateStream) -> Answer {
    let new = NewStream {
        scope: caller.scope(),
        name: request.stream_name.into(),
        mode: request.stream_mode_details.as_ref().map(mode_of),
        shard_count: request.shard_count,
        max_record_kib: request.max_record_size_in_kib,
        warm_mibps: request.warm_throughput_mibps,
        distribution: request.record_distribution_strategy.map(distribution_of),
        tags: request.tags.map(checked).transpose()?.unwrap_or_default(),
    };
    caller.submit(Command::CreateStream(new)).await
}

pub(super) async fn delete(caller: Caller<'_>, request: &types::DeleteStream) -> Answer {
    let Named { scope, name } = caller.named(request.stream())?;
    let enforce_consumer_deletion = request.enforce_consumer_deletion.unwrap_or(false);
    caller.submit(Command::DeleteStream { scope, name, enforce_consumer_deletion }).await
}
