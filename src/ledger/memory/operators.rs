//! The frontends and backends: reading them, setting them as operators do, and the triggers that follow.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{
    AdminState, Backend, BackendId, Frontend, FrontendId, MeetingState, NodeState, Vitals,
};

use super::{BackendRow, MeetingRow, Model, Statement, StatusRow};
use crate::ledger::{Change, Roster};
use b3scale_postgres::StoreError;

/// How long the meetings of a lost node hold up its removal, and how long a silent node does.
const PATIENCE: Duration = Duration::from_secs(600);

#[async_trait]
impl Roster for Model {
    async fn load_frontends(&self) -> Result<Vec<Frontend>, StoreError> {
        self.read(|statement| statement.seen.frontends.values().map(|one| Frontend::clone(one)).collect()).await
    }

    async fn find_frontend(&self, id: FrontendId) -> Result<Option<Frontend>, StoreError> {
        self.read(|statement| statement.seen.frontends.get(&id).map(|one| Frontend::clone(one))).await
    }

    async fn load_backends(&self) -> Result<Vec<Backend>, StoreError> {
        self.read(|statement| statement.seen.backends.values().map(BackendRow::read).collect()).await
    }

    async fn find_backend(&self, id: BackendId) -> Result<Option<Backend>, StoreError> {
        self.read(|statement| statement.seen.backends.get(&id).map(BackendRow::read)).await
    }

    async fn record_admin_state(&self, id: BackendId, state: AdminState) -> Result<Option<Backend>, StoreError> {
        self.run(|statement| {
            let there = statement.seen.backends.get(&id).filter(|_| statement.has_place(id)).cloned();
            let Some(there) = there else { return Ok(None) };
            put_backend(statement, Backend { admin_state: state, ..there.backend });
            Ok(statement.tables.backends.get(&id).map(BackendRow::read))
        })
        .await
    }

    async fn collect_garbage(&self) -> Result<(), StoreError> {
        self.change(super::garbage::collect_garbage).await
    }

    async fn remove_decommissioned(&self, clear: &[(BackendId, SystemTime)]) -> Result<Vec<BackendId>, StoreError> {
        self.run(|statement| {
            let rows = statement.seen.backends.values();
            let done: Vec<_> = rows.filter(|row| is_done(statement, row, clear)).map(|row| row.backend.id).collect();
            Ok(done.into_iter().filter(|id| remove_backend(statement, *id)).collect())
        })
        .await
    }
}

impl Model {
    /// Adds a frontend, or changes it.
    ///
    /// # Errors
    /// Any [`StoreError`] of the trait: the model itself has none.
    pub async fn put_frontend(&self, frontend: Frontend) -> Result<(), StoreError> {
        self.run(|statement| {
            let version = statement.version();
            statement.announced.push(Change::Frontend(frontend.id));
            statement.tables.frontends.insert(frontend.id, Arc::new(Frontend { version, ..frontend }));
            Ok(())
        })
        .await
    }

    /// Removes a frontend. Its meetings end with it. `false`: there was none.
    ///
    /// # Errors
    /// Any [`StoreError`] of the trait: the model itself has none.
    pub async fn remove_frontend(&self, id: FrontendId) -> Result<bool, StoreError> {
        self.run(|statement| Ok(remove_frontend(statement, id))).await
    }

    /// Adds a backend, or changes it.
    ///
    /// # Errors
    /// Any [`StoreError`] of the trait: the model itself has none.
    pub async fn put_backend(&self, backend: Backend) -> Result<(), StoreError> {
        self.change(|statement| put_backend(statement, backend)).await
    }

    /// Removes a backend. Its meetings are detached. `false`: there was none.
    ///
    /// # Errors
    /// Any [`StoreError`] of the trait: the model itself has none.
    pub async fn remove_backend(&self, id: BackendId) -> Result<bool, StoreError> {
        self.run(|statement| Ok(remove_backend(statement, id))).await
    }
}

fn put_backend(statement: &mut Statement, backend: Backend) {
    let (now, version) = (statement.now, statement.version());
    let (id, before) = (backend.id, statement.tables.backends.get(&backend.id));
    let is_enabled = backend.admin_state != AdminState::Init;
    let enabled_at = before.and_then(|row| row.enabled_at).or(is_enabled.then_some(now));
    let has_moved = before.is_some_and(|row| row.backend.url != backend.url);
    let has_changed = before.is_none_or(|row| row.backend.admin_state != backend.admin_state);
    let created_at = before.map_or(Some(now), |row| row.backend.created_at);
    let backend = Backend { version, created_at, updated_at: Some(now), ..backend };
    let row = BackendRow { backend, enabled_at, updated_at: now };
    statement.tables.backends.insert(id, row);
    let lease = if has_moved { statement.version() } else { 0 };
    let status = statement.tables.statuses.entry(id).or_insert_with(|| StatusRow::new(now));
    if has_moved {
        status.forget_node(lease, now);
    } else if has_changed {
        status.poll_due = now;
    }
    statement.announced.push(Change::Backend(id));
}

