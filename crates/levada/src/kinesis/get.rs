//! GetShardIterator and GetRecords.

use std::sync::Arc;

use levada_core::catalog::Stream;
use levada_core::engine::{Chunk, Engine, EngineError, Offset, Page, ReadRequest};
use levada_core::env::Clock;
use levada_core::iterator::{Position, ShardIterator, TokenError, java_date, open, seal};
use levada_core::retention::cutoff;
use levada_core::sequence::{Side, Start, StartError, start};
use levada_core::shard::{Shard, ShardId};
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors;
use levada_wire::kinesis::get_records::{GetRecordsHead, GetRecordsWriter, encoded_bytes};
use levada_wire::kinesis::types::{self, ShardIteratorType};
use levada_wire::limits;

use super::{Caller, text};
use crate::call::{Answer, Reply};

pub(super) async fn shard_iterator(caller: Caller<'_>, request: &types::GetShardIterator) -> Answer {
    // AWS looks at the shard's id first, and does not tell a missing stream from a missing shard.
    let named = caller.named(request.stream())?;
    let name = errors::StreamText { stream: &named.name, account: named.scope.account.as_str() };
    let id = ShardId::parse(&request.shard_id).ok_or_else(|| errors::could_not_find_shard(&request.shard_id, name))?;
    let stream = caller.node.registry.state().usable_stream(&named.scope, &named.name).ok().cloned();
    let shard = stream.as_ref().and_then(|stream| stream.shards.get(id));
    let (Some(stream), Some(shard)) = (&stream, shard) else {
        return Err(errors::shard_not_found(&id.to_string(), name));
    };
    let position = position(caller, request, stream, shard).await?;
    if request.dry_run == Some(true) {
        return Err(errors::dry_run("GetShardIterator"));
    }
    if caller.node.traffic.of(stream).is_some_and(|traffic| !traffic.iterator(shard.id())) {
        return Err(errors::shard_rate_exceeded(&shard.id().to_string(), text(stream)));
    }
    let iterator = seal_iterator(caller, stream, shard, position);
    caller.reply(&types::GetShardIteratorReply { shard_iterator: iterator })
}

/// Where the asked-for iterator begins.
async fn position(
    caller: Caller<'_>,
    request: &types::GetShardIterator,
    stream: &Stream,
    shard: &Shard,
) -> Result<Position, AwsError> {
    let number = request.starting_sequence_number.as_deref();
    let mismatch = || errors::iterator_type_mismatch(request.shard_iterator_type.as_str(), number.is_some());
    match (request.shard_iterator_type, number) {
        (ShardIteratorType::AtSequenceNumber, Some(number)) => at_number(number, Side::At, stream, shard),
        (ShardIteratorType::AfterSequenceNumber, Some(number)) => at_number(number, Side::After, stream, shard),
        (ShardIteratorType::TrimHorizon, None) => Ok(Position::Start(Start::Offset(0))),
        (ShardIteratorType::Latest, None) => {
            let tail = caller.node.engine.tail(shard.log).await.map_err(|e| unreadable(&e, stream, shard))?;
            Ok(Position::Start(Start::Offset(tail.end)))
        }
        (ShardIteratorType::AtTimestamp, None) => {
            let at = request.timestamp.ok_or_else(errors::timestamp_missing)?.0;
            let now = i64::try_from(caller.now()).unwrap_or(i64::MAX);
            if at > now {
                return Err(errors::timestamp_in_future(at, now));
            }
            // A time before the oldest record is the trim horizon.
            Ok(Position::Time(u64::try_from(at).unwrap_or(0)))
        }
        (ShardIteratorType::AtSequenceNumber | ShardIteratorType::AfterSequenceNumber, None)
        | (ShardIteratorType::TrimHorizon | ShardIteratorType::Latest | ShardIteratorType::AtTimestamp, Some(_)) => {
            Err(mismatch())
        }
    }
}

fn at_number(number: &str, side: Side, stream: &Stream, shard: &Shard) -> Result<Position, AwsError> {
    let used = shard.id().to_string();
    start(number, side, shard.space()).map(Position::Start).map_err(|error| match error {
        StartError::Invalid { given } => errors::invalid_sequence_number(&given, &used, text(stream)),
        StartError::OtherShard { encodes, .. } => errors::sequence_number_of_other_shard(&encodes.to_string(), &used),
        StartError::OtherStream { printed } => errors::sequence_number_of_other_stream(&printed, &used, text(stream)),
    })
}

