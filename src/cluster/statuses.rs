//! The health and the reports of the nodes, from polls of all servers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use b3scale_middleware::cluster::{Backend, BackendId, Health, NodeState};

use super::circuits::Circuits;
use super::listing::read;
use crate::ledger::BackendStatus;
use crate::view::View;

/// Takes statuses into the view, each once and none after a younger one.
pub(super) struct Statuses {
    view: Arc<View>,
    circuits: Arc<Circuits>,
    /// Held while a status is taken in, so that nothing older comes after it.
    known: Mutex<HashMap<BackendId, Seq>>,
}

/// Up to which number a backend's status is known.
#[derive(Clone, Copy, Default)]
struct Seq {
    /// All of it.
    whole: i64,
    /// Its node's health, which the server that has polled it knows at once.
    health: i64,
}

/// The outcome of a poll of this server.
pub(super) struct OwnStatus<'a> {
    pub(super) health: Health,
    pub(super) problem: Option<&'a str>,
    /// How long the node took to answer, if it did.
    pub(super) latency: Option<Duration>,
}

impl Statuses {
    pub(super) fn new(view: Arc<View>, circuits: Arc<Circuits>) -> Self {
        Self { view, circuits, known: Mutex::default() }
    }

    /// The number up to which each backend's status is known.
    pub(super) fn known(&self) -> Vec<(BackendId, i64)> {
        self.lock().iter().map(|(id, seq)| (*id, seq.whole)).collect()
    }

    /// Every status is news again.
    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Takes in the status that this server has just recorded as `seq`.
    pub(super) fn take_own(&self, backend: &Backend, seq: i64, status: &OwnStatus<'_>) {
        let mut seqs = self.lock();
        let known = seqs.entry(backend.id).or_default();
        // With a gap, the status in between has more, such as the agent's figures.
        if known.whole == seq - 1 {
            known.whole = seq;
        }
        if known.health < seq {
            known.health = seq;
            status.latency.iter().for_each(|latency| backend.vitals.time(*latency));
            self.record_health(backend, status.health, status.problem);
        }
    }

    /// Takes in a status of the database.
    pub(super) async fn take(&self, status: BackendStatus) {
        let Some(backend) = self.view.roster().backend(status.backend).cloned() else { return };
        if !self.take_figures(&backend, &status) {
            return;
        }
        match (status.report, status.asked_at) {
            (Some(document), Some(asked_at)) if !document.is_empty() => match read(document, asked_at).await {
                Ok(listing) => drop(self.view.take_report(&backend, listing.report)),
                Err(error) => {
                    tracing::warn!(backend.id = %backend.id, error, "Unreadable report in the database");
                }
            },
            (Some(_), _) => self.view.forget_report(&backend),
            (None, Some(asked_at)) => self.view.reports.confirm(status.backend, asked_at),
            (None, None) => {}
        }
    }

    /// Records a node's health, and logs each change of it.
    pub(super) fn record_health(&self, backend: &Backend, health: Health, problem: Option<&str>) {
        let (was_lost, known) = (backend.is_lost(), backend.vitals.last_error());
        let before = backend.vitals.see(health, problem);
        if health.is_lost() && !was_lost {
            self.circuits.cut_calls(&[backend]);
        }
        let (id, url) = (backend.id, &backend.url);
        match (before, health.state) {
            (before, after) if before == after => {
                if let Some(problem) =
                    problem.filter(|problem| health.misses == 0 && known.as_deref() != Some(*problem))
                {
                    tracing::warn!(backend.id = %id, backend.url = %url, problem, "Skipping unreadable meetings of a node");
                }
            }
            (_, NodeState::Ready) => tracing::info!(backend.id = %id, backend.url = %url, "Node up"),
            (_, NodeState::Degraded) => {
                tracing::warn!(backend.id = %id, backend.url = %url, problem, "Node degraded: no new meetings go there");
            }
            (_, NodeState::Error) => tracing::warn!(backend.id = %id, backend.url = %url, problem, "Node down"),
            (_, NodeState::Init) => {}
        }
        self.view.changed.notify_waiters();
    }

    /// Takes in the figures of a status. `false`: it is no news.
    fn take_figures(&self, backend: &Backend, status: &BackendStatus) -> bool {
        let mut seqs = self.lock();
        let known = seqs.entry(status.backend).or_default();
        if status.seq <= known.whole {
            return false;
        }
        known.whole = status.seq;
        backend.vitals.hear(status.agent);
        // An old status does not count: this server has just started, and the node is about to be polled.
        let says_something = !(status.stale && backend.is_unasked());
        if known.health <= status.seq && says_something {
            known.health = status.seq;
            if status.health.misses == 0 {
                backend.vitals.time(status.latency);
            }
            self.record_health(backend, status.health, status.last_error.as_deref());
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BackendId, Seq>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
