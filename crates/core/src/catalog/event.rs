//! What was decided, and its form in the catalog's log.
//!
//! ```text
//! record data := head [0x0a raw]
//! head        := JSON object {"v": 3, "at": <ms>, "event": {…}}
//!              | JSON object {"v": 3, "at": <ms>, "snapshot": {"part": <from 0>, "parts": <count>}}
//! raw         := a part's bytes (only after a snapshot head)
//! ```
//!
//! Version 1 knew CREATING and DELETING only, and none of the events of consumers, tags, policies, updates and reshards.
//! Version 2 knew delivery streams of one kind only: direct put, S3, two logs; it wrote a destination without its kind.
//! Records of both mean the same in version 3, and are read. The version rises whenever an earlier reader would
//! misunderstand a record; a reader refuses versions that it does not know, because half a history is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::consumer::{Consumer, ConsumerRef};
use super::delivery_stream::{DeliveryStream, Destination, Encryption, LogBlock};
use super::scope::{ResourceKey, Scope};
use super::settings::{Change, Commitment, PendingUpdate};
use super::stream::{Stream, is_zero};
use crate::engine::{LogId, Millis};
use crate::reshard::NewShards;
use crate::scaling::Load;

/// Version of the catalog's records.
pub(super) const VERSION: u32 = 3;

/// A resource begins to change its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which.
    #[serde(flatten)]
    pub key: ResourceKey,
    /// When it ends; 0: as soon as the work is done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: Millis,
}

/// Something that was decided. Complete: folding it needs no time, no randomness and no rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A stream is to be, with these shards and logs.
    StreamCreated(Arc<Stream>),
    /// Its logs exist.
    StreamBecameActive(ResourceKey),
    /// It is to be deleted.
    StreamDeletionStarted(Transition),
    /// Its logs are deleted; the name is free.
    StreamGone(ResourceKey),
    /// A stream's setting changed, at once.
    StreamUpdated {
        /// Which.
        key: ResourceKey,
        /// When.
        at: Millis,
        /// How.
        change: Change,
    },
    /// A stream is UPDATING, and will change.
    StreamUpdateStarted {
        /// Which.
        key: ResourceKey,
        /// When and how.
        update: PendingUpdate,
    },
    /// The change was applied.
    StreamUpdateFinished(ResourceKey),
    /// A generation of shards came, and its parents have an end.
    ShardsAdded {
        /// The stream.
        key: ResourceKey,
        /// When this was decided.
        at: Millis,
        /// The shards and their parents' ends. The logs exist from the parents' sealing on.
        new: NewShards,
        /// When the next generation comes; `None` after the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_due: Option<Millis>,
    },
    /// Parents take no more records, and their children do.
    ShardsSealed {
        /// The stream.
        key: ResourceKey,
        /// The parents, by index, each with its last arrival.
        parents: Vec<(u32, Millis)>,
    },
    /// Shards outlived the stream's retention; their logs are to be deleted.
    ShardsExpired {
        /// The stream.
        key: ResourceKey,
        /// Their indexes.
        shards: Vec<u32>,
    },
    /// Logs of expired shards are deleted.
    LogsForgotten {
        /// The stream.
        key: ResourceKey,
        /// The logs.
        logs: Vec<LogId>,
    },
    /// The busiest minute so far of an hour of an on-demand stream.
    PeakNoted {
        /// The stream.
        key: ResourceKey,
        /// The minute since the Unix epoch.
        minute: u64,
        /// What was offered in it.
        load: Load,
    },
    /// A consumer is to be, or is.
    ConsumerRegistered {
        /// The stream.
        key: ResourceKey,
        /// The consumer.
        consumer: Consumer,
    },
    /// It may subscribe.
    ConsumerBecameActive {
        /// The stream.
        key: ResourceKey,
        /// The consumer.
        consumer: ConsumerRef,
    },
    /// It is to go.
    ConsumerDeletionStarted {
        /// The stream.
        key: ResourceKey,
        /// The consumer.
        consumer: ConsumerRef,
        /// When it is gone.
        due: Millis,
    },
    /// It is gone; the name is free.
    ConsumerGone {
        /// The stream.
        key: ResourceKey,
        /// The consumer.
        consumer: ConsumerRef,
    },
    /// Tags of a stream or consumer came, or got new values.
    Tagged {
        /// The stream.
        key: ResourceKey,
        /// Its consumer, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consumer: Option<ConsumerRef>,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Tags of a stream or consumer went.
    Untagged {
        /// The stream.
        key: ResourceKey,
        /// Its consumer, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consumer: Option<ConsumerRef>,
        /// Their keys.
        keys: BTreeSet<String>,
    },
    /// A stream or consumer has another resource policy, or none.
    PolicyChanged {
        /// The stream.
        key: ResourceKey,
        /// Its consumer, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consumer: Option<ConsumerRef>,
        /// The policy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<String>,
    },
    /// An account's minimum throughput billing commitment was given or given up.
    CommitmentChanged {
        /// The account and region.
        scope: Scope,
        /// How it stands.
        commitment: Commitment,
    },
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
    /// Its destination is another.
    DestinationUpdated {
        /// The delivery stream.
        key: ResourceKey,
        /// When.
        at: Millis,
        /// Where its records go.
        destination: Box<Destination>,
    },
    /// Its encryption begins to change.
    DeliveryEncryptionStarted {
        /// The delivery stream.
        key: ResourceKey,
        /// When this was decided.
        at: Millis,
        /// ENABLING or DISABLING, and until when.
        encryption: Encryption,
    },
    /// Its encryption has changed.
    DeliveryEncryptionFinished(ResourceKey),
    /// Its tags came, or got new values.
    DeliveryStreamTagged {
        /// The delivery stream.
        key: ResourceKey,
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Its tags went.
    DeliveryStreamUntagged {
        /// The delivery stream.
        key: ResourceKey,
        /// Their keys.
        keys: BTreeSet<String>,
    },
    /// One that an earlier release created has log ids for what that release did not do.
    LogBlockAssigned {
        /// The delivery stream.
        key: ResourceKey,
        /// The ids.
        block: LogBlock,
    },
    /// It is to be deleted.
    DeliveryStreamDeletionStarted(Transition),
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
    if !(1..=VERSION).contains(&v) {
        return Err(Unreadable::Version(v));
    }
    let head: HeadIn = serde_json::from_slice(head).map_err(malformed)?;
    match (head.event, head.snapshot, raw) {
        (Some(event), None, None) => Ok((head.at, Content::Event(event))),
        (None, Some(part), Some(raw)) => Ok((head.at, Content::Snapshot(part, raw))),
        _ => Err(Unreadable::Malformed("neither an event nor a part of a snapshot".to_owned())),
    }
}
