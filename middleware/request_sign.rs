//! `request-sign`: writes the query the node will see, to be signed with the node's secret.
//!
//! ```toml
//! [stages.request-sign]
//! algorithm = "sha256"           # or "sha1", "sha384", "sha512"; without it, what each node accepts
//! largest-entry = 24576          # bytes that a create or join may leave in each list of meetings of its node; 0: any
//! ```
//!
//! Parameters that were not changed are sent as they came, the others encoded once; the bytes that are hashed are the bytes
//! that are sent. Parameters too long for a node's request line are posted as a form, where BBB takes one and no other body is
//! sent; a call that does not fit even so is refused here. Names, texts and metadata (`meta_`, `userdata-`) stand in
//! every list that the node gives, so they are bounded together: a thousand of the largest fit the largest list that is read. Texts
//! of frontends have a few thousand bytes. No stage behind this one may change a parameter.
//!
//! A backend may have an algorithm of its own, which counts more than the setting. Without either, a node is tried with the
//! strongest algorithm first, and the accepted one is remembered.
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

use serde::Deserialize;

use crate::bbb::{Algorithm, CallKind};
use crate::call::{Body, Call};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::node_request::NodeRequest;
use crate::ports::Ports;
use crate::stage::{SetupError, Stage, StageLayer, Transform};

/// Settings of `request-sign`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestSign {
    /// The algorithm of checksums for nodes. `None`: found out from each node.
    pub algorithm: Option<Algorithm>,
    /// How many bytes a create or join may leave in each list of meetings of its node. 0: any number.
    pub largest_entry: usize,
}

impl Default for RequestSign {
    fn default() -> Self {
        Self { algorithm: None, largest_entry: 24 << 10 }
    }
}

impl Stage for RequestSign {
    const KIND: &'static str = "request-sign";
    type Layer = StageLayer<Self>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Checksum, Fact::Backend]).gives(&[Fact::Signature]).takes(&[Fact::OpenParams])
    }

    fn layer(self, _: &Ports) -> Result<StageLayer<Self>, SetupError> {
        Ok(StageLayer::new(self))
    }
}

impl Transform for RequestSign {
    fn transform(&self, call: &mut Call) -> Result<(), Fault> {
        call.facts.checksum()?;
        let limit = self.largest_entry;
        if limit > 0 && matches!(call.kind, CallKind::Create | CallKind::Join) && call.params.listed_len() > limit {
            let message = format!("The names, texts and metadata are larger than {limit} bytes in all.");
            return Err(Fault::InvalidParam { key: "metadataTooLarge", message: message.into() });
        }
        let content = match std::mem::replace(&mut call.body, Body::None) {
            Body::Read(content) => Some(content),
            Body::None | Body::Ignored(_) | Body::Unread(_) => None,
        };
        let (backend, request_id) = (call.facts.backend()?, &call.door.request_id);
        let request = NodeRequest::new(call.kind, &call.params, content, backend, self.algorithm, request_id);
        request.fits()?;
        call.facts.set_signature(NodeRequest { trace: call.door.trace.clone(), ..request });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use http::HeaderMap;

    use crate::bbb::{self, Content, Media, Params, Secret};
    use crate::meeting_scope::MeetingScope;
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
        let weak = RequestSign { algorithm: Some(Algorithm::Sha1), ..RequestSign::default() };
        let request = signed(CallKind::End, "", weak).await;
        assert_eq!(request.url().rsplit_once("&checksum=").unwrap().1.len(), 40);
    }

    async fn sent(
        kind: CallKind,
        more: &str,
        content: Option<Media>,
        stage: RequestSign,
    ) -> Result<NodeRequest, Fault> {
        let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]);
        let mut call = cluster.behind(MeetingScope {}, cluster.verified(kind, &format!("meetingID=m1{more}")));
        call.choose(cluster.backend_named("n1"));
        call.body = content.map_or(Body::None, |media| Body::Read(Content::new(media, "<modules/>")));
        let (seen, reply) = cluster.through(stage, call).await;
        seen.map(|call| call.facts.signature().unwrap().clone()).ok_or_else(|| reply.unwrap_err())
    }

    fn key(refused: Result<NodeRequest, Fault>) -> &'static str {
        refused.unwrap_err().message_key(CallKind::Create)
    }

    #[tokio::test]
    async fn what_makes_a_query_too_long_is_posted_and_the_rest_is_signed() {
        let welcome = format!("welcome={}", "x+".repeat(4500));
        let more = format!("&moderatorPW=mp&{welcome}&name=a+b");
        let request = sent(CallKind::Create, &more, None, RequestSign::default()).await.unwrap();
        assert_eq!(request.unsigned, "create?meetingID=WyJzY2hvb2wiLCJtMSIsImIzc2NsIl0%3D&moderatorPW=mp&name=a+b");
        assert_eq!(request.content, Some(Content::new(Media::Form, welcome)));
    }

    #[tokio::test]
    async fn a_call_that_a_node_could_read_as_it_came_does_not_grow() {
        let join = format!("&fullName={}", "a+".repeat(3750));
        assert!(sent(CallKind::Join, &join, None, RequestSign::default()).await.unwrap().unsigned.contains(&join));
        let create = format!("&name={}", "(a+b)".repeat(1200));
        let request = sent(CallKind::Create, &create, Some(Media::Xml), RequestSign::default()).await.unwrap();
        assert!(request.unsigned.contains(&create));
    }

    #[tokio::test]
    async fn what_fits_no_node_is_refused_before_one_is_asked() {
        let long = format!("&name={}", "x".repeat(8100));
        let stage = RequestSign::default();
        assert_eq!(key(sent(CallKind::Join, &long, None, stage).await), "requestTooLong");
        assert_eq!(key(sent(CallKind::Create, &long, Some(Media::Xml), stage).await), "requestTooLong");
        let password = format!("&password={}", "x".repeat(8100));
        assert_eq!(key(sent(CallKind::End, &password, None, stage).await), "requestTooLong");
        let huge = format!("&groups={}", "x".repeat(3 << 20));
        assert_eq!(key(sent(CallKind::Create, &huge, None, stage).await), "requestTooLong");
    }

    #[tokio::test]
    async fn what_a_call_leaves_in_lists_is_bounded_in_all() {
        let many: String = (0..70).map(|at| format!("&meta_a{at}={}", "x".repeat(1000))).collect();
        assert_eq!(key(sent(CallKind::Create, &many, None, RequestSign::default()).await), "metadataTooLarge");
        let quotes = format!("&welcome={}", "'".repeat(11_000));
        assert_eq!(key(sent(CallKind::Create, &quotes, None, RequestSign::default()).await), "metadataTooLarge");
        let long = |length| format!("&welcome={}", "x".repeat(length));
        assert!(sent(CallKind::Create, &long(20_000), None, RequestSign::default()).await.is_ok());
        let longer = sent(CallKind::Create, &long(24 << 10), None, RequestSign::default()).await;
        assert_eq!(key(longer), "metadataTooLarge", "a thousand such meetings fit the largest list that is read");
        let unbounded = RequestSign { largest_entry: 0, ..RequestSign::default() };
        assert!(sent(CallKind::Create, &many, None, unbounded).await.is_ok());
        let unlisted = format!("&groups={}", "x".repeat(100_000));
        assert!(sent(CallKind::Create, &unlisted, None, RequestSign::default()).await.is_ok());
    }
}
