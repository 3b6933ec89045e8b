//! What the tests of the embedded engine share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use levada_core::batch::Batch;
use levada_core::engine::conformance::drive::block_on;
use levada_core::engine::{
    Append, Appended, BoxFuture, Engine, EngineError, Expect, LogId, LogSpec, Millis, Offset, Page, ReadRequest,
    Sealed, Tail,
};
use levada_core::env::sim::{SimClock, SimDisk, SimRandom};
use levada_log::{Driver, EmbeddedLog, OpenError, Options};

/// Where the simulated directory is.
pub fn dir() -> PathBuf {
    PathBuf::from("/data/levada")
}

/// Sizes so small that a few records make every file roll, fill and be recycled.
pub fn tiny() -> Options {
    Options {
        journal_segment_bytes: 96 * 1024,
        first_journal_segment_bytes: 16 * 1024,
        round_bytes: 16 * 1024,
        drain_bytes: 6 * 1024,
        drain_bytes_many_logs: 12 * 1024,
        many_logs: 3,
        memory_bytes: 64 * 1024,
        queue_bytes: 24 * 1024,
        busy_log_bytes: 2 * 1024,
        direct_bytes: 4 * 1024,
        segment_bytes: 24 * 1024,
        segment_age_ms: 1000,
        manifest_bytes: 1024,
        max_open_files: 2,
        disk_watermark_bytes: 0,
    }
}

/// An engine whose work is done by whoever waits for it: no thread, no runtime, the same every time.
pub struct Stepped {
    pub log: EmbeddedLog,
    driver: Mutex<Driver>,
}

impl Stepped {
    pub fn open(disk: &SimDisk, clock: &SimClock, options: Options) -> Result<Self, OpenError> {
        // Salts must differ from one life to the next; each test has a thread of its own.
        thread_local!(static RANDOM: SimRandom = SimRandom::new(1));
        Self::open_with(disk, clock, options, RANDOM.with(SimRandom::fork))
    }

    pub fn open_with(disk: &SimDisk, clock: &SimClock, options: Options, random: SimRandom) -> Result<Self, OpenError> {
        let (log, driver) =
            EmbeddedLog::open(&dir(), Arc::new(disk.clone()), Arc::new(clock.clone()), Arc::new(random), options)?;
        Ok(Self { log, driver: Mutex::new(driver) })
    }

    /// Works until there is nothing to do.
    pub fn settle(&self) {
        while self.driver.lock().unwrap().step() {}
    }

    /// One step of the engine's work.
    pub fn step(&self) -> bool {
        self.driver.lock().unwrap().step()
    }

    pub fn shutdown(&self) -> Result<(), EngineError> {
        let future = self.log.shutdown();
        self.settle();
        block_on(future)
    }

    fn work<'a, T: 'a>(&'a self, mut future: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        Box::pin(poll_fn(move |context| {
            loop {
                if let Poll::Ready(answer) = future.as_mut().poll(context) {
                    return Poll::Ready(answer);
                }
                if !self.driver.lock().unwrap().step() {
                    // Another thread may have done this one's work between the two lines above.
                    return future.as_mut().poll(context);
                }
            }
        }))
    }

    pub fn create(&self, ids: &[u64]) {
        let specs = ids.iter().map(|&id| LogSpec { id: LogId(id), class: 24, floor: 0 }).collect();
        block_on(Engine::create(self, specs)).unwrap();
    }

    pub fn put(&self, log: u64, data: &[u8]) -> Appended {
        self.put_at(log, Expect::Tail, data)
    }

    /// Appends one record, expecting the log to end somewhere.
    pub fn put_at(&self, log: u64, expect: Expect, data: &[u8]) -> Appended {
        let batch = Batch::single(b"k", data);
        let append = Append { log: LogId(log), expect, batch };
        block_on(self.append_many(vec![append])).remove(0)
    }

    /// All data of a log, and why there is not more.
    pub fn all(&self, log: u64) -> (Vec<Vec<u8>>, Option<EngineError>) {
        let mut from = 0;
        let mut all = Vec::new();
        loop {
            let request = ReadRequest { log: LogId(log), from, max_records: 1000, max_bytes: 1 << 20 };
            match block_on(self.read(request)) {
                Ok(page) if page.chunks.is_empty() => return (all, None),
                Ok(page) => {
                    from = page.next;
                    all.extend(page.chunks.iter().flat_map(|c| c.records()).map(|(_, r)| r.data.to_vec()));
                }
                Err(error) => return (all, Some(error)),
            }
        }
    }
}

impl Engine for Stepped {
    fn append_many(&self, appends: Vec<Append>) -> BoxFuture<'_, Vec<Appended>> {
        self.work(self.log.append_many(appends))
    }
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, EngineError>> {
        self.work(self.log.read(request))
    }
    fn tail(&self, log: LogId) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.work(self.log.tail(log))
    }
    fn grown(&self, log: LogId, end: Offset) -> BoxFuture<'_, Result<Tail, EngineError>> {
        self.work(self.log.grown(log, end))
    }
    fn seek(&self, log: LogId, time: Millis) -> BoxFuture<'_, Result<Offset, EngineError>> {
        self.work(self.log.seek(log, time))
    }
    fn seal(&self, log: LogId) -> BoxFuture<'_, Result<Sealed, EngineError>> {
        self.work(self.log.seal(log))
    }
    fn trim(&self, log: LogId, before: Offset) -> BoxFuture<'_, Result<(), EngineError>> {
        self.work(self.log.trim(log, before))
    }
    fn create(&self, logs: Vec<LogSpec>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.work(self.log.create(logs))
    }
    fn delete(&self, logs: Vec<LogId>) -> BoxFuture<'_, Result<(), EngineError>> {
        self.work(self.log.delete(logs))
    }
}

/// Files of a directory below the simulated one, in order of name.
pub fn files_in(disk: &SimDisk, part: &str) -> Vec<PathBuf> {
    disk.files().into_iter().filter(|path| path.starts_with(dir().join(part))).collect()
}

/// A file's bytes.
pub fn bytes_of(disk: &SimDisk, path: &Path) -> Vec<u8> {
    use levada_core::env::{Disk, Open};
    let file = disk.open(path, Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}
