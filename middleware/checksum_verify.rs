//! `checksum-verify`: proves that the call comes from its frontend, and only then takes its body in.
//!
//! ```toml
//! [stages.checksum-verify]
//! algorithms = ["sha1", "sha256", "sha384", "sha512"]   # default: all four; a frontend may be allowed fewer
//! constant-checksum = true       # accept forms with a checksum over no parameter, as BBB 3.0 does
//! ```
//!
//! A body is read before only if it is a form and the query carries no checksum, since then the checksum is in the form.
//! The order is BBB's: content type, checksum, everything else. The body of a GET never counts.
//!
//! The parameters of a form are those of the signed text. With a signed query, a form is not covered. Its texts and
//! slides count; meeting, people, rights, addresses, scripts and recording are left out. BBB 3.0 signs a form without a query
//! with the name of the call alone. So a stranger who has seen one such checksum can make any call of that name.
//! `constant-checksum = false` refuses these forms.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{Fault, checksum_verify::ChecksumVerify, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let call = cluster.resolved(CallKind::IsMeetingRunning, "meetingID=0&checksum=0123");
//! let (_, reply) = cluster.through(ChecksumVerify::default(), call).await;
//! assert!(matches!(reply, Err(Fault::ChecksumMismatch(_))));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admit;

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use serde::Deserialize;
use tower::Service;

use self::admit::{admit_with_body, note_left_out, verify};
use crate::bbb::{Algorithms, CallKind, Media};
use crate::call::{Body, Call, Reply};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::Ports;
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService};
use crate::work::Workers;

/// Settings of `checksum-verify`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChecksumVerify {
    /// The algorithms that any frontend may use.
    pub algorithms: Algorithms,
    /// Whether the checksum of a form without a query need not cover its parameters.
    pub constant_checksum: bool,
}

impl Default for ChecksumVerify {
    fn default() -> Self {
        Self { algorithms: Algorithms::ALL, constant_checksum: true }
    }
}

impl Stage for ChecksumVerify {
    const KIND: &'static str = "checksum-verify";
    type Layer = StageLayer<Verifier>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend]).gives(&[Fact::Checksum])
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Verifier>, SetupError> {
        let Ports { workers, unproved, .. } = ports.clone();
        Ok(StageLayer::new(Verifier { settings: self, workers, unproved }))
    }
}

/// Verifies checksums, and reads bodies.
pub struct Verifier {
    settings: ChecksumVerify,
    workers: Arc<dyn Workers>,
    unproved: Arc<dyn Workers>,
}

