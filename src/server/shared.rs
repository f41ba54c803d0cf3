//! What all connections of a server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use b3scale_middleware::Next;
use b3scale_middleware::bbb::CallKind;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use tokio::sync::{Semaphore, watch};

use super::body::Bodies;
use super::exhaustion::Exhaustion;
use super::places::Places;
use super::settings::ServerSettings;
use super::shares::Shares;
use crate::budget::Budget;
use crate::proxies::Proxies;
use crate::site::{Check, Drain, Readiness};

/// Where the routes come from. They may change between two calls.
pub trait Router: Send + Sync + 'static {
    /// The route of a call, or `None` where the pipeline has none.
    fn route(&self, kind: CallKind) -> Option<Next>;
}

/// Where browsers wait for a meeting that is not ready yet.
pub trait Lobby: Send + Sync + 'static {
    /// The address of the page that makes this join again. `None`: the join cannot wait.
    fn page_for(&self, join: &PathAndQuery) -> Option<HeaderValue>;
}

/// The clients that may follow a call through its stages in the log.
pub trait Followers: Send + Sync + 'static {
    /// Whether the sender of a call asks for that and may.
    fn may_follow(&self, headers: &HeaderMap, peer: SocketAddr) -> bool;
}

/// The parts that a server is put together from.
#[derive(Clone)]
pub struct ServerParts {
    /// The pipeline.
    pub router: Arc<dyn Router>,
    /// Where browsers wait. `None`: they read the fault at once.
    pub lobby: Option<Arc<dyn Lobby>>,
    /// Who may follow calls. `None`: no client.
    pub followers: Option<Arc<dyn Followers>>,
    /// The proxies that are believed when they say where a request comes from.
    pub proxies: Proxies,
    /// The memory for bodies.
    pub budget: Budget,
}

/// See the module.
pub(super) struct Shared {
    pub(super) parts: ServerParts,
    pub(super) settings: ServerSettings,
    pub(super) bodies: Arc<Bodies>,
    pub(super) connections: Arc<Places>,
    /// Open sockets of clients, with some room for closing ones.
    pub(super) open: Arc<Semaphore>,
    pub(super) calls: Arc<Shares>,
    pub(super) exhaustion: Exhaustion,
    pub(super) drain: Drain,
    /// Calls that are dropped from now on are cut off.
    pub(super) cut: AtomicBool,
    draining: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(parts: ServerParts, settings: ServerSettings) -> Self {
        let (draining, drain) = Drain::new();
        Self {
            bodies: Bodies::new(parts.budget.clone(), settings),
            connections: Places::new(settings.connections, settings.connections_of_one),
            open: Arc::new(Semaphore::new(settings.connections + settings.connections / 16 + 16)),
            calls: Shares::of(settings.calls),
            exhaustion: Exhaustion::default(),
            cut: AtomicBool::new(false),
            draining,
            drain,
            parts,
            settings,
        }
    }

    /// From now on the server is not ready.
    pub(super) fn begin_drain(&self) {
        self.draining.send_replace(true);
    }
}

impl Readiness for Shared {
    fn checks(&self) -> Vec<Check> {
        let draining = self.drain.has_begun();
        let full = self.calls.are_taken() && !draining;
        let in_use = self.connections.are_in_use();
        let problem = |holds: bool, problem: &str| holds.then(|| problem.to_owned());
        vec![
            Check::new("draining", problem(draining, "the server is going down")),
            Check::new("calls", problem(full, "as many calls as this server takes are under way")),
            Check::new(
                "connections",
                problem(in_use, "calls are under way on as many connections as this server takes"),
            ),
            Check::new("descriptors", self.exhaustion.problem()),
        ]
    }
}
