//! `attendee-limit`: lets no more people into a frontend's meetings at once than it may have.
//!
//! ```toml
//! [stages.attendee-limit]
//! ```
//!
//! The frontend's setting `attendees_limit.limit` is the limit; without it, or with 0, there is none. It counts the people in all
//! meetings of the frontend, and those sent to a node who have not arrived yet. People in a breakout that a node made are counted
//! once, in its parent. A breakout that the frontend created is a meeting like any other. An attendee on the way has a seat for a
//! minute (half a minute if the node has no agent that reports attendees). So the limit also holds under a burst over many
//! servers. It is checked at joins and removes no attendee: a lowered limit waits until people leave.
//!
//! An attendee who is in the meeting, or has a seat there, rejoins by the same `userID` without a second seat. A link without a
//! `userID` holds one seat until an attendee has joined through it; opening it after that takes another. A join that
//! the node visibly refuses gives its seat back. While the database is away, this server's own count of attendees
//! is used. Without a free seat there is a [`Fault::NoSeat`], which the way out turns into a page for browsers. A HEAD takes no
//! seat, so it is answered here and gets no address to join at.
//!
//! It stands after `params-rewrite`, so that it sees the `userID` that the node will see: it takes the fact `open-attendee`, which
//! `params-rewrite` needs.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::cluster::{AttendeesLimit, MeetingState};
//! use b3scale_middleware::{Fault, attendee_limit::AttendeeLimit, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let two = |settings: &mut b3scale_middleware::cluster::FrontendSettings| {
//!     settings.attendees_limit = Some(AttendeesLimit { limit: 2 });
//! };
//! let cluster = Memory::new().frontend_with("school", two).backend("n1", &[]);
//! let cluster = cluster.meeting("school", "m1", "n1", MeetingState::Live).replies_success();
//! let join = async |user| {
//!     let mut call = cluster.looked_up(CallKind::Join, "m1");
//!     call.params.set("userID", user);
//!     cluster.through(AttendeeLimit {}, call).await.1
//! };
//! assert!(join("ada").await.is_ok() && join("grace").await.is_ok() && join("ada").await.is_ok());
//! assert_eq!(join("emmy").await, Err(Fault::NoSeat { limit: 2 }));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{Either, ready};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, Outcome};
use crate::call::{Call, Reply};
use crate::cluster::{Link, Meeting};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Meetings, NewSeat, Ports, Seat};
use crate::stage::{Next, SetupError, Stage, StageFuture, StageLayer, StageService, refuse};

/// Settings of `attendee-limit`: none. The limit is a setting of the frontend.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttendeeLimit {}

impl Stage for AttendeeLimit {
    const KIND: &'static str = "attendee-limit";
    type Layer = StageLayer<Limiter>;

    fn contract(&self, _: CallKind) -> Contract {
        // Without a checksum that holds, anybody could take the seats.
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::Meeting])
            .takes(&[Fact::OpenAttendee])
            .only(&[CallKind::Join])
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Limiter>, SetupError> {
        Ok(StageLayer::new(Limiter { meetings: Arc::clone(&ports.meetings) }))
    }
}

/// Takes seats for people who join.
pub struct Limiter {
    meetings: Arc<dyn Meetings>,
}

impl Service<Call> for StageService<Limiter> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let (limit, meeting) = match limited(&call) {
            Ok(Some(limited)) => limited,
            Ok(None) => return self.next.pass(call),
            Err(fault) => return refuse(fault),
        };
        if call.door.looks {
            let html = HeaderValue::from_static("text/html;charset=utf-8");
            return Either::Left(ready(Ok(Reply::new(StatusCode::OK, html, Bytes::new()))));
        }
        let (stage, next) = (Arc::clone(&self.stage), self.next.take());
        Either::Right(Box::pin(async move { stage.admit(call, next, limit, &meeting).await }))
    }
}

/// The limit that a join meets, if it meets one, and the meeting. People in a breakout that a node made are in its parent.
fn limited(call: &Call) -> Result<Option<(i64, Arc<Meeting>)>, Fault> {
    let limit = call.facts.frontend()?.settings.most_attendees();
    let meeting = call.facts.meeting()?.filter(|meeting| !meeting.shares_people());
    Ok(limit.zip(meeting.cloned()))
}

impl Limiter {
    async fn admit(&self, call: Call, mut next: Next, limit: i64, meeting: &Meeting) -> Result<Reply, Fault> {
        let user = call.params.first("userID").filter(|user| !user.is_empty());
        let link = user.is_none().then(|| Link::of(&call.params));
        let wanted = NewSeat { frontend: call.facts.frontend()?.id, limit, meeting, user, link };
        let seat = match self.meetings.take_seat(wanted).await? {
            Seat::Full => return Err(Fault::NoSeat { limit }),
            Seat::Held => None,
            Seat::Taken(id) => Some(id),
        };
        let reply = next.call(call).await;
        if let Some(id) = seat.filter(|_| came_to_nothing(&reply)) {
            self.meetings.return_seat(id).await;
        }
        reply
    }
}

