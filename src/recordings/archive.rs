//! Archives of recordings: tars, plain or compressed by gzip, with files at `<format>/<record id>/…`.
//!
//! An archive may come from a broken or a hostile machine, so nothing in it is believed. An entry that no recording has refuses its
//! format. A path that leads elsewhere, a bomb, and an archive without its end refuse all of it. The files are on the disk when
//! [`unpack()`] returns.

mod content;
mod path;
mod source;
mod tar;
mod unpack;

use std::io;

use b3scale_middleware::bbb::cut;

use super::shelf::FormatKey;

pub use content::Content;
pub(super) use unpack::free_space;
pub use unpack::{Unpacked, UnpackedFormat, has_end, unpack};

/// Bounds of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of all files.
    pub bytes: u64,
    /// The most files and folders.
    pub files: u64,
    /// The space in bytes that stays free on the disk.
    pub keep_free: u64,
}

impl Limits {
    fn too_large(self) -> ArchiveError {
        ArchiveError::TooLarge(format!("{} GiB", self.bytes >> 30))
    }
}

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It has no end: a copy was cut off.
    #[error("the archive is incomplete: it ends before the mark of its end")]
    Incomplete,
    /// It is no archive, or a damaged one.
    #[error("the archive is damaged: {0}")]
    Broken(String),
    /// An entry is not safe, or does not belong in an archive of recordings.
    #[error("the archive is refused: `{path}` {problem}; files belong at `<format>/<record id>/…`")]
    Unsafe {
        /// The path of the entry.
        path: String,
        /// The problem.
        problem: &'static str,
    },
    /// It has more or larger files than the limits allow.
    #[error("the archive is refused: it has more than {0}")]
    TooLarge(String),
    /// It shrinks by compression as no recording does.
    #[error("the archive is refused: it grows more than {0} times when it is unpacked")]
    Bomb(u64),
    /// There is no recording in it.
    #[error("the archive is refused: it has no recording")]
    Empty,
    /// There is no room for its files.
    #[error("no room left for the files of the archive: {0}")]
    Full(String),
    /// The folder for its files cannot be used.
    #[error("writing the files of the archive failed: {0}")]
    Disk(io::Error),
    /// The archive cannot be read now.
    #[error("reading the archive failed: {0}")]
    Source(io::Error),
}

impl ArchiveError {
    /// Whether another attempt may succeed.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Disk(_) | Self::Source(_))
    }

    fn broken(why: &str) -> Self {
        Self::Broken(why.to_owned())
    }

    fn unsafe_path(path: &str, problem: &'static str) -> Self {
        Self::Unsafe { path: cut(path).into_owned(), problem }
    }

    /// The meaning of an error of the decompression, or of the source below it.
    fn of_source(error: io::Error) -> Self {
        match (error.kind(), error.downcast()) {
            (_, Ok(ours)) => ours,
            (io::ErrorKind::UnexpectedEof, _) => Self::Incomplete,
            (io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData, Err(error)) => Self::Broken(error.to_string()),
            (_, Err(error)) => Self::Source(error),
        }
    }

    fn of_disk(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error.to_string()),
            _ => Self::Disk(error),
        }
    }
}

#[cfg(test)]
mod tests;
