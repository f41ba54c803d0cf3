//! The queue of jobs, and the leases on duties.

use std::time::Duration;

use b3scale::ledger::{NewJob, Queue, QueuedJob};
use b3scale::store::StoreError;
use serde_json::json;

use super::steps::{Belief, Kind, Learned, Op, server};

const LEASE: Duration = Duration::from_secs(40);

pub(super) async fn ask(
    op: &Op,
    db: &impl Queue,
    belief: &Belief,
    learned: &mut Learned,
) -> Result<String, StoreError> {
    let (server, pause) = (server(op.server), Duration::from_secs([0, 5, 60][op.number]));
    let done = match (op.kind, &belief.job) {
        (Kind::Enqueue, _) => {
            let lane = op.flag.then(|| format!("lane-{}", op.meeting));
            let job = |delay| NewJob { kind: kind(op), lane: lane.clone(), payload: json!({"n": op.number}), delay };
            return db.enqueue(&[job(Duration::ZERO), job(pause)]).await.map(|()| String::new());
        }
        (Kind::TakeJobs, _) => {
            let taken = db.take_jobs(kind(op), 1 + op.number as u32, LEASE, server).await?;
            let words = taken.iter().map(told).collect::<Vec<_>>().join("; ");
            learned.jobs.extend(taken);
            return Ok(words);
        }
        (Kind::ReleaseJobs, _) => return db.release_jobs(server).await.map(|()| String::new()),
        (Kind::CountJobs, _) => {
            let mut counts = db.count_jobs().await?;
            counts.sort_by(|one, other| one.kind.cmp(&other.kind));
            return Ok(format!("{counts:?}"));
        }
        (Kind::TakeDuty, _) => db.take_duty(kind(op), pause, server).await?,
        (Kind::RenewDuty, _) => db.renew_duty(kind(op), pause, server).await?,
        (Kind::RenewJob, Some(job)) => db.renew_job(job, LEASE).await?,
        (Kind::CompleteJob, Some(job)) => db.complete_job(job).await?,
        (Kind::RetryJob, Some(job)) => db.retry_job(job, pause, "it failed", op.flag).await?,
        (_, Some(job)) => db.poison_job(job, "it failed for good").await?,
        (_, None) => return Ok(String::new()),
    };
    Ok(done.to_string())
}

fn kind(op: &Op) -> &'static str {
    ["mail", "import", "mail"][op.backend]
}

/// A job without its id, which each side draws.
pub(super) fn told(job: &QueuedJob) -> String {
    let QueuedJob { seq, kind, lane, payload, attempts, run_by, running, last_error, .. } = job;
    format!("{seq} {kind} {lane:?} {payload} {attempts} {run_by:?} {running} {last_error:?}")
}
