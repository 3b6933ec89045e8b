//! What the listener answers with: whole bytes, or frames that are made while the client reads them.
//!
//! Whole bytes are the hot path: nothing is boxed and nothing allocated for them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// Frames that may wait for the connection. One, so that a reader that is slow meets records that are as fresh as
/// they can be, and holds as little memory as it can.
const WAITING_FRAMES: usize = 1;

/// A response's body.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Bytes),
    Frames(Frames),
}

/// The reading half of a stream of frames. The body ends, cleanly, when the [`FrameSender`] is dropped.
#[derive(Debug)]
pub struct Frames(mpsc::Receiver<Bytes>);

/// The writing half of a stream of frames.
#[derive(Debug)]
pub struct FrameSender(mpsc::Sender<Bytes>);

/// The client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client went away")]
pub struct Gone;

/// Room for one frame. Dropped unused, it is given back.
#[derive(Debug)]
pub struct Room<'a>(mpsc::Permit<'a, Bytes>);

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
    pub fn send(self, frame: Bytes) {
        self.0.send(frame);
    }
}

impl Default for Body {
    fn default() -> Self {
        Self(Kind::Whole(Bytes::new()))
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(whole: B) -> Self {
        Self(Kind::Whole(whole.into()))
    }
}

impl Body {
    /// A body that ends when the sender of these frames says so.
    #[must_use]
    pub fn of_frames(frames: Frames) -> Self {
        Self(Kind::Frames(frames))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Frames(frames) => frames.0.poll_recv(context).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Frames(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
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
        sender.room().await.unwrap().send(Bytes::from_static(b"one"));
        // The second has no room until the first is taken.
        let patience = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(patience, sender.room()).await.is_err());
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        sender.room().await.unwrap().send(Bytes::from_static(b"two"));
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
