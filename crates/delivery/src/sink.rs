//! Where objects go.

mod buckets;
#[cfg(feature = "clouds")]
mod clouds;
mod directory;
pub mod escape;
#[cfg(feature = "s3")]
mod s3;

use bytes::Bytes;
use levada_core::engine::BoxFuture;

pub use self::buckets::Buckets;
#[cfg(feature = "clouds")]
pub use self::clouds::{AzureConfig, CloudBucket, GoogleConfig};
pub use self::directory::DirectoryBucket;
#[cfg(feature = "s3")]
pub use self::s3::{S3Bucket, S3Config, StaticKeys};

/// An object to be put. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bucket's name.
    pub bucket: String,
    /// The key: any UTF-8 of at most 1,024 bytes.
    pub key: String,
    /// `Content-Encoding`, if the content is compressed. `Content-Type` is always `application/octet-stream`.
    pub content_encoding: Option<&'static str>,
    /// The content. It counts against the node's memory until its last clone is dropped, and so long its cut is not
    /// tried again.
    pub body: Bytes,
    /// Which attempt this is.
    pub attempt: Attempt,
}

/// Names an attempt at putting an object, for stores that write beside the key first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// A random number, the same in all attempts of one run of the process.
    pub run: u64,
    /// A random number of this attempt.
    pub number: u64,
}

/// Why an object was not put. The kinds are for the people who read the log: each is tried again until the cut is
/// abandoned, because what a store refuses today (no such bucket, access denied) its operator may repair tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The store did not answer, or said that it cannot now. It may have stored the object.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The store refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// A store of objects.
///
/// Obligations: an answer of `Ok` means that the object is durable; an object is never seen in part; putting the same
/// key again replaces the object. Dropping the future leaves open whether the object was put; the body is let go of
/// soon after.
pub trait Sink: Send + Sync + 'static {
    /// Puts one object.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>>;

    /// Where the objects of this bucket go, for the log: a directory is `dir:PATH`, a store its URL or name. Empty if
    /// that is not known.
    fn place(&self, _bucket: &str) -> String {
        String::new()
    }
}
