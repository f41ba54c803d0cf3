//! Recordings as nodes publish them: real-shaped folders of each format, and archives of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::TestFolder;

/// A PNG of one pixel.
const PIXEL: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\x0f\0\
    \x01\x01\x01\0\x1b\xb6\xeeV\0\0\0\0IEND\xaeB`\x82";

/// A node's folder of published recordings.
pub struct PublishedFolder {
    folder: TestFolder,
}

/// A meeting that was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The node's own id of the meeting, which is the id of the recording.
    pub id: String,
    /// The id by which the meeting was created.
    pub meeting_id: String,
    /// Its name.
    pub name: String,
    /// Whether the node has it published.
    pub published: bool,
    /// Of a breakout: the parent, by the node's own id.
    pub parent: Option<String>,
    /// Further elements of its `meta`.
    pub meta: &'static str,
    /// Goes into the media, so that two contents of one recording differ.
    pub take: u32,
}

impl Recorded {
    /// A meeting with that number among those of a test. Its internal id has the form of a node's.
    pub fn new(number: u64, meeting_id: &str) -> Self {
        Self {
            id: format!("{number:040x}-{}", 1_700_000_000_000 + number),
            meeting_id: meeting_id.to_owned(),
            name: "Physics & more \u{1f9ea}".to_owned(),
            published: true,
            parent: None,
            meta: "",
            take: 1,
        }
    }

    /// The `metadata.xml` of a format, with the habits of the script that writes it.
    pub fn metadata(&self, format: &str) -> String {
        let Self { id, meeting_id, published, .. } = self;
        let name = self.name.replace('&', "&amp;");
        let is_breakout = self.parent.is_some();
        let state = match (published, format) {
            (false, _) => "unpublished",
            (true, "video" | "screenshare") => "available",
            (true, _) => "published",
        };
        let start = id.rsplit('-').next().unwrap();
        let head = format!(
            "<id>{id}</id>\n  <state>{state}</state>\n  <published>{published}</published>\n  <start_time>{start}</start_time>\n  \
             <end_time>{}</end_time>\n  <participants>3</participants>",
            start.parse::<u64>().unwrap() + 3_600_000
        );
        let meeting =
            format!(r#"<meeting id="{id}" externalId="{meeting_id}" name="{name}" breakout="{is_breakout}"/>"#);
        let meta = format!(
            "<meta>\n    <meetingId>{meeting_id}</meetingId>\n    <meetingName>{name}</meetingName>\n    \
             <isBreakout>{is_breakout}</isBreakout>{}\n  </meta>",
            self.meta
        );
        let parent = self.parent.as_ref().map(|parent| {
            format!(r#"<breakout parentMeetingId="{parent}" sequence="1" meetingId="{id}" freeJoin="false"/>"#)
        });
        let parent = parent.unwrap_or_default();
        let playback = self.playback(format);
        match format {
            "video" => format!(
                "<?xml version=\"1.0\"?>\n<recording>\n  {head}\n  {playback}\n  {meta}\n  <raw_size>7340032</raw_size>\n</recording>\n"
            ),
            "screenshare" => {
                format!("<recording>\n  {head}\n  {meeting}\n  {meta}\n  {parent}\n  {playback}\n</recording>\n")
            }
            "statistics" => format!("<recording>\n  {head}\n  {meta}\n  {playback}\n</recording>\n"),
            _ => format!(
                "<recording>\n  {head}\n  {meeting}\n  {meta}\n  {parent}\n  {playback}\n  <raw_size>7340032</raw_size>\n</recording>\n"
            ),
        }
    }

    fn playback(&self, format: &str) -> String {
        let id = &self.id;
        let (path, times, extensions) = match format {
            "presentation" => (
                format!("playback/presentation/2.3/{id}"),
                "<processing_time>42000</processing_time><duration>3600000</duration><size>1024000</size>",
                format!(
                    "<extensions><preview><images><image width=\"176\" height=\"136\" alt=\"Welcome\">https://node.example/\
                     presentation/{id}/presentation/deck/thumbnails/thumb-1.png</image></images></preview></extensions>"
                ),
            ),
            "video" => (
                format!("playback/video/{id}/"),
                "<processing_time>81000</processing_time><duration>3600000</duration><size>52428800</size>",
                String::new(),
            ),
            "podcast" => (format!("podcast/{id}/audio.ogg"), "<duration>3600000</duration>", String::new()),
            "notes" => (format!("notes/{id}/notes.pdf"), "<size>20480</size>", String::new()),
            "screenshare" => (
                format!("recording/screenshare/{id}/"),
                "<processing_time>9000</processing_time><duration>3600000</duration>",
                String::new(),
            ),
            other => (format!("{other}/{id}/"), "", String::new()),
        };
        format!(
            "<playback>\n    <format>{format}</format>\n    <link>\n  https://node.example/{path}\n</link>\n    {times}{extensions}\n  </playback>"
        )
    }

    /// The files of a format but for its `metadata.xml`, with their contents.
    pub fn files(&self, format: &str) -> Vec<(String, Vec<u8>)> {
        let text = |path: &str, content: &str| (path.to_owned(), content.as_bytes().to_vec());
        let media = |path: &str| {
            (path.to_owned(), format!("{format} {} take {}\n", self.id, self.take).repeat(2000).into_bytes())
        };
        let players = ["css/player.css", "js/player.js", "video-js/video.js"].map(|path| text(path, "/* player */"));
        match format {
            "presentation" => {
                let mut files = vec![
                    text("shapes.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
                    text("slides_new.xml", "<popcorn/>"),
                    text("panzooms.xml", "<recording/>"),
                    text("cursor.xml", "<recording/>"),
                    text("deskshare.xml", "<recording/>"),
                    text("presentation_text.json", "{}"),
                    text("captions.json", "[]"),
                    text("notes.html", "<p>notes</p>"),
                    media("video/webcams.webm"),
                ];
                files.extend((1..4).flat_map(|number| {
                    [
                        (format!("presentation/deck/slide-{number}.png"), PIXEL.to_vec()),
                        (format!("presentation/deck/thumbnails/thumb-{number}.png"), PIXEL.to_vec()),
                        (format!("presentation/deck/textfiles/slide-{number}.txt"), b"text".to_vec()),
                    ]
                }));
                files
            }
            "video" => [
                vec![text("index.html", "<video></video>"), media("video-0.m4v"), text("captions.json", "[]")],
                players.to_vec(),
            ]
            .concat(),
            "screenshare" => {
                [vec![text("index.html", "<video></video>"), media("screenshare-0.webm")], players.to_vec()].concat()
            }
            "podcast" => vec![media("audio.ogg")],
            "notes" => vec![text("notes.pdf", "%PDF-1.4")],
            "statistics" => vec![text("index.html", "<h1>statistics</h1>"), text("data.json", "{}")],
            other => panic!("no node publishes {other}"),
        }
    }

    /// An archive of formats, as nodes of scalelite send them.
    pub fn archive(&self, formats: &[&str]) -> Vec<u8> {
        let published = PublishedFolder::new();
        formats.iter().for_each(|format| drop(published.publish(self, format)));
        published.archive(&[self], formats)
    }
}

impl PublishedFolder {
    /// All formats that a node may publish.
    pub const FORMATS: [&str; 6] = ["presentation", "video", "podcast", "notes", "screenshare", "statistics"];

    /// An empty one.
    pub fn new() -> Self {
        Self { folder: TestFolder::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Publishes a format, in place of an earlier one. Returns its folder.
    pub fn publish(&self, recorded: &Recorded, format: &str) -> PathBuf {
        publish(self.path(), recorded, format)
    }

    /// An archive of all these formats.
    pub fn archive(&self, recordings: &[&Recorded], formats: &[&str]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        tar.follow_symlinks(false);
        for recorded in recordings {
            for format in formats {
                let name = format!("{format}/{}", recorded.id);
                tar.append_dir_all(&name, self.path().join(&name)).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }
}

impl Default for PublishedFolder {
    fn default() -> Self {
        Self::new()
    }
}

/// The folders of a cluster with recordings.
pub struct RecordingFolders {
    folder: TestFolder,
}

impl RecordingFolders {
    /// New ones.
    pub fn new() -> Self {
        let folder = TestFolder::new();
        for name in ["published", "unpublished", "inbox", "spool"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// One of them: `published`, `unpublished`, `deleted`, `inbox`, `spool`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The variables of a server with these folders.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name| self.path(name).display().to_string();
        vec![
            ("B3SCALE_RECORDINGS_PUBLISHED_PATH", path("published")),
            ("B3SCALE_RECORDINGS_UNPUBLISHED_PATH", path("unpublished")),
            ("B3SCALE_RECORDINGS_INBOX_PATH", path("inbox")),
            ("B3SCALE_RECORDINGS_SPOOL_PATH", path("spool")),
            ("B3SCALE_RECORDINGS_KEEP_FREE", "1".to_owned()),
        ]
    }

    /// Panics unless all files of a format lie in a tree as the node had them.
    pub fn hold(&self, tree: &str, recorded: &Recorded, format: &str) {
        let folder = self.path(tree).join(format).join(&recorded.id);
        for (path, content) in recorded.files(format) {
            let placed = fs::read(folder.join(&path)).unwrap_or_else(|error| panic!("{format}/{path}: {error}"));
            assert!(placed == content, "{format}/{path} has another content");
        }
        assert_eq!(fs::read_to_string(folder.join("metadata.xml")).unwrap(), recorded.metadata(format));
    }

    /// The whole chunks of uploads and claimed archives that are in the inbox.
    pub fn chunks(&self) -> Vec<PathBuf> {
        let imports = fs::read_dir(self.path("inbox/.b3scale-arrivals")).into_iter().flatten();
        let chunks = imports.flat_map(|import| fs::read_dir(import.unwrap().path()).into_iter().flatten());
        let mut chunks: Vec<_> = chunks.map(|chunk| chunk.unwrap().path()).collect();
        chunks.retain(|chunk| !chunk.to_string_lossy().contains('#'));
        chunks.sort();
        chunks
    }
}

impl Default for RecordingFolders {
    fn default() -> Self {
        Self::new()
    }
}

/// Publishes a format below any folder, in place of an earlier one.
pub fn publish(dir: &Path, recorded: &Recorded, format: &str) -> PathBuf {
    let folder = dir.join(format).join(&recorded.id);
    let _ = fs::remove_dir_all(&folder);
    for (path, content) in recorded.files(format) {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    fs::write(folder.join("metadata.xml"), recorded.metadata(format)).unwrap();
    folder
}
