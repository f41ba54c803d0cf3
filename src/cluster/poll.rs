//! Polls: asking the nodes for their health and their meetings.
//!
//! A node is asked for its meetings at regular times, each time by one server. The answer shows that the node is up,
//! how many people are in its meetings, and which of the meetings we believe in have ended. The server writes the answer down,
//! and every server follows. Without the database each server asks for itself, and believes itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale_middleware::cluster::{AdminState, Backend, BackendId, Health, Meeting};
use bytes::Bytes;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::listing::{Asker, Heard};
use super::reconcile::Reconciler;
use super::replica::Replica;
use super::solo::SoloPolls;
use super::statuses::{OwnStatus, Statuses};
use crate::ledger::{Poll, PollOutcome};
use crate::offload;
use crate::store::StoreError;
use crate::telemetry::catalog::POLLS;
use crate::work::Spawner;

/// Until a node is asked again that has no agent to speak for it.
const WITHOUT_AGENT: Duration = Duration::from_secs(5);

/// Until a node with a reporting agent is polled again.
const WITH_AGENT: Duration = Duration::from_secs(20);

/// Until a node is polled again if the next answer may change its health.
const IN_DOUBT: Duration = Duration::from_secs(1);

/// How long a server may take to ask a node, one by one for its meetings if it must, and to write the answer down.
pub(super) const LEASE: Duration = Duration::from_secs(40);

/// Nodes that are taken with one statement. There are more statements than this takes.
const MOST_AT_ONCE: u32 = 64;

/// A node's answer, and how long it took.
struct Answer {
    heard: Heard,
    latency: Duration,
}

/// Polls the nodes. Clones poll for the same server.
#[derive(Clone)]
pub(super) struct Poller {
    pub(super) replica: Arc<Replica>,
    pub(super) asker: Asker,
    pub(super) statuses: Arc<Statuses>,
    pub(super) reconciler: Arc<Reconciler>,
    pub(super) spawner: Spawner,
    pub(super) solo: Arc<SoloPolls>,
}

impl Poller {
    /// Polls the nodes that are due. Does not wait for their answers.
    pub(super) async fn ask_due(&self) {
        match self.replica.observe(self.replica.store.take_polls(MOST_AT_ONCE, LEASE, self.replica.server).await) {
            Ok(polls) => polls.into_iter().for_each(|poll| self.spawn_poll(poll)),
            // That all connections are in use says nothing of the others.
            Err(StoreError::Busy { .. }) => {}
            Err(error) if error.is_away() => self.ask_alone(),
            Err(error) => tracing::error!(%error, "Polling the nodes failed"),
        }
    }

    /// Asks every node now, and waits.
    pub(super) async fn ask_all(&self) {
        let backends = Arc::clone(self.replica.view.roster().backends());
        let asked = backends.iter().filter(|backend| backend.admin_state != AdminState::Init);
        join_all(asked.map(|backend| self.ask_now(backend.id))).await;
    }

