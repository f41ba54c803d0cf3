//! `backend-pool`: the backends that may take the meeting.
//!
//! ```toml
//! [stages.backend-pool]
//! overload-cpu = 0.95            # above this CPU use, reported by its agent, a node takes no new meetings …
//! recovered-cpu = 0.80           # … until it falls below this
//! overload-memory = 0.97         # the same for its memory; 1: never
//! recovered-memory = 0.90
//! ```
//!
//! A placed meeting stays in its place, against all later stages; so does a breakout with its parent. Any other may
//! go to every enabled backend with an answering node, unless the node's agent reports
//! overload. The others get a reason. A meeting that has just ended on a node that takes no new ones is a new one:
//! before a create is repeated there, the node is asked whether it still runs the meeting.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{backend_pool::BackendPool, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).backend("n2", &[]).node_down("n2");
//! let (seen, _) = cluster.through(BackendPool::default(), cluster.looked_up(CallKind::Create, "m1")).await;
//! assert_eq!(seen.expect("it goes on").facts.candidates_mut()?.len(), 1);
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod home;

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::chance::Clock;
use crate::cluster::{Bound, Meeting, OverloadBounds, Policy};
use crate::contract::{Contract, Fact};
use crate::facts::Candidates;
use crate::fault::Fault;
use crate::ports::{Directory, Meetings, Nodes, Ports};
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService};

/// Settings of `backend-pool`. All are shares from 0 to 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackendPool {
    /// A node with busier processors takes no new meetings.
    pub overload_cpu: f32,
    /// From then on, one with less busy ones does again.
    pub recovered_cpu: f32,
    /// A node with a fuller memory takes no new meetings.
    pub overload_memory: f32,
    /// From then on, one with a less full one does again.
    pub recovered_memory: f32,
}

impl Default for BackendPool {
    fn default() -> Self {
        let OverloadBounds { cpu, memory } = OverloadBounds::default();
        Self {
            overload_cpu: cpu.above,
            recovered_cpu: cpu.below,
            overload_memory: memory.above,
            recovered_memory: memory.below,
        }
    }
}

impl BackendPool {
    fn bounds(&self) -> Result<OverloadBounds, SetupError> {
        let bound = |of, settings, above: f32, below: f32| {
            let fits = 0.0 < below && below <= above && above <= 1.0;
            let problem =
                || format!("`recovered-{of}` should be above 0 and not above `overload-{of}`, and that not above 1");
            if fits { Ok(Bound { above, below }) } else { Err(SetupError::of(settings, problem())) }
        };
        Ok(OverloadBounds {
            cpu: bound("cpu", &["recovered-cpu", "overload-cpu"], self.overload_cpu, self.recovered_cpu)?,
            memory: bound(
                "memory",
                &["recovered-memory", "overload-memory"],
                self.overload_memory,
                self.recovered_memory,
            )?,
        })
    }
}

impl Stage for BackendPool {
    const KIND: &'static str = "backend-pool";
    type Layer = StageLayer<Pool>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::Scope, Fact::Meeting])
            .gives(&[Fact::Candidates])
            .only(&[CallKind::Create])
    }

    fn set_policy(&self, policy: &mut Policy) {
        policy.overload = self.bounds().ok();
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Pool>, SetupError> {
        self.bounds()?;
        let Ports { directory, meetings, nodes, clock, .. } = ports.clone();
        Ok(StageLayer::new(Pool { directory, meetings, nodes, clock }))
    }
}

/// Collects the backends that may take a meeting.
pub struct Pool {
    directory: Arc<dyn Directory>,
    meetings: Arc<dyn Meetings>,
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
}

impl Service<Call> for StageService<Pool> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        if !self.stage.must_ask(&call) {
            let found = self.stage.candidates(&call, None).map(|candidates| call.facts.set_candidates(candidates));
            return self.next.pass_if(found, call);
        }
        let (stage, mut next) = (Arc::clone(&self.stage), self.next.take());
        Either::Right(Box::pin(async move {
            stage.let_go_if_ended(&mut call).await?;
            let parent = stage.parent(&call).await?;
            let candidates = stage.candidates(&call, parent.as_deref())?;
            call.facts.set_candidates(candidates);
            next.call(call).await
        }))
    }
}

