//! What was decided, and its form in the catalog's log.
//!
//! ```text
//! record data := head [0x0a raw]
//! head        := JSON object {"v": 1, "at": <ms>, "event": {…}}
//!              | JSON object {"v": 1, "at": <ms>, "snapshot": {"part": <from 0>, "parts": <count>}}
//! raw         := a part's bytes (only after a snapshot head)
//! ```
//!
//! The version rises whenever an earlier reader would misunderstand a record; a reader refuses versions that it does
//! not know, because half a history is none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::delivery_stream::DeliveryStream;
use super::scope::ResourceKey;
use super::stream::Stream;
use crate::engine::Millis;

/// Version of the catalog's records.
pub(super) const VERSION: u32 = 1;

/// Something that was decided. Complete: folding it needs no time, no randomness and no rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A stream is to be, with these shards and logs.
    StreamCreated(Arc<Stream>),
    /// Its logs exist.
    StreamBecameActive(ResourceKey),
    /// It is to be deleted.
    StreamDeletionStarted(ResourceKey),
    /// Its logs are deleted; the name is free.
    StreamGone(ResourceKey),
    /// A delivery stream is to be, with these logs.
    DeliveryStreamCreated(Arc<DeliveryStream>),
    /// Its logs exist.
    DeliveryStreamBecameActive(ResourceKey),
    /// Its creation or deletion, whichever was under way, failed.
    DeliveryStreamFailed {
        /// Which.
        key: ResourceKey,
        /// For people.
        reason: String,
    },
    /// It is to be deleted.
    DeliveryStreamDeletionStarted(ResourceKey),
    /// Its logs are deleted; the name is free.
    DeliveryStreamGone(ResourceKey),
    /// The wall clock was believed at this time.
    ClockNoted(Millis),
}

/// An event with the time at which it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was decided.
    pub at: Millis,
    /// What was decided.
    pub event: Event,
}

/// Which part of a snapshot a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) part: u32,
    pub(super) parts: u32,
}

/// What stands in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Event(Box<Event>),
    Snapshot(Part, &'a [u8]),
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("version {0} is not known")]
    Version(u32),
    #[error("{0}")]
    Malformed(String),
}

#[derive(Serialize)]
struct HeadOut<'a> {
    v: u32,
    at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<Part>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct HeadIn {
    at: Millis,
    event: Option<Box<Event>>,
    snapshot: Option<Part>,
}

impl Entry {
    /// The data of its record in the catalog's log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&HeadOut { v: VERSION, at: self.at, event: Some(&self.event), snapshot: None })
    }
}

pub(super) fn encode_part(at: Millis, part: Part, raw: &[u8]) -> Vec<u8> {
    let mut data = encode(&HeadOut { v: VERSION, at, event: None, snapshot: Some(part) });
    data.push(b'\n');
    data.extend_from_slice(raw);
    data
}

#[expect(clippy::expect_used, reason = "all keys are strings and nothing fails while it is written to memory")]
fn encode(head: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(head).expect("serialising to memory")
}

pub(super) fn decode(data: &[u8]) -> Result<(Millis, Content<'_>), Unreadable> {
    let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
    // Compact JSON has no line feed of its own.
    let (head, raw) = match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => (&data[..end], Some(&data[end + 1..])),
        None => (data, None),
    };
    let Version { v } = serde_json::from_slice(head).map_err(malformed)?;
    if v != VERSION {
        return Err(Unreadable::Version(v));
    }
    let head: HeadIn = serde_json::from_slice(head).map_err(malformed)?;
    match (head.event, head.snapshot, raw) {
        (Some(event), None, None) => Ok((head.at, Content::Event(event))),
        (None, Some(part), Some(raw)) => Ok((head.at, Content::Snapshot(part, raw))),
        _ => Err(Unreadable::Malformed("neither an event nor a part of a snapshot".to_owned())),
    }
}
