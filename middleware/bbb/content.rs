//! The body of a request that has been read.

use bytes::Bytes;

use super::Media;

/// A body that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its type, as the peer names it. Parts are a form here.
    pub media: Media,
    /// The bytes as they came, or the form that the parts stand for.
    pub bytes: Bytes,
    /// The files among the parts. No node gets them.
    pub files: Vec<FilePart>,
}

/// A file in `multipart/form-data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// The name of its field.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Content {
    /// A body without files.
    pub fn new(media: Media, bytes: impl Into<Bytes>) -> Self {
        Self { media, bytes: bytes.into(), files: Vec::new() }
    }

    /// The file of that field. Of several the first counts.
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.iter().find(|file| file.name == name).map(|file| &file.bytes)
    }
}
