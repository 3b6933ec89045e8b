//! The conformance suite against the embedded engine as it runs in production: threads, and a real disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use levada_core::engine::{
    Append, Appended, BoxFuture, Engine, EngineError, LogId, LogSpec, Millis, Offset, Page, ReadRequest, Sealed, Tail,
};
use levada_core::env::sim::SimClock;
use levada_log::{EmbeddedLog, Options, RealDisk, RealRandom};

/// The engine with the directory that goes with it.
struct InTempDir {
    log: EmbeddedLog,
    _dir: tempfile::TempDir,
}

fn start(clock: &SimClock) -> Arc<dyn Engine> {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { drain_bytes: 64 * 1024, disk_watermark_bytes: 0, ..Options::default() };
    let (log, driver) = EmbeddedLog::open(
        dir.path(),
        Arc::new(RealDisk::new()),
        Arc::new(clock.clone()),
        Arc::new(RealRandom),
        options,
    )
    .unwrap();
    driver.spawn_threads().unwrap();
    Arc::new(InTempDir { log, _dir: dir })
}

impl Engine for InTempDir {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        self.log.append_many(appends)
    }
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        self.log.read(request)
    }
    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.log.tail(log)
    }
    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.log.grown(log, end)
    }
    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        self.log.seek(log, time)
    }
    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        self.log.seal(log)
    }
    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        self.log.trim(log, before)
    }
    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.log.create(logs)
    }
    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.log.delete(logs)
    }
}

levada_core::engine_conformance!(start);
