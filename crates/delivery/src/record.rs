//! Records on their way from a source to a destination, and the keys they have in internal logs.
//!
//! ```text
//! data log ──▶ chain of processors ──▶ processed log ──▶ lanes ──▶ objects, requests
//! Direct, Source                       Output, Failed, Mark
//! ```
//!
//! A record's *data* is its payload and nothing else, in every log, so that an object's content is the data of a range
//! one after the other. All that is known about it stands in its key, the *envelope*:
//!
//! ```text
//! Direct  := (empty)                                   as a producer put it; it arrived when its frame did
//! Source  := 1 | arrival | origin                      copied from a Kinesis data stream
//! Mark    := 2                                         no record: its data says how far an earlier log was taken
//! Output  := 3 | arrival | origin | partition          made by the chain
//! Failed  := 4 | arrival | type: u8                    data is one line of error output, without its newline
//!
//! arrival   := u64 LE, in ms: of the record at its source
//! origin    := length: u16 LE | (sub: u64 LE | text(shard id) | text(sequence number) | text(partition key))?
//! partition := JSON of the partition keys, or nothing
//! text      := length: u16 LE | UTF-8
//! ```

use bytes::Bytes;
use levada_core::engine::{Millis, Offset};
use serde::{Deserialize, Serialize};

/// Where a record of a Kinesis data stream came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `shardId-…`.
    pub shard_id: String,
    /// 56 digits.
    pub sequence_number: String,
    /// Place in an aggregated record, from 0.
    pub sub_sequence_number: u64,
    /// The record's partition key, of an aggregated record its own.
    pub partition_key: String,
}

/// A record as the chain of processors takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// Place in the data log.
    pub offset: Offset,
    /// When it arrived at its source, in ms.
    pub arrival: Millis,
    /// The data stream it was read from; `None` for direct put.
    pub origin: Option<Origin>,
    /// What the producer sent.
    pub data: Bytes,
}

/// What the chain makes of a record. Most become one product, some none (dropped) or many (de-aggregated).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Product {
    /// To be delivered.
    Record {
        /// Of the record it was made from.
        arrival: Millis,
        /// Of the record it was made from.
        origin: Option<Origin>,
        /// Values of the partition keys; `None` without dynamic partitioning.
        partition: Option<Partition>,
        /// The payload.
        data: Bytes,
    },
    /// To be written under the error prefix.
    Failed {
        /// Decides the place under the prefix.
        kind: ErrorType,
        /// Of the record it was made from.
        arrival: Millis,
        /// A JSON object in AWS's order of members, without a newline.
        line: Vec<u8>,
    },
}

/// Kinds of error output: what `!{firehose:error-output-type}` becomes. Stored by [`ErrorType::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ErrorType {
    /// A processor could not do its work, or the function said so.
    #[serde(rename = "processing-failed")]
    Processing,
    /// Not what it should have been compressed as.
    #[serde(rename = "decompression-failed")]
    Decompression,
    /// For the conversion to columns, which comes later.
    #[serde(rename = "format-conversion-failed")]
    FormatConversion,
    /// OpenSearch or Elasticsearch did not take it.
    #[serde(rename = "AmazonOpenSearchService-failed")]
    OpenSearch,
    /// Splunk did not take it.
    #[serde(rename = "splunk-failed")]
    Splunk,
    /// The HTTP endpoint did not take it.
    #[serde(rename = "http-endpoint-failed")]
    HttpEndpoint,
}

impl ErrorType {
    /// All of them; their place here is their code.
    pub const ALL: [Self; 6] = [
        Self::Processing,
        Self::Decompression,
        Self::FormatConversion,
        Self::OpenSearch,
        Self::Splunk,
        Self::HttpEndpoint,
    ];

    /// As it stands in object keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing-failed",
            Self::Decompression => "decompression-failed",
            Self::FormatConversion => "format-conversion-failed",
            Self::OpenSearch => "AmazonOpenSearchService-failed",
            Self::Splunk => "splunk-failed",
            Self::HttpEndpoint => "http-endpoint-failed",
        }
    }

    /// As it stands in logs.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Processing => 0,
            Self::Decompression => 1,
            Self::FormatConversion => 2,
            Self::OpenSearch => 3,
            Self::Splunk => 4,
            Self::HttpEndpoint => 5,
        }
    }

    /// The type of this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Values of partition keys, in the order of their sources and names. Two records with equal values share objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// `!{partitionKeyFromQuery:name}` and their values.
    #[serde(default, rename = "q", skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// `!{partitionKeyFromLambda:name}` and their values.
    #[serde(default, rename = "l", skip_serializing_if = "Vec::is_empty")]
    pub lambda: Vec<(String, String)>,
}

impl Partition {
    /// Longest JSON of a partition, in bytes: an object's key has at most 1,024, so that longer values could not be
    /// delivered.
    pub const MAX_BYTES: usize = 2048;
}

