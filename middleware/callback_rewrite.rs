//! `callback-rewrite`: points the callbacks of a `create` at this cluster.
//!
//! ```toml
//! [stages.callback-rewrite]
//! ```
//!
//! Nodes know meetings by other ids than frontends, and sign with secrets of their own. So a node gets an address of ours in place of
//! each URL at which a frontend wants to hear of its meeting: `meetingEndedURL`, `meta_endCallbackUrl`, `meta_*-recording-ready-url`
//! and `meta_*-callback-url`. The frontend's own URL is kept with the meeting, and its answers show it. A URL that
//! cannot be called is left out, and the create goes on.
//!
//! An address is good for one node, so the stage stands behind `backend-select`. And it stands behind `params-rewrite`, which may
//! set such a URL.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{callback_rewrite::CallbackRewrite, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret").backend("n1", &[]).replies_created();
//! let mut call = cluster.placed(CallKind::Create, "m1", "n1");
//! call.params.set("meetingEndedURL", "https://school.example/ended");
//! let (seen, _) = cluster.through(CallbackRewrite {}, call).await;
//! assert!(!seen.expect("it goes on").params.encode().contains("school.example"));
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
use crate::cluster::{Callback, CallbackKind, GivenCallback};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Callbacks, Ports};
use crate::stage::{SetupError, Stage, StageFuture, StageLayer, StageService, refuse};

/// The most callbacks of a meeting. BBB knows six.
const MOST: usize = 16;

/// Settings of `callback-rewrite`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackRewrite {}

impl Stage for CallbackRewrite {
    const KIND: &'static str = "callback-rewrite";
    type Layer = StageLayer<Rewriter>;

    fn contract(&self, _: CallKind) -> Contract {
        let needs = &[Fact::Frontend, Fact::Checksum, Fact::OpenParams, Fact::Scope, Fact::Backend];
        Contract::needs(needs).takes(&[Fact::OpenCallbacks]).only(&[CallKind::Create])
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Rewriter>, SetupError> {
        Ok(StageLayer::new(Rewriter { callbacks: Arc::clone(&ports.callbacks) }))
    }
}

/// Replaces the URLs of callbacks.
pub struct Rewriter {
    callbacks: Arc<dyn Callbacks>,
}

impl Service<Call> for StageService<Rewriter> {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        if !call.params.iter().any(|(name, _)| CallbackKind::of_name(name).is_some()) {
            return self.next.pass(call);
        }
        let registered = match self.stage.rewrite(&mut call) {
            Ok(registered) => registered,
            Err(fault) => return refuse(fault),
        };
        let answered = self.next.call(call);
        Either::Right(Box::pin(async move { Ok(Reply { registered, ..answered.await? }) }))
    }
}

impl Rewriter {
    /// Gives the node addresses of ours, and returns what they stand for.
    fn rewrite(&self, call: &mut Call) -> Result<Vec<Callback>, Fault> {
        let (scope, backend) = (Arc::clone(call.facts.scope()?), call.facts.backend()?.id);
        let given: Vec<GivenCallback> = call.params.iter().filter_map(given).take(MOST).collect();
        let registered = self.callbacks.register(&scope.scoped, backend, given);
        let names: Vec<String> = call.params.iter().map(|(name, _)| name.to_owned()).collect();
        for name in names.iter().filter(|name| CallbackKind::of_name(name).is_some()) {
            let read = spelling(name);
            match registered.iter().find(|callback| callback.name == read) {
                Some(callback) if is_read(name) => call.params.set(name, &callback.address),
                // Setting the spelling that counts removes this one.
                Some(_) => {}
                None => {
                    if call.params.first(name).is_some_and(|url| !url.is_empty()) {
                        let (frontend, meeting) = (&call.facts.frontend()?.key, &scope.scoped);
                        tracing::warn!(
                            frontend.key = frontend,
                            meeting.id = %meeting,
                            parameter = read,
                            "Leaving a callback out: it is no URL that can be called, or one of too many"
                        );
                    }
                    call.params.remove(name);
                }
            }
        }
        Ok(registered)
    }
}

/// A parameter as a callback, if nodes read it as one.
fn given((name, url): (&str, &str)) -> Option<GivenCallback> {
    let kind = CallbackKind::of_name(name).filter(|_| is_read(name) && !url.is_empty())?;
    Some(GivenCallback { name: spelling(name), kind, url: url.to_owned() })
}

