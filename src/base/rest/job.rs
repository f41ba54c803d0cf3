//! Jobs: queued background work. The original has none.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// Work that is queued and done once, by any server. A job that is done is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Identity, given by the database.
    pub id: Uuid,
    /// The kind of work, such as `command`.
    pub kind: String,
    /// Jobs of one lane run one at a time, in their order. `null`: this job waits for no other.
    pub lane: Option<String>,
    /// The input of the work, in a form of its kind.
    pub payload: Value,
    /// Whether it waits, runs, or was given up.
    pub state: JobState,
    /// How often a server has begun it.
    pub attempts: u32,
    /// When it may run next, or was to run last.
    #[serde(with = "time::serde::rfc3339")]
    pub run_after: OffsetDateTime,
    /// The server that runs it.
    pub run_by: Option<Uuid>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was given up.
    #[serde(with = "time::serde::rfc3339::option")]
    pub poisoned_at: Option<OffsetDateTime>,
    /// When it was queued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits for a server, for its time, or for another job of its lane.
    Waiting,
    /// A server has it.
    Running,
    /// It has failed too often, or cannot succeed. It is not run again unless an operator asks for that.
    Poisoned,
}