impl Pool {
    fn candidates(&self, call: &Call, parent: Option<&Meeting>) -> Result<Candidates, Fault> {
        if let Some(home) = call.facts.meeting()?.and_then(|meeting| self.home(meeting)) {
            return Ok(Candidates::settled(home));
        }
        if let Some(home) = parent.and_then(|parent| self.home(parent)) {
            return Ok(Candidates::settled(home));
        }
        let mut candidates = Candidates::among(self.directory.backends().iter().cloned());
        let now = self.clock.now();
        candidates.judge(BackendPool::KIND, |backend| backend.takes_meetings(now));
        candidates.or_none().map(|()| candidates)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::cluster::{MeetingState, Refusal};
    use crate::meeting_lookup::MeetingLookup;
    use crate::meeting_scope::MeetingScope;
    use crate::memory::Memory;

    fn school() -> Memory {
        Memory::new().frontend("school", "secret").backend("n1", &[]).backend("n2", &[])
    }

    async fn pool(cluster: &Memory, call: Call) -> Result<Candidates, Fault> {
        let (seen, reply) = cluster.through(BackendPool::default(), call).await;
        match seen {
            Some(mut call) => call.facts.take_candidates(),
            None => Err(reply.unwrap_err()),
        }
    }

    #[tokio::test]
    async fn a_new_meeting_may_go_anywhere() {
        let cluster = school();
        assert_eq!(pool(&cluster, cluster.looked_up(CallKind::Create, "m1")).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_running_meeting_stays_where_it_is() {
        let cluster = school().meeting("school", "m1", "n2", MeetingState::Live);
        let mut candidates = pool(&cluster, cluster.looked_up(CallKind::Create, "m1")).await.unwrap();
        candidates.judge("any", |_| Err(Refusal::new("out", "it is out")));
        assert_eq!(candidates.backends()[0].id, cluster.backend_id("n2"));
    }

    #[tokio::test]
    async fn a_meeting_whose_node_is_lost_may_go_anywhere() {
        let cluster = school().meeting("school", "m1", "n2", MeetingState::Detached);
        assert_eq!(pool(&cluster, cluster.looked_up(CallKind::Create, "m1")).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_breakout_goes_where_its_parent_is() {
        let cluster = school().meeting("school", "m1", "n2", MeetingState::Live);
        let query = "meetingID=b1&isBreakout=true&parentMeetingID=m1";
        let scoped = cluster.behind(MeetingScope {}, cluster.verified(CallKind::Create, query));
        let call = cluster.behind(MeetingLookup {}, scoped);
        let candidates = pool(&cluster, call).await.unwrap();
        assert_eq!(candidates.backends()[0].id, cluster.backend_id("n2"));
        assert_eq!(candidates.len(), 1);
    }

    #[tokio::test]
    async fn a_node_whose_agent_reports_overload_takes_no_new_meetings_until_it_has_recovered() {
        let cluster = school().agent("n1", 0.97, 0.5);
        let create = |cluster: &Memory| cluster.looked_up(CallKind::Create, "m1");
        let candidates = pool(&cluster, create(&cluster)).await.unwrap();
        assert_eq!((candidates.len(), candidates.backends()[0].id), (1, cluster.backend_id("n2")));
        let said = cluster.backend_named("n1").takes_meetings(Instant::now()).unwrap_err().reason;
        assert!(said.starts_with("its agent reports overload: processors 97 % busy"), "{said}");
        let cluster = cluster.agent("n1", 0.85, 0.5);
        assert_eq!(pool(&cluster, create(&cluster)).await.unwrap().len(), 1);
        let cluster = cluster.agent("n1", 0.7, 0.5);
        assert_eq!(pool(&cluster, create(&cluster)).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn what_overload_is_can_be_set() {
        let cluster = school().agent("n1", 0.5, 0.5);
        let strict = BackendPool { overload_cpu: 0.4, recovered_cpu: 0.3, ..BackendPool::default() };
        let (seen, _) = cluster.through(strict, cluster.looked_up(CallKind::Create, "m1")).await;
        assert_eq!(seen.unwrap().facts.take_candidates().unwrap().len(), 1);
        let odd = BackendPool { overload_memory: 0.5, ..BackendPool::default() };
        assert!(odd.layer(&cluster.ports()).is_err_and(|error| error.message.contains("`recovered-memory`")));
    }

    #[tokio::test]
    async fn without_a_backend_the_log_says_why() {
        let cluster = school().node_down("n1");
        let now = Instant::now();
        let circuit = &cluster.backend_named("n2").vitals.circuit;
        while !circuit.is_open() {
            circuit.admit(now).unwrap().failed(now);
        }
        let fault = pool(&cluster, cluster.looked_up(CallKind::Create, "m1")).await.unwrap_err().to_string();
        assert!(fault.contains("its node is down: connection refused (n1.example)"), "{fault}");
        assert!(fault.contains("its node has failed several calls in a row (n2.example)"), "{fault}");
    }
}
