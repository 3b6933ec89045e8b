//! A consumer: a reader with throughput of its own, registered with a stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::stream::{Stream, is_zero};
use crate::engine::Millis;

/// Consumers that a stream may have whatever the quotas say. AWS allows 20, or 50 with a commitment; here the quotas are
/// the operator's choice, and every change of a stream makes a new list of its consumers.
pub const MAX_CONSUMERS: usize = 1_000;

/// Where a consumer stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConsumerStatus {
    /// It cannot read yet.
    Creating,
    /// It may subscribe.
    Active,
    /// It can no longer subscribe.
    Deleting,
}

impl ConsumerStatus {
    /// As AWS writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Active => "ACTIVE",
            Self::Deleting => "DELETING",
        }
    }
}

/// One life of a consumer within a stream, as its ARN names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConsumerRef {
    /// Its name.
    pub name: Arc<str>,
    /// Second since the Unix epoch in which it was registered. No two lives of a name in a stream share it.
    pub created_secs: u64,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its name, unique in its stream.
    pub name: Arc<str>,
    /// When it was registered. Later than that was if the second was taken by an earlier life of a name.
    pub created_ms: Millis,
    /// Where it stands in its life.
    pub status: ConsumerStatus,
    /// When CREATING or DELETING ends; 0 in status ACTIVE.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: Millis,
    /// The owner's tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Its resource policy, as it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Consumer {
    /// Second since the Unix epoch in which it was registered: the last part of its ARN.
    #[must_use]
    pub fn created_secs(&self) -> u64 {
        self.created_ms / 1000
    }

    /// This life of the name.
    #[must_use]
    pub fn reference(&self) -> ConsumerRef {
        ConsumerRef { name: Arc::clone(&self.name), created_secs: self.created_secs() }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self, stream: &Stream) -> String {
        format!("{}/consumer/{}:{}", stream.arn(), self.name, self.created_secs())
    }
}
