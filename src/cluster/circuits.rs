//! The circuits of the nodes: how calls that wait for a missing node are cut, and its circuit is opened.

mod lines;

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::cluster::{Backend, BackendId};
use b3scale_middleware::ports::Nodes;
use b3scale_middleware::{Fault, NodeRequest, Reply};
use futures_util::future::{BoxFuture, join_all};
use http::HeaderValue;

use super::replica::Replica;
use crate::net::nodes::Patience;
use crate::telemetry::catalog::PROBES;
use crate::work::Spawner;
use lines::{Held, Lines, Probe};
use tokio::time::Instant;

/// The nodes, and the calls that wait for them.
pub(super) struct Circuits {
    replica: Arc<Replica>,
    nodes: Arc<dyn Nodes>,
    patience: Patience,
    spawner: Spawner,
    lines: Lines,
}

impl Circuits {
    pub(super) fn new(replica: Arc<Replica>, nodes: Arc<dyn Nodes>, patience: Patience, spawner: Spawner) -> Self {
        Self { replica, nodes, patience, spawner, lines: Lines::default() }
    }

    /// Takes a place on the line to a node.
    pub(super) fn line_to(&self, id: BackendId) -> Held {
        self.lines.take(id)
    }

    /// How long a call waits before its node is probed.
    pub(super) fn pause(&self) -> Duration {
        self.patience.first_byte
    }

    pub(super) fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        self.nodes.send(request)
    }

    /// Cuts the calls that wait for nodes, and sends these no others for a while.
    pub(super) fn cut_calls(&self, backends: &[&Backend]) {
        // All of them before any: a call that is cut moves on, and not to a node that is missing, too.
        for backend in backends.iter().filter(|backend| backend.vitals.circuit.trip(Instant::now().into_std())) {
            self.report_opened(backend);
        }
        backends.iter().for_each(|backend| self.lines.cut(backend.id));
    }

    /// Probes the node of a call that has waited for long. If the node is missing, others may be missing for the same reason, and are
    /// probed at once. So a call passes over any number of missing nodes in the time of two.
    pub(super) fn probe(self: &Arc<Self>, backend: &Arc<Backend>, right: Probe) {
        let (circuits, backend) = (Arc::clone(self), Arc::clone(backend));
        self.spawner.spawn(async move {
            if circuits.is_there(&backend, right).await {
                return;
            }
            circuits.cut_calls(&[&backend]);
            let roster = Arc::clone(circuits.replica.view.roster().backends());
            let now = Instant::now().into_std();
            let others = roster.iter().filter(|other| other.id != backend.id && other.takes_meetings(now).is_ok());
            let asked = others.filter_map(|other| Some((other, circuits.lines.probe(other.id)?)));
            let circuits = &circuits;
            let asked =
                asked.map(|(other, right)| async move { (!circuits.is_there(other, right).await).then_some(&**other) });
            let missing: Vec<&Backend> = join_all(asked).await.into_iter().flatten().collect();
            circuits.cut_calls(&missing);
        });
    }

    /// Whether a node answers when it is asked for its version, for which it needs no time.
    async fn is_there(&self, backend: &Arc<Backend>, right: Probe) -> bool {
        let request_id = HeaderValue::from_static("b3scaled-probe");
        let question = NodeRequest::new(CallKind::Index, &Params::default(), None, backend, None, &request_id);
        let deadline = Some((Instant::now() + self.patience.probe).into_std());
        let answer = self.nodes.send(NodeRequest { deadline, is_poll: true, ..question }).await;
        drop(right);
        // Any HTTP answer shows that the node is there.
        let silence = answer.err().filter(|fault| matches!(fault, Fault::Node { failure, .. } if failure.is_silence()));
        PROBES.with([if silence.is_none() { "answered" } else { "missed" }]).increment(1);
        let Some(fault) = silence else { return true };
        tracing::warn!(backend.id = %backend.id, %fault, "Cutting the calls that wait for a node: its probe was not answered");
        false
    }

    /// The circuit of a node has opened: it is polled at once.
    pub(super) fn report_opened(&self, backend: &Backend) {
        tracing::warn!(backend.id = %backend.id, backend.url = %backend.url, "Circuit opened");
        let (replica, id) = (Arc::clone(&self.replica), backend.id);
        self.spawner.spawn(async move { replica.hasten_poll(id, Duration::ZERO).await });
    }
}
