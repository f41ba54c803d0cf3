//! What people and tools ask of the cluster that calls do not.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::cluster::{BackendId, Meeting};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use super::Cluster;
use crate::store::StoreError;

impl Cluster {
    /// This server, as it introduces itself to the others. Made anew with each start.
    pub fn server_id(&self) -> Uuid {
        self.0.id
    }

    /// What a meeting's node last said of it: a `meeting` element. `None`: nothing yet.
    pub fn reported(&self, meeting: &Meeting) -> Option<Bytes> {
        self.0.view.entry(meeting)
    }

    /// People in a meeting, as its node last said.
    pub fn attendees(&self, meeting: &Meeting) -> u32 {
        self.0.view.attendees(meeting)
    }

    /// Waits until a backend is known to have a meeting of that internal id, but not for longer than `patience`.
    pub async fn meeting_of_node(
        &self,
        backend: BackendId,
        internal_id: &str,
        patience: Duration,
    ) -> Option<Arc<Meeting>> {
        let is_it =
            |meeting: &Meeting| meeting.backend == backend && meeting.internal_id.as_deref() == Some(internal_id);
        let view = &self.0.view;
        timeout(patience, view.until(|| view.meetings_where(is_it).into_iter().next())).await.ok()
    }

    /// Lets a node be asked soon, by whichever server is free: something has changed there.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn hasten(&self, backend: BackendId) -> Result<(), StoreError> {
        self.noted(self.0.store.hasten_poll(backend).await)
    }

    /// Rings whenever some server was asked to let every server reload its pipeline.
    pub fn reloads(&self) -> &Notify {
        &self.0.reloads
    }
}
