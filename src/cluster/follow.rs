//! Keeping memory true: load everything, then read again what is announced.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use tokio::time::sleep;

use super::{Cluster, Inner};
use crate::store::{Change, StoreError};

/// Between two tries to load everything.
const RELOAD_PAUSE: Duration = Duration::from_secs(1);

impl Cluster {
    pub(super) async fn load_all(&self) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        // What is unchanged since then and not in the store is gone; what was claimed meanwhile is not.
        let before: HashMap<ScopedId, i64> =
            view.meetings_where(|_| true).iter().map(|meeting| (meeting.id.clone(), meeting.version)).collect();
        let frontends = self.noted(store.load_frontends().await)?;
        let backends = self.noted(store.load_backends().await)?;
        let meetings = self.noted(store.load_meetings().await)?;
        view.change_roster(|roster| roster.reloaded(frontends, backends));
        let there: HashSet<ScopedId> = meetings.iter().map(|meeting| meeting.id.clone()).collect();
        for meeting in meetings {
            view.learn(&Arc::new(meeting));
        }
        for (id, version) in before.into_iter().filter(|(id, _)| !there.contains(id)) {
            view.unlearn(&id, version);
        }
        Ok(())
    }

    /// Reads one meeting again.
    pub(super) async fn read_meeting(&self, id: &ScopedId) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        let before = view.version(id);
        match self.noted(store.find_meeting(id).await)? {
            Some(row) => view.learn(&Arc::new(row)),
            None => view.unlearn(id, before),
        }
        Ok(())
    }

    pub(super) fn spawn_follower(&self) {
        let mut feed = self.0.store.feed();
        let cluster = Arc::downgrade(&self.0);
        self.spawn(async move {
            while let Some(change) = feed.recv().await {
                let Some(inner) = cluster.upgrade() else { return };
                let cluster = Cluster(inner);
                if let Err(error) = cluster.apply(&change).await {
                    tracing::warn!(%error, ?change, "A change could not be read; everything is loaded again");
                    cluster.load_until_done().await;
                }
            }
        });
    }

    /// What is announced meanwhile waits in the feed.
    async fn load_until_done(&self) {
        while let Err(error) = self.load_all().await {
            tracing::warn!(%error, "The cluster could not be loaded, which is tried again");
            sleep(RELOAD_PAUSE).await;
        }
    }

    async fn apply(&self, change: &Change) -> Result<(), StoreError> {
        let Inner { store, view, .. } = &*self.0;
        match change {
            Change::Reconnected => self.load_all().await?,
            Change::Frontend(id) => {
                let row = self.noted(store.find_frontend(*id).await)?;
                view.change_roster(|roster| roster.with_frontend(*id, row));
            }
            Change::Backend(id) => {
                let row = self.noted(store.find_backend(*id).await)?;
                view.change_roster(|roster| roster.with_backend(*id, row));
                self.poll_new_node(*id);
            }
            Change::Meeting(id) => self.read_meeting(id).await?,
        }
        Ok(())
    }
}
