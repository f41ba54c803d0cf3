//! A reader of events that accepts whole, well-formed documents only.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::errors::{Error, SyntaxError};
use quick_xml::escape::unescape;
use quick_xml::events::attributes::{Attribute, Attributes};
use quick_xml::events::{BytesRef, BytesStart, Event as Raw};
use quick_xml::reader::Reader;

use super::{Problem, XmlError};

/// How deep elements may nest. BBB's deepest answer has nine levels.
pub const MAX_DEPTH: usize = 64;

/// How many attributes an element may have. Each is compared with all before it.
const MAX_ATTRIBUTES: usize = 64;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The parts of a document. Comments and processing instructions are skipped.
#[derive(Debug)]
pub(super) enum Event<'d> {
    /// An element starts. [`Events::path`] ends with its name.
    Open,
    /// A piece of the element's text, decoded. There may be several in a row.
    Text(Cow<'d, str>),
    /// The element at the end of [`Events::path`] is complete.
    Close,
}

/// The names of the elements around a place, from the root down.
#[derive(Debug, Default)]
pub struct Path<'d>(Vec<&'d str>);

impl Path<'_> {
    /// The name of the element itself.
    pub fn last(&self) -> &str {
        self.0.last().copied().unwrap_or_default()
    }

    /// Whether these are the names, all of them.
    pub fn is(&self, names: &[&str]) -> bool {
        self.0 == names
    }

    /// How many names there are; the root's path has one.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The names, from the root down.
    pub fn names(&self) -> &[&str] {
        &self.0
    }
}

/// Reads a document event by event.
pub(super) struct Events<'d> {
    document: &'d str,
    reader: Reader<&'d [u8]>,
    skipped: usize,
    path: Path<'d>,
    span: Range<usize>,
    self_closed: bool,
    rest: Rest,
    rooted: bool,
}

/// Work left by the last event, done before the next is read.
enum Rest {
    Nothing,
    Close,
    Leave,
}

impl<'d> Events<'d> {
    pub(super) fn new(document: &'d [u8]) -> Result<Self, XmlError> {
        let document =
            std::str::from_utf8(document).map_err(|error| XmlError::new(Problem::NotUtf8, error.valid_up_to()))?;
        // The reader would skip a byte order mark without counting it.
        let text = document.trim_start_matches(BYTE_ORDER_MARK);
        let mut reader = Reader::from_str(text);
        reader.config_mut().enable_all_checks(true);
        Ok(Self {
            document,
            reader,
            skipped: document.len() - text.len(),
            path: Path::default(),
            span: 0..0,
            self_closed: false,
            rest: Rest::Nothing,
            rooted: false,
        })
    }

