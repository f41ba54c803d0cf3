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
use crate::offload;
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
        let (is_document, id) = (request.kind != CallKind::Join, backend.id);
        let reply = self.nodes.send(request);
        let cluster = self.cluster.clone();
        async move {
            let waiting = Waiting { backend: &backend, since: Instant::now(), answered: false };
            let reply = reply.await;
            let reply = match reply {
                Ok(reply) if is_document => offload::CALLS.work(reply.body.len(), move || reply.read(id)).await,
                reply => reply,
            };
            waiting.count(&reply);
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
