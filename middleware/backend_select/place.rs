//! Giving a meeting its place: following it where it is, or claiming the best there is.

use std::sync::Arc;

use tower::ServiceExt;

use super::{BackendSelect, Selector};
use crate::bbb::ScopedId;
use crate::call::{Call, Reply};
use crate::cluster::{AdminState, Backend, Claim, Meeting, NewMeeting, Refusal, Reservation, Size};
use crate::facts::Candidates;
use crate::fault::Fault;
use crate::ports::{Born, Settled};
use crate::stage::{Next, Stage};

impl Selector {
    /// Finds the meeting's place, or gives it one, and sends the create there.
    //
    // 1. A rehearsed create only records the placement.
    // 2. A known meeting is waited for until its claim is settled. It may have a place (follow it), the claim of a lost server
    //    (finish its create on the same node), or none any more.
    // 3. Without one, the best candidate is claimed. The winner sends the create.
    // 4. If another server was first, its meeting is known from now on: back to 2. If a copy on that node is being ended, the
    //    next candidate is claimed.
    pub(super) async fn place(&self, mut call: Call, next: Next) -> Result<Reply, Fault> {
        let candidates = call.facts.take_candidates()?;
        if let Some(rehearsal) = &call.door.rehearsal {
            return Ok(rehearsal.note(candidates.placement(self.lot.model(), self.clock.now())));
        }
        let mut known = call.facts.meeting()?.cloned();
        let mut creation = Creation { size: Size::of_create(&call.params), call, next, candidates };
        // Another server's claim may be released during the wait. Then this call claims it, with a bound on repetitions.
        for _ in 0..=self.attempts.get() {
            if let Some(meeting) = known.take() {
                match self.meetings.settled(&meeting).await? {
                    Settled::Placed(settled) => return self.follow(creation, &settled).await,
                    Settled::Inherited(claim) => match self.open_home(&claim) {
                        Some(backend) => return self.create(creation, claim, backend).await,
                        None => self.meetings.release(&claim, true).await,
                    },
                    Settled::Vacant => {}
                }
            }
            let Some((backend, claim)) = self.claim(&creation).await? else {
                creation.candidates.or_none()?;
                break;
            };
            match claim {
                Claim::Won(meeting) => return self.create(creation, meeting, backend).await,
                Claim::Taken(meeting) if meeting.frontend != creation.call.facts.frontend()?.id => {
                    return Err(Fault::MeetingNotFound);
                }
                Claim::Taken(meeting) => known = Some(meeting),
                Claim::Barred => {
                    creation.leave_out(&backend, barred());
                }
            }
        }
        Err(Fault::MeetingNotReady)
    }

    /// The best candidate, with a place held on it.
    pub(super) fn draw(&self, creation: &Creation, id: &ScopedId) -> Option<(Arc<Backend>, Reservation)> {
        self.lot.draw(&creation.candidates, id, creation.size, self.clock.now())
    }

    /// Claims the best place there is. `None`: there is none.
    async fn claim(&self, creation: &Creation) -> Result<Option<(Arc<Backend>, Claim)>, Fault> {
        let scope = creation.call.facts.scope()?;
        let frontend = creation.call.facts.frontend()?.id;
        let Some((backend, reservation)) = self.draw(creation, &scope.scoped) else {
            return Ok(None);
        };
        let (id, meeting_id) = (&scope.scoped, &scope.meeting_id);
        let new = NewMeeting { id, meeting_id, frontend, backend: backend.id, size: creation.size };
        let claim = self.meetings.claim(new).await;
        drop(reservation);
        Ok(Some((backend, claim?)))
    }

    /// Asks the node that has the meeting.
    async fn follow(&self, mut creation: Creation, meeting: &Meeting) -> Result<Reply, Fault> {
        let backend = self.directory.backend(meeting.backend).ok_or(Fault::MeetingNotReady)?;
        creation.call.choose(backend);
        let params = creation.call.params.clone();
        let reply = creation.next.oneshot(creation.call).await?;
        if reply.is_success() {
            self.record(meeting, Born::read(&reply, meeting.backend, &params)?).await?;
        }
        Ok(reply)
    }

    /// The backend of a lost server's claim: its node's answer shows whether it has made the meeting. `None`: the backend was
    /// removed or closed to new meetings meanwhile, and might make the meeting only now.
    fn open_home(&self, claim: &Meeting) -> Option<Arc<Backend>> {
        self.directory.backend(claim.backend).filter(|backend| backend.admin_state == AdminState::Ready)
    }
}

/// Why a backend cannot have the claim.
pub(super) fn barred() -> Refusal {
    Refusal::new("barred", "an older meeting of that id is just being ended there, or the backend was removed")
}

/// A create on its way to a node.
pub(super) struct Creation {
    pub(super) call: Call,
    pub(super) next: Next,
    pub(super) candidates: Candidates,
    pub(super) size: Size,
}

impl Creation {
    pub(super) fn leave_out(&mut self, backend: &Backend, refusal: Refusal) {
        self.candidates.remove(BackendSelect::KIND, backend, refusal);
    }
}
