//! The modules body: presentations and client settings.

use quick_xml::errors::IllFormedError;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::super::meeting::{Document, DocumentSource, Meeting};
use super::{Failure, Reply, Request, Shared, XML, answers, meeting_id};

const SETTINGS: &str = "clientSettingsOverride";

/// What a `<modules>` body brings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Modules {
    documents: Vec<Document>,
    client_settings: Option<String>,
}

/// insertDocument: adds the documents of the body to a meeting.
pub(super) fn insert(shared: &Shared, request: &Request) -> Result<Reply, Failure> {
    let id = meeting_id(&request.params, 1)?;
    let modules = modules(request)?;
    shared.change(|state| {
        let unknown = || Failure::Message(format!("Meeting with id [{id}] not found."));
        let meeting = state.find_mut(id).ok_or_else(unknown)?;
        if disabled(meeting) {
            return Err(Failure::Message("Presentation feature is disabled, ignoring.".to_owned()));
        }
        let inserted = modules.documents.into_iter().map(|document| Document { current: false, ..document });
        meeting.documents.extend(inserted);
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

/// Gives a fresh meeting its documents: those of the body, else the node's own.
pub(super) fn give(meeting: &mut Meeting, modules: Modules) {
    meeting.client_settings = modules.client_settings;
    if disabled(meeting) {
        return;
    }
    meeting.documents = modules.documents;
    if let Some(url) = meeting.params.given("preUploadedPresentation") {
        let name = meeting.params.given("preUploadedPresentationName").unwrap_or_else(|| file_name(url)).to_owned();
        meeting.documents.push(Document { name, source: DocumentSource::Url(url.to_owned()), current: false });
    }
    let keeps_default = meeting.params.given("preUploadedPresentationOverrideDefault").is_some()
        && !meeting.params.flag("preUploadedPresentationOverrideDefault");
    if meeting.documents.is_empty() || keeps_default {
        let default = Document { name: "default.pdf".to_owned(), source: DocumentSource::Default, current: false };
        meeting.documents.push(default);
    }
    let current = meeting.documents.iter().position(|document| document.current).unwrap_or(0);
    for (at, document) in meeting.documents.iter_mut().enumerate() {
        document.current = at == current;
    }
}

fn disabled(meeting: &Meeting) -> bool {
    let list = meeting.params.given("disabledFeatures").unwrap_or_default();
    list.split(',').any(|feature| feature.trim() == "presentation")
}

/// Any root will do: modules are known by their names. Documents without a source are ignored.
fn parse(text: &str) -> Result<Modules, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    let mut reading = Reading::default();
    loop {
        match reader.read_event()? {
            Event::Start(tag) => {
                reading.open.push(tag.name().0.to_owned());
                reading.begin(&tag)?;
            }
            Event::Empty(tag) => {
                reading.begin(&tag)?;
                reading.end(tag.name().0);
            }
            Event::End(tag) => {
                reading.open.pop();
                reading.end(tag.name().0);
            }
            Event::Text(text) => reading.text(&text),
            Event::CData(text) => reading.text(&text),
            Event::GeneralRef(entity) => reading.text(resolve_xml_entity(&entity).unwrap_or_default()),
            Event::Eof => return reading.finish(),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// Where the parser is, and what it has found.
#[derive(Default)]
struct Reading {
    open: Vec<String>,
    rooted: bool,
    module: String,
    document: Option<Document>,
    found: Modules,
}

impl Reading {
    fn begin(&mut self, tag: &BytesStart<'_>) -> Result<(), quick_xml::Error> {
        self.rooted = true;
        match tag.name().0 {
            "module" => {
                self.module = attribute(tag, "name")?.unwrap_or_default();
                if self.module == SETTINGS {
                    self.found.client_settings = Some(String::new());
                }
            }
            "document" if self.module == "presentation" => self.document = document(tag)?,
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(Document { source: DocumentSource::Inline(bytes), .. }) = &mut self.document {
            *bytes += text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        } else if self.module == SETTINGS {
            self.found.client_settings.get_or_insert_default().push_str(text);
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "module" => self.module.clear(),
            "document" => {
                let document = self.document.take().filter(|document| document.source != DocumentSource::Inline(0));
                self.found.documents.extend(document);
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Result<Modules, quick_xml::Error> {
        match self.open.pop() {
            Some(tag) => Err(IllFormedError::MissingEndTag(tag).into()),
            None if !self.rooted => Err(IllFormedError::MissingEndTag("modules".to_owned()).into()),
            None => Ok(self.found),
        }
    }
}

/// A document by URL, else one whose content is still to come, when it has a name.
fn document(tag: &BytesStart<'_>) -> Result<Option<Document>, quick_xml::Error> {
    let current = attribute(tag, "current")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if let Some(url) = attribute(tag, "url")?.filter(|url| !url.is_empty()) {
        let name = attribute(tag, "filename")?.unwrap_or_else(|| file_name(&url).to_owned());
        return Ok(Some(Document { name, source: DocumentSource::Url(url), current }));
    }
    let name = attribute(tag, "name")?.filter(|name| !name.is_empty());
    Ok(name.map(|name| Document { name, source: DocumentSource::Inline(0), current }))
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, quick_xml::Error> {
    let attribute = tag.try_get_attribute(name)?;
    attribute.map(|attribute| Ok(attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned())).transpose()
}

/// The last segment of the path.
fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').next().unwrap_or(path)
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
                <document/>
            </module>
            <module name="clientSettingsOverride"><![CDATA[{"public":{}}]]></module>
        </modules>"#;
        let url = "https://files.example/slides.pdf?a=1&b=2".to_owned();
        let expected = Modules {
            documents: vec![
                Document { name: "Week 1.pdf".into(), source: DocumentSource::Url(url), current: true },
                Document { name: "handout.pdf".into(), source: DocumentSource::Inline(12), current: false },
            ],
            client_settings: Some(r#"{"public":{}}"#.to_owned()),
        };
        assert_eq!(parse(body).expect("well-formed"), expected);
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in ["<modules>", "<modules><module></modules>", "no xml", "<modules></module>"] {
            assert!(parse(body).is_err(), "{body}");
        }
    }
}
