//! How meetings end, are lost, and come back, as `store/meetings/ends.rs` says it in SQL.

use std::time::Duration;

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting, MeetingState};

use super::rows::{end_past, locked_copy, meetings_where, write_announced};
use super::{MeetingRow, Model, Statement};
use crate::ledger::{Ends, Places, Release};
use b3scale_postgres::StoreError;

#[async_trait]
impl Ends for Model {
    async fn record_ending(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| Ok(record_ending(statement, held))).await
    }

    async fn forget_meeting(&self, held: &Meeting) -> Result<bool, StoreError> {
        let is_it = |row: &MeetingRow| row.is_same(held) && row.meeting.state != MeetingState::Claimed;
        self.run(|statement| Ok(remove(statement, &held.id, is_it).is_some())).await
    }

    async fn let_go_of_meeting(&self, held: &Meeting) -> Result<bool, StoreError> {
        let is_it = |row: &MeetingRow| row.is_same(held) && row.runs();
        self.run(|statement| Ok(remove_to_copy(statement, &held.id, is_it).is_some())).await
    }

    async fn forget_ending(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError> {
        let is_ending = |row: &MeetingRow| row.meeting.backend == backend && row.meeting.state == MeetingState::Ending;
        self.run(|statement| {
            let ids = ids_where(statement, is_ending);
            Ok(ids.iter().filter_map(|id| remove_to_copy(statement, id, is_ending)).collect())
        })
        .await
    }

    async fn detach_meetings(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError> {
        let is_live = |row: &MeetingRow| row.meeting.backend == backend && row.meeting.state == MeetingState::Live;
        self.run(|statement| {
            let ids = ids_where(statement, is_live);
            let set = |id| set_state(statement, id, is_live, MeetingState::Detached);
            Ok(ids.iter().filter_map(set).collect())
        })
        .await
    }

    async fn attach_meeting(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError> {
        let is_it = |row: &MeetingRow| row.is_place(held) && row.meeting.state == MeetingState::Detached;
        self.run(|statement| {
            let attached = set_state(statement, &held.id, is_it, MeetingState::Live);
            if let Some(Meeting { id, internal_id: Some(internal_id), .. }) = &attached {
                let at = (id.clone(), internal_id.clone());
                let past = statement.tables.history.get_mut(&at).filter(|_| statement.seen.history.contains_key(&at));
                past.into_iter().for_each(|past| past.ended_at = None);
            }
            Ok(attached)
        })
        .await
    }

    async fn reap_claims(&self, older_than: Duration) -> Result<Vec<(Meeting, Release)>, StoreError> {
        let old = self.read(|statement| {
            let bound = statement.now - older_than;
            let is_old = |row: &MeetingRow| row.meeting.state == MeetingState::Claimed && row.meeting.placed_at < bound;
            meetings_where(statement, is_old)
        });
        let mut reaped = Vec::new();
        for claim in old.await? {
            let release = self.release_claim(&claim, true).await?;
            reaped.push((claim, release));
        }
        Ok(reaped)
    }
}

fn record_ending(statement: &mut Statement, held: &Meeting) -> Option<Meeting> {
    let may_end = |row: &MeetingRow| {
        row.is_same(held) && matches!(row.meeting.state, MeetingState::Live | MeetingState::Detached)
    };
    let row = statement.locked(&held.id, may_end)?;
    let meeting = Meeting { state: MeetingState::Ending, version: statement.version(), ..row.meeting };
    let updated_at = statement.now;
    statement.tables.meetings.insert(held.id.clone(), MeetingRow { meeting: meeting.clone(), updated_at, ..row });
    let copies: Vec<_> = statement.seen.copies.keys().filter(|(id, _)| *id == held.id).cloned().collect();
    for at in copies {
        locked_copy(statement, &at, |_| true).into_iter().for_each(|copy| copy.doomed = true);
    }
    Some(meeting)
}

fn set_state(
    statement: &mut Statement,
    id: &ScopedId,
    matches: impl Fn(&MeetingRow) -> bool,
    state: MeetingState,
) -> Option<Meeting> {
    let row = statement.locked(id, matches)?;
    let meeting = Meeting { state, version: statement.version(), ..row.meeting };
    Some(write_announced(statement, MeetingRow { meeting, updated_at: statement.now, ..row }))
}

/// Removes a meeting, which has ended.
pub(super) fn remove(
    statement: &mut Statement,
    id: &ScopedId,
    matches: impl Fn(&MeetingRow) -> bool,
) -> Option<Meeting> {
    let MeetingRow { meeting, .. } = statement.locked(id, matches)?;
    statement.tables.meetings.remove(id);
    if let Some(internal_id) = &meeting.internal_id {
        end_past(statement, id, internal_id);
    }
    statement.announce(id);
    Some(meeting)
}

/// The same, and it is left on its node to be ended with everyone in it.
fn remove_to_copy(statement: &mut Statement, id: &ScopedId, matches: impl Fn(&MeetingRow) -> bool) -> Option<Meeting> {
    let gone = remove(statement, id, matches)?;
    statement.tables.leave_copy(id, gone.backend, gone.attempt, statement.now).doomed = true;
    Some(gone)
}

fn ids_where(statement: &Statement, matches: impl Fn(&MeetingRow) -> bool) -> Vec<ScopedId> {
    meetings_where(statement, matches).into_iter().map(|meeting| meeting.id).collect()
}
