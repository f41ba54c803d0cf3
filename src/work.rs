//! A bench for background work.
//!
//! | trait | runs | if its server is lost | for example |
//! |---|---|---|---|
//! | [`Round`] | on every server, again and again | – | the beat |
//! | [`Duty`] | on one server of the cluster at a time, again and again | another does the next one | ending copies |
//! | [`Job`] | once, on any server; it is a row of PostgreSQL until it succeeds | another runs it again | a command |
//!
//! A room implements one of these on a struct with the parts that the work needs, and puts that on the [`Bench`] that `serve.rs`
//! hands it.
//! Pauses, leases, retries, limits, panics, metrics and the view in REST and `b3scalectl` are here, once for all rooms.
//!
//! ```
//! use std::time::Duration;
//!
//! use b3scale::work::{Attempt, Job, JobError, Terms};
//!
//! /// Sends an event to a hook.
//! struct Deliver;
//!
//! impl Job for Deliver {
//!     const KIND: &'static str = "deliver";
//!     /// A hook may be away for three days.
//!     const TERMS: Terms = Terms {
//!         at_once: 16,
//!         lease: Duration::from_secs(60),
//!         limit: Duration::from_secs(30),
//!         attempts: 82,
//!         pause: Duration::from_secs(10),
//!         longest_pause: Duration::from_secs(3600),
//!     };
//!     type Payload = (String, String);
//!
//!     async fn run(&self, (hook, event): (String, String), _: Attempt) -> Result<(), JobError> {
//!         if hook.starts_with("https://") { Ok(()) } else { Err(JobError::Poison(format!("{event}: no https"))) }
//!     }
//! }
//!
//! // Each hook gets its events in their order.
//! let hook = "https://tenant.example/hook".to_owned();
//! let job = Deliver::queued(&(hook.clone(), "meeting-ended".to_owned())).in_lane(hook);
//! assert_eq!(job.kind, "deliver");
//! ```

mod duties;
mod queue;
mod rounds;
mod tasks;
mod waker;

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::ledger::{NewJob, Queue};
use crate::store::StoreError;
use queue::CountJobs;
pub use tasks::Spawner;
use tasks::Tasks;
pub use waker::Waker;

/// Work that every server does for itself, again and again.
pub trait Round: Send + Sync + 'static {
    /// Its word in metrics.
    const NAME: &'static str;
    /// From the start of one run to the start of the next, which waits for the end of the first.
    const PAUSE: Duration;

    /// Runs once. It deals with its own failures: the next run follows anyway.
    fn run(&self) -> impl Future<Output = ()> + Send;
}

/// Work that one server of the cluster does at a time, again and again.
pub trait Duty: Send + Sync + 'static {
    /// Its word in PostgreSQL and in metrics.
    const NAME: &'static str;
    /// From the start of one run to the start of the next, on any server.
    const EVERY: Duration;

    /// Runs once. It may be cut off at any await, if another server has taken the duty meanwhile.
    fn run(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Why a run of a duty failed.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Work that is queued and done once, by any server.
///
/// At least once, to be exact: a server may be lost after the work and before PostgreSQL knows of it. So a job compares before
/// it changes anything, or its receiver does.
pub trait Job: Send + Sync + 'static {
    /// Its word in PostgreSQL and in metrics.
    const KIND: &'static str;
    /// Its time limit, and its retries.
    const TERMS: Terms;
    /// Its payload. A change must still read the rows of the last release.
    type Payload: Serialize + DeserializeOwned + Send;

    /// Makes one attempt. It may be cut off at any await, if its time is up or another server has the job.
    fn run(&self, payload: Self::Payload, attempt: Attempt) -> impl Future<Output = Result<(), JobError>> + Send;

    /// Whether this server takes more of these jobs. A job that is not taken is free for other servers.
    fn is_open(&self) -> bool {
        true
    }

    /// A row for the queue.
    fn queued(payload: &Self::Payload) -> NewJob {
        let payload = serde_json::to_value(payload).unwrap_or(Value::Null);
        NewJob { kind: Self::KIND, lane: None, payload, delay: Duration::ZERO }
    }
}

/// One attempt at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// Whether the job is given up if this one fails.
    pub last: bool,
}

/// Why an attempt at a job failed. Any error is a reason for another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// Another attempt may succeed.
    Retry(String),
    /// Another attempt may succeed, and the job says when.
    Later {
        /// Until then.
        pause: Duration,
        /// Why not now.
        why: String,
        /// Whether this was an attempt, and not only a look.
        counts: bool,
    },
    /// No attempt can succeed: the job is given up at once.
    Poison(String),
}

