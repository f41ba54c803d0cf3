//! Copies: meetings that may be left on a node which got a create that was then given up, or was lost with them.

use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Attempt, BackendId};
use tokio_postgres::Row;

use crate::store::rows::{column, readable};
use crate::store::{Store, StoreError};

const TABLE: &str = "meeting_copies";

/// A node that may run a meeting which is elsewhere or gone, and is to be sent an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingCopy {
    /// The meeting.
    pub id: ScopedId,
    /// Where the copy may be.
    pub backend: BackendId,
    /// The attempt that left it there.
    pub attempt: Attempt,
}

impl Store {
    /// The copies that may be ended now: their meetings are gone, or live elsewhere.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_copies(&self) -> Result<Vec<MeetingCopy>, StoreError> {
        let sql = "SELECT copies.* FROM meeting_copies AS copies LEFT JOIN meetings USING (id)
            WHERE (meetings.id IS NULL OR meetings.state = 'live' AND meetings.backend_id <> copies.backend_id)
                AND (spared_until < now()) IS NOT FALSE
            ORDER BY copies.created_at";
        Ok(readable(&self.rows("load the copies", sql, &[]).await?, copy))
    }

    /// Takes a copy to end it. For ten seconds the meeting is then not created on its node. `false`: it is being created
    /// there, or nobody knows of the copy any more.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn take_copy(&self, copy: &MeetingCopy) -> Result<bool, StoreError> {
        let sql = "UPDATE meeting_copies AS copies SET ending_until = now() + interval '10 seconds'
            WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND (spared_until < now()) IS NOT FALSE
                AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = copies.id
                    AND (meetings.state <> 'live' OR meetings.backend_id = copies.backend_id))
            RETURNING id";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt);
        Ok(self.row("take a copy", sql, &[&params.0, &params.1, &params.2]).await?.is_some())
    }

    /// The node has said that it does not run the copy. That is believed if it has ended the copy before, or has said so for
    /// as long as `settled_after`: until then it may be at work on the create. `false`: not yet, or nobody knew of it any more.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn forget_copy(&self, copy: &MeetingCopy, settled_after: Duration) -> Result<bool, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meeting_copies WHERE id = $1 AND backend_id = $2 AND attempt = $3
                    AND (ended_at >= created_at OR now() - make_interval(secs => $4)
                        >= CASE WHEN missing_since >= created_at THEN missing_since ELSE now() END)
                RETURNING id),
            missed AS (
                UPDATE meeting_copies SET missing_since = now() WHERE id = $1 AND backend_id = $2 AND attempt = $3
                    AND (missing_since >= created_at) IS NOT TRUE AND NOT EXISTS (SELECT FROM gone))
            SELECT id FROM gone";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt, settled_after.as_secs_f64());
        Ok(self.row("forget a copy", sql, &[&params.0, &params.1, &params.2, &params.3]).await?.is_some())
    }

    /// The end of a copy has been answered; with `ended`, the node had it. For three seconds it is left alone, so that the
    /// meeting can be created on that node again: there may be no other.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn rest_copy(&self, copy: &MeetingCopy, ended: bool) -> Result<(), StoreError> {
        let sql = "UPDATE meeting_copies SET ending_until = NULL,
                spared_until = greatest(spared_until, now() + interval '3 seconds'),
                ended_at = CASE WHEN $4 THEN now() ELSE ended_at END
            WHERE id = $1 AND backend_id = $2 AND attempt = $3";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt);
        self.rows("let a copy rest", sql, &[&params.0, &params.1, &params.2, &ended]).await.map(drop)
    }

    /// A node runs a meeting that lives elsewhere, and nobody knows how it came there: it is a copy.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn record_stray(&self, id: &ScopedId, backend: BackendId) -> Result<bool, StoreError> {
        let sql = "INSERT INTO meeting_copies (id, backend_id, attempt)
            SELECT id, $2, attempt FROM meetings WHERE id = $1 AND state = 'live' AND backend_id <> $2
            ON CONFLICT DO NOTHING RETURNING id";
        Ok(self.row("record a stray copy", sql, &[&id.as_ref(), &backend.0]).await?.is_some())
    }
}

fn copy(row: &Row) -> Result<MeetingCopy, StoreError> {
    Ok(MeetingCopy {
        id: ScopedId::verbatim(column(TABLE, row, "id")?),
        backend: BackendId(column(TABLE, row, "backend_id")?),
        attempt: column(TABLE, row, "attempt")?,
    })
}
