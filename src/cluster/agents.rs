//! The consequences of agents' reports.

use std::sync::Arc;
use std::time::Duration;

use crate::ledger::Ingested;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting};

use super::endings::Endings;
use super::finder::Finder;
use super::listing::{Asker, Info};
use super::replica::Replica;

/// Between two polls of a node because of a meeting that no server knows: it may be anybody's, and is never known then.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(5);

/// Acts on the reports of agents.
pub(super) struct Agents {
    pub(super) replica: Arc<Replica>,
    pub(super) asker: Asker,
    pub(super) finder: Arc<Finder>,
    pub(super) endings: Arc<Endings>,
}

impl Agents {
    /// Meetings ended by an agent's report are gone, and its node is polled for unknown ones.
    pub(super) async fn act_on(&self, backend: BackendId, ingested: &Ingested) {
        for (id, internal_id) in &ingested.ended {
            let found = self.finder.find(&ScopedId::verbatim(id)).await.ok().flatten();
            let is_it = |meeting: &Arc<Meeting>| {
                meeting.backend == backend && meeting.internal_id.as_deref() == Some(internal_id)
            };
            if let Some(meeting) = found.filter(is_it) {
                self.confirm_end(&meeting).await;
            }
        }
        if ingested.strangers {
            self.replica.hasten_poll(backend, UNKNOWN_PAUSE).await;
        }
    }

    /// An agent says that a meeting has ended. Its token may be stolen, so the node itself is asked.
    async fn confirm_end(&self, meeting: &Meeting) {
        let Some(backend) = self.replica.view.roster().backend(meeting.backend).cloned() else { return };
        if matches!(self.asker.info(&backend, &meeting.id).await, Info::Gone) {
            tracing::info!(meeting.id = %meeting.id, backend.id = %meeting.backend, "Meeting ended");
            self.endings.forget(meeting).await;
        } else {
            self.replica.hasten_poll(meeting.backend, Duration::ZERO).await;
        }
    }
}
