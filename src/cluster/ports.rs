//! The ports of stages, answered from memory and, for each step of a meeting's life, from the store.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{
    Backend, BackendId, Claim, Frontend, FrontendId, Meeting, MeetingState, Move, NewMeeting,
};
use b3scale_middleware::ports::{Born, Directory, Meetings, NewSeat, Seat, Seen, Settled};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{ATTEMPT_LIMIT, Cluster};
use crate::ledger::{Ends, Places, Release, Seats, Ticket};
use crate::store::StoreError;
use crate::telemetry::catalog::{CLAIMS, CLAIMS_GIVEN_UP, CLAIMS_INHERITED, FAILOVERS, PLACEMENTS, VIEW_LOOKUPS};
use crate::view::Known;

/// A result is not announced, so a claim of another server is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How often a claim is looked at before it is asked whether its server is gone.
const LOOKS_BEFORE_INHERITANCE: u32 = 4;

/// How long a call waits for the store to tell of a meeting that memory does not have.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// How long a list waits for what has become of claims.
const LIST_LIMIT: Duration = Duration::from_secs(1);

/// Pauses before a result is written once more while the database is away.
const TRIES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

impl Directory for Cluster {
    fn frontend(&self, key: &str) -> Option<Arc<Frontend>> {
        self.0.view.roster().frontend(key).cloned()
    }

    fn backend(&self, id: BackendId) -> Option<Arc<Backend>> {
        self.0.view.roster().backend(id).cloned()
    }

    fn backends(&self) -> Arc<[Arc<Backend>]> {
        Arc::clone(self.0.view.roster().backends())
    }
}

impl Meetings for Cluster {
    fn known(&self, id: &str) -> Option<Arc<Meeting>> {
        match self.0.view.meeting(id) {
            Known::There(meeting) => Some(meeting),
            Known::Absent | Known::Unknown => None,
        }
    }

