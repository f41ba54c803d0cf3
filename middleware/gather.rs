//! `gather`: asks all nodes at once for their meetings or sessions, and merges the frontend's own.
//!
//! ```toml
//! [stages.gather]
//! patience-ms = 5000             # how long a node is waited for
//! algorithm = "sha256"           # the algorithm of checksums for nodes; default: found out from each node
//! ```
//!
//! A node that does not answer in time is left out and spoils nothing; only if none answers is that a fault. An entry that cannot be
//! read is left out, too; polls tell operators of it. A meeting is the frontend's own if the cluster knows it as such, and a
//! breakout if its parent is. Unknown elements survive: meetings are copied as the nodes wrote them, but for the tenant's own
//! ids, and without metadata of ours.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{gather::Gather, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let reply = cluster.ask(Gather::default(), cluster.verified(CallKind::GetMeetings, "")).await?;
//! assert!(reply.body.starts_with(b"<response><returncode>SUCCESS</returncode><meetings/>"));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod list;
mod owner;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all};
use serde::Deserialize;
use tower::Service;

use crate::bbb::{Algorithm, CallKind, Params};
use crate::call::{Call, Reply, Room};
use crate::cluster::{AdminState, Backend};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::node_request::NodeRequest;
use crate::ports::Ports;
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};
use list::List;
use owner::Owner;

/// Settings of `gather`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gather {
    /// How long a node is waited for, in milliseconds.
    pub patience_ms: u64,
    /// The algorithm of checksums for nodes. `None`: found out from each node.
    pub algorithm: Option<Algorithm>,
}

impl Default for Gather {
    fn default() -> Self {
        Self { patience_ms: 5000, algorithm: None }
    }
}

impl Endpoint for Gather {
    const KIND: &'static str = "gather";
    type Service = GatherService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum]).only(&[CallKind::GetMeetings, CallKind::GetSessions])
    }

    fn service(self, ports: &Ports) -> Result<GatherService, SetupError> {
        if self.patience_ms == 0 {
            let message = "`patience-ms` must be at least 1, or no node could ever answer";
            return Err(SetupError::of(&["patience-ms"], message));
        }
        Ok(GatherService { settings: Arc::new(self), ports: ports.clone() })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct GatherService {
    settings: Arc<Gather>,
    ports: Ports,
}

impl Service<Call> for GatherService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let Some(list) = List::of(call.kind) else {
            return refuse(Fault::UnsupportedRequest(call.kind.name().into()));
        };
        let service = self.clone();
        Either::Right(Box::pin(async move { service.gather(&call, list).await }))
    }
}

impl GatherService {
    async fn gather(&self, call: &Call, list: &'static List) -> Result<Reply, Fault> {
        let owner = Owner { frontend: Arc::clone(call.facts.frontend()?), meetings: Arc::clone(&self.ports.meetings) };
        let backends = self.ports.directory.backends();
        let asked =
            backends.iter().filter(|backend| backend.is_up()).map(|backend| self.ask(call, list, &owner, backend));
        let answers = join_all(asked).await;
        let mut entries = Vec::new();
        let (mut rooms, mut failed) = (Vec::new(), Vec::new());
        let all = answers.len();
        for answer in answers {
            match answer {
                Ok((own, room)) => {
                    entries.extend(own);
                    rooms.push(room);
                }
                Err(fault) => failed.push(fault),
            }
        }
        match failed.pop() {
            Some(fault) if failed.len() + 1 == all => Err(fault),
            None if all == 0 && backends.iter().any(|backend| backend.admin_state != AdminState::Init) => {
                Err(Fault::NoNode)
            }
            _ => Ok(Reply { room: Room::of(rooms), ..Reply::xml(list.document(&entries)) }),
        }
    }