/// The key of a record in an internal log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// As a producer put it.
    Direct,
    /// Copied from a data stream.
    Source {
        /// At the data stream.
        arrival: Millis,
        /// Where it was read.
        origin: Origin,
    },
    /// No record.
    Mark,
    /// Made by the chain.
    Output {
        /// Of the source record.
        arrival: Millis,
        /// Of the source record.
        origin: Option<Origin>,
        /// With dynamic partitioning.
        partition: Option<Partition>,
    },
    /// A line of error output.
    Failed {
        /// Of the source record.
        arrival: Millis,
        /// Its kind.
        kind: ErrorType,
    },
}

/// A key that this release does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an unreadable envelope")]
pub struct BadEnvelope;

const SOURCE: u8 = 1;
const MARK: u8 = 2;
const OUTPUT: u8 = 3;
const FAILED: u8 = 4;

impl Envelope {
    /// The key's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut key = Vec::new();
        match self {
            Self::Direct => {}
            Self::Source { arrival, origin } => {
                key.push(SOURCE);
                key.extend_from_slice(&arrival.to_le_bytes());
                put_origin(&mut key, Some(origin));
            }
            Self::Mark => key.push(MARK),
            Self::Output { arrival, origin, partition } => {
                key.push(OUTPUT);
                key.extend_from_slice(&arrival.to_le_bytes());
                put_origin(&mut key, origin.as_ref());
                if let Some(partition) = partition {
                    // A struct of strings always has a JSON form.
                    key.extend_from_slice(&serde_json::to_vec(partition).unwrap_or_default());
                }
            }
            Self::Failed { arrival, kind } => {
                key.push(FAILED);
                key.extend_from_slice(&arrival.to_le_bytes());
                key.push(kind.code());
            }
        }
        key
    }

    /// Whether a key is that of a [`Envelope::Mark`].
    #[must_use]
    pub fn is_mark(key: &[u8]) -> bool {
        key == [MARK]
    }

    /// What a key says.
    ///
    /// # Errors
    /// [`BadEnvelope`].
    pub fn decode(key: &[u8]) -> Result<Self, BadEnvelope> {
        let Some((&kind, mut rest)) = key.split_first() else { return Ok(Self::Direct) };
        if kind == MARK {
            return if rest.is_empty() { Ok(Self::Mark) } else { Err(BadEnvelope) };
        }
        let arrival = Millis::from_le_bytes(take(&mut rest)?);
        let envelope = match kind {
            SOURCE => Self::Source { arrival, origin: take_origin(&mut rest)?.ok_or(BadEnvelope)? },
            OUTPUT => {
                let origin = take_origin(&mut rest)?;
                let json = std::mem::take(&mut rest);
                let partition = (!json.is_empty()).then(|| serde_json::from_slice(json)).transpose();
                Self::Output { arrival, origin, partition: partition.map_err(|_| BadEnvelope)? }
            }
            FAILED => {
                let [code] = take(&mut rest)?;
                Self::Failed { arrival, kind: ErrorType::from_code(code).ok_or(BadEnvelope)? }
            }
            _ => return Err(BadEnvelope),
        };
        if rest.is_empty() { Ok(envelope) } else { Err(BadEnvelope) }
    }
}

/// What a worker needs to know of a key, read without making anything of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peek<'a> {
    /// [`Envelope::Direct`] or [`Envelope::Source`].
    Source,
    /// [`Envelope::Mark`].
    Mark,
    /// [`Envelope::Output`] with the JSON of its partition keys, or nothing.
    Output(&'a [u8]),
    /// [`Envelope::Failed`].
    Failed(ErrorType),
}

impl<'a> Peek<'a> {
    /// What kind of record it is.
    pub(crate) fn of(key: &'a [u8]) -> Result<Self, BadEnvelope> {
        let Some((&kind, mut rest)) = key.split_first() else { return Ok(Self::Source) };
        match kind {
            SOURCE => return Ok(Self::Source),
            MARK => return Ok(Self::Mark),
            OUTPUT | FAILED => {}
            _ => return Err(BadEnvelope),
        }
        take::<8>(&mut rest)?;
        if kind == OUTPUT {
            take_bytes(&mut rest)?;
            return Ok(Self::Output(rest));
        }
        let [code] = take(&mut rest)?;
        Ok(Self::Failed(ErrorType::from_code(code).ok_or(BadEnvelope)?))
    }

    /// When the record arrived at its source, if that is not when it arrived in its log.
    pub(crate) fn arrival(key: &[u8]) -> Option<Millis> {
        let (&kind, mut rest) = key.split_first()?;
        if kind == MARK { None } else { take(&mut rest).ok().map(Millis::from_le_bytes) }
    }
}

