//! What GetShardIterator, GetRecords and SubscribeToShard have in common: places in a shard, pages of it, and what
//! is said when it cannot be read.

use std::sync::Arc;

use levada_core::batch::RecordView;
use levada_core::catalog::Stream;
use levada_core::engine::{Chunk, Engine, EngineError, Millis, Offset, Page, ReadRequest, Tail};
use levada_core::iterator::Position;
use levada_core::sequence::{DIGITS, Side, Start, StartError, start};
use levada_core::shard::{Shard, ShardId};
use levada_wire::codec::Protocol;
use levada_wire::error::AwsError;
use levada_wire::kinesis::errors;
use levada_wire::kinesis::records::encoded_bytes;
use levada_wire::kinesis::types::{self, EncryptionType, ShardIteratorType};

use super::describe::hash_key_range;
use super::text;
use crate::node::Node;

/// A stream and one of its shards, as of one moment.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) stream: Arc<Stream>,
    pub(super) shard: Arc<Shard>,
}

/// Where a request asks to begin, as it says it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) kind: ShardIteratorType,
    pub(super) number: Option<&'a str>,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: Option<i64>,
}

/// At most how much to read: records, and bytes of their keys and data.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) records: u32,
    pub(super) bytes: u64,
}

impl Place {
    /// Where the asked-for reading begins. `LATEST` is pinned now.
    pub(super) async fn position(&self, node: &Node, now: Millis, asked: Asked<'_>) -> Result<Position, AwsError> {
        use ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber, AtTimestamp, Latest, TrimHorizon};
        match (asked.kind, asked.number) {
            (AtSequenceNumber, Some(number)) => self.at_number(number, Side::At),
            (AfterSequenceNumber, Some(number)) => self.at_number(number, Side::After),
            (TrimHorizon, None) => Ok(Position::Start(Start::Offset(0))),
            (Latest, None) => {
                let tail = self.tail(node).await.map_err(|error| self.unreadable(&error))?;
                Ok(Position::Start(Start::Offset(tail.end)))
            }
            (AtTimestamp, None) => {
                let at = asked.timestamp.ok_or_else(errors::timestamp_missing)?;
                let now = i64::try_from(now).unwrap_or(i64::MAX);
                if at > now {
                    return Err(errors::timestamp_in_future(at, now));
                }
                // A time before the oldest record is the trim horizon.
                Ok(Position::Time(u64::try_from(at).unwrap_or(0)))
            }
            (AtSequenceNumber | AfterSequenceNumber, None) | (TrimHorizon | Latest | AtTimestamp, Some(_)) => {
                Err(errors::iterator_type_mismatch(asked.kind.as_str(), asked.number.is_some()))
            }
        }
    }

    /// A position as a place in the log that is there now. A time leads to the first record that arrived then or later.
    pub(super) async fn start(&self, node: &Node, position: &Position) -> Result<Start, EngineError> {
        match position {
            Position::Start(start) => Ok(*start),
            // What will come is younger than any time that may be asked for.
            Position::Time(_) if self.tail(node).await?.end == 0 => Ok(Start::Offset(0)),
            Position::Time(time) => node.engine.seek(self.shard.log, *time).await.map(Start::Offset),
        }
    }

    fn at_number(&self, number: &str, side: Side) -> Result<Position, AwsError> {
        let (used, stream) = (self.shard.id().to_string(), text(&self.stream));
        start(number, side, self.shard.space()).map(Position::Start).map_err(|error| match error {
            StartError::Invalid { given } => errors::invalid_sequence_number(&given, &used, stream),
            StartError::OtherShard { encodes, .. } => {
                errors::sequence_number_of_other_shard(&encodes.to_string(), &used)
            }
            StartError::OtherStream { printed } => errors::sequence_number_of_other_stream(&printed, &used, stream),
        })
    }

    /// True while the shard is listed but its parents still take the puts. It has no log yet, or has it only just;
    /// AWS gives iterators and empty pages.
    pub(super) fn opens_later(&self) -> bool {
        !self.stream.shards.takes_puts(&self.shard) && !self.shard.is_sealed()
    }

    /// Where the shard's log starts and ends.
    pub(super) async fn tail(&self, node: &Node) -> Result<Tail, EngineError> {
        match node.engine.tail(self.shard.log).await {
            Err(EngineError::Missing) if self.opens_later() => {
                let last_arrival = self.shard.floor;
                Ok(Tail { start: 0, end: 0, sealed: false, last_arrival, first_arrival: None, bytes: 0 })
            }
            tail => tail,
        }
    }

    /// Reads the page at a position, and tells where it really begins. Retention is exact here: what has outlived it
    /// is passed over, whether or not its bytes are gone.
    pub(super) async fn read(
        &self,
        node: &Node,
        now: Millis,
        position: &Position,
        bounds: Bounds,
    ) -> Result<(Page, Start), EngineError> {
        let (engine, log) = (&node.engine, self.shard.log);
        let tail = self.tail(node).await?;
        let start = self.start(node, position).await?;
        if tail.end == 0 {
            // Nothing was ever put here; perhaps nothing can be yet.
            return Ok((Page { chunks: Vec::new(), next: start.read_from(), tail }, start));
        }
        let horizon = self.stream.horizon(now);
        let oldest: Offset = match tail.first_arrival {
            Some(first) if first < horizon => engine.seek(log, horizon).await?,
            _ => tail.start,
        };
        let late = start.read_from() < oldest;
        let start = if late { Start::Offset(oldest) } else { self.settle(engine, start).await? };
        let request =
            ReadRequest { log, from: start.read_from(), max_records: bounds.records, max_bytes: bounds.bytes };
        Ok((engine.read(request).await?, start))
    }

    /// Compares the one record that may lie on either side of a start given as a number, if it is there already, so
    /// that the page holds as many records as were asked for.
    async fn settle(&self, engine: &Arc<dyn Engine>, start: Start) -> Result<Start, EngineError> {
        let Start::CompareAt { offset, .. } = start else { return Ok(start) };
        let request = ReadRequest { log: self.shard.log, from: offset, max_records: 1, max_bytes: 0 };
        let page = engine.read(request).await?;
        Ok(match page.chunks.first().filter(|chunk| chunk.first == offset) {
            Some(chunk) if start.admits(self.shard.space(), offset, chunk.arrival) => Start::Offset(offset),
            Some(_) => Start::Offset(offset + 1),
            None => start,
        })
    }

    /// True if the page is the end of a shard that is closed: nothing is there and nothing will be. Only the catalog
    /// can tell: between the end of the log and its word the shard's children cannot be read.
    pub(super) fn ended(&self, page: &Page) -> bool {
        self.shard.is_sealed() && page.chunks.is_empty() && page.next >= page.tail.end
    }

    /// How far the page's end is behind the tip, in ms. On a drained closed shard AWS counts from its close.
    pub(super) fn millis_behind(&self, page: &Page, now: Millis) -> u64 {
        let caught_up = page.next >= page.tail.end;
        match (caught_up, &self.shard.closed) {
            (true, Some(closed)) if closed.sealed => now.saturating_sub(closed.at_ms) / 1000 * 1000,
            (true, _) => 0,
            (false, _) => {
                let last = page.chunks.last().map(|chunk| chunk.arrival).or(page.tail.first_arrival);
                behind(last.unwrap_or(now), now)
            }
        }
    }

    /// Hands each record of the page that is behind `start` to `then`: its arrival, itself, the digits of its number.
    /// Answers how many they were, and the bytes of their keys and data.
    pub(super) fn each_record(
        &self,
        page: &Page,
        start: Start,
        mut then: impl FnMut(Millis, RecordView<'_>, &[u8; DIGITS]),
    ) -> (u64, u64) {
        let space = self.shard.space();
        let (mut records, mut bytes) = (0, 0);
        for chunk in &page.chunks {
            let mut digits = space.digits_from(chunk.first, chunk.arrival);
            for (offset, record) in chunk.records() {
                if start.admits(space, offset, chunk.arrival) {
                    records += 1;
                    bytes += (record.data.len() + record.key.len()) as u64;
                    then(chunk.arrival, record, &digits.current());
                }
                digits.advance();
            }
        }
        (records, bytes)
    }

    /// What a record that arrived then says of its encryption.
    pub(super) fn encryption(&self, arrival: Millis) -> Option<EncryptionType> {
        self.stream.was_encrypted(arrival).then_some(EncryptionType::Kms)
    }

    /// The shards that continue this one, as its readers are told at its end.
    pub(super) fn children(&self) -> Vec<types::ChildShard> {
        let children = self.shard.closed.iter().flat_map(|closed| &closed.children);
        let parents = |child: &Shard| child.parent().into_iter().chain(child.adjacent_parent());
        children
            .filter_map(|index| self.stream.shards.get(ShardId(*index)))
            .map(|child| types::ChildShard {
                hash_key_range: hash_key_range(child),
                parent_shards: parents(child).map(|id| id.to_string()).collect(),
                shard_id: child.id().to_string(),
            })
            .collect()
    }

    /// A shard that cannot be read: gone with its stream, damaged, or not now.
    pub(super) fn unreadable(&self, error: &EngineError) -> AwsError {
        let (stream, shard) = (&self.stream, &self.shard);
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
}

/// How far behind the tip a reader is that has read up to `reached`, in ms. Less than a second behind is still behind:
/// AWS tells whole seconds.
pub(super) fn behind(reached: Millis, now: Millis) -> u64 {
    now.saturating_sub(reached).max(1000) / 1000 * 1000
}

/// About as many bytes as the page's records take in a reply.
pub(super) fn reply_bytes(protocol: Protocol, page: &Page) -> usize {
    let share = |chunk: &Chunk| {
        let bytes = chunk.batch.bytes().len() as u64 * u64::from(chunk.take) / u64::from(chunk.batch.count());
        (chunk.take as usize, bytes as usize)
    };
    page.chunks.iter().map(share).map(|(records, bytes)| encoded_bytes(protocol, records, bytes)).sum()
}
