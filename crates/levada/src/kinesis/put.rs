//! PutRecord and PutRecords: which shard, then the log, then the numbers.

mod admission;
mod handover;
mod placement;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use levada_core::batch::{Batch, BatchBuilder, RECORD_HEADER_BYTES};
use levada_core::catalog::{Stream, StreamMode};
use levada_core::engine::{Append, Appended, Expect};
use levada_core::env::Clock;
use levada_core::hash_range::{explicit_hash, hash_of};
use levada_core::scaling::{Sample, slice_of};
use levada_core::sequence::{DigitWriter, check_ordering};
use levada_core::shard::{Shard, ShardId};
use levada_wire::blob::BadBase64;
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors::{self, EntryError};
use levada_wire::kinesis::put_records::{self, Entry, PutRecordsReply, PutRecordsRequest};
use levada_wire::kinesis::types::{self, EncryptionType};
use levada_wire::limits;
use tokio::time::Instant;

use self::handover::NoSuccessor;
use self::placement::{Placement, is_auto};
use super::{Caller, text};
use crate::call::{Answer, Reply};
use crate::node::APPEND_TIMEOUT;
use crate::traffic::{Demand, StreamTraffic};

/// The hash key that decides the shard: the explicit one, or the MD5 of the partition key.
fn hash(partition_key: &str, explicit: Option<&str>) -> Result<u128, AwsError> {
    match explicit {
        Some(text) => explicit_hash(text).map_err(|error| errors::invalid_explicit_hash_key(&error.given)),
        None => Ok(hash_of(partition_key)),
    }
}

/// Largest record of a stream in bytes, with its partition key.
fn record_limit(stream: &Stream) -> usize {
    stream.max_record_kib as usize * 1024
}

pub(super) async fn put_record(caller: Caller<'_>, request: &types::PutRecord) -> Answer {
    let started = caller.node.clock.monotonic();
    let stream = caller.readable_stream(request.stream())?;
    let key = match &request.partition_key {
        Some(key) => key.as_str(),
        None if is_auto(&stream) => "",
        None => return Err(errors::partition_key_missing(None)),
    };
    let size = key.len() + request.data.len();
    if size > record_limit(&stream) {
        return Err(errors::record_too_large("data", record_limit(&stream)));
    }
    let traffic = caller.node.traffic.of(&stream);
    let mut placement = Placement::new(&stream, traffic.as_ref(), std::iter::once(size));
    let hash = placement.next(key, request.explicit_hash_key.as_deref(), size)?;
    if let Some(number) = &request.sequence_number_for_ordering {
        check_ordering(number, caller.now())
            .map_err(|error| errors::invalid_sequence_number_for_ordering(&error.given, text(&stream)))?;
    }
    let shard = stream.shards.route(hash);
    if request.dry_run == Some(true) {
        return Err(errors::dry_run("PutRecord"));
    }
    let metrics = caller.node.metrics.stream(&stream);
    metrics.put_record.requests.inc();
    // Limits come last of all checks: a call that is refused for another reason, or a dry run, takes nothing.
    let bytes = size as u64;
    if let (Some(traffic), StreamMode::OnDemand) = (&traffic, stream.mode) {
        let mut sample = Sample::default();
        sample.count(slice_of(shard.range, hash), bytes);
        traffic.offered(shard.id(), &sample);
    }
    if traffic.as_ref().is_some_and(|traffic| !traffic.put_one(shard.id(), bytes)) {
        metrics.writes_refused.inc();
        return Err(errors::shard_rate_exceeded(&shard.id().to_string(), text(&stream)));
    }
    let batch = Batch::single(key.as_bytes(), &request.data);
    let admitted = shard.id();
    let (outcome, shard) = append_one(caller, batch, hash, &stream).await;
    if let (Some(traffic), false) = (&traffic, matches!(outcome, Some(Appended::At { .. }))) {
        traffic.failed(admitted, 1, bytes);
    }
    let reply = match outcome {
        Some(Appended::At { first, arrival }) => types::PutRecordReply {
            encryption_type: encryption_type(&stream),
            sequence_number: shard.space().number(first, arrival).to_string(),
            shard_id: shard.id().to_string(),
        },
        // The stream was deleted under the request.
        Some(Appended::Missing) => return Err(errors::stream_not_found(text(&stream))),
        Some(Appended::Closed { .. } | Appended::Moved { .. } | Appended::Full | Appended::Unknown) | None => {
            metrics.put_record.failed.inc();
            return Err(AwsError::internal_failure());
        }
    };
    metrics.incoming_bytes.inc_by(bytes);
    metrics.incoming_records.inc();
    metrics.put_record.success.inc();
    metrics.put_record.bytes.inc_by(bytes);
    metrics.put_record.records.inc();
    metrics.put_record.latency.observe((caller.node.clock.monotonic() - started).as_secs_f64());
    caller.reply(&reply)
}

