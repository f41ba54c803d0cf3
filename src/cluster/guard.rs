//! The way to the nodes through their circuits: a node that does not answer holds no calls.

use std::sync::Arc;

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{Backend, Passage};
use b3scale_middleware::ports::Nodes;
use b3scale_middleware::{Fault, NodeFailure, NodeRequest, Reply};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::circuits::Circuits;
use crate::offload;
use crate::telemetry::catalog::{BACKEND_CALL_SECONDS, BACKEND_CALLS};

/// Sends requests that a backend's circuit lets through. Health checks and probes bypass it: they close it again.
pub(super) struct Guard(pub(super) Arc<Circuits>);

impl Nodes for Guard {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let backend = Arc::clone(&request.backend);
        let passage = match backend.vitals.circuit.admit(Instant::now().into_std()) {
            Ok(passage) => passage,
            Err(why) => {
                let failure = NodeFailure::LeftAlone(why);
                BACKEND_CALLS.with([backend.host(), failure.name()]).increment(1);
                return ready(Err(Fault::Node { backend: backend.id, failure })).boxed();
            }
        };
        let (kind, id) = (request.kind, backend.id);
        let circuits = Arc::clone(&self.0);
        let (mut line, pause) = (circuits.line_to(id), circuits.pause());
        let reply = circuits.send(request);
        async move {
            let waiting = Waiting { backend: &backend, since: Instant::now(), answered: false };
            let probe = |right| circuits.probe(&backend, right);
            let reply = match line.wait(reply, pause, probe).await {
                Ok(reply) if is_read_here(kind, &reply) => {
                    offload::CALLS.work(reply.body.len(), move || reply.read(id)).await
                }
                reply => reply,
            };
            let was_probed = waiting.since.elapsed() > pause;
            waiting.count(&reply);
            if has_opened(passage, &reply, was_probed) {
                circuits.report_opened(&backend);
            }
            reply
        }
        .boxed()
    }
}

/// Whether the answer's document is read here. A join may be answered by a redirect, and the reader of a list takes all of it that is
/// readable.
fn is_read_here(kind: CallKind, reply: &Reply) -> bool {
    match kind {
        CallKind::Join => false,
        CallKind::GetMeetings | CallKind::GetSessions => !reply.begins_well(),
        _ => true,
    }
}

/// A call that waits for its node, to be counted by its outcome.
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
    /// The client has hung up. This alone shows a node that is too slow for its clients.
    fn drop(&mut self) {
        if !self.answered {
            BACKEND_CALLS.with([self.backend.host(), "abandoned"]).increment(1);
        }
    }
}

/// Records a call's outcome in the circuit. Returns whether that has opened it.
fn has_opened(passage: Passage, reply: &Result<Reply, Fault>, was_probed: bool) -> bool {
    match reply {
        // The node answered its probes, or the call would have been cut: one slow create says nothing of the node.
        Err(Fault::Node { failure: NodeFailure::Silent { .. }, .. }) if was_probed => false,
        Err(Fault::Node { failure, .. }) if failure.is_silence() => passage.failed(Instant::now().into_std()),
        // Dropped, the passage says nothing of the node.
        Err(Fault::Node { failure, .. }) if failure.is_ours() => false,
        _ => {
            passage.answered();
            false
        }
    }
}
