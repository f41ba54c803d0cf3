//! Shelves: where the files of recordings lie.

use std::error::Error;
use std::path::Path;
use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_middleware::cluster::RecordId;
use bytes::Bytes;
use futures_util::stream::BoxStream;

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

/// One format of one recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormatKey {
    /// The recording.
    pub record: RecordId,
    /// The format: letters, digits, `-` and `_`, 64 at most.
    pub format: String,
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

/// An open file.
pub struct Opened {
    /// Its size in bytes.
    pub size: u64,
    /// Its last change.
    pub modified: SystemTime,
    /// Tells one content from another. It is no secret.
    pub tag: String,
    /// Its bytes, or those of the wanted range.
    pub content: BoxStream<'static, Result<Bytes, ShelfError>>,
}

/// A part of a file, in bytes: from the first to before the second.
pub type Part = std::ops::Range<u64>;

/// Where files of recordings lie.
///
/// A *place* is the shelf's own word for the spot where it put a format, and stays in the row of the format.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// Its word in the table of formats: `local` or `s3`.
    fn name(&self) -> &'static str;

    /// Puts a folder in place of an earlier content of that format, durably. Returns its place. The earlier content stays readable
    /// until then, and the folder belongs to the shelf from the call on.
    async fn put(&self, key: &FormatKey, tree: Tree, folder: &Path) -> Result<String, ShelfError>;

    /// Moves a format to another tree, unless it is there. Returns its place.
    async fn shift(&self, key: &FormatKey, place: &str, tree: Tree) -> Result<String, ShelfError>;

    /// Removes a format. One that is not there is no error.
    async fn remove(&self, key: &FormatKey, place: &str) -> Result<(), ShelfError>;

    /// Opens a file, or a part of it; a part beyond its end is cut. `None`: there is no such file. `path` is relative, has no empty
    /// segment, no `.` and no `..`.
    async fn open(
        &self,
        key: &FormatKey,
        place: &str,
        path: &str,
        part: Option<Part>,
    ) -> Result<Option<Opened>, ShelfError>;

    /// Size and change of a file without its bytes.
    async fn look(&self, key: &FormatKey, place: &str, path: &str) -> Result<Option<Opened>, ShelfError>;

    /// Writes one file of a format, such as a caption, in place of an earlier one.
    async fn write(&self, key: &FormatKey, place: &str, path: &str, content: Bytes) -> Result<(), ShelfError>;

    /// The files of a format with their sizes, in the order of their paths.
    async fn files(&self, key: &FormatKey, place: &str) -> Result<Vec<(String, u64)>, ShelfError>;

    /// All formats that lie here, whether a row names them or not.
    async fn all(&self) -> Result<Vec<(FormatKey, String)>, ShelfError>;
}
