//! Shelves: where the files of recordings lie.

pub mod local;
mod path;
pub mod s3;

use std::error::Error;
use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

pub use path::{FilePath, FormatKey};

/// A failure of a shelf.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is no room left. Nothing was lost: the same may be tried again.
    #[error("no room left on {place}: {reason}")]
    Full {
        /// The folder or the bucket.
        place: String,
        /// The system's words.
        reason: String,
    },
    /// It cannot be used now. The same may be tried again.
    #[error("{place} cannot be used: {reason}")]
    Away {
        /// The folder or the bucket.
        place: String,
        /// The system's words.
        reason: Box<dyn Error + Send + Sync>,
    },
}

/// Where the files of a recording belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// Among those that a web server may serve.
    Published,
    /// Apart.
    Unpublished,
    /// In the trash.
    Deleted,
}

/// A part of a file, in bytes: from the first to before the second.
pub type Part = std::ops::Range<u64>;

/// The bytes of a file, in pieces that are read as they are wanted.
pub type Content = BoxStream<'static, Result<Bytes, ShelfError>>;

/// An open file: one content, even if the file is replaced meanwhile.
pub struct Opened {
    /// Its size in bytes.
    pub size: u64,
    /// Its last change.
    pub modified: SystemTime,
    /// Tells one content from another. It is no secret.
    pub tag: String,
    read: Read,
}

type Read = Box<dyn FnOnce(Part) -> BoxFuture<'static, Result<Content, ShelfError>> + Send + Sync>;

impl Opened {
    /// Bytes of our own making, as a file.
    pub(super) fn of(content: Bytes, modified: SystemTime, tag: String) -> Self {
        let size = content.len() as u64;
        let read = move |part: Part| {
            // Both ends are within the content.
            let bounds =
                usize::try_from(part.start).unwrap_or(usize::MAX)..usize::try_from(part.end).unwrap_or(usize::MAX);
            let bytes = content.slice(bounds);
            ready(Ok(stream::iter([Ok(bytes)]).boxed())).boxed()
        };
        Self { size, modified, tag, read: Box::new(read) }
    }

    /// The whole content, if it has at most so many bytes.
    ///
    /// # Errors
    /// As for [`Opened::read`].
    pub async fn whole(self, most: u64) -> Result<Option<Bytes>, ShelfError> {
        if self.size > most {
            return Ok(None);
        }
        let size = self.size;
        let whole = BytesMut::with_capacity(usize::try_from(size).unwrap_or_default());
        let pieces = self.read(0..size).await?;
        let append = |mut whole: BytesMut, piece: Bytes| {
            whole.extend_from_slice(&piece);
            ready(Ok(whole))
        };
        Ok(Some(pieces.try_fold(whole, append).await?.freeze()))
    }

    /// The bytes of a part. Its end is cut to the end of the file.
    ///
    /// # Errors
    /// The shelf cannot be used, or the content is gone.
    pub async fn read(self, part: Part) -> Result<Content, ShelfError> {
        let end = part.end.min(self.size);
        (self.read)(part.start.min(end)..end).await
    }
}

/// A content of a format: its place, and a stamp that a later content of the same place does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The place.
    pub place: String,
    /// The stamp. Contents on shelves that never use a place twice have none.
    pub stamp: String,
}

/// The outcome of a move to another tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shifted {
    /// The format is in that place.
    To(String),
    /// It has no files.
    Missing,
    /// Another content of it is there. Both stay.
    Taken(Stored),
}

/// A shelf.
///
/// A *place* is the shelf's own word for the spot where it put a format, and stays in the row of the format. A file that was put,
/// moved or written survives a loss of power from then on.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Its word in the table of formats: `local` or `s3`.
    fn name(&self) -> &'static str;

    /// Puts the content of a folder in place of an earlier one, and returns its place. The folder belongs to the shelf from the call
    /// on. An earlier content of the same place is replaced at once, and never missing. One of another place stays until it is
    /// removed.
    async fn put(&self, key: &FormatKey, tree: Tree, folder: &Path) -> Result<String, ShelfError>;

    /// Does as [`put`](Self::put), unless the place has a content. `None`: it has one.
    async fn add(&self, key: &FormatKey, tree: Tree, folder: &Path) -> Result<Option<String>, ShelfError>;

    /// Moves a format to another tree, unless it is there or another content is.
    async fn shift(&self, key: &FormatKey, place: &str, tree: Tree) -> Result<Shifted, ShelfError>;

    /// Removes the files of a format at one place. A format that is not there is no error.
    async fn remove(&self, key: &FormatKey, place: &str) -> Result<(), ShelfError>;

    /// Removes a content of a format. Another content that has come to its place stays.
    async fn remove_content(&self, key: &FormatKey, content: &Stored) -> Result<(), ShelfError>;

    /// Opens a file. `None`: there is no such file. A link is no file.
    async fn open(&self, key: &FormatKey, place: &str, path: &FilePath) -> Result<Option<Opened>, ShelfError>;

    /// Writes one file of a format, such as a caption, in place of an earlier one.
    async fn write(&self, key: &FormatKey, place: &str, path: &FilePath, content: Bytes) -> Result<(), ShelfError>;

    /// The files of a format with their sizes, in the order of their paths.
    async fn files(&self, key: &FormatKey, place: &str) -> Result<Vec<(String, u64)>, ShelfError>;

    /// The contents of a format that lie here, with and without a row.
    async fn contents(&self, key: &FormatKey) -> Result<Vec<Stored>, ShelfError>;

    /// The formats that lie here with their places, with and without a row.
    fn all(&self) -> BoxStream<'_, Result<(FormatKey, String), ShelfError>>;

    /// Whether a place lies in that tree. On a shelf without trees any place does.
    fn is_in(&self, place: &str, tree: Tree) -> bool;

    /// Removes remains of work that was interrupted before that time, and returns their number.
    async fn sweep(&self, before: SystemTime) -> Result<usize, ShelfError>;

    /// An address from which a browser can get a file by itself, for so long. `None`: this shelf has none.
    async fn link(
        &self,
        key: &FormatKey,
        place: &str,
        path: &FilePath,
        valid: Duration,
    ) -> Result<Option<String>, ShelfError>;
}