    async fn ask(
        &self,
        call: &Call,
        list: &'static List,
        owner: &Owner,
        backend: &Arc<Backend>,
    ) -> Result<(Vec<Bytes>, Room), Fault> {
        let Gather { patience_ms, algorithm } = *self.settings;
        let request = NodeRequest::new(call.kind, &Params::default(), None, backend, algorithm, &call.door.request_id);
        let deadline = Some(self.ports.clock.now() + Duration::from_millis(patience_ms));
        let trace = call.door.trace.clone();
        let asked = async {
            let reply = self.ports.nodes.ask_unread(NodeRequest { deadline, trace, ..request }).await?;
            let (owner, id, bytes, room) = (owner.clone(), backend.id, reply.body.len(), reply.room.clone());
            let own = self.ports.workers.work(bytes, move || list.own_entries(reply, &owner, id)).await?;
            own.map(|own| (own, room))
        };
        asked.await.inspect_err(|fault| {
            tracing::warn!(request.id = call.door.name(), backend.id = %backend.id, %fault, "Leaving a node out of a list");
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::MeetingState;
    use crate::fault::NodeFailure;
    use crate::memory::Memory;

    fn meeting(id: &str, more: &str) -> String {
        format!("<meeting><meetingID>{id}</meetingID><internalMeetingID>i-{id}</internalMeetingID>{more}</meeting>")
    }

    fn list(entries: &[String]) -> String {
        format!("<response><returncode>SUCCESS</returncode><meetings>{}</meetings></response>", entries.concat())
    }

    fn school() -> Memory {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).backend("n2", &[]);
        cluster.meeting("school", "a", "n1", MeetingState::Live).meeting("school", "b", "n2", MeetingState::Live)
    }

    fn scoped(cluster: &Memory, key: &str, id: &str) -> String {
        cluster.scope(key, id).scoped.to_string()
    }

    async fn gathered(cluster: &Memory, kind: CallKind) -> Result<String, Fault> {
        let reply = cluster.ask(Gather::default(), cluster.verified(kind, "")).await?;
        Ok(String::from_utf8(reply.body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn meetings_of_all_nodes_are_merged_under_the_tenants_ids() {
        let cluster = school();
        let cluster =
            cluster.clone().node_replies("n1", &list(&[meeting(&scoped(&cluster, "school", "a"), "<new>&amp;</new>")]));
        let cluster = cluster.clone().node_replies("n2", &list(&[meeting(&scoped(&cluster, "school", "b"), "")]));
        let document = gathered(&cluster, CallKind::GetMeetings).await.unwrap();
        assert!(document.contains("<meetingID>a</meetingID>") && document.contains("<meetingID>b</meetingID>"));
        assert!(document.contains("<new>&amp;</new>"), "unknown elements survive");
    }

    #[tokio::test]
    async fn a_meeting_of_another_frontend_is_invisible() {
        let cluster = school();
        let cluster =
            cluster.clone().replies(&list(&[meeting(&scoped(&cluster, "other", "a"), ""), meeting("stranger", "")]));
        let document = gathered(&cluster, CallKind::GetMeetings).await.unwrap();
        assert!(document.contains("<meetings/><messageKey>noMeetings</messageKey>"));
    }

    /// Its id may name a frontend that did not create it here.
    #[tokio::test]
    async fn a_meeting_that_is_not_known_is_invisible_and_so_are_its_breakouts() {
        let cluster = school();
        let stray = scoped(&cluster, "school", "c");
        let room = meeting("room-1", &format!("<parentMeetingID>i-{stray}</parentMeetingID>"));
        let cluster = cluster.replies(&list(&[meeting(&stray, ""), room]));
        let document = gathered(&cluster, CallKind::GetMeetings).await.unwrap();
        assert!(document.contains("<meetings/><messageKey>noMeetings</messageKey>"), "{document}");
    }

    #[tokio::test]
    async fn a_breakout_is_shown_with_its_parent() {
        let cluster = school();
        let parent = scoped(&cluster, "school", "a");
        let child = meeting("room-1", &format!("<parentMeetingID>i-{parent}</parentMeetingID>"));
        let foreign = meeting("room-2", "<parentMeetingID>i-other</parentMeetingID>");
        let cluster =
            cluster.node_replies("n1", &list(&[child, meeting(&parent, ""), foreign])).node_replies("n2", &list(&[]));
        let document = gathered(&cluster, CallKind::GetMeetings).await.unwrap();
        assert!(document.contains("room-1") && !document.contains("room-2"));
    }

    #[tokio::test]
    async fn what_is_left_of_a_meeting_that_lives_elsewhere_is_not_shown_twice() {
        let cluster = school().meeting("school", "a", "n2", MeetingState::Live);
        let cluster = cluster.clone().replies(&list(&[meeting(&scoped(&cluster, "school", "a"), "")]));
        let document = gathered(&cluster, CallKind::GetMeetings).await.unwrap();
        assert_eq!(document.matches("<meeting>").count(), 1);
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_spoils_nothing() {
        let cluster = school();
        let cluster = cluster.clone().replies(&list(&[meeting(&scoped(&cluster, "school", "a"), "")]));
        let cluster = cluster.node_fails("n2", NodeFailure::Silent { seconds: 5 });
        assert!(gathered(&cluster, CallKind::GetMeetings).await.unwrap().contains("<meetingID>a</meetingID>"));
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_hides_no_others() {
        let cluster = school().meeting("school", "b", "n1", MeetingState::Live);
        let (good, spoiled) = (scoped(&cluster, "school", "a"), scoped(&cluster, "school", "b"));
        for flaw in ["<x y>1</x y>", "<open>", "<a>1</b>", "<a>&nope;</a>", "<a>1"] {
            let entries = [meeting(&spoiled, flaw), meeting(&good, "")];
            let cluster = cluster.clone().node_replies("n1", &list(&entries)).node_replies("n2", &list(&[]));
            let document = gathered(&cluster, CallKind::GetMeetings).await.unwrap();
            assert!(document.contains("<meetingID>a</meetingID>"), "{flaw:?}: {document}");
            assert!(!document.contains(flaw), "{flaw:?}: {document}");
            crate::bbb::xml::well_formed(document.as_bytes()).unwrap();
        }
    }

    #[tokio::test]
    async fn if_no_node_answers_that_is_not_an_empty_list() {
        let cluster = school();
        let cluster = cluster.node_fails("n1", NodeFailure::Status(502)).node_fails("n2", NodeFailure::Status(502));
        assert!(matches!(gathered(&cluster, CallKind::GetMeetings).await, Err(Fault::Node { .. })));
        let refused = cluster.replies("<response><returncode>FAILED</returncode></response>");
        assert!(gathered(&refused, CallKind::GetMeetings).await.is_err());
        for no_list in ["<html>OK</html>", "<x><returncode>SUCCESS</returncode><meetings/></x>", ""] {
            let odd = refused.clone().replies(no_list);
            assert!(gathered(&odd, CallKind::GetMeetings).await.is_err(), "{no_list}");
        }
        let lost = refused.node_down("n1").node_down("n2");
        assert!(matches!(gathered(&lost, CallKind::GetMeetings).await, Err(Fault::NoNode)));
    }

    #[tokio::test]
    async fn sessions_are_those_of_the_frontends_meetings() {
        let session = |id: &str| format!("<meeting><meetingID>{id}</meetingID><userName>x</userName></meeting>");
        let cluster = school().node_replies(
            "n2",
            &format!(
                "<response><returncode>SUCCESS</returncode><sessions>{}</sessions></response>",
                session("i-other"),
            ),
        );
        let cluster = cluster.node_replies(
            "n1",
            &format!(
                "<response><returncode>SUCCESS</returncode><sessions>{}{}</sessions></response>",
                session("internal-a"),
                session("i-b"),
            ),
        );
        let document = gathered(&cluster, CallKind::GetSessions).await.unwrap();
        assert_eq!(document.matches("<meeting>").count(), 1);
        assert!(document.contains("internal-a"));
    }
}
