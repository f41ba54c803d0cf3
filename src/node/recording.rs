//! Recordings that recorded meetings leave: `presentation` and `video`, in the files and the forms of BBB's scripts.

use std::fs;
use std::io;
use std::path::Path;

use super::meeting::Meeting;
use super::xml::escaped;

/// A film of two seconds, and a slide.
const FILM: &[u8] = include_bytes!("recording/webcams.webm");
const SLIDE: &[u8] = include_bytes!("recording/slide.png");

/// A node's name for the presentation of its recordings.
const DECK: &str = "d2d9a672040fbde2a47a10bf6c37b6a4b5ae187f-1700000000000";

/// A recorded meeting that has ended.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    /// The internal id of the meeting, which is the id of its recording.
    pub(super) id: String,
    pub(super) meeting_id: String,
    name: String,
    start: u64,
    end: u64,
    people: usize,
    metadata: Vec<(String, String)>,
    parent: Option<String>,
}

impl Recorded {
    /// The recording of a meeting that ended just now. `None`: it was not recorded.
    pub(super) fn of(meeting: &Meeting, now: u64) -> Option<Self> {
        meeting.record.then(|| Self {
            id: meeting.internal_id.clone(),
            meeting_id: meeting.meeting_id.clone(),
            name: meeting.name.clone(),
            start: meeting.create_time,
            end: now.max(meeting.create_time + 1),
            people: meeting.attendees.len(),
            metadata: meeting.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            parent: meeting.breakout.as_ref().map(|breakout| breakout.parent_internal_id.clone()),
        })
    }
}

