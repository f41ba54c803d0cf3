//! A recording as BBB writes it.

use crate::bbb::xml::{self, Writer};
use crate::cluster::{PreviewImage, Recording, RecordingFormat, RecordingState};

/// Milliseconds in a minute, in which lengths are given.
const MINUTE: i64 = 60_000;

/// Recordings in the order of the list.
pub(super) fn entries(recordings: &[Recording]) -> Vec<u8> {
    recordings.iter().map(entry).collect::<Vec<_>>().concat()
}

fn entry(recording: &Recording) -> bytes::Bytes {
    let published = (recording.state == RecordingState::Published).to_string();
    let entry = Writer::element("recording")
        .field("recordID", recording.id.as_str())
        .field("meetingID", &recording.meeting_id)
        .field("internalMeetingID", &recording.internal_meeting_id)
        .field("name", &recording.name)
        .field("isBreakout", &recording.is_breakout.to_string())
        .field("published", &published)
        .field("protected", &recording.protected.to_string())
        .field("state", recording.state.name())
        .field("startTime", &recording.start_time.to_string())
        .field("endTime", &recording.end_time.to_string())
        .field("participants", &recording.participants.to_string())
        .field("rawSize", &recording.raw_size.to_string());
    let entry = breakouts(metadata(entry, recording), recording);
    let entry = entry.field("size", &recording.size().to_string()).open("playback");
    let entry = recording.formats.iter().fold(entry, format);
    entry.close().field("data", "").finish()
}

/// Its metadata with the tenant's own id of the meeting. Names that cannot be those of elements are left out, and ours are.
fn metadata(entry: Writer, recording: &Recording) -> Writer {
    let shown = recording.metadata.iter().filter(|(name, _)| xml::is_name(name) && !xml::is_ours(name));
    let entry = shown.fold(entry.open("metadata"), |entry, (name, value)| {
        entry.field(name, if name == "meetingId" { &recording.meeting_id } else { value })
    });
    entry.close()
}

fn breakouts(mut entry: Writer, recording: &Recording) -> Writer {
    if let Some(breakout) = &recording.breakout {
        let inside = entry.open("breakout").field("parentId", &breakout.parent_id);
        let inside = inside.field("sequence", &breakout.sequence.to_string());
        entry = inside.field("freeJoin", &breakout.free_join.to_string()).close();
    }
    if !recording.breakout_rooms.is_empty() {
        let rooms = recording.breakout_rooms.iter();
        entry = rooms.fold(entry.open("breakoutRooms"), |entry, room| entry.field("breakoutRoom", room)).close();
    }
    entry
}

fn format(entry: Writer, format: &RecordingFormat) -> Writer {
    let entry = entry
        .open("format")
        .field("type", &format.kind)
        .field("url", &format.link)
        .field("processingTime", &format.processing_time.to_string())
        .field("length", &(format.duration / MINUTE).to_string())
        .field("size", &format.size.to_string());
    preview(entry, &format.images).raw(format.extensions.as_bytes()).close()
}

fn preview(entry: Writer, images: &[PreviewImage]) -> Writer {
    if images.is_empty() {
        return entry;
    }
    let entry = images.iter().fold(entry.open("preview").open("images"), |entry, image| {
        let attributes = [("width", &*image.width), ("height", &image.height), ("alt", &image.alt)];
        entry.field_with("image", &attributes, &image.link)
    });
    entry.close().close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::BreakoutOf;
    use crate::memory::Memory;

    /// The sample of the reference, element by element.
    #[test]
    fn the_elements_are_those_of_bbb_in_its_order() {
        let id = "6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000";
        let cluster = Memory::new().frontend("school", "secret").recording("school", id, |recording| {
            recording.meeting_id = "abc123".to_owned();
            recording.name = "Demo & room".to_owned();
            recording.end_time = recording.start_time + 3_600_000;
            (recording.participants, recording.raw_size) = (3, 7_340_032);
            let metadata = [
                ("meetingId", "scoped"),
                ("gl-listed", "<false>"),
                ("b3s-frontend", "school"),
                ("no name", "x"),
                ("a:b", "x"),
                ("empty", ""),
            ];
            recording.metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            recording.formats.push(RecordingFormat {
                kind: "podcast".to_owned(),
                link: "https://play.example/podcast/a?b&c".to_owned(),
                processing_time: 0,
                duration: 119_999,
                size: 512_000,
                images: Vec::new(),
                extensions: "<extra a=\"1\"/>".to_owned(),
            });
            let image = |alt: &str, height: &str| PreviewImage {
                link: format!("https://play.example/presentation/{id}/thumb-1.png"),
                alt: alt.to_owned(),
                width: "176".to_owned(),
                height: height.to_owned(),
            };
            recording.formats[0].images = vec![image("A \"slide\"", "136"), image("", "")];
        });
        let recording = cluster.recording_named(id);
        let expected = format!(
            "<recording><recordID>{id}</recordID><meetingID>abc123</meetingID><internalMeetingID>{id}</internalMeetingID>\
            <name>Demo &amp; room</name><isBreakout>false</isBreakout><published>true</published><protected>false</protected>\
            <state>published</state><startTime>1700000000000</startTime><endTime>1700003600000</endTime>\
            <participants>3</participants><rawSize>7340032</rawSize>\
            <metadata><empty></empty><gl-listed>&lt;false&gt;</gl-listed><meetingId>abc123</meetingId></metadata>\
            <size>1536000</size><playback>\
            <format><type>presentation</type><url>https://play.example/playback/presentation/2.3/{id}</url>\
            <processingTime>42000</processingTime><length>60</length><size>1024000</size><preview><images>\
            <image width=\"176\" height=\"136\" alt=\"A &quot;slide&quot;\">https://play.example/presentation/{id}/thumb-1.png</image>\
            <image width=\"176\">https://play.example/presentation/{id}/thumb-1.png</image></images></preview></format>\
            <format><type>podcast</type><url>https://play.example/podcast/a?b&amp;c</url><processingTime>0</processingTime>\
            <length>1</length><size>512000</size><extra a=\"1\"/></format></playback><data></data></recording>"
        );
        assert_eq!(String::from_utf8(entries(&[recording])).unwrap(), expected);
    }

    #[test]
    fn a_breakout_names_its_parent_and_a_parent_its_breakouts() {
        let cluster = Memory::new().frontend("school", "secret").recording("school", "r-1", |recording| {
            recording.breakout = Some(BreakoutOf { parent_id: "p-1".to_owned(), sequence: 2, free_join: true });
            recording.breakout_rooms = vec!["b-1".to_owned(), "b-2".to_owned()];
        });
        let text = String::from_utf8(entries(&[cluster.recording_named("r-1")])).unwrap();
        let expected = "</metadata><breakout><parentId>p-1</parentId><sequence>2</sequence><freeJoin>true</freeJoin></breakout>\
            <breakoutRooms><breakoutRoom>b-1</breakoutRoom><breakoutRoom>b-2</breakoutRoom></breakoutRooms><size>";
        assert!(text.contains(expected), "{text}");
    }
}
