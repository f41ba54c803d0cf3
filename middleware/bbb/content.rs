//! The body of a request, as it travels to a node.

use bytes::Bytes;

use super::Media;

/// A body that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its type, as the peer names it.
    pub media: Media,
    /// The bytes as they came.
    pub bytes: Bytes,
}
