//! The node's memory for the bodies of uploads, and for records that are being processed.
//!
//! ```text
//! budget ─┬─ half for stores that answer
//!         └─ half for stores that hang
//! another ── for batches that chains of processors work on
//! ```
//!
//! Each half is given out first come, first served, so stores that hang wait for each other and never hold up the
//! others. A body larger than its half takes all of it.
//!
//! Architecture invariant: memory is given back when the last holder of the body lets go of it, not when somebody stops
//! waiting for the put. A blocking call that hangs holds its body on and on.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in units of this many bytes, because the semaphore's numbers are small.
const MEMORY_UNIT: u64 = 1024;

/// The budget, in two halves.
#[derive(Debug)]
pub(crate) struct Memory {
    answering: Half,
    hanging: Half,
    processing: Half,
}

#[derive(Debug)]
struct Half {
    free: Arc<Semaphore>,
    units: u32,
}

impl Half {
    fn new(bytes: u64) -> Self {
        let units = units(bytes);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }
}

/// What a body holds until it is gone: its memory, and its cut's turn.
#[derive(Debug)]
pub(crate) struct Hold {
    memory: Mutex<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
}

impl Memory {
    pub(crate) fn new(bytes: u64, processing_bytes: u64) -> Self {
        let (answering, hanging) = (Half::new(bytes - bytes / 2), Half::new(bytes / 2));
        Self { answering, hanging, processing: Half::new(processing_bytes) }
    }

    /// Waits for memory to process records in. `None` as for [`Memory::acquire`].
    pub(crate) async fn acquire_processing(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let Half { free, units: all } = &self.processing;
        Arc::clone(free).acquire_many_owned(units(bytes).min(*all)).await.ok()
    }

    /// Waits for memory. `None` never happens while the node runs: the semaphores are not closed.
    pub(crate) async fn acquire(&self, bytes: u64, hanging: bool) -> Option<OwnedSemaphorePermit> {
        let half = if hanging { &self.hanging } else { &self.answering };
        Arc::clone(&half.free).acquire_many_owned(units(bytes).min(half.units)).await.ok()
    }

    /// A put has not ended in time, and its body is still held: let it count as memory of a store that hangs, as far
    /// as there is room for it.
    pub(crate) fn confine(&self, hold: &Hold) {
        let mut memory = hold.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(memory.semaphore(), &self.hanging.free) {
            return;
        }
        let held = u32::try_from(memory.num_permits()).unwrap_or(u32::MAX).min(self.hanging.units);
        if let Ok(other) = Arc::clone(&self.hanging.free).try_acquire_many_owned(held) {
            *memory = other;
        }
    }
}

impl Hold {
    /// Gives back what of `memory` a body of so many bytes does not need.
    pub(crate) fn new(mut memory: OwnedSemaphorePermit, turn: OwnedSemaphorePermit, bytes: usize) -> Arc<Self> {
        let spare = memory.num_permits().saturating_sub(units(bytes as u64) as usize);
        drop(memory.split(spare));
        Arc::new(Self { memory: Mutex::new(memory), _turn: turn })
    }

    /// Bytes that hold it until their last clone is dropped.
    pub(crate) fn by(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Held { bytes, _hold: Arc::clone(self) })
    }
}

struct Held {
    bytes: Vec<u8>,
    _hold: Arc<Hold>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MEMORY_UNIT)).unwrap_or(u32::MAX).max(1)
}
