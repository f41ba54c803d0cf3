//! The bodies of the REST API, as the server writes them and the command line reads them.
//!
//! Names, cases and orders are those of the original b3scale, for its tools: no field is ever left out, an absent one is `null`.
//! Fields beyond the original say so. Times are UTC, in RFC 3339.

mod backend;
pub mod check;
mod command;
mod frontend;
mod ingest;
mod insight;
mod job;
mod meeting;
mod problem;
mod state;
mod status;
mod words;

use serde::{Deserialize, Deserializer};

pub use b3scale_middleware::cluster::{
    Attendee as NodeAttendee, AttendeeChange, NodeEvent as Event, NodeFigures, NodeMeeting, Receipt,
};
pub use backend::{AdminState, Backend, BackendChange, BackendSettings, NodeKeys, NodeKeysChange, NodeState};
pub use command::{Command, CommandState, Heartbeat, NewCommand, RpcReply, RpcRequest, RpcStatus};
pub use frontend::{
    AttendeesLimit, DefaultPresentation, Frontend, FrontendChange, FrontendKeys, FrontendKeysChange, FrontendSettings,
    Params, RecordingSettings, Visibility,
};
pub use ingest::{Batch, Snapshot, SnapshotMeeting};
pub use insight::{
    BackendReport, Candidate, ClusterReport, Explanation, FrontendReport, PipelineReport, Server, Verdict,
};
pub use job::{Job, JobState};
pub use meeting::{Attendee, Breakout, Meeting, MeetingChange, MeetingInfo, MeetingStage};
pub use problem::Problem;
pub use state::lost;
pub use state::{
    Change, ChangeKind, HistoryRow, ImportedMeeting, StateBackend, StateChanges, StateDocument, StateFrontend, VERSION,
};
pub use status::without_database;
pub use status::{Migration, SchemaStatus, Status};

/// The product by which our agents name themselves in `User-Agent`.
pub const AGENT: &str = "b3scaleagent";

/// Reads a list or a map for which other programs may write `null`.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(value)?.unwrap_or_default())
}
