//! `presentation-default`: the frontend's own slides for meetings that bring none.
//!
//! ```toml
//! [stages.presentation-default]
//! ```
//!
//! The slides are named in the `<modules>` body of `create`, or in its parameters where these are too long to leave room for
//! one. A body that is there keeps its root and everything else in it. A call that brings slides, in its body or by
//! `preUploadedPresentation`, keeps them, unless the frontend's setting says `force`.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::cluster::DefaultPresentation;
//! use b3scale_middleware::{Body, memory::Memory, presentation_default::PresentationDefault};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend_with("school", |settings| {
//!     let url = "https://files.example/welcome.pdf".to_owned();
//!     settings.default_presentation = Some(DefaultPresentation { url, force: false });
//! });
//! let (seen, _) = cluster.through(PresentationDefault {}, cluster.verified(CallKind::Create, "")).await;
//! assert!(matches!(seen.expect("it goes on").body, Body::Read(_)));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Deserialize;
use tower::{Layer, Service};

use crate::bbb::{CallKind, Media, xml};
use crate::call::{Body, Call, Content, Reply};
use crate::facts::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{LONGEST_QUERY, Ports};
use crate::stage::{Next, SetupError, Stage, StageFuture};

/// How slides are named without a body: their URL, their name, and whether they take the place of the node's own. BBB has known
/// these since 2.7.2.
const BY_PARAMETER: [&str; 3] =
    ["preUploadedPresentation", "preUploadedPresentationName", "preUploadedPresentationOverrideDefault"];

/// Settings of `presentation-default`: none; the slides are in each frontend's own settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresentationDefault {}

impl Stage for PresentationDefault {
    const KIND: &'static str = "presentation-default";
    type Layer = PresentationDefaultLayer;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams])
    }

    fn layer(self, _: &Ports) -> Result<PresentationDefaultLayer, SetupError> {
        Ok(PresentationDefaultLayer {})
    }
}

/// Wraps the rest of the pipeline in [`PresentationDefaultService`].
#[derive(Clone)]
pub struct PresentationDefaultLayer {}

impl Layer<Next> for PresentationDefaultLayer {
    type Service = PresentationDefaultService;

    fn layer(&self, next: Next) -> PresentationDefaultService {
        PresentationDefaultService { next }
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct PresentationDefaultService {
    next: Next,
}

impl Service<Call> for PresentationDefaultService {
    type Response = Reply;
    type Error = Fault;
    type Future = StageFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> StageFuture {
        let made = add_slides(&mut call);
        self.next.pass_if(made, call)
    }
}

fn add_slides(call: &mut Call) -> Result<(), Fault> {
    let frontend = Arc::clone(call.facts.frontend()?);
    let Some(slides) = &frontend.settings.default_presentation else { return Ok(()) };
    if call.kind != CallKind::Create || slides.url.is_empty() {
        return Ok(());
    }
    let given = match &call.body {
        Body::Read(content) => Some(content.bytes.as_ref()),
        Body::None | Body::Ignored(_) | Body::Unread(_) => None,
    };
    let [url, ..] = BY_PARAMETER;
    if slides.force {
        BY_PARAMETER.iter().for_each(|name| call.params.remove(name));
    } else if call.params.first(url).is_some_and(|url| !url.is_empty()) {
        return Ok(());
    }
    let name = filename(&slides.url);
    if given.is_none() && call.params.encode().len() > LONGEST_QUERY {
        // The query will be posted, so there is no place for a body.
        for (parameter, value) in BY_PARAMETER.iter().zip([&slides.url, name]) {
            call.params.set(parameter, value);
        }
        return Ok(());
    }
    let merged = xml::with_presentation(given, &slides.url, name, slides.force)
        .map_err(|error| Fault::UnreadableBody(error.to_string()))?;
    if let Some(bytes) = merged {
        call.body = Body::Read(Content { media: Media::Xml, bytes });
    }
    Ok(())
}

/// The last segment of the URL's path, by which the slides are called in the meeting.
fn filename(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit('/').next() {
        Some(name) if !name.is_empty() => name,
        _ => "slides.pdf",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::DefaultPresentation;
    use crate::memory::Memory;

    async fn body(force: bool, given: Option<&'static str>) -> String {
        let cluster = Memory::new().frontend_with("school", |settings| {
            let url = "https://files.example/a/welcome.pdf?v=1&w=2".to_owned();
            settings.default_presentation = Some(DefaultPresentation { url, force });
        });
        let mut call = cluster.verified(CallKind::Create, "");
        if let Some(xml) = given {
            call.body = Body::Read(Content { media: Media::Xml, bytes: xml.into() });
        }
        let (seen, _) = cluster.through(PresentationDefault {}, call).await;
        let Body::Read(content) = seen.unwrap().body else { panic!("there is a body") };
        String::from_utf8(content.bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn slides_of_a_call_too_long_for_a_body_are_parameters() {
        let cluster = Memory::new().frontend_with("school", |settings| {
            let url = "https://files.example/welcome.pdf".to_owned();
            settings.default_presentation = Some(DefaultPresentation { url, force: false });
        });
        let call = cluster.verified(CallKind::Create, &format!("welcome={}", "x".repeat(9000)));
        let seen = cluster.through(PresentationDefault {}, call).await.0.unwrap();
        assert!(matches!(seen.body, Body::None));
        assert_eq!(seen.params.first("preUploadedPresentationName"), Some("welcome.pdf"));
    }

    const SLIDES: &str =
        r#"<modules><module name="presentation"><document url="u" filename="own.pdf"/></module></modules>"#;
    const CLIENT: &str = r#"<modules><module name="clientSettingsOverride">{}</module></modules>"#;

    #[tokio::test]
    async fn a_call_without_a_body_gets_the_slides() {
        let body = body(false, None).await;
        assert!(body.contains("welcome.pdf?v=1&amp;w=2"));
        assert!(body.contains(r#"filename="welcome.pdf""#));
    }

    #[tokio::test]
    async fn a_call_keeps_slides_of_its_own() {
        assert_eq!(body(false, Some(SLIDES)).await, SLIDES);
    }

    #[tokio::test]
    async fn force_replaces_them() {
        let body = body(true, Some(SLIDES)).await;
        assert!(body.contains("welcome.pdf") && !body.contains("own.pdf"));
    }

    async fn by_parameter(force: bool) -> Call {
        let cluster = Memory::new().frontend_with("school", |settings| {
            let url = "https://files.example/welcome.pdf".to_owned();
            settings.default_presentation = Some(DefaultPresentation { url, force });
        });
        let query = "preUploadedPresentation=https://x.example/own.pdf&preUploadedPresentationName=own.pdf&name=x";
        cluster.through(PresentationDefault {}, cluster.verified(CallKind::Create, query)).await.0.unwrap()
    }

    #[tokio::test]
    async fn slides_that_come_as_a_parameter_are_slides_of_the_calls_own() {
        let kept = by_parameter(false).await;
        assert!(matches!(kept.body, Body::None) && kept.params.first("preUploadedPresentationName") == Some("own.pdf"));
        let forced = by_parameter(true).await;
        assert!(matches!(forced.body, Body::Read(_)));
        assert_eq!(forced.params.encode(), "name=x");
    }

    #[tokio::test]
    async fn a_body_without_slides_keeps_its_one_root() {
        let body = body(false, Some(CLIENT)).await;
        assert!(body.contains("clientSettingsOverride") && body.contains("welcome.pdf"));
        assert_eq!(body.matches("<modules").count(), 1);
    }
}