/// Appends a record to the shard that takes its hash key, or to a child of that if it closes meanwhile.
async fn append_one(
    caller: Caller<'_>,
    batch: Batch,
    hash: u128,
    stream: &Arc<Stream>,
) -> (Option<Appended>, Arc<Shard>) {
    let deadline = Instant::now() + APPEND_TIMEOUT;
    let mut stream = Arc::clone(stream);
    loop {
        let shard = Arc::clone(stream.shards.route(hash));
        let append = Append { log: shard.log, expect: Expect::Tail, batch: batch.clone() };
        let appended = append_all(caller, vec![append], &stream).await.pop();
        if !appended.as_ref().is_some_and(handover::is_closed) {
            return (appended, shard);
        }
        match handover::successor(caller, &stream.key(), &BTreeSet::from([shard.id()]), deadline).await {
            Ok(now) => stream = now,
            Err(NoSuccessor::Gone) => return (Some(Appended::Missing), shard),
            Err(NoSuccessor::Late) => return (appended, shard),
        }
    }
}

/// What the replies of puts say about encryption: nothing while it is off.
fn encryption_type(stream: &Stream) -> Option<EncryptionType> {
    stream.encryption_key.as_ref().map(|_| EncryptionType::Kms)
}

/// The records of one call that go to one shard.
struct ShardBatch<'a> {
    shard: &'a Shard,
    batch: BatchBuilder,
    demand: Demand,
    /// Where in the shard's range they lie, if its stream is on-demand.
    sample: Option<Box<Sample>>,
}

impl<'a> ShardBatch<'a> {
    fn new(shard: &'a Shard, capacity: usize) -> Self {
        let batch = BatchBuilder::with_capacity(capacity);
        Self { shard, batch, demand: Demand::default(), sample: None }
    }

    fn push(&mut self, entry: &Entry<'_>) -> Result<(), BadBase64> {
        let key = entry.partition_key.as_deref().unwrap_or_default();
        let mut decoded = Ok(());
        self.batch.push_with(key.as_bytes(), |data| decoded = entry.data.decode_append(data));
        self.demand.add(entry.size() as u64);
        decoded
    }
}

/// What became of a [`ShardBatch`], as its records' answers need it.
enum ShardOutcome {
    Stored {
        next: DigitWriter,
        id: String,
    },
    Failed(EntryError),
    /// The shard has closed and took nothing.
    Closed(ShardId),
}

/// The records of one shard after their append.
struct Settled {
    outcome: ShardOutcome,
    count: u32,
    /// Of keys and data.
    bytes: u64,
}

impl Settled {
    fn new(shard: &Shard, count: u32, bytes: u64, appended: &Appended) -> Self {
        let outcome = match appended {
            Appended::At { first, arrival } => {
                ShardOutcome::Stored { next: shard.space().digits_from(*first, *arrival), id: shard.id().to_string() }
            }
            Appended::Closed { .. } => ShardOutcome::Closed(shard.id()),
            Appended::Moved { .. } | Appended::Missing | Appended::Full | Appended::Unknown => {
                ShardOutcome::Failed(EntryError::internal_failure())
            }
        };
        Self { outcome, count, bytes }
    }
}

