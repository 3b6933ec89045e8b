//! Where blocking work is done: compression, and calls of [`levada_core::env::Disk`].

/// Where blocking work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// On tokio's pool of blocking threads.
    Pool,
    /// On the calling task: a simulation has one thread.
    Inline,
}

/// The work panicked, or the runtime is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("blocking work was given up")]
pub struct GivenUp;

impl Blocking {
    /// Runs `work`. If the future is dropped, work that has begun on the pool still runs to its end.
    ///
    /// # Errors
    /// [`GivenUp`].
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
        match self {
            Self::Inline => Ok(work()),
            Self::Pool => tokio::task::spawn_blocking(work).await.map_err(|_| GivenUp),
        }
    }
}
