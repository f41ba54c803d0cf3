//! Backends, in the original's shape and as entries of a [`StateDocument`](super::StateDocument).

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{self, NodeStatus};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::datetime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::check::{LOAD_FACTORS, Wrong, said};
use super::shape::Shape;
use super::{filled, null_is_empty, shown};
use crate::net::url::base_url;

/// Our record of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backend {
    /// Identity, given by the server.
    pub id: Uuid,
    /// The observed state of the node.
    pub node_state: NodeState,
    /// Its admin state.
    pub admin_state: AdminState,
    /// Its agent's last heartbeat; `2000-01-01T00:00:00Z`: never.
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
    /// Address and secret of the node.
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

/// The time of a heartbeat that never came, as the original has it.
const NO_HEARTBEAT: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);

/// Go's time that is not set.
const NEVER: OffsetDateTime = datetime!(0001-01-01 00:00 UTC);

/// The largest latency, in nanoseconds: tools keep it in 32 bits.
const LONGEST_LATENCY: i64 = i32::MAX as i64;

impl Backend {
    /// A backend and the last answers of its node.
    pub fn of(backend: cluster::Backend, status: &NodeStatus) -> Self {
        let cluster::Backend { id, url, secret, algorithm, tags, load_factor, admin_state, agent_ref, .. } = backend;
        let latency = i64::try_from(status.latency.as_nanos()).unwrap_or(i64::MAX);
        Self {
            id: id.0,
            node_state: status.state.into(),
            admin_state: admin_state.into(),
            agent_heartbeat: status.heartbeat.map_or(NO_HEARTBEAT, OffsetDateTime::from),
            agent_ref,
            last_error: status.last_error.clone(),
            latency: latency.min(LONGEST_LATENCY),
            meetings_count: status.meetings,
            attendees_count: status.attendees,
            load_factor,
            bbb: NodeKeys {
                host: url,
                secret: secret.expose().to_owned(),
                checksum_algorithm: algorithm.map(|algorithm| algorithm.to_string()),
            },
            settings: BackendSettings { tags: tags.words().to_vec() },
            created_at: shown(backend.created_at),
            updated_at: shown(backend.updated_at),
            synced_at: status.synced_at.map_or(NEVER, OffsetDateTime::from),
        }
    }
}

/// Address and secret of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeKeys {
    /// The base URL of its API, ending in a slash: `https://node.example/bigbluebutton/api/`.
    pub host: String,
    /// The secret of its checksums.
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

/// The observed state of a node.
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

/// A backend's state as set by the operator.
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

impl AdminState {
    /// The state in the domain. `None`: no backend can be given it, since it is removed.
    pub fn wanted(self) -> Option<cluster::AdminState> {
        Some(match self {
            Self::Init => cluster::AdminState::Init,
            Self::Ready => cluster::AdminState::Ready,
            Self::Stopped => cluster::AdminState::Stopped,
            Self::Decommissioned => cluster::AdminState::Decommissioned,
            Self::Destroyed => return None,
        })
    }
}

/// The fields that a request may set. The last three only tell an agent of the original, which calls `bbb` `backend` when it
/// starts again.
pub static BACKEND: Shape = Shape::Object(&[
    ("bbb", Shape::Optional(&KEYS)),
    ("settings", Shape::Object(&[("tags", Shape::List(&Shape::Text))])),
    ("admin_state", Shape::Text),
    ("load_factor", Shape::Number),
    ("backend", Shape::Any),
    ("id", Shape::Any),
    ("node_state", Shape::Any),
]);

static KEYS: Shape = Shape::Object(&[
    ("host", Shape::Text),
    ("secret", Shape::Text),
    ("checksum_algorithm", Shape::Optional(&Shape::Text)),
]);

/// A change of a backend. Missing fields stay.
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

/// A change of a node's address and secret. Missing fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeKeysChange {
    /// The base URL of its API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The secret of its checksums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// `null` or empty: it is found out. Not known to the original.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sha512")]
    pub checksum_algorithm: Option<String>,
}

/// A backend of a `StateDocument`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StateBackend {
    /// The base URL of its API, ending in a slash.
    pub host: String,
    /// The secret of the node's checksums.
    pub secret: String,
    /// The only algorithm of its checksums. Missing: it is found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_algorithm: Option<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How much a unit of load counts there.
    #[serde(default = "one")]
    pub load_factor: f64,
    /// Its admin state.
    #[serde(default = "ready")]
    pub admin_state: AdminState,
    /// The subject of its agent's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ref: Option<String>,
    /// The identity it brings from another system. Kept if it is new here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// When it was added there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub created_at: Option<OffsetDateTime>,
}

