//! The bodies of the REST API, as the server writes them and the command line reads them.
//!
//! Names, cases and orders are those of the original b3scale, for its tools: no field is ever left out, an absent one is `null`.
//! Fields beyond the original say so. Times are UTC, in RFC 3339.

mod backend;
pub mod check;
mod command;
mod delivery;
mod frontend;
mod hook;
mod ingest;
mod insight;
mod job;
mod meeting;
mod problem;
mod recording;
mod recording_files;
pub mod shape;
mod state;
mod status;
mod strict;
mod upload;
mod words;

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;

pub use b3scale_middleware::cluster::{
    Attendee as NodeAttendee, AttendeeChange, AttendeesLimit, CallbackKind, DefaultPresentation, DeliveryState,
    FrontendSettings, HookState, MappedEvent, NodeEvent as Event, NodeFigures, NodeMeeting, ParamMap as Params,
    RawJson, Receipt, RecordingSettings, Visibility, Wants, WebhookSettings,
};
pub use backend::{
    AdminState, BACKEND, Backend, BackendChange, BackendSettings, NodeKeys, NodeKeysChange, NodeState, StateBackend,
};
pub use command::{Command, CommandState, Heartbeat, NewCommand, RpcReply, RpcRequest, RpcStatus};
pub use delivery::Delivery;
pub use frontend::{FRONTEND, Frontend, FrontendChange, FrontendKeys, FrontendKeysChange, StateFrontend};
pub use hook::Hook;
pub use ingest::{Batch, Snapshot, SnapshotMeeting};
pub use insight::{
    BackendReport, Candidate, ClusterReport, Explanation, FrontendReport, PipelineReport, Server, StageKind, StageRole,
    Verdict,
};
pub use job::{Job, JobState};
pub use meeting::{Attendee, Breakout, Meeting, MeetingChange, MeetingInfo, MeetingStage};
pub use problem::Problem;
pub use recording::{
    ASSIGNMENT, Assignment, Format, Image, Images, Preview, Recording, RecordingInfo, VISIBILITY, VisibilityChange,
    XmlName,
};
pub use recording_files::{
    FileProblem, FileProblemKind, FormatFiles, MOVE, OverdueReason, OverdueRecording, RecordingMove, Retention,
    RetentionStep, VerifyLine, VerifyProgress, VerifyTotals,
};
pub use state::{
    Change, ChangeKind, HistoryRow, ImportedMeeting, ImportedRecording, StateChanges, StateDocument, VERSION,
};
pub use status::without_database;
pub use status::{Migration, SchemaStatus, Status};
pub use strict::lost;
pub use upload::{Announcement, UPLOADS, Upload, UploadState};

/// The product by which our agents name themselves in `User-Agent`.
pub const AGENT: &str = "b3scaleagent";

/// Reads a list or a map for which other programs may write `null`.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// A text without white space around it. `None`: nothing is left.
fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The time of a row. An unstored row has none.
fn shown(time: Option<SystemTime>) -> OffsetDateTime {
    time.map_or(OffsetDateTime::UNIX_EPOCH, OffsetDateTime::from)
}
