//! Cuts off connections whose clients do not read.
//!
//! A response's bytes are in memory until the network takes them, and the network takes them only while the client
//! reads. Two things keep them back: a socket that takes no more, and with HTTP/2 a flow-control window that stays
//! shut while the socket goes on carrying pings. So two things are watched: whether the socket takes what is written,
//! and whether bytes of response bodies leave while there are some. A connection that is owed nothing may be idle for
//! as long as it likes; a subscription without events is owed nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long a client may take nothing of what is there for it.
pub const STALL: Duration = Duration::from_secs(60);

/// How often that is looked at: a stall lasts so much longer at most.
const LOOK: Duration = Duration::from_secs(10);

/// What one connection is owed, and whether it takes it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Pieces of bodies that have not left.
    owed: AtomicUsize,
    /// Goes on whenever bytes of a body leave.
    bodies: AtomicUsize,
    /// The socket does not take what is written.
    blocked: AtomicBool,
    /// Goes on whenever it does.
    writes: AtomicUsize,
}

/// A piece of a body that is on its way to the network.
#[derive(Debug)]
pub struct Owed(Arc<Progress>);

impl Owed {
    /// A piece of a body of this connection.
    #[must_use]
    pub fn on(progress: &Arc<Progress>) -> Self {
        progress.owed.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(progress))
    }

    /// Some of its bytes have left.
    pub fn moved(&self) {
        self.0.bodies.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.moved();
        self.0.owed.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Progress {
    /// Resolves when the client has taken nothing for [`STALL`] although there was something.
    pub async fn stalled(&self) {
        let (mut bodies, mut writes) = self.counts();
        let (mut body_moved, mut write_moved) = (Instant::now(), Instant::now());
        loop {
            tokio::time::sleep(LOOK).await;
            let now = Instant::now();
            let (bodies_now, writes_now) = self.counts();
            if bodies_now != bodies || self.owed.load(Ordering::Relaxed) == 0 {
                (bodies, body_moved) = (bodies_now, now);
            }
            if writes_now != writes || !self.blocked.load(Ordering::Relaxed) {
                (writes, write_moved) = (writes_now, now);
            }
            if now - body_moved >= STALL || now - write_moved >= STALL {
                return;
            }
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.bodies.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed))
    }

    fn wrote<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        self.blocked.store(outcome.is_pending(), Ordering::Relaxed);
        outcome
    }
}

/// A connection that tells whether it takes what is written.
#[derive(Debug)]
pub struct Watched<I> {
    io: I,
    progress: Arc<Progress>,
}

impl<I> Watched<I> {
    /// Watches a connection.
    pub fn new(io: I, progress: Arc<Progress>) -> Self {
        Self { io, progress }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buf)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, buf);
        self.progress.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, bufs);
        self.progress.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Polls `stalled` until it says so or so much time has passed.
    async fn stalls_within(progress: &Progress, limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        tokio::time::timeout(limit, progress.stalled()).await.ok().map(|()| begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_owed_nothing_may_be_idle() {
        let progress = Arc::new(Progress::default());
        assert_eq!(stalls_within(&progress, 100 * STALL).await, None);
        drop(Owed::on(&progress));
        assert_eq!(stalls_within(&progress, 100 * STALL).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_leave_are_progress_and_nothing_else_is() {
        let progress = Arc::new(Progress::default());
        let owed = Owed::on(&progress);
        let trickle = async {
            for _ in 0..20 {
                tokio::time::sleep(STALL / 2).await;
                owed.moved();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = trickle => {}
            stalled = stalls_within(&progress, 100 * STALL) => {
                let stalled = stalled.unwrap();
                assert!((11 * STALL..=11 * STALL + LOOK).contains(&stalled), "{stalled:?}");
            }
        }
        // Another piece that is there changes nothing as long as neither moves; pings do not count.
        let _other = Owed::on(&progress);
        let _ = progress.wrote(Poll::Ready(Ok(())));
        assert!(stalls_within(&progress, STALL + LOOK).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_takes_nothing_is_seen() {
        let progress = Arc::new(Progress::default());
        let (mut near, far) = duplex(8);
        let mut far = Watched::new(far, Arc::clone(&progress));
        let writer = tokio::spawn(async move { far.write_all(&[7; 40]).await });
        let reader = async {
            for _ in 0..3 {
                tokio::time::sleep(STALL / 2).await;
                near.read_exact(&mut [0; 4]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = reader => {}
            stalled = stalls_within(&progress, 100 * STALL) => {
                let stalled = stalled.unwrap();
                assert!((5 * STALL / 2..=5 * STALL / 2 + LOOK).contains(&stalled), "{stalled:?}");
            }
        }
        writer.abort();
    }
}
