//! The `metadata.xml` of a recording, as players want it: they take the recording's id from its `meeting`, which some scripts do not
//! write.

use b3scale_middleware::bbb::xml;
use b3scale_middleware::cluster::{CALLBACK_PATH, Recording};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::shelf::Opened;
use super::file::{Unserved, whole};
use crate::budget::Room;
use crate::offload::PLAYBACK;
use crate::site::escape;

/// The document, from its file if there is a usable one.
///
/// # Errors
/// The shelf cannot be used.
pub(super) async fn document(
    file: Option<Opened>,
    recording: &Recording,
    format: &str,
    room: &mut Room,
) -> Result<Opened, Unserved> {
    let modified = file.as_ref().map_or(recording.updated_at, |file| file.modified);
    let content = match file {
        Some(file) => whole(file, xml::LARGEST_METADATA as u64, room).await?,
        None => None,
    };
    let document = match content {
        Some(content) => {
            // For the changed copy.
            room.grow(content.len())?;
            let meeting = meeting(recording);
            PLAYBACK.work(content.len(), move || with_meeting(&content, &meeting)).await
        }
        None => None,
    };
    let document = document.unwrap_or_else(|| made(recording, format));
    let tag: String = Sha256::digest(&document).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(Opened::of(document, modified, tag))
}

/// The document with that meeting in place of its own, and without our addresses of callbacks: it has many readers. `None`: it is no such
/// document.
fn with_meeting(document: &Bytes, meeting: &str) -> Option<Bytes> {
    let document = &xml::rewrite(document, |_, text| text.contains(CALLBACK_PATH).then(String::new)).ok()?;
    let replaced = xml::replace(document, &["recording", "meeting"], meeting.as_bytes()).ok()?;
    if !xml::elements(&replaced, &["recording", "meeting"]).ok()?.is_empty() {
        return Some(replaced);
    }
    let end = memchr::memmem::rfind(document, b"</recording")?;
    Some([&document[..end], meeting.as_bytes(), &document[end..]].concat().into())
}

/// A document in place of a lost one.
fn made(recording: &Recording, format: &str) -> Bytes {
    let [id, name, meeting_id] = [recording.id.as_str(), &recording.name, &recording.meeting_id].map(text);
    let Recording { start_time, end_time, participants, is_breakout, .. } = recording;
    let duration = recording.formats.iter().find(|each| each.kind == format).map_or(0, |each| each.duration);
    let meeting = meeting(recording);
    Bytes::from(format!(
        "<recording><id>{id}</id><state>published</state><published>true</published><start_time>{start_time}</start_time>\
         <end_time>{end_time}</end_time><participants>{participants}</participants>{meeting}\
         <meta><meetingId>{meeting_id}</meetingId><meetingName>{name}</meetingName><isBreakout>{is_breakout}</isBreakout></meta>\
         <playback><format>{format}</format><duration>{duration}</duration></playback></recording>"
    ))
}

fn meeting(recording: &Recording) -> String {
    let [id, name, meeting_id] = [recording.id.as_str(), &recording.name, &recording.meeting_id].map(text);
    let is_breakout = recording.is_breakout;
    format!("<meeting id=\"{id}\" externalId=\"{meeting_id}\" name=\"{name}\" breakout=\"{is_breakout}\"/>")
}

/// Text as it may stand in XML, attributes included.
fn text(text: &str) -> String {
    escape(&text.replace(|letter: char| letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}'), " "))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use b3scale_middleware::cluster::{RecordId, RecordingState};

    use super::*;
    use crate::budget::{Budget, Owner};

    fn recording() -> Recording {
        Recording {
            id: RecordId::new("a-1").unwrap(),
            frontend: None,
            meeting_id: "m \"1\"".to_owned(),
            internal_meeting_id: "a-1".to_owned(),
            name: "Physics & more\u{1}<b>".to_owned(),
            is_breakout: false,
            state: RecordingState::Published,
            protected: false,
            start_time: 1,
            end_time: 2,
            participants: 3,
            raw_size: 0,
            metadata: std::collections::BTreeMap::default(),
            breakout: None,
            breakout_rooms: Vec::new(),
            formats: Vec::new(),
            epoch: 0,
            created_at: SystemTime::UNIX_EPOCH,
            updated_at: SystemTime::UNIX_EPOCH,
        }
    }

    const MEETING: &str =
        "<meeting id=\"a-1\" externalId=\"m &quot;1&quot;\" name=\"Physics &amp; more &lt;b&gt;\" breakout=\"false\"/>";

    #[test]
    fn a_meeting_is_put_in_or_put_right_and_addresses_of_callbacks_are_emptied() {
        for (before, after) in [
            ("<recording><id>a-1</id></recording>", "<recording><id>a-1</id>MEETING</recording>"),
            ("<recording>\n<meeting id='x'><x/></meeting><y/></recording>\n", "<recording>\nMEETING<y/></recording>\n"),
            (
                "<?xml version='1.0'?><recording ><meeting/></recording >",
                "<?xml version='1.0'?><recording >MEETING</recording >",
            ),
            (
                "<recording><meta><meeting>a</meeting></meta></recording>",
                "<recording><meta><meeting>a</meeting></meta>MEETING</recording>",
            ),
            (
                "<recording><meta><x>https://b3scale.example/api/v1/callbacks/proxy/t</x></meta></recording>",
                "<recording><meta><x></x></meta>MEETING</recording>",
            ),
        ] {
            let document = with_meeting(&Bytes::from_static(before.as_bytes()), &meeting(&recording())).unwrap();
            assert_eq!(std::str::from_utf8(&document).unwrap(), after.replace("MEETING", MEETING));
        }
    }

    #[tokio::test]
    async fn a_lost_or_broken_document_is_made_from_the_record() {
        for content in [None, Some(""), Some("<recording>"), Some("<other/>"), Some("<recording/>")] {
            let file = content
                .map(|content| Opened::of(Bytes::from_static(content.as_bytes()), SystemTime::now(), "t".to_owned()));
            let mut room = Budget::default().room(Owner::Frontend("school".into()));
            let made = document(file, &recording(), "video", &mut room).await.unwrap();
            let made = made.whole(u64::MAX).await.unwrap().unwrap();
            let read = xml::recording(&made).unwrap();
            assert_eq!((&*read.id, &*read.meeting_id, read.start_time, read.participants), ("a-1", "m \"1\"", 1, 3));
            assert!(memchr::memmem::find(&made, MEETING.as_bytes()).is_some());
        }
    }
}
