//! Waiting for the create of a meeting that another call has claimed.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::Fault;
use b3scale_middleware::cluster::{Meeting, MeetingState};
use b3scale_middleware::ports::Settled;
use tokio::time::{Instant, timeout};

use super::claims::{ATTEMPT_LIMIT, Claims};
use super::finder::Finder;
use super::reconcile::Reconciler;
use crate::view::View;

/// A result is not announced, so a claim of another server is looked at again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How often a claim is looked at before it is asked whether its server is gone.
const LOOKS_BEFORE_INHERITANCE: u32 = 4;

/// Waits for claims to be settled.
pub(super) struct Waiting {
    pub(super) view: Arc<View>,
    pub(super) finder: Arc<Finder>,
    pub(super) claims: Arc<Claims>,
    pub(super) reconciler: Arc<Reconciler>,
}

impl Waiting {
    /// Waits until a meeting is no longer merely claimed.
    ///
    /// A claim of this server settles in the view, which rings. The result of another server's create is not announced, so the
    /// row is read again after each [`LOOK_AGAIN`]. Every few looks, the database is asked whether the claim's server is lost:
    /// then the claim becomes ours, and our caller creates the meeting. Each attempt (a move to another backend) has
    /// [`ATTEMPT_LIMIT`]; a claim that outlasts it is no longer waited for.
    pub(super) async fn settled(&self, meeting: &Meeting) -> Result<Settled, Fault> {
        let mut attempt = meeting.attempt;
        let mut deadline = Instant::now() + ATTEMPT_LIMIT;
        for looks in 1.. {
            match timeout(LOOK_AGAIN, self.view.until(|| self.settled_now(meeting))).await {
                Ok(Settled::Placed(meeting)) => return Ok(self.unless_lost(meeting).await),
                Ok(settled) => return Ok(settled),
                Err(_) => {}
            }
            // Without the database, the view may still settle.
            let _ = self.finder.look_up(&meeting.id).await;
            let Some(now) = self.view.meetings.there(meeting.id.as_ref()) else { continue };
            if looks % LOOKS_BEFORE_INHERITANCE == 0
                && let Some(inherited) = self.claims.inherit(&now).await
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

    /// The end of the wait by the view. `None`: the meeting is still a claim.
    fn settled_now(&self, meeting: &Meeting) -> Option<Settled> {
        let Some(now) = self.view.meetings.there(meeting.id.as_ref()) else { return Some(Settled::Vacant) };
        match now.state {
            MeetingState::Claimed => None,
            MeetingState::Live | MeetingState::Ending => Some(Settled::Placed(now)),
            MeetingState::Detached => Some(Settled::Vacant),
        }
    }

    /// The server that saw a node go down may not have recorded yet that its meetings are free.
    async fn unless_lost(&self, meeting: Arc<Meeting>) -> Settled {
        let home = self.view.roster().backend(meeting.backend).cloned();
        let Some(lost) = home.filter(|home| home.is_lost()) else { return Settled::Placed(meeting) };
        self.reconciler.detach(&lost).await;
        match self.view.meetings.there(meeting.id.as_ref()) {
            Some(now) if matches!(now.state, MeetingState::Live | MeetingState::Ending) => Settled::Placed(now),
            _ => Settled::Vacant,
        }
    }
}
