//! A backend: our record of a node as a target for calls.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BackendId, LoadModel, NodeState, Refusal, Tags, Vitals};
use crate::bbb::{Algorithm, Secret};

/// Our record of a node: its address, its secret, its admin state, and its health.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Identity in the store.
    pub id: BackendId,
    /// The API's base URL, ending in a slash: `https://node.example/bigbluebutton/api/`.
    pub url: String,
    /// The secret of the node's checksums.
    pub secret: Secret,
    /// The only algorithm of its checksums. `None`: it is found out.
    pub algorithm: Option<Algorithm>,
    /// Its tags.
    pub tags: Tags,
    /// How much a unit of load counts here: 2.0 is a node half as strong as one at 1.0.
    pub load_factor: f64,
    /// Its admin state.
    pub admin_state: AdminState,
    /// The subject of its agent's token.
    pub agent_ref: Option<String>,
    /// When it was added. `None`: the store is to say so.
    pub created_at: Option<SystemTime>,
    /// When it was last changed. `None`: the store is to say so.
    pub updated_at: Option<SystemTime>,
    /// Its moving figures, shared by every snapshot of this backend.
    pub vitals: Arc<Vitals>,
    /// The row's version; memory only ever takes a newer one. 0: it has no row yet.
    pub version: i64,
}

impl Backend {
    /// A backend that is ready and is to be added, with vitals that nothing has been seen of yet.
    pub fn new(id: Uuid, url: impl Into<String>, secret: Secret) -> Self {
        Self {
            id: BackendId(id),
            url: url.into(),
            secret,
            algorithm: None,
            tags: Tags::default(),
            load_factor: 1.0,
            admin_state: AdminState::Ready,
            agent_ref: None,
            created_at: None,
            updated_at: None,
            vitals: Arc::default(),
            version: 0,
        }
    }

    /// Whether an operator has set the same of both.
    pub fn is_set_as(&self, other: &Self) -> bool {
        let set = |one: &Self| (one.url.clone(), one.secret.clone(), one.algorithm, one.tags.clone());
        let states = |one: &Self| (one.load_factor, one.admin_state, one.agent_ref.clone());
        set(self) == set(other) && states(self) == states(other)
    }

    /// Whether the node answers as BBB does, degraded or not.
    pub fn is_up(&self) -> bool {
        self.vitals.health().is_up()
    }

    /// Whether the node is polled and its state is not known yet.
    pub fn is_unasked(&self) -> bool {
        self.admin_state != AdminState::Init && self.vitals.health().state == NodeState::Init
    }

    /// Whether the node is down beyond doubt: what runs there is not to be counted on.
    pub fn is_lost(&self) -> bool {
        self.vitals.health().is_lost()
    }

    /// Whether new meetings may be placed there.
    ///
    /// # Errors
    /// Why not.
    pub fn takes_meetings(&self, now: Instant) -> Result<(), Refusal> {
        if self.admin_state != AdminState::Ready {
            return Err(Refusal::new(self.admin_state.name(), format!("its admin state is {}", self.admin_state)));
        }
        match self.vitals.health().state {
            NodeState::Init => return Err(Refusal::new("unasked", "its node has not been asked yet")),
            NodeState::Degraded => {
                let error = self.vitals.last_error().unwrap_or("its list of meetings cannot be used".into());
                return Err(Refusal::new("degraded", format!("its node is degraded: {error}")));
            }
            NodeState::Error => {
                let error = self.vitals.last_error().unwrap_or("it answers again, and not for long enough".into());
                return Err(Refusal::new("down", format!("its node is down: {error}")));
            }
            NodeState::Ready => {}
        }
        if self.vitals.circuit.is_open() {
            return Err(Refusal::new("circuit", "its node has failed several calls in a row"));
        }
        let overload = self.vitals.overload(now);
        overload.map_or(Ok(()), |reason| Err(Refusal::new("overload", reason)))
    }

    /// Its load: new meetings go to the lowest. In attendees of a node with factor 1.
    pub fn load(&self, model: &LoadModel, now: Instant) -> f64 {
        self.load_factor * self.vitals.load(model, now)
    }

    /// How the node is called where its URL would say too much: its host and port.
    pub fn host(&self) -> &str {
        let (_, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        rest.split('/').next().unwrap_or(rest)
    }
}

/// The last answers of a node and its agent, as the store keeps them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeStatus {
    /// The state of the node.
    pub state: NodeState,
    /// When its agent last reported. `None`: never.
    pub heartbeat: Option<SystemTime>,
    /// Why the node is not well.
    pub last_error: Option<String>,
    /// How long its last answer took.
    pub latency: Duration,
    /// Meetings that have their place there.
    pub meetings: u32,
    /// People in its meetings, ours or not.
    pub attendees: u32,
    /// When the node last answered. `None`: never.
    pub synced_at: Option<SystemTime>,
}

/// A backend's state as set by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// Registered and not yet enabled.
    Init,
    /// Takes new meetings.
    Ready,
    /// Keeps its meetings and takes no new ones.
    Stopped,
    /// To be removed once its last meeting has ended.
    Decommissioned,
}

impl AdminState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Init, Self::Ready, Self::Stopped, Self::Decommissioned];

    /// Its word, the same everywhere.
    pub fn name(self) -> &'static str {
        match self {
            AdminState::Init => "init",
            AdminState::Ready => "ready",
            AdminState::Stopped => "stopped",
            AdminState::Decommissioned => "decommissioned",
        }
    }
}

impl fmt::Display for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
