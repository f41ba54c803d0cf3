//! The queue of jobs and the leases on duties, as `store/jobs.rs` says it in SQL.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_postgres::StoreError;
use uuid::Uuid;

use super::{DutyRow, JobRow, Model, Statement};
use crate::ledger::{JobCount, NewJob, Queue, QueuedJob};

#[async_trait]
impl Queue for Model {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<(), StoreError> {
        self.run(|statement| {
            jobs.iter().for_each(|job| enqueue(statement, job));
            Ok(())
        })
        .await
    }

    async fn take_jobs(
        &self,
        kind: &str,
        most: u32,
        lease: Duration,
        server: Uuid,
    ) -> Result<Vec<QueuedJob>, StoreError> {
        self.run(|statement| {
            let until = statement.now + lease;
            let free = free_jobs(statement, kind, server);
            let take = |seq| Some(statement.tables.jobs.get_mut(&seq)?.take(until, server));
            Ok(free.into_iter().take(most as usize).filter_map(take).collect())
        })
        .await
    }

    async fn renew_job(&self, taken: &QueuedJob, lease: Duration) -> Result<bool, StoreError> {
        self.run(|statement| {
            let until = statement.now + lease;
            Ok(job(statement, taken).map(|row| row.lease = Some(until)).is_some())
        })
        .await
    }

    async fn complete_job(&self, taken: &QueuedJob) -> Result<bool, StoreError> {
        self.run(|statement| {
            let is_there = job(statement, taken).is_some();
            if is_there {
                statement.tables.jobs.remove(&taken.seq);
            }
            Ok(is_there)
        })
        .await
    }

    async fn retry_job(
        &self,
        taken: &QueuedJob,
        pause: Duration,
        error: &str,
        counts: bool,
    ) -> Result<bool, StoreError> {
        self.run(|statement| {
            let run_after = statement.now + pause;
            let failed = job(statement, taken).map(|row| {
                row.fail(error);
                row.job.attempts -= u32::from(!counts);
                row.job.run_after = run_after;
            });
            Ok(failed.is_some())
        })
        .await
    }

    async fn poison_job(&self, taken: &QueuedJob, error: &str) -> Result<bool, StoreError> {
        self.run(|statement| {
            let now = statement.now;
            let failed = job(statement, taken).map(|row| {
                row.fail(error);
                row.job.poisoned_at = Some(now);
            });
            Ok(failed.is_some())
        })
        .await
    }

    async fn release_jobs(&self, server: Uuid) -> Result<(), StoreError> {
        self.run(|statement| {
            let is_theirs = |row: &JobRow| row.job.run_by == Some(server);
            let seen = statement.seen.jobs.iter().filter(|(_, row)| is_theirs(row));
            for seq in seen.map(|(seq, _)| seq) {
                if let Some(row) = statement.tables.jobs.get_mut(seq).filter(|row| is_theirs(row)) {
                    row.job.attempts -= 1;
                    (row.lease, row.job.run_by) = (None, None);
                }
            }
            Ok(())
        })
        .await
    }

    async fn count_jobs(&self) -> Result<Vec<JobCount>, StoreError> {
        self.read(|statement| {
            let rows = || statement.seen.jobs.values();
            let kinds: BTreeSet<&str> = rows().map(|row| &*row.job.kind).collect();
            let count = |kind: &str| {
                let of_kind = || rows().filter(|row| row.job.kind == kind);
                let waiting = || of_kind().filter(|row| row.is_waiting(statement.now));
                let first = waiting().map(|row| row.job.run_after).min();
                JobCount {
                    kind: kind.to_owned(),
                    waiting: waiting().count() as i64,
                    poisoned: of_kind().filter(|row| row.job.poisoned_at.is_some()).count() as i64,
                    lag: first.and_then(|first| statement.now.duration_since(first).ok()).unwrap_or_default(),
                }
            };
            kinds.into_iter().map(count).collect()
        })
        .await
    }