pub(super) async fn put_records(caller: Caller<'_>, body: &Bytes) -> Answer {
    let started = caller.node.clock.monotonic();
    let mut request = put_records::decode(caller.protocol, body)?;
    // Base64 is left for later, but what is wrong with a body's form comes before what it means.
    let refuse = |error: AwsError| put_records::decode_strict(caller.protocol, body).err().unwrap_or(error);
    let stream = caller.readable_stream(request.stream()).map_err(refuse)?;
    check_sizes(&request, &stream).map_err(refuse)?;
    let traffic = caller.node.traffic.of(&stream);
    let (places, batches) = match group(request.records.iter(), &stream, traffic.as_ref()).map_err(refuse)? {
        Some(grouped) => grouped,
        None => {
            request = put_records::decode_strict(caller.protocol, body)?;
            group(request.records.iter(), &stream, traffic.as_ref())?.ok_or_else(AwsError::internal_failure)?
        }
    };
    if request.dry_run {
        return Err(errors::dry_run("PutRecords"));
    }
    let metrics = caller.node.metrics.stream(&stream);
    metrics.put_records.requests.inc();
    let (mut places, batches, refusals) = match &traffic {
        Some(traffic) => admission::admit(traffic, &request, places, batches)?.worded(&stream),
        None => (places, batches, Vec::new()),
    };
    // Refusals stand behind the batches; they are moved behind whatever a hand-over adds.
    let admitted = batches.len() as u32;
    let mut outcomes = append_batches(caller, batches, &stream, true).await;
    if outcomes.iter().any(|settled| matches!(settled.outcome, ShardOutcome::Closed(_))) {
        places.iter_mut().filter(|place| **place >= admitted).for_each(|place| *place |= REFUSED);
        handover::hand_over(caller, &request, &stream.key(), &mut places, &mut outcomes).await?;
        let moved = outcomes.len() as u32 - admitted;
        let refused = places.iter_mut().filter(|place| **place & REFUSED != 0);
        refused.for_each(|place| *place = (*place & !REFUSED) + moved);
    }
    let Answered { reply, stored, failed, throttled, bytes } =
        answer_each(caller.protocol, encryption_type(&stream), &places, outcomes, refusals);
    metrics.incoming_bytes.inc_by(bytes);
    metrics.incoming_records.inc_by(stored);
    metrics.put_records.success.inc_by(u64::from(stored > 0));
    metrics.put_records.bytes.inc_by(bytes);
    metrics.put_records.records.inc_by(stored);
    metrics.put_records.failed.inc_by(failed);
    metrics.throttled_records.inc_by(throttled);
    metrics.writes_refused.inc_by(throttled);
    metrics.put_records.latency.observe((caller.node.clock.monotonic() - started).as_secs_f64());
    Ok(Reply::Document(reply))
}

/// One invalid entry refuses the whole call.
fn check_sizes(request: &PutRecordsRequest<'_>, stream: &Stream) -> Result<(), AwsError> {
    let limit = record_limit(stream);
    let keyless = is_auto(stream);
    let mut total = 0;
    for (n, entry) in request.records.iter().enumerate() {
        if entry.partition_key.is_none() && !keyless {
            return Err(errors::partition_key_missing(Some(n + 1)));
        }
        let size = entry.size();
        if size > limit {
            return Err(errors::batch_record_too_large(n + 1, limit));
        }
        total += size;
    }
    if total > limits::PUT_RECORDS_BYTES { Err(errors::records_too_large()) } else { Ok(()) }
}

/// Marks the place of a refused record while places are being given out.
const REFUSED: u32 = 1 << 31;

type Grouped<'a> = (Vec<u32>, Vec<ShardBatch<'a>>);