    /// The next event, or None at the end of a complete document.
    pub(super) fn next(&mut self) -> Result<Option<Event<'d>>, XmlError> {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Close => {
                self.rest = Rest::Leave;
                return Ok(Some(Event::Close));
            }
            Rest::Leave => {
                self.path.0.pop();
            }
            Rest::Nothing => {}
        }
        loop {
            let start = self.position();
            let raw = self.reader.read_event().map_err(|error| self.unreadable(&error))?;
            self.span = start..self.position();
            if matches!(raw, Raw::Eof) {
                return if self.rooted && self.path.0.is_empty() {
                    Ok(None)
                } else {
                    Err(self.fail(Problem::Truncated))
                };
            }
            if let Some(event) = self.accept(raw)? {
                return Ok(Some(event));
            }
        }
    }

    /// The elements around the event, its own included.
    pub(super) fn path(&self) -> &Path<'d> {
        &self.path
    }

    /// Where the event stands in the document. Both events of an element of the form `<x/>` stand at its tag.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether the element that has just opened or closed is of the form `<x/>`.
    pub(super) fn is_self_closed(&self) -> bool {
        self.self_closed
    }

    /// An attribute of the element that has just opened.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        self.attributes().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The attributes of the element that has just opened: names, and values decoded.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'d str, String)> {
        let tag = &self.document[self.span.start + 1..self.span.end - 1 - usize::from(self.self_closed)];
        // They have been read before, so that none is left out here.
        Attributes::new(tag, self.path.last().len()).filter_map(|attribute| {
            let Attribute { key, value } = attribute.ok()?;
            Some((key.into_inner(), unescape(&value).ok()?.into_owned()))
        })
    }

    fn accept(&mut self, raw: Raw<'d>) -> Result<Option<Event<'d>>, XmlError> {
        match raw {
            Raw::Start(tag) => self.open(&tag, false).map(Some),
            Raw::Empty(tag) => self.open(&tag, true).map(Some),
            Raw::End(_) => {
                self.self_closed = false;
                self.rest = Rest::Leave;
                Ok(Some(Event::Close))
            }
            Raw::Text(text) => self.text(text.into_inner()),
            Raw::CData(text) => self.text(text.into_inner()),
            Raw::GeneralRef(entity) => {
                let char = self.resolve(&entity)?;
                self.text(Cow::Owned(char.into()))
            }
            Raw::DocType(_) => Err(self.fail(Problem::DocType)),
            Raw::Comment(_) | Raw::PI(_) | Raw::Decl(_) | Raw::Eof => Ok(None),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>, self_closed: bool) -> Result<Event<'d>, XmlError> {
        let name_start = self.span.start + 1;
        let name = &self.document[name_start..name_start + tag.name().as_ref().len()];
        // Otherwise names are taken as they are: BBB makes names of what clients send as metadata.
        if name.is_empty() || name.contains(['<', '&', '"', '\'', '=', '/']) {
            return Err(self.malformed("an element has no proper name"));
        }
        if self.path.0.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(self.malformed("there is a second root"));
        }
        if self.path.0.len() == MAX_DEPTH {
            return Err(self.fail(Problem::TooDeep));
        }
        for (index, attribute) in tag.attributes().enumerate() {
            if index == MAX_ATTRIBUTES {
                return Err(self.malformed("an element has too many attributes"));
            }
            let value = attribute.map_err(|error| self.malformed(&error.to_string()))?.value;
            unescape(&value).map_err(|error| self.malformed(&error.to_string()))?;
            if value.contains('<') {
                return Err(self.malformed("an attribute has a `<`"));
            }
        }
        self.path.0.push(name);
        self.self_closed = self_closed;
        if self_closed {
            self.rest = Rest::Close;
        }
        Ok(Event::Open)
    }

    fn text(&self, text: Cow<'d, str>) -> Result<Option<Event<'d>>, XmlError> {
        if !self.path.0.is_empty() {
            return Ok(Some(Event::Text(text)));
        }
        let is_space = text.bytes().all(|byte| byte.is_ascii_whitespace());
        if is_space { Ok(None) } else { Err(self.malformed("there is text outside the root")) }
    }

    fn resolve(&self, entity: &BytesRef<'_>) -> Result<char, XmlError> {
        let char = match &**entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => entity.resolve_char_ref().ok().flatten(),
        };
        char.ok_or_else(|| self.fail(Problem::Entity(excerpt(entity))))
    }

    fn position(&self) -> usize {
        self.skipped + usize::try_from(self.reader.buffer_position()).unwrap_or(self.document.len())
    }

    fn fail(&self, problem: Problem) -> XmlError {
        XmlError::new(problem, self.span.start)
    }

    fn malformed(&self, reason: &str) -> XmlError {
        self.fail(Problem::Malformed(excerpt(reason)))
    }

    fn unreadable(&self, error: &Error) -> XmlError {
        let problem = match error {
            Error::Syntax(SyntaxError::InvalidBangMarkup) => Problem::Malformed(error.to_string()),
            Error::Syntax(_) => Problem::Truncated,
            _ => Problem::Malformed(excerpt(&error.to_string())),
        };
        XmlError::new(problem, self.skipped + usize::try_from(self.reader.error_position()).unwrap_or_default())
    }
}

/// Enough of a text to recognise it by. A document may hold names of any length.
fn excerpt(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests;
