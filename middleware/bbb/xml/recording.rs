//! `metadata.xml`: how a node describes one format of a recording.
//!
//! Each script that writes such a file has habits of its own. So only the id is required, elements come in any order, and elements
//! of a future BBB are passed over.

mod link;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use super::events::{Event, Events};
use super::writer::is_name;
use super::{XmlError, printable, taken_by_nodes};
use crate::bbb::cut_at;

/// The most bytes of a `metadata.xml`.
pub const LARGEST_METADATA: usize = 4 << 20;

/// The most bytes of all metadata of a recording, names included.
const MOST_METADATA: usize = 1 << 20;
/// The most thumbnails.
const MOST_IMAGES: usize = 1000;
/// The most bytes of further extensions. Larger ones are dropped.
const MOST_EXTENSIONS: usize = 64 << 10;
/// The most ids of breakouts.
const MOST_ROOMS: usize = 1000;
/// The most characters of a name for people. The rest is cut off.
const LONGEST_NAME: usize = 1024;
/// The most characters of an id.
const LONGEST_ID: usize = 256;
/// The most characters of a value that an error quotes.
const LONGEST_QUOTE: usize = 60;

/// One format of a recording, as its node describes it. Times are in milliseconds since 1970, sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingDocument {
    /// The recording, by the node's own id of the meeting.
    pub id: String,
    /// The meeting, by the id of its create. Without one: the same as `id`.
    pub meeting_id: String,
    /// The name of the meeting. Empty: the node does not know it.
    pub name: String,
    /// Whether the meeting was a breakout.
    pub is_breakout: bool,
    /// Whether the node lets it be played.
    pub is_published: bool,
    /// When the meeting began. Without a statement, the time in the id.
    pub start_time: i64,
    /// When it ended.
    pub end_time: i64,
    /// How many people came.
    pub participants: i64,
    /// The size of the raw material.
    pub raw_size: i64,
    /// Its metadata. Names are names of XML elements.
    pub metadata: BTreeMap<String, String>,
    /// Of a breakout: its parent.
    pub parent: Option<Parent>,
    /// The breakouts of the meeting.
    pub breakout_rooms: Vec<String>,
    /// The format. `None`: the node has not published any.
    pub playback: Option<Playback>,
}

/// The parent of a breakout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// The parent, by the node's own id.
    pub id: String,
    /// The number of the breakout among its siblings.
    pub sequence: i64,
    /// Whether people could choose it by themselves.
    pub free_join: bool,
}

/// A playable format. Durations are in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Playback {
    /// Its name, such as `presentation`.
    pub format: String,
    /// Path and query of its link. Empty: the node gives none.
    pub link: String,
    /// How long the node worked on it.
    pub processing_time: i64,
    /// How long it plays.
    pub duration: i64,
    /// Its size.
    pub size: i64,
    /// Its thumbnails.
    pub images: Vec<Thumbnail>,
    /// Further children of `extensions`, as XML.
    pub extensions: String,
}

/// A thumbnail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thumbnail {
    /// Path and query of its link.
    pub link: String,
    /// Its text.
    pub alt: String,
    /// Its width in pixels, as the node wrote it.
    pub width: String,
    /// Its height in pixels, as the node wrote it.
    pub height: String,
}

/// Why a `metadata.xml` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is larger than [`LARGEST_METADATA`].
    #[error("metadata.xml has more than {} MiB", LARGEST_METADATA >> 20)]
    TooLarge,
    /// It is no XML.
    #[error("metadata.xml: {0}")]
    Xml(#[from] XmlError),
    /// It is about something else.
    #[error("metadata.xml: its root is `{0}`, and `recording` is wanted")]
    Root(String),
    /// An element cannot be used.
    #[error("metadata.xml: `{element}` {problem}")]
    Element {
        /// The path of the element below the root.
        element: &'static str,
        /// The problem, with the value.
        problem: String,
    },
}