/// The triggers of the table see all rows that are committed.
fn remove_backend(statement: &mut Statement, id: BackendId) -> bool {
    if !statement.has_place(id) {
        return false;
    }
    statement.tables.backends.remove(&id);
    statement.tables.statuses.remove(&id);
    statement.tables.agents.retain(|(at, _), _| *at != id);
    statement.tables.node_meetings.retain(|(at, _), _| *at != id);
    statement.tables.attendees.retain(|(at, _, _), _| *at != id);
    statement.announced.push(Change::Backend(id));
    for meeting in committed_where(statement, |row| row.meeting.backend == id) {
        statement.announce(&meeting);
        match statement.tables.meetings.get(&meeting).map(|row| row.meeting.state) {
            Some(MeetingState::Ending) => end_committed(statement, &meeting),
            Some(MeetingState::Live) => detach_committed(statement, &meeting),
            Some(MeetingState::Claimed | MeetingState::Detached) | None => {}
        }
    }
    statement.tables.copies.retain(|(_, at), _| *at != id);
    true
}

fn remove_frontend(statement: &mut Statement, id: FrontendId) -> bool {
    if !statement.seen.frontends.contains_key(&id) || statement.tables.frontends.remove(&id).is_none() {
        return false;
    }
    statement.announced.push(Change::Frontend(id));
    statement.tables.seats.retain(|_, seat| seat.frontend != id);
    let now = statement.now;
    for meeting in committed_where(statement, |row| row.meeting.frontend == id) {
        statement.announce(&meeting);
        let copies = statement.tables.copies.iter_mut().filter(|((of, _), _)| *of == meeting);
        copies.for_each(|(_, copy)| copy.doomed = true);
        if let Some(row) = statement.tables.meetings.get(&meeting) {
            let (backend, attempt) = (row.meeting.backend, row.meeting.attempt);
            statement.tables.leave_copy(&meeting, backend, attempt, now).doomed = true;
        }
        end_committed(statement, &meeting);
    }
    true
}

fn committed_where(statement: &Statement, matches: impl Fn(&MeetingRow) -> bool) -> Vec<ScopedId> {
    let rows = statement.tables.meetings.iter().filter(|(_, row)| matches(row));
    rows.map(|(id, _)| id.clone()).collect()
}

fn end_committed(statement: &mut Statement, id: &ScopedId) {
    let gone = statement.tables.meetings.remove(id);
    if let Some(internal_id) = gone.and_then(|row| row.meeting.internal_id) {
        statement.tables.end_past(id, &internal_id, statement.now);
    }
}

fn detach_committed(statement: &mut Statement, id: &ScopedId) {
    let (now, version) = (statement.now, statement.version());
    if let Some(row) = statement.tables.meetings.get_mut(id) {
        (row.meeting.state, row.meeting.version, row.updated_at) = (MeetingState::Detached, version, now);
    }
}

/// Whether a decommissioned backend has ended its last meeting.
fn is_done(statement: &Statement, row: &BackendRow, clear: &[(BackendId, SystemTime)]) -> bool {
    let (id, bound) = (row.backend.id, statement.now - PATIENCE);
    let holds_up = |row: &MeetingRow| row.meeting.state != MeetingState::Detached || row.updated_at > bound;
    let is_held_up = statement.seen.meetings.values().any(|row| row.meeting.backend == id && holds_up(row));
    let Some(status) = statement.seen.statuses.get(&id) else { return false };
    let answers = matches!(status.health.state, NodeState::Ready | NodeState::Degraded);
    let is_clear =
        |(clear, asked_at): &(BackendId, SystemTime)| *clear == id && (*asked_at >= row.updated_at || !answers);
    let is_silent = status.synced_at.is_some_and(|synced| synced < bound);
    row.backend.admin_state == AdminState::Decommissioned && !is_held_up && (is_silent || clear.iter().any(is_clear))
}

impl BackendRow {
    /// As a server reads it: its observations of the node are its own.
    fn read(&self) -> Backend {
        Backend { vitals: Arc::new(Vitals::default()), ..self.backend.clone() }
    }
}
