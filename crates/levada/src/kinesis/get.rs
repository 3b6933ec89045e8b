//! GetShardIterator and GetRecords.

use std::sync::Arc;

use levada_core::batch::RECORD_HEADER_BYTES;
use levada_core::engine::Page;
use levada_core::env::Clock;
use levada_core::iterator::{Position, ShardIterator, TokenError, java_date, open, seal};
use levada_core::sequence::Start;
use levada_core::shard::ShardId;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors;
use levada_wire::kinesis::get_records::GetRecordsHead;
use levada_wire::kinesis::records::encoded_bytes;
use levada_wire::kinesis::types;
use levada_wire::limits;

use super::reading::{Asked, Bounds, Place, reply_bytes};
use super::{Caller, text};
use crate::call::{Answer, Reply};
use crate::memory::Share;

/// A page while there is no room for the answers of full ones.
const SMALL_PAGE: Bounds = Bounds { records: 1_000, bytes: 1 << 20 };

pub(super) async fn shard_iterator(caller: Caller<'_>, request: &types::GetShardIterator) -> Answer {
    // AWS looks at the shard's id first, and does not tell a missing stream from a missing shard.
    let named = caller.named(request.stream())?;
    let name = errors::StreamText { stream: &named.name, account: named.scope.account.as_str() };
    let id = ShardId::parse(&request.shard_id).ok_or_else(|| errors::could_not_find_shard(&request.shard_id, name))?;
    let stream = caller.node.registry.state().usable_stream(&named.scope, &named.name).ok().cloned();
    let place = stream.and_then(|stream| {
        let shard = Arc::clone(stream.shards.get(id)?);
        Some(Place { stream, shard })
    });
    let place = place.ok_or_else(|| errors::shard_not_found(&id.to_string(), name))?;
    let asked = Asked {
        kind: request.shard_iterator_type,
        number: request.starting_sequence_number.as_deref(),
        timestamp: request.timestamp.map(|time| time.0),
    };
    let position = place.position(caller.node, caller.now(), asked).await?;
    if request.dry_run == Some(true) {
        return Err(errors::dry_run("GetShardIterator"));
    }
    if caller.node.traffic.of(&place.stream).is_some_and(|traffic| !traffic.iterator(place.shard.id())) {
        return Err(errors::shard_rate_exceeded(&place.shard.id().to_string(), text(&place.stream)));
    }
    let iterator = seal_iterator(caller, &place, position);
    caller.reply(&types::GetShardIteratorReply { shard_iterator: iterator })
}

fn seal_iterator(caller: Caller<'_>, place: &Place, position: Position) -> String {
    let (stream, shard) = (place.stream.key(), place.shard.id());
    let iterator = ShardIterator { stream, shard, position, created_ms: caller.now() };
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
    let place = resolve(caller, &iterator)?;
    if request.dry_run == Some(true) {
        return Err(errors::dry_run("GetRecords"));
    }
    let metrics = caller.node.metrics.stream(&place.stream);
    metrics.get_records.requests.inc();
    let traffic = caller.node.traffic.of(&place.stream);
    if traffic.as_ref().is_some_and(|traffic| !traffic.get(place.shard.id())) {
        metrics.reads_refused.inc();
        return Err(errors::get_records_rate_exceeded(&place.shard.id().to_string(), text(&place.stream)));
    }
    let records = request.limit.unwrap_or(limits::GET_RECORDS_RECORDS).min(limits::GET_RECORDS_RECORDS);
    let bounds = Bounds { records, bytes: limits::GET_RECORDS_BYTES as u64 };
    let (page, start, room) = read(caller, &place, &iterator.position, bounds).await?;
    let behind = place.millis_behind(&page, caller.now());
    // A closed shard's last records come with an iterator; the call after them says that there is no more.
    let ended = place.ended(&page);
    let next = if page.chunks.is_empty() { start } else { Start::Offset(page.next) };
    let head = GetRecordsHead {
        child_shards: ended.then(|| place.children()),
        millis_behind_latest: behind,
        next_shard_iterator: (!ended).then(|| seal_iterator(caller, &place, Position::Start(next))),
    };
    let mut reply = head.begin(caller.protocol, reply_bytes(caller.protocol, &page));
    let (count, bytes) = place.each_record(&page, start, |arrival, record, digits| {
        reply.encryption(place.encryption(arrival));
        reply.record(arrival, record.data, record.key, digits);
    });
    if let Some(traffic) = traffic {
        traffic.got(place.shard.id(), count, bytes, behind);
    }
    metrics.get_records.success.inc();
    metrics.get_records.bytes.inc_by(bytes);
    metrics.get_records.records.inc_by(count);
    metrics.get_records.latency.observe((caller.node.clock.monotonic() - started).as_secs_f64());
    metrics.iterator_age.set(i64::try_from(behind).unwrap_or(i64::MAX));
    Ok(Reply::Reserved(reply.finish(), room))
}

/// Reads a page for whose reply there is room. What the reply may take at most is reserved before anything is read, and
/// what it does not take is given back. While there is no room for a full page, pages are small: AWS does not promise
/// full ones either.
async fn read(
    caller: Caller<'_>,
    place: &Place,
    position: &Position,
    full: Bounds,
) -> Result<(Page, Start, Share), AwsError> {
    let answers = &caller.node.answers;
    let most = |Bounds { records, bytes }: Bounds| {
        let records = records as usize;
        encoded_bytes(caller.protocol, records, bytes as usize + records * RECORD_HEADER_BYTES)
    };
    let small = Bounds { records: full.records.min(SMALL_PAGE.records), bytes: SMALL_PAGE.bytes };
    let (bounds, mut room) = match answers.try_reserve(most(full)) {
        Some(room) => (full, room),
        None => (small, answers.reserve(most(small)).await.ok_or_else(AwsError::internal_failure)?),
    };
    loop {
        let read = place.read(caller.node, caller.now(), position, bounds).await;
        let (page, start) = read.map_err(|error| place.unreadable(&error))?;
        let bytes = reply_bytes(caller.protocol, &page);
        if room.suffices_for(bytes) {
            room.shrink_to(bytes);
            return Ok((page, start, room));
        }
        // A record is never less than whole, and it may be larger than a small page. Nothing is held while waiting.
        drop((page, room));
        room = answers.reserve(bytes.max(most(bounds))).await.ok_or_else(AwsError::internal_failure)?;
    }
}

/// The stream and shard of an iterator. One of a deleted stream finds nothing, also if the name lives again.
fn resolve(caller: Caller<'_>, iterator: &ShardIterator) -> Result<Place, AwsError> {
    let key = &iterator.stream;
    let stream = caller.node.registry.state().stream_incarnation(key).filter(|stream| stream.is_usable()).cloned();
    let name = errors::StreamText { stream: &key.name, account: key.scope.account.as_str() };
    let place = stream.and_then(|stream| {
        let shard = Arc::clone(stream.shards.get(iterator.shard)?);
        Some(Place { stream, shard })
    });
    place.ok_or_else(|| errors::shard_not_found(&iterator.shard.to_string(), name))
}
