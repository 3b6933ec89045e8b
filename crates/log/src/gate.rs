//! How much may wait for the log thread: a ceiling on the bytes of appends that are not answered yet.
//!
//! The log thread itself may wait for the drain. Without a ceiling, what callers bring meanwhile would pile up here,
//! where no caller's own limit counts it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::oneshot::{Wakers, lock};

/// See the module.
pub(crate) struct Gate {
    ceiling: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    bytes: usize,
    /// Nothing is held up any more: the engine has stopped, and refuses.
    open: bool,
    waiting: Wakers,
}

/// Bytes that count until this is dropped.
pub(crate) struct Charge {
    gate: Arc<Gate>,
    bytes: usize,
}

impl Gate {
    pub(crate) fn new(ceiling: usize) -> Self {
        Self { ceiling, inner: Mutex::new(Inner::default()) }
    }

    /// Counts `bytes` if there is room and nobody waits already. One call may go above the ceiling, or one larger than
    /// that would wait for ever.
    pub(crate) fn enter(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let mut inner = lock(&self.inner);
        let enters = inner.waiting.is_empty() && self.has_room(&inner);
        enters.then(|| self.charge(&mut inner, bytes))
    }

    /// Counts `bytes` once there is room.
    pub(crate) fn wait(self: &Arc<Self>, bytes: usize) -> Entry {
        Entry { gate: Arc::clone(self), bytes, key: None }
    }

    /// Lets everybody through, for the engine has stopped.
    pub(crate) fn open(&self) {
        let mut wake = Vec::new();
        {
            let mut inner = lock(&self.inner);
            inner.open = true;
            inner.waiting.take(&mut wake);
        }
        wake.into_iter().for_each(Waker::wake);
    }

    fn has_room(&self, inner: &Inner) -> bool {
        inner.open || inner.bytes < self.ceiling || inner.bytes == 0
    }

    fn charge(self: &Arc<Self>, inner: &mut Inner, bytes: usize) -> Charge {
        inner.bytes += bytes;
        Charge { gate: Arc::clone(self), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let wake = {
            let mut inner = lock(&self.gate.inner);
            inner.bytes -= self.bytes;
            if self.gate.has_room(&inner) { inner.waiting.copy() } else { Vec::new() }
        };
        // All of them: the first one may never be polled again.
        wake.into_iter().for_each(Waker::wake);
    }
}

/// Waits for room. Keeps its place among those who wait until it is dropped or let through.
pub(crate) struct Entry {
    gate: Arc<Gate>,
    bytes: usize,
    key: Option<u64>,
}

impl Future for Entry {
    type Output = Charge;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Charge> {
        let gate = Arc::clone(&self.gate);
        let mut inner = lock(&gate.inner);
        if gate.has_room(&inner) {
            inner.waiting.remove(self.key.take());
            return Poll::Ready(gate.charge(&mut inner, self.bytes));
        }
        inner.waiting.register(&mut self.key, context.waker());
        Poll::Pending
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.key.is_some() {
            lock(&self.gate.inner).waiting.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use levada_core::engine::BoxFuture;
    use levada_core::engine::conformance::drive::poll_once;

    use super::*;

    #[test]
    fn who_waits_is_let_through_in_turn_and_who_leaves_is_forgotten() {
        let gate = Arc::new(Gate::new(10));
        let first = gate.enter(9).unwrap();
        let second = gate.enter(100).unwrap();
        assert!(gate.enter(1).is_none());
        let wait = |bytes| -> BoxFuture<'static, Charge> { Box::pin(gate.wait(bytes)) };
        let (mut third, mut fourth, mut gone) = (wait(1), wait(20), wait(1));
        for entry in [&mut third, &mut fourth, &mut gone] {
            assert!(matches!(poll_once(entry), Poll::Pending));
        }
        drop(first);
        assert!(matches!(poll_once(&mut third), Poll::Pending));
        drop(second);
        assert!(gate.enter(1).is_none(), "nobody overtakes who waits");
        let Poll::Ready(third) = poll_once(&mut third) else { panic!("there is room") };
        let Poll::Ready(fourth) = poll_once(&mut fourth) else { panic!("there is room") };
        drop((third, gone));
        assert!(gate.enter(1).is_none());
        drop(fourth);
        assert!(gate.enter(1).is_some());
        let _full = gate.enter(11).unwrap();
        let mut last = wait(1);
        assert!(matches!(poll_once(&mut last), Poll::Pending));
        gate.open();
        assert!(matches!(poll_once(&mut last), Poll::Ready(_)));
    }
}
