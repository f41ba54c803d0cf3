//! Backends.

use b3scale_middleware::cluster;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::null_is_empty;

/// Our record of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backend {
    /// Identity, given by the server.
    pub id: Uuid,
    /// What was seen of the node.
    pub node_state: NodeState,
    /// What is wanted of it.
    pub admin_state: AdminState,
    /// When its agent was last heard of; `2000-01-01T00:00:00Z`: never.
    #[serde(with = "time::serde::rfc3339")]
    pub agent_heartbeat: OffsetDateTime,
    /// The subject of its agent's token.
    pub agent_ref: Option<String>,
    /// Why the node is not well.
    pub last_error: Option<String>,
    /// How long its last answer took, in nanoseconds, 2147483647 at most: tools keep it in 32 bits.
    pub latency: i64,
    /// Meetings that have their place there.
    pub meetings_count: u32,
    /// People in them.
    pub attendees_count: u32,
    /// How much a unit of load counts there: 2.0 is a node half as strong as one at 1.0.
    pub load_factor: f64,
    /// Where the node is and what its checksums are made with.
    pub bbb: NodeKeys,
    /// What frontends may ask for.
    pub settings: BackendSettings,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When its node last answered; `0001-01-01T00:00:00Z`: never.
    #[serde(with = "time::serde::rfc3339")]
    pub synced_at: OffsetDateTime,
}

/// Where a node is and what its checksums are made with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeKeys {
    /// The base URL of its API, ending in a slash: `https://node.example/bigbluebutton/api/`.
    pub host: String,
    /// What its checksums are made with.
    pub secret: String,
    /// The only algorithm of its checksums. `null`: it is found out. Not known to the original.
    #[serde(default)]
    #[schema(example = "sha512")]
    pub checksum_algorithm: Option<String>,
}

/// What frontends may ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct BackendSettings {
    /// The backend's tags, never `null`.
    #[serde(deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
}

/// What was seen of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It was not asked yet.
    Init,
    /// It answers and lists its meetings.
    Ready,
    /// It answers as BBB does, and its list of meetings cannot be used: its meetings stay, and new ones go elsewhere.
    Degraded,
    /// It does not answer, or not as BBB does.
    Error,
    /// Not written by this server, and kept because the original has it.
    Stopped,
    /// Not written by this server, and kept because the original has it.
    Decommissioned,
}

/// What is wanted of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// It is registered and not yet enabled.
    Init,
    /// It takes new meetings.
    Ready,
    /// It keeps its meetings and takes no new ones.
    Stopped,
    /// It is removed once its last meeting has ended.
    Decommissioned,
    /// It has just been removed.
    Destroyed,
}

impl From<cluster::NodeState> for NodeState {
    fn from(state: cluster::NodeState) -> Self {
        match state {
            cluster::NodeState::Init => Self::Init,
            cluster::NodeState::Ready => Self::Ready,
            cluster::NodeState::Degraded => Self::Degraded,
            cluster::NodeState::Error => Self::Error,
        }
    }
}

impl From<cluster::AdminState> for AdminState {
    fn from(state: cluster::AdminState) -> Self {
        match state {
            cluster::AdminState::Init => Self::Init,
            cluster::AdminState::Ready => Self::Ready,
            cluster::AdminState::Stopped => Self::Stopped,
            cluster::AdminState::Decommissioned => Self::Decommissioned,
        }
    }
}

/// What is to be changed about a backend. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackendChange {
    /// Needed with both when a backend is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbb: Option<NodeKeysChange>,
    /// What frontends may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<BackendSettings>,
    /// `ready` if it is not said when a backend is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_state: Option<AdminState>,
    /// 1 if it is not said when a backend is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_factor: Option<f64>,
}

/// What is to be changed about where a node is. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeKeysChange {
    /// The base URL of its API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What its checksums are made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `null` or empty: it is found out. Not known to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sha512")]
    pub checksum_algorithm: Option<String>,
}
