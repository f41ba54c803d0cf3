//! The tables of background work: jobs, which are done once and outlive every server, and duties, which are due again and again.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::rows::{column, readable};
use super::{Store, StoreError};
use crate::ledger::{JobCount, NewJob, Queue, QueuedJob};

const TABLE: &str = "jobs";

/// Removes jobs that were given up a month ago.
pub(super) const SWEEP: &str = "DELETE FROM jobs WHERE poisoned_at < now() - interval '30 days'";

/// Takes jobs of a kind that are due and free, those first that are due the longest, at most one of each lane.
///
/// 1. `heads` is the first open job of each lane, found lane by lane in the index: a lane that waits for a retry may hold a
///    hundred thousand jobs behind its head, and none of them is read.
/// 2. `first` is the heads that are due, and `laneless` the due jobs without a lane, in the order of their index: a hundred thousand
///    may be due, and only the jobs that are taken are read, and those of servers at work. Each keeps jobs without a living
///    server, and locks them. A job that another server is just taking is skipped. If its row has changed since this
///    statement began, PostgreSQL checks the conditions again on the new row. So neither a job nor a lane is taken twice.
/// 3. `next` is the first of both.
pub const TAKE: &str = "WITH RECURSIVE heads AS (
        (SELECT id, lane FROM jobs WHERE kind = $1 AND lane IS NOT NULL AND poisoned_at IS NULL ORDER BY lane, seq LIMIT 1)
        UNION ALL
        SELECT following.id, following.lane FROM heads, LATERAL (
            SELECT id, lane FROM jobs WHERE kind = $1 AND lane > heads.lane AND poisoned_at IS NULL
            ORDER BY lane, seq LIMIT 1) AS following),
    first AS (
        SELECT jobs.id, run_after, seq FROM jobs JOIN heads ON heads.id = jobs.id
        WHERE poisoned_at IS NULL AND run_after <= now() AND (lease > now() AND NOT is_lost(run_by, $4)) IS NOT TRUE
        ORDER BY run_after, seq LIMIT $2 FOR UPDATE OF jobs SKIP LOCKED),
    laneless AS (
        SELECT id, run_after, seq FROM jobs WHERE kind = $1 AND lane IS NULL AND poisoned_at IS NULL
            AND run_after <= now() AND (lease > now() AND NOT is_lost(run_by, $4)) IS NOT TRUE
        ORDER BY run_after, seq LIMIT $2 FOR UPDATE SKIP LOCKED),
    next AS (
        SELECT id FROM (TABLE first UNION ALL TABLE laneless) AS free ORDER BY run_after, seq LIMIT $2)
    UPDATE jobs SET attempts = attempts + 1, lease = now() + make_interval(secs => $3), run_by = $4
    FROM next WHERE jobs.id = next.id RETURNING jobs.*, true AS running";

#[async_trait]
impl Queue for Store {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<(), StoreError> {
        let sql = "INSERT INTO jobs (kind, lane, payload, run_after)
            SELECT kind, lane, payload, now() + make_interval(secs => delay)
            FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::float8[])
                WITH ORDINALITY AS given (kind, lane, payload, delay, place)
            ORDER BY place";
        let kinds: Vec<_> = jobs.iter().map(|job| job.kind).collect();
        let lanes: Vec<_> = jobs.iter().map(|job| job.lane.as_deref()).collect();
        let payloads: Vec<_> = jobs.iter().map(|job| &job.payload).collect();
        let delays: Vec<_> = jobs.iter().map(|job| job.delay.as_secs_f64()).collect();
        self.rows("queue jobs", sql, &[&kinds, &lanes, &payloads, &delays]).await.map(drop)
    }

    async fn take_jobs(
        &self,
        kind: &str,
        most: u32,
        lease: Duration,
        server: Uuid,
    ) -> Result<Vec<QueuedJob>, StoreError> {
        let rows = self.rows("take jobs", TAKE, &[&kind, &i64::from(most), &lease.as_secs_f64(), &server]).await?;
        let mut jobs = readable(&rows, job);
        jobs.sort_unstable_by_key(|job| (job.run_after, job.seq));
        Ok(jobs)
    }

    async fn renew_job(&self, taken: &QueuedJob, lease: Duration) -> Result<bool, StoreError> {
        let sql = "UPDATE jobs SET lease = now() + make_interval(secs => $4)
            WHERE id = $1 AND attempts = $2 AND run_by = $3 RETURNING id";
        let params: [&(dyn ToSql + Sync); 4] = [&taken.id, &attempt(taken), &taken.run_by, &lease.as_secs_f64()];
        Ok(self.row("renew a job", sql, &params).await?.is_some())
    }

    async fn complete_job(&self, taken: &QueuedJob) -> Result<bool, StoreError> {
        let sql = "DELETE FROM jobs WHERE id = $1 AND attempts = $2 AND run_by = $3 RETURNING id";
        Ok(self.row("complete a job", sql, &[&taken.id, &attempt(taken), &taken.run_by]).await?.is_some())
    }

    async fn retry_job(
        &self,
        taken: &QueuedJob,
        pause: Duration,
        error: &str,
        counts: bool,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE jobs SET run_after = now() + make_interval(secs => $4), last_error = $5, lease = NULL, run_by = NULL,
                attempts = attempts - CASE WHEN $6 THEN 0 ELSE 1 END
            WHERE id = $1 AND attempts = $2 AND run_by = $3 RETURNING id";
        let params: [&(dyn ToSql + Sync); 6] =
            [&taken.id, &attempt(taken), &taken.run_by, &pause.as_secs_f64(), &error, &counts];
        Ok(self.row("retry a job", sql, &params).await?.is_some())
    }

    async fn poison_job(&self, taken: &QueuedJob, error: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE jobs SET poisoned_at = now(), last_error = $4, lease = NULL, run_by = NULL
            WHERE id = $1 AND attempts = $2 AND run_by = $3 RETURNING id";
        let params: [&(dyn ToSql + Sync); 4] = [&taken.id, &attempt(taken), &taken.run_by, &error];
        Ok(self.row("poison a job", sql, &params).await?.is_some())
    }

    async fn release_jobs(&self, server: Uuid) -> Result<(), StoreError> {
        let sql = "UPDATE jobs SET attempts = attempts - 1, lease = NULL, run_by = NULL WHERE run_by = $1";
        self.rows("release jobs", sql, &[&server]).await.map(drop)
    }

    async fn count_jobs(&self) -> Result<Vec<JobCount>, StoreError> {
        let sql = "SELECT kind, count(*) FILTER (WHERE is_waiting) AS waiting, count(poisoned_at) AS poisoned,
                coalesce(extract(epoch FROM now() - min(run_after) FILTER (WHERE is_waiting)), 0)::float8 AS lag
            FROM (SELECT *, poisoned_at IS NULL AND (lease > now()) IS NOT TRUE AS is_waiting FROM jobs) AS jobs
            GROUP BY kind";
        Ok(readable(&self.rows("count the jobs", sql, &[]).await?, count))
    }

    async fn take_duty(&self, name: &str, every: Duration, server: Uuid) -> Result<bool, StoreError> {
        let sql = "INSERT INTO duties (name, due, run_by) VALUES ($1, now() + make_interval(secs => $2), $3)
            ON CONFLICT (name) DO UPDATE SET due = excluded.due, run_by = excluded.run_by
            WHERE duties.due <= now() RETURNING name";
        Ok(self.row("take a duty", sql, &[&name, &every.as_secs_f64(), &server]).await?.is_some())
    }

    async fn renew_duty(&self, name: &str, every: Duration, server: Uuid) -> Result<bool, StoreError> {
        let sql = "UPDATE duties SET due = now() + make_interval(secs => $2)
            WHERE name = $1 AND run_by = $3 RETURNING name";
        Ok(self.row("renew a duty", sql, &[&name, &every.as_secs_f64(), &server]).await?.is_some())
    }
}

