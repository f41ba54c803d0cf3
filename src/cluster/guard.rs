//! The way to the nodes through their circuits: a node that does not answer holds no calls.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{Backend, Passage};
use b3scale_middleware::ports::{NodeRequest, Nodes};
use b3scale_middleware::{Fault, NodeFailure, Reply};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{Cluster, Inner};
use crate::telemetry::catalog::{BACKEND_CALL_SECONDS, BACKEND_CALLS};

/// Sends what a backend's circuit lets through. Health checks go past it: they are how a circuit closes again.
pub(super) struct Guard {
    nodes: Arc<dyn Nodes>,
    cluster: Weak<Inner>,
}

impl Guard {
    pub(super) fn of(cluster: &Arc<Inner>) -> Self {
        Self { nodes: Arc::clone(&cluster.nodes), cluster: Arc::downgrade(cluster) }
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
        // A join may be answered by a redirect; anything else is a document, and counts as what that says.
        let is_document = request.kind != CallKind::Join;
        let reply = self.nodes.send(request);
        let cluster = self.cluster.clone();
        async move {
            let began = Instant::now();
            let reply = reply.await;
            let reply = if is_document { reply.and_then(|reply| reply.read(backend.id)) } else { reply };
            count(&backend, &reply, began.elapsed());
            if has_opened(passage, &reply) {
                tracing::warn!(backend.id = %backend.id, backend.url = %backend.url, "A node is left alone for a while");
                if let Some(inner) = cluster.upgrade() {
                    Cluster(inner).suspect(&backend);
                }
            }
            reply
        }
        .boxed()
    }
}

/// Counts a call by what became of it.
fn count(backend: &Backend, reply: &Result<Reply, Fault>, took: Duration) {
    let outcome = match reply {
        Err(Fault::Node { failure, .. }) => failure.name(),
        Ok(_) | Err(_) => "answered",
    };
    BACKEND_CALLS.with([backend.host(), outcome]).increment(1);
    BACKEND_CALL_SECONDS.with([backend.host()]).record(took);
}

/// Tells the circuit what became of a call. Returns whether that has opened it.
fn has_opened(passage: Passage, reply: &Result<Reply, Fault>) -> bool {
    match reply {
        Err(Fault::Node { failure, .. }) if failure.is_silence() => passage.failed(Instant::now()),
        _ => {
            passage.answered();
            false
        }
    }
}

impl Cluster {
    /// Lets a node be asked at once that may have failed.
    fn suspect(&self, backend: &Backend) {
        let (cluster, id) = (self.clone(), backend.id);
        self.spawn(async move {
            if let Err(error) = cluster.noted(cluster.0.store.hasten_poll(id, Duration::ZERO).await) {
                tracing::debug!(backend.id = %id, %error, "A suspect could not be reported");
            }
        });
    }
}
