//! The software of the simulated host, and the machine under it.

use std::future::pending;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use levada_core::engine::{Engine, LogId, LogSpec};
use levada_core::env::Clock;
use levada_core::env::sim::{SimDisk, SimRandom};
use levada_log::{EmbeddedLog, Options};
use turmoil::net::TcpListener;

use crate::door;

/// The node's name in the simulated network.
pub const HOST: &str = "node";
/// The port of its door.
pub const PORT: u16 = 4567;
/// The data directory.
pub const DATA_DIR: &str = "/var/lib/levada";
/// When the simulation begins, in milliseconds since the Unix epoch.
const DAWN: u64 = 1_700_000_000_000;

/// The simulation's time as the node's clock, which may be set wrong.
#[derive(Clone, Debug, Default)]
pub struct Time {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    skew_ms: AtomicI64,
    last_ms: AtomicU64,
}

impl Time {
    /// Sets the wall clock so many milliseconds wrong.
    pub fn set_skew(&self, ms: i64) {
        self.inner.skew_ms.store(ms, Ordering::SeqCst);
    }
}

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        let now = DAWN + self.monotonic().as_millis() as u64;
        now.saturating_add_signed(self.inner.skew_ms.load(Ordering::SeqCst))
    }

    /// Outside the simulation, the last time that was asked for inside.
    fn monotonic(&self) -> Duration {
        if let Some(elapsed) = turmoil::sim_elapsed() {
            self.inner.last_ms.fetch_max(elapsed.as_millis() as u64, Ordering::SeqCst);
        }
        Duration::from_millis(self.inner.last_ms.load(Ordering::SeqCst))
    }
}

/// A machine with a disk and a clock, and what is installed on it. Clones are the same machine.
#[derive(Clone)]
pub struct Node {
    /// Its clock.
    pub time: Time,
    /// What its software draws randomness from.
    pub random: SimRandom,
    disk: Arc<Mutex<SimDisk>>,
    options: Options,
    logs: u64,
}

impl Node {
    /// A machine with an empty disk, and the engine set to `options`. It keeps logs `0..logs`.
    #[must_use]
    pub fn new(random: SimRandom, options: Options, logs: u64) -> Self {
        Self { time: Time::default(), random, disk: Arc::new(Mutex::new(SimDisk::new())), options, logs }
    }

    /// The disk as it is now.
    #[must_use]
    pub fn disk(&self) -> SimDisk {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts what `change` makes of the disk in its place: [`SimDisk::crash`] or [`SimDisk::kill`].
    pub fn replace_disk(&self, change: impl FnOnce(&SimDisk) -> SimDisk) {
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        *disk = change(&disk);
    }

    /// Opens the data directory and starts the engine's work as a task of the current runtime. `None` if the power
    /// goes meanwhile.
    ///
    /// # Errors
    /// If the directory cannot be opened although the disk is well.
    pub async fn start(&self) -> Result<Option<Arc<EmbeddedLog>>, String> {
        let disk = self.disk();
        let opened = EmbeddedLog::open(
            Path::new(DATA_DIR),
            Arc::new(disk.clone()),
            Arc::new(self.time.clone()),
            Arc::new(self.random.clone()),
            self.options.clone(),
        );
        let (engine, driver) = match opened {
            Ok(opened) => opened,
            Err(_) if disk.is_powerless() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        tokio::task::spawn_local(driver.run());
        let specs = (0..self.logs).map(|id| LogSpec { id: LogId(id), class: 24, floor: 0 }).collect();
        match engine.create(specs).await {
            Ok(()) => Ok(Some(Arc::new(engine))),
            Err(_) if disk.is_powerless() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The host's software: serves until the machine is switched off or the engine gives itself up.
    ///
    /// # Errors
    /// If the engine fails although the disk is well: that fails the simulation.
    pub async fn serve(self) -> turmoil::Result {
        let Some(engine) = self.start().await? else { return pending().await };
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
        let died = engine.died();
        tokio::pin!(died);
        loop {
            tokio::select! {
                biased; // The order of an unbiased one is drawn outside the seed.
                why = &mut died => {
                    if !self.disk().is_powerless() {
                        return Err(why.into());
                    }
                    // A process would end here. The simulation switches the machine off and on.
                    return pending().await;
                }
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    tokio::task::spawn_local(door::serve(stream, Arc::clone(&engine), self.disk()));
                }
            }
        }
    }
}
