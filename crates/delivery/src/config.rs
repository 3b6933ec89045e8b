//! What a delivery stream is told: its destination, its buffering hints, and the knobs of the node.

use std::sync::Arc;

use levada_core::engine::LogId;

use crate::chain::Chain;
use crate::endpoint::Endpoint;
use crate::prefix::KeyLayout;

/// AWS writes "MB" for buffering hints; here, as in its limits of the same pages, that is 1,048,576 bytes.
pub const MIB: u64 = 1024 * 1024;

/// Default ceiling of the bytes that one delivery stream's data log may retain. At AWS's smaller Direct PUT quota of
/// 1 MiB/s this holds more than an hour of a dead destination.
pub const DEFAULT_BACKLOG_QUOTA_BYTES: u64 = 4 * 1024 * MIB;

/// A delivery stream, as the catalog knows it.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name: part of each object's key, and of each log line.
    pub name: String,
    /// The log of producers' records, one engine record for each Firehose record; see [`crate::record`] for keys.
    pub data: LogId,
    /// The log of this module's own records (cuts and what became of them).
    pub control: LogId,
    /// Logs for records between processing and delivery.
    pub block: Option<Block>,
    /// The destination configuration in force.
    pub config: Config,
    /// The `VersionId` of that configuration, from 1.
    pub config_version: u64,
    /// Ceiling of the bytes that the delivery stream's logs may retain; beyond it [`crate::Handle::reserve`] says no.
    pub backlog_quota_bytes: u64,
}

/// Ids of logs that the catalog keeps for one delivery stream. The worker creates the logs when it needs them; who
/// deletes the delivery stream deletes all of them, whether they exist or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The processed log.
    pub first: LogId,
    /// Number of ids from `first` on. [`Block::WHOLE`] serves as many partitions as AWS.
    pub count: u32,
    /// [`LogSpec::class`](levada_core::engine::LogSpec::class) of the logs that the worker creates.
    pub class: u32,
}

impl Block {
    /// The processed log, 500 partitions, the records without partition, all types of error output, and a few spare.
    pub const WHOLE: u32 = 512;
}

/// A destination configuration. What is cut uses the one in force at the cut.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where records go.
    pub target: Target,
    /// What is done to records first. Needs [`Spec::block`]; without one the delivery stream waits.
    pub chain: Option<Arc<dyn Chain>>,
    /// Where all source records go besides, as they were sent.
    pub backup: Option<Bucketing>,
}

/// Where records go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A bucket, error output too.
    S3(Bucketing),
    /// Requests.
    Endpoint {
        /// Takes them.
        endpoint: Arc<dyn Endpoint>,
        /// When a request is made.
        buffering: Buffering,
        /// Where error output goes.
        errors: Bucketing,
    },
}

/// A bucket and how objects are made for it.
#[derive(Clone, Debug)]
pub struct Bucketing {
    /// Its name (the last part of `BucketARN`).
    pub bucket: String,
    /// How keys are built.
    pub layout: KeyLayout,
    /// How objects are compressed.
    pub compression: Compression,
    /// What stands between records. Error output has a newline after each line instead.
    pub delimiter: Delimiter,
    /// When an object is made.
    pub buffering: Buffering,
}

/// Buffering hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffering {
    /// `BufferingHints.SizeInMBs`, in MiB: 1 to 128.
    pub size_mib: u32,
    /// `BufferingHints.IntervalInSeconds`: 0 to 900.
    pub interval_s: u32,
}

impl Buffering {
    /// The buffer's size in bytes.
    pub(crate) fn size_bytes(self) -> u64 {
        u64::from(self.size_mib.max(1)) * MIB
    }
}

impl Config {
    /// Records to a bucket, and nothing else.
    #[must_use]
    pub fn s3(bucketing: Bucketing) -> Self {
        Self { target: Target::S3(bucketing), chain: None, backup: None }
    }

    /// When what is cut for the destination is due.
    pub(crate) fn buffering(&self) -> Buffering {
        match &self.target {
            Target::S3(bucketing) => bucketing.buffering,
            Target::Endpoint { buffering, .. } => *buffering,
        }
    }

    /// Where error output goes.
    pub(crate) fn errors(&self) -> &Bucketing {
        match &self.target {
            Target::S3(bucketing) | Target::Endpoint { errors: bucketing, .. } => bucketing,
        }
    }
}

