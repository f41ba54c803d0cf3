//! What people and tools ask of the cluster that calls do not.

use std::sync::Arc;

use b3scale_middleware::cluster::{BackendId, Frontend, Meeting};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::figures::ClusterFigures;
use super::trust::Lack;
use super::{Cluster, Stray, Unshown};
use crate::ledger::{Ingested, NewServer};
use crate::store::{StoreError, Trouble};

impl Cluster {
    /// This server's id, which is drawn at each start.
    pub fn server_id(&self) -> Uuid {
        self.0.replica.server
    }

    /// This server, as it introduces itself to the others.
    pub fn introduction(&self) -> NewServer {
        self.0.introduction.server()
    }

    /// The fault of the database, if it has one.
    pub fn absence(&self) -> Option<Lack> {
        self.0.replica.trust().absence(Instant::now())
    }

    /// Why a database that answers cannot work, as far as that is known.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.replica.trust().trouble()
    }

    /// Why memory is not to be trusted any more, if there is a reason.
    pub fn distrust(&self) -> Option<String> {
        self.0.replica.trust().distrust(Instant::now())
    }

    /// Tries out whether a meeting could be created now. If so, the database is back, or out of its trouble.
    ///
    /// # Errors
    /// Why none could.
    pub async fn rehearse_create(&self) -> Result<(), StoreError> {
        self.0.replica.rehearse_create().await
    }

    /// The figures for `/metrics`.
    pub fn figures(&self) -> &ClusterFigures {
        &self.0.figures
    }

    /// All frontends that memory has, active or not.
    pub fn frontends(&self) -> Vec<Arc<Frontend>> {
        self.0.replica.view.roster().frontends().cloned().collect()
    }

    /// All meetings that memory has.
    pub fn meetings(&self) -> Vec<Arc<Meeting>> {
        self.0.replica.view.meetings.filtered(|_| true)
    }

    /// The last entry of a meeting by its node: a `meeting` element. `None`: there is none yet.
    pub fn reported(&self, meeting: &Meeting) -> Option<Bytes> {
        self.0.replica.view.entry(meeting)
    }

    /// The parts of a meeting's last entry that its tenant reads otherwise, or not at all.
    pub fn unshown(&self, meeting: &Meeting) -> Unshown {
        self.0.replica.view.unshown(meeting)
    }

    /// People in a meeting, by its agent or its node's last report.
    pub fn attendees(&self, meeting: &Meeting) -> u32 {
        self.0.replica.view.crowd(meeting).people
    }

    /// The meetings that nodes run and that no frontend owns: those of one backend, or all.
    pub fn strays(&self, backend: Option<BackendId>) -> Vec<Stray> {
        self.0.replica.view.all_strays(backend)
    }

    /// Remarks about a node for its operator, a sentence each.
    pub fn remarks(&self, backend: BackendId) -> Vec<String> {
        self.0.replica.view.oddities(backend).remarks().collect()
    }

    /// Acts on an agent's report: meetings that it saw end are gone, and its node is polled for unknown ones.
    pub async fn act_on_agent(&self, backend: BackendId, ingested: &Ingested) {
        self.0.agents.act_on(backend, ingested).await;
    }

    /// A meeting is gone, or there is nothing of it that was believed.
    ///
    /// # Errors
    /// It could not be recorded.
    pub async fn forget_now(&self, meeting: &Meeting) -> Result<(), StoreError> {
        self.0.endings.try_forget(meeting).await
    }

    /// Rings whenever some server was asked to let every server reload its pipeline.
    pub fn reloads(&self) -> &Notify {
        &self.0.reloads
    }
}
