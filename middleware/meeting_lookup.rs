//! `meeting-lookup`: finds the meeting, its owner and its place.
//!
//! ```toml
//! [stages.meeting-lookup]
//! ```
//!
//! Another frontend's meeting does not exist. An unknown meeting passes on `create`, which makes it; on
//! `isMeetingRunning` it is answered `false`; on every other call it is a fault. A `join` before its node is ready is a
//! [`Fault::MeetingNotReady`], which the way out turns into the waiting page. On the way back the stage records the node's
//! answer: an accepted end, or a missing meeting; and that a client was sent to it. A HEAD sends no client.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{Fault, meeting_lookup::MeetingLookup, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let (_, reply) = cluster.through(MeetingLookup {}, cluster.scoped(CallKind::End, "m1")).await;
//! assert_eq!(reply, Err(Fault::MeetingNotFound));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, Outcome, ReturnCode, xml};
use crate::call::{Call, Door, Reply};
use crate::cluster::{Meeting, MeetingState};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Directory, Meetings, Ports};
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService};

/// Settings of `meeting-lookup`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeetingLookup {}

impl Stage for MeetingLookup {
    const KIND: &'static str = "meeting-lookup";
    type Layer = StageLayer<Lookup>;

    fn contract(&self, call: CallKind) -> Contract {
        let needs = Contract::needs(&[Fact::Frontend, Fact::Scope]);
        match call {
            CallKind::Create => needs.gives(&[Fact::Meeting]),
            _ => needs.gives(&[Fact::Meeting, Fact::Backend]),
        }
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Lookup>, SetupError> {
        let Ports { directory, meetings, .. } = ports.clone();
        Ok(StageLayer::new(Lookup { directory, meetings }))
    }
}

/// Looks meetings up.
pub struct Lookup {
    directory: Arc<dyn Directory>,
    meetings: Arc<dyn Meetings>,
}

impl Service<Call> for StageService<Lookup> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let (stage, mut next) = (Arc::clone(&self.stage), self.next.take());
        Either::Right(Box::pin(async move {
            let (kind, door) = (call.kind, Arc::clone(&call.door));
            let meeting = stage.find(&call).await?;
            let call = match stage.place(call, meeting.as_ref()) {
                Ok(call) => call,
                Err(Fault::MeetingNotFound) if kind == CallKind::IsMeetingRunning => return Ok(not_running()),
                Err(fault) => return Err(fault),
            };
            let reply = next.call(call).await?;
            if let Some(meeting) = meeting {
                stage.heed(kind, &door, &meeting, &reply).await;
            }
            Ok(reply)
        }))
    }
}

impl Lookup {
    async fn find(&self, call: &Call) -> Result<Option<Arc<Meeting>>, Fault> {
        let id = &call.facts.scope()?.scoped;
        let owner = call.facts.frontend()?.id;
        let meeting = match self.meetings.known(id.as_ref()) {
            // The claim of a create finds existing meetings, so nothing is looked up twice.
            known if call.kind == CallKind::Create => known,
            // Results are not announced, so a claim in memory may long be live; and a meeting on a lost node may
            // have been created elsewhere a moment ago, by a frontend that now sends people there.
            Some(meeting) if meeting.is_settling() && call.kind == CallKind::Join => self.meetings.find(id).await?,
            Some(meeting) if meeting.state != MeetingState::Claimed => Some(meeting),
            Some(_) | None => self.meetings.find(id).await?,
        };
        Ok(meeting.filter(|meeting| meeting.frontend == owner))
    }

    /// Fills the slots, and the backend where the call goes to the meeting's own node.
    fn place(&self, mut call: Call, meeting: Option<&Arc<Meeting>>) -> Result<Call, Fault> {
        call.facts.set_meeting(meeting.cloned());
        if call.kind == CallKind::Create {
            return Ok(call);
        }
        let meeting = meeting.ok_or(Fault::MeetingNotFound)?;
        let joins = call.kind == CallKind::Join;
        if meeting.state == MeetingState::Detached && !joins {
            return Err(Fault::MeetingNotFound);
        }
        // A node that is lost while nothing can be written down has lost its meetings all the same.
        let backend = match self.directory.backend(meeting.backend).filter(|backend| !backend.is_lost()) {
            Some(backend) => backend,
            None if joins => return Err(Fault::MeetingNotReady),
            None => return Err(Fault::MeetingNotFound),
        };
        if joins && (meeting.is_settling() || !backend.is_up()) {
            return Err(Fault::MeetingNotReady);
        }
        call.choose(backend);
        Ok(call)
    }

    /// Records the node's answer about the meeting.
    async fn heed(&self, kind: CallKind, door: &Door, meeting: &Meeting, reply: &Reply) {
        let joined = kind == CallKind::Join && !door.looks;
        if joined && reply.outcome.as_ref().is_none_or(Outcome::is_success) {
            self.meetings.note_join(meeting);
        }
        if kind == CallKind::End && reply.is_success() {
            self.meetings.record_ending(meeting).await;
        }
        // A claim is left alone: its create may be on its way to the node.
        if reply.failed_with("notFound") && meeting.state != MeetingState::Claimed {
            self.meetings.forget(meeting).await;
        }
    }
}

