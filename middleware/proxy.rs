//! `proxy`: sends the signed call to its node and hands the node's answer back.
//!
//! ```toml
//! [stages.proxy]
//! ```
//!
//! An answer that is a BBB document is an answer, also when it says FAILED: the tenant reads the node's own key and message.
//! Anything else is the node's fault.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, proxy::Proxy};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).replies_success();
//! let reply = cluster.ask(Proxy {}, cluster.signed(CallKind::End, "m1", "n1")).await;
//! assert!(reply.is_ok_and(|reply| reply.is_success()));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Nodes, Ports};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};

/// Settings of `proxy`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {}

impl Endpoint for Proxy {
    const KIND: &'static str = "proxy";
    type Service = ProxyService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Checksum, Fact::Backend, Fact::Signature])
    }

    fn service(self, ports: &Ports) -> Result<ProxyService, SetupError> {
        Ok(ProxyService { nodes: Arc::clone(&ports.nodes) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct ProxyService {
    nodes: Arc<dyn Nodes>,
}

impl Service<Call> for ProxyService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        match call.facts.signature() {
            Ok(request) => {
                let (nodes, request) = (Arc::clone(&self.nodes), request.clone());
                Either::Right(Box::pin(async move { nodes.ask(request).await }))
            }
            Err(fault) => refuse(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::NodeFailure;
    use crate::memory::Memory;

    async fn proxied(document: &str) -> Result<Reply, Fault> {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).replies(document);
        cluster.ask(Proxy {}, cluster.signed(CallKind::End, "m1", "n1")).await
    }

    fn failure(reply: Result<Reply, Fault>) -> NodeFailure {
        match reply {
            Err(Fault::Node { failure, .. }) => failure,
            other => panic!("a node's fault was expected, not {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_nodes_refusal_is_an_answer() {
        let reply = proxied("<response><returncode>FAILED</returncode><messageKey>k</messageKey></response>").await;
        assert!(reply.unwrap().failed_with("k"));
    }

    #[tokio::test]
    async fn what_is_no_document_is_the_nodes_fault() {
        for broken in ["", "<html><body>502</body></html>", "<response><returncode>SUCCESS</returncode>", "{}"] {
            assert!(matches!(failure(proxied(broken).await), NodeFailure::Garbled(_)), "{broken}");
        }
    }

    #[tokio::test]
    async fn a_node_that_refuses_our_checksum_is_not_the_tenants_fault() {
        let document = "<response><returncode>FAILED</returncode><messageKey>checksumError</messageKey></response>";
        assert_eq!(failure(proxied(document).await), NodeFailure::SecretRefused);
    }
}