/// Sorts the records by shard, in request order within each: for each record the place of its shard's batch, and
/// the batches. `None` if data is not base64.
fn group<'a, 'r>(
    records: impl ExactSizeIterator<Item = &'r Entry<'r>> + Clone,
    stream: &'a Stream,
    traffic: Option<&StreamTraffic<'_>>,
) -> Result<Option<Grouped<'a>>, AwsError> {
    const UNSEEN: u32 = u32::MAX;
    let shards = stream.shards.all();
    // By the shards' places: their indexes grow with every reshard, for ever.
    let mut batch_of_shard = vec![UNSEEN; shards.len()];
    let mut places = Vec::with_capacity(records.len());
    let mut batches: Vec<ShardBatch<'a>> = Vec::new();
    // An even share and a quarter more, so that most batches never grow while they are filled.
    let encoded: usize = records.clone().map(|entry| entry.size() + RECORD_HEADER_BYTES).sum();
    let share = encoded / stream.shards.open_count().clamp(1, records.len().max(1)) * 5 / 4;
    let mut placement = Placement::new(stream, traffic, records.clone().map(Entry::size));
    let sampled = stream.mode == StreamMode::OnDemand;
    for entry in records {
        let key = entry.partition_key.as_deref().unwrap_or_default();
        let hash = placement.next(key, entry.explicit_hash_key.as_deref(), entry.size())?;
        let listed = stream.shards.place(hash);
        let shard = &shards[listed];
        if batch_of_shard[listed] == UNSEEN {
            batch_of_shard[listed] = batches.len() as u32;
            batches.push(ShardBatch::new(shard, share.min(encoded)));
        }
        let place = batch_of_shard[listed];
        let batch = &mut batches[place as usize];
        if batch.push(entry).is_err() {
            return Ok(None);
        }
        if sampled {
            batch.sample.get_or_insert_default().count(slice_of(shard.range, hash), entry.size() as u64);
        }
        places.push(place);
    }
    Ok(Some((places, batches)))
}

/// The reply of a call, and what became of its records.
struct Answered {
    reply: Vec<u8>,
    stored: u64,
    /// Those whose append failed.
    failed: u64,
    /// Those that their shards did not take now.
    throttled: u64,
    /// Bytes of keys and data of the stored ones.
    bytes: u64,
}

/// Appends the batches of a call, all at once. `counted` if their shards were asked for them: what fails is then taken
/// off their counts.
async fn append_batches(
    caller: Caller<'_>,
    batches: Vec<ShardBatch<'_>>,
    stream: &Stream,
    counted: bool,
) -> Vec<Settled> {
    let mut shards = Vec::with_capacity(batches.len());
    let mut appends = Vec::with_capacity(batches.len());
    for ShardBatch { shard, batch, demand, .. } in batches {
        let Some(batch) = batch.finish() else { continue };
        shards.push((shard, batch.count(), demand.bytes()));
        appends.push(Append { log: shard.log, expect: Expect::Tail, batch });
    }
    let appended = append_all(caller, appends, stream).await;
    let traffic = caller.node.traffic.of(stream).filter(|_| counted);
    let settle = |(n, (shard, count, bytes)): (usize, (&Shard, u32, u64))| {
        let appended = appended.get(n).unwrap_or(&Appended::Unknown);
        match (&traffic, appended) {
            // The records of a closed shard are put elsewhere, and counted here.
            (None, _) | (Some(_), Appended::At { .. } | Appended::Closed { .. }) => {}
            (Some(traffic), Appended::Moved { .. } | Appended::Missing | Appended::Full | Appended::Unknown) => {
                traffic.failed(shard.id(), count.into(), bytes);
            }
        }
        Settled::new(shard, count, bytes, appended)
    };
    shards.into_iter().enumerate().map(settle).collect()
}

/// Answers each record in its place: a shard's failure is its own records' only. Places past those of `outcomes` are
/// those of `refusals`.
fn answer_each(
    protocol: Protocol,
    encryption_type: Option<EncryptionType>,
    places: &[u32],
    settled: Vec<Settled>,
    refusals: Vec<EntryError>,
) -> Answered {
    let (mut failed, mut stored, mut bytes) = (0, 0, 0);
    let mut outcomes: Vec<ShardOutcome> = Vec::with_capacity(settled.len() + refusals.len());
    for Settled { outcome, count, bytes: shard_bytes } in settled {
        match outcome {
            ShardOutcome::Stored { .. } => {
                stored += u64::from(count);
                bytes += shard_bytes;
            }
            ShardOutcome::Failed(_) | ShardOutcome::Closed(_) => failed += u64::from(count),
        }
        outcomes.push(outcome);
    }
    let throttled = match refusals.len() {
        0 => 0,
        _ => places.iter().filter(|place| **place as usize >= outcomes.len()).count() as u64,
    };
    outcomes.extend(refusals.into_iter().map(ShardOutcome::Failed));
    let mut reply = PutRecordsReply::new(protocol, encryption_type, (failed + throttled) as usize, places.len());
    for place in places {
        match &mut outcomes[*place as usize] {
            ShardOutcome::Stored { next, id } => {
                reply.stored(&next.current(), id);
                next.advance();
            }
            ShardOutcome::Failed(error) => reply.failed(error.code.name(), &error.message),
            // No shard took its place in time.
            ShardOutcome::Closed(_) => {
                let error = EntryError::internal_failure();
                reply.failed(error.code.name(), &error.message);
            }
        }
    }
    Answered { reply: reply.finish(), stored, failed, throttled, bytes }
}

