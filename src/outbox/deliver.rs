//! One try at a delivery.

use std::time::Duration;

use b3scale_middleware::bbb::cut_at;
use b3scale_middleware::cluster::{DeliveryState, Frontend, FrontendId};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::address::host;
use super::courier::Courier;
use super::drain::Drain;
use super::request::{self, RequestError};
use super::shares::Shares;
use super::verdict::{Outcome, Verdict, judge, suspects_signature};
use super::{count, sign};
use crate::store::{Begun, DELIVER_JOB, Delivery, Store, StoreError};
use crate::work::{Attempt, Job, JobError, Terms};

/// How long a recording waits for the end of its meeting, at a time.
const BEHIND: Duration = Duration::from_secs(30);
/// How long a delivery waits for another to its callback, at a time.
const HELD: Duration = Duration::from_secs(3);
/// How long a try may take: an answer for each secret, and its record.
const LONGEST: Duration = Duration::from_secs(100);
/// How long the record of a 2xx is tried: without it the receiver is called again.
const RECORDING: Duration = Duration::from_secs(10);
const RECORDING_PAUSE: Duration = Duration::from_millis(500);
/// How many tries of one frontend a server makes at once.
const PLACES: usize = 8;
/// The most characters of a problem that are kept.
const LONGEST_PROBLEM: usize = 200;

/// Makes the tries at deliveries.
pub struct Deliver {
    store: Store,
    courier: Courier,
    drain: Drain,
    shares: Shares,
}

/// The payload of a job, which triggers of the tables write.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Deliverable {
    id: Uuid,
    frontend: FrontendId,
}

impl Deliver {
    /// Deliveries of these tables by that courier, until `drain` is closed.
    pub fn new(store: Store, courier: Courier, drain: Drain) -> Self {
        count::announce();
        Self { store, courier, drain, shares: Shares::new(PLACES) }
    }

    /// Makes a try that has begun, and ends it in any case.
    async fn attempt(&self, delivery: &Delivery, frontend: FrontendId) -> Result<(), JobError> {
        let tried = self.deliver(delivery, frontend).await;
        let ended = self.store.deliveries().end(delivery).await;
        tried?;
        Ok(ended?)
    }

    async fn deliver(&self, delivery: &Delivery, frontend: FrontendId) -> Result<(), JobError> {
        // Its secrets may have changed since the last try. A removed frontend takes its deliveries along.
        let Some(frontend) = self.store.frontends().find(frontend).await? else { return Ok(()) };
        let outcome = self.send(delivery, &frontend).await?;
        self.conclude(delivery, &frontend.key, &outcome).await
    }

    /// Sends a delivery, signed with the next secret, and if that is refused with the current one.
    async fn send(&self, delivery: &Delivery, frontend: &Frontend) -> Result<Outcome, RequestError> {
        let mut secrets = sign::order(&frontend.secrets).peekable();
        loop {
            let secret = secrets.next().unwrap_or(frontend.secrets.current());
            let outcome = self.courier.send(&request::parcel(delivery, secret)?).await;
            let may_try_another = request::is_signed(delivery) && secrets.peek().is_some();
            if !(may_try_another && suspects_signature(&outcome)) {
                return Ok(outcome);
            }
        }
    }

    /// Records the outcome, and draws the consequence.
    async fn conclude(&self, delivery: &Delivery, frontend: &str, outcome: &Outcome) -> Result<(), JobError> {
        let (id, kind) = (delivery.id, delivery.kind.word());
        let status = outcome.as_ref().ok().map(|answered| answered.status.as_u16());
        let problem = match outcome {
            Ok(answered) => format!("the receiver answers {}", answered.status.as_u16()),
            Err(unsent) => cut_at(&unsent.to_string(), LONGEST_PROBLEM).into_owned(),
        };
        let host = host(&delivery.url).unwrap_or_default();
        let (state, word) = match judge(outcome, delivery.attempts, delivery.age) {
            Verdict::Delivered => {
                self.record(id, status).await?;
                count::tried(delivery.kind, "delivered");
                tracing::debug!(delivery = %id, kind, frontend, host, status, "Callback delivered");
                return Ok(());
            }
            Verdict::Later(pause) => {
                self.store.deliveries().note(id, status, &problem).await?;
                count::tried(delivery.kind, "retried");
                tracing::info!(delivery = %id, kind, frontend, host, problem, ?pause, "Retrying a callback later");
                return Err(JobError::Later { pause, why: problem, counts: true });
            }
            Verdict::Refused => (DeliveryState::Refused, "refused"),
            Verdict::Dead => (DeliveryState::Dead, "dead"),
        };
        self.store.deliveries().settle(id, state, status, Some(&problem)).await?;
        count::tried(delivery.kind, word);
        tracing::warn!(delivery = %id, kind, frontend, host, problem, "Giving up a callback");
        Ok(())
    }

    /// Records that the receiver has a delivery.
    async fn record(&self, id: Uuid, status: Option<u16>) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            match self.store.deliveries().settle(id, DeliveryState::Delivered, status, None).await {
                Err(_) if began.elapsed() < RECORDING => sleep(RECORDING_PAUSE).await,
                settled => return settled.map(drop),
            }
        }
    }
}

impl Job for Deliver {
    const KIND: &'static str = DELIVER_JOB;
    /// The verdict decides about tries and pauses. These are for a database that is away.
    const TERMS: Terms = Terms {
        at_once: 64,
        lease: Duration::from_secs(90),
        limit: LONGEST,
        attempts: 1000,
        pause: Duration::from_secs(10),
        longest_pause: Duration::from_hours(1),
    };
    type Payload = Deliverable;

    async fn run(&self, due: Deliverable, _: Attempt) -> Result<(), JobError> {
        let _share = (self.shares.take(due.frontend).await)
            .map_err(|pause| later(pause, "the frontend has as many tries at a time as it may"))?;
        let Some(_under_way) = self.drain.enter() else { return Err(later(Duration::ZERO, "its server stops")) };
        match self.store.deliveries().begin(due.id, LONGEST).await? {
            Begun::Due(delivery) => self.attempt(&delivery, due.frontend).await,
            Begun::Settled => Ok(()),
            Begun::Behind => Err(later(BEHIND, "the end of its meeting goes first")),
            Begun::Held => Err(later(HELD, "another message to its callback is under way")),
        }
    }

    fn is_open(&self) -> bool {
        self.drain.is_open()
    }
}

/// Puts a job off that was only looked at.
fn later(pause: Duration, why: &str) -> JobError {
    JobError::Later { pause, why: why.to_owned(), counts: false }
}
