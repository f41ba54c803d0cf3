//! What people and tools ask of the cluster that calls do not.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Frontend, Meeting};
use b3scale_middleware::ports::Meetings as _;
use bytes::Bytes;
use tokio::sync::Notify;
use uuid::Uuid;

use super::listing::Info;
use super::{Cluster, Stray, Unshown};
use crate::ledger::Polls;
use crate::store::Ingested;

/// Between two questions to a node that runs something which nobody knows: it may be anybody's, and is never known then.
const STRANGER_PAUSE: Duration = Duration::from_secs(5);

impl Cluster {
    /// This server, as it introduces itself to the others. Made anew with each start.
    pub fn server_id(&self) -> Uuid {
        self.0.id
    }

    /// All frontends that memory has, active or not.
    pub fn frontends(&self) -> Vec<Arc<Frontend>> {
        self.0.view.roster().frontends().cloned().collect()
    }

    /// All meetings that memory has.
    pub fn meetings(&self) -> Vec<Arc<Meeting>> {
        self.0.view.meetings_where(|_| true)
    }

    /// What a meeting's node last said of it: a `meeting` element. `None`: nothing yet.
    pub fn reported(&self, meeting: &Meeting) -> Option<Bytes> {
        self.0.view.entry(meeting)
    }

    /// The parts of a meeting's last entry that its tenant reads otherwise, or not at all.
    pub fn unshown(&self, meeting: &Meeting) -> Unshown {
        self.0.view.unshown(meeting)
    }

    /// People in a meeting, as its node last said.
    pub fn attendees(&self, meeting: &Meeting) -> u32 {
        self.0.view.attendees(meeting)
    }

    /// The meetings that nodes run and that no frontend owns: those of one backend, or all.
    pub fn strays(&self, backend: Option<BackendId>) -> Vec<Stray> {
        let roster = self.0.view.roster();
        let backends = roster.backends().iter().filter(|one| backend.is_none_or(|wanted| one.id == wanted));
        backends.flat_map(|backend| self.0.view.strays(backend)).collect()
    }

    /// What an operator should look at on a node, a sentence each.
    pub fn remarks(&self, backend: BackendId) -> Vec<String> {
        self.0.view.oddities(backend).remarks().collect()
    }

    /// Does what follows from what an agent has said: meetings that it saw end are gone, and those that nobody knows are asked
    /// for.
    pub async fn heed(&self, backend: BackendId, ingested: &Ingested) {
        for (id, internal_id) in &ingested.ended {
            let found = self.find(&ScopedId::verbatim(id)).await.ok().flatten();
            let is_it = |meeting: &Arc<Meeting>| {
                meeting.backend == backend && meeting.internal_id.as_deref() == Some(internal_id)
            };
            if let Some(meeting) = found.filter(is_it) {
                self.end_heard_of(&meeting).await;
            }
        }
        if ingested.strangers
            && let Err(error) = self.noted(self.0.store.hasten_poll(backend, STRANGER_PAUSE).await)
        {
            tracing::debug!(backend.id = %backend, %error, "Asking a node for an unknown meeting failed");
        }
    }

    /// An agent says that a meeting has ended. Its token may be stolen, so the node itself is asked.
    async fn end_heard_of(&self, meeting: &Meeting) {
        let Some(backend) = self.0.view.roster().backend(meeting.backend).cloned() else { return };
        if matches!(self.asker().info(&backend, &meeting.id).await, Info::Gone) {
            tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "Meeting ended");
            self.forget(meeting).await;
        } else if let Err(error) = self.noted(self.0.store.hasten_poll(meeting.backend, Duration::ZERO).await) {
            tracing::debug!(backend.id = %meeting.backend, %error, "Hastening a poll failed");
        }
    }

    /// Rings whenever some server was asked to let every server reload its pipeline.
    pub fn reloads(&self) -> &Notify {
        &self.0.reloads
    }
}
