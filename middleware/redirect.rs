//! `redirect`: sends the user's browser to the node itself.
//!
//! ```toml
//! [stages.redirect]
//! ```
//!
//! The browser must meet the node, which sets a cookie for its own host; so a join is answered by a 302 to the node's signed
//! address and is never made on the user's behalf. Only `redirect=false` asks the node here and hands back its document and
//! its cookies. That is a join, so it is refused to a client that only looks, by a HEAD.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, redirect::Redirect};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
//! let reply = cluster.ask(Redirect {}, cluster.signed(CallKind::Join, "m1", "n1")).await?;
//! assert!(reply.location.is_some_and(|url| url.as_bytes().starts_with(b"https://n1.example/bigbluebutton/api/join?")));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::HeaderValue;
use serde::Deserialize;
use tower::Service;

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::node_request::NodeRequest;
use crate::ports::{Nodes, Ports};
use crate::stage::{Endpoint, SetupError, StageFuture, refuse};

/// Settings of `redirect`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {}

impl Endpoint for Redirect {
    const KIND: &'static str = "redirect";
    type Service = RedirectService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Checksum, Fact::Backend, Fact::Signature]).only(&[CallKind::Join])
    }

    fn service(self, ports: &Ports) -> Result<RedirectService, SetupError> {
        Ok(RedirectService { nodes: Arc::clone(&ports.nodes) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct RedirectService {
    nodes: Arc<dyn Nodes>,
}

impl Service<Call> for RedirectService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> StageFuture {
        let request = match call.facts.signature() {
            Ok(request) => request.clone(),
            Err(fault) => return refuse(fault),
        };
        let redirects = call.params.wants_redirect();
        if call.door.looks && !redirects {
            return refuse(Fault::UnsupportedMethod { allow: CallKind::Join.methods().allow() });
        }
        let nodes = Arc::clone(&self.nodes);
        Either::Right(Box::pin(async move {
            // A join is not tried again with another checksum: a browser cannot, and old nodes answer errors with a redirect.
            let request = nodes.settle(request).await;
            if redirects {
                return to_the_node(&request);
            }
            let backend = request.backend.id;
            let reply = nodes.send(request).await?;
            if reply.location.is_some() { Ok(reply) } else { reply.read(backend) }
        }))
    }
}

fn to_the_node(request: &NodeRequest) -> Result<Reply, Fault> {
    let address = HeaderValue::try_from(request.url())
        .map_err(|_| Fault::Internal(format!("the URL of backend {} cannot stand in a header", request.backend.id)))?;
    Ok(Reply::redirect(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::Algorithm;
    use crate::memory::Memory;

    fn cluster() -> Memory {
        Memory::new().frontend("school", "secret").backend("n1", &[]).replies_success()
    }

    #[tokio::test]
    async fn the_browser_is_sent_to_the_node_and_the_node_is_not_asked() {
        let cluster = cluster();
        let reply = cluster.ask(Redirect {}, cluster.signed(CallKind::Join, "m1", "n1")).await.unwrap();
        assert_eq!(reply.status, 302);
        assert!(cluster.requests().is_empty());
    }

    #[tokio::test]
    async fn what_the_node_takes_is_asked_before_a_browser_is_sent_there() {
        let cluster = cluster().node_takes("n1", Algorithm::Sha1);
        for _ in 0..2 {
            let reply = cluster.ask(Redirect {}, cluster.signed(CallKind::Join, "m1", "n1")).await.unwrap();
            let address = reply.location.unwrap();
            assert_eq!(address.to_str().unwrap().rsplit_once("checksum=").unwrap().1.len(), 40);
        }
        let joins = cluster.requests().iter().filter(|request| request.kind == CallKind::Join).count();
        assert_eq!((joins, cluster.requests().len()), (0, 4), "and never again");
    }

    #[tokio::test]
    async fn a_client_that_wants_the_document_gets_it() {
        let cluster = cluster();
        let mut call = cluster.signed(CallKind::Join, "m1", "n1");
        call.params.set("redirect", "FALSE");
        let reply = cluster.ask(Redirect {}, call).await.unwrap();
        assert!(reply.is_success());
        assert_eq!(cluster.requests().len(), 1);
    }
}
