//! Polls: which server asks which node, and the nodes' answers.
//!
//! Nothing of it is announced. Servers follow the `seq` of each backend, which counts without gaps.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::cluster::{AgentReport, BackendId, Health};
use bytes::Bytes;
use uuid::Uuid;

use b3scale_postgres::StoreError;

/// Taking polls, and recording their results.
#[async_trait]
pub trait Polls: Send + Sync {
    /// Takes nodes that are due, nodes with an agent that has fallen silent since the last poll, and those that a
    /// lost server was asking, at most `most`. For as long as `lease` no other server takes them. Nodes that are not enabled
    /// and have neither meetings nor copies are left alone. So is a node that no operator has ever enabled, even with
    /// meetings: its address is an agent's word.
    async fn take_polls(&self, most: u32, lease: Duration, server: Uuid) -> Result<Vec<Poll>, StoreError>;

    /// Takes one node, even from a server that is asking it: that server's result then comes too late. `None`: there is no
    /// such backend, or no operator has ever enabled it.
    async fn take_poll(&self, id: BackendId, lease: Duration, server: Uuid) -> Result<Option<Poll>, StoreError>;

    /// Takes several nodes, as far as other servers are asking them. Their results then come too late.
    async fn seize_polls(&self, ids: &[BackendId], lease: Duration, server: Uuid) -> Result<Vec<Poll>, StoreError>;

    /// Gives a poll back that could not be carried out, so that another server takes it.
    async fn return_poll(&self, poll: &Poll) -> Result<(), StoreError>;

    /// Something has changed on a node: it is asked again by the next free server, but not before `pause` has passed since it
    /// was asked. A poll under way comes to its end first.
    async fn hasten_poll(&self, id: BackendId, pause: Duration) -> Result<(), StoreError>;

    /// Records the outcome of a poll and returns the number of this record. `None`: another server has taken the node
    /// meanwhile, or the backend was removed.
    async fn record_poll(&self, poll: &Poll, outcome: &PollOutcome<'_>) -> Result<Option<i64>, StoreError>;

    /// Records that an agent is there and, if it says so, how busy the processors of its node are and how full its memory is,
    /// from 0 to 1. Returns the database's time. `None`: the backend is gone.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a figure outside these bounds.
    async fn record_heartbeat(
        &self,
        id: BackendId,
        figures: Option<(f32, f32)>,
    ) -> Result<Option<SystemTime>, StoreError>;

    /// Returns the status of each backend with a higher `seq` than in `known`.
    async fn statuses_since(&self, known: &[(BackendId, i64)]) -> Result<Vec<BackendStatus>, StoreError>;
}

/// The right to ask a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The node's backend.
    pub backend: BackendId,
    /// Its health so far. A node that was down is unknown again after it was not asked for a while.
    pub health: Health,
    /// When it was taken, by the database's clock: nothing that the node says is older.
    pub asked_at: SystemTime,
    /// Of the node's last report.
    pub digest: Option<Vec<u8>>,
    /// Its number. The result of a poll that another has followed comes too late.
    pub(crate) lease: i64,
}

/// The result of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollOutcome<'a> {
    /// The node's health now.
    pub health: Health,
    /// Why it is not well.
    pub last_error: Option<&'a str>,
    /// How long its answer took.
    pub latency: Duration,
    /// People in its meetings.
    pub attendees: u32,
    /// The report and its digest, if it differs from the last one.
    pub report: Option<(&'a [u8], &'a [u8])>,
    /// Until it is asked again.
    pub next: Duration,
}

/// The last observation of a node, by any server.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendStatus {
    /// The node's backend.
    pub backend: BackendId,
    /// Its health.
    pub health: Health,
    /// Whether that was long ago: no server was there to ask it since.
    pub stale: bool,
    /// Why it is not well.
    pub last_error: Option<String>,
    /// How long its last answer took.
    pub latency: Duration,
    /// People in its meetings.
    pub attendees: u32,
    /// How long ago it answered, by the database's clock. `None`: never.
    pub age: Option<Duration>,
    /// Its agent's figures, if it has an agent.
    pub agent: Option<AgentReport>,
    /// The age of its agent's last complete account. `None`: the agent does not hear its node, or something is missing.
    pub told: Option<Duration>,
    /// When it was asked for its last report.
    pub asked_at: Option<SystemTime>,
    /// The report, if it is newer than `known`. Empty: the last report does not hold any more.
    pub report: Option<Bytes>,
    /// Counts the records of this backend without gaps.
    pub seq: i64,
}