/// `CompressionFormat`. Extensions and encodings are those of objects that AWS has written; its guide calls the extension
/// of `HADOOP_SNAPPY` `.hsnappy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Compression {
    /// Records as they are.
    #[serde(rename = "UNCOMPRESSED")]
    Uncompressed,
    /// One gzip member, level 6.
    #[serde(rename = "GZIP")]
    Gzip,
    /// An archive of one entry, level 6.
    #[serde(rename = "ZIP")]
    Zip,
    /// The stream of snappy-java (xerial).
    Snappy,
    /// Hadoop's blocks.
    #[serde(rename = "HADOOP_SNAPPY")]
    HadoopSnappy,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Uncompressed, Self::Gzip, Self::Zip, Self::Snappy, Self::HadoopSnappy];

    /// The format of that name in the Firehose model.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its name in the Firehose model.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "UNCOMPRESSED",
            Self::Gzip => "GZIP",
            Self::Zip => "ZIP",
            Self::Snappy => "Snappy",
            Self::HadoopSnappy => "HADOOP_SNAPPY",
        }
    }

    /// What a key ends with unless `FileExtension` replaces it.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Uncompressed => "",
            Self::Gzip => ".gz",
            Self::Zip => ".zip",
            Self::Snappy | Self::HadoopSnappy => ".snappy",
        }
    }

    /// The object's `Content-Encoding`.
    #[must_use]
    pub const fn content_encoding(self) -> Option<&'static str> {
        match self {
            Self::Uncompressed => None,
            Self::Gzip => Some("gzip"),
            Self::Zip => Some("zip"),
            Self::Snappy => Some("snappy-java"),
            Self::HadoopSnappy => Some("hadoop-snappy"),
        }
    }
}

/// What stands between the records of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Delimiter {
    /// Nothing.
    #[default]
    None,
    /// This between two records, and nothing after the last: the processor `AppendDelimiterToRecord`.
    Between(String),
    /// A newline after each: error output.
    Lines,
}

impl Delimiter {
    /// Its bytes for each record.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Between(text) => text.len() as u64,
            Self::Lines => 1,
        }
    }
}

/// Knobs of the node, the same for all its delivery streams.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// How long a cut is tried, in ms, before it is abandoned. AWS: 24 h for S3. So long must have passed both since
    /// it fell due, by the wall clock, and since its first failed attempt in this process, by the monotonic clock:
    /// neither a node that was down for days nor a wall clock that jumps gives up records that the store was not
    /// asked to take for so long. A cut that waited behind others for an upload therefore gets its whole time too;
    /// meanwhile the quota of the backlog bounds what accumulates.
    pub retry_for_ms: u64,
    /// Objects of one delivery stream that are uploaded at a time to one bucket, for each of: records, source records,
    /// error output. Those that the bucket refuses while it takes others do not count.
    pub parallel_uploads: usize,
    /// Bytes that the bodies of all uploads and requests of the node may hold in memory. Half of them is for places that
    /// take longer than some seconds, of which each bucket or endpoint gets a quarter at most; a quarter for small bodies
    /// and a quarter for large ones. A body that is larger than its part goes alone.
    pub memory_bytes: u64,
    /// Bytes that batches may take in which records are processed, of all delivery streams of the node, with what is
    /// made of them. A function that does not answer holds its batch for minutes; parts as for `memory_bytes`.
    pub processing_bytes: u64,
    /// Wait after a first failed attempt, in ms; doubled after each further one.
    pub backoff_first_ms: u64,
    /// Longest wait between two attempts, in ms.
    pub backoff_most_ms: u64,
    /// Control records after which a snapshot is written and what stands before it is trimmed.
    pub snapshot_every: u64,
}

impl Tuning {
    /// The default, with so many bytes for bodies and batches together.
    #[must_use]
    pub fn within(bytes: u64) -> Self {
        let memory_bytes = bytes / 25 * 9;
        Self { memory_bytes, processing_bytes: bytes - memory_bytes, ..Self::default() }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            retry_for_ms: 24 * 60 * 60 * 1000,
            parallel_uploads: 4,
            memory_bytes: 144 * MIB,
            processing_bytes: 256 * MIB,
            backoff_first_ms: 1_000,
            backoff_most_ms: 120_000,
            snapshot_every: 256,
        }
    }
}