    fn find<'a>(&'a self, id: &'a ScopedId) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        match self.0.view.meeting(id.as_ref()) {
            Known::There(meeting) if !meeting.is_settling() => ready(Ok(Some(meeting))).boxed(),
            Known::Absent => ready(Ok(None)).boxed(),
            Known::There(_) | Known::Unknown => async move {
                self.look_up(id).await?;
                Ok(self.known(id.as_ref()))
            }
            .boxed(),
        }
    }

    fn known_by_internal_id(&self, frontend: FrontendId, id: &str) -> Option<Arc<Meeting>> {
        self.0.view.meeting_by_internal_id(frontend, id)
    }

    fn find_by_internal_id<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        self.look_up_internal_id(frontend, id).boxed()
    }

    fn of_frontend(&self, frontend: FrontendId) -> Vec<Arc<Meeting>> {
        self.0.view.meetings_where(|meeting| meeting.frontend == frontend)
    }

    fn listed(&self, frontend: FrontendId) -> BoxFuture<'_, Vec<Bytes>> {
        let of = move |state| move |one: &Meeting| one.frontend == frontend && one.state == state;
        async move {
            // Results are not announced, and whoever lists wants to see what it has just created at another server.
            let claims = self.0.view.meetings_where(of(MeetingState::Claimed));
            if !claims.is_empty() && !self.0.pulse.borrow().is_away() {
                let claims: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
                let _ = timeout(LIST_LIMIT, self.read_meetings(&claims)).await;
            }
            let roster = self.0.view.roster().clone();
            let is_lost = |one: &Meeting| roster.backend(one.backend).is_none_or(|backend| backend.is_lost());
            let mut own = self.0.view.meetings_where(of(MeetingState::Live));
            own.retain(|meeting| !is_lost(meeting));
            own.sort_unstable_by_key(|meeting| meeting.placed_at);
            self.0.young.ask(&own).await;
            self.0.view.list(&own)
        }
        .boxed()
    }

    fn seen(&self, meeting: &Meeting) -> Option<Seen> {
        // That nobody is there says little of a meeting to which an attendee was just sent.
        self.0.view.seen(meeting).filter(|seen| seen.running || !self.0.view.arrivals.expects(&meeting.id))
    }

    fn note_join(&self, meeting: &Meeting) {
        self.0.view.arrivals.note(&meeting.id);
    }

    fn take_seat<'a>(&'a self, wanted: NewSeat<'a>) -> BoxFuture<'a, Result<Seat, Fault>> {
        self.seat(wanted).boxed()
    }

    fn return_seat(&self, id: Uuid) -> BoxFuture<'_, ()> {
        async move {
            if let Err(error) = self.noted(self.0.store.return_seat(id).await) {
                tracing::debug!(%error, "Returning a seat failed; it expires by itself");
            }
        }
        .boxed()
    }

    fn claim<'a>(&'a self, new: NewMeeting<'a>) -> BoxFuture<'a, Result<Claim, Fault>> {
        async move {
            // A claim that just fits in would be made for nothing: what its node makes could not be noted.
            let trouble = self.0.pulse.borrow().trouble().filter(|trouble| !trouble.is_total());
            if let Some(trouble) = trouble {
                return Err(Fault::StoreAway(trouble.obstacle()));
            }
            let ticket = Ticket::draw(self.0.id, &self.0.chance);
            let claimed = self.0.store.claim_meeting(new, ticket).await;
            let outcome = match &claimed {
                Ok(Claim::Won(_)) => "won",
                Ok(Claim::Taken(_)) => "taken",
                Ok(Claim::Barred) => "barred",
                Err(_) => {
                    self.doubt(ticket.number, false);
                    "failed"
                }
            };
            CLAIMS.with([outcome]).increment(1);
            let claimed = self.asked(claimed)?;
            if let Claim::Won(meeting) | Claim::Taken(meeting) = &claimed {
                self.0.view.learn(meeting);
            }
            Ok(claimed)
        }
        .boxed()
    }

    fn settled<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, Result<Settled, Fault>> {
        self.wait_for(meeting).boxed()
    }

    fn move_claim<'a>(
        &'a self,
        meeting: &'a Meeting,
        backend: BackendId,
        sent: bool,
    ) -> BoxFuture<'a, Result<Move, Fault>> {
        async move {
            let moved = self.0.store.move_claim(meeting, backend, sent).await;
            let outcome = match &moved {
                Ok(Move::Moved(_)) => "moved",
                Ok(Move::Barred) => "barred",
                Ok(Move::NotOurs) => "lost",
                Err(_) => {
                    self.doubt(meeting.claim, true);
                    "failed"
                }
            };
            FAILOVERS.with([outcome]).increment(1);
            let moved = self.asked(moved)?;
            if let Move::Moved(meeting) = &moved {
                self.0.view.learn(meeting);
            }
            Ok(moved)
        }
        .boxed()
    }

    fn release<'a>(&'a self, meeting: &'a Meeting, sent: bool) -> BoxFuture<'a, ()> {
        CLAIMS_GIVEN_UP.with(["released"]).increment(1);
        self.give_up(meeting, sent).boxed()
    }

    fn record_live<'a>(&'a self, meeting: &'a Meeting, born: Born) -> BoxFuture<'a, Result<bool, Fault>> {
        async move {
            // The node runs it: a moment without the database must not cost the meeting.
            let live = || self.0.store.record_live(meeting, &born);
            let live = self.insist(live).await.map_err(|error| fault(&error))?;
            match &live {
                Some(live) => {
                    self.0.view.learn(&Arc::new(live.clone()));
                    self.count_placement(live.backend);
                }
                None => tracing::warn!(meeting.id = %meeting.id, "Created a meeting that lives elsewhere by now"),
            }
            Ok(live.is_some())
        }
        .boxed()
    }

    fn record_ending<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        async move {
            match self.noted(self.0.store.record_ending(meeting).await) {
                Ok(Some(ending)) => self.0.view.learn(&Arc::new(ending)),
                Ok(None) => self.look_again(&meeting.id).await,
                Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "Recording a meeting's ending failed"),
            }
        }
        .boxed()
    }

    fn forget<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        async move {
            if let Err(error) = self.forget_now(meeting).await {
                tracing::warn!(meeting.id = %meeting.id, %error, "Recording a meeting's end failed");
            }
        }
        .boxed()
    }

    fn let_go<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        async move {
            match self.noted(self.0.store.let_go_of_meeting(meeting).await) {
                Ok(true) => self.0.view.unlearn(&meeting.id, meeting.version),
                Ok(false) => self.look_again(&meeting.id).await,
                Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "Letting go of a meeting failed"),
            }
        }
        .boxed()
    }
}

