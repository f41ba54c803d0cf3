//! `request-sign`: writes the query the node will see, to be signed with the node's secret.
//!
//! ```toml
//! [stages.request-sign]
//! algorithm = "sha256"           # or "sha1", "sha384", "sha512"; without it, what each node accepts
//! ```
//!
//! Parameters go into the query, encoded once; the bytes that are hashed are the bytes that are sent. A query too long for
//! a node's request line is posted as a form instead. Behind this stage nobody may change a parameter.
//!
//! A backend may have an algorithm of its own, which counts more than the setting. Without either, a node is tried with the
//! strongest algorithm first, and what it accepts is remembered.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, request_sign::RequestSign};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
//! let call = cluster.placed(CallKind::IsMeetingRunning, "m1", "n1");
//! let (seen, _) = cluster.through(RequestSign::default(), call).await;
//! assert!(seen.expect("it goes on").facts.signature()?.unsigned.starts_with("isMeetingRunning?meetingID="));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::task::{Context, Poll};

use serde::Deserialize;
use tower::{Layer, Service};

use crate::bbb::{Algorithm, CallKind};
use crate::call::{Body, Call, Reply};
use crate::facts::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{NodeRequest, Ports};
use crate::stage::{Next, SetupError, Stage, StageFuture};

/// Settings of `request-sign`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestSign {
    /// What the checksums for nodes are made with. `None`: what each node accepts.
    pub algorithm: Option<Algorithm>,
}

impl Stage for RequestSign {
    const KIND: &'static str = "request-sign";
    type Layer = RequestSignLayer;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Checksum, Fact::Backend]).gives(&[Fact::Signature]).takes(&[Fact::OpenParams])
    }

    fn layer(self, _: &Ports) -> Result<RequestSignLayer, SetupError> {
        Ok(RequestSignLayer { algorithm: self.algorithm })
    }
}

/// Wraps the rest of the pipeline in [`RequestSignService`].
#[derive(Clone)]
pub struct RequestSignLayer {
    algorithm: Option<Algorithm>,
}

impl Layer<Next> for RequestSignLayer {
    type Service = RequestSignService;

    fn layer(&self, next: Next) -> RequestSignService {
        RequestSignService { algorithm: self.algorithm, next }
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct RequestSignService {
    algorithm: Option<Algorithm>,
    next: Next,
}

impl Service<Call> for RequestSignService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        let signed = sign(&mut call, self.algorithm);
        self.next.pass_if(signed, call)
    }
}

fn sign(call: &mut Call, algorithm: Option<Algorithm>) -> Result<(), Fault> {
    call.facts.checksum()?;
    let content = match std::mem::replace(&mut call.body, Body::None) {
        Body::Read(content) => Some(content),
        Body::None | Body::Unread(_) => None,
    };
    let (backend, request_id) = (call.facts.backend()?, &call.door.request_id);
    let request = NodeRequest::new(call.kind, &call.params, content, backend, algorithm, request_id);
    call.facts.set_signature(NodeRequest { trace: call.door.trace.clone(), ..request });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use http::HeaderMap;

    use crate::bbb::{self, Media, Params, Secret};
    use crate::memory::Memory;
    use crate::trace::Trace;

    async fn signed(kind: CallKind, more: &str, stage: RequestSign) -> NodeRequest {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
        let mut call = cluster.placed(kind, "m1", "n1");
        for (name, value) in Params::parse(more).iter() {
            call.params.set(name, value);
        }
        let (seen, _) = cluster.through(stage, call).await;
        seen.unwrap().facts.signature().unwrap().clone()
    }

    #[tokio::test]
    async fn what_is_hashed_is_what_is_sent() {
        let url = signed(CallKind::Create, "name=A+%26+B&welcome=%C3%BC", RequestSign::default()).await.url();
        let (path, checksum) = url.rsplit_once("&checksum=").unwrap();
        let hashed = path.strip_prefix("https://n1.example/bigbluebutton/api/create?").unwrap();
        assert!(hashed.ends_with("&name=A%20%26%20B&welcome=%C3%BC"));
        let secret = Secret::new("secret-of-n1").unwrap();
        assert_eq!(checksum, bbb::sign(Algorithm::Sha256, "create", hashed, &secret));
    }

    #[tokio::test]
    async fn the_node_is_told_the_trace_of_the_call() {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        let trace = Trace::read(&HeaderMap::from_iter([("traceparent".parse().unwrap(), parent)]));
        let mut call = cluster.placed(CallKind::End, "m1", "n1");
        Arc::get_mut(&mut call.door).unwrap().trace.clone_from(&trace);
        let (seen, _) = cluster.through(RequestSign::default(), call).await;
        assert!(trace.is_some());
        assert_eq!(seen.unwrap().facts.signature().unwrap().trace, trace);
    }

    #[tokio::test]
    async fn the_algorithm_is_a_setting() {
        let request = signed(CallKind::End, "", RequestSign { algorithm: Some(Algorithm::Sha1) }).await;
        assert_eq!(request.url().rsplit_once("&checksum=").unwrap().1.len(), 40);
    }

    #[tokio::test]
    async fn a_query_too_long_for_a_node_is_posted() {
        let query = signed(CallKind::Create, &format!("welcome={}", "x".repeat(9000)), RequestSign::default()).await;
        let content = query.content.unwrap();
        assert_eq!((content.media, content.bytes.len()), (Media::Form, "welcome=".len() + 9000));
        assert!(query.unsigned.starts_with("create?meetingID=") && !query.unsigned.contains('&'));
    }
}
