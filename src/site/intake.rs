//! How much of a request's body is read, and how fast it must come.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bounds of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// The most bytes.
    pub largest: usize,
    /// The longest pause between two pieces.
    pub pause: Duration,
    /// The longest time in all.
    pub whole: Duration,
}

/// A body that is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// It has more bytes than the bound.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// It paused for too long, or took too long in all.
    #[error("the body came too slowly")]
    TooSlow,
    /// The connection ended before it, or it is no HTTP.
    #[error("the body ended too early")]
    Broken,
}

impl Intake {
    /// A body within these bounds. Its time begins now.
    pub(crate) fn bound<B>(self, body: B) -> Bound<B> {
        let end = Instant::now() + self.whole;
        Bound { body, timer: sleep_until(end.min(Instant::now() + self.pause)), end, intake: self, left: self.largest }
    }
}

pin_project! {
    /// A body that fails at its first bound.
    pub(crate) struct Bound<B> {
        #[pin]
        body: B,
        // Rings at the end of the pause or of the whole time, the earlier of the two.
        #[pin]
        timer: Sleep,
        end: Instant,
        intake: Intake,
        left: usize,
    }
}

impl<B: Body<Data = Bytes, Error: Error>> Body for Bound<B> {
    type Data = Bytes;
    type Error = IntakeError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, IntakeError>>> {
        let mut this = self.project();
        let Poll::Ready(frame) = this.body.poll_frame(cx) else {
            return this.timer.poll(cx).map(|()| Some(Err(IntakeError::TooSlow)));
        };
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame.map(|_| Err(IntakeError::Broken)));
        };
        let Some(left) = this.left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
            return Poll::Ready(Some(Err(IntakeError::TooLarge(this.intake.largest))));
        };
        *this.left = left;
        this.timer.as_mut().reset((Instant::now() + this.intake.pause).min(*this.end));
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use futures_util::stream::{self, StreamExt};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::timeout;

    use super::*;

    const INTAKE: Intake = Intake { largest: 8, pause: Duration::from_secs(2), whole: Duration::from_secs(5) };

    /// The read part of a body with pieces at these seconds.
    async fn read(pieces: &'static [(u64, &'static str)]) -> Result<Bytes, IntakeError> {
        let frames = stream::iter(pieces).then(|(seconds, piece)| async move {
            let _ = timeout(Duration::from_secs(*seconds), pending::<()>()).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes())))
        });
        let body = std::pin::pin!(INTAKE.bound(StreamBody::new(frames)));
        body.collect().await.map(http_body_util::Collected::to_bytes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_within_its_bounds_is_read_whole() {
        assert_eq!(read(&[]).await, Ok(Bytes::new()));
        assert_eq!(read(&[(1, "abcd"), (1, "ef"), (1, "gh"), (1, "")]).await, Ok(Bytes::from_static(b"abcdefgh")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_fails_at_its_first_bound() {
        assert_eq!(read(&[(0, "abcdefgh"), (0, "i")]).await, Err(IntakeError::TooLarge(8)));
        assert_eq!(read(&[(0, "a"), (3, "b")]).await, Err(IntakeError::TooSlow), "it paused");
        let drip = &[(1, "a"), (1, "b"), (1, "c"), (1, "d"), (1, "e"), (1, "f")];
        assert_eq!(read(drip).await, Err(IntakeError::TooSlow), "each piece came in time, and all of them too late");
    }
}
