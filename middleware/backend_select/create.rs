//! Creating a meeting that is claimed, on one node after the other while they fail.

use std::sync::Arc;

use tower::ServiceExt;

use super::BackendSelectLayer;
use super::place::{Creation, barred};
use crate::call::Reply;
use crate::cluster::{Backend, Meeting, MeetingState, Refusal};
use crate::fault::{Blame, Fault};
use crate::ports::{Born, Move};

impl BackendSelectLayer {
    /// Creates the meeting on the backend it was claimed for, and on others while nodes fail.
    pub(super) async fn create(
        &self,
        mut creation: Creation,
        mut meeting: Arc<Meeting>,
        mut backend: Arc<Backend>,
    ) -> Result<Reply, Fault> {
        let mut left = self.attempts.get();
        loop {
            left -= 1;
            let mut attempt = creation.call.clone();
            attempt.choose(Arc::clone(&backend));
            let fault = match creation.next.clone().oneshot(attempt).await {
                Ok(reply) if reply.is_success() => match Born::read(&reply, meeting.backend, &creation.call.params) {
                    Ok(born) => return self.settle(&meeting, born).await.map(|()| reply),
                    Err(fault) => fault,
                },
                Ok(refusal) => {
                    self.meetings.release(&meeting, false).await;
                    return Ok(refusal);
                }
                Err(fault) => fault,
            };
            creation.leave_out(&backend, Refusal::new("tried", fault.to_string()));
            let another = left > 0 && fault.blame() == Blame::Backend;
            let moved = if another { self.move_on(&mut creation, &meeting, &fault).await } else { None };
            let Some((moved, other)) = moved else {
                self.meetings.release(&meeting, fault.sent()).await;
                return Err(fault);
            };
            tracing::warn!(
                request.id = creation.call.door.name(),
                backend.id = %backend.id,
                %fault,
                "A node failed during a create, the next one is tried"
            );
            (meeting, backend) = (moved, other);
        }
    }

    /// Moves the claim to the next candidate that may have it. `None`: there is none, or the claim cannot be moved.
    async fn move_on(
        &self,
        creation: &mut Creation,
        meeting: &Meeting,
        fault: &Fault,
    ) -> Option<(Arc<Meeting>, Arc<Backend>)> {
        while let Some((other, reservation)) = self.lot.draw(&creation.candidates, &meeting.id, creation.size) {
            let moved = self.meetings.move_claim(meeting, other.id, fault.sent()).await;
            drop(reservation);
            match moved {
                Ok(Move::Moved(moved)) => return Some((moved, other)),
                Ok(Move::Barred) => creation.leave_out(&other, barred()),
                Ok(Move::NotOurs) => return None,
                Err(error) => {
                    tracing::warn!(meeting.id = %meeting.id, %error, "A claim could not be moved");
                    return None;
                }
            }
        }
        None
    }

    /// Notes what the node made of our claim. What cannot be noted is given up, so that it is ended there.
    async fn settle(&self, meeting: &Meeting, born: Born) -> Result<(), Fault> {
        let recorded = self.record(meeting, born).await;
        if recorded.is_err() {
            self.meetings.release(meeting, true).await;
        }
        recorded
    }

    /// Notes what the node made, unless that is what we knew.
    pub(super) async fn record(&self, meeting: &Meeting, born: Born) -> Result<(), Fault> {
        if meeting.state != MeetingState::Claimed && meeting.internal_id.as_ref() == Some(&born.internal_id) {
            return Ok(());
        }
        if self.meetings.record_live(meeting, born).await? { Ok(()) } else { Err(Fault::MeetingNotReady) }
    }
}
