//! `meeting-scope`: gives a meeting an id of its frontend's own on the nodes, and takes it back in the replies.
//!
//! ```toml
//! [stages.meeting-scope]
//! ```
//!
//! Two tenants may use the same `meetingID`. Behind this stage `meetingID` (and on `create` the `parentMeetingID`, whether
//! the node will heed it or not) is the [`ScopedId`]; wherever the node writes it, the tenant reads its own id again. An id is
//! read as the node would read it, and no other id and no other spelling of their names gets through. `create` refuses the
//! ids that BBB refuses; other calls never complain, since Greenlight probes with `meetingID=0`. A breakout that a node made itself
//! has one id on both sides, and so has a meeting that was brought over from scalelite while it ran: to create that again is to
//! ask for the same meeting. The node's own `internalMeetingID` of a frontend's meeting names it, too, except as the id to create.
//!
//! The tenant reads nothing of ours in the replies: no scoped id of its meetings, no address in place of its own callbacks, and no
//! metadata with a name in `b3s-`.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{meeting_scope::MeetingScope, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("fe1", "secret");
//! let call = cluster.verified(CallKind::End, "meetingID=m%201");
//! let (seen, _) = cluster.through(MeetingScope {}, call).await;
//! assert_eq!(seen.expect("it goes on").params.first("meetingID"), Some("WyJmZTEiLCJtIDEiLCJiM3NjbCJd"));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ids;

use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, MeetingId, Scope, ScopedId, unscoped, xml};
use crate::call::{Call, Reply};
use crate::cluster::{Frontend, restored};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Meetings, Ports};
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService};
use crate::work::Workers;
use ids::Ids;

/// The calls that name one meeting and nothing else that may be another tenant's. Calls for recordings name these by ids that
/// carry no scope.
const OF_ONE_MEETING: [CallKind; 7] = [
    CallKind::Create,
    CallKind::Join,
    CallKind::IsMeetingRunning,
    CallKind::End,
    CallKind::GetMeetingInfo,
    CallKind::InsertDocument,
    CallKind::SendChatMessage,
];

/// Settings of `meeting-scope`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeetingScope {}

impl Stage for MeetingScope {
    const KIND: &'static str = "meeting-scope";
    type Layer = StageLayer<Scoper>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams]).gives(&[Fact::Scope]).only(&OF_ONE_MEETING)
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Scoper>, SetupError> {
        let Ports { meetings, workers, .. } = ports.clone();
        Ok(StageLayer::new(Scoper { meetings, workers }))
    }
}

/// Replaces ids in calls and in their replies.
pub struct Scoper {
    meetings: Arc<dyn Meetings>,
    workers: Arc<dyn Workers>,
}

impl Service<Call> for StageService<Scoper> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        let (stage, mut next) = (Arc::clone(&self.stage), self.next.take());
        Either::Right(Box::pin(async move {
            let owner = Arc::clone(call.facts.frontend()?);
            let scope = scope(&mut call, &*stage.meetings).await?;
            call.facts.set_scope(Arc::clone(&scope));
            let reply = next.call(call).await?;
            let (bytes, meetings) = (reply.body.len(), Arc::clone(&stage.meetings));
            stage.workers.work(bytes, move || unscope(reply, &scope, &owner, &*meetings)).await?
        }))
    }
}

