//! The table of statuses: which server polls which node, and the nodes' answers.
//!
//! Nothing in it is announced. Servers follow each backend's `seq`, which counts without gaps under the row's lock.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::cluster::{AgentReport, BackendId, Health};
use bytes::Bytes;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::{column, readable, spelling, word};
use super::{Store, StoreError};
use crate::ledger::{BackendStatus, Poll, PollOutcome, Polls};

const TABLE: &str = "backend_status";

#[async_trait]
impl Polls for Store {
    async fn take_polls(&self, most: u32, lease: Duration, server: Uuid) -> Result<Vec<Poll>, StoreError> {
        let sql = "WITH due AS (
                SELECT backend_id, node_state = 'error' AND (seen_at < now() - interval '40 seconds') IS NOT FALSE AS forgotten
                FROM backend_status AS status JOIN backends ON backends.id = backend_id
                WHERE (poll_due <= now() OR (polled_until IS NULL AND heartbeat >= asked_at
                        AND heartbeat < now() - interval '5 seconds')
                    OR (polled_until > now() AND is_lost(polled_by, $3)))
                    AND enabled_at IS NOT NULL
                    AND (admin_state <> 'init'
                        OR EXISTS (SELECT FROM meetings WHERE meetings.backend_id = status.backend_id)
                        OR EXISTS (SELECT FROM meeting_copies AS copies WHERE copies.backend_id = status.backend_id))
                ORDER BY poll_due LIMIT $1 FOR UPDATE OF status SKIP LOCKED)
            UPDATE backend_status AS status
            SET lease = nextval('versions'), poll_due = now() + make_interval(secs => $2),
                polled_until = now() + make_interval(secs => $2), polled_by = $3
            FROM due WHERE status.backend_id = due.backend_id
            RETURNING status.backend_id, CASE WHEN forgotten THEN 'init' ELSE node_state END AS node_state,
                CASE WHEN forgotten THEN 0 ELSE misses END AS misses,
                CASE WHEN forgotten THEN 0 ELSE answers END AS answers,
                CASE WHEN forgotten THEN 0 ELSE unlisted END AS unlisted, report_digest, lease, now() AS asked_at";
        let rows = self.rows("take polls", sql, &[&i64::from(most), &lease.as_secs_f64(), &server]).await?;
        Ok(readable(&rows, poll))
    }

    async fn take_poll(&self, id: BackendId, lease: Duration, server: Uuid) -> Result<Option<Poll>, StoreError> {
        let sql = "UPDATE backend_status SET lease = nextval('versions'), poll_due = now() + make_interval(secs => $2),
                polled_until = now() + make_interval(secs => $2), polled_by = $3
            WHERE backend_id = (SELECT id FROM backends WHERE id = $1 AND enabled_at IS NOT NULL)
            RETURNING backend_id, node_state, misses, answers, unlisted, report_digest, lease, now() AS asked_at";
        let row = self.row("take a poll", sql, &[&id.0, &lease.as_secs_f64(), &server]).await?;
        row.as_ref().map(poll).transpose()
    }

    async fn seize_polls(&self, ids: &[BackendId], lease: Duration, server: Uuid) -> Result<Vec<Poll>, StoreError> {
        let sql = "UPDATE backend_status SET lease = nextval('versions'), poll_due = now() + make_interval(secs => $2),
                polled_until = now() + make_interval(secs => $2), polled_by = $3
            WHERE backend_id = ANY($1) AND polled_until > now() AND polled_by IS DISTINCT FROM $3
            RETURNING backend_id, node_state, misses, answers, unlisted, report_digest, lease, now() AS asked_at";
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = self.rows("seize polls", sql, &[&ids, &lease.as_secs_f64(), &server]).await?;
        Ok(readable(&rows, poll))
    }

    async fn return_poll(&self, poll: &Poll) -> Result<(), StoreError> {
        let sql =
            "UPDATE backend_status SET polled_until = NULL, polled_by = NULL, poll_due = now() + interval '1 second'
            WHERE backend_id = $1 AND lease = $2";
        self.rows("return a poll", sql, &[&poll.backend.0, &poll.lease]).await.map(drop)
    }

    async fn hasten_poll(&self, id: BackendId, pause: Duration) -> Result<(), StoreError> {
        let sql = "UPDATE backend_status SET hastened_at = now(),
                poll_due = CASE WHEN polled_until > now() THEN poll_due
                    ELSE least(poll_due, greatest(now(), asked_at + make_interval(secs => $2))) END
            WHERE backend_id = $1";
        self.rows("hasten a poll", sql, &[&id.0, &pause.as_secs_f64()]).await.map(drop)
    }

    async fn record_poll(&self, poll: &Poll, outcome: &PollOutcome<'_>) -> Result<Option<i64>, StoreError> {
        // The row's lock is what makes seq gapless: a second server waits here for the first one's commit.
        let sql = "UPDATE backend_status SET node_state = $3, misses = $4, answers = $5, unlisted = $13, last_error = $6,
                latency_ns = $7, attendees = $8, seq = seq + 1, polled_until = NULL, seen_at = now(),
                poll_due = now() + make_interval(secs => CASE WHEN hastened_at >= $10 THEN least($9::float8, 1) ELSE $9 END),
                synced_at = CASE WHEN $5 > 0 THEN now() ELSE synced_at END,
                asked_at = CASE WHEN $5 > 0 THEN $10 ELSE asked_at END,
                report = coalesce($11, report), report_digest = coalesce($12, report_digest),
                report_seq = CASE WHEN $11::bytea IS NULL THEN report_seq ELSE seq + 1 END
            WHERE backend_id = $1 AND lease = $2 RETURNING seq";
        let Health { state, misses, answers, unlisted } = outcome.health;
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let latency = i64::try_from(outcome.latency.as_nanos()).unwrap_or(i64::MAX);
        let (report, digest) = outcome.report.unzip();
        let (state, next) = (spelling(state), outcome.next.as_secs_f64());
        let (misses, answers, unlisted) = (count(misses), count(answers), count(unlisted));
        let attendees = count(outcome.attendees);
        let params: [&(dyn ToSql + Sync); 13] = [
            &poll.backend.0,
            &poll.lease,
            &state,
            &misses,
            &answers,
            &outcome.last_error,
            &latency,
            &attendees,
            &next,
            &poll.asked_at,
            &report,
            &digest,
            &unlisted,
        ];
        let row = self.row("record a poll", sql, &params).await?;
        row.map(|row| column(TABLE, &row, "seq")).transpose()
    }

    async fn record_heartbeat(
        &self,
        id: BackendId,
        figures: Option<(f32, f32)>,
    ) -> Result<Option<SystemTime>, StoreError> {
        let sql = "UPDATE backend_status SET heartbeat = now(), cpu = $2, memory = $3, seq = seq + 1
            WHERE backend_id = $1 RETURNING heartbeat";
        let (cpu, memory) = figures.unzip();
        let row = self.row("record a heartbeat", sql, &[&id.0, &cpu, &memory]).await?;
        row.map(|row| column(TABLE, &row, "heartbeat")).transpose()
    }

    async fn statuses_since(&self, known: &[(BackendId, i64)]) -> Result<Vec<BackendStatus>, StoreError> {
        let sql =
            "SELECT backend_id, node_state, misses, answers, unlisted, last_error, latency_ns, attendees, status.seq,
                asked_at, cpu, memory, (seen_at < now() - interval '40 seconds') IS NOT FALSE AS stale,
                extract(epoch FROM now() - synced_at)::float8 AS age,
                extract(epoch FROM now() - heartbeat)::float8 AS silence,
                extract(epoch FROM now() - told_at)::float8 AS told,
                CASE WHEN report_seq > coalesce(known.seq, 0) THEN coalesce(report, '') END AS news
            FROM backend_status AS status
            LEFT JOIN unnest($1::uuid[], $2::int8[]) AS known (id, seq) ON known.id = backend_id
            WHERE status.seq > coalesce(known.seq, 0)";
        let (ids, seqs): (Vec<_>, Vec<_>) = known.iter().map(|(id, seq)| (id.0, *seq)).unzip();
        Ok(readable(&self.rows("follow the backends' status", sql, &[&ids, &seqs]).await?, status))
    }
}

