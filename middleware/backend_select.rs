//! `backend-select`: gives the meeting its place: the least loaded candidate, claimed before its node is called.
//!
//! ```toml
//! [stages.backend-select]
//! attempts = 3                   # nodes tried for one create before it fails
//! floor = 15                     # the least load of a meeting at its start, in attendees
//! floor-minutes = 15             # … and how long it takes to sink to the present attendees; 0: it never does
//! largest-hint = 500             # the bound of `meta_bbb-meeting-size-hint`, which replaces the floor
//! cpu-weight = 100               # the load of fully busy processors, by the node's agent
//! memory-weight = 50             # the same for a full memory
//! ```
//!
//! Load is the backend's factor times present and expected attendees. The claim counts at once, so that meetings that
//! start together spread; equal loads are drawn by lot. One meeting lives on one node: of simultaneous creates one wins, the
//! others wait for it and then ask its node. A node that fails is followed by the next candidate, and remembered if it may
//! have got the call. A node that refuses for itself and not for the call is followed, too, and takes no attempt; the refusal is final
//! if all candidates give it. This is the one stage that calls the rest of the pipeline more than once.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{backend_select::BackendSelect, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).replies_created();
//! let (_, reply) = cluster.through(BackendSelect::default(), cluster.pooled(CallKind::Create, "m1")).await;
//! assert!(reply.is_ok_and(|reply| reply.is_success()));
//! assert_eq!(cluster.meeting_named("school", "m1").expect("it is placed").backend, cluster.backend_id("n1"));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod create;
mod lot;
mod miss;
mod place;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use self::lot::Lot;
use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::chance::Clock;
use crate::cluster::{LoadModel, MEETING_FLOOR, Policy};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Directory, Meetings, Ports};
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService};

/// Settings of `backend-select`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackendSelect {
    /// How many nodes are tried for one create.
    pub attempts: NonZeroU32,
    /// The least load of a meeting at its start, in attendees.
    pub floor: u32,
    /// How long it takes to sink to who is there.
    pub floor_minutes: u32,
    /// The bound of a size hint.
    pub largest_hint: u32,
    /// What busy processors count.
    pub cpu_weight: u32,
    /// The load of a full memory.
    pub memory_weight: u32,
}

impl Default for BackendSelect {
    fn default() -> Self {
        Self {
            attempts: const { NonZeroU32::new(3).expect("three is not zero") },
            floor: MEETING_FLOOR,
            floor_minutes: 15,
            largest_hint: 500,
            cpu_weight: 100,
            memory_weight: 50,
        }
    }
}

impl BackendSelect {
    fn model(&self) -> LoadModel {
        LoadModel {
            floor: self.floor,
            settles_after: Duration::from_secs(60 * u64::from(self.floor_minutes)),
            largest_hint: self.largest_hint,
            cpu_weight: self.cpu_weight.into(),
            memory_weight: self.memory_weight.into(),
        }
    }
}

impl Stage for BackendSelect {
    const KIND: &'static str = "backend-select";
    type Layer = StageLayer<Selector>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::Scope, Fact::Meeting])
            .gives(&[Fact::Backend])
            .takes(&[Fact::Candidates])
            .only(&[CallKind::Create])
    }

    fn set_policy(&self, policy: &mut Policy) {
        policy.load = self.model();
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Selector>, SetupError> {
        let Ports { directory, meetings, clock, chance, .. } = ports.clone();
        let lot = Lot::new(self.model(), chance);
        Ok(StageLayer::new(Selector { attempts: self.attempts, directory, meetings, clock, lot }))
    }
}

/// Gives meetings their places.
pub struct Selector {
    attempts: NonZeroU32,
    directory: Arc<dyn Directory>,
    meetings: Arc<dyn Meetings>,
    clock: Arc<dyn Clock>,
    lot: Lot,
}