fn not_running() -> Reply {
    Reply::xml(xml::Writer::response(ReturnCode::Success).field("running", "false").finish())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::memory::Memory;

    fn school() -> Memory {
        Memory::new().frontend("school", "secret").backend("n1", &[])
    }

    async fn look_up(cluster: &Memory, kind: CallKind) -> (Option<Call>, Result<Reply, Fault>) {
        cluster.through(MeetingLookup {}, cluster.scoped(kind, "m1")).await
    }

    #[tokio::test]
    async fn a_call_goes_to_the_node_that_has_the_meeting() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Live);
        let (seen, _) = look_up(&cluster, CallKind::GetMeetingInfo).await;
        assert_eq!(seen.unwrap().facts.backend().unwrap().id, cluster.backend_id("n1"));
    }

    #[tokio::test]
    async fn create_goes_on_with_a_meeting_that_nobody_knows() {
        let (seen, _) = look_up(&school(), CallKind::Create).await;
        assert_eq!(seen.unwrap().facts.meeting().unwrap(), None);
    }

    #[tokio::test]
    async fn a_meeting_that_nobody_knows_is_not_running() {
        let (seen, reply) = look_up(&school(), CallKind::IsMeetingRunning).await;
        assert!(seen.is_none());
        assert!(reply.unwrap().body.windows(5).any(|text| text == b"false"));
    }

    #[tokio::test]
    async fn another_frontends_meeting_does_not_exist() {
        let cluster = school().frontend("other", "secret").meeting("school", "m1", "n1", MeetingState::Live);
        let mut call = cluster.scoped(CallKind::GetMeetingInfo, "m1");
        call.facts.set_frontend(cluster.frontend_named("other"));
        assert_eq!(cluster.through(MeetingLookup {}, call).await.1, Err(Fault::MeetingNotFound));
    }

    #[tokio::test]
    async fn a_join_waits_for_a_node_that_is_not_ready() {
        let claimed = school().meeting("school", "m1", "n1", MeetingState::Claimed);
        assert_eq!(look_up(&claimed, CallKind::Join).await.1, Err(Fault::MeetingNotReady));
        let down = school().meeting("school", "m1", "n1", MeetingState::Live).node_down("n1");
        assert_eq!(look_up(&down, CallKind::Join).await.1, Err(Fault::MeetingNotReady));
    }

    #[tokio::test]
    async fn a_meeting_whose_node_is_lost_does_not_run() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Detached);
        assert!(look_up(&cluster, CallKind::IsMeetingRunning).await.1.is_ok_and(|reply| reply.outcome.is_none()));
        assert_eq!(look_up(&cluster, CallKind::GetMeetingInfo).await.1, Err(Fault::MeetingNotFound));
        assert_eq!(look_up(&cluster, CallKind::Join).await.1, Err(Fault::MeetingNotReady));
    }

    #[tokio::test]
    async fn a_meeting_whose_node_is_lost_does_not_run_although_nobody_could_write_that_down() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Live).node_down("n1");
        assert!(look_up(&cluster, CallKind::IsMeetingRunning).await.1.is_ok_and(|reply| reply.outcome.is_none()));
        assert_eq!(look_up(&cluster, CallKind::End).await.1, Err(Fault::MeetingNotFound));
    }

    #[tokio::test]
    async fn an_accepted_end_is_noted() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Live).replies_success();
        look_up(&cluster, CallKind::End).await.1.unwrap();
        assert_eq!(cluster.meeting_named("school", "m1").unwrap().state, MeetingState::Ending);
    }

    #[tokio::test]
    async fn that_nobody_is_there_is_old_once_somebody_was_sent() {
        let known =
            || school().meeting("school", "m1", "n1", MeetingState::Live).seen("school", "m1", false, Duration::ZERO);
        let meeting = |cluster: &Memory| cluster.meeting_named("school", "m1").unwrap();
        let refused = known().replies("<response><returncode>FAILED</returncode></response>");
        look_up(&refused, CallKind::Join).await.1.unwrap();
        assert!(Meetings::seen(&refused, &meeting(&refused)).is_some());
        let sent = known().replies_success();
        let mut look = sent.scoped(CallKind::Join, "m1");
        Arc::get_mut(&mut look.door).unwrap().looks = true;
        sent.through(MeetingLookup {}, look).await.1.unwrap();
        assert!(Meetings::seen(&sent, &meeting(&sent)).is_some(), "a HEAD sends no client there");
        look_up(&sent, CallKind::Join).await.1.unwrap();
        assert!(Meetings::seen(&sent, &meeting(&sent)).is_none());
    }

    #[tokio::test]
    async fn a_meeting_that_its_node_does_not_run_is_forgotten() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Live).replies(
            "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey><message>x</message></response>",
        );
        look_up(&cluster, CallKind::GetMeetingInfo).await.1.unwrap();
        assert!(cluster.meeting_named("school", "m1").is_none());
    }
}