impl Cluster {
    /// A meeting is gone, or there is nothing of it that was believed.
    ///
    /// # Errors
    /// It could not be noted.
    pub async fn forget_now(&self, meeting: &Meeting) -> Result<(), StoreError> {
        if self.noted(self.0.store.forget_meeting(meeting).await)? {
            self.0.view.unlearn(&meeting.id, meeting.version);
        } else {
            self.look_again(&meeting.id).await;
        }
        Ok(())
    }

    /// Gives a claim up, or sees to it that this is tried again.
    pub(super) async fn give_up(&self, meeting: &Meeting, sent: bool) {
        // Whoever wants the meeting would wait for a claim that is left behind until it is reaped.
        match self.insist(|| self.0.store.release_claim(meeting, sent)).await {
            Ok(Release::Gone) => self.0.view.unlearn(&meeting.id, meeting.version),
            Ok(Release::Detached(detached)) => drop(self.learn(detached)),
            Ok(Release::NotOurs) => self.look_again(&meeting.id).await,
            Err(error) => {
                tracing::warn!(meeting.id = %meeting.id, %error, "Releasing a claim failed, retrying");
                self.doubt(meeting.claim, sent);
            }
        }
    }

    /// Reads a frontend's meeting by its node's own id, unless it is known that there is none. The meeting that the frontend
    /// itself names so is read with it: whether or not there is one, the next stage finds out from memory.
    async fn look_up_internal_id(&self, frontend: FrontendId, id: &str) -> Result<Option<Arc<Meeting>>, Fault> {
        let view = &self.0.view;
        let owner = view.roster().frontend_of(frontend).cloned();
        let Some(owner) = owner.filter(|_| !view.is_absent(frontend, id)) else { return Ok(None) };
        let scoped = ScopedId::new(&owner.key, &MeetingId::new(id));
        let found = || self.known_by_internal_id(frontend, id);
        let look = look(self.read_by_either_id(frontend, id, &scoped), || found().is_some()).boxed();
        self.0.internal_look_ups.share(&scoped, look).await?;
        Ok(found())
    }

    /// Reads a meeting that memory does not have, or not as it is by now.
    async fn look_up(&self, id: &ScopedId) -> Result<(), Fault> {
        let look = look(self.read_meeting(id), || self.known(id.as_ref()).is_some()).boxed();
        self.0.look_ups.share(id, look).await
    }

    /// Waits until a meeting is no longer merely claimed. Results are not announced, so it is looked at again and again; and
    /// if the server that holds the claim is gone, it is ours.
    async fn wait_for(&self, meeting: &Meeting) -> Result<Settled, Fault> {
        let mut attempt = meeting.attempt;
        let mut deadline = Instant::now() + ATTEMPT_LIMIT;
        for looks in 1.. {
            let settled = self.0.view.until(|| match self.known(meeting.id.as_ref()) {
                Some(now) => match now.state {
                    MeetingState::Claimed => None,
                    MeetingState::Live | MeetingState::Ending => Some(Settled::Placed(now)),
                    MeetingState::Detached => Some(Settled::Vacant),
                },
                None => Some(Settled::Vacant),
            });
            match timeout(LOOK_AGAIN, settled).await {
                Ok(Settled::Placed(meeting)) => return Ok(self.unless_lost(meeting).await),
                Ok(settled) => return Ok(settled),
                Err(_) => {}
            }
            let _ = self.look_up(&meeting.id).await;
            let Some(now) = self.known(meeting.id.as_ref()) else { continue };
            if looks % LOOKS_BEFORE_INHERITANCE == 0
                && let Some(inherited) = self.inherit(&now).await
            {
                return Ok(Settled::Inherited(inherited));
            }
            if now.attempt != attempt {
                (attempt, deadline) = (now.attempt, Instant::now() + ATTEMPT_LIMIT);
            } else if Instant::now() >= deadline {
                break;
            }
        }
        Err(Fault::MeetingNotReady)
    }