/// Appends, and gives up after a while: what has no outcome by then may or may not be stored.
async fn append_all(caller: Caller<'_>, appends: Vec<Append>, stream: &Stream) -> Vec<Appended> {
    let count = appends.len();
    match tokio::time::timeout(APPEND_TIMEOUT, caller.node.engine.append_many(appends)).await {
        Ok(appended) => appended,
        Err(_) => {
            tracing::warn!(stream = %stream.name, seconds = APPEND_TIMEOUT.as_secs(), "an append timed out");
            vec![Appended::Unknown; count]
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_core::engine::LogId;
    use levada_core::hash_range::HashKeyRange;
    use serde_json::{Value, json};

    use super::*;

    fn shard(index: u32) -> Shard {
        let (range, log) = (HashKeyRange::ALL, LogId(16 + u64::from(index)));
        Shard { index, range, parents: Vec::new(), created_secs: 1_795_000_000, log, floor: 0, closed: None }
    }

    /// A stream that has been resharded for years: what a call takes depends on the shards that are there.
    #[test]
    fn a_high_shard_index_costs_nothing() {
        let stream = json!({
            "incarnation": 1, "scope": {"account": "000000000000", "region": "r"}, "name": "s", "status": "Active",
            "mode": "Provisioned", "retention_hours": 24, "max_record_kib": 1024, "tags": {}, "created_ms": 0,
            "shards": [shard(4_000_000_000)],
        });
        let stream: Stream = serde_json::from_value(stream).unwrap();
        let record = json!({"PartitionKey": "k", "Data": "AA=="});
        let body = json!({"StreamName": "s", "Records": [record, record, record]}).to_string();
        let request = put_records::decode(Protocol::Json, body.as_bytes()).unwrap();
        let (places, batches) = group(request.records.iter(), &stream, None).unwrap().unwrap();
        assert_eq!((places, batches.len(), batches[0].shard.index), (vec![0, 0, 0], 1, 4_000_000_000));
    }

    /// Five records to three shards, one of which fails in each possible way.
    #[test]
    fn a_shards_failure_is_its_own_records_only() {
        let shards = [shard(0), shard(1), shard(2)];
        let at = |first| Appended::At { first, arrival: 1_795_000_001_000 };
        let failures = [
            Appended::Unknown,
            Appended::Full,
            Appended::Missing,
            Appended::Closed { end: 9 },
            Appended::Moved { end: 9 },
        ];
        for failure in failures {
            let settled = vec![
                Settled::new(&shards[0], 2, 20, &at(4)),
                Settled::new(&shards[1], 2, 7, &failure),
                Settled::new(&shards[2], 1, 5, &at(0)),
            ];
            let answered = answer_each(Protocol::Json, None, &[0, 1, 2, 1, 0], settled, Vec::new());
            assert_eq!((answered.stored, answered.failed, answered.bytes), (3, 2, 25));
            let reply: Value = serde_json::from_slice(&answered.reply).unwrap();
            let stored = |shard: &Shard, offset| {
                let number = shard.space().number(offset, 1_795_000_001_000).to_string();
                json!({"SequenceNumber": number, "ShardId": shard.id().to_string()})
            };
            let failed = json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure"});
            let expected =
                [stored(&shards[0], 4), failed.clone(), stored(&shards[2], 0), failed, stored(&shards[0], 5)];
            assert_eq!(reply, json!({"FailedRecordCount": 2, "Records": expected}), "{failure:?}");
        }
    }
}
