//! The cluster's configuration as one document, to be kept, read, changed and put back.
//!
//! Not known to the original.

use std::collections::BTreeMap;

use b3scale_middleware::cluster::{RecordingFormat, Visibility};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{StateBackend, StateFrontend};

/// The version of the documents that this program writes and reads.
pub const VERSION: u32 = 1;

/// Frontends and backends as one document.
///
/// A frontend is known by its key, a backend by its host. Fields missing from an entry are set to their defaults, so that the
/// document alone decides. Entries missing from it stay, unless deletion is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateDocument {
    /// Always 1.
    pub version: u32,
    /// The frontends by their key.
    #[serde(default)]
    pub frontends: Vec<StateFrontend>,
    /// The backends by their host.
    #[serde(default)]
    pub backends: Vec<StateBackend>,
    /// Running meetings that are brought over from another system, and never exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meetings: Vec<ImportedMeeting>,
    /// Past meetings of another system: their recordings may still come. Never exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryRow>,
    /// Recordings of another system, without their files. Never exported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<ImportedRecording>,
}

/// A running meeting that is brought over from another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedMeeting {
    /// The id its node knows it by.
    pub id: String,
    /// The id its frontend knows it by.
    pub meeting_id: String,
    /// The key of its frontend.
    pub frontend: String,
    /// The host of its backend.
    pub backend: String,
    /// The node's own id of it, if it is known.
    #[serde(default)]
    pub internal_id: Option<String>,
    /// The node's time of its creation, in milliseconds since 1970.
    #[serde(default)]
    pub create_time: Option<i64>,
    /// Whether it is a breakout of another one.
    #[serde(default)]
    pub breakout: bool,
    /// Its metadata with addresses of the other system, which its node calls.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub callbacks: BTreeMap<String, String>,
}

/// A meeting that ran in another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryRow {
    /// The id its node knew it by.
    pub id: String,
    /// The id its frontend knew it by.
    pub meeting_id: String,
    /// The key of its frontend.
    pub frontend: String,
    /// When it was last seen there.
    #[serde(with = "time::serde::rfc3339")]
    pub seen_at: OffsetDateTime,
}

/// A recording that is brought over from another system, without its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedRecording {
    /// Its id: the node's internal id of the meeting.
    pub record_id: String,
    /// The key of its frontend.
    pub frontend: String,
    /// The meeting, by the frontend's id.
    pub meeting_id: String,
    /// The meeting, by the node's id.
    pub internal_meeting_id: String,
    /// The name of the meeting.
    pub name: String,
    /// Whether the meeting was a breakout.
    #[serde(default)]
    pub is_breakout: bool,
    /// Who may see it.
    pub visibility: Visibility,
    /// When the meeting began, in milliseconds since 1970.
    pub start_time: i64,
    /// When the meeting ended, in milliseconds since 1970.
    pub end_time: i64,
    /// How many people came.
    #[serde(default)]
    pub participants: i64,
    /// Its metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Its formats. Links are paths on the host of playback.
    pub formats: Vec<RecordingFormat>,
    /// When it was added there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
}

/// What putting a document back changes, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateChanges {
    /// Whether it was done. `false`: it was only asked for.
    pub applied: bool,
    /// Everything that differs, in the order of the document. Empty: nothing.
    pub changes: Vec<Change>,
    /// Names these changes. Sent with the document, it makes sure that these are done and no others.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What another entry has here, so that it was left out of the document. A sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The change.
    pub kind: ChangeKind,
    /// `frontend`, `backend`, `meeting`, `history` or `recording`.
    pub what: String,
    /// Its key, host or id.
    pub name: String,
    /// What changes in it, a line each, as `settings.required_tags: ["a"] → ["a","b"]`. Secrets are not shown.
    pub details: Vec<String>,
}

/// The change of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is added.
    Add,
    /// It is changed.
    Change,
    /// It is deleted.
    Delete,
}
