//! A body that has not been read.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::bbb::{Content, FilePart, Media};
use crate::call::{Body, BodySource};
use crate::fault::Fault;

/// A body that waits at the peer, and remembers whether it was taken.
#[derive(Clone, Debug)]
pub struct Waiting {
    content: Content,
    read: Arc<Mutex<bool>>,
}

impl Waiting {
    /// A body of some media type.
    pub fn new(media: Media, text: &str) -> Self {
        Self { content: Content::new(media, text.to_owned()), read: Arc::default() }
    }

    /// The same with a file among its parts.
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.content.files.push(FilePart { name: name.to_owned(), bytes: bytes.to_vec().into() });
        self
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
        self.content.media
    }

    fn read(&self) -> BoxFuture<'_, Result<Content, Fault>> {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = true;
        ready(Ok(self.content.clone())).boxed()
    }
}
