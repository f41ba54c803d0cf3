//! The queue: jobs are taken with a lease, run, and then removed, put back or given up.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::cut_at;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::waker::Waker;
use super::{Attempt, Job, JobError, Round, caught};
use crate::ledger::{JobCount, Queue, QueuedJob};
use crate::store::StoreError;
use crate::telemetry::catalog::{JOB_LAG, JOB_SECONDS, JOBS, JOBS_POISONED, JOBS_WAITING};

/// Between two looks for jobs that this server was not woken for.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// The most characters of an error that is kept.
const LONGEST_ERROR: usize = 1000;

/// How an attempt ended.
enum End {
    Done,
    Failed(JobError),
    /// Another server has the job, or may have: the lease could not be renewed.
    Lost,
}

/// Runs the jobs of a kind, as many at once as its terms allow.
pub(super) async fn run<J: Job>(job: J, ledger: Arc<dyn Queue>, server: Uuid, bell: Arc<Notify>) {
    for outcome in ["done", "retried", "poisoned", "lost"] {
        JOBS.with([J::KIND, outcome]).increment(0);
    }
    let runner = Arc::new(Runner { job, ledger });
    let mut running = JoinSet::new();
    loop {
        let places = J::TERMS.at_once.saturating_sub(u32::try_from(running.len()).unwrap_or(u32::MAX));
        for taken in runner.take(places, server).await {
            let runner = Arc::clone(&runner);
            running.spawn(async move { runner.run(&taken).await });
        }
        tokio::select! {
            // A job that ends leaves a place, and may have held up another of its lane.
            Some(_) = running.join_next() => {}
            () = bell.notified() => {}
            () = sleep(LOOK_PAUSE) => {}
        }
        while running.try_join_next().is_some() {}
    }
}

/// Counts the jobs of each kind, for metrics.
pub(super) struct CountJobs {
    pub(super) ledger: Arc<dyn Queue>,
    pub(super) waker: Waker,
}

impl Round for CountJobs {
    const NAME: &'static str = "count-jobs";
    const PAUSE: Duration = Duration::from_secs(5);

    async fn run(&self) {
        let counts = match self.ledger.count_jobs().await {
            Ok(counts) => counts,
            Err(error) => return tracing::debug!(%error, "Counting jobs failed"),
        };
        for kind in self.waker.kinds() {
            let none = JobCount { kind: kind.to_owned(), waiting: 0, poisoned: 0, lag: Duration::ZERO };
            let count = counts.iter().find(|count| count.kind == kind).unwrap_or(&none);
            JOBS_WAITING.with([kind]).set(count.waiting as f64);
            JOBS_POISONED.with([kind]).set(count.poisoned as f64);
            JOB_LAG.with([kind]).set(count.lag.as_secs_f64());
        }
    }
}

struct Runner<J> {
    job: J,
    ledger: Arc<dyn Queue>,
}

impl<J: Job> Runner<J> {
    async fn take(&self, places: u32, server: Uuid) -> Vec<QueuedJob> {
        if places == 0 || !self.job.is_open() {
            return Vec::new();
        }
        let taken = self.ledger.take_jobs(J::KIND, places, J::TERMS.lease, server).await;
        taken.unwrap_or_else(|error| {
            tracing::debug!(%error, job.kind = J::KIND, "Taking jobs failed");
            Vec::new()
        })
    }

    /// Makes an attempt and records its end.
    async fn run(&self, taken: &QueuedJob) {
        let began = Instant::now();
        let end = tokio::select! {
            end = self.attempt(taken) => end,
            () = self.lose(taken) => End::Lost,
        };
        JOB_SECONDS.with([J::KIND]).record(began.elapsed());
        match self.settle(taken, end).await {
            Ok(outcome) => JOBS.with([J::KIND, outcome]).increment(1),
            Err(error) => {
                tracing::warn!(%error, job.id = %taken.id, job.kind = J::KIND, "Recording the end of a job failed");
            }
        }
    }

    async fn attempt(&self, taken: &QueuedJob) -> End {
        let most = J::TERMS.attempts;
        // A lost server records no failure. Without this bound a job that crashes its server would crash one after the other.
        if taken.attempts > most {
            return End::Failed(JobError::Poison(format!("the server was lost in the last of {most} attempts")));
        }
        let payload = match serde_json::from_value(taken.payload.clone()) {
            Ok(payload) => payload,
            Err(error) => return End::Failed(JobError::Poison(format!("the payload cannot be read: {error}"))),
        };
        let attempt = Attempt { number: taken.attempts, last: taken.attempts == most };
        let work = timeout(J::TERMS.limit, self.job.run(payload, attempt));
        match caught(J::KIND, work).await {
            Some(Ok(Ok(()))) => End::Done,
            Some(Ok(Err(error))) => End::Failed(error),
            Some(Err(_)) => End::Failed(JobError::Retry(format!("no end within {} s", J::TERMS.limit.as_secs()))),
            None => End::Failed(JobError::Retry("panic".to_owned())),
        }
    }

    /// Renews the lease until another server may have the job.
    async fn lose(&self, taken: &QueuedJob) {
        let lease = J::TERMS.lease;
        let mut renewed = Instant::now();
        loop {
            sleep(lease / 3).await;
            let asked = Instant::now();
            match self.ledger.renew_job(taken, lease).await {
                Ok(true) => renewed = asked,
                Ok(false) => return,
                Err(_) if renewed.elapsed() > lease => return,
                // The lease is long enough for another try.
                Err(error) => tracing::debug!(%error, job.id = %taken.id, "Renewing a job failed"),
            }
        }
    }

    /// Records the end of an attempt. Gives its word in metrics.
    async fn settle(&self, taken: &QueuedJob, end: End) -> Result<&'static str, StoreError> {
        let (ledger, is_last) = (&self.ledger, taken.attempts >= J::TERMS.attempts);
        let (is_ours, outcome) = match end {
            End::Done => (ledger.complete_job(taken).await?, "done"),
            End::Failed(JobError::Later { pause, why, counts }) if !(counts && is_last) => {
                let error = cut_at(&why, LONGEST_ERROR);
                tracing::debug!(job.id = %taken.id, job.kind = J::KIND, ?pause, %error, "Putting a job off");
                (ledger.retry_job(taken, pause, &error, counts).await?, "retried")
            }
            End::Failed(JobError::Retry(why)) if !is_last => {
                let (pause, error) = (J::TERMS.pause_after(taken.attempts), cut_at(&why, LONGEST_ERROR));
                let attempt = taken.attempts;
                tracing::info!(job.id = %taken.id, job.kind = J::KIND, attempt, ?pause, %error, "Retrying a job later");
                (ledger.retry_job(taken, pause, &error, true).await?, "retried")
            }
            End::Failed(JobError::Retry(why) | JobError::Poison(why) | JobError::Later { why, .. }) => {
                let (attempts, error) = (taken.attempts, cut_at(&why, LONGEST_ERROR));
                tracing::error!(job.id = %taken.id, job.kind = J::KIND, attempts, %error, "Giving up a job");
                (ledger.poison_job(taken, &error).await?, "poisoned")
            }
            End::Lost => (false, "lost"),
        };
        if !is_ours {
            tracing::warn!(job.id = %taken.id, job.kind = J::KIND, "Another server has taken a job");
        }
        Ok(if is_ours { outcome } else { "lost" })
    }
}
