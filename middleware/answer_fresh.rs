//! `answer-fresh`: answers from memory with the node's recent report of the meeting.
//!
//! ```toml
//! [stages.answer-fresh]
//! max-age = 10                   # the greatest age of a report, in seconds; 0: every call goes on
//! ```
//!
//! Frontends call `isMeetingRunning` all the time. While the meeting's report is younger than `max-age`, it is
//! answered by that, or by later events of its agent; past it the call goes on. It goes on, too, while
//! the meeting has no report yet, while it is being ended, and while this server has just sent an attendee who is not
//! reported there yet. An attendee sent by another server, to an empty meeting on a node without an agent, may be overlooked for `max-age`.
//!
//! Before `gather` on `getMeetings` it lists the meetings in memory, every element as the node wrote it, while all of the frontend's
//! meetings have young reports. `meeting-list` answers so with reports of any age.
//!
//! ```
//! use std::time::Duration;
//!
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::cluster::MeetingState;
//! use b3scale_middleware::{answer_fresh::AnswerFresh, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
//! let cluster = cluster.meeting("school", "m1", "n1", MeetingState::Live);
//! let cluster = cluster.seen("school", "m1", true, Duration::from_secs(3));
//! let (seen, reply) = cluster.through(AnswerFresh::default(), cluster.looked_up(CallKind::IsMeetingRunning, "m1")).await;
//! assert!(seen.is_none() && reply.is_ok_and(|reply| reply.body.ends_with(b"<running>true</running></response>")));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, ready};
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, ReturnCode, xml};
use crate::call::{Call, Reply};
use crate::cluster::{Meeting, MeetingState};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::meeting_list;
use crate::ports::{Meetings, Ports, Seen};
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService, refuse};

/// Settings of `answer-fresh`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnswerFresh {
    /// The greatest age of a report, in seconds.
    pub max_age: u32,
}

impl Default for AnswerFresh {
    fn default() -> Self {
        Self { max_age: 10 }
    }
}

impl Stage for AnswerFresh {
    const KIND: &'static str = "answer-fresh";
    type Layer = StageLayer<FreshAnswers>;

    fn contract(&self, call: CallKind) -> Contract {
        let needs = match call {
            CallKind::GetMeetings => Contract::needs(&[Fact::Frontend, Fact::Checksum]),
            _ => Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::Meeting]),
        };
        needs.only(&[CallKind::IsMeetingRunning, CallKind::GetMeetings])
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<FreshAnswers>, SetupError> {
        let answer = |running| xml::Writer::response(ReturnCode::Success).field("running", running).finish();
        Ok(StageLayer::new(FreshAnswers {
            max_age: Duration::from_secs(self.max_age.into()),
            meetings: Arc::clone(&ports.meetings),
            running: answer("true"),
            idle: answer("false"),
        }))
    }
}

/// Answers calls from memory.
pub struct FreshAnswers {
    max_age: Duration,
    meetings: Arc<dyn Meetings>,
    running: Bytes,
    idle: Bytes,
}

impl Service<Call> for StageService<FreshAnswers> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let answered = match call.kind {
            CallKind::GetMeetings => return self.list(call),
            _ => call.facts.meeting().map(|meeting| meeting.and_then(|meeting| self.stage.answer(meeting))),
        };
        match answered {
            Ok(Some(reply)) => Either::Left(ready(Ok(reply))),
            Ok(None) => self.next.pass(call),
            Err(fault) => refuse(fault),
        }
    }
}

impl StageService<FreshAnswers> {
    fn list(&mut self, call: Call) -> StageFuture {
        let frontend = match call.facts.frontend() {
            Ok(frontend) => frontend.id,
            Err(fault) => return refuse(fault),
        };
        let meetings = Arc::clone(&self.stage.meetings);
        // A meeting on a lost node is in no list.
        let lives = |meeting: &Arc<Meeting>| meeting.state != MeetingState::Detached;
        let fresh = |meeting: Arc<Meeting>| self.stage.fresh(&meeting).is_some();
        if !meetings.of_frontend(frontend).into_iter().filter(lives).all(fresh) {
            return self.next.pass(call);
        }
        Either::Right(Box::pin(async move { Ok(meeting_list::list(meetings.listed(frontend).await)) }))
    }
}

impl FreshAnswers {
    fn answer(&self, meeting: &Meeting) -> Option<Reply> {
        let seen = self.fresh(meeting)?;
        Some(Reply::xml(if seen.running { self.running.clone() } else { self.idle.clone() }))
    }

    fn fresh(&self, meeting: &Meeting) -> Option<Seen> {
        let seen = self.meetings.seen(meeting).filter(|seen| seen.age < self.max_age)?;
        (meeting.state == MeetingState::Live).then_some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    const YOUNG: Duration = Duration::from_secs(9);
    const OLD: Duration = Duration::from_secs(10);

    fn school(state: MeetingState) -> Memory {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).replies_success();
        cluster.meeting("school", "m1", "n1", state)
    }

    /// The answer from memory. `None`: the call went on.
    async fn answered(cluster: &Memory, call: Call) -> Option<String> {
        let (seen, reply) = cluster.through(AnswerFresh::default(), call).await;
        let reply = reply.unwrap();
        let text = String::from_utf8([vec![reply.body], reply.rest].concat().concat()).unwrap();
        seen.is_none().then_some(text)
    }

    async fn running(cluster: &Memory) -> Option<String> {
        answered(cluster, cluster.looked_up(CallKind::IsMeetingRunning, "m1")).await
    }

    #[tokio::test]
    async fn what_is_fresh_is_answered_and_what_is_old_is_asked() {
        let cluster = school(MeetingState::Live);
        assert_eq!(running(&cluster).await, None, "nothing is known yet");
        let cluster = cluster.seen("school", "m1", false, YOUNG);
        let nobody = "<response><returncode>SUCCESS</returncode><running>false</running></response>";
        assert_eq!(running(&cluster).await.as_deref(), Some(nobody));
        let cluster = cluster.seen("school", "m1", true, OLD);
        assert_eq!(running(&cluster).await, None);
    }

    #[tokio::test]
    async fn of_a_meeting_that_is_being_ended_its_node_is_asked() {
        let cluster = school(MeetingState::Ending).seen("school", "m1", true, YOUNG);
        assert_eq!(running(&cluster).await, None);
    }

    #[tokio::test]
    async fn a_list_is_answered_while_every_meeting_is_known_well() {
        let cluster = school(MeetingState::Live).meeting("school", "m2", "n1", MeetingState::Live);
        let list = |cluster: &Memory| cluster.verified(CallKind::GetMeetings, "");
        let cluster = cluster.seen("school", "m1", true, YOUNG);
        assert_eq!(answered(&cluster, list(&cluster)).await, None);
        let cluster = cluster.seen("school", "m2", true, YOUNG);
        let listed = answered(&cluster, list(&cluster)).await.expect("it is answered");
        assert!(listed.contains("<meetingID>m1</meetingID>") && listed.contains("<meetingID>m2</meetingID>"));
    }
}
