//! The embedded engine: one journal, group commit, segments, recovery, retention.
//!
//! ```text
//! append_many → queue → log thread: plan, write one round, fdatasync, publish, answer     (commit.rs, journal/)
//!                                       │
//!                                       ├─→ the tail in memory ──────────────→ read       (state.rs, reader.rs)
//!                                       └─→ drain: segments, then the manifest → read     (drain.rs, segment.rs)
//! open → format version → manifest → journal scan → durable again → served                (recovery.rs)
//! ```
//!
//! The bytes on disk are drawn at the top of the module that owns them: `layout`, `journal`, `frame`, `segment` and
//! `manifest`; docs/FORMAT.md puts them together.
//!
//! Architecture invariant: no async runtime. Futures are woken by the engine's own threads, or by a [`Driver`] that
//! runs as a task. Only `real` touches the operating system.

mod check;
mod commit;
mod drain;
mod driver;
mod engine;
mod error;
mod frame;
mod gate;
mod journal;
mod layout;
mod manifest;
mod oneshot;
mod options;
mod reader;
mod real;
mod recovery;
mod segment;
mod shared;
mod state;

pub use self::check::{Finding, Report, check};
pub use self::driver::Driver;
pub use self::engine::{EmbeddedLog, Stats};
pub use self::error::OpenError;
pub use self::options::Options;
pub use self::real::{RealClock, RealDisk, RealRandom};