impl Recorded {
    /// Metadata of its meeting.
    pub(super) fn meta(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Publishes a recording into a folder such as `/var/bigbluebutton/published`. Each format appears whole, as its last step.
pub(super) fn publish(recorded: &Recorded, folder: &Path) -> io::Result<()> {
    for (format, files) in [("presentation", recorded.presentation()), ("video", recorded.video())] {
        let target = folder.join(format).join(&recorded.id);
        let unfinished = folder.join(format).join(format!(".{}", recorded.id));
        for (path, content) in files {
            let file = unfinished.join(path);
            fs::create_dir_all(file.parent().unwrap_or(&unfinished))?;
            fs::write(file, content)?;
        }
        fs::rename(unfinished, target)?;
    }
    Ok(())
}

impl Recorded {
    fn presentation(&self) -> Vec<(String, Vec<u8>)> {
        let seconds = (self.end - self.start) as f64 / 1000.0;
        let slide = format!("presentation/{DECK}/slide-1.png");
        let shapes = format!(
            "<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             id=\"svgfile\" style=\"position:absolute\" viewBox=\"0 0 160 120\">\n  <image id=\"image1\" class=\"slide\" \
             in=\"0.0\" out=\"{seconds:.1}\" xlink:href=\"{slide}\" width=\"160\" height=\"120\" x=\"0\" y=\"0\" \
             style=\"visibility:hidden\"/>\n</svg>\n"
        );
        let panzooms = "<?xml version=\"1.0\"?>\n<recording id=\"panzoom_events\">\n  <event timestamp=\"0.0\">\n    \
            <viewBox>0.0 0.0 160.0 120.0</viewBox>\n  </event>\n</recording>\n";
        let chat = "<?xml version=\"1.0\"?>\n<popcorn>\n  <chattimeline in=\"0\" direction=\"down\" name=\"Ada\" message=\"Hello\" \
            target=\"chat\"/>\n</popcorn>\n";
        let texts = format!(r#"{{"{DECK}":{{"slide-1":"Welcome"}}}}"#);
        let empty = |root: &str| format!("<?xml version=\"1.0\"?>\n<{root}/>\n");
        let files = [
            ("metadata.xml", self.metadata("presentation")),
            ("shapes.svg", shapes),
            ("panzooms.xml", panzooms.to_owned()),
            ("cursor.xml", empty("recording")),
            ("deskshare.xml", empty("recording")),
            ("slides_new.xml", chat.to_owned()),
            ("presentation_text.json", texts),
            ("captions.json", "[]".to_owned()),
            ("polls.json", "[]".to_owned()),
            ("external_videos.json", "[]".to_owned()),
            ("notes.html", "<p>Homework: read this.</p>".to_owned()),
        ];
        let mut files: Vec<_> = files.map(|(path, text)| (path.to_owned(), text.into_bytes())).into();
        files.push((slide, SLIDE.to_vec()));
        files.push((format!("presentation/{DECK}/thumbnails/thumb-1.png"), SLIDE.to_vec()));
        files.push(("video/webcams.webm".to_owned(), FILM.to_vec()));
        files
    }

    fn video(&self) -> Vec<(String, Vec<u8>)> {
        let page = "<!DOCTYPE html>\n<title>Video</title>\n<video controls src=\"video-0.webm\"></video>\n";
        let files = [("metadata.xml", self.metadata("video").into_bytes()), ("index.html", page.into())];
        let film = ("video-0.webm", FILM.to_vec());
        files.into_iter().chain([film]).map(|(path, content)| (path.to_owned(), content)).collect()
    }

    /// The `metadata.xml` of a format: the scripts differ in state, order and elements.
    fn metadata(&self, format: &str) -> String {
        let Self { id, start, end, people, .. } = self;
        let (meeting_id, name) = (escaped(&self.meeting_id), escaped(&self.name));
        let (is_breakout, state) = (self.parent.is_some(), if format == "video" { "available" } else { "published" });
        let head = format!(
            "  <id>{id}</id>\n  <state>{state}</state>\n  <published>true</published>\n  <start_time>{start}</start_time>\n  \
             <end_time>{end}</end_time>\n  <participants>{people}</participants>\n"
        );
        let own =
            [("meetingId", &meeting_id), ("meetingName", &name)].map(|(key, value)| (key.to_owned(), value.clone()));
        let given = self.metadata.iter().map(|(key, value)| (key.clone(), escaped(value)));
        let own = own.into_iter().chain([("isBreakout".to_owned(), is_breakout.to_string())]);
        let meta: String = own.chain(given).map(|(key, value)| format!("    <{key}>{value}</{key}>\n")).collect();
        let meta = format!("  <meta>\n{meta}  </meta>\n");
        let duration = end - start;
        let playback = |link: &str, more: &str| {
            format!(
                "  <playback>\n    <format>{format}</format>\n    <link>https://node.example/playback/{link}</link>\n    \
                 <processing_time>1200</processing_time>\n    <duration>{duration}</duration>\n    <size>4096</size>\n{more}  \
                 </playback>\n"
            )
        };
        if format == "video" {
            let playback = playback(&format!("video/{id}/"), "");
            return format!(
                "<?xml version=\"1.0\"?>\n<recording>\n{head}{playback}{meta}  <raw_size>8192</raw_size>\n</recording>\n"
            );
        }
        let meeting = format!(
            "  <meeting id=\"{id}\" externalId=\"{meeting_id}\" name=\"{name}\" breakout=\"{is_breakout}\"/>\n"
        );
        let breakout = self.parent.as_ref().map(|parent| {
            format!("  <breakout parentMeetingId=\"{parent}\" sequence=\"1\" meetingId=\"{id}\" freeJoin=\"false\"/>\n")
        });
        let image = format!(
            "    <extensions>\n      <preview><images><image width=\"160\" height=\"120\" alt=\"Welcome\">https://node.example/\
             presentation/{id}/presentation/{DECK}/thumbnails/thumb-1.png</image></images></preview>\n    </extensions>\n"
        );
        let playback = playback(&format!("presentation/2.3/{id}"), &image);
        let breakout = breakout.unwrap_or_default();
        format!("<recording>\n{head}{meeting}{meta}{breakout}{playback}  <raw_size>8192</raw_size>\n</recording>\n")
    }
}
