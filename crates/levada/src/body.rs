//! What the listener answers with: whole bytes, or frames that are made while the client reads them.
//!
//! Whole bytes are the hot path: nothing is boxed and nothing allocated for them. What they hold of the node's memory
//! goes with them as a part of the [`Chunk`] that the HTTP library queues until the network has taken it.

use std::convert::Infallible;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

use crate::listener::progress::{Owed, Progress};
use crate::memory::Share;

/// Frames that may wait for the connection. One, so that a reader that is slow meets records that are as fresh as
/// they can be, and holds as little memory as it can.
const WAITING_FRAMES: usize = 1;

/// A response's body.
#[derive(Debug, Default)]
pub struct Body {
    kind: Kind,
    /// The connection that takes it, once that is known.
    progress: Option<Arc<Progress>>,
}

#[derive(Debug)]
enum Kind {
    /// `None` when it has been taken.
    Whole(Option<Chunk>),
    Frames(Frames),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Whole(None)
    }
}

/// Bytes on their way to the network, and what they hold until they are gone.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Bytes,
    share: Option<Share>,
    owed: Option<Owed>,
}

impl Chunk {
    /// Bytes that hold their share of the node's memory.
    #[must_use]
    pub fn holding(bytes: impl Into<Bytes>, share: Share) -> Self {
        Self { bytes: bytes.into(), share: Some(share), owed: None }
    }
}

impl<B: Into<Bytes>> From<B> for Chunk {
    fn from(bytes: B) -> Self {
        Self { bytes: bytes.into(), share: None, owed: None }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(owed) = &self.owed {
            owed.moved();
        }
    }
}

/// The reading half of a stream of frames. The body ends, cleanly, when the [`FrameSender`] is dropped.
#[derive(Debug)]
pub struct Frames(mpsc::Receiver<Chunk>);

/// The writing half of a stream of frames.
#[derive(Debug)]
pub struct FrameSender(mpsc::Sender<Chunk>);

/// The client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client went away")]
pub struct Gone;

/// Room for one frame. Dropped unused, it is given back.
#[derive(Debug)]
pub struct Room<'a>(mpsc::Permit<'a, Chunk>);

/// A stream of frames.
#[must_use]
pub fn frames() -> (FrameSender, Frames) {
    let (sender, receiver) = mpsc::channel(WAITING_FRAMES);
    (FrameSender(sender), Frames(receiver))
}

impl FrameSender {
    /// Waits until the connection has taken the frames before, so that nothing need be made ahead of that.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn room(&self) -> Result<Room<'_>, Gone> {
        self.0.reserve().await.map(Room).map_err(|_| Gone)
    }

    /// Resolves as soon as the client is gone.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
}

impl Room<'_> {
    /// Sends the frame.
    pub fn send(self, frame: impl Into<Chunk>) {
        self.0.send(frame.into());
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(whole: B) -> Self {
        Self::of_chunk(Chunk::from(whole))
    }
}

impl Body {
    /// A body that is whole.
    #[must_use]
    pub fn of_chunk(whole: Chunk) -> Self {
        Self { kind: Kind::Whole(Some(whole).filter(|whole| !whole.is_empty())), progress: None }
    }

    /// A body that ends when the sender of these frames says so.
    #[must_use]
    pub fn of_frames(frames: Frames) -> Self {
        Self { kind: Kind::Frames(frames), progress: None }
    }

    /// Bytes that hold no share of the node's memory yet. Frames have theirs, or need none.
    #[must_use]
    pub fn unpaid(&self) -> usize {
        match &self.kind {
            Kind::Whole(Some(chunk)) if chunk.share.is_none() => chunk.len(),
            Kind::Whole(_) | Kind::Frames(_) => 0,
        }
    }

    /// Holds this share until the last byte has gone.
    pub fn hold(&mut self, share: Share) {
        if let Kind::Whole(Some(chunk)) = &mut self.kind {
            chunk.share = Some(share);
        }
    }

    /// Tells the connection what it is owed, and when it takes some.
    #[must_use]
    pub fn over(mut self, progress: &Arc<Progress>) -> Self {
        match &mut self.kind {
            Kind::Whole(Some(chunk)) => chunk.owed = Some(Owed::on(progress)),
            Kind::Whole(None) => {}
            Kind::Frames(_) => self.progress = Some(Arc::clone(progress)),
        }
        self
    }
}

impl hyper::body::Body for Body {
    type Data = Chunk;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Chunk>, Infallible>>> {
        let Self { kind, progress } = self.get_mut();
        match kind {
            Kind::Whole(whole) => Poll::Ready(whole.take().map(|chunk| Ok(Frame::data(chunk)))),
            Kind::Frames(frames) => frames.0.poll_recv(context).map(|frame| {
                let mut chunk = frame?;
                // What waits in the channel waits for this one.
                chunk.owed = progress.as_ref().map(Owed::on);
                Some(Ok(Frame::data(chunk)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.kind, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(whole) => SizeHint::with_exact(whole.as_ref().map_or(0, |chunk| chunk.len() as u64)),
            Kind::Frames(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::body::Body as _;

    use super::*;

    #[tokio::test]
    async fn whole_bytes_are_one_frame_of_known_length() {
        let body = Body::from("abc");
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        let body = Body::default();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
        assert!(body.collect().await.unwrap().to_bytes().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_come_as_they_are_sent_and_end_with_their_sender() {
        let (sender, frames) = frames();
        let mut body = Body::of_frames(frames);
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (None, false));
        sender.room().await.unwrap().send(&b"one"[..]);
        // The second has no room until the first is taken.
        let patience = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(patience, sender.room()).await.is_err());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap()[..], *b"one");
        sender.room().await.unwrap().send(&b"two"[..]);
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "two");
    }

    #[tokio::test]
    async fn a_dropped_body_tells_its_sender() {
        let (sender, frames) = frames();
        drop(Body::of_frames(frames));
        sender.gone().await;
        assert_eq!(sender.room().await.err(), Some(Gone));
    }
}