/// Replaces the tenant's ids in the parameters by the ones nodes know.
async fn scope(call: &mut Call, meetings: &dyn Meetings) -> Result<Arc<Scope>, Fault> {
    let frontend = Arc::clone(call.facts.frontend()?);
    let ids = Ids { frontend: &frontend, meetings };
    let given = call.params.first("meetingID").ok_or_else(|| Fault::validation("Invalid meeting ID"))?;
    let given = MeetingId::new(given);
    if given.as_ref().is_empty() {
        let message = Cow::Borrowed("You must provide a meeting ID");
        return Err(Fault::InvalidParam { key: "missingParamMeetingID", message });
    }
    let creates = call.kind == CallKind::Create;
    let (meeting_id, scoped) = if creates {
        given.validate_for_create().map_err(|error| Fault::validation(error.to_string()))?;
        let scoped = ids.created(&given);
        (given, scoped)
    } else {
        ids.named(given).await?
    };
    let is_breakout = call.params.says_true("isBreakout");
    // A node may heed the parent even if it ignores `isBreakout`, so it is never left as the tenant wrote it.
    let parent = call.params.first("parentMeetingID").filter(|_| creates).map(MeetingId::new);
    let parent = match parent.filter(|parent| !parent.as_ref().is_empty()) {
        Some(parent) if is_breakout => Some(ids.named(parent).await?.1),
        Some(parent) => Some(ScopedId::new(&frontend.key, &parent)),
        None => None,
    };
    call.params.set("meetingID", scoped.as_ref());
    match &parent {
        Some(parent) => call.params.set("parentMeetingID", parent.as_ref()),
        None => call.params.remove("parentMeetingID"),
    }
    if call.params.first("isBreakout").is_some() {
        // No node may read it otherwise.
        call.params.set("isBreakout", if is_breakout { "true" } else { "false" });
    }
    let parent = parent.filter(|_| is_breakout);
    Ok(Arc::new(Scope { meeting_id, scoped, parent }))
}

