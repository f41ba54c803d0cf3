//! The upload of an archive of a recording by a node.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where uploads go.
pub const UPLOADS: &str = "/api/v1/recordings/upload";

/// An archive that a node is about to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The recording.
    pub record_id: String,
    /// Its format.
    pub format: String,
    /// The size of the archive in bytes.
    pub length: u64,
    /// The SHA-256 of the archive, in hexadecimal digits.
    pub sha256: String,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: Uuid,
    /// Its state.
    pub state: UploadState,
    /// Why it is refused, or why it waits for another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The size of the archive in bytes.
    pub length: u64,
    /// The SHA-256 of the archive, in hexadecimal digits. The server compares it before it imports.
    pub sha256: String,
    /// The size in bytes of each chunk but the last.
    pub chunk_size: u64,
    /// The numbers of the chunks that are not there.
    pub missing: Vec<u64>,
}

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// Chunks are missing.
    Receiving,
    /// Its import is queued.
    Waiting,
    /// A server imports it.
    Running,
    /// Its files are in their place and listed. The node may delete its copy.
    Imported,
    /// It cannot be imported as it is.
    Refused,
}
