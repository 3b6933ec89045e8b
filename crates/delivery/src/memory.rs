//! The node's memory for the bodies of uploads, and for records that are being processed.
//!
//! ```text
//! budget ─┬─ half for stores that answer, less a sixteenth of all for what endpoints say of records they refuse
//!         ├─ quarter for stores that hang
//!         └─ quarter for bodies that were given up and are still held by a blocking call
//! another ── for batches that chains of processors work on
//! ```
//!
//! Each part is given out first come, first served. So stores that hang wait for each other and never hold up the
//! others, and a file system that lets go of nothing does not keep the memory in which other stores are asked whether
//! they are well again. A body larger than its part takes all of it.
//!
//! Architecture invariant: memory is given back when the last holder of the body lets go of it, not when somebody stops
//! waiting for the put. A blocking call that hangs holds its body on and on.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in units of this many bytes, because the semaphore's numbers are small.
const MEMORY_UNIT: u64 = 1024;

/// The budget, in parts.
#[derive(Debug)]
pub(crate) struct Memory {
    answering: Part,
    hanging: Part,
    stuck: Part,
    reasons: Part,
    processing: Part,
}

#[derive(Debug)]
struct Part {
    free: Arc<Semaphore>,
    units: u32,
}

impl Part {
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
        let (hanging, stuck, reasons) = (bytes / 4, bytes / 4, bytes / 16);
        let answering = Part::new(bytes - hanging - stuck - reasons);
        let [hanging, stuck, reasons, processing] = [hanging, stuck, reasons, processing_bytes].map(Part::new);
        Self { answering, hanging, stuck, reasons, processing }
    }

    /// Waits for memory to process records in. `None` as for [`Memory::acquire`].
    pub(crate) async fn acquire_processing(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let Part { free, units: all } = &self.processing;
        Arc::clone(free).acquire_many_owned(units(bytes).min(*all)).await.ok()
    }

    /// Waits for memory. `None` never happens while the node runs: the semaphores are not closed.
    pub(crate) async fn acquire(&self, bytes: u64, hanging: bool) -> Option<OwnedSemaphorePermit> {
        let part = if hanging { &self.hanging } else { &self.answering };
        Arc::clone(&part.free).acquire_many_owned(units(bytes).min(part.units)).await.ok()
    }

    /// What a permit stands for.
    pub(crate) fn bytes_of(permit: &OwnedSemaphorePermit) -> u64 {
        permit.num_permits() as u64 * MEMORY_UNIT
    }

    /// Memory for what an endpoint has said, if there is some.
    pub(crate) fn try_acquire_reasons(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.reasons.free).try_acquire_many_owned(units(bytes)).ok()
    }

    /// A put has not ended in time, and its body is still held: let it count as memory of those, or else of a store that
    /// hangs, as far as there is room for it.
    pub(crate) fn confine(&self, hold: &Hold) {
        let mut memory = hold.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for part in [&self.stuck, &self.hanging] {
            if Arc::ptr_eq(memory.semaphore(), &part.free) {
                return;
            }
            let held = u32::try_from(memory.num_permits()).unwrap_or(u32::MAX).min(part.units);
            if let Ok(other) = Arc::clone(&part.free).try_acquire_many_owned(held) {
                *memory = other;
                return;
            }
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
