//! This server's copy of the cluster: the view, and the database that it is read from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{AdminState, BackendId, FrontendId, Meeting};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::trust::Trust;
use crate::ledger::Storage;
use crate::store::StoreError;
use crate::view::View;

/// Pauses before a result is written once more while the database is away.
const TRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// The view, the database behind it, and the trust in both. Every part of the cluster reads and writes through it.
pub(super) struct Replica {
    /// This server's id. It is drawn at each start.
    pub(super) server: Uuid,
    pub(super) store: Arc<dyn Storage>,
    pub(super) chance: Chance,
    pub(super) view: Arc<View>,
    trust: Mutex<Trust>,
}

impl Replica {
    pub(super) fn new(server: Uuid, store: Arc<dyn Storage>, view: Arc<View>, chance: Chance) -> Self {
        Self { server, store, view, chance, trust: Mutex::default() }
    }

    pub(super) fn trust(&self) -> MutexGuard<'_, Trust> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records in the trust whether a statement worked, and returns its outcome.
    pub(super) fn observe<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let now = Instant::now();
        let mut trust = self.trust();
        let is_new_lack = trust.record(&outcome, now) && trust.absence(now).is_some();
        drop(trust);
        if let (true, Err(error)) = (is_new_lack, &outcome) {
            tracing::error!(%error, "Database in trouble: no meeting can be created");
        }
        outcome
    }

    /// The same for a call, which fails with the database.
    pub(super) fn observe_for_call<T>(&self, outcome: Result<T, StoreError>) -> Result<T, Fault> {
        self.observe(outcome).map_err(|error| fault(&error))
    }

    /// Writes something that must not be lost: tries a few times more while the database is away.
    pub(super) async fn write_through<T, F>(&self, write: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut written = self.observe(write().await);
        for pause in TRIES {
            if !written.as_ref().is_err_and(StoreError::passes_soon) {
                break;
            }
            sleep(pause).await;
            written = self.observe(write().await);
        }
        written
    }

    /// Tries out whether a meeting could be created now. If so, the database is back, or out of its trouble.
    ///
    /// # Errors
    /// Why none could.
    pub(super) async fn rehearse_create(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.observe(self.store.rehearse_create().await)?;
        let unwell_since = self.trust().recover(begun);
        if let Some(since) = unwell_since {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "Database recovered: meetings can be created");
        }
        Ok(())
    }

    /// Takes a row into the view that this server has just written, and returns it.
    pub(super) fn take_written(&self, row: Meeting) -> Arc<Meeting> {
        let row = Arc::new(row);
        self.view.take_meeting(&row);
        row
    }

    /// Reads one meeting again.
    pub(super) async fn read_meeting(&self, id: &ScopedId) -> Result<(), StoreError> {
        let before = self.view.meetings.version(id);
        match self.observe(self.store.find_meeting(id).await)? {
            Some(row) => self.view.take_meeting(&Arc::new(row)),
            None => self.view.remove_meeting(id, before),
        }
        Ok(())
    }

    /// The same where the caller's belief was wrong, and goes on without it.
    pub(super) async fn reread_meeting(&self, id: &ScopedId) {
        if let Err(error) = self.read_meeting(id).await {
            tracing::debug!(meeting.id = %id, %error, "Reading a meeting again failed");
        }
    }

    /// Reads some meetings again, with one statement.
    pub(super) async fn read_meetings(&self, ids: &[ScopedId]) -> Result<(), StoreError> {
        let mut missing: HashMap<&str, i64> =
            ids.iter().map(|id| (id.as_ref(), self.view.meetings.version(id))).collect();
        let names: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        for row in self.observe(self.store.find_meetings(&names).await)? {
            missing.remove(row.id.as_ref());
            self.view.take_meeting(&Arc::new(row));
        }
        for (id, version) in missing {
            self.view.remove_meeting(&ScopedId::verbatim(id), version);
        }
        Ok(())
    }

    /// Reads a frontend's meeting by its node's own id, and the meeting that the frontend itself names so.
    pub(super) async fn read_by_either_id(
        &self,
        frontend: FrontendId,
        id: &str,
        scoped: &ScopedId,
    ) -> Result<(), StoreError> {
        let before = self.view.meetings.version(scoped);
        let rows = self.observe(self.store.find_by_either_id(frontend, id, scoped).await)?;
        if !rows.iter().any(|row| row.id == *scoped) {
            self.view.remove_meeting(scoped, before);
        }
        if !rows.iter().any(|row| row.internal_id.as_deref() == Some(id)) {
            self.view.meetings.record_absent(frontend, id);
        }
        rows.into_iter().for_each(|row| self.view.take_meeting(&Arc::new(row)));
        Ok(())
    }

    /// Reads one backend again.
    pub(super) async fn read_backend(&self, id: BackendId) -> Result<(), StoreError> {
        let row = self.observe(self.store.find_backend(id).await)?;
        self.view.take_backend(id, row);
        Ok(())
    }

    /// Removes the decommissioned backends on which nothing runs any more.
    pub(super) async fn remove_decommissioned(&self) -> Result<Vec<BackendId>, StoreError> {
        let roster = self.view.roster();
        let wanted = roster.backends().iter().filter(|backend| backend.admin_state == AdminState::Decommissioned);
        let clear: Vec<_> =
            wanted.filter_map(|backend| Some((backend.id, self.view.clear_since(backend.id)?))).collect();
        drop(roster);
        self.store.remove_decommissioned(&clear).await
    }

    /// Has a node polled again, but not before `pause` has passed since its last poll.
    pub(super) async fn hasten_poll(&self, id: BackendId, pause: Duration) {
        if let Err(error) = self.observe(self.store.hasten_poll(id, pause).await) {
            tracing::debug!(backend.id = %id, %error, "Hastening a poll failed");
        }
    }
}

/// An error of the database as a call sees it.
pub(super) fn fault(error: &StoreError) -> Fault {
    if error.is_away() { Fault::StoreAway(error.to_string()) } else { Fault::Internal(error.to_string()) }
}