/// The document as its tenant may read it.
fn unscope(reply: Reply, scope: &Scope, owner: &Frontend, meetings: &dyn Meetings) -> Result<Reply, Fault> {
    if reply.outcome.is_none() {
        return Ok(reply);
    }
    let own = |id: &ScopedId| match meetings.known(id.as_ref()) {
        _ if *id == scope.scoped => Some(scope.meeting_id.clone()),
        Some(known) if known.frontend == owner.id => Some(known.meeting_id.clone()),
        Some(_) | None => id.decode_for(&owner.key),
    };
    let known = meetings.known(scope.scoped.as_ref());
    // A node gives a breakout that it made the metadata of the parent.
    let parent = || {
        let [parent] = xml::fields(&reply.body, ["parentMeetingID"]).ok()?;
        meetings.known_by_internal_id(owner.id, &parent?)
    };
    let is_made = known.as_ref().is_some_and(|known| known.size.breakout && known.callbacks.is_empty());
    let known = is_made.then(parent).flatten().or(known);
    let callbacks = known.as_ref().map_or(&*reply.registered, |known| &known.callbacks);
    let body = xml::shown(&reply.body, |text| restored(text, callbacks).or_else(|| unscoped(text, own)))
        .map_err(|error| Fault::Internal(format!("a document that was read before cannot be read again: {error}")))?;
    Ok(Reply { body, ..reply })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    const SCOPED: &str = "WyJmZTEiLCJtIDEiLCJiM3NjbCJd";

    async fn create(query: &str) -> (Option<Call>, Result<Reply, Fault>) {
        let cluster = Memory::new().frontend("fe1", "secret");
        cluster.through(MeetingScope {}, cluster.verified(CallKind::Create, query)).await
    }

    fn refused(reply: Result<Reply, Fault>) -> String {
        reply.unwrap_err().message(CallKind::Create).into_owned()
    }

    #[tokio::test]
    async fn the_node_knows_the_meeting_by_its_scoped_id() {
        let (seen, _) = create("name=x&meetingID=%20m%201").await;
        let seen = seen.unwrap();
        assert_eq!(seen.params.first("meetingID"), Some(SCOPED));
        assert_eq!(seen.facts.scope().unwrap().meeting_id.as_ref(), "m 1");
    }

    #[tokio::test]
    async fn create_refuses_the_ids_that_bbb_refuses() {
        assert_eq!(refused(create("name=x").await.1), "Invalid meeting ID");
        assert_eq!(refused(create("meetingID=%20").await.1), "You must provide a meeting ID");
        assert!(refused(create("meetingID=m").await.1).contains("between 2 and 256"));
        assert!(refused(create(&format!("meetingID={}", "m".repeat(257))).await.1).contains("between 2 and 256"));
    }

    /// Defect 28 of the original: a comma was split into two ids.
    #[tokio::test]
    async fn create_refuses_a_comma() {
        assert_eq!(refused(create("meetingID=a,b").await.1), "Meeting ID cannot contain ','");
    }

    #[tokio::test]
    async fn other_calls_take_an_id_of_any_length() {
        let cluster = Memory::new().frontend("fe1", "secret");
        for id in ["0", &"m".repeat(300)] {
            let call = cluster.verified(CallKind::IsMeetingRunning, &format!("meetingID={id}"));
            assert!(cluster.through(MeetingScope {}, call).await.0.is_some());
        }
    }

    #[tokio::test]
    async fn the_tenant_reads_its_own_id_wherever_the_node_wrote_its_own() {
        let cluster = Memory::new().frontend("fe1", "secret").replies(&format!(
            "<response><returncode>SUCCESS</returncode><meetingID>{SCOPED}</meetingID>\
             <x a='{SCOPED}'/><message>The meeting \"{SCOPED}\" is here.</message></response>"
        ));
        let call = cluster.verified(CallKind::Create, "meetingID=m+1");
        let (_, reply) = cluster.through(MeetingScope {}, call).await;
        let body = String::from_utf8(reply.unwrap().body.to_vec()).unwrap();
        assert!(body.contains("<meetingID>m 1</meetingID>"));
        assert!(body.contains("The meeting \"m 1\" is here.") || body.contains("The meeting &quot;m 1&quot; is here."));
    }

    #[tokio::test]
    async fn nobody_reaches_a_meeting_by_the_id_that_nodes_know() {
        let cluster = Memory::new().frontend("fe1", "secret").backend("n1", &[]);
        let cluster = cluster.meeting("fe1", "m 1", "n1", crate::cluster::MeetingState::Live);
        let call = cluster.verified(CallKind::End, &format!("meetingID={SCOPED}"));
        let (seen, _) = cluster.through(MeetingScope {}, call).await;
        assert_ne!(seen.unwrap().params.first("meetingID"), Some(SCOPED));
    }

    #[tokio::test]
    async fn a_breakout_names_its_parent_by_the_id_that_nodes_know() {
        let (seen, _) = create("meetingID=b1&isBreakout=true&parentMeetingID=m+1").await;
        assert_eq!(seen.unwrap().params.first("parentMeetingID"), Some(SCOPED));
    }

    #[tokio::test]
    async fn no_spelling_of_an_id_reaches_a_node_as_the_tenant_wrote_it() {
        let foreign = ScopedId::new("fe2", &MeetingId::new("m 1")).to_string();
        for id in ["X", "+X", "%09X", "%00X", "%1fX%7f", "X%0a", "%C2%A0X", "X%E3%80%80", "%C2%85X"] {
            let id = id.replace('X', &foreign);
            for name in
                ["parentMeetingID", "%70arentMeetingID", "parentmeetingid", "PARENTMEETINGID", "parentMeetingID[]"]
            {
                for breakout in ["", "&isBreakout=true", "&isBreakout=true%C2%A0", "&isBreakout=%00true+"] {
                    let query =
                        format!("meetingID={id}&{name}={id}&meetingID={id}&meetingid={id}&{name}={id}{breakout}");
                    let seen = create(&query).await.0.unwrap().params.encode();
                    assert!(!seen.contains(&foreign), "{query} went as {seen}");
                }
            }
        }
        let cluster = Memory::new().frontend("fe1", "secret");
        let call =
            cluster.verified(CallKind::End, &format!("meetingID=m1&parentMeetingID={foreign}&MeetingID={foreign}"));
        let seen = cluster.through(MeetingScope {}, call).await.0.unwrap().params.encode();
        assert_eq!(seen, "meetingID=WyJmZTEiLCJtMSIsImIzc2NsIl0%3D");
    }
}