    /// Whoever saw a node go down may not have written down yet that its meetings are free.
    async fn unless_lost(&self, meeting: Arc<Meeting>) -> Settled {
        let home = self.0.view.roster().backend(meeting.backend).cloned();
        let Some(lost) = home.filter(|home| home.is_lost()) else { return Settled::Placed(meeting) };
        self.detach(&lost).await;
        match self.known(meeting.id.as_ref()) {
            Some(now) if matches!(now.state, MeetingState::Live | MeetingState::Ending) => Settled::Placed(now),
            _ => Settled::Vacant,
        }
    }

    /// Takes over the claim of a server that is gone.
    async fn inherit(&self, claim: &Meeting) -> Option<Arc<Meeting>> {
        let ticket = Ticket::draw(self.0.id, &self.0.chance);
        match self.noted(self.0.store.inherit_claim(claim, ticket).await) {
            Ok(inherited) => {
                let inherited = inherited.map(|inherited| self.learn(inherited))?;
                tracing::warn!(meeting.id = %inherited.id, "Taking over a create from a lost server");
                CLAIMS_INHERITED.with([]).increment(1);
                Some(inherited)
            }
            Err(_) => {
                self.doubt(ticket.number, true);
                None
            }
        }
    }

    fn count_placement(&self, backend: BackendId) {
        let backend = self.0.view.roster().backend(backend).cloned();
        backend.iter().for_each(|backend| PLACEMENTS.with([backend.host()]).increment(1));
    }

    /// Takes a row in that this server has just written, and hands it back as it was written.
    fn learn(&self, row: Meeting) -> Arc<Meeting> {
        let row = Arc::new(row);
        self.0.view.learn(&row);
        row
    }

    /// Writes something that must not be lost: tries again while the database is away, and not for ever.
    async fn insist<T, F>(&self, write: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut written = self.noted(write().await);
        for pause in TRIES {
            if !written.as_ref().is_err_and(StoreError::passes_soon) {
                break;
            }
            sleep(pause).await;
            written = self.noted(write().await);
        }
        written
    }

    pub(super) async fn look_again(&self, id: &ScopedId) {
        if let Err(error) = self.read_meeting(id).await {
            tracing::debug!(meeting.id = %id, %error, "Reading a meeting again failed");
        }
    }

    fn asked<T>(&self, outcome: Result<T, StoreError>) -> Result<T, Fault> {
        self.noted(outcome).map_err(|error| fault(&error))
    }
}

/// Reads the store within the time that a call has for it.
async fn look(read: impl Future<Output = Result<(), StoreError>>, is_found: impl Fn() -> bool) -> Result<(), Fault> {
    let (outcome, counted) = match timeout(LOOK_UP_LIMIT, read).await {
        Ok(Ok(())) if is_found() => (Ok(()), "found"),
        Ok(Ok(())) => (Ok(()), "missed"),
        Ok(Err(error)) => (Err(fault(&error)), "failed"),
        Err(_) => (Err(no_answer()), "failed"),
    };
    VIEW_LOOKUPS.with([counted]).increment(1);
    outcome
}

fn no_answer() -> Fault {
    Fault::StoreAway(format!("no answer within {} s", LOOK_UP_LIMIT.as_secs()))
}

/// What a call is told of an error of the store.
pub(super) fn fault(error: &StoreError) -> Fault {
    if error.is_away() { Fault::StoreAway(error.to_string()) } else { Fault::Internal(error.to_string()) }
}
