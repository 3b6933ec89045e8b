//! ListShards: pages of shards, by filter and token. Costs what it returns.

use std::sync::Arc;

use levada_core::catalog::Stream;
use levada_core::iterator::{Listing, NextToken};
use levada_core::shard::{ShardFilter, ShardId};
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors;
use levada_wire::kinesis::types::{self, ShardFilterType};
use levada_wire::limits;

use super::describe::describe_shard;
use super::{Caller, shard_id, text};
use crate::call::Answer;

/// Where a page begins and what it shows.
struct Page {
    stream: Arc<Stream>,
    after: Option<ShardId>,
    filter: ShardFilter,
}

pub(super) fn answer(caller: Caller<'_>, request: &types::ListShards) -> Answer {
    let Page { stream, after, filter } = match &request.next_token {
        Some(token) => next_page(caller, request, token)?,
        None => first_page(caller, request)?,
    };
    let limit = request.max_results.unwrap_or(limits::LIST_SHARDS_SHARDS).min(limits::LIST_SHARDS_SHARDS) as usize;
    let horizon = stream.horizon(caller.now());
    let shards = after.map_or_else(|| stream.shards.all(), |after| stream.shards.after(after));
    let mut shown = shards.iter().filter(|shard| filter.shows(&stream.shards, shard, horizon));
    let page: Vec<_> = shown.by_ref().take(limit).collect();
    let next_token = match (page.last(), shown.next()) {
        (Some(last), Some(_)) => Some(seal_token(caller, &stream, last.id(), filter)),
        _ => None,
    };
    let shards = page.into_iter().map(|shard| describe_shard(shard)).collect();
    caller.reply(&types::ListShardsReply { next_token, shards })
}

fn first_page(caller: Caller<'_>, request: &types::ListShards) -> Result<Page, AwsError> {
    let named = request.stream();
    if named.name.is_none() && named.arn.is_none() {
        return Err(errors::list_shards_of_nothing());
    }
    let stream = listed(caller.stream(named)?)?;
    let (filter, filter_after) = match &request.shard_filter {
        Some(filter) => parse_filter(caller, filter, &stream)?,
        None => (ShardFilter::default(), None),
    };
    let start = request.exclusive_start_shard_id.as_deref();
    let after = start.map(|given| shard_id(given, &stream)).transpose()?.or(filter_after);
    Ok(Page { stream, after, filter })
}

/// A token stands for all that the first request said. A matching stream may be named beside it.
fn next_page(caller: Caller<'_>, request: &types::ListShards, token: &str) -> Result<Page, AwsError> {
    if request.shard_filter.is_some() {
        return Err(errors::token_with_filter());
    }
    if request.stream_creation_timestamp.is_some() {
        return Err(errors::token_with_creation_time());
    }
    if request.exclusive_start_shard_id.is_some() {
        return Err(errors::token_with_start_shard());
    }
    let NextToken { scope, listing, .. } = caller.open_token(token)?;
    let Listing::Shards { stream: name, incarnation, after, filter } = listing else {
        return Err(errors::invalid_next_token());
    };
    let named = request.stream();
    if named.name.is_some() || named.arn.is_some() {
        let named = caller.named(named)?;
        if named.scope != scope || named.name != name {
            return Err(errors::token_of_other_stream());
        }
    }
    let stream = caller.node.registry.state().stream(&scope, &name).cloned();
    let stream = listed(stream.map_err(|error| crate::refusal::refused(&error))?)?;
    if stream.incarnation != incarnation {
        return Err(errors::invalid_next_token());
    }
    Ok(Page { stream, after: Some(after), filter })
}

/// Shards can be listed while the stream is ACTIVE or UPDATING.
fn listed(stream: Arc<Stream>) -> Result<Arc<Stream>, AwsError> {
    if stream.is_usable() {
        return Ok(stream);
    }
    Err(errors::stream_not_active(text(&stream), stream.status.name()))
}

/// The filter, and the shard behind which it begins.
fn parse_filter(
    caller: Caller<'_>,
    filter: &types::ShardFilter,
    stream: &Stream,
) -> Result<(ShardFilter, Option<ShardId>), AwsError> {
    let given = filter.shard_id.as_deref();
    let timestamp = || {
        let at = filter.timestamp.ok_or_else(|| errors::filter_timestamp_missing(filter.filter_type.as_str()))?.0;
        let at = u64::try_from(at).unwrap_or(0);
        if at > caller.now() {
            Err(errors::filter_timestamp_in_future())
        } else if at < stream.horizon(caller.now()) {
            Err(errors::filter_timestamp_too_old())
        } else {
            Ok(at)
        }
    };
    Ok(match filter.filter_type {
        ShardFilterType::AfterShardId => {
            let given = given.ok_or_else(errors::filter_shard_id_missing)?;
            (ShardFilter::FromTrimHorizon, Some(shard_id(given, stream)?))
        }
        ShardFilterType::FromTrimHorizon => (ShardFilter::FromTrimHorizon, None),
        ShardFilterType::AtTrimHorizon => (ShardFilter::AtTrimHorizon, None),
        ShardFilterType::FromTimestamp => (ShardFilter::FromTimestamp(timestamp()?), None),
        ShardFilterType::AtTimestamp => (ShardFilter::AtTimestamp(timestamp()?), None),
        // AWS takes a shard id here too, as an exclusive start.
        ShardFilterType::AtLatest => (ShardFilter::AtLatest, given.map(|given| shard_id(given, stream)).transpose()?),
    })
}

fn seal_token(caller: Caller<'_>, stream: &Stream, after: ShardId, filter: ShardFilter) -> String {
    let token = NextToken {
        scope: stream.scope.clone(),
        listing: Listing::Shards { stream: Arc::clone(&stream.name), incarnation: stream.incarnation, after, filter },
        created_ms: caller.now(),
    };
    caller.seal(&token)
}