/// Whether no attendee can be on the way to the meeting. The outcome of a redirect is never reported.
fn came_to_nothing(reply: &Result<Reply, Fault>) -> bool {
    match reply {
        Ok(reply) => reply.outcome.as_ref().is_some_and(|outcome: &Outcome| !outcome.is_success()),
        Err(fault) => !fault.sent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{AttendeesLimit, MeetingState};
    use crate::fault::NodeFailure;
    use crate::memory::Memory;

    fn school(limit: i64) -> Memory {
        let limited = |settings: &mut crate::cluster::FrontendSettings| {
            settings.attendees_limit = Some(AttendeesLimit { limit });
        };
        let cluster = Memory::new().frontend_with("school", limited).backend("n1", &[]).replies_success();
        cluster.meeting("school", "m1", "n1", MeetingState::Live).meeting("school", "m2", "n1", MeetingState::Live)
    }

    async fn join(cluster: &Memory, meeting: &str, user: &str) -> Result<Reply, Fault> {
        let mut call = cluster.looked_up(CallKind::Join, meeting);
        call.params.set("userID", user);
        cluster.through(AttendeeLimit {}, call).await.1
    }

    #[tokio::test]
    async fn all_meetings_of_a_frontend_share_its_seats() {
        let cluster = school(2);
        assert!(join(&cluster, "m1", "ada").await.is_ok() && join(&cluster, "m2", "ada").await.is_ok());
        let full = join(&cluster, "m1", "grace").await.unwrap_err();
        assert_eq!(full, Fault::NoSeat { limit: 2 });
        assert_eq!(full.message_key(CallKind::Join), "maxParticipantsReached");
    }

    #[tokio::test]
    async fn whoever_has_a_seat_joins_again_and_a_link_of_nobody_takes_one_more() {
        let cluster = school(2);
        for _ in 0..3 {
            join(&cluster, "m1", "ada").await.unwrap();
        }
        assert_eq!(cluster.seats(), 1);
        for _ in 0..5 {
            join(&cluster, "m1", "").await.unwrap();
        }
        assert_eq!(cluster.seats(), 2);
        let mut other = cluster.looked_up(CallKind::Join, "m1");
        other.params.set("fullName", "Another");
        assert_eq!(cluster.through(AttendeeLimit {}, other).await.1, Err(Fault::NoSeat { limit: 2 }));
        join(&cluster, "m1", "ada").await.unwrap();
    }

    #[tokio::test]
    async fn a_frontend_without_a_limit_takes_no_seats() {
        for limit in [0, -5] {
            let cluster = school(limit);
            join(&cluster, "m1", "ada").await.unwrap();
            assert_eq!(cluster.seats(), 0);
        }
    }

    #[tokio::test]
    async fn a_head_takes_no_seat_and_gets_no_address_to_join_at() {
        let cluster = school(1);
        let mut look = cluster.looked_up(CallKind::Join, "m1");
        Arc::get_mut(&mut look.door).unwrap().looks = true;
        let (seen, reply) = cluster.through(AttendeeLimit {}, look).await;
        assert!(seen.is_none() && reply.unwrap().location.is_none());
        assert_eq!(cluster.seats(), 0);
    }

    #[tokio::test]
    async fn whoever_goes_to_a_breakout_is_in_its_parent_already() {
        let cluster = school(1).breakout("school", "b1", "n1");
        join(&cluster, "m1", "ada").await.unwrap();
        let mut call = cluster.looked_up(CallKind::Join, "m1");
        call.facts.set_meeting(cluster.known("b1"));
        assert!(cluster.through(AttendeeLimit {}, call).await.1.is_ok());
        assert_eq!(cluster.seats(), 1);
    }

    #[tokio::test]
    async fn a_breakout_that_its_frontend_created_takes_seats() {
        let cluster = school(1);
        let mut call = cluster.looked_up(CallKind::Join, "m1");
        let meeting = Meeting::clone(&cluster.meeting_named("school", "m1").unwrap());
        let size = crate::cluster::Size { breakout: true, ..meeting.size };
        call.facts.set_meeting(Some(Arc::new(Meeting { size, ..meeting })));
        assert!(cluster.through(AttendeeLimit {}, call.clone()).await.1.is_ok());
        call.params.set("userID", "ada");
        assert_eq!(cluster.through(AttendeeLimit {}, call).await.1, Err(Fault::NoSeat { limit: 1 }));
    }

    #[tokio::test]
    async fn a_join_that_comes_to_nothing_gives_its_seat_back() {
        let refused = "<response><returncode>FAILED</returncode><messageKey>guestDeniedAccess</messageKey></response>";
        let cluster = school(1).node_replies("n1", refused);
        assert!(join(&cluster, "m1", "ada").await.unwrap().failed_with("guestDeniedAccess"));
        assert_eq!(cluster.seats(), 0);
        let cluster = cluster.node_fails("n1", NodeFailure::Unreachable("refused".to_owned()));
        join(&cluster, "m1", "ada").await.unwrap_err();
        assert_eq!(cluster.seats(), 0);
        let cluster = cluster.node_fails("n1", NodeFailure::Silent { seconds: 5 });
        join(&cluster, "m1", "ada").await.unwrap_err();
        assert_eq!(cluster.seats(), 1, "the node may have let them in");
    }
}
