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
//! The node names the slides in the meeting: by the headers of the download, else by the URL's path, decoded. A
//! setting, `filename`, gives them another name. It is needed where neither has one with an extension, such as `/download?id=7`.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::cluster::DefaultPresentation;
//! use b3scale_middleware::{Body, memory::Memory, presentation_default::PresentationDefault};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend_with("school", |settings| {
//!     let url = "https://files.example/welcome.pdf".to_owned();
//!     settings.default_presentation = Some(DefaultPresentation { url, ..DefaultPresentation::default() });
//! });
//! let (seen, _) = cluster.through(PresentationDefault {}, cluster.verified(CallKind::Create, "")).await;
//! assert!(matches!(seen.expect("it goes on").body, Body::Read(_)));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use serde::Deserialize;

use crate::bbb::{CallKind, Content, Media, xml};
use crate::call::{Body, Call};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::node_request::LONGEST_QUERY;
use crate::ports::Ports;
use crate::stage::{SetupError, Stage, StageLayer, Transform};

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
    type Layer = StageLayer<Self>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams])
    }

    fn layer(self, _: &Ports) -> Result<StageLayer<Self>, SetupError> {
        Ok(StageLayer::new(self))
    }
}

impl Transform for PresentationDefault {
    fn transform(&self, call: &mut Call) -> Result<(), Fault> {
        let frontend = Arc::clone(call.facts.frontend()?);
        let Some(slides) = &frontend.settings.default_presentation else { return Ok(()) };
        if call.kind != CallKind::Create || slides.url.is_empty() {
            return Ok(());
        }
        let given = match &call.body {
            Body::Read(content) => Some(content.bytes.as_ref()),
            Body::None | Body::Ignored(_) | Body::Unread(_) => None,
        };
        let [url, name, _] = BY_PARAMETER;
        if slides.force {
            BY_PARAMETER.iter().for_each(|name| call.params.remove(name));
        } else if call.params.first(url).is_some_and(|url| !url.is_empty()) {
            return Ok(());
        }
        let filename = Some(slides.filename.trim()).filter(|filename| !filename.is_empty());
        if given.is_none() && call.params.encode().len() > LONGEST_QUERY {
            // The query will be posted, so there is no place for a body.
            call.params.set(url, &slides.url);
            call.params.remove(name);
            filename.into_iter().for_each(|filename| call.params.set(name, filename));
            return Ok(());
        }
        let merged = xml::with_presentation(given, &slides.url, filename, slides.force)
            .map_err(|error| Fault::UnreadableBody(error.to_string()))?;
        if let Some(bytes) = merged {
            call.body = Body::Read(Content::new(Media::Xml, bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::DefaultPresentation;
    use crate::memory::Memory;

    fn slides(force: bool) -> DefaultPresentation {
        DefaultPresentation {
            url: "https://files.example/a/%C3%BC.pdf?v=1&w=2".to_owned(),
            force,
            filename: String::new(),
        }
    }

    async fn sent(slides: DefaultPresentation, query: &str, given: Option<&'static str>) -> Call {
        let cluster = Memory::new().frontend_with("school", |settings| settings.default_presentation = Some(slides));
        let mut call = cluster.verified(CallKind::Create, query);
        if let Some(xml) = given {
            call.body = Body::Read(Content::new(Media::Xml, xml));
        }
        cluster.through(PresentationDefault {}, call).await.0.unwrap()
    }

    async fn body(slides: DefaultPresentation, given: Option<&'static str>) -> String {
        let Body::Read(content) = sent(slides, "", given).await.body else { panic!("there is a body") };
        String::from_utf8(content.bytes.to_vec()).unwrap()
    }

    const SLIDES: &str =
        r#"<modules><module name="presentation"><document url="u" filename="own.pdf"/></module></modules>"#;
    const CLIENT: &str = r#"<modules><module name="clientSettingsOverride">{}</module></modules>"#;
    const DOCUMENT: &str = r#"<document url="https://files.example/a/%C3%BC.pdf?v=1&amp;w=2"/>"#;

    #[tokio::test]
    async fn a_call_without_a_body_gets_the_slides_and_the_node_names_them() {
        let expected = format!(r#"<modules><module name="presentation">{DOCUMENT}</module></modules>"#);
        assert_eq!(body(slides(false), None).await, expected);
    }

    #[tokio::test]
    async fn a_setting_names_the_slides() {
        let named = || DefaultPresentation { filename: "Über uns.pdf".to_owned(), ..slides(false) };
        assert!(body(named(), None).await.contains(r#" filename="Über uns.pdf"/>"#));
        let long = format!("welcome={}", "x".repeat(9000));
        let call = sent(named(), &long, None).await;
        assert_eq!(call.params.first("preUploadedPresentationName"), Some("Über uns.pdf"));
    }

    #[tokio::test]
    async fn slides_of_a_call_too_long_for_a_body_are_parameters() {
        let long = format!("welcome={}&preUploadedPresentationName=own.pdf", "x".repeat(9000));
        let call = sent(slides(false), &long, None).await;
        assert!(matches!(call.body, Body::None));
        assert_eq!(call.params.first("preUploadedPresentation"), Some(&*slides(false).url));
        assert_eq!(call.params.first("preUploadedPresentationName"), None, "a name without slides names no others");
    }

    #[tokio::test]
    async fn a_call_keeps_slides_of_its_own() {
        assert_eq!(body(slides(false), Some(SLIDES)).await, SLIDES);
    }

    #[tokio::test]
    async fn force_replaces_them() {
        let body = body(slides(true), Some(SLIDES)).await;
        assert!(body.contains(DOCUMENT) && !body.contains("own.pdf"));
    }

    #[tokio::test]
    async fn slides_that_come_as_a_parameter_are_slides_of_the_calls_own() {
        let query = "preUploadedPresentation=https://x.example/own.pdf&preUploadedPresentationName=own.pdf&name=x";
        for given in [None, Some(CLIENT)] {
            let kept = sent(slides(false), query, given).await;
            let unchanged = given.is_none_or(|xml| matches!(&kept.body, Body::Read(content) if content.bytes == xml));
            assert!(unchanged && kept.params.encode() == query);
            let forced = sent(slides(true), query, given).await;
            assert!(matches!(&forced.body, Body::Read(content) if content.bytes.ends_with(b"</module></modules>")));
            assert_eq!(forced.params.encode(), "name=x");
        }
        let none = sent(slides(false), "preUploadedPresentation=+&name=x", None).await;
        assert!(matches!(none.body, Body::Read(_)), "an empty address brings none");
    }

    #[tokio::test]
    async fn a_body_without_slides_keeps_its_one_root() {
        let body = body(slides(false), Some(CLIENT)).await;
        assert!(body.contains("clientSettingsOverride") && body.contains(DOCUMENT));
        assert_eq!(body.matches("<modules").count(), 1);
    }
}
