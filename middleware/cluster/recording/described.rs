//! A recording as its node describes it.

use std::time::SystemTime;

use super::{BreakoutOf, PreviewImage, RecordId, Recording, RecordingFormat, RecordingState};
use crate::bbb::xml::{DocumentError, Playback, RecordingDocument, Thumbnail};

/// The most characters of the name of a format.
const LONGEST_FORMAT: usize = 64;

/// Whether a text can be the name of a format: letters, digits, `-` and `_`, 64 at most.
pub fn is_format(text: &str) -> bool {
    text.len() <= LONGEST_FORMAT && RecordId::new(text).is_some()
}

/// The recording of a `metadata.xml` without a frontend, and its format if it has one.
///
/// # Errors
///
/// The id of the recording or the name of the format cannot be one, as it would not be safe in a path.
pub fn described(document: &RecordingDocument) -> Result<(Recording, Option<RecordingFormat>), DocumentError> {
    let id = RecordId::new(&document.id).ok_or_else(|| unsafe_name("id", &document.id))?;
    let format = document.playback.as_ref().map(|playback| format_of(&id, playback)).transpose()?;
    let breakout = document.parent.as_ref().map(|parent| BreakoutOf {
        parent_id: parent.id.clone(),
        sequence: parent.sequence,
        free_join: parent.free_join,
    });
    let recording = Recording {
        frontend: None,
        meeting_id: document.meeting_id.clone(),
        internal_meeting_id: id.to_string(),
        name: document.name.clone(),
        is_breakout: document.is_breakout,
        state: if document.is_published { RecordingState::Published } else { RecordingState::Unpublished },
        protected: false,
        start_time: document.start_time,
        end_time: document.end_time,
        participants: document.participants,
        raw_size: document.raw_size,
        metadata: document.metadata.clone(),
        breakout,
        breakout_rooms: document.breakout_rooms.clone(),
        formats: Vec::new(),
        epoch: 0,
        created_at: SystemTime::UNIX_EPOCH,
        updated_at: SystemTime::UNIX_EPOCH,
        id,
    };
    Ok((recording, format))
}

impl RecordingFormat {
    /// A format with files alone: its document says nothing of it.
    pub fn bare(id: &RecordId, kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            link: format!("/playback/{kind}/{id}/"),
            processing_time: 0,
            duration: 0,
            size: 0,
            images: Vec::new(),
            extensions: String::new(),
        }
    }
}

fn format_of(id: &RecordId, playback: &Playback) -> Result<RecordingFormat, DocumentError> {
    let kind = playback.format.clone();
    if !is_format(&kind) {
        return Err(unsafe_name("playback/format", &kind));
    }
    let bare = RecordingFormat::bare(id, &kind);
    let link = if playback.link.is_empty() { bare.link } else { playback.link.clone() };
    let image = |Thumbnail { link, alt, width, height }| PreviewImage { link, alt, width, height };
    Ok(RecordingFormat {
        kind,
        link,
        processing_time: playback.processing_time,
        duration: playback.duration,
        size: playback.size,
        images: playback.images.iter().cloned().map(image).collect(),
        extensions: playback.extensions.clone(),
    })
}

fn unsafe_name(element: &'static str, name: &str) -> DocumentError {
    let problem = match name {
        "" => "is missing or empty".to_owned(),
        name => format!("is `{}`: letters, digits, `-` and `_` are wanted", crate::bbb::cut(name)),
    };
    DocumentError::Element { element, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bbb::xml;

    fn read(xml: &str) -> Result<(Recording, Option<RecordingFormat>), DocumentError> {
        described(&xml::recording(xml.as_bytes()).expect(xml))
    }

    #[test]
    fn a_document_becomes_a_recording_without_a_frontend() {
        let xml = "<recording><id>a-1</id><published>false</published><breakout parentMeetingId='p' sequence='3'/>\
            <playback><format>podcast</format><link>https://n/podcast/a-1/audio.ogg</link><size>7</size></playback></recording>";
        let (recording, format) = read(xml).expect("it is usable");
        assert_eq!((recording.frontend, recording.state), (None, RecordingState::Unpublished));
        assert_eq!((recording.id.as_str(), &*recording.internal_meeting_id), ("a-1", "a-1"));
        let breakout = BreakoutOf { parent_id: "p".to_owned(), sequence: 3, free_join: false };
        assert_eq!((recording.is_breakout, recording.breakout), (true, Some(breakout)));
        let format = format.expect("it has a format");
        assert_eq!((&*format.kind, &*format.link, format.size), ("podcast", "/podcast/a-1/audio.ogg", 7));
    }

    #[test]
    fn a_format_without_a_link_gets_one() {
        let (_, format) =
            read("<recording><id>a-1</id><playback><format>x_y</format></playback></recording>").expect("it is usable");
        assert_eq!(format.expect("it has a format").link, "/playback/x_y/a-1/");
    }

    #[test]
    fn names_that_are_not_safe_in_a_path_are_refused() {
        let said = |xml: &str| read(xml).expect_err(xml).to_string();
        let wanted = ": letters, digits, `-` and `_` are wanted";
        assert_eq!(said("<recording><id>../a</id></recording>"), format!("metadata.xml: `id` is `../a`{wanted}"));
        let format = "<recording><id>a</id><playback><format>a/b</format></playback></recording>";
        assert_eq!(said(format), format!("metadata.xml: `playback/format` is `a/b`{wanted}"));
        let none = "<recording><id>a</id><playback/></recording>";
        assert_eq!(said(none), "metadata.xml: `playback/format` is missing or empty");
    }
}
