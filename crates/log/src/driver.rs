//! What sets the engine to work: threads in production, a task in a simulation, steps in a test.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::thread;

use crate::commit::{Committer, Turn};
use crate::drain::Background;
use crate::oneshot::YieldOnce;
use crate::reader::Pool;
use crate::shared::Shared;

/// Threads that read cold segments.
const READER_THREADS: usize = 2;

/// The engine's work: it runs only where a driver is.
pub struct Driver {
    shared: Arc<Shared>,
    committer: Committer,
    background: Background,
}

/// Poisons the engine if its thread panics, so that nobody waits for it for ever.
struct PanicGuard(Arc<Shared>, &'static str);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.poison(&format!("the {} thread panicked", self.1));
            if let Some(pool) = self.0.pool.get() {
                pool.give_up();
            }
        }
    }
}

impl Driver {
    pub(crate) fn new(shared: Arc<Shared>, committer: Committer, background: Background) -> Self {
        Self { shared, committer, background }
    }

    /// Starts the engine's threads: one commits, one drains, two read cold segments. They end after a shutdown, after a
    /// failure, or when the engine is dropped; waiting, they use no processor time.
    ///
    /// # Errors
    /// Those of the operating system; the engine is stopped then.
    pub fn spawn_threads(self) -> io::Result<()> {
        let Self { shared, mut committer, mut background } = self;
        let pool = shared.pool.get_or_init(Pool::new);
        let spawned = (|| {
            for index in 0..READER_THREADS {
                let reader = Arc::clone(&shared);
                spawn(format!("levada-read-{index}"), move || {
                    let _guard = PanicGuard(Arc::clone(&reader), "read");
                    if let Some(pool) = reader.pool.get() {
                        pool.work();
                    }
                })?;
            }
            let log = Arc::clone(&shared);
            spawn("levada-log".to_owned(), move || {
                let _guard = PanicGuard(Arc::clone(&log), "log");
                loop {
                    match committer.turn() {
                        Turn::Worked => {}
                        Turn::Idle => log.log_signal.wait(),
                        Turn::Stopped => return,
                    }
                }
            })?;
            let drain = Arc::clone(&shared);
            spawn("levada-drain".to_owned(), move || {
                let _guard = PanicGuard(Arc::clone(&drain), "drain");
                loop {
                    match background.turn() {
                        Turn::Worked => {}
                        Turn::Idle => drain.drain_signal.wait(),
                        Turn::Stopped => break,
                    }
                }
                if let Some(pool) = drain.pool.get() {
                    pool.close();
                }
            })
        })();
        if let Err(error) = &spawned {
            shared.stop(&format!("no thread could be started: {error}"));
            pool.close();
        }
        spawned
    }

    /// The engine's work as one task, for a deterministic simulation on one thread. Segments are read by the
    /// callers then.
    pub async fn run(mut self) {
        loop {
            match self.turn() {
                Turn::Worked => YieldOnce::new().await,
                Turn::Idle => {
                    poll_fn(|context| {
                        let log = self.shared.log_signal.poll(context);
                        let drain = self.shared.drain_signal.poll(context);
                        if log.is_ready() || drain.is_ready() { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
                Turn::Stopped => return,
            }
        }
    }

    /// Does at most one round and what is due in the background. True if there may be more to do.
    pub fn step(&mut self) -> bool {
        self.turn() == Turn::Worked
    }

    fn turn(&mut self) -> Turn {
        let committed = self.committer.turn();
        let drained = self.background.turn();
        match (committed, drained) {
            (_, Turn::Stopped) => {
                // Refuses what is still queued.
                self.committer.turn();
                Turn::Stopped
            }
            (Turn::Worked, _) | (_, Turn::Worked) => Turn::Worked,
            (Turn::Idle | Turn::Stopped, Turn::Idle) => Turn::Idle,
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "syncs block, so they need threads; `Driver::run` is the simulation's way"
)]
fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name).spawn(work).map(drop)
}
