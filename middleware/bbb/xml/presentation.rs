//! The body of `create`, which brings a meeting's slides.

use bytes::Bytes;

use super::XmlError;
use super::events::{Event, Events};
use super::rewrite::{Edit, apply};
use super::writer::escape;

/// Puts slides into the body of a `create` that brings none, or with `force` in the place of those it brings. Without a file name
/// the node takes one from where it fetches them.
///
/// The rest of the body stays as it is. `None`: the body is sent unchanged.
///
/// # Errors
///
/// The body is not well-formed and complete. A node would create the meeting and then fail.
pub fn with_presentation(
    body: Option<&[u8]>,
    url: &str,
    filename: Option<&str>,
    force: bool,
) -> Result<Option<Bytes>, XmlError> {
    let filename = filename.map(|name| format!(r#" filename="{}""#, escape(name))).unwrap_or_default();
    let document = format!(r#"<document url="{}"{filename}/>"#, escape(url));
    let module = format!(r#"<module name="presentation">{document}</module>"#);
    let Some(body) = body.filter(|body| !body.trim_ascii().is_empty()) else {
        return Ok(Some(format!("<modules>{module}</modules>").into()));
    };
    let Modules { has_document, replacements, addition } = Modules::read(body, &document, &module)?;
    if has_document && !force {
        return Ok(None);
    }
    let edits = if replacements.is_empty() { addition } else { replacements };
    Ok(Some(apply(body, edits)))
}

/// The contents of a body, and possible edits.
#[derive(Default)]
struct Modules {
    has_document: bool,
    replacements: Vec<Edit>,
    addition: Vec<Edit>,
}

impl Modules {
    fn read(body: &[u8], document: &str, module: &str) -> Result<Self, XmlError> {
        let mut modules = Self::default();
        let (mut presentation, mut is_named) = (None, false);
        let mut events = Events::new(body)?;
        while let Some(event) = events.next()? {
            let given = |name| events.attribute(name).filter(|value| !value.is_empty());
            match (event, events.path().depth()) {
                // Like BBB, this goes by the attribute and not by the element's name.
                (Event::Open, 2) if given("name").is_some_and(|name| name.eq_ignore_ascii_case("presentation")) => {
                    presentation = Some(events.span().end);
                }
                // BBB skips a document with neither an address nor a name with content.
                (Event::Open, 3) if presentation.is_some() => {
                    modules.has_document |= given("url").is_some();
                    is_named = given("name").is_some();
                }
                (Event::Text(text), 3) => modules.has_document |= is_named && !text.trim().is_empty(),
                (Event::Close, 3) => is_named = false,
                (Event::Close, 2) => {
                    if let Some(start) = presentation.take() {
                        let content = if modules.replacements.is_empty() { document } else { "" };
                        modules.replacements.push(Edit::fill(&events, start, content));
                    }
                }
                (Event::Close, 1) => modules.addition.push(Edit::fill(&events, events.span().start, module)),
                _ => {}
            }
        }
        Ok(modules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"<document url="https://files.example/a?b=1&amp;c=2" filename="&lt;a&gt;.pdf"/>"#;
    const SETTINGS: &str = r#"<module name="clientSettingsOverride"><![CDATA[{"public":{}}]]></module>"#;

    fn slides(body: &str, force: bool) -> Option<String> {
        let url = "https://files.example/a?b=1&c=2";
        let out = with_presentation(Some(body.as_bytes()), url, Some("<a>.pdf"), force).expect(body)?;
        Some(String::from_utf8(out.to_vec()).expect("UTF-8"))
    }

    #[test]
    fn no_body_becomes_one_with_slides() {
        let expected = format!(r#"<modules><module name="presentation">{DOCUMENT}</module></modules>"#);
        assert_eq!(slides("", false), Some(expected.clone()));
        assert_eq!(slides(" \r\n", true), Some(expected));
        let none = with_presentation(None, "u", None, false).expect("no body").expect("a new body");
        assert_eq!(none, r#"<modules><module name="presentation"><document url="u"/></module></modules>"#);
    }

    #[test]
    fn a_body_with_slides_stays_unless_forced() {
        let body = |slides: &str| {
            format!(
                "<?xml version='1.0'?><modules>\n{SETTINGS}<module name='presentation'>{slides}</module></modules>\n"
            )
        };
        let own = body("<document name='a.pdf'>JVBERi0=</document><document url='x'/>");
        assert_eq!(slides(&own, false), None);
        assert_eq!(slides(&own, true), Some(body(DOCUMENT)));
    }

    #[test]
    fn a_module_without_slides_is_filled() {
        let body = |slides: &str| format!("<modules><module name='presentation'>{slides}</module></modules>");
        let filled = Some(body(DOCUMENT));
        assert_eq!(slides("<modules><module name='presentation'/></modules>", false), filled);
        for nothing in
            ["\n", "<document/>", "<document url=''>JVBERi0=</document>", "<document name='a.pdf'> </document>"]
        {
            assert_eq!(slides(&body(nothing), false), filled, "{nothing}");
        }
        for own in
            ["<document url='x'/>", "<any name='a.pdf'>JVBERi0=</any>", "<document name='a'><![CDATA[x]]></document>"]
        {
            assert_eq!(slides(&body(own), false), None, "{own}");
        }
        assert_eq!(slides(&body("<document url='x'/>").replace("presentation", "Presentation"), false), None);
    }

    #[test]
    fn a_body_of_other_modules_keeps_them() {
        let module = format!(r#"<module name="presentation">{DOCUMENT}</module>"#);
        assert_eq!(
            slides(&format!("<modules>{SETTINGS}\n</modules>"), false),
            Some(format!("<modules>{SETTINGS}\n{module}</modules>"))
        );
        assert_eq!(slides("<modules a='1'/>", false), Some(format!("<modules a='1'>{module}</modules>")));
    }

    #[test]
    fn with_force_only_the_first_presentation_module_has_slides() {
        let body = "<m><module name='presentation'/><module name='presentation'><document url='x'/></module></m>";
        let expected =
            format!("<m><module name='presentation'>{DOCUMENT}</module><module name='presentation'></module></m>");
        assert_eq!(slides(body, true), Some(expected));
    }

    #[test]
    fn a_broken_body_is_an_error() {
        for body in ["<modules>", "<modules/><modules/>", "x", "<modules><module name='a' name='b'/></modules>"] {
            with_presentation(Some(body.as_bytes()), "u", None, true).expect_err(body);
        }
    }
}
