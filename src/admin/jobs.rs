//! Jobs: queued background work, for operators to see. Given-up jobs can be retried or discarded.

use axum::extract::State;

use super::Admin;
use super::access::{Admins, Caller};
use super::body::Id;
use super::problem::Problem;
use super::reply::Reply;
use crate::ledger::QueuedJob;
use crate::rest::{Job, JobState};

/// The most jobs in one list.
const MOST: u32 = 1000;

/// List the oldest 1000 jobs, given-up ones included.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs",
    responses((status = OK, description = "The jobs in the order in which they were queued", body = Vec<Job>)))]
pub(super) async fn list(State(admin): State<Admin>, _: Caller<Admins>) -> Result<Reply<Vec<Job>>, Problem> {
    Ok(Reply(admin.store.jobs().load(MOST).await?.into_iter().map(Job::from).collect()))
}

/// Show a job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The job", body = Job)))]
pub(super) async fn show(State(admin): State<Admin>, _: Caller<Admins>, Id(id): Id) -> Result<Reply<Job>, Problem> {
    Ok(Reply(admin.store.jobs().find(id).await?.ok_or(Problem::NotFound)?.into()))
}

/// Discard a job that was given up.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The job", body = Job)))]
pub(super) async fn discard(
    State(admin): State<Admin>,
    who: Caller<Admins>,
    Id(id): Id,
) -> Result<Reply<Job>, Problem> {
    let gone = admin.store.jobs().discard(id).await?.ok_or(Problem::NotFound)?;
    who.audit("a job was discarded", &format!("{} {id}", gone.kind));
    Ok(Reply(gone.into()))
}

/// Retry a job that was given up, as the last of its lane.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", params(("id" = Uuid, Path)),
    responses((status = OK, description = "The job", body = Job)))]
pub(super) async fn retry(State(admin): State<Admin>, who: Caller<Admins>, Id(id): Id) -> Result<Reply<Job>, Problem> {
    let revived = admin.store.jobs().revive(id).await?.ok_or(Problem::NotFound)?;
    who.audit("a job was retried", &format!("{} {id}", revived.kind));
    Ok(Reply(revived.into()))
}

impl From<QueuedJob> for Job {
    fn from(row: QueuedJob) -> Self {
        let state = match row.poisoned_at {
            Some(_) => JobState::Poisoned,
            None if row.running => JobState::Running,
            None => JobState::Waiting,
        };
        Self {
            id: row.id,
            kind: row.kind,
            lane: row.lane,
            payload: row.payload,
            state,
            attempts: row.attempts,
            run_after: row.run_after.into(),
            run_by: row.run_by.filter(|_| state == JobState::Running),
            last_error: row.last_error,
            poisoned_at: row.poisoned_at.map(Into::into),
            created_at: row.created_at.into(),
        }
    }
}