/// The table of jobs, for operators.
#[derive(Clone, Copy)]
pub struct Jobs<'s>(pub(super) &'s Store);

impl Jobs<'_> {
    /// Lets a job that was given up run again, as the last of its lane, with all its attempts. `None`: there is no such job.
    pub async fn revive(self, id: Uuid) -> Result<Option<QueuedJob>, StoreError> {
        let sql = "UPDATE jobs SET seq = DEFAULT, attempts = 0, run_after = now(), poisoned_at = NULL
            WHERE id = $1 AND poisoned_at IS NOT NULL RETURNING *, false AS running";
        self.0.row("revive a job", sql, &[&id]).await?.as_ref().map(job).transpose()
    }

    /// Removes a job that was given up. `None`: there is no such job.
    pub async fn discard(self, id: Uuid) -> Result<Option<QueuedJob>, StoreError> {
        let sql = "DELETE FROM jobs WHERE id = $1 AND poisoned_at IS NOT NULL RETURNING *, false AS running";
        self.0.row("discard a job", sql, &[&id]).await?.as_ref().map(job).transpose()
    }

    /// One job.
    pub async fn find(self, id: Uuid) -> Result<Option<QueuedJob>, StoreError> {
        let sql = "SELECT *, coalesce(lease > now(), false) AS running FROM jobs WHERE id = $1";
        self.0.row("find a job", sql, &[&id]).await?.as_ref().map(job).transpose()
    }

    /// The oldest jobs, given-up ones included.
    pub async fn load(self, most: u32) -> Result<Vec<QueuedJob>, StoreError> {
        let sql = "SELECT *, coalesce(lease > now(), false) AS running FROM jobs ORDER BY seq LIMIT $1";
        Ok(readable(&self.0.rows("load the jobs", sql, &[&i64::from(most)]).await?, job))
    }
}

fn job(row: &Row) -> Result<QueuedJob, StoreError> {
    Ok(QueuedJob {
        id: column(TABLE, row, "id")?,
        seq: column(TABLE, row, "seq")?,
        kind: column(TABLE, row, "kind")?,
        lane: column(TABLE, row, "lane")?,
        payload: column(TABLE, row, "payload")?,
        run_after: column(TABLE, row, "run_after")?,
        attempts: column::<i32>(TABLE, row, "attempts")?.unsigned_abs(),
        run_by: column(TABLE, row, "run_by")?,
        running: column(TABLE, row, "running")?,
        last_error: column(TABLE, row, "last_error")?,
        poisoned_at: column(TABLE, row, "poisoned_at")?,
        created_at: column(TABLE, row, "created_at")?,
    })
}

fn count(row: &Row) -> Result<JobCount, StoreError> {
    let lag: f64 = column(TABLE, row, "lag")?;
    Ok(JobCount {
        kind: column(TABLE, row, "kind")?,
        waiting: column(TABLE, row, "waiting")?,
        poisoned: column(TABLE, row, "poisoned")?,
        lag: Duration::try_from_secs_f64(lag.max(0.0)).unwrap_or(Duration::MAX),
    })
}

/// The number of an attempt, as the table has it.
fn attempt(taken: &QueuedJob) -> i32 {
    i32::try_from(taken.attempts).unwrap_or(i32::MAX)
}
