//! The modules body: presentations and client settings.

use roxmltree::{Document as Tree, Node};

use super::super::meeting::{Document, DocumentSource, Meeting};
use super::super::params::decoded;
use super::{Failure, Params, Reply, Request, Shared, XML, answers, meeting_id};

const SETTINGS: &str = "clientSettingsOverride";

/// The contents of a `<modules>` body.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Modules {
    documents: Vec<Document>,
    client_settings: Option<String>,
}

/// insertDocument: adds the documents of the body to a meeting. The body is read last.
pub(super) fn insert(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let id = meeting_id(&request.params, 1)?;
    let parsed = modules(request);
    shared.change(|state| {
        let unknown = || Failure::Message(format!("Meeting with id [{id}] not found."));
        let meeting = state.find_mut(id).ok_or_else(unknown)?;
        if disabled(&meeting.params) {
            return Err(Failure::Message("Presentation feature is disabled, ignoring.".to_owned()));
        }
        let inserted = parsed?.documents.into_iter().filter(can_be_read);
        meeting.documents.extend(inserted.map(|document| Document { current: false, ..document }));
        Ok(answers::uploading())
    })
}

/// Reads the body; without an XML body there are no modules.
pub(super) fn modules(request: &Request) -> Result<Modules, Failure> {
    match &request.content {
        Some(content) if XML.contains(&content.as_str()) => {
            let text = std::str::from_utf8(&request.body).map_err(|_| Failure::Exception)?;
            parse(text).map_err(|_| Failure::Exception)
        }
        _ => Ok(Modules::default()),
    }
}

/// Gives a fresh meeting its documents: those of the body and of the parameters, else the node's own. A meeting without the
/// feature gets none.
pub(super) fn give(meeting: &mut Meeting, modules: Modules) {
    meeting.client_settings = modules.client_settings;
    if disabled(&meeting.params) {
        return;
    }
    meeting.documents = modules.documents;
    if let Some(url) = meeting.params.given("preUploadedPresentation") {
        let name = meeting.params.given("preUploadedPresentationName").map_or_else(|| file_name(url), str::to_owned);
        meeting.documents.push(Document { name, source: DocumentSource::Url(url.to_owned()), current: false });
    }
    let keeps_default = meeting.params.given("preUploadedPresentationOverrideDefault").is_some()
        && !meeting.params.flag("preUploadedPresentationOverrideDefault");
    if meeting.documents.is_empty() || keeps_default {
        let default = Document { name: "default.pdf".to_owned(), source: DocumentSource::Default, current: false };
        meeting.documents.push(default);
    }
    meeting.documents.retain(can_be_read);
    let current = meeting.documents.iter().position(|document| document.current).unwrap_or(0);
    for (at, document) in meeting.documents.iter_mut().enumerate() {
        document.current = at == current;
    }
}

/// Whether a meeting of these parameters has no presentations. Then its documents are not looked at.
pub(super) fn disabled(params: &Params) -> bool {
    let list = params.given("disabledFeatures").unwrap_or_default();
    list.split(',').any(|feature| feature.trim() == "presentation")
}

/// A node knows a file's type by its extension.
fn can_be_read(document: &Document) -> bool {
    document.name.rsplit_once('.').is_some_and(|(_, extension)| !extension.is_empty())
}

/// Any elements will do: modules are known by their attribute. As on a node, a document type is refused.
fn parse(text: &str) -> Result<Modules, roxmltree::Error> {
    let tree = Tree::parse(text)?;
    let mut found = Modules::default();
    for module in tree.root_element().children() {
        match module.attribute("name").unwrap_or_default() {
            SETTINGS => found.client_settings = Some(content(module)),
            name if name.eq_ignore_ascii_case("presentation") => {
                found.documents.extend(module.children().filter_map(document));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A document by URL, else one with a name and content. Anything else is passed over.
fn document(node: Node<'_, '_>) -> Option<Document> {
    let given = |name| node.attribute(name).filter(|value| !value.is_empty());
    let current = given("current").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if let Some(url) = given("url") {
        let name = given("filename").map_or_else(|| file_name(url), str::to_owned);
        return Some(Document { name, source: DocumentSource::Url(url.to_owned()), current });
    }
    let length = content(node).bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    let name = given("name").filter(|_| length > 0)?.to_owned();
    Some(Document { name, source: DocumentSource::Inline(length), current })
}

fn content(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect()
}

/// The last segment of the path, decoded. No header is looked at, since nothing is fetched here.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    decoded(path.rsplit('/').next().unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_settings_are_read() {
        let body = r#"<modules>
            <module name="presentation">
                <document url="https://files.example/slides.pdf?a=1&amp;b=2" filename="Week 1.pdf" current="true"/>
                <document name="handout.pdf">JVBE
                Ri0xLjQK</document>
                <any url="https://files.example/Erste%20Schritte.pdf" filename=""/>
                <document/>
                <document name="empty.pdf"> </document>
            </module>
            <module name="clientSettingsOverride"><![CDATA[{"public":{}}]]></module>
        </modules>"#;
        let url = "https://files.example/slides.pdf?a=1&b=2".to_owned();
        let encoded = "https://files.example/Erste%20Schritte.pdf".to_owned();
        let expected = Modules {
            documents: vec![
                Document { name: "Week 1.pdf".into(), source: DocumentSource::Url(url), current: true },
                Document { name: "handout.pdf".into(), source: DocumentSource::Inline(12), current: false },
                Document { name: "Erste Schritte.pdf".into(), source: DocumentSource::Url(encoded), current: false },
            ],
            client_settings: Some(r#"{"public":{}}"#.to_owned()),
        };
        assert_eq!(parse(body).expect("well-formed"), expected);
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in [
            " ",
            "no xml",
            "<modules>",
            "<modules></module>",
            "<modules><module></modules>",
            "<modules/><modules/>",
            "<modules/>text",
            "<!DOCTYPE modules><modules/>",
            "<modules>&nbsp;</modules>",
            "<modules>&</modules>",
            "<modules>\u{b}</modules>",
            "<modules>&#11;</modules>",
            "<modules a='1' a='2'/>",
            "<modules a=1/>",
            "<modules a='<'/>",
            "<1modules/>",
            "<x:modules/>",
            "<modules><!-- -- --></modules>",
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
    }
}