    async fn take_duty(&self, name: &str, every: Duration, server: Uuid) -> Result<bool, StoreError> {
        self.run(|statement| {
            let is_due = statement.tables.duties.get(name).is_none_or(|row| row.due <= statement.now);
            if is_due {
                let row = DutyRow { due: statement.now + every, run_by: Some(server) };
                statement.tables.duties.insert(name.to_owned(), row);
            }
            Ok(is_due)
        })
        .await
    }

    async fn renew_duty(&self, name: &str, every: Duration, server: Uuid) -> Result<bool, StoreError> {
        self.run(|statement| {
            let due = statement.now + every;
            let is_theirs = |row: &DutyRow| row.run_by == Some(server);
            let was_theirs = statement.seen.duties.get(name).is_some_and(is_theirs);
            let row = statement.tables.duties.get_mut(name).filter(|row| was_theirs && is_theirs(row));
            Ok(row.map(|row| row.due = due).is_some())
        })
        .await
    }
}

pub(super) fn enqueue(statement: &mut Statement, new: &NewJob) {
    statement.tables.last_job += 1;
    let seq = statement.tables.last_job;
    let job = QueuedJob {
        id: Uuid::from_u128(seq.unsigned_abs().into()),
        seq,
        kind: new.kind.to_owned(),
        lane: new.lane.clone(),
        payload: new.payload.clone(),
        run_after: statement.now + new.delay,
        attempts: 0,
        run_by: None,
        running: false,
        last_error: None,
        poisoned_at: None,
        created_at: statement.now,
    };
    statement.tables.jobs.insert(seq, JobRow { job, lease: None });
}

/// The job, if this is still the attempt that has it.
fn job<'s>(statement: &'s mut Statement, taken: &QueuedJob) -> Option<&'s mut JobRow> {
    let is_it = |row: &JobRow| {
        let QueuedJob { id, attempts, run_by, .. } = &row.job;
        run_by.is_some() && (*id, *attempts, *run_by) == (taken.id, taken.attempts, taken.run_by)
    };
    statement.seen.jobs.get(&taken.seq).filter(|row| is_it(row))?;
    statement.tables.jobs.get_mut(&taken.seq).filter(|row| is_it(row))
}

/// The jobs of a kind that a server may take: of each lane the first, unless it is not due or another server has it. Those are
/// first that are due the longest.
fn free_jobs(statement: &Statement, kind: &str, server: Uuid) -> Vec<i64> {
    let mut lanes = BTreeSet::new();
    let open = statement.seen.jobs.values().filter(|row| row.job.kind == kind && row.job.poisoned_at.is_none());
    let mut heads: Vec<_> = open.filter(|row| row.job.lane.as_ref().is_none_or(|lane| lanes.insert(lane))).collect();
    heads.sort_by_key(|row| (row.job.run_after, row.job.seq));
    let is_free = |row: &JobRow| {
        let is_taken = row.lease.is_some_and(|lease| lease > statement.now);
        let is_lost = statement.seen.is_lost(row.job.run_by, Some(server), statement.now);
        row.job.poisoned_at.is_none() && row.job.run_after <= statement.now && (!is_taken || is_lost)
    };
    let free = heads.into_iter().filter(|row| is_free(row)).map(|row| row.job.seq);
    free.filter(|seq| statement.tables.jobs.get(seq).is_some_and(is_free)).collect()
}

impl JobRow {
    fn take(&mut self, until: SystemTime, server: Uuid) -> QueuedJob {
        self.job.attempts += 1;
        (self.lease, self.job.run_by) = (Some(until), Some(server));
        QueuedJob { running: true, ..self.job.clone() }
    }

    fn fail(&mut self, error: &str) {
        (self.lease, self.job.run_by) = (None, None);
        self.job.last_error = Some(error.to_owned());
    }

    fn is_waiting(&self, now: SystemTime) -> bool {
        self.job.poisoned_at.is_none() && self.lease.is_none_or(|lease| lease <= now)
    }
}