fn poll(row: &Row) -> Result<Poll, StoreError> {
    Ok(Poll {
        backend: BackendId(column(TABLE, row, "backend_id")?),
        health: health(row)?,
        asked_at: column(TABLE, row, "asked_at")?,
        digest: column(TABLE, row, "report_digest")?,
        lease: column(TABLE, row, "lease")?,
    })
}

fn health(row: &Row) -> Result<Health, StoreError> {
    let count = |name| column::<i32>(TABLE, row, name).map(i32::unsigned_abs);
    Ok(Health {
        state: word(TABLE, row, "node_state")?,
        misses: count("misses")?,
        answers: count("answers")?,
        unlisted: count("unlisted")?,
    })
}

fn status(row: &Row) -> Result<BackendStatus, StoreError> {
    let latency: i64 = column(TABLE, row, "latency_ns")?;
    let attendees: i32 = column(TABLE, row, "attendees")?;
    Ok(BackendStatus {
        backend: BackendId(column(TABLE, row, "backend_id")?),
        health: health(row)?,
        stale: column(TABLE, row, "stale")?,
        last_error: column(TABLE, row, "last_error")?,
        latency: Duration::from_nanos(latency.unsigned_abs()),
        attendees: attendees.unsigned_abs(),
        age: column::<Option<f64>>(TABLE, row, "age")?.map(seconds),
        agent: agent(row)?,
        told: column::<Option<f64>>(TABLE, row, "told")?.map(seconds),
        asked_at: column(TABLE, row, "asked_at")?,
        report: column::<Option<Vec<u8>>>(TABLE, row, "news")?.map(Bytes::from),
        seq: column(TABLE, row, "seq")?,
    })
}

fn agent(row: &Row) -> Result<Option<AgentReport>, StoreError> {
    let Some(silence) = column::<Option<f64>>(TABLE, row, "silence")?.map(seconds) else { return Ok(None) };
    let now = Instant::now().into_std();
    let figure = |name| Ok::<f32, StoreError>(column::<Option<f32>>(TABLE, row, name)?.unwrap_or_default());
    let heartbeat = now.checked_sub(silence).unwrap_or(now);
    Ok(Some(AgentReport { heartbeat, cpu: figure("cpu")?, memory: figure("memory")? }))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}
