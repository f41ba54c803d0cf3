//! A connection's place rests once its answer has been handed over, and not while a stream is still being sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::places::Place;

pin_project! {
    /// A body. At its end a place rests.
    pub(super) struct Resting<B> {
        #[pin]
        body: B,
        _end: End,
    }
}

impl<B> Resting<B> {
    pub(super) fn new(body: B, place: Arc<Place>) -> Self {
        Self { body, _end: End(place) }
    }
}

struct End(Arc<Place>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl<B: Body> Body for Resting<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
