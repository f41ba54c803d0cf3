//! The way to the nodes through their circuits: a node that does not answer holds no calls.

mod lines;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::cluster::{Backend, Passage};
use b3scale_middleware::ports::{NodeRequest, Nodes};
use b3scale_middleware::{Fault, NodeFailure, Reply};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, ready};
use http::HeaderValue;

use super::{Cluster, Inner};
use crate::ledger::Polls;
use crate::net::nodes::Patience;
use crate::offload;
use crate::telemetry::catalog::{BACKEND_CALL_SECONDS, BACKEND_CALLS, PROBES};

pub(super) use lines::Lines;
use lines::Probe;

/// Sends what a backend's circuit lets through. Health checks and probes go past it: they are how a circuit closes again.
pub(super) struct Guard {
    nodes: Arc<dyn Nodes>,
    lines: Lines,
    patience: Patience,
    cluster: Weak<Inner>,
}

impl Guard {
    pub(super) fn of(cluster: &Arc<Inner>) -> Self {
        let (nodes, lines) = (Arc::clone(&cluster.nodes), cluster.lines.clone());
        Self { nodes, lines, patience: cluster.patience, cluster: Arc::downgrade(cluster) }
    }
}

impl Nodes for Guard {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let backend = Arc::clone(&request.backend);
        let passage = match backend.vitals.circuit.admit(Instant::now()) {
            Ok(passage) => passage,
            Err(why) => {
                let failure = NodeFailure::LeftAlone(why);
                BACKEND_CALLS.with([backend.host(), failure.name()]).increment(1);
                return ready(Err(Fault::Node { backend: backend.id, failure })).boxed();
            }
        };
        let (kind, id) = (request.kind, backend.id);
        let mut line = self.lines.take(id);
        let reply = self.nodes.send(request);
        let (cluster, pause) = (self.cluster.clone(), self.patience.first_byte);
        async move {
            let waiting = Waiting { backend: &backend, since: Instant::now(), answered: false };
            let probe = |right| {
                if let Some(inner) = cluster.upgrade() {
                    Cluster(inner).probe(&backend, right);
                }
            };
            let reply = match line.wait(reply, pause, probe).await {
                Ok(reply) if is_read_here(kind, &reply) => {
                    offload::CALLS.work(reply.body.len(), move || reply.read(id)).await
                }
                reply => reply,
            };
            let was_probed = waiting.since.elapsed() > pause;
            waiting.count(&reply);
            if has_opened(passage, &reply, was_probed)
                && let Some(inner) = cluster.upgrade()
            {
                Cluster(inner).suspect(&backend);
            }
            reply
        }
        .boxed()
    }
}

/// Whether the answer counts as what its document says. A join may be answered by a redirect, and of a list that begins well its reader
/// takes what can be read.
fn is_read_here(kind: CallKind, reply: &Reply) -> bool {
    match kind {
        CallKind::Join => false,
        CallKind::GetMeetings | CallKind::GetSessions => !reply.begins_well(),
        _ => true,
    }
}

/// A call that waits for its node, to be counted by what becomes of it.
struct Waiting<'a> {
    backend: &'a Backend,
    since: Instant,
    answered: bool,
}

impl Waiting<'_> {
    fn count(mut self, reply: &Result<Reply, Fault>) {
        self.answered = true;
        let host = self.backend.host();
        match reply {
            Err(Fault::Node { failure, .. }) => BACKEND_CALLS.with([host, failure.name()]).increment(1),
            Ok(_) | Err(_) => {
                BACKEND_CALLS.with([host, "answered"]).increment(1);
                BACKEND_CALL_SECONDS.with([host]).record(self.since.elapsed());
            }
        }
    }
}

impl Drop for Waiting<'_> {
    /// Whoever asked has hung up. A node that is too slow for its clients is seen by that alone.
    fn drop(&mut self) {
        if !self.answered {
            BACKEND_CALLS.with([self.backend.host(), "abandoned"]).increment(1);
        }
    }
}

/// Tells the circuit what became of a call. Returns whether that has opened it.
fn has_opened(passage: Passage, reply: &Result<Reply, Fault>, was_probed: bool) -> bool {
    match reply {
        // The node answered its probes, or the call would have been cut: one slow create says nothing of the node.
        Err(Fault::Node { failure: NodeFailure::Silent { .. }, .. }) if was_probed => false,
        Err(Fault::Node { failure, .. }) if failure.is_silence() => passage.failed(Instant::now()),
        // Dropped, the passage says nothing of the node.
        Err(Fault::Node { failure, .. }) if failure.is_ours() => false,
        _ => {
            passage.answered();
            false
        }
    }
}

impl Cluster {
    /// Cuts the calls that wait for nodes, and sends these no others for a while.
    pub(super) fn cut_calls(&self, backends: &[&Backend]) {
        // All of them before any: a call that is cut moves on, and not to a node that is missing, too.
        for backend in backends.iter().filter(|backend| backend.vitals.circuit.trip(Instant::now())) {
            self.suspect(backend);
        }
        backends.iter().for_each(|backend| self.0.lines.cut(backend.id));
    }

    /// A call has waited for long: asks its node whether it is there. If it is not, what has befallen it may have befallen others,
    /// which are asked at once. So a call passes over any number of such nodes in the time of two.
    fn probe(&self, backend: &Arc<Backend>, right: Probe) {
        let (cluster, backend) = (self.clone(), Arc::clone(backend));
        self.spawn(async move {
            if cluster.is_there(&backend, right).await {
                return;
            }
            cluster.cut_calls(&[&backend]);
            let roster = Arc::clone(cluster.0.view.roster().backends());
            let others = roster.iter().filter(|other| other.id != backend.id && other.takes_meetings().is_ok());
            let asked = others.filter_map(|other| Some((other, cluster.0.lines.probe(other.id)?)));
            let cluster = &cluster;
            let asked =
                asked.map(|(other, right)| async move { (!cluster.is_there(other, right).await).then_some(&**other) });
            let missing: Vec<&Backend> = join_all(asked).await.into_iter().flatten().collect();
            cluster.cut_calls(&missing);
        });
    }

    /// Whether a node answers when it is asked for its version, for which it needs no time.
    async fn is_there(&self, backend: &Arc<Backend>, right: Probe) -> bool {
        let request_id = HeaderValue::from_static("b3scaled-probe");
        let question = NodeRequest::new(CallKind::Index, &Params::default(), None, backend, None, &request_id);
        let patience = Some(self.0.patience.probe);
        let answer = self.0.nodes.send(NodeRequest { patience, is_poll: true, ..question }).await;
        drop(right);
        // Any HTTP answer shows that the node is there.
        let silence = answer.err().filter(|fault| matches!(fault, Fault::Node { failure, .. } if failure.is_silence()));
        PROBES.with([if silence.is_none() { "answered" } else { "missed" }]).increment(1);
        let Some(fault) = silence else { return true };
        tracing::warn!(backend.id = %backend.id, %fault, "Cutting the calls that wait for a node: its probe was not answered");
        false
    }

    /// The circuit of a node has opened. Lets the node be asked at once.
    fn suspect(&self, backend: &Backend) {
        tracing::warn!(backend.id = %backend.id, backend.url = %backend.url, "Circuit opened");
        let (cluster, id) = (self.clone(), backend.id);
        self.spawn(async move {
            if let Err(error) = cluster.noted(cluster.0.store.hasten_poll(id, Duration::ZERO).await) {
                tracing::debug!(backend.id = %id, %error, "Scheduling a health check failed");
            }
        });
    }
}
