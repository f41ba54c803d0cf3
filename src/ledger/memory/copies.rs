//! Copies of meetings, as `store/meetings/copies.rs` says it in SQL.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting, MeetingState};
use b3scale_middleware::ports::Born;

use super::rows::{end_past, locked_copy, write_announced};
use super::{CopyRow, MeetingRow, Model, Statement};
use crate::ledger::{Copies, MeetingCopy};
use b3scale_postgres::StoreError;

/// How long an end may be on its way.
const ENDING: Duration = Duration::from_secs(10);

/// How long a copy is left alone after an end.
const REST: Duration = Duration::from_secs(3);

/// How long the copy is spared that a meeting leaves behind when both change places.
const SPARED_AFTER_SWAP: Duration = Duration::from_secs(60);

#[async_trait]
impl Copies for Model {
    async fn load_copies(&self) -> Result<Vec<MeetingCopy>, StoreError> {
        self.read(loose_copies).await
    }

    async fn take_copy(&self, copy: &MeetingCopy) -> Result<bool, StoreError> {
        self.run(|statement| {
            let (now, is_loose) = (statement.now, is_loose(statement, &copy.id, copy.backend));
            let taken = locked_copy(statement, &at(copy), |row| row.is(copy) && !row.is_spared(now) && is_loose);
            Ok(taken.map(|row| row.ending_until = Some(now + ENDING)).is_some())
        })
        .await
    }

    async fn forget_copy(&self, copy: &MeetingCopy, settled_after: Duration) -> Result<bool, StoreError> {
        self.run(|statement| {
            let (now, at) = (statement.now, at(copy));
            if locked_copy(statement, &at, |row| row.is(copy) && row.is_believed_gone(now, settled_after)).is_some() {
                statement.tables.copies.remove(&at);
                return Ok(true);
            }
            let first = locked_copy(statement, &at, |row| row.is(copy) && row.missing().is_none());
            first.into_iter().for_each(|row| row.missing_since = Some(now));
            Ok(false)
        })
        .await
    }

    async fn rest_copy(&self, copy: &MeetingCopy, ended: bool) -> Result<(), StoreError> {
        self.run(|statement| {
            let now = statement.now;
            if let Some(row) = locked_copy(statement, &at(copy), |row| row.is(copy)) {
                row.ending_until = None;
                row.spared_until = row.spared_until.max(Some(now + REST));
                row.ended_at = if ended { Some(now) } else { row.ended_at };
            }
            Ok(())
        })
        .await
    }

    async fn doom_copies(&self, backend: BackendId, id: Option<&ScopedId>) -> Result<u64, StoreError> {
        self.run(|statement| {
            let is_wanted = |at: &&(ScopedId, BackendId)| at.1 == backend && id.is_none_or(|id| at.0 == *id);
            let wanted: Vec<_> = statement.seen.copies.keys().filter(is_wanted).cloned().collect();
            let mut doomed = 0;
            for at in &wanted {
                if let Some(copy) = locked_copy(statement, at, |_| true) {
                    copy.doomed = true;
                    doomed += 1;
                }
            }
            Ok(doomed)
        })
        .await
    }

    async fn swap_copy(&self, held: &Meeting, copy: &MeetingCopy, born: &Born) -> Result<Option<Meeting>, StoreError> {
        self.run(|statement| Ok(swap(statement, held, copy, born))).await
    }

    async fn record_stray(&self, id: &ScopedId, backend: BackendId) -> Result<bool, StoreError> {
        self.run(|statement| {
            let is_elsewhere =
                |row: &&MeetingRow| row.meeting.state == MeetingState::Live && row.meeting.backend != backend;
            let attempt = statement.seen.meetings.get(id).filter(is_elsewhere).map(|row| row.meeting.attempt);
            let is_new = !statement.tables.copies.contains_key(&(id.clone(), backend));
            let Some(attempt) = attempt.filter(|_| is_new) else { return Ok(false) };
            let now = statement.now;
            statement.tables.leave_copy(id, backend, attempt, now);
            Ok(true)
        })
        .await
    }
}

fn loose_copies(statement: &Statement) -> Vec<MeetingCopy> {
    let copies = statement.seen.copies.iter();
    let mut loose: Vec<_> = copies
        .filter(|((id, backend), row)| !row.is_spared(statement.now) && is_loose(statement, id, *backend))
        .map(|((id, backend), row)| {
            let (id, backend) = (id.clone(), *backend);
            (row.created_at, MeetingCopy { id, backend, attempt: row.attempt, doomed: row.doomed })
        })
        .collect();
    loose.sort_by_key(|(created_at, _)| *created_at);
    loose.into_iter().map(|(_, copy)| copy).collect()
}

/// Whether the meeting is gone, or lives elsewhere.
fn is_loose(statement: &Statement, id: &ScopedId, backend: BackendId) -> bool {
    let is_elsewhere = |row: &MeetingRow| row.meeting.state == MeetingState::Live && row.meeting.backend != backend;
    statement.seen.meetings.get(id).is_none_or(is_elsewhere)
}

fn swap(statement: &mut Statement, held: &Meeting, copy: &MeetingCopy, born: &Born) -> Option<Meeting> {
    let (now, at) = (statement.now, at(copy));
    let is_live = |row: &MeetingRow| row.is_same(held) && row.meeting.state == MeetingState::Live;
    let row = statement.locked(&held.id, is_live)?;
    let may_be_ended = |row: &CopyRow| row.ending_until.is_some_and(|until| until > now);
    let is_there = statement.seen.copies.get(&at).is_some_and(|row| row.is(copy) && !row.doomed && !may_be_ended(row));
    let past = statement.seen.history.get(&(held.id.clone(), born.internal_id.clone()));
    let ran_there = past.is_some_and(|past| past.backend == Some(copy.backend));
    if !is_there || !ran_there || !statement.has_place(copy.backend) {
        return None;
    }
    let meeting = Meeting {
        backend: copy.backend,
        attempt: row.meeting.attempt + 1,
        internal_id: Some(born.internal_id.clone()),
        entry: None,
        callbacks: statement.tables.callbacks_of(&held.id, &born.internal_id),
        version: statement.version(),
        ..row.meeting
    };
    statement.tables.copies.remove(&at);
    let left = statement.tables.leave_copy(&held.id, held.backend, held.attempt, now);
    (left.doomed, left.spared_until) = (false, Some(now + SPARED_AFTER_SWAP));
    if let Some(before) = &held.internal_id {
        end_past(statement, &held.id, before);
    }
    statement.tables.history.entry((held.id.clone(), born.internal_id.clone())).and_modify(|past| past.ended_at = None);
    let create_time = Some(born.create_time);
    Some(write_announced(statement, MeetingRow { meeting, create_time, updated_at: now, ..row }))
}

impl CopyRow {
    fn is(&self, copy: &MeetingCopy) -> bool {
        self.attempt == copy.attempt
    }

    /// Whether its meeting may be created there just now.
    fn is_spared(&self, now: SystemTime) -> bool {
        self.spared_until.is_some_and(|until| until >= now)
    }

    /// Since when its node has said that it does not run it.
    fn missing(&self) -> Option<SystemTime> {
        self.missing_since.filter(|since| *since >= self.created_at)
    }

    fn is_believed_gone(&self, now: SystemTime, settled_after: Duration) -> bool {
        let has_ended = self.ended_at.is_some_and(|ended| ended >= self.created_at);
        has_ended || self.missing().unwrap_or(now) <= now - settled_after
    }
}

fn at(copy: &MeetingCopy) -> (ScopedId, BackendId) {
    (copy.id.clone(), copy.backend)
}