impl DocumentError {
    fn of(element: &'static str, problem: impl Into<String>) -> Self {
        Self::Element { element, problem: problem.into() }
    }
}

/// Reads a `metadata.xml`.
///
/// # Errors
///
/// It is too large, no XML, or has an element that cannot be used.
pub fn recording(xml: &[u8]) -> Result<RecordingDocument, DocumentError> {
    if xml.len() > LARGEST_METADATA {
        return Err(DocumentError::TooLarge);
    }
    let xml = printable(&Bytes::copy_from_slice(xml));
    let mut events = Events::new(&xml)?;
    let mut reader = Reader::default();
    while let Some(event) = events.next()? {
        match event {
            Event::Open => reader.open(&events)?,
            Event::Text(text) => reader.text.push_str(&text),
            Event::Close => reader.close(&events, &xml)?,
        }
    }
    reader.finish()
}

/// The parts that have been read.
#[derive(Default)]
struct Reader {
    document: RecordingDocument,
    /// The text of the innermost element, since its last child.
    text: String,
    state: String,
    published: Option<bool>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    external_id: Option<String>,
    name: Option<String>,
    metadata_size: usize,
    image: Thumbnail,
    extension: Range<usize>,
}

impl Reader {
    fn open(&mut self, events: &Events<'_>) -> Result<(), DocumentError> {
        self.text.clear();
        let attribute = |name| events.attribute(name).unwrap_or_default();
        match events.path().names() {
            ["recording"] => {}
            [root] => return Err(DocumentError::Root(quote(root))),
            ["recording", "meeting"] => {
                self.external_id = Some(attribute("externalId")).filter(|id| !id.is_empty());
                self.name = Some(attribute("name"));
                self.document.is_breakout |= is_true(&attribute("breakout"));
            }
            ["recording", "breakout"] => {
                let sequence = number("breakout/@sequence", &attribute("sequence"))?;
                let free_join = is_true(&attribute("freeJoin"));
                let id = attribute("parentMeetingId").trim().to_owned();
                self.document.parent = (!id.is_empty()).then_some(Parent { id, sequence, free_join });
            }
            ["recording", "playback"] => drop(self.document.playback.get_or_insert_default()),
            ["recording", "playback", "extensions", _] => self.extension = events.span(),
            ["recording", "playback", "extensions", "preview", "images", "image"] => {
                let (alt, width, height) = (attribute("alt"), attribute("width"), attribute("height"));
                self.image = Thumbnail { link: String::new(), alt, width, height };
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, events: &Events<'_>, xml: &[u8]) -> Result<(), DocumentError> {
        let text = std::mem::take(&mut self.text);
        match events.path().names() {
            ["recording", field] => self.root_field(field, &text)?,
            ["recording", "meta", name] => self.metadata(name, text)?,
            ["recording", "breakoutRooms", "breakoutRoom"] if self.document.breakout_rooms.len() < MOST_ROOMS => {
                self.document.breakout_rooms.push(text.trim().to_owned());
            }
            ["recording", "playback", rest @ ..] => self.playback(rest, &text, events, xml)?,
            _ => {}
        }
        Ok(())
    }

    fn root_field(&mut self, name: &str, text: &str) -> Result<(), DocumentError> {
        let document = &mut self.document;
        match name {
            "id" => document.id = text.trim().to_owned(),
            "state" => self.state = text.trim().to_owned(),
            "published" => self.published = Some(is_true(text)),
            "start_time" => self.start_time = time("start_time", text)?,
            "end_time" => self.end_time = time("end_time", text)?,
            "participants" => document.participants = number("participants", text)?,
            "raw_size" => document.raw_size = number("raw_size", text)?,
            _ => {}
        }
        Ok(())
    }

    fn metadata(&mut self, name: &str, text: String) -> Result<(), DocumentError> {
        self.metadata_size += name.len() + text.len();
        if self.metadata_size > MOST_METADATA {
            return Err(DocumentError::of("meta", format!("has more than {} KiB", MOST_METADATA >> 10)));
        }
        if is_name(name) {
            self.document.metadata.entry(name.to_owned()).or_insert(text);
        }
        Ok(())
    }

    fn playback(&mut self, path: &[&str], text: &str, events: &Events<'_>, xml: &[u8]) -> Result<(), DocumentError> {
        let playback = self.document.playback.get_or_insert_default();
        match path {
            ["format"] => playback.format = text.trim().to_owned(),
            ["link"] => {
                playback.link = link::path_of(text).map_err(|problem| DocumentError::of("playback/link", problem))?;
            }
            ["processing_time"] => playback.processing_time = number("playback/processing_time", text)?,
            ["duration"] => playback.duration = number("playback/duration", text)?,
            ["size"] => playback.size = number("playback/size", text)?,
            ["extensions", "preview", "images", "image"] => {
                let image = std::mem::take(&mut self.image);
                let link = link::path_of(text).ok().filter(|link| !link.is_empty());
                let link = link.filter(|_| playback.images.len() < MOST_IMAGES);
                playback.images.extend(link.map(|link| Thumbnail { link, ..image }));
            }
            ["extensions", name] if *name != "preview" => {
                let element = &xml[self.extension.start..events.span().end];
                let is_small = playback.extensions.len() + element.len() <= MOST_EXTENSIONS;
                // It stands in answers to frontends as it is.
                let element = Some(element).filter(|element| is_small && taken_by_nodes(element).is_ok());
                playback.extensions.extend(element.and_then(|element| std::str::from_utf8(element).ok()));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<RecordingDocument, DocumentError> {
        let Self { mut document, state, published, start_time, end_time, external_id, name, .. } = self;
        if document.id.is_empty() {
            return Err(DocumentError::of("id", "is missing or empty"));
        }
        let given = |name: &str| document.metadata.get(name).filter(|text| !text.trim().is_empty());
        let meeting_id = given("meetingId").cloned().or(external_id).unwrap_or_else(|| document.id.clone());
        let name = given("meetingName").cloned().or(name).unwrap_or_default();
        let says_breakout = given("isBreakout").is_some_and(|text| is_true(text));
        for (element, id) in [("id", &document.id), ("meta/meetingId", &meeting_id)] {
            if id.chars().nth(LONGEST_ID).is_some() {
                return Err(DocumentError::of(element, format!("has more than {LONGEST_ID} characters")));
            }
        }
        document.is_breakout |= document.parent.is_some() || says_breakout;
        document.is_published = published.unwrap_or_else(|| matches!(&*state, "published" | "available"));
        document.start_time = start_time.or_else(|| time_in(&document.id)).unwrap_or_default();
        document.end_time = end_time.unwrap_or(document.start_time);
        document.meeting_id = meeting_id;
        document.name = cut_at(&name, LONGEST_NAME).into_owned();
        Ok(document)
    }
}

/// The time at the end of a node's own id.
fn time_in(id: &str) -> Option<i64> {
    let (_, time) = id.split_once('-')?;
    time.split('-').next()?.parse().ok()
}

/// A time. Empty: there is none.
fn time(element: &'static str, text: &str) -> Result<Option<i64>, DocumentError> {
    if text.trim().is_empty() { Ok(None) } else { number(element, text).map(Some) }
}

/// A number that is not negative. Empty: 0.
fn number(element: &'static str, text: &str) -> Result<i64, DocumentError> {
    let text = text.trim();
    // Some scripts divide, and write fractions.
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    match whole.parse::<i64>() {
        Ok(number) => Ok(number.max(0)),
        Err(_) if text.is_empty() => Ok(0),
        Err(_) => Err(DocumentError::of(element, format!("is `{}`, and a whole number is wanted", quote(text)))),
    }
}

fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

fn quote(text: &str) -> String {
    cut_at(text, LONGEST_QUOTE).into_owned()
}

#[cfg(test)]
mod tests;
