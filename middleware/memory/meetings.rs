//! Meetings in memory, and the steps of their lives.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use uuid::Uuid;

use super::{Memory, TakenSeat, claimed};
use crate::bbb::ScopedId;
use crate::cluster::{BackendId, Claim, FrontendId, Meeting, MeetingState, Move, NewMeeting};
use crate::fault::Fault;
use crate::ports::{Born, Meetings, NewSeat, Seat, Seen, Settled};

impl Meetings for Memory {
    fn known(&self, id: &str) -> Option<Arc<Meeting>> {
        self.state().meetings.get(id).cloned()
    }

    fn find<'a>(&'a self, id: &'a ScopedId) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        ready(Ok(self.known(id.as_ref()))).boxed()
    }

    fn known_by_internal_id(&self, frontend: FrontendId, id: &str) -> Option<Arc<Meeting>> {
        self.of_frontend(frontend).into_iter().find(|meeting| meeting.internal_id.as_deref() == Some(id))
    }

    fn find_by_internal_id<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        ready(Ok(self.known_by_internal_id(frontend, id))).boxed()
    }

    fn of_frontend(&self, frontend: FrontendId) -> Vec<Arc<Meeting>> {
        self.state().meetings.values().filter(|meeting| meeting.frontend == frontend).cloned().collect()
    }

    fn listed(&self, frontend: FrontendId) -> BoxFuture<'_, Vec<Bytes>> {
        let own = self.of_frontend(frontend).into_iter().filter(|meeting| meeting.state == MeetingState::Live);
        let entry = |id: &str| format!("<meeting><meetingID>{id}</meetingID></meeting>").into();
        ready(own.map(|meeting| entry(meeting.meeting_id.as_ref())).collect()).boxed()
    }

    fn seen(&self, meeting: &Meeting) -> Option<Seen> {
        self.state().seen.get(&meeting.id).copied()
    }

    fn note_join(&self, meeting: &Meeting) {
        self.state().seen.remove(&meeting.id);
    }

    fn take_seat<'a>(&'a self, wanted: NewSeat<'a>) -> BoxFuture<'a, Result<Seat, Fault>> {
        let NewSeat { frontend, limit, meeting, user, link } = wanted;
        let mut state = self.state();
        let own = state.seats.iter().filter(|seat| seat.frontend == frontend);
        let taken = i64::try_from(own.clone().count()).unwrap_or(i64::MAX);
        let mut there = own.filter(|seat| seat.meeting == meeting.id);
        let is_theirs = |seat: &TakenSeat| seat.user.as_deref() == user && seat.link == link;
        let seat = if (user.is_some() || link.is_some()) && there.any(is_theirs) {
            Seat::Held
        } else if taken >= limit {
            Seat::Full
        } else {
            let id = state.next_id();
            state.seats.push(TakenSeat {
                id,
                frontend,
                meeting: meeting.id.clone(),
                user: user.map(str::to_owned),
                link,
            });
            Seat::Taken(id)
        };
        ready(Ok(seat)).boxed()
    }

    fn return_seat(&self, id: Uuid) -> BoxFuture<'_, ()> {
        self.state().seats.retain(|seat| seat.id != id);
        ready(()).boxed()
    }

    fn claim<'a>(&'a self, new: NewMeeting<'a>) -> BoxFuture<'a, Result<Claim, Fault>> {
        let mut state = self.state();
        let there = state.meetings.get(new.id).filter(|there| there.state != MeetingState::Detached);
        if let Some(there) = there {
            return ready(Ok(Claim::Taken(Arc::clone(there)))).boxed();
        }
        ready(Ok(Claim::Won(state.place(claimed(new))))).boxed()
    }

    fn settled<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, Result<Settled, Fault>> {
        let there = self.known(meeting.id.as_ref()).filter(|now| now.state != MeetingState::Detached);
        let inherited = there.as_ref().is_some_and(|there| there.state == MeetingState::Claimed);
        let settled = match there {
            Some(claim) if inherited => Settled::Inherited(claim),
            Some(placed) => Settled::Placed(placed),
            None => Settled::Vacant,
        };
        ready(Ok(settled)).boxed()
    }

    fn move_claim<'a>(
        &'a self,
        meeting: &'a Meeting,
        backend: BackendId,
        sent: bool,
    ) -> BoxFuture<'a, Result<Move, Fault>> {
        let mut state = self.state();
        if sent {
            state.copies.push(meeting.backend);
        }
        let moved = Meeting { backend, attempt: meeting.attempt + 1, ..meeting.clone() };
        ready(Ok(Move::Moved(state.place(moved)))).boxed()
    }

    fn release<'a>(&'a self, meeting: &'a Meeting, sent: bool) -> BoxFuture<'a, ()> {
        let mut state = self.state();
        if sent {
            state.copies.push(meeting.backend);
        }
        state.remove(meeting);
        ready(()).boxed()
    }

    fn record_live<'a>(&'a self, meeting: &'a Meeting, born: Born) -> BoxFuture<'a, Result<bool, Fault>> {
        let (internal_id, callbacks) = (Some(born.internal_id), born.callbacks.into());
        let live = Meeting { state: MeetingState::Live, internal_id, callbacks, ..meeting.clone() };
        self.state().place(live);
        ready(Ok(true)).boxed()
    }

    fn record_ending<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        self.state().place(Meeting { state: MeetingState::Ending, ..meeting.clone() });
        ready(()).boxed()
    }

    fn forget<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        self.state().remove(meeting);
        ready(()).boxed()
    }

    fn let_go<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        self.release(meeting, true)
    }
}
