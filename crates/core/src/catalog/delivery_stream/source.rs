//! Where a delivery stream's records come from.

use serde::{Deserialize, Serialize};

use crate::catalog::scope::{Account, Scope};
use crate::engine::Millis;

/// Where the records come from. Its kind never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// `PutRecord` and `PutRecordBatch`.
    DirectPut {
        /// `ThroughputHintInMBs`, 1 to 100. Kept and described back: there is no quota here that it would raise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        throughput_hint_mbs: Option<u32>,
    },
    /// A data stream.
    Kinesis(KinesisSource),
}

/// A data stream as a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KinesisSource {
    /// ARN of the data stream.
    pub stream_arn: String,
    /// Role in whose name AWS would read. Kept and described back.
    pub role_arn: String,
    /// Records that arrived from then on are delivered (`DeliveryStartTimestamp`). Decided at creation; what a command
    /// says is ignored.
    pub start_ms: Millis,
}

impl KinesisSource {
    /// Where the data stream's name holds, and the name; `None` if the ARN is none of a data stream.
    #[must_use]
    pub fn stream(&self) -> Option<(Scope, &str)> {
        let mut parts = self.stream_arn.splitn(6, ':');
        let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let name = resource.strip_prefix("stream/").filter(|_| (arn, service) == ("arn", "kinesis"))?;
        let scope = Scope::new(Account::new(account)?, region);
        // One name for one thing: an ARN with another partition than its region's is none.
        (scope.arn("kinesis", resource) == self.stream_arn).then_some((scope, name))
    }
}

/// Direct put, as all delivery streams were at first.
impl Default for Source {
    fn default() -> Self {
        Self::DirectPut { throughput_hint_mbs: None }
    }
}

impl Source {
    /// As AWS writes it (`DeliveryStreamType`).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DirectPut { .. } => "DirectPut",
            Self::Kinesis(_) => "KinesisStreamAsSource",
        }
    }

    /// The data stream, if it is one.
    #[must_use]
    pub fn kinesis(&self) -> Option<&KinesisSource> {
        match self {
            Self::DirectPut { .. } => None,
            Self::Kinesis(source) => Some(source),
        }
    }

    pub(in crate::catalog) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
