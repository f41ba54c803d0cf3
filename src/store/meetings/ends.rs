//! How meetings end, are lost, and come back.

use std::time::Duration;

use async_trait::async_trait;
use b3scale_middleware::cluster::{BackendId, Meeting};
use tokio_postgres::types::ToSql;

use super::{compared, meeting};
use crate::ledger::{Ends, Places, Release};
use crate::store::rows::readable;
use crate::store::{Store, StoreError};

#[async_trait]
impl Ends for Store {
    async fn record_ending(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH ending AS (
                UPDATE meetings SET state = 'ending', updated_at = now(), version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $5
                    AND internal_id IS NOT DISTINCT FROM $4 AND state IN ('live', 'detached') RETURNING *),
            doomed AS (UPDATE meeting_copies AS copies SET doomed = true FROM ending WHERE copies.id = ending.id)
            SELECT * FROM ending";
        let (id, backend, attempt) = compared(held);
        super::one(self, "record an ending meeting", sql, &[&id, &backend, &attempt, &held.internal_id, &held.claim])
            .await
    }

    async fn forget_meeting(&self, held: &Meeting) -> Result<bool, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $5
                    AND state <> 'claimed' AND internal_id IS NOT DISTINCT FROM $4
                RETURNING id, internal_id),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM gone
                WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
            SELECT pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 5] = [&id, &backend, &attempt, &held.internal_id, &held.claim];
        Ok(self.row("forget a meeting", sql, &params).await?.is_some())
    }

    async fn let_go_of_meeting(&self, held: &Meeting) -> Result<bool, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $5
                    AND state IN ('live', 'ending') AND internal_id IS NOT DISTINCT FROM $4 RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt, doomed) SELECT id, backend_id, attempt, true FROM gone
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now(), doomed = true),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM gone
                WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
            SELECT pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        let (id, backend, attempt) = compared(held);
        let params: [&(dyn ToSql + Sync); 5] = [&id, &backend, &attempt, &held.internal_id, &held.claim];
        Ok(self.row("let go of a meeting", sql, &params).await?.is_some())
    }

    async fn forget_ending(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError> {
        let sql = "WITH gone AS (
                DELETE FROM meetings WHERE backend_id = $1 AND state = 'ending' RETURNING *),
            copied AS (
                INSERT INTO meeting_copies (id, backend_id, attempt, doomed) SELECT id, backend_id, attempt, true FROM gone
                ON CONFLICT (id, backend_id) DO UPDATE SET attempt = excluded.attempt, created_at = now(), doomed = true),
            ended AS (
                UPDATE meeting_history AS past SET ended_at = now() FROM gone
                WHERE past.id = gone.id AND past.internal_id = gone.internal_id)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM gone";
        Ok(readable(&self.rows("forget ending meetings", sql, &[&backend.0]).await?, meeting))
    }

    async fn detach_meetings(&self, backend: BackendId) -> Result<Vec<Meeting>, StoreError> {
        let sql = "WITH detached AS (
                UPDATE meetings SET state = 'detached', updated_at = now(), version = nextval('versions')
                WHERE backend_id = $1 AND state = 'live' RETURNING *)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM detached";
        Ok(readable(&self.rows("detach a backend's meetings", sql, &[&backend.0]).await?, meeting))
    }

    async fn attach_meeting(&self, held: &Meeting) -> Result<Option<Meeting>, StoreError> {
        let sql = "WITH attached AS (
                UPDATE meetings SET state = 'live', updated_at = now(), version = nextval('versions')
                WHERE id = $1 AND backend_id = $2 AND attempt = $3 AND claim = $4 AND state = 'detached' RETURNING *),
            noted AS (
                UPDATE meeting_history AS past SET ended_at = NULL FROM attached
                WHERE past.id = attached.id AND past.internal_id = attached.internal_id)
            SELECT *, pg_notify('b3scale', 'meeting:' || id)::text FROM attached";
        let (id, backend, attempt) = compared(held);
        super::one(self, "attach a meeting", sql, &[&id, &backend, &attempt, &held.claim]).await
    }

    async fn reap_claims(&self, older_than: Duration) -> Result<Vec<(Meeting, Release)>, StoreError> {
        let sql = "SELECT * FROM meetings WHERE state = 'claimed' AND claimed_at < now() - make_interval(secs => $1)";
        let old = readable(&self.rows("look for old claims", sql, &[&older_than.as_secs_f64()]).await?, meeting);
        let mut reaped = Vec::new();
        for claim in old {
            let release = self.release_claim(&claim, true).await?;
            reaped.push((claim, release));
        }
        Ok(reaped)
    }
}
