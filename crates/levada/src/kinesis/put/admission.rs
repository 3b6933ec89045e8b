//! Which records of a `PutRecords` call their shards take now (the rule stands in [`crate::traffic`]).
//!
//! Each shard is asked once, for all of its records; only what does not fit as a whole is looked at record by record
//! and put together anew.

use levada_core::catalog::Stream;
use levada_core::shard::Shard;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors::EntryError;
use levada_wire::kinesis::put_records::PutRecordsRequest;

use super::super::text;
use super::ShardBatch;
use crate::traffic::{Admitted, StreamTraffic};

/// A call's records after their shards were asked.
pub(super) struct Admission<'a> {
    /// For each record the place of its batch; past the batches, that of the shard that refused it.
    places: Vec<u32>,
    batches: Vec<ShardBatch<'a>>,
    /// The shards that refused records.
    refusing: Vec<&'a Shard>,
}

impl<'a> Admission<'a> {
    /// The places, the batches, and what the refused records are told.
    pub(super) fn worded(self, stream: &Stream) -> (Vec<u32>, Vec<ShardBatch<'a>>, Vec<EntryError>) {
        let error = |shard: &Shard| EntryError::rate_exceeded(&shard.id().to_string(), text(stream));
        (self.places, self.batches, self.refusing.into_iter().map(error).collect())
    }
}

/// What a shard says to its records of the call.
struct Verdict {
    /// Record by record; `None` if it takes all.
    each: Option<std::vec::IntoIter<bool>>,
    /// Where the admitted ones go.
    batch: u32,
    /// Which of the refusing shards it is.
    refusal: u32,
}

/// Asks the shards of a call.
///
/// # Errors
/// Only if data that was decoded before cannot be decoded again.
pub(super) fn admit<'a>(
    traffic: &StreamTraffic<'_>,
    request: &PutRecordsRequest<'_>,
    mut places: Vec<u32>,
    batches: Vec<ShardBatch<'a>>,
) -> Result<Admission<'a>, AwsError> {
    let ask = |place: usize, ShardBatch { shard, demand, sample, .. }: &ShardBatch<'_>| {
        if let Some(sample) = sample {
            traffic.offered(shard.id(), sample);
        }
        traffic.put(shard.id(), demand, || {
            let mine = places.iter().zip(&request.records).filter(|(p, _)| **p as usize == place);
            mine.map(|(_, entry)| entry.size() as u64).collect()
        })
    };
    let answers: Vec<Admitted> = batches.iter().enumerate().map(|(place, batch)| ask(place, batch)).collect();
    if answers.iter().all(|answer| *answer == Admitted::All) {
        return Ok(Admission { places, batches, refusing: Vec::new() });
    }
    let mut verdicts = Vec::with_capacity(answers.len());
    let mut kept: Vec<ShardBatch<'a>> = Vec::with_capacity(batches.len());
    let mut refusing = Vec::new();
    for (batch, answer) in batches.into_iter().zip(answers) {
        let (shard, place, refusal) = (batch.shard, kept.len() as u32, refusing.len() as u32);
        let each = match answer {
            Admitted::All => {
                kept.push(batch);
                None
            }
            Admitted::Some(each) => {
                refusing.push(shard);
                if each.contains(&true) {
                    kept.push(ShardBatch::new(shard, 0));
                }
                Some(each.into_iter())
            }
        };
        verdicts.push(Verdict { each, batch: place, refusal });
    }
    for (place, entry) in places.iter_mut().zip(&request.records) {
        let Verdict { each, batch, refusal } = &mut verdicts[*place as usize];
        *place = match each.as_mut().map(Iterator::next) {
            None => *batch,
            Some(Some(true)) => {
                kept[*batch as usize].push(entry).map_err(|_| AwsError::internal_failure())?;
                *batch
            }
            Some(Some(false) | None) => kept.len() as u32 + *refusal,
        };
    }
    Ok(Admission { places, batches: kept, refusing })
}
