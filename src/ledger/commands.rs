//! Commands: what operators ask for, and any server carries out.

use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_postgres::StoreError;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// The kind of the jobs that carry commands out. Their payload is the `id` of the command.
pub const COMMAND_JOB: &str = "command";

/// Carrying out commands.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Begins a command, again if a lost server has begun it. Past its deadline it fails instead. `None`: it is done.
    async fn begin_command(&self, id: Uuid) -> Result<Option<Command>, StoreError>;

    /// Records the result of a command. `false`: another server has begun it meanwhile, or it is done.
    async fn finish_command(&self, begun: &Command, outcome: Result<Value, String>) -> Result<bool, StoreError>;
}

/// The progress of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandState {
    /// It is queued.
    Requested,
    /// A server has begun it.
    Running,
    /// It is done.
    Success,
    /// It failed.
    Error,
}

/// Something to be done by any one server.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Identity in the store.
    pub id: Uuid,
    /// In the order of the requests.
    pub seq: i64,
    /// How far it has come.
    pub state: CommandState,
    /// The action.
    pub action: String,
    /// With what.
    pub params: Option<Value>,
    /// Its result, or the error.
    pub result: Option<Value>,
    /// When it is of no use any more.
    pub deadline: SystemTime,
    /// When it was begun, the last time.
    pub started_at: Option<SystemTime>,
    /// When it was done.
    pub stopped_at: Option<SystemTime>,
    /// When it was asked for.
    pub created_at: SystemTime,
}
