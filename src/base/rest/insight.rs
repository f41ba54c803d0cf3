//! Resources beyond the original: the cluster at a glance, placement explained, the pipeline.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{AdminState, NodeState};

/// The whole cluster at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterReport {
    /// Why the database cannot be used, and so no meeting be created. `null`: it can. While it does not answer, the rest is what
    /// the server that was asked remembers.
    #[serde(default)]
    pub database: Option<String>,
    /// The servers, the oldest first.
    pub servers: Vec<Server>,
    /// The backends by their URL.
    pub backends: Vec<BackendReport>,
    /// The frontends by their key.
    pub frontends: Vec<FrontendReport>,
}

/// A server of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Server {
    /// New at each start.
    pub id: Uuid,
    /// The name of its machine.
    #[serde(default)]
    pub host: String,
    /// Where it listens. Empty: it is starting.
    pub address: String,
    /// Of the program.
    pub version: String,
    /// Of the pipeline that it runs.
    pub pipeline_hash: String,
    /// When it was started.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// Seconds since its last beat.
    pub beat_age: f64,
    /// Whether it beats. A silent server is lost.
    pub alive: bool,
    /// Whether it answers this request.
    pub answering: bool,
    /// Problems that keep the answering server from being ready; unknown for the others.
    pub problems: Vec<String>,
}

impl Server {
    /// Whether it takes calls.
    pub fn serves(&self) -> bool {
        self.alive && !self.address.is_empty()
    }
}

/// A backend, its node's health, and whether it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackendReport {
    /// Identity.
    pub id: Uuid,
    /// The base URL of its API.
    pub host: String,
    /// Its admin state.
    pub admin_state: AdminState,
    /// The observed state of the node.
    pub node_state: NodeState,
    /// Why it takes no new meetings. `null`: it takes them.
    pub reason: Option<String>,
    /// What else an operator should look at, a sentence each.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// Seconds since its agent's last batch. `null`: it has none.
    pub heartbeat_age: Option<f64>,
    /// How busy its processors are by the agent's word, from 0 to 1.
    pub cpu: Option<f32>,
    /// How full its memory is by the agent's word, from 0 to 1.
    pub memory: Option<f32>,
    /// What new meetings are placed by: the lower, the sooner.
    pub load: f64,
    /// Meetings that have their place there.
    pub meetings: u32,
    /// People in them.
    pub attendees: u32,
    /// How long its last answer took, in nanoseconds.
    pub latency: i64,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A frontend with its meetings and attendees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FrontendReport {
    /// Identity.
    pub id: Uuid,
    /// Its key.
    pub key: String,
    /// Whether it is served.
    pub active: bool,
    /// Its meetings.
    pub meetings: u32,
    /// People in them.
    pub attendees: u32,
}

/// Why a meeting would be placed where it would.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Why no meeting can be created now, wherever it would go: the database cannot be used. `null`: it can.
    #[serde(default)]
    pub database: Option<String>,
    /// The key of the frontend that would create it.
    pub frontend: String,
    /// The URL of the backend that would take it. `null`: none would.
    pub chosen: Option<String>,
    /// Every backend, usable ones first.
    pub candidates: Vec<Candidate>,
}

/// A backend that was considered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Candidate {
    /// Identity.
    pub id: Uuid,
    /// The base URL of its API.
    pub host: String,
    /// The verdict on it.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
    /// The stage that left it out.
    pub stage: Option<String>,
    /// Its load, where it came to that.
    pub load: Option<f64>,
}

/// The verdict on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It would take the meeting.
    Chosen,
    /// It could, and another would.
    Outranked,
    /// A stage left it out.
    Refused,
}

/// The pipeline that a server runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PipelineReport {
    /// Of its text. Servers that run the same say the same.
    pub hash: String,
    /// Its file. `null`: the compiled-in one.
    pub file: Option<String>,
    /// The plan of every route, as `b3scaled --check` prints it.
    pub plan: String,
}

/// A kind of stage or endpoint, with its contract in a create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageKind {
    /// Its name in a pipeline file.
    pub kind: String,
    /// Its place on a route.
    #[serde(rename = "is")]
    pub role: StageRole,
    /// The facts that a stage before it must give.
    pub needs: Vec<String>,
    /// The facts that it establishes.
    pub gives: Vec<String>,
    /// The facts that no later stage has.
    pub takes: Vec<String>,
    /// The only calls that it is made for. Empty: all.
    pub only: Vec<String>,
}

/// The place of a kind on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageRole {
    /// Before the end.
    Stage,
    /// At the end.
    Endpoint,
}
