//! Commands, and what agents send.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Something that was asked for, done by whichever server comes first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    /// Identity, given by the server.
    pub id: Uuid,
    /// In the order of the requests.
    pub seq: i64,
    /// How far it has come.
    pub state: CommandState,
    /// What is to be done.
    pub action: String,
    /// With what.
    pub params: Option<Value>,
    /// What came of it; why not, if it failed.
    pub result: Option<Value>,
    /// When it is of no use any more.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it was done.
    #[serde(with = "time::serde::rfc3339::option")]
    pub stopped_at: Option<OffsetDateTime>,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CommandState {
    /// It is to be done. `started_at` says when a server has begun.
    Requested,
    /// Not said by this server, and kept because the original has it.
    Running,
    /// It is done.
    Success,
    /// It could not be done.
    Error,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NewCommand {
    /// `end_all_meetings` with the parameter `BackendID`, or `end_meeting` with `ID`, which the original does not have.
    pub action: String,
    /// The action's parameters.
    #[serde(default)]
    pub params: Option<Value>,
}

/// When an agent was last heard of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// Whose node.
    pub backend_id: Uuid,
    /// Now.
    #[serde(with = "time::serde::rfc3339")]
    pub heartbeat: OffsetDateTime,
}

/// What the agent of the original says of a meeting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RpcRequest {
    /// What has happened.
    pub action: String,
    /// To what: a JSON object, or the same as base64, which is what the original's agent sends.
    #[serde(default)]
    pub payload: Value,
}

/// What is said of that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RpcReply {
    /// Whether it was understood.
    pub status: RpcStatus,
    /// `null`, or what is wrong.
    pub result: Value,
}

/// Whether an agent was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RpcStatus {
    /// It was.
    Ok,
    /// It was not.
    Error,
}
