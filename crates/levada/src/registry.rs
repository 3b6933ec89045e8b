//! The registry: the catalog, durable. Commands go in, events are appended to the catalog's log, and only what is
//! durable there is folded into the state that handlers see. So whatever an answer rests on, an error answer too,
//! cannot be taken back by a crash.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use levada_core::batch::Batch;
use levada_core::catalog::{
    self, CATALOG_LOG, Command, DomainError, Entry, Event, Growth, ReplayError, Replayed, Replayer, Rules, State,
    snapshot_batches,
};
use levada_core::engine::{Append, Appended, Engine, EngineError, Expect, LogSpec, Offset, ReadRequest};
use levada_core::env::Clock;
use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, Notify};

/// Class of the logs that Levada keeps for itself: they share files with each other only.
pub const INTERNAL_CLASS: u32 = u32::MAX;

/// Records and bytes of the catalog that are read at once at the start.
const REPLAY_RECORDS: u32 = 10_000;
const REPLAY_BYTES: u64 = 8 << 20;

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SubmitError {
    /// The catalog refuses it.
    #[error(transparent)]
    Refused(#[from] DomainError),
    /// It was not carried out, because the catalog is longer than this node knew: answer 500.
    #[error("the catalog was written meanwhile")]
    Moved,
    /// It may or may not have been carried out: answer 500.
    #[error("the catalog cannot be written: {0}")]
    Unavailable(String),
}

/// Why the catalog cannot be read at the start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its log cannot be read.
    #[error("the catalog cannot be read: {0}")]
    Engine(#[from] EngineError),
    /// It was read, but it does not make sense to this version.
    #[error("the catalog cannot be understood: {0}")]
    Replay(#[from] ReplayError),
}

/// The durable catalog.
pub struct Registry {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    rules: Rules,
    state: RwLock<State>,
    changed: Arc<Notify>,
    writer: Mutex<Writer>,
}

/// Held while a command is decided and its event is written: decisions are made one at a time.
struct Writer {
    /// Where the catalog's log ends, as far as this node knows.
    next: Offset,
    growth: Growth,
    /// False after an append whose outcome is not known: the log must be read before the next decision.
    settled: bool,
}

impl Registry {
    /// Reads the catalog. From now on it decides by these rules.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, rules: Rules) -> Result<Self, OpenError> {
        engine.create(vec![LogSpec { id: CATALOG_LOG, class: INTERNAL_CLASS, floor: 0 }]).await?;
        let Replayed { state, next, growth, .. } = replay(engine.as_ref()).await?;
        let writer = Mutex::new(Writer { next, growth, settled: true });
        Ok(Self { engine, clock, rules, state: RwLock::new(state), changed: Arc::default(), writer })
    }

    /// The catalog as of now. Held only for look-ups, never across an await.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves at the next change after this call. Ask first, then look at [`Self::state`], then wait.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// What [`Self::changed`] waits for, for those who outlive the registry.
    #[must_use]
    pub fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Decides a command on the present state and makes its event durable. Its effect is visible in
    /// [`Self::state`] when this answers; `None` means that nothing was left to do.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, command: &Command) -> Result<Option<Event>, SubmitError> {
        let mut writer = self.writer.lock().await;
        self.settle(&mut writer).await?;
        match self.attempt(&mut writer, command).await {
            // An earlier append, given up by its caller, has come in after all: the decision is made anew.
            Err(SubmitError::Moved) => {
                self.settle(&mut writer).await?;
                self.attempt(&mut writer, command).await
            }
            outcome => outcome,
        }
    }

    /// Reads again what is true, if an append of unknown outcome left that open.
    ///
    /// # Errors
    /// [`SubmitError::Unavailable`].
    pub async fn refresh(&self) -> Result<(), SubmitError> {
        self.settle(&mut *self.writer.lock().await).await
    }

    async fn attempt(&self, writer: &mut Writer, command: &Command) -> Result<Option<Event>, SubmitError> {
        let now = self.clock.now_ms();
        let Some(event) = catalog::decide(&self.state(), now, &self.rules, command)? else { return Ok(None) };
        let entry = Entry { at: now, event };
        let batch = Batch::single(b"", &entry.encode());
        let bytes = batch.bytes().len();
        self.append(writer, batch).await?;
        self.fold(&entry.event).inspect_err(|_| writer.settled = false)?;
        writer.growth.add(bytes);
        if writer.growth.snapshot_due() {
            self.snapshot(writer).await;
        }
        Ok(Some(entry.event))
    }

    async fn append(&self, writer: &mut Writer, batch: Batch) -> Result<Offset, SubmitError> {
        let count = u64::from(batch.count());
        // Until the outcome is known the log may hold more than the state; a dropped future leaves it so.
        writer.settled = false;
        let append = Append { log: CATALOG_LOG, expect: Expect::End(writer.next), batch };
        match self.engine.append_many(vec![append]).await.pop() {
            Some(Appended::At { first, .. }) => {
                writer.next = first + count;
                writer.settled = true;
                Ok(first)
            }
            Some(Appended::Full) => {
                writer.settled = true;
                Err(SubmitError::Unavailable("the disk is full, or the event is larger than the log takes".into()))
            }
            Some(Appended::Moved { .. }) => Err(SubmitError::Moved),
            other => Err(SubmitError::Unavailable(format!("an append ended as {other:?}"))),
        }
    }

    async fn settle(&self, writer: &mut Writer) -> Result<(), SubmitError> {
        if writer.settled {
            return Ok(());
        }
        let replayed = replay(self.engine.as_ref()).await;
        let Replayed { state, next, growth, .. } = replayed.map_err(|e| SubmitError::Unavailable(e.to_string()))?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_waiters();
        *writer = Writer { next, growth, settled: true };
        Ok(())
    }

    fn fold(&self, event: &Event) -> Result<(), SubmitError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        catalog::fold(&mut state, event).map_err(|e| SubmitError::Unavailable(e.to_string()))?;
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Bounds the next replay. A failure is no loss: the events are all there, and a later command tries again.
    async fn snapshot(&self, writer: &mut Writer) {
        let batches = snapshot_batches(&self.state(), self.clock.now_ms());
        let (mut first, mut bytes) = (None, 0);
        for batch in batches {
            bytes += batch.bytes().len() as u64;
            match self.append(writer, batch).await {
                Ok(at) => first = first.or(Some(at)),
                Err(error) => {
                    tracing::warn!(%error, "the catalog's snapshot was not written");
                    return;
                }
            }
        }
        let Some(first) = first else { return };
        writer.growth = Growth::after_snapshot(bytes);
        if let Err(error) = self.engine.trim(CATALOG_LOG, first).await {
            tracing::warn!(%error, "the catalog's log was not trimmed");
        }
    }
}

/// Reads the whole catalog.
async fn replay(engine: &dyn Engine) -> Result<Replayed, OpenError> {
    let mut from = engine.tail(CATALOG_LOG).await?.start;
    let mut replayer = Replayer::new(from);
    loop {
        let request = ReadRequest { log: CATALOG_LOG, from, max_records: REPLAY_RECORDS, max_bytes: REPLAY_BYTES };
        let page = engine.read(request).await?;
        if page.chunks.is_empty() {
            return Ok(replayer.finish()?);
        }
        for chunk in &page.chunks {
            for (offset, record) in chunk.records() {
                replayer.record(offset, record.data)?;
            }
        }
        from = page.next;
    }
}
