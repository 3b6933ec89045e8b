//! Handing one value from a thread to a future, and waking futures, without an async runtime.
//!
//! Of our own because the whole need is forty lines, of which `futures-channel` would spare half.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

struct Slot<T> {
    value: Option<T>,
    /// The sender is gone.
    closed: bool,
    waker: Option<Waker>,
}

/// The end that gives the value. Dropped without one, as by a thread that panics, it resolves the future with `None`.
pub(crate) struct Sender<T>(Arc<Mutex<Slot<T>>>);

/// The future that gets it.
pub(crate) struct Receiver<T>(Arc<Mutex<Slot<T>>>);

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, closed: false, waker: None }));
    (Sender(Arc::clone(&slot)), Receiver(slot))
}

impl<T> Sender<T> {
    /// Gives the value and wakes the future if it has been polled already.
    pub(crate) fn send(self, value: T) {
        lock(&self.0).value = Some(value);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = lock(&self.0);
            slot.closed = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = lock(&self.0);
        match slot.value.take() {
            None if !slot.closed => {
                match &mut slot.waker {
                    Some(waker) => waker.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                Poll::Pending
            }
            value => Poll::Ready(value),
        }
    }
}

/// Those who wait for the same thing, each with a key, so that who stops waiting is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Wakers(Vec<(u64, Waker)>);

/// Keys are never used twice, so that one which was woken does not meet another's.
static NEXT_KEY: AtomicU64 = AtomicU64::new(0);

impl Wakers {
    /// Remembers whom to wake, in the place of `key` if that still waits.
    pub(crate) fn register(&mut self, key: &mut Option<u64>, waker: &Waker) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| Some(*known) == *key) {
            known.clone_from(waker);
            return;
        }
        let new = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        *key = Some(new);
        self.0.push((new, waker.clone()));
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, key: Option<u64>) {
        self.0.retain(|(known, _)| Some(*known) != key);
    }

    /// Takes all out.
    pub(crate) fn take(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.0.drain(..).map(|(_, waker)| waker));
    }

    /// All, who go on waiting.
    pub(crate) fn copy(&self) -> Vec<Waker> {
        self.0.iter().map(|(_, waker)| waker.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Locks a mutex whose data stays consistent also when a holder panicked: every critical section here either only
/// assigns, or runs in the log's own threads, whose panic poisons the whole engine.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets other tasks run once: pending at the first poll, ready at the second.
pub(crate) struct YieldOnce(bool);

impl YieldOnce {
    pub(crate) fn new() -> Self {
        Self(false)
    }
}

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
