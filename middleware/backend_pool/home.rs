//! Where a meeting has its place already, and whether it still has it.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use crate::bbb::{CallKind, Params, xml};
use crate::call::{Call, Reply};
use crate::cluster::{Backend, Meeting, MeetingState};
use crate::fault::Fault;
use crate::node_request::NodeRequest;

/// How long a node may take to say whether a meeting goes on. It has still to make the create.
const PATIENCE: Duration = Duration::from_secs(2);

impl Pool {
    /// Whether more than memory has to be asked: for the parent of a breakout, or the node of a meeting that may have ended.
    pub(super) fn must_ask(&self, call: &Call) -> bool {
        call.facts.scope().is_ok_and(|scope| scope.parent.is_some()) || self.doubtful(call).is_some()
    }

    /// Where the meeting lives. A meeting on a lost node lives nowhere; a claimed meeting may still be released.
    pub(super) fn home(&self, meeting: &Meeting) -> Option<Arc<Backend>> {
        let lives = matches!(meeting.state, MeetingState::Live | MeetingState::Ending);
        let home = lives.then(|| self.directory.backend(meeting.backend)).flatten();
        home.filter(|backend| !backend.is_lost())
    }

    /// The meeting that this one is a breakout of. It may have been created at another server a moment ago, so memory is not
    /// all there is to ask.
    ///
    /// # Errors
    /// It is none of this frontend's, or its node is not ready.
    pub(super) async fn parent(&self, call: &Call) -> Result<Option<Arc<Meeting>>, Fault> {
        let frontend = call.facts.frontend()?.id;
        let Some(parent) = &call.facts.scope()?.parent else { return Ok(None) };
        let known = self.meetings.known(parent.as_ref()).filter(|known| !known.is_settling());
        let found = if known.is_some() { known } else { self.meetings.find(parent).await? };
        let Some(parent) = found.filter(|parent| parent.frontend == frontend) else {
            let message = "No parent meeting exists for the breakout room.".into();
            return Err(Fault::InvalidParam { key: "parentMeetingDoesNotExist", message });
        };
        if self.home(&parent).is_some() { Ok(Some(parent)) } else { Err(Fault::MeetingNotReady) }
    }

    /// Forgets a meeting that has ended on a node that takes no new ones, so that it is not made again there.
    pub(super) async fn let_go_if_ended(&self, call: &mut Call) -> Result<(), Fault> {
        let Some((meeting, home)) = self.doubtful(call) else { return Ok(()) };
        match self.fate(call, &meeting, &home).await {
            Fate::Runs => return Ok(()),
            Fate::Ends => self.meetings.let_go(&meeting).await,
            Fate::Gone => self.meetings.forget(&meeting).await,
        }
        let now = self.meetings.known(meeting.id.as_ref());
        if now.is_some_and(|now| now.claim == meeting.claim && now.internal_id == meeting.internal_id) {
            return Err(Fault::StoreAway("the end of a meeting could not be noted".to_owned()));
        }
        call.facts.set_meeting(None);
        Ok(())
    }

    /// A meeting on a backend that takes no new ones. If it has ended there, a create would make it again.
    fn doubtful(&self, call: &Call) -> Option<(Arc<Meeting>, Arc<Backend>)> {
        let meeting = call.facts.meeting().ok().flatten().filter(|_| call.door.rehearsal.is_none())?;
        let home = self.home(meeting).filter(|home| home.takes_meetings(self.clock.now()).is_err())?;
        Some((Arc::clone(meeting), home))
    }

    /// The state of a meeting. Without its node's answer it is taken to run, and the node gets the create.
    async fn fate(&self, call: &Call, meeting: &Meeting, home: &Arc<Backend>) -> Fate {
        if meeting.state == MeetingState::Ending {
            return Fate::Ends;
        }
        let mut params = Params::default();
        params.set("meetingID", meeting.id.as_ref());
        let info = NodeRequest::new(CallKind::GetMeetingInfo, &params, None, home, None, &call.door.request_id);
        let info = NodeRequest { deadline: Some(self.clock.now() + PATIENCE), ..info };
        self.nodes.ask(info).await.map_or(Fate::Runs, |reply| fate(&reply))
    }
}

/// The state of a meeting on its node.
enum Fate {
    Runs,
    /// Its end was accepted, and people may still be in it.
    Ends,
    Gone,
}