impl From<Backend> for StateBackend {
    /// The fields of a backend that an operator may set.
    fn from(backend: Backend) -> Self {
        let Backend { bbb, settings, load_factor, admin_state, agent_ref, .. } = backend;
        let (NodeKeys { host, secret, checksum_algorithm }, BackendSettings { tags }) = (bbb, settings);
        Self { checksum_algorithm, tags, load_factor, admin_state, agent_ref, ..Self::new(host, secret) }
    }
}

impl From<cluster::Backend> for StateBackend {
    fn from(backend: cluster::Backend) -> Self {
        Backend::of(backend, &NodeStatus::default()).into()
    }
}

impl StateBackend {
    /// A ready backend without other fields.
    pub fn new(host: String, secret: String) -> Self {
        Self {
            host,
            secret,
            checksum_algorithm: None,
            tags: Vec::new(),
            load_factor: one(),
            admin_state: ready(),
            agent_ref: None,
            id: None,
            created_at: None,
        }
    }

    /// Without white space around its texts, and texts without anything else. Its URL ends in a slash, if it can be used.
    #[must_use]
    pub fn trimmed(self) -> Self {
        Self {
            host: base_url(&self.host).unwrap_or(self.host),
            secret: self.secret.trim().to_owned(),
            checksum_algorithm: filled(self.checksum_algorithm),
            agent_ref: filled(self.agent_ref),
            ..self
        }
    }

    /// The same entry of another system, with what only exists here.
    #[must_use]
    pub fn moved_onto(self, there: &Self) -> Self {
        let agent_ref = self.agent_ref.or_else(|| there.agent_ref.clone());
        let checksum_algorithm = there.checksum_algorithm.clone();
        Self { admin_state: there.admin_state, checksum_algorithm, agent_ref, ..self }
    }

    /// The backend that it describes.
    ///
    /// # Errors
    /// Its [`problems`](Self::problems).
    pub fn record(&self, id: Uuid) -> Result<cluster::Backend, Vec<(String, String)>> {
        let problems = self.problems();
        let parsed = Secret::new(&self.secret).zip(self.admin_state.wanted()).filter(|_| problems.is_empty());
        let (secret, admin_state) = parsed.ok_or(problems)?;
        Ok(cluster::Backend {
            algorithm: self.checksum_algorithm.as_deref().and_then(|word| word.parse().ok()),
            tags: self.tags.iter().collect(),
            load_factor: self.load_factor,
            admin_state,
            agent_ref: self.agent_ref.clone(),
            created_at: self.created_at.map(Into::into),
            ..cluster::Backend::new(id, &self.host, secret)
        })
    }

    /// The fields that cannot be kept, each with why.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut wrong = Wrong::default();
        wrong.host("host", &self.host);
        wrong.secret("secret", Some(&self.secret));
        said(&self.checksum_algorithm).into_iter().for_each(|word| wrong.algorithm("checksum_algorithm", word));
        wrong.text("agent_ref", said(&self.agent_ref), LONGEST_AGENT);
        wrong.unless(LOAD_FACTORS.contains(&self.load_factor), "load_factor", || {
            format!("should be from {} to {}", LOAD_FACTORS.start(), LOAD_FACTORS.end())
        });
        wrong.unless(self.admin_state.wanted().is_some(), "admin_state", || {
            "should be init, ready, stopped or decommissioned".to_owned()
        });
        wrong.0
    }
}

/// The most characters of the name of an agent.
const LONGEST_AGENT: usize = 64;

fn one() -> f64 {
    1.0
}

fn ready() -> AdminState {
    AdminState::Ready
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> StateBackend {
        let entry = json!({"host": "https://n1.example/api/", "secret": "one", "checksum_algorithm": "sha256",
            "tags": ["b", "a"], "load_factor": 1.1, "admin_state": "stopped", "agent_ref": "node-1"});
        serde_json::from_value(entry).expect("it is an entry")
    }

    #[test]
    fn an_entry_and_its_backend_say_the_same() {
        let backend = entry().record(Uuid::nil()).expect("it can be kept");
        assert_eq!(StateBackend::from(backend), entry());
    }

    #[test]
    fn what_cannot_be_kept_makes_no_backend() {
        let wrong = StateBackend { admin_state: AdminState::Destroyed, load_factor: 0.0, ..entry() };
        let problems = wrong.record(Uuid::nil()).expect_err("no backend is set to be destroyed");
        assert_eq!(
            problems.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(),
            ["load_factor", "admin_state"]
        );
    }

    #[test]
    fn a_node_that_never_answered_is_shown_as_the_original_shows_it() {
        let shown = Backend::of(entry().record(Uuid::nil()).expect("it can be kept"), &NodeStatus::default());
        let shown = serde_json::to_value(shown).expect("it is JSON");
        let times = ["agent_heartbeat", "synced_at"].map(|name| shown[name].clone());
        assert_eq!(times, ["2000-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]);
        assert_eq!((&shown["node_state"], &shown["latency"]), (&json!("init"), &json!(0)));
    }
}