impl<E: Error> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::Retry(error.to_string())
    }
}

/// The terms of a kind of job.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How many jobs of this kind one server runs at once.
    pub at_once: u32,
    /// How long a server has a job without a word from it. The lease is renewed while the job runs.
    pub lease: Duration,
    /// How long one attempt may take.
    pub limit: Duration,
    /// How many attempts there are. A job that fails in the last one is poisoned: it is kept for an operator and not run again.
    pub attempts: u32,
    /// The pause after the first failed attempt. Each further one is twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Terms {
    /// The pause after a failed attempt.
    fn pause_after(&self, attempt: u32) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.pause.saturating_mul(factor).min(self.longest_pause)
    }
}

/// Where rooms put their background work. It runs until the bench is stopped, or its last clone is dropped.
#[derive(Clone)]
pub struct Bench {
    ledger: Arc<dyn Queue>,
    server: Uuid,
    tasks: Arc<Tasks>,
    waker: Waker,
}

impl Bench {
    /// The bench of one server.
    pub fn new(ledger: Arc<dyn Queue>, server: Uuid) -> Self {
        let bench = Self { ledger, server, tasks: Arc::default(), waker: Waker::default() };
        bench.round(CountJobs { ledger: Arc::clone(&bench.ledger), waker: bench.waker() });
        bench
    }

    /// The server that this is the bench of.
    pub fn server(&self) -> Uuid {
        self.server
    }

    /// Starts a round.
    pub fn round<R: Round>(&self, round: R) {
        self.spawner().spawn(rounds::repeat(round));
    }

    /// Starts a duty.
    pub fn duty<D: Duty>(&self, duty: D) {
        self.round(duties::Share { duty, ledger: Arc::clone(&self.ledger), server: self.server });
    }

    /// Starts to run jobs of a kind.
    pub fn job<J: Job>(&self, job: J) {
        self.spawner().spawn(queue::run(job, Arc::clone(&self.ledger), self.server, self.waker.bell(J::KIND)));
    }

    /// Queues jobs, in this order, and wakes this server.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database. None is queued then.
    pub async fn enqueue(&self, jobs: &[NewJob]) -> Result<(), StoreError> {
        self.ledger.enqueue(jobs).await?;
        jobs.iter().for_each(|job| self.waker.wake(job.kind));
        Ok(())
    }

    /// The right to wake the queues of this bench.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The right to start tasks that end with this bench.
    pub fn spawner(&self) -> Spawner {
        self.tasks.spawner()
    }

    /// How many tasks are under way.
    pub fn tasks_count(&self) -> usize {
        self.tasks.count()
    }

    /// Cuts off all work.
    pub fn stop(&self) {
        self.tasks.stop();
    }

    /// Gives back the jobs that were cut off, so that other servers run them at once.
    pub async fn leave(&self) {
        if let Err(error) = self.ledger.release_jobs(self.server).await {
            tracing::debug!(%error, "Releasing jobs failed");
        }
    }
}

impl<R: Round> Round for Arc<R> {
    const NAME: &'static str = R::NAME;
    const PAUSE: Duration = R::PAUSE;

    async fn run(&self) {
        R::run(self).await;
    }
}

impl<D: Duty> Duty for Arc<D> {
    const NAME: &'static str = D::NAME;
    const EVERY: Duration = D::EVERY;

    async fn run(&self) -> Result<(), Failure> {
        D::run(self).await
    }
}

/// Lets work panic without ending the loop that it runs in. `None`: it panicked.
async fn caught<T>(name: &str, work: impl Future<Output = T>) -> Option<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.inspect_err(|_| tracing::error!(work = name, "Background work panicked; this is a defect of b3scale")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let second = Duration::from_secs(1);
        let terms = Terms {
            at_once: 1,
            lease: second,
            limit: second,
            attempts: 82,
            pause: 10 * second,
            longest_pause: 3600 * second,
        };
        let pauses: Vec<_> = [1, 2, 3, 9, 10, 81].map(|attempt| terms.pause_after(attempt).as_secs()).into();
        assert_eq!(pauses, [10, 20, 40, 2560, 3600, 3600]);
        let days = (1..terms.attempts).map(|attempt| terms.pause_after(attempt)).sum::<Duration>().as_secs() / 86400;
        assert_eq!(days, 3, "a receiver may be away for days");
    }

    #[test]
    fn any_error_of_an_attempt_is_a_reason_for_another() {
        let error = std::io::Error::other("refused");
        assert_eq!(JobError::from(error), JobError::Retry("refused".to_owned()));
    }
}
