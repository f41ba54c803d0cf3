//! Background work: the queue of jobs, and the leases on jobs and duties.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use b3scale_postgres::StoreError;

/// Which server does which work.
///
/// A server that takes a job has it until the lease ends or the server is lost; then another may take it. Each method about a
/// taken job names the attempt, so that a late result of an earlier attempt changes nothing: that is what `false` means.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Queues jobs, in this order.
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<(), StoreError>;

    /// Takes at most `most` jobs of a kind that are due, those first that are due the longest and at most one of each lane, and
    /// has them for `lease`.
    async fn take_jobs(
        &self,
        kind: &str,
        most: u32,
        lease: Duration,
        server: Uuid,
    ) -> Result<Vec<QueuedJob>, StoreError>;

    /// Has a job for another `lease`.
    async fn renew_job(&self, taken: &QueuedJob, lease: Duration) -> Result<bool, StoreError>;

    /// Removes a job that is done.
    async fn complete_job(&self, taken: &QueuedJob) -> Result<bool, StoreError>;

    /// Puts a job back that has failed, for another attempt after `pause`. `counts`: this attempt was one, and not only a look.
    async fn retry_job(
        &self,
        taken: &QueuedJob,
        pause: Duration,
        error: &str,
        counts: bool,
    ) -> Result<bool, StoreError>;

    /// Gives a job up.
    async fn poison_job(&self, taken: &QueuedJob, error: &str) -> Result<bool, StoreError>;

    /// Gives back the jobs of a server that stops. Their broken attempts do not count.
    async fn release_jobs(&self, server: Uuid) -> Result<(), StoreError>;

    /// How many jobs of each kind there are.
    async fn count_jobs(&self) -> Result<Vec<JobCount>, StoreError>;

    /// Takes a duty if it is due. Of many servers that ask, exactly one gets it; it is due again after `every`.
    async fn take_duty(&self, name: &str, every: Duration, server: Uuid) -> Result<bool, StoreError>;

    /// Puts off a duty that its server still does. `false`: another server has taken it meanwhile.
    async fn renew_duty(&self, name: &str, every: Duration, server: Uuid) -> Result<bool, StoreError>;
}

/// A job to be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Names the code that runs it.
    pub kind: &'static str,
    /// Jobs of one lane run one at a time, in the order in which they were queued. `None`: this job waits for no other.
    pub lane: Option<String>,
    /// With what.
    pub payload: Value,
    /// How long it waits at least.
    pub delay: Duration,
}

impl NewJob {
    /// The same in a lane.
    #[must_use]
    pub fn in_lane(self, lane: impl Into<String>) -> Self {
        Self { lane: Some(lane.into()), ..self }
    }
}

/// A job of the queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJob {
    /// Identity in the store.
    pub id: Uuid,
    /// In the order of the requests.
    pub seq: i64,
    /// Names the code that runs it.
    pub kind: String,
    /// The jobs it must not overtake.
    pub lane: Option<String>,
    /// With what.
    pub payload: Value,
    /// When it may run next.
    pub run_after: SystemTime,
    /// How often a server has begun it.
    pub attempts: u32,
    /// The server that runs it, or ran it last.
    pub run_by: Option<Uuid>,
    /// Whether a server has it right now.
    pub running: bool,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was given up.
    pub poisoned_at: Option<SystemTime>,
    /// When it was queued.
    pub created_at: SystemTime,
}

/// How many jobs of a kind there are.
#[derive(Clone, Debug, PartialEq)]
pub struct JobCount {
    /// The kind.
    pub kind: String,
    /// Jobs that wait for their first or next attempt.
    pub waiting: i64,
    /// Jobs that were given up.
    pub poisoned: i64,
    /// How long the oldest job has been due that no server has.
    pub lag: Duration,
}
