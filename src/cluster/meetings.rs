//! The ports of stages, answered from memory and, for each step of a meeting's life, from the store.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Frontend, FrontendId, Meeting, MeetingState};
use b3scale_middleware::ports::{Born, Claim, Directory, Meetings, NewClaim};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::time::{Instant, sleep, timeout};

use super::view::Known;
use super::{ATTEMPT_LIMIT, Cluster};
use crate::store::{self, StoreError};

/// A result is not announced, so a claim of another server is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

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
    fn known(&self, id: &ScopedId) -> Option<Arc<Meeting>> {
        match self.0.view.meeting(id) {
            Known::There(meeting) => Some(meeting),
            Known::Absent | Known::Unknown => None,
        }
    }

    fn find<'a>(&'a self, id: &'a ScopedId) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        match self.0.view.meeting(id) {
            Known::There(meeting) if meeting.state != MeetingState::Claimed => ready(Ok(Some(meeting))).boxed(),
            Known::Absent => ready(Ok(None)).boxed(),
            Known::There(_) | Known::Unknown => async move {
                self.read_meeting(id).await.map_err(|error| fault(&error))?;
                Ok(self.known(id))
            }
            .boxed(),
        }
    }

    fn of_frontend(&self, frontend: FrontendId) -> Vec<Arc<Meeting>> {
        self.0.view.meetings_where(|meeting| meeting.frontend == frontend)
    }

    fn claim<'a>(&'a self, claim: NewClaim<'a>) -> BoxFuture<'a, Result<Claim, Fault>> {
        async move {
            let scope = claim.scope;
            let claimed =
                self.0.store.claim_meeting(&scope.scoped, &scope.meeting_id, claim.frontend, claim.backend).await;
            Ok(match self.asked(claimed)? {
                store::Claim::Won(meeting) => Claim::Won(self.learn(meeting)),
                store::Claim::Taken(meeting) => Claim::Taken(self.learn(meeting)),
                store::Claim::Barred => Claim::Barred,
            })
        }
        .boxed()
    }

    fn settled<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        async move {
            let mut attempt = meeting.attempt;
            let mut deadline = Instant::now() + ATTEMPT_LIMIT;
            loop {
                let settled = self.0.view.until(|| match self.known(&meeting.id) {
                    Some(now) if now.state == MeetingState::Claimed => None,
                    now => Some(now.filter(|now| now.state != MeetingState::Detached)),
                });
                if let Ok(settled) = timeout(LOOK_AGAIN, settled).await {
                    return Ok(settled);
                }
                self.look_again(&meeting.id).await;
                let now = self.known(&meeting.id).map_or(attempt, |now| now.attempt);
                if now != attempt {
                    (attempt, deadline) = (now, Instant::now() + ATTEMPT_LIMIT);
                } else if Instant::now() >= deadline {
                    return Err(Fault::MeetingNotReady);
                }
            }
        }
        .boxed()
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
                Ok(true) => self.0.view.unlearn(&meeting.id, meeting.version),
                Ok(false) => self.look_again(&meeting.id).await,
                Err(error) => tracing::warn!(meeting.id = %meeting.id, %error, "A claim could not be given up"),
            }
        }
        .boxed()
    }

    fn record_live<'a>(&'a self, meeting: &'a Meeting, born: Born) -> BoxFuture<'a, Result<bool, Fault>> {
        async move {
            // The node runs it: a moment without the database must not cost the meeting.
            let live = || self.0.store.record_live(meeting, &born.internal_id, born.create_time);
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
