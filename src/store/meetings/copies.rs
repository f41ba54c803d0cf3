//! Copies: meetings that may be left on a node which got a create that was then given up, or was lost with them.

use std::time::Duration;

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting};
use b3scale_middleware::ports::Born;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::compared;
use crate::ledger::{Copies, MeetingCopy};
use crate::store::rows::{column, readable};
use crate::store::{Store, StoreError};

const TABLE: &str = "meeting_copies";

#[async_trait]
impl Copies for Store {
    async fn load_copies(&self) -> Result<Vec<MeetingCopy>, StoreError> {
        let sql = "SELECT copies.* FROM meeting_copies AS copies LEFT JOIN meetings USING (id)
            WHERE (meetings.id IS NULL OR meetings.state = 'live' AND meetings.backend_id <> copies.backend_id)
                AND (spared_until < now()) IS NOT FALSE
            ORDER BY copies.created_at";
        Ok(readable(&self.rows("load the copies", sql, &[]).await?, copy))
    }

    async fn take_copy(&self, copy: &MeetingCopy) -> Result<bool, StoreError> {
        let sql = "UPDATE meeting_copies AS copies SET ending_until = now() + interval '10 seconds'
            WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND (spared_until < now()) IS NOT FALSE
                AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = copies.id
                    AND (meetings.state <> 'live' OR meetings.backend_id = copies.backend_id))
            RETURNING id";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt);
        Ok(self.row("take a copy", sql, &[&params.0, &params.1, &params.2]).await?.is_some())
    }

    async fn forget_copy(&self, copy: &MeetingCopy, settled_after: Duration) -> Result<bool, StoreError> {
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

    async fn rest_copy(&self, copy: &MeetingCopy, ended: bool) -> Result<(), StoreError> {
        let sql = "UPDATE meeting_copies SET ending_until = NULL,
                spared_until = greatest(spared_until, now() + interval '3 seconds'),
                ended_at = CASE WHEN $4 THEN now() ELSE ended_at END
            WHERE id = $1 AND backend_id = $2 AND attempt = $3";
        let params = (copy.id.as_ref(), copy.backend.0, copy.attempt);
        self.rows("let a copy rest", sql, &[&params.0, &params.1, &params.2, &ended]).await.map(drop)
    }

    async fn doom_copies(&self, backend: BackendId, id: Option<&ScopedId>) -> Result<u64, StoreError> {
        let sql = "UPDATE meeting_copies SET doomed = true
            WHERE backend_id = $1 AND id = coalesce($2, id) RETURNING id";
        let id = id.map(ScopedId::as_ref);
        Ok(self.rows("doom copies", sql, &[&backend.0, &id]).await?.len() as u64)
    }

    async fn swap_copy(&self, held: &Meeting, copy: &MeetingCopy, born: &Born) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH place AS MATERIALIZED (SELECT FROM backends WHERE id = $6 FOR KEY SHARE),
            swapped AS (
                UPDATE meetings SET backend_id = $6, attempt = attempt + 1, internal_id = $8, create_time = $9,
                    entry = NULL, callbacks = callbacks_of($1, $8), updated_at = now(), version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $4 AND state = 'live'
                    AND internal_id IS NOT DISTINCT FROM $5 AND EXISTS (SELECT FROM place)
                    AND EXISTS (SELECT FROM meeting_copies WHERE id = $1 AND backend_id = $6 AND attempt = $7 AND NOT doomed
                        AND (ending_until > now()) IS NOT TRUE)
                    AND EXISTS (
                        SELECT FROM meeting_history WHERE id = $1 AND internal_id = $8 AND backend_id = $6)
                RETURNING *),
            adopted AS (
                DELETE FROM meeting_copies AS copies USING swapped
                WHERE copies.id = swapped.id AND copies.backend_id = swapped.backend_id),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt, spared_until)
                SELECT id, $2, $3, now() + interval '1 minute' FROM swapped
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now(), doomed = false,
                    spared_until = excluded.spared_until),
            noted AS (
                UPDATE meeting_history AS past
                SET ended_at = CASE WHEN past.internal_id = swapped.internal_id THEN NULL ELSE now() END
                FROM swapped WHERE past.id = swapped.id AND past.internal_id IN (swapped.internal_id, $5))
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM swapped";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 9] = [
            &id,
            &backend,
            &attempt,
            &held.claim,
            &held.internal_id,
            &copy.backend.0,
            &copy.attempt,
            &born.internal_id,
            &born.create_time,
        ];
        super::one(self, "swap a copy", sql, &params).await
    }

    async fn record_stray(&self, id: &ScopedId, backend: BackendId) -> Result<bool, StoreError> {
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
        doomed: column(TABLE, row, "doomed")?,
    })
}
