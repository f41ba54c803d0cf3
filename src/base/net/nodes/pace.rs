//! Answers that come too slowly: a node that stalls in its answer holds the call no longer than a node that never answers.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

/// The bytes of an answer that must have come by the end of each pause.
const LEAST: usize = 16 << 10;

/// The answer came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("less than {LEAST} bytes within {} s", pause.as_secs())]
pub(super) struct Stalled {
    pub(super) pause: Duration,
}

pin_project! {
    /// A body that fails when it stalls.
    pub(super) struct Paced<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Sleep,
        pause: Duration,
        came: usize,
    }
}

impl<B> Paced<B> {
    /// Within each `pause` the body has to end, or to bring a few kilobytes.
    pub(super) fn new(body: B, pause: Duration) -> Self {
        Self { body, timer: sleep(pause), pause, came: 0 }
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                *this.came += data.len();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        while this.timer.as_mut().poll(cx).is_ready() {
            if *this.came < LEAST {
                return Poll::Ready(Some(Err(Stalled { pause: *this.pause }.into())));
            }
            *this.came = 0;
            this.timer.as_mut().reset(Instant::now() + *this.pause);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
