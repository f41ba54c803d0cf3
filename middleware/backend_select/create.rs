//! Creating a meeting that is claimed, on one node after the other while they fail.

use std::sync::Arc;

use tower::ServiceExt;

use super::Selector;
use super::miss::{Miss, Misses};
use super::place::{Creation, barred};
use crate::bbb::holds_everywhere;
use crate::call::Reply;
use crate::cluster::{Backend, Meeting, MeetingState, Move, Refusal};
use crate::fault::Fault;
use crate::ports::Born;

impl Selector {
    /// Creates the meeting on the backend it was claimed for, and on others while nodes fail.
    pub(super) async fn create(
        &self,
        mut creation: Creation,
        mut meeting: Arc<Meeting>,
        mut backend: Arc<Backend>,
    ) -> Result<Reply, Fault> {
        let mut left = self.attempts.get();
        let mut misses = Misses::default();
        loop {
            let mut attempt = creation.call.clone();
            attempt.choose(Arc::clone(&backend));
            let miss = match creation.next.clone().oneshot(attempt).await {
                Ok(reply) if reply.is_success() => match Born::read(&reply, meeting.backend, &creation.call.params) {
                    Ok(born) => return self.settle(&meeting, born).await.map(|()| reply),
                    Err(fault) => Miss::Failed(fault),
                },
                Ok(refusal) if holds_everywhere(refusal.message_key()) => {
                    self.meetings.release(&meeting, false).await;
                    return Ok(refusal);
                }
                Ok(refusal) => Miss::Refused(Box::new(refusal)),
                Err(fault) => Miss::Failed(fault),
            };
            left -= u32::from(miss.takes_time());
            creation.leave_out(&backend, Refusal::new("tried", miss.to_string()));
            let another = left > 0 && miss.concerns_the_node();
            let (sent, said) = (miss.sent(), miss.to_string());
            misses.note(miss);
            let moved = if another { self.move_on(&mut creation, &meeting, sent, &mut misses).await } else { None };
            let Some((moved, other)) = moved else {
                self.meetings.release(&meeting, sent).await;
                return misses.outcome(&creation.candidates);
            };
            tracing::warn!(
                request.id = creation.call.door.name(),
                backend.id = %backend.id,
                error = said,
                "Trying the next node for a create"
            );
            (meeting, backend) = (moved, other);
        }
    }

    /// Moves the claim to the next candidate that may have it. `None`: there is none, or the claim cannot be moved.
    async fn move_on(
        &self,
        creation: &mut Creation,
        meeting: &Meeting,
        sent: bool,
        misses: &mut Misses,
    ) -> Option<(Arc<Meeting>, Arc<Backend>)> {
        while let Some((other, reservation)) = self.draw(creation, &meeting.id) {
            let moved = self.meetings.move_claim(meeting, other.id, sent).await;
            drop(reservation);
            match moved {
                Ok(Move::Moved(moved)) => return Some((moved, other)),
                Ok(Move::Barred) => {
                    creation.leave_out(&other, barred());
                    misses.differ = true;
                }
                Ok(Move::NotOurs) => return None,
                Err(error) => {
                    tracing::warn!(meeting.id = %meeting.id, %error, "Moving a claim failed");
                    return None;
                }
            }
        }
        None
    }

    /// Records the meeting that the node made. If that fails, the claim is released, so that the meeting is ended there.
    async fn settle(&self, meeting: &Meeting, born: Born) -> Result<(), Fault> {
        let recorded = self.record(meeting, born).await;
        if recorded.is_err() {
            self.meetings.release(meeting, true).await;
        }
        recorded
    }

    /// Records the meeting that the node made, unless it is the known one. A known one without callbacks gets those of this create:
    /// a lost server may have taken the first ones with it.
    pub(super) async fn record(&self, meeting: &Meeting, born: Born) -> Result<(), Fault> {
        let is_known =
            meeting.state != MeetingState::Claimed && meeting.internal_id.as_ref() == Some(&born.internal_id);
        let brings = meeting.state == MeetingState::Live && meeting.callbacks.is_empty() && !born.callbacks.is_empty();
        if is_known && !brings {
            return Ok(());
        }
        let is_recorded = self.meetings.record_live(meeting, born).await?;
        if is_recorded || is_known { Ok(()) } else { Err(Fault::MeetingNotReady) }
    }
}
