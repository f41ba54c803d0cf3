//! Commands, and what agents send.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// A command, carried out by any server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Command {
    /// Identity, given by the server.
    pub id: Uuid,
    /// In the order of the requests.
    pub seq: i64,
    /// How far it has come.
    pub state: CommandState,
    /// The action.
    pub action: String,
    /// With what.
    pub params: Option<Value>,
    /// Its result, or its error.
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
    /// It is queued or running. `started_at` says when a server has begun.
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

/// An agent's last heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// The node's backend.
    pub backend_id: Uuid,
    /// Now.
    #[serde(with = "time::serde::rfc3339")]
    pub heartbeat: OffsetDateTime,
}

/// An event of the original's agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RpcRequest {
    /// The event.
    pub action: String,
    /// Its subject: a JSON object, or the same as base64, as the original's agent sends it.
    #[serde(default)]
    pub payload: Value,
}

/// The answer to that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RpcReply {
    /// Whether it was understood.
    pub status: RpcStatus,
    /// `null`, or the error.
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
