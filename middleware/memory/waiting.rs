//! A body that has not been read.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::bbb::Media;
use crate::call::{Body, BodySource};
use crate::fault::Fault;

/// A body that waits at the peer, and remembers whether it was taken.
#[derive(Clone, Debug)]
pub struct Waiting {
    media: Media,
    bytes: Bytes,
    read: Arc<Mutex<bool>>,
}

impl Waiting {
    /// A body of some media type.
    pub fn new(media: Media, text: &str) -> Self {
        Self { media, bytes: Bytes::copy_from_slice(text.as_bytes()), read: Arc::default() }
    }

    /// The body as a call holds it.
    pub fn waiting(&self) -> Body {
        Body::Unread(Arc::new(self.clone()))
    }

    /// Whether a stage took it in.
    pub fn was_read(&self) -> bool {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodySource for Waiting {
    fn media(&self) -> Media {
        self.media
    }

    fn read(&self) -> BoxFuture<'_, Result<Bytes, Fault>> {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = true;
        ready(Ok(self.bytes.clone())).boxed()
    }
}
