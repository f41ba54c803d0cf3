//! `meeting-list`: answers getMeetings from memory.
//!
//! ```toml
//! [stages.meeting-list]
//! ```
//!
//! Each meeting is listed as its node last reported it, with all unknown elements. So a frontend with thousands of meetings
//! costs no node anything. A meeting that is too young for a report is asked for once. A node that does not answer within a second spoils
//! nothing: its young meetings are listed as their creates made them. The list is never put together in memory: it leaves piece by piece.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{meeting_list::MeetingList, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let reply = cluster.ask(MeetingList {}, cluster.verified(CallKind::GetMeetings, "")).await?;
//! assert!(reply.body.starts_with(b"<response><returncode>SUCCESS</returncode><meetings/>"));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, ReturnCode, xml};
use crate::call::{Call, Reply};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Meetings, Ports};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};

/// The text before the first meeting, and after the last.
const BEFORE: &[u8] = b"<response><returncode>SUCCESS</returncode><meetings>";
const BEHIND: &[u8] = b"</meetings></response>";

/// Settings of `meeting-list`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeetingList {}

impl Endpoint for MeetingList {
    const KIND: &'static str = "meeting-list";
    type Service = MeetingListService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum]).only(&[CallKind::GetMeetings])
    }

    fn service(self, ports: &Ports) -> Result<MeetingListService, SetupError> {
        Ok(MeetingListService { meetings: Arc::clone(&ports.meetings) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct MeetingListService {
    meetings: Arc<dyn Meetings>,
}

impl Service<Call> for MeetingListService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let frontend = match call.facts.frontend() {
            Ok(frontend) => frontend.id,
            Err(fault) => return refuse(fault),
        };
        let meetings = Arc::clone(&self.meetings);
        Either::Right(Box::pin(async move { Ok(list(meetings.listed(frontend).await)) }))
    }
}

/// A whole list of meetings, as BBB writes it.
pub(crate) fn list(mut meetings: Vec<Bytes>) -> Reply {
    if meetings.is_empty() {
        let nothing = xml::Writer::response(ReturnCode::Success).raw(b"<meetings/>");
        let nothing = nothing.field("messageKey", "noMeetings");
        return Reply::xml(nothing.field("message", "no meetings were found on this server").finish());
    }
    meetings.push(Bytes::from_static(BEHIND));
    Reply { rest: meetings, ..Reply::xml(Bytes::from_static(BEFORE)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::MeetingState;
    use crate::memory::Memory;

    async fn listed(cluster: &Memory) -> String {
        let reply = cluster.ask(MeetingList {}, cluster.verified(CallKind::GetMeetings, "")).await.unwrap();
        let pieces = [vec![reply.body], reply.rest].concat();
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[tokio::test]
    async fn a_list_is_one_document_in_pieces() {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
        let cluster = cluster.meeting("school", "a", "n1", MeetingState::Live);
        let document = listed(&cluster).await;
        assert!(xml::outcome(document.as_bytes()).unwrap().is_success());
        let path = ["response", "meetings", "meeting", "meetingID"];
        let ids = xml::elements(&document.into(), &path).unwrap();
        assert_eq!(ids, ["<meetingID>a</meetingID>"]);
        assert!(cluster.requests().is_empty(), "no node is asked");
    }

    #[tokio::test]
    async fn meetings_of_others_and_those_that_are_lost_are_not_listed() {
        let cluster = Memory::new().frontend("school", "secret").frontend("other", "secret").backend("n1", &[]);
        let cluster = cluster.meeting("other", "a", "n1", MeetingState::Live);
        let cluster = cluster.meeting("school", "b", "n1", MeetingState::Detached);
        assert!(listed(&cluster).await.contains("<meetings/><messageKey>noMeetings</messageKey>"));
    }
}