/// The state of a meeting by a node's answer to getMeetingInfo.
fn fate(reply: &Reply) -> Fate {
    match xml::fields(&reply.body, ["hasBeenForciblyEnded"]) {
        _ if reply.failed_with("notFound") => Fate::Gone,
        Ok([Some(said)]) if said == "true" => Fate::Ends,
        _ => Fate::Runs,
    }
}

#[cfg(test)]
mod tests {
    use super::super::BackendPool;
    use super::*;
    use crate::cluster::AdminState;
    use crate::fault::NodeFailure;
    use crate::meeting_lookup::MeetingLookup;
    use crate::meeting_scope::MeetingScope;
    use crate::memory::Memory;

    const RUNS: &str =
        "<response><returncode>SUCCESS</returncode><hasBeenForciblyEnded>false</hasBeenForciblyEnded></response>";
    const ENDED: &str =
        "<response><returncode>SUCCESS</returncode><hasBeenForciblyEnded>true</hasBeenForciblyEnded></response>";
    const GONE: &str = "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey></response>";

    fn school(state: MeetingState) -> Memory {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).backend("n2", &[]);
        cluster.meeting("school", "m1", "n1", state)
    }

    /// Where a create of the meeting may go.
    async fn places(cluster: &Memory) -> Vec<crate::cluster::BackendId> {
        let call = cluster.looked_up(CallKind::Create, "m1");
        let (seen, reply) = cluster.through(BackendPool::default(), call).await;
        let mut seen = seen.unwrap_or_else(|| panic!("{reply:?}"));
        seen.facts.take_candidates().unwrap().backends().iter().map(|backend| backend.id).collect()
    }

    #[tokio::test]
    async fn a_meeting_that_has_ended_on_a_stopped_node_may_go_to_every_other() {
        for (state, said, copies) in
            [(MeetingState::Live, GONE, 0), (MeetingState::Live, ENDED, 1), (MeetingState::Ending, RUNS, 1)]
        {
            let cluster = school(state).admin_state("n1", AdminState::Stopped).node_replies("n1", said);
            assert_eq!(places(&cluster).await, [cluster.backend_id("n2")], "{said}");
            assert!(cluster.meeting_named("school", "m1").is_none());
            assert_eq!(cluster.copies().len(), copies, "those who are still in it are ended with it: {said}");
        }
    }

    #[tokio::test]
    async fn a_meeting_that_still_runs_on_a_stopped_node_stays_there() {
        let cluster = school(MeetingState::Live).admin_state("n1", AdminState::Stopped).node_replies("n1", RUNS);
        assert_eq!(places(&cluster).await, [cluster.backend_id("n1")]);
        let silent = cluster.node_fails("n1", NodeFailure::Silent { seconds: 5 });
        assert_eq!(places(&silent).await, [silent.backend_id("n1")], "what a node does not say is not believed");
    }

    #[tokio::test]
    async fn an_overloaded_node_does_not_make_a_meeting_again_either() {
        let cluster = school(MeetingState::Live).agent("n1", 0.99, 0.5).node_replies("n1", GONE);
        assert_eq!(places(&cluster).await, [cluster.backend_id("n2")]);
    }

    #[tokio::test]
    async fn a_node_that_takes_new_meetings_is_not_asked() {
        let cluster = school(MeetingState::Live).node_replies("n1", GONE);
        assert_eq!(places(&cluster).await, [cluster.backend_id("n1")]);
        assert!(cluster.requests().is_empty());
    }

    #[tokio::test]
    async fn a_breakout_of_a_meeting_that_nobody_knows_is_refused() {
        let cluster = school(MeetingState::Live);
        let pool = async |parent: &str| {
            let query = format!("meetingID=b1&isBreakout=true&parentMeetingID={parent}");
            let scoped = cluster.behind(MeetingScope {}, cluster.verified(CallKind::Create, &query));
            let call = cluster.behind(MeetingLookup {}, scoped);
            cluster.through(BackendPool::default(), call).await
        };
        let (seen, reply) = pool("nowhere").await;
        assert!(seen.is_none());
        assert_eq!(reply.unwrap_err().message_key(CallKind::Create), "parentMeetingDoesNotExist");
        assert!(pool("m1").await.0.is_some());
        let _ = cluster.clone().meeting("school", "m1", "n1", MeetingState::Claimed);
        assert_eq!(pool("m1").await.1, Err(Fault::MeetingNotReady));
    }
}
