//! What commands say on their standard error, as lines of the log.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::function::SaidBy;

/// Longest part of a line that is told, in bytes.
const LINE_BYTES: usize = 2_048;
/// Lines of one invocation that are told; of the others, how many there were.
const LINES: u64 = 100;
/// How long to wait for what is still in the pipe when the process has ended: whatever it has started may hold it open.
const REST: Duration = Duration::from_millis(100);

/// The standard error of one invocation.
pub(super) struct Said<'a, R> {
    by: &'a SaidBy,
    from: Option<R>,
    line: Vec<u8>,
    lines: u64,
}

impl<'a, R: AsyncRead + Unpin> Said<'a, R> {
    pub(super) fn new(by: &'a SaidBy, from: Option<R>) -> Self {
        Self { by, from, line: Vec::new(), lines: 0 }
    }

    /// Tells what comes next; never done when there is no more. May be dropped and called again.
    pub(super) async fn line(&mut self) {
        let Some(from) = &mut self.from else { return std::future::pending().await };
        let mut bytes = [0; 4_096];
        let read = from.read(&mut bytes).await;
        match read {
            Ok(0) | Err(_) => self.from = None,
            Ok(count) => self.take(&bytes[..count]),
        }
    }

    /// Tells what is left.
    pub(super) async fn rest(mut self) {
        let all = async {
            while self.from.is_some() {
                self.line().await;
            }
        };
        let _ = tokio::time::timeout(REST, all).await;
        if !self.line.is_empty() {
            self.tell();
        }
        if let Some(more @ 1..) = self.lines.checked_sub(LINES) {
            let SaidBy { function, delivery_stream } = self.by;
            tracing::info!(delivery_stream, function, lines = more, "the function said more on its standard error");
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.tell(),
                _ if self.line.len() < LINE_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn tell(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.lines += 1;
        if self.lines <= LINES {
            let SaidBy { function, delivery_stream } = self.by;
            let line = String::from_utf8_lossy(&line);
            tracing::info!(delivery_stream, function, %line, "the function said on its standard error");
        }
    }
}