impl Service<Call> for StageService<Verifier> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        let Verifier { settings, workers, unproved } = &*self.stage;
        let settings = *settings;
        let made = match std::mem::replace(&mut call.body, Body::None) {
            Body::Unread(source) => {
                let is_proved = source.media() != Media::Form || call.params.first("checksum").is_some();
                let workers = Arc::clone(if is_proved { workers } else { unproved });
                let mut next = self.next.take();
                return Either::Right(Box::pin(async move {
                    let call = admit_with_body(call, &*source, settings, &*workers).await?;
                    note_left_out(&call);
                    next.call(call).await
                }));
            }
            Body::Ignored(media) if !call.kind.accepts(media) => Err(Fault::UnsupportedContentType),
            _ => verify(&mut call, None, settings).map(drop),
        };
        let made = made.map(|()| note_left_out(&call));
        self.next.pass_if(made, call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::{Algorithm, Media};
    use crate::cluster::Frontend;
    use crate::memory::{Memory, Waiting};

    async fn verify(query: &str, body: Body) -> (Option<Call>, Result<Reply, Fault>) {
        verify_as(ChecksumVerify::default(), query, body).await
    }

    async fn verify_as(stage: ChecksumVerify, query: &str, body: Body) -> (Option<Call>, Result<Reply, Fault>) {
        let cluster = Memory::new().frontend("school", "639259d4-9dd8-4b25-bf01-95f9567eaf4b");
        let mut call = cluster.resolved(CallKind::Create, query);
        call.body = body;
        cluster.through(stage, call).await
    }

    const SIGNED: &str = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444\
                          &checksum=1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17";
    const FORM: &str = "meetingID=abc123&name=A+lesson&checksum=8a21c9b7e3b18541974c9e78c0d0bfa790c665eb";

    #[tokio::test]
    async fn a_signed_call_goes_on_with_proof() {
        let (seen, _) = verify(SIGNED, Body::None).await;
        let seen = seen.unwrap();
        assert!(seen.facts.checksum().is_ok());
        assert!(seen.door.trail.is_verified());
    }

    #[tokio::test]
    async fn a_call_without_checksum_is_told_so() {
        assert_eq!(verify("meetingID=abc123", Body::None).await.1, Err(Fault::ChecksumMissing));
    }

    #[tokio::test]
    async fn an_algorithm_that_is_not_allowed_is_a_mismatch() {
        let algorithms = [Algorithm::Sha256].into_iter().collect();
        let only = ChecksumVerify { algorithms, ..ChecksumVerify::default() };
        let (_, reply) = verify_as(only, SIGNED, Body::None).await;
        assert_eq!(
            reply,
            Err(Fault::ChecksumMismatch(
                "the algorithm sha1 is not among the `algorithms` of `checksum-verify`".into()
            ))
        );
    }

    /// Defect 8 of the original: an unlimited body was read before the checksum was looked at.
    #[tokio::test]
    async fn no_body_is_read_before_the_checksum_of_the_query_holds() {
        let body = Waiting::new(Media::Xml, "<modules/>");
        let (_, reply) = verify("meetingID=abc123&checksum=00", body.waiting()).await;
        assert!(matches!(reply, Err(Fault::ChecksumMismatch(_))));
        assert!(!body.was_read());
    }

    #[tokio::test]
    async fn a_body_is_read_once_the_checksum_holds() {
        let body = Waiting::new(Media::Xml, "<modules/>");
        let (seen, _) = verify(SIGNED, body.waiting()).await;
        assert!(matches!(seen.unwrap().body, Body::Read(content) if content.bytes == "<modules/>"));
    }

    #[tokio::test]
    async fn a_form_that_carries_the_checksum_becomes_parameters() {
        let (seen, _) = verify("", Waiting::new(Media::Form, FORM).waiting()).await;
        assert_eq!(seen.unwrap().params.first("name"), Some("A lesson"));
    }

    #[tokio::test]
    async fn beside_a_signed_query_a_form_decides_nothing_about_rights() {
        let body = "moderatorPW=x&ROLE=MODERATOR&role=MODERATOR&userID=admin&parentMeetingID=p&welcome=hi&name=other";
        let seen = verify(SIGNED, Waiting::new(Media::Form, body).waiting()).await.0.unwrap();
        let sent = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444&welcome=hi";
        assert_eq!(seen.params.encode(), sent);
    }

    #[tokio::test]
    async fn behind_a_get_no_body_counts_and_none_is_read() {
        let (seen, _) = verify(SIGNED, Body::Ignored(Media::Form)).await;
        assert!(matches!(seen.unwrap().body, Body::None));
        assert_eq!(verify("", Body::Ignored(Media::Form)).await.1, Err(Fault::ChecksumMissing));
        assert_eq!(verify(SIGNED, Body::Ignored(Media::Other)).await.1, Err(Fault::UnsupportedContentType));
    }

    #[tokio::test]
    async fn the_checksum_that_covers_no_parameter_can_be_refused() {
        let strict = ChecksumVerify { constant_checksum: false, ..ChecksumVerify::default() };
        let (_, reply) = verify_as(strict, "", Waiting::new(Media::Form, FORM).waiting()).await;
        assert!(matches!(reply, Err(Fault::ChecksumMismatch(_))));
        let (form, checksum) = FORM.rsplit_once('&').unwrap();
        let (_, reply) = verify_as(strict, checksum, Waiting::new(Media::Form, form).waiting()).await;
        assert!(matches!(reply, Err(Fault::ChecksumMismatch(_))));
    }

    #[tokio::test]
    async fn a_checksum_in_query_and_form_is_one_too_many() {
        let (_, reply) = verify(SIGNED, Waiting::new(Media::Form, FORM).waiting()).await;
        assert!(matches!(reply, Err(Fault::ChecksumMismatch(_))));
    }

    #[tokio::test]
    async fn a_body_of_another_type_is_refused_unread() {
        let body = Waiting::new(Media::Other, "{}");
        assert_eq!(verify(SIGNED, body.waiting()).await.1, Err(Fault::UnsupportedContentType));
        assert!(!body.was_read());
    }

    #[tokio::test]
    async fn broken_xml_never_reaches_a_node() {
        let (seen, reply) = verify(SIGNED, Waiting::new(Media::Xml, "<modules><module>").waiting()).await;
        assert!(seen.is_none());
        assert!(matches!(reply, Err(Fault::UnreadableBody(_))));
    }

    #[tokio::test]
    async fn the_log_says_whose_setting_refuses_an_algorithm() {
        let cluster = Memory::new().frontend("school", "639259d4-9dd8-4b25-bf01-95f9567eaf4b");
        let mut call = cluster.resolved(CallKind::Create, SIGNED);
        let frontend = call.facts.frontend().unwrap();
        let algorithms = [Algorithm::Sha512].into_iter().collect();
        let strict = Frontend { algorithms, ..Frontend::clone(frontend) };
        call.facts.set_frontend(Arc::new(strict));
        let fault = cluster.through(ChecksumVerify::default(), call).await.1.unwrap_err();
        let said = "the frontend may not use the algorithm sha1, by its `checksum_algorithms`";
        assert!(fault.to_string().contains(said), "{fault}");
        assert_eq!(fault.message(CallKind::Create), "Checksums do not match", "a client learns no more");
    }

    #[tokio::test]
    async fn a_disabled_frontend_is_answered_like_a_wrong_secret() {
        let cluster = Memory::new().disabled_frontend("school", "639259d4-9dd8-4b25-bf01-95f9567eaf4b");
        let call = cluster.resolved(CallKind::Create, SIGNED);
        let (_, reply) = cluster.through(ChecksumVerify::default(), call).await;
        assert!(matches!(reply, Err(Fault::ChecksumMismatch(_))));
    }
}
