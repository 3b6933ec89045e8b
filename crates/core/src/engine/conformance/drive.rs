//! Polls futures without an async runtime.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::engine::BoxFuture;

/// Waits of this length …
const NAP: Duration = Duration::from_millis(10);
/// … so many in a row without a wake-up mean that none will come: a minute, and in the tests of this crate, which
/// hold broken engines against the suite, three seconds.
const PATIENCE: u32 = if cfg!(test) { 300 } else { 6_000 };

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Unpark {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) })
    }

    fn wait(&self) {
        let mut naps = 0;
        while !self.woken.swap(false, Ordering::SeqCst) {
            naps += 1;
            assert!(naps < PATIENCE, "a future is never woken");
            thread::park_timeout(NAP);
        }
    }
}

/// Runs a future to its end on this thread. It is polled only when woken, so a lost wake-up is found.
///
/// # Panics
/// If it is not woken for a minute.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let unpark = Unpark::new();
    let waker = Waker::from(Arc::clone(&unpark));
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        unpark.wait();
    }
}

/// A future that was polled once and is waiting.
pub struct Waiting<'a, T> {
    future: BoxFuture<'a, T>,
    unpark: Arc<Unpark>,
}

impl<'a, T> Waiting<'a, T> {
    /// Polls a future on this thread for the first time.
    ///
    /// # Panics
    /// If it has nothing to wait for.
    pub fn start(mut future: BoxFuture<'a, T>) -> Self {
        let unpark = Unpark::new();
        let waker = Waker::from(Arc::clone(&unpark));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "there is something to wait for");
        Self { future, unpark }
    }

    /// Runs the future to its end, on the same thread, once it was woken.
    ///
    /// # Panics
    /// If it is not woken for a minute.
    pub fn finish(self) -> T {
        self.unpark.wait();
        block_on(self.future)
    }
}

/// Runs futures side by side on this thread and gives their answers in the order of `futures`.
pub fn join_all<T>(futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    block_on(together(futures))
}

/// Runs futures side by side and gives their answers in the order of `futures`.
pub async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut answers: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, answer) in running.iter_mut().zip(&mut answers) {
            if let Some(future) = slot
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *answer = Some(ready);
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}

/// Polls a future once, without any intention to come back.
pub fn poll_once<T>(future: &mut BoxFuture<'_, T>) -> Poll<T> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Gives the other futures of the thread a turn.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