impl Service<Call> for StageService<Selector> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let (stage, next) = (Arc::clone(&self.stage), self.next.take());
        Either::Right(Box::pin(async move { stage.place(call, next).await }))
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::call::Rehearsal;
    use crate::cluster::{AdminState, MeetingState};
    use crate::fault::NodeFailure;
    use crate::memory::Memory;

    pub(super) fn school() -> Memory {
        Memory::new().frontend("school", "secret").backend("n1", &[]).backend("n2", &[])
    }

    pub(super) async fn create(cluster: &Memory, id: &str) -> Result<Reply, Fault> {
        cluster.through(BackendSelect::default(), cluster.pooled(CallKind::Create, id)).await.1
    }

    /// Defect 14 of the original: twenty parallel creates went nineteen to one.
    #[tokio::test]
    async fn meetings_that_start_together_spread() {
        let cluster = school().replies_created();
        let stage = cluster.stack(BackendSelect::default());
        let creates = (0..20).map(|n| stage.clone().oneshot(cluster.pooled(CallKind::Create, &format!("m{n}"))));
        let replies = futures_util::future::join_all(creates).await;
        assert!(replies.iter().all(Result::is_ok));
        assert_eq!(cluster.meetings_on("n1"), 10);
        assert_eq!(cluster.meetings_on("n2"), 10);
    }

    #[tokio::test]
    async fn a_repeated_create_goes_to_the_node_that_has_the_meeting() {
        let cluster = school().attendees("n1", 400).meeting("school", "m1", "n1", MeetingState::Live).replies_created();
        let (seen, _) = cluster.through(BackendSelect::default(), cluster.pooled(CallKind::Create, "m1")).await;
        assert_eq!(seen.unwrap().facts.backend().unwrap().id, cluster.backend_id("n1"));
    }

    #[tokio::test]
    async fn the_claim_of_a_lost_server_is_not_finished_on_a_node_that_was_stopped_meanwhile() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Claimed).replies_created();
        let cluster = cluster.admin_state("n1", AdminState::Stopped);
        create(&cluster, "m1").await.unwrap();
        assert_eq!(cluster.meeting_named("school", "m1").unwrap().backend, cluster.backend_id("n2"));
        assert_eq!(cluster.copies(), [cluster.backend_id("n1")], "n1 may have made it");
    }

    /// Defect 17 of the original: a re-created meeting kept its old internal id and was then deleted as an orphan.
    #[tokio::test]
    async fn a_meeting_that_its_node_made_anew_gets_its_new_internal_id() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Live).replies_created();
        create(&cluster, "m1").await.unwrap();
        let internal_id = cluster.meeting_named("school", "m1").unwrap().internal_id.clone();
        assert_eq!(internal_id.as_deref(), Some("internal-1"));
    }

    #[tokio::test]
    async fn a_node_that_fails_is_followed_by_the_next() {
        let cluster = school().replies_created().node_fails("n1", NodeFailure::Silent { seconds: 1 });
        let cluster = cluster.attendees("n2", 40);
        create(&cluster, "m1").await.unwrap();
        let meeting = cluster.meeting_named("school", "m1").unwrap();
        assert_eq!((meeting.backend, meeting.attempt), (cluster.backend_id("n2"), 2));
        assert_eq!(cluster.copies(), [cluster.backend_id("n1")], "it may have got the call");
    }

    #[tokio::test]
    async fn when_every_node_fails_nothing_is_left_behind() {
        let cluster = school().replies_created();
        let refused = || NodeFailure::Unreachable("refused".to_owned());
        let cluster = cluster.node_fails("n1", refused()).node_fails("n2", refused());
        assert!(matches!(create(&cluster, "m1").await, Err(Fault::Node { .. })));
        assert!(cluster.meeting_named("school", "m1").is_none());
        assert_eq!(cluster.meetings_on("n1") + cluster.meetings_on("n2"), 0);
        assert!(cluster.copies().is_empty(), "neither got the call");
    }

    #[tokio::test]
    async fn a_meeting_whose_node_is_lost_is_created_elsewhere() {
        let cluster = school().meeting("school", "m1", "n1", MeetingState::Detached).node_down("n1").replies_created();
        create(&cluster, "m1").await.unwrap();
        assert_eq!(cluster.meeting_named("school", "m1").unwrap().backend, cluster.backend_id("n2"));
    }

    #[tokio::test]
    async fn a_success_that_names_no_meeting_is_a_nodes_failure() {
        let cluster = school().replies_success();
        assert!(matches!(create(&cluster, "m1").await, Err(Fault::Node { .. })));
        assert!(cluster.meeting_named("school", "m1").is_none(), "no half-made meeting");
        assert_eq!(cluster.copies().len(), 2, "both nodes may have made it");
    }

    #[tokio::test]
    async fn the_claim_of_a_server_that_is_gone_is_finished_where_it_stands() {
        let cluster =
            school().attendees("n1", 40).meeting("school", "m1", "n1", MeetingState::Claimed).replies_created();
        create(&cluster, "m1").await.unwrap();
        let meeting = cluster.meeting_named("school", "m1").unwrap();
        assert_eq!((meeting.backend, meeting.state), (cluster.backend_id("n1"), MeetingState::Live));
    }

    #[tokio::test]
    async fn a_meeting_that_is_to_be_large_counts_as_such_at_once() {
        let cluster = school().attendees("n1", 40).replies_created();
        let mut call = cluster.pooled(CallKind::Create, "m1");
        call.params.set("meta_bbb-meeting-size-hint", "120");
        cluster.through(BackendSelect::default(), call).await.1.unwrap();
        assert_eq!((cluster.load("n1"), cluster.load("n2")), (40.0, 120.0));
    }

    #[tokio::test]
    async fn a_rehearsal_explains_and_places_nothing() {
        let cluster = school().attendees("n2", 40).replies_created();
        let mut call = cluster.pooled(CallKind::Create, "m1");
        let door = Arc::get_mut(&mut call.door).expect("nobody else has it");
        door.rehearsal = Some(Rehearsal::default());
        let door = Arc::clone(&call.door);
        let (seen, reply) = cluster.through(BackendSelect::default(), call).await;
        assert!(seen.is_none() && reply.is_ok() && cluster.meeting_named("school", "m1").is_none());
        let said = door.rehearsal.as_ref().and_then(Rehearsal::placement).unwrap().to_string();
        assert_eq!(said, "1 × chosen with load 0 (n1.example); 1 × outranked with load 40 (n2.example)");
    }

    /// Defect 25 of the original: a node's own refusal was replaced by a generic error.
    #[tokio::test]
    async fn a_nodes_refusal_reaches_the_tenant_and_gives_the_claim_up() {
        let cluster = school().replies(
            "<response><returncode>FAILED</returncode><messageKey>idNotUnique</messageKey><message>x</message></response>",
        );
        assert!(create(&cluster, "m1").await.unwrap().failed_with("idNotUnique"));
        assert!(cluster.meeting_named("school", "m1").is_none());
    }
}
