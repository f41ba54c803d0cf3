//! The ports of stages, answered from memory and, for each step of a meeting's life, from the store.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Frontend, FrontendId, Meeting, MeetingState};
use b3scale_middleware::ports::{Born, Claim, Directory, Meetings, NewClaim, Settled};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use metrics::counter;
use tokio::time::{Instant, sleep, timeout};

use super::view::Known;
use super::{ATTEMPT_LIMIT, Cluster};
use crate::store::{self, NewMeeting, Release, StoreError, Ticket};

/// A result is not announced, so a claim of another server is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How often a claim is looked at before it is asked whether its server is gone.
const LOOKS_BEFORE_INHERITANCE: u32 = 4;

/// How long a call waits for the store to tell of a meeting that memory does not have.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

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

    fn of_frontend(&self, frontend: FrontendId) -> Vec<Arc<Meeting>> {
        self.0.view.meetings_where(|meeting| meeting.frontend == frontend)
    }

    fn listed(&self, frontend: FrontendId) -> BoxFuture<'_, Vec<Bytes>> {
        let of = move |state| move |one: &Meeting| one.frontend == frontend && one.state == state;
        async move {
            // Results are not announced, and whoever lists wants to see what it has just created at another server.
            let claims = self.0.view.meetings_where(of(MeetingState::Claimed));
            if !claims.is_empty() {
                let claims: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
                let _ = timeout(LOOK_UP_LIMIT, self.read_meetings(&claims)).await;
            }
            let mut own = self.0.view.meetings_where(of(MeetingState::Live));
            own.sort_unstable_by_key(|meeting| meeting.placed_at);
            own.iter().filter_map(|meeting| self.0.view.entry(meeting)).collect()
        }
        .boxed()
    }

    fn claim<'a>(&'a self, claim: NewClaim<'a>) -> BoxFuture<'a, Result<Claim, Fault>> {
        async move {
            let NewClaim { scope, frontend, backend, size } = claim;
            let new = NewMeeting { id: &scope.scoped, meeting_id: &scope.meeting_id, frontend, backend, size };
            let ticket = Ticket::draw(self.0.id);
            let claimed = self.0.store.claim_meeting(new, ticket).await;
            if claimed.is_err() {
                self.doubt(ticket.number);
            }
            Ok(match self.asked(claimed)? {
                store::Claim::Won(meeting) => Claim::Won(self.learn(meeting)),
                store::Claim::Taken(meeting) => Claim::Taken(self.learn(meeting)),
                store::Claim::Barred => Claim::Barred,
            })
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
    ) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        async move {
            let moved = self.asked(self.0.store.move_claim(meeting, backend, sent).await)?;
            Ok(moved.map(|moved| self.learn(moved)))
        }
        .boxed()
    }

    fn release<'a>(&'a self, meeting: &'a Meeting, sent: bool) -> BoxFuture<'a, ()> {
        async move {
            // Whoever wants the meeting would wait for a claim that is left behind until it is reaped.
            match self.insist(|| self.0.store.release_claim(meeting, sent)).await {
                Ok(Release::Gone) => self.0.view.unlearn(&meeting.id, meeting.version),
                Ok(Release::Detached(detached)) => drop(self.learn(detached)),
                Ok(Release::NotOurs) => self.look_again(&meeting.id).await,
                Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "A claim could not be given up"),
            }
        }
        .boxed()
    }

    fn record_live<'a>(&'a self, meeting: &'a Meeting, born: Born) -> BoxFuture<'a, Result<bool, Fault>> {
        async move {
            // The node runs it: a moment without the database must not cost the meeting.
            let live = || self.0.store.record_live(meeting, &born);
            let live = self.insist(live).await.map_err(|error| fault(&error))?;
            match &live {
                Some(live) => self.0.view.learn(&Arc::new(live.clone())),
                None => tracing::warn!(meeting.id = %meeting.id, "A meeting was made that lives elsewhere by now"),
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
                Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "An end could not be noted"),
            }
        }
        .boxed()
    }

    fn forget<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        async move {
            match self.noted(self.0.store.forget_meeting(meeting).await) {
                Ok(true) => self.0.view.unlearn(&meeting.id, meeting.version),
                Ok(false) => self.look_again(&meeting.id).await,
                Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "A meeting's end could not be noted"),
            }
        }
        .boxed()
    }
}

impl Cluster {
    /// Reads a meeting that memory does not have, or not as it is by now. Whoever wants the same meanwhile waits for the same
    /// look.
    async fn look_up(&self, id: &ScopedId) -> Result<(), Fault> {
        let look_up = Arc::clone(&self.0.look_ups.entry(id.clone()).or_default());
        let look = || async {
            let read = timeout(LOOK_UP_LIMIT, self.read_meeting(id)).await;
            // Whoever comes from here on must see what has happened since.
            self.0.look_ups.remove(id);
            let (outcome, counted) = match read {
                Ok(Ok(())) if self.known(id.as_ref()).is_some() => (Ok(()), "found"),
                Ok(Ok(())) => (Ok(()), "missed"),
                Ok(Err(error)) => (Err(fault(&error)), "failed"),
                Err(_) => (Err(Fault::StoreAway(format!("no answer within {} s", LOOK_UP_LIMIT.as_secs()))), "failed"),
            };
            counter!("b3scale_view_lookups_total", "outcome" => counted).increment(1);
            outcome
        };
        look_up.get_or_init(look).await.clone()
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
            if let Ok(settled) = timeout(LOOK_AGAIN, settled).await {
                return Ok(settled);
            }
            self.look_again(&meeting.id).await;
            let Some(now) = self.known(meeting.id.as_ref()) else { continue };
            if looks % LOOKS_BEFORE_INHERITANCE == 0
                && let Ok(Some(inherited)) = self.noted(self.0.store.inherit_claim(&now, self.0.id).await)
            {
                tracing::warn!(meeting.id = %now.id, "A create is finished whose server is gone");
                return Ok(Settled::Inherited(self.learn(inherited)));
            }
            if now.attempt != attempt {
                (attempt, deadline) = (now.attempt, Instant::now() + ATTEMPT_LIMIT);
            } else if Instant::now() >= deadline {
                break;
            }
        }
        Err(Fault::MeetingNotReady)
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
            if !written.as_ref().is_err_and(StoreError::is_away) {
                break;
            }
            sleep(pause).await;
            written = self.noted(write().await);
        }
        written
    }

    pub(super) async fn look_again(&self, id: &ScopedId) {
        if let Err(error) = self.read_meeting(id).await {
            tracing::debug!(meeting.id = %id, %error, "A meeting could not be read again");
        }
    }

    fn asked<T>(&self, outcome: Result<T, StoreError>) -> Result<T, Fault> {
        self.noted(outcome).map_err(|error| fault(&error))
    }
}

fn fault(error: &StoreError) -> Fault {
    if error.is_away() { Fault::StoreAway(error.to_string()) } else { Fault::Internal(error.to_string()) }
}
