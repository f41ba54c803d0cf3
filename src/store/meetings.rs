//! The tables of meetings: one statement a transition, each comparing the place it believes in.
//!
//! A [`Meeting`] that is handed in is a belief: its id, backend and attempt must still be the row's, or nothing happens.
//! Claims, moves and ends are announced to the other servers, results are not: announcing commits queue up.

mod copies;
mod ends;
mod entries;
mod places;

use std::sync::Arc;

use async_trait::async_trait;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{Attempt, BackendId, Callback, FrontendId, Meeting, Size};
use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::rehearsal::Rehearsal;
use super::rows::{column, readable, word};
use super::transaction::Ending;
use super::{Store, StoreError};
use crate::ledger::{Lookups, PastMeeting};

pub use entries::{MeetingEntry, MeetingFilter, Meetings};
pub use places::{CLAIM, LIVE};

const TABLE: &str = "meetings";

#[async_trait]
impl Lookups for Store {
    async fn load_meetings(&self) -> Result<Vec<Meeting>, StoreError> {
        Ok(readable(&self.rows("load the meetings", "SELECT * FROM meetings", &[]).await?, meeting))
    }

    async fn find_meeting(&self, id: &ScopedId) -> Result<Option<Meeting>, StoreError> {
        one(self, "find a meeting", "SELECT * FROM meetings WHERE id = $1", &[&id.as_ref()]).await
    }

    async fn find_by_either_id(
        &self,
        frontend: FrontendId,
        id: &str,
        scoped: &ScopedId,
    ) -> Result<Vec<Meeting>, StoreError> {
        // The history has an index of the nodes' ids.
        let sql = "SELECT meetings.* FROM meeting_history AS noted
            JOIN meetings ON meetings.id = noted.id AND meetings.internal_id = noted.internal_id
            WHERE noted.internal_id = $1 AND meetings.frontend_id = $2
            UNION ALL SELECT * FROM meetings WHERE id = $3";
        let rows = self.rows("find a meeting by its internal id", sql, &[&id, &frontend.0, &scoped.as_ref()]).await?;
        Ok(readable(&rows, meeting))
    }

    async fn find_meetings(&self, ids: &[&str]) -> Result<Vec<Meeting>, StoreError> {
        let sql = "SELECT * FROM meetings WHERE id = ANY($1)";
        Ok(readable(&self.rows("find some meetings", sql, &[&ids]).await?, meeting))
    }

    async fn find_history(&self, id: &ScopedId) -> Result<Option<PastMeeting>, StoreError> {
        let sql = "SELECT *, ended_at IS NOT NULL AS ended FROM meeting_history WHERE id = $1
            ORDER BY created_at DESC LIMIT 1";
        let row = self.row("find a past meeting", sql, &[&id.as_ref()]).await?;
        row.as_ref().map(past).transpose()
    }

    async fn rehearse_create(&self) -> Result<(), StoreError> {
        self.transaction(&Rehearsal, Ending::Rollback).await
    }
}

async fn one(
    store: &Store,
    task: &'static str,
    sql: &str,
    params: super::pool::Params<'_>,
) -> Result<Option<Meeting>, StoreError> {
    store.row(task, sql, params).await?.as_ref().map(meeting).transpose()
}

/// What every transition compares.
fn compared(held: &Meeting) -> (&str, uuid::Uuid, Attempt) {
    (held.id.as_ref(), held.backend.0, held.attempt)
}

fn meeting(row: &Row) -> Result<Meeting, StoreError> {
    let count = |name| Ok::<_, StoreError>(column::<Option<i32>>(TABLE, row, name)?.map(i32::unsigned_abs));
    let entry: Option<String> = column(TABLE, row, "entry")?;
    let callbacks: Option<Json<Vec<Callback>>> = column(TABLE, row, "callbacks")?;
    Ok(Meeting {
        id: ScopedId::verbatim(column(TABLE, row, "id")?),
        meeting_id: MeetingId::new(column(TABLE, row, "meeting_id")?),
        frontend: FrontendId(column(TABLE, row, "frontend_id")?),
        backend: BackendId(column(TABLE, row, "backend_id")?),
        attempt: column(TABLE, row, "attempt")?,
        claim: column(TABLE, row, "claim")?,
        state: word(TABLE, row, "state")?,
        internal_id: column(TABLE, row, "internal_id")?,
        size: Size {
            hint: count("size_hint")?,
            limit: count("size_limit")?,
            breakout: column(TABLE, row, "breakout")?,
        },
        placed_at: column(TABLE, row, "claimed_at")?,
        entry: entry.map(Bytes::from),
        callbacks: callbacks.map_or_else(Arc::default, |Json(callbacks)| callbacks.into()),
        version: column(TABLE, row, "version")?,
    })
}

fn past(row: &Row) -> Result<PastMeeting, StoreError> {
    const TABLE: &str = "meeting_history";
    Ok(PastMeeting {
        id: ScopedId::verbatim(column(TABLE, row, "id")?),
        meeting_id: MeetingId::new(column(TABLE, row, "meeting_id")?),
        frontend: FrontendId(column(TABLE, row, "frontend_id")?),
        backend: column::<Option<_>>(TABLE, row, "backend_id")?.map(BackendId),
        internal_id: column(TABLE, row, "internal_id")?,
        ended: column(TABLE, row, "ended")?,
    })
}