fn seal_iterator(caller: Caller<'_>, stream: &Stream, shard: &Shard, position: Position) -> String {
    let iterator = ShardIterator { stream: stream.key(), shard: shard.id(), position, created_ms: caller.now() };
    seal(&caller.node.token_key, &iterator, caller.node.random.as_ref())
}

pub(super) async fn records(caller: Caller<'_>, request: &types::GetRecords) -> Answer {
    let started = caller.node.clock.monotonic();
    let iterator = open(&caller.node.token_key, &request.shard_iterator, caller.now()).map_err(|e| match e {
        TokenError::Invalid => errors::invalid_shard_iterator(),
        TokenError::Expired { created_ms, now_ms } => {
            errors::expired_iterator(&java_date(created_ms), &java_date(now_ms))
        }
    })?;
    let (stream, shard) = resolve(caller, &iterator)?;
    if request.dry_run == Some(true) {
        return Err(errors::dry_run("GetRecords"));
    }
    let metrics = caller.node.metrics.stream(&stream);
    metrics.get_records.requests.inc();
    let traffic = caller.node.traffic.of(&stream);
    if traffic.as_ref().is_some_and(|traffic| !traffic.get(shard.id())) {
        metrics.reads_refused.inc();
        return Err(errors::get_records_rate_exceeded(&shard.id().to_string(), text(&stream)));
    }
    let (page, start) = read(caller, request, &iterator.position, &stream, &shard)
        .await
        .map_err(|error| unreadable(&error, &stream, &shard))?;

    let now = caller.now();
    let behind = millis_behind(&page, &shard, now);
    // A closed shard's last records come with an iterator; the call after them says that there is no more.
    let ended = shard.is_sealed() && page.chunks.is_empty() && page.next >= page.tail.end;
    let next = if page.chunks.is_empty() { start } else { Start::Offset(page.next) };
    let head = GetRecordsHead {
        child_shards: ended.then(|| children(&stream, &shard)),
        millis_behind_latest: behind,
        next_shard_iterator: (!ended).then(|| seal_iterator(caller, &stream, &shard, Position::Start(next))),
        encryption_type: None,
    };
    let capacity = page.chunks.iter().map(|chunk| reply_bytes(caller.protocol, chunk)).sum();
    let mut reply = GetRecordsWriter::new(caller.protocol, &head, capacity);
    let (mut bytes, mut count) = (0, 0);
    for chunk in &page.chunks {
        let mut digits = shard.space().digits_from(chunk.first, chunk.arrival);
        for (offset, record) in chunk.records() {
            if start.admits(shard.space(), offset, chunk.arrival) {
                reply.record(chunk.arrival, record.data, record.key, &digits.current());
                bytes += (record.data.len() + record.key.len()) as u64;
                count += 1;
            }
            digits.advance();
        }
    }
    if let Some(traffic) = traffic {
        traffic.got(shard.id(), count, bytes);
    }
    metrics.get_records.success.inc();
    metrics.get_records.bytes.inc_by(bytes);
    metrics.get_records.records.inc_by(count);
    metrics.get_records.latency.observe((caller.node.clock.monotonic() - started).as_secs_f64());
    metrics.iterator_age.set(i64::try_from(behind).unwrap_or(i64::MAX));
    Ok(Reply::Document(reply.finish()))
}

/// About as many bytes as the chunk's records take in the reply.
fn reply_bytes(protocol: Protocol, chunk: &Chunk) -> usize {
    let share = chunk.batch.bytes().len() as u64 * u64::from(chunk.take) / u64::from(chunk.batch.count());
    encoded_bytes(protocol, chunk.take as usize, share as usize)
}

/// The stream and shard of an iterator. One of a deleted stream finds nothing, also if the name lives again.
fn resolve(caller: Caller<'_>, iterator: &ShardIterator) -> Result<(Arc<Stream>, Arc<Shard>), AwsError> {
    let key = &iterator.stream;
    let stream = caller.node.registry.state().stream_incarnation(key).filter(|stream| stream.is_usable()).cloned();
    let name = errors::StreamText { stream: &key.name, account: key.scope.account.as_str() };
    let shard = stream.as_ref().and_then(|stream| stream.shards.get(iterator.shard)).cloned();
    stream.zip(shard).ok_or_else(|| errors::shard_not_found(&iterator.shard.to_string(), name))
}