    /// Polls one node now, even if another server is polling it, and waits.
    ///
    /// # Errors
    /// Why it did not answer, or could not be asked.
    pub(super) async fn ask_now(&self, id: BackendId) -> Result<(), String> {
        match self.replica.observe(self.replica.store.take_poll(id, LEASE, self.replica.server).await) {
            Ok(Some(poll)) => self.poll(&poll).await,
            Ok(None) => Err(format!("there is no backend {id} that was ever enabled")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn spawn_poll(&self, poll: Poll) {
        let poller = self.clone();
        self.spawner.spawn(async move { drop(poller.poll(&poll).await) });
    }

    /// Asks the nodes that other servers are asking.
    pub(super) async fn seize(&self, ids: &[BackendId]) {
        match self.replica.observe(self.replica.store.seize_polls(ids, LEASE, self.replica.server).await) {
            Ok(polls) => polls.into_iter().for_each(|poll| self.spawn_poll(poll)),
            Err(error) => tracing::debug!(%error, "Taking over the polls of other servers failed"),
        }
    }

    async fn poll(&self, poll: &Poll) -> Result<(), String> {
        let backend = self.backend_of(poll).await.ok_or_else(|| format!("there is no backend {}", poll.backend))?;
        // A meeting that goes live while the node is writing its answer is not in it, and has not ended.
        let mut believed = self.replica.view.meetings.filtered(|meeting| meeting.backend == backend.id);
        believed.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let mut answer = self.answer(&backend, poll.asked_at).await;
        if let Heard::Unasked { why } = answer.heard {
            POLLS.with(["failed"]).increment(1);
            if let Err(error) = self.replica.observe(self.replica.store.return_poll(poll).await) {
                tracing::debug!(backend.id = %backend.id, %error, "Returning a poll failed");
            }
            return Err(why);
        }
        if let Heard::Listed(listing) | Heard::Unlisted { listing, .. } = &mut answer.heard {
            self.asker.ask_each(&backend, &believed, listing).await;
        }
        let recorded = self.replica.observe(self.record(&backend, poll, &answer).await);
        let outcome = match (&recorded, &answer.heard) {
            (Ok(true), Heard::Listed(_)) => "answered",
            (Ok(true), Heard::Unlisted { .. }) => "unlisted",
            (Ok(true), Heard::Silent { .. }) => "missed",
            (Ok(false), _) => "late",
            (Ok(true), Heard::Unasked { .. }) | (Err(_), _) => "failed",
        };
        POLLS.with([outcome]).increment(1);
        match recorded {
            Ok(true) => self.act_on(&backend, poll.health, answer.heard, &believed).await,
            Ok(false) => Err("another server has asked it meanwhile".to_owned()),
            Err(error) => {
                // While nothing can be noted, each server believes itself.
                self.statuses.record_health(&backend, answer.heard.next(poll.health), answer.heard.problem());
                tracing::debug!(backend.id = %backend.id, %error, "Recording a health check failed");
                Err(error.to_string())
            }
        }
    }

    /// A backend that was recorded a moment ago may be taken to be asked before its announcement is read.
    async fn backend_of(&self, poll: &Poll) -> Option<Arc<Backend>> {
        if self.replica.view.roster().backend(poll.backend).is_none()
            && let Err(error) = self.replica.read_backend(poll.backend).await
        {
            tracing::debug!(backend.id = %poll.backend, %error, "Reading a backend failed");
        }
        self.replica.view.roster().backend(poll.backend).cloned()
    }

    async fn answer(&self, backend: &Arc<Backend>, asked_at: SystemTime) -> Answer {
        let began = Instant::now();
        let heard = self.asker.hear(backend, asked_at).await;
        Answer { heard, latency: began.elapsed() }
    }

    /// Writes a poll's answer down, and takes it in. `false`: it comes too late.
    async fn record(&self, backend: &Backend, poll: &Poll, answer: &Answer) -> Result<bool, StoreError> {
        let health = answer.heard.next(poll.health);
        let problem = answer.heard.problem().map(|problem| problem.replace(char::is_control, " "));
        let listing = answer.heard.listing();
        let digest = match listing {
            Some(listing) => Some(digest(listing.document.clone()).await),
            None => None,
        };
        let news = listing.zip(digest.as_deref()).filter(|_| digest != poll.digest);
        let agent = backend.vitals.agent().filter(|agent| agent.silence(Instant::now().into_std()).is_none());
        let outcome = PollOutcome {
            health,
            last_error: problem.as_deref(),
            latency: answer.latency,
            attendees: listing.map_or_else(|| backend.vitals.attendees(), |listing| listing.report.attendees()),
            report: news.map(|(listing, digest)| (&listing.document[..], digest)),
            next: match agent {
                _ if health.is_in_doubt() => IN_DOUBT,
                // A node that is back is polled soon, although its agent reports already.
                Some(_) if health.is_listing() && !self.replica.view.presences.is_doubted(backend.id) => WITH_AGENT,
                Some(_) | None => WITHOUT_AGENT,
            },
        };
        let Some(seq) = self.replica.store.record_poll(poll, &outcome).await? else { return Ok(false) };
        let latency = listing.map(|_| answer.latency);
        self.statuses.take_own(backend, seq, &OwnStatus { health, problem: problem.as_deref(), latency });
        Ok(true)
    }

    /// Applies an answer, or the lack of one.
    ///
    /// # Errors
    /// Why there is none.
    async fn act_on(
        &self,
        backend: &Arc<Backend>,
        before: Health,
        heard: Heard,
        believed: &[Arc<Meeting>],
    ) -> Result<(), String> {
        let lost = heard.next(before).is_lost();
        match heard {
            Heard::Listed(listing) | Heard::Unlisted { listing, .. } => {
                let report = self.replica.view.take_report(backend, listing.report);
                self.reconciler.reconcile(backend, believed, &report).await;
                Ok(())
            }
            Heard::Silent { why } => {
                if lost {
                    self.reconciler.detach(backend).await;
                }
                Err(why)
            }
            Heard::Unasked { why } => Err(why),
        }
    }

    /// While the database is away, each server asks for itself and believes itself.
    fn ask_alone(&self) {
        let roster = self.replica.view.roster();
        self.solo.retain(|id| roster.backend(id).is_some());
        for backend in roster.backends().iter().filter(|one| one.admin_state != AdminState::Init) {
            let pause = if backend.vitals.health().is_in_doubt() { IN_DOUBT } else { WITHOUT_AGENT };
            if self.solo.take(backend.id, pause, LEASE) {
                let (poller, backend) = (self.clone(), Arc::clone(backend));
                self.spawner.spawn(async move {
                    let answer = poller.answer(&backend, poller.replica.view.clock.time()).await;
                    poller.solo.finish(backend.id);
                    let health = answer.heard.next(backend.vitals.health());
                    poller.statuses.record_health(&backend, health, answer.heard.problem());
                });
            }
        }
    }
}

/// The digest by which an unchanged document is recognised.
async fn digest(document: Bytes) -> Vec<u8> {
    offload::REPORTS.work(document.len(), move || Sha256::digest(&document).to_vec()).await
}
