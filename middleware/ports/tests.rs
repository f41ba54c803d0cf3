//! Algorithms of checksums are found out, and remembered.

use std::sync::Mutex;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::ready;

use super::*;
use crate::bbb::Algorithm;
use crate::memory::Memory;

fn cluster(taken: Algorithm) -> Memory {
    Memory::new().frontend("school", "secret").backend("n1", &[]).replies_success().node_takes("n1", taken)
}

async fn asked(cluster: &Memory, setting: Option<Algorithm>) -> Result<Reply, Fault> {
    let request =
        NodeRequest { algorithm: setting, ..cluster.signed(CallKind::End, "m1", "n1").facts.signature()?.clone() };
    cluster.ports().nodes.ask(request).await
}

#[tokio::test]
async fn what_a_node_takes_is_found_out_once() {
    for taken in Algorithm::ALL {
        let cluster = cluster(taken);
        asked(&cluster, None).await.unwrap();
        let tries = cluster.requests().len();
        asked(&cluster, None).await.unwrap();
        assert_eq!(cluster.requests().len(), tries + 1, "{taken}");
    }
}

#[tokio::test]
async fn an_algorithm_that_is_settled_is_the_only_one() {
    let cluster = cluster(Algorithm::Sha512);
    let refused = asked(&cluster, Some(Algorithm::Sha1)).await.unwrap_err();
    assert!(matches!(refused, Fault::Node { failure: NodeFailure::SecretRefused, .. }));
    assert_eq!(cluster.requests().len(), 1);
}

#[tokio::test]
async fn a_node_that_takes_another_algorithm_than_before_is_followed() {
    let cluster = cluster(Algorithm::Sha1);
    asked(&cluster, None).await.unwrap();
    let cluster = cluster.node_takes("n1", Algorithm::Sha384);
    cluster.backend_named("n1").vitals.signing.learn(Algorithm::Sha1);
    asked(&cluster, None).await.unwrap();
    assert_eq!(cluster.backend_named("n1").vitals.signing.known(), Some(Algorithm::Sha384));
}

/// Refuses every checksum, and records the deadlines of the requests.
#[derive(Default)]
struct Refusing(Mutex<Vec<Option<Instant>>>);

impl Nodes for Refusing {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        self.0.lock().unwrap().push(request.deadline);
        let refused = Fault::Node { backend: request.backend.id, failure: NodeFailure::SecretRefused };
        ready(Err(refused)).boxed()
    }
}

#[tokio::test]
async fn all_algorithms_that_are_tried_share_the_deadline_of_one_request() {
    let cluster = cluster(Algorithm::Sha1);
    let request = cluster.signed(CallKind::Create, "m1", "n1").facts.signature().unwrap().clone();
    let nodes = Arc::new(Refusing::default());
    let deadline = Some(Instant::now() + Duration::from_secs(9));
    let asker: Arc<dyn Nodes> = Arc::<Refusing>::clone(&nodes);
    asker.ask_unread(NodeRequest { algorithm: None, deadline, ..request }).await.unwrap_err();
    assert_eq!(*nodes.0.lock().unwrap(), vec![deadline; Algorithm::ALL.len()]);
}

#[tokio::test]
async fn a_wrong_secret_is_one_fault() {
    let cluster = cluster(Algorithm::Sha1).node_replies(
        "n1",
        "<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey></response>",
    );
    assert!(matches!(asked(&cluster, None).await, Err(Fault::Node { failure: NodeFailure::SecretRefused, .. })));
    assert_eq!(cluster.backend_named("n1").vitals.signing.known(), None);
}
