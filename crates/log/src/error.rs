//! Why a data directory could not be opened. The kinds say what the operator must do.

use std::io;
use std::path::Path;

/// Why [`EmbeddedLog::open`](crate::EmbeddedLog::open) or [`check`](crate::check) refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on this directory: stop that one first.
    #[error("the data directory is in use by another process")]
    Locked,
    /// A newer Levada wrote this directory: start that version. Nothing was written.
    #[error("the data directory has format {found}, this program knows up to {known}")]
    Version {
        /// Major version found.
        found: u32,
        /// Newest major version this program reads.
        known: u32,
    },
    /// Bytes that had been durable are damaged or gone: restore the file, or repair. Nothing was written.
    #[error("corrupt: {file} at byte {at}: {what}")]
    Corrupt {
        /// The damaged file, relative to the data directory.
        file: String,
        /// Byte offset of the damage in it.
        at: u64,
        /// What was expected there.
        what: String,
    },
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn corrupt(file: impl Into<String>, at: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { file: file.into(), at, what: what.into() }
    }
}

/// Names what was tried when the operating system refuses.
pub(crate) trait Doing<T> {
    fn doing(self, what: &str, path: &Path) -> Result<T, OpenError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: &str, path: &Path) -> Result<T, OpenError> {
        self.map_err(|source| OpenError::Io { what: format!("{what} {}", path.display()), source })
    }
}