fn put_origin(key: &mut Vec<u8>, origin: Option<&Origin>) {
    let mut bytes = Vec::new();
    if let Some(origin) = origin {
        bytes.extend_from_slice(&origin.sub_sequence_number.to_le_bytes());
        for text in [&origin.shard_id, &origin.sequence_number, &origin.partition_key] {
            put_text(&mut bytes, text.as_bytes());
        }
    }
    put_text(key, &bytes);
}

/// Texts are at most some hundred bytes; a longer one is cut, so that what is written can be read again.
fn put_text(key: &mut Vec<u8>, text: &[u8]) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key.extend_from_slice(&len.to_le_bytes());
    key.extend_from_slice(&text[..usize::from(len)]);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadEnvelope> {
    let (now, later) = rest.split_first_chunk::<N>().ok_or(BadEnvelope)?;
    *rest = later;
    Ok(*now)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BadEnvelope> {
    let len = usize::from(u16::from_le_bytes(take(rest)?));
    let (now, later) = rest.split_at_checked(len).ok_or(BadEnvelope)?;
    *rest = later;
    Ok(now)
}

fn take_text(rest: &mut &[u8]) -> Result<String, BadEnvelope> {
    String::from_utf8(take_bytes(rest)?.to_vec()).map_err(|_| BadEnvelope)
}

fn take_origin(rest: &mut &[u8]) -> Result<Option<Origin>, BadEnvelope> {
    let mut bytes = take_bytes(rest)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let sub_sequence_number = u64::from_le_bytes(take(&mut bytes)?);
    let (shard_id, sequence_number) = (take_text(&mut bytes)?, take_text(&mut bytes)?);
    let origin = Origin { shard_id, sequence_number, sub_sequence_number, partition_key: take_text(&mut bytes)? };
    if bytes.is_empty() { Ok(Some(origin)) } else { Err(BadEnvelope) }
}

#[cfg(test)]
mod tests {
    use levada_core::batch::MAX_KEY_BYTES;

    use super::*;

    fn origin() -> Origin {
        Origin {
            shard_id: "shardId-000000000001".into(),
            sequence_number: "4".repeat(56),
            sub_sequence_number: 7,
            partition_key: "\u{1F30A}".repeat(256),
        }
    }

    fn all() -> Vec<Envelope> {
        let partition = Partition { query: vec![("a".into(), "1".into())], lambda: vec![("b".into(), String::new())] };
        let mut all = vec![
            Envelope::Direct,
            Envelope::Mark,
            Envelope::Source { arrival: 1, origin: origin() },
            Envelope::Output { arrival: 2, origin: None, partition: None },
            Envelope::Output { arrival: 3, origin: Some(origin()), partition: Some(partition) },
        ];
        all.extend(ErrorType::ALL.map(|kind| Envelope::Failed { arrival: 4, kind }));
        all
    }

    #[test]
    fn what_is_written_can_be_read() {
        for envelope in all() {
            assert_eq!(Envelope::decode(&envelope.encode()), Ok(envelope));
        }
    }

    #[test]
    fn a_peek_sees_what_an_envelope_says() {
        for envelope in all() {
            let key = envelope.encode();
            let (peek, arrival) = (Peek::of(&key).unwrap(), Peek::arrival(&key));
            assert_eq!(Envelope::is_mark(&key), envelope == Envelope::Mark);
            match envelope {
                Envelope::Direct => assert_eq!((peek, arrival), (Peek::Source, None)),
                Envelope::Source { arrival: at, .. } => assert_eq!((peek, arrival), (Peek::Source, Some(at))),
                Envelope::Mark => assert_eq!((peek, arrival), (Peek::Mark, None)),
                Envelope::Failed { arrival: at, kind } => assert_eq!((peek, arrival), (Peek::Failed(kind), Some(at))),
                Envelope::Output { arrival: at, partition, .. } => {
                    assert_eq!(arrival, Some(at));
                    let Peek::Output(json) = peek else { panic!("{peek:?}") };
                    assert_eq!(serde_json::from_slice(json).ok(), partition);
                }
            }
        }
    }

    #[test]
    fn a_cut_or_longer_key_is_refused() {
        for envelope in all() {
            let key = envelope.encode();
            for len in 1..key.len() {
                assert_ne!(Envelope::decode(&key[..len]), Ok(envelope.clone()));
            }
            if envelope != Envelope::Direct {
                let longer = [key, vec![0]].concat();
                assert_eq!(Envelope::decode(&longer), Err(BadEnvelope), "{envelope:?}");
            }
        }
    }

    #[test]
    fn codes_are_places() {
        for (place, kind) in ErrorType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(kind.code()), place);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn the_longest_key_fits_the_engine() {
        let longest = Envelope::Output { arrival: 0, origin: Some(origin()), partition: None }.encode().len();
        assert!(longest + Partition::MAX_BYTES <= MAX_KEY_BYTES, "{longest}");
    }
}
