//! Claims: how a meeting gets its place, in the database and in the view.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::cluster::{BackendId, Claim, Meeting, Move, NewMeeting};
use b3scale_middleware::ports::Born;
use tokio::time::Instant;

use super::replica::{Replica, fault};
use crate::ledger::{Release, Ticket};
use crate::store::StoreError;
use crate::telemetry::catalog::{CLAIMS, CLAIMS_GIVEN_UP, CLAIMS_INHERITED, FAILOVERS, PLACEMENTS};

/// How long one attempt of a create may take: 60 s for its node's answer, and our own steps. The next attempt moves the claim
/// and has as long again. A claim twice as old has been given up by its server.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(90);

/// The most claims of unknown fate that are remembered. Any more are left to be reaped.
const MOST_UNANSWERED: usize = 10_000;

/// Takes each step of a claim.
pub(super) struct Claims {
    replica: Arc<Replica>,
    /// Statements about claims that got no answer. Each may be carried out all the same, now or in a while, and leave a claim on
    /// which no server works.
    unanswered: Mutex<Vec<Unanswered>>,
}

struct Unanswered {
    claim: i64,
    /// Whether its node may have got the create.
    sent: bool,
    since: Instant,
}

impl Claims {
    pub(super) fn new(replica: Arc<Replica>) -> Self {
        Self { replica, unanswered: Mutex::default() }
    }

    /// Gives a meeting a place, unless it has one.
    pub(super) async fn claim(&self, new: NewMeeting<'_>) -> Result<Claim, Fault> {
        // A claim that just fits in would be made for nothing: the create's result could not be recorded.
        let trouble = self.replica.trust().trouble().filter(|trouble| !trouble.is_total());
        if let Some(trouble) = trouble {
            return Err(Fault::StoreAway(trouble.obstacle()));
        }
        let ticket = Ticket::draw(self.replica.server, &self.replica.chance);
        let claimed = self.replica.store.claim_meeting(new, ticket).await;
        let outcome = match &claimed {
            Ok(Claim::Won(_)) => "won",
            Ok(Claim::Taken(_)) => "taken",
            Ok(Claim::Barred) => "barred",
            Err(_) => {
                self.remember_unanswered(ticket.number, false);
                "failed"
            }
        };
        CLAIMS.with([outcome]).increment(1);
        let claimed = self.replica.observe_for_call(claimed)?;
        if let Claim::Won(meeting) | Claim::Taken(meeting) = &claimed {
            self.replica.view.take_meeting(meeting);
        }
        Ok(claimed)
    }

    /// Moves a claim to another backend. `sent`: the old one may have got the call.
    pub(super) async fn move_to(&self, meeting: &Meeting, backend: BackendId, sent: bool) -> Result<Move, Fault> {
        let moved = self.replica.store.move_claim(meeting, backend, sent).await;
        let outcome = match &moved {
            Ok(Move::Moved(_)) => "moved",
            Ok(Move::Barred) => "barred",
            Ok(Move::NotOurs) => "lost",
            Err(_) => {
                self.remember_unanswered(meeting.claim, true);
                "failed"
            }
        };
        FAILOVERS.with([outcome]).increment(1);
        let moved = self.replica.observe_for_call(moved)?;
        if let Move::Moved(meeting) = &moved {
            self.replica.view.take_meeting(meeting);
        }
        Ok(moved)
    }

    /// The node runs the meeting. `false`: it lives elsewhere by now.
    pub(super) async fn record_live(&self, meeting: &Meeting, born: &Born) -> Result<bool, Fault> {
        // A moment without the database must not cost the meeting.
        let live = self.replica.write_through(|| self.replica.store.record_live(meeting, born)).await;
        let Some(live) = live.map_err(|error| fault(&error))? else {
            tracing::warn!(meeting.id = %meeting.id, "Created a meeting that lives elsewhere by now");
            return Ok(false);
        };
        if let Some(backend) = self.replica.view.roster().backend(live.backend) {
            PLACEMENTS.with([backend.host()]).increment(1);
        }
        self.replica.take_written(live);
        Ok(true)
    }

    /// Releases a claim, or remembers to try again: creates of its meeting would wait for it until it is reaped.
    pub(super) async fn release(&self, meeting: &Meeting, sent: bool) {
        match self.replica.write_through(|| self.replica.store.release_claim(meeting, sent)).await {
            Ok(Release::NotOurs) => self.replica.reread_meeting(&meeting.id).await,
            Ok(release) => self.take_release(meeting, release),
            Err(error) => {
                tracing::warn!(meeting.id = %meeting.id, %error, "Releasing a claim failed, retrying");
                self.remember_unanswered(meeting.claim, sent);
            }
        }
    }

    /// Takes over the claim of a lost server.
    pub(super) async fn inherit(&self, claim: &Meeting) -> Option<Arc<Meeting>> {
        let ticket = Ticket::draw(self.replica.server, &self.replica.chance);
        match self.replica.observe(self.replica.store.inherit_claim(claim, ticket).await) {
            Ok(inherited) => {
                let inherited = self.replica.take_written(inherited?);
                tracing::warn!(meeting.id = %inherited.id, "Taking over a create from a lost server");
                CLAIMS_INHERITED.with([]).increment(1);
                Some(inherited)
            }
            Err(_) => {
                self.remember_unanswered(ticket.number, true);
                None
            }
        }
    }

    /// Releases the claims that were made although their statements got no answer. Creates of their meetings would wait in vain.
    pub(super) async fn release_unanswered(&self) {
        let claims: HashMap<i64, bool> = {
            let mut unanswered = self.unanswered();
            unanswered.retain(|one| one.since.elapsed() < 2 * ATTEMPT_LIMIT);
            unanswered.iter().map(|one| (one.claim, one.sent)).collect()
        };
        if claims.is_empty() {
            return;
        }
        let mut numbers: Vec<i64> = claims.keys().copied().collect();
        numbers.sort_unstable();
        match self.replica.observe(self.replica.store.find_claims(&numbers).await) {
            Ok(made) => {
                for claim in made {
                    tracing::warn!(meeting.id = %claim.id, "Releasing an orphaned claim");
                    CLAIMS_GIVEN_UP.with(["withdrawn"]).increment(1);
                    let sent = claims.get(&claim.claim).copied().unwrap_or(true);
                    self.release(&claim, sent).await;
                }
            }
            Err(error) => tracing::debug!(%error, "Looking for orphaned claims failed"),
        }
    }

    /// Gives up the claims that no server has finished in time.
    pub(super) async fn reap(&self) -> Result<(), StoreError> {
        for (claim, release) in self.replica.store.reap_claims(2 * ATTEMPT_LIMIT).await? {
            tracing::warn!(meeting.id = %claim.id, "Reaped an unfinished claim");
            CLAIMS_GIVEN_UP.with(["reaped"]).increment(1);
            self.take_release(&claim, release);
        }
        Ok(())
    }

    fn take_release(&self, claim: &Meeting, release: Release) {
        match release {
            Release::Gone => self.replica.view.remove_meeting(&claim.id, claim.version),
            Release::Detached(detached) => self.replica.view.take_meeting(&Arc::new(detached)),
            Release::NotOurs => {}
        }
    }

    fn remember_unanswered(&self, claim: i64, sent: bool) {
        let mut unanswered = self.unanswered();
        let is_known = unanswered.iter().any(|one| one.claim == claim);
        if !is_known && unanswered.len() < MOST_UNANSWERED {
            unanswered.push(Unanswered { claim, sent, since: Instant::now() });
        }
    }

    fn unanswered(&self) -> MutexGuard<'_, Vec<Unanswered>> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