/// Whether nodes read a parameter of that spelling. Of metadata only the beginning has one case.
fn is_read(name: &str) -> bool {
    name == "meetingEndedURL" || name.starts_with("meta_")
}

/// The name by which a callback is kept.
fn spelling(name: &str) -> String {
    if name == "meetingEndedURL" { name.to_owned() } else { name.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::Params;
    use crate::memory::Memory;
    use crate::params_rewrite::ParamsRewrite;

    const NAMES: [&str; 7] = [
        "meetingEndedURL",
        "meta_endCallbackUrl",
        "meta_bbb-recording-ready-url",
        "meta_bn-recording-ready-url",
        "meta_canvas-recording-ready-url",
        "meta_analytics-callback-url",
        "meta_future-callback-url",
    ];

    fn cluster() -> Memory {
        Memory::new().frontend("school", "secret").backend("n1", &[]).replies_created()
    }

    async fn created(query: &str) -> (Params, Vec<Callback>) {
        let cluster = cluster();
        let mut call = cluster.placed(CallKind::Create, "m1", "n1");
        call.params.merge_form(query);
        let (seen, reply) = cluster.through(CallbackRewrite {}, call).await;
        (seen.unwrap().params, reply.unwrap().registered)
    }

    #[tokio::test]
    async fn every_callback_is_pointed_at_the_cluster() {
        let query: String =
            NAMES.map(|name| format!("{name}=https%3A%2F%2Fschool.example%2F{name}%3Fa%3D%252F&")).concat();
        let (params, registered) = created(&query).await;
        assert_eq!(registered.len(), NAMES.len());
        for name in NAMES {
            let kept = registered.iter().find(|callback| callback.name.eq_ignore_ascii_case(name)).unwrap();
            assert_eq!(params.first(name), Some(kept.address.as_str()));
            assert_eq!(kept.url, format!("https://school.example/{name}?a=%2F"));
            assert_eq!(Some(kept.kind), CallbackKind::of_name(name));
        }
    }

    #[tokio::test]
    async fn no_spelling_of_a_callback_reaches_a_node() {
        for name in ["meta_ENDCALLBACKURL", "META_endCallbackUrl", "meta_Bbb-Recording-Ready-URL", "MEETINGENDEDURL"] {
            for more in [
                "",
                "&meta_endcallbackurl=https%3A%2F%2Fschool.example%2Fb&meta_endCallbackUrl=https%3A%2F%2Fschool.example%2Fc",
            ] {
                let (params, _) = created(&format!("{name}=https%3A%2F%2Fschool.example%2Fa{more}")).await;
                assert!(!params.encode().contains("school.example"), "{}", params.encode());
            }
        }
        let many: String = (0..40).map(|at| format!("meta_a{at}-callback-url=https%3A%2F%2Fschool.example&")).collect();
        let (params, registered) = created(&many).await;
        assert_eq!(registered.len(), MOST);
        assert!(!params.encode().contains("school.example"));
    }

    #[tokio::test]
    async fn an_unusable_url_is_left_out_and_the_create_goes_on() {
        for url in ["ftp%3A%2F%2Fschool.example", "nonsense", "javascript%3Aschool.example()", ""] {
            let (params, registered) = created(&format!("meta_endCallbackUrl={url}&name=x")).await;
            assert_eq!((params.first("meta_endCallbackUrl"), registered), (None, Vec::new()), "{url}");
            assert_eq!(params.first("name"), Some("x"));
        }
    }

    #[tokio::test]
    async fn a_create_without_callbacks_is_unchanged() {
        let (params, registered) = created("name=a+b&logoutURL=https%3A%2F%2Fschool.example%2F").await;
        assert!(params.encode().ends_with("name=a+b&logoutURL=https%3A%2F%2Fschool.example%2F"));
        assert_eq!(registered, []);
    }

    #[tokio::test]
    async fn overrides_and_defaults_are_rewritten_too() {
        let cluster = Memory::new().backend("n1", &[]).replies_created().frontend_with("school", |settings| {
            settings
                .create_override_params
                .insert("meta_endCallbackUrl".to_owned(), "https://school.example/a".to_owned());
            settings.create_default_params.insert("meetingEndedURL".to_owned(), "https://school.example/b".to_owned());
        });
        let call = cluster.behind(ParamsRewrite {}, cluster.placed(CallKind::Create, "m1", "n1"));
        let (seen, reply) = cluster.through(CallbackRewrite {}, call).await;
        assert!(!seen.unwrap().params.encode().contains("school.example"));
        assert_eq!(reply.unwrap().registered.len(), 2);
    }
}