/// Reads the page at the iterator's position. Retention is exact here: what has outlived it is passed over, whether
/// or not its bytes are gone.
async fn read(
    caller: Caller<'_>,
    request: &types::GetRecords,
    position: &Position,
    stream: &Stream,
    shard: &Shard,
) -> Result<(Page, Start), EngineError> {
    let engine = &caller.node.engine;
    let tail = engine.tail(shard.log).await?;
    let cutoff = cutoff(caller.now(), stream.retention_hours);
    let oldest: Offset = match tail.first_arrival {
        Some(first) if first < cutoff => engine.seek(shard.log, cutoff).await?,
        _ => tail.start,
    };
    let start = match position {
        Position::Start(start) => *start,
        Position::Time(time) => Start::Offset(engine.seek(shard.log, *time).await?),
    };
    let start = if start.read_from() < oldest { Start::Offset(oldest) } else { settle(engine, shard, start).await? };
    let page = engine
        .read(ReadRequest {
            log: shard.log,
            from: start.read_from(),
            max_records: request.limit.unwrap_or(limits::GET_RECORDS_RECORDS).min(limits::GET_RECORDS_RECORDS),
            max_bytes: limits::GET_RECORDS_BYTES as u64,
        })
        .await?;
    Ok((page, start))
}

/// Compares the one record that may lie on either side of a start given as a number, if it is there already, so that
/// the page holds as many records as were asked for.
async fn settle(engine: &Arc<dyn Engine>, shard: &Shard, start: Start) -> Result<Start, EngineError> {
    let Start::CompareAt { offset, .. } = start else { return Ok(start) };
    let request = ReadRequest { log: shard.log, from: offset, max_records: 1, max_bytes: 0 };
    let page = engine.read(request).await?;
    Ok(match page.chunks.first().filter(|chunk| chunk.first == offset) {
        Some(chunk) if start.admits(shard.space(), offset, chunk.arrival) => Start::Offset(offset),
        Some(_) => Start::Offset(offset + 1),
        None => start,
    })
}

/// How far the page's end is behind the tip. On a drained closed shard AWS counts from its close.
fn millis_behind(page: &Page, shard: &Shard, now: u64) -> u64 {
    let caught_up = page.next >= page.tail.end;
    match (caught_up, &shard.closed) {
        (true, Some(closed)) if closed.sealed => now.saturating_sub(closed.at_ms) / 1000 * 1000,
        (true, _) => 0,
        (false, _) => {
            let last = page.chunks.last().map(|chunk| chunk.arrival).or(page.tail.first_arrival);
            // Less than a second behind is still behind: AWS tells whole seconds.
            now.saturating_sub(last.unwrap_or(now)).max(1000) / 1000 * 1000
        }
    }
}

fn children(stream: &Stream, shard: &Shard) -> Vec<types::ChildShard> {
    let children = shard.closed.iter().flat_map(|closed| &closed.children);
    children
        .filter_map(|index| stream.shards.get(ShardId(*index)))
        .map(|child| types::ChildShard {
            hash_key_range: types::HashKeyRange {
                ending_hash_key: child.range.end.to_string(),
                starting_hash_key: child.range.start.to_string(),
            },
            parent_shards: child.parent().into_iter().chain(child.adjacent_parent()).map(|id| id.to_string()).collect(),
            shard_id: child.id().to_string(),
        })
        .collect()
}

/// A shard that cannot be read: gone with its stream, damaged, or not now.
fn unreadable(error: &EngineError, stream: &Stream, shard: &Shard) -> AwsError {
    match error {
        EngineError::Missing => errors::stream_not_found(text(stream)),
        EngineError::Corrupt { file, at } => {
            tracing::error!(stream = %stream.name, shard = %shard.id(), %file, at, "the shard's data is damaged");
            AwsError::internal_failure()
        }
        EngineError::Unavailable(reason) => {
            tracing::warn!(stream = %stream.name, shard = %shard.id(), %reason, "the shard cannot be read now");
            AwsError::internal_failure()
        }
    }
}
