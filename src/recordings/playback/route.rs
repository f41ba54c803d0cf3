//! Which part of playback a path asks for.
//!
//! A path is decoded once and split into segments, and the parts that these name are served: no later step reads the path. A path
//! that another program on its way could read otherwise asks for nothing: empty segments, dots, encoded slashes, control signs.

use b3scale_middleware::cluster::RecordId;
use percent_encoding::percent_decode_str;

use super::super::shelf::{FilePath, FormatKey};
use super::super::tickets::Tickets;

/// The formats with a path of their own.
pub(in crate::recordings) const KNOWN: [&str; 6] =
    ["presentation", "video", "podcast", "notes", "screenshare", "statistics"];

/// The first segments of paths of all formats.
pub(in crate::recordings) const SHARED: [&str; 2] = ["playback", "recording"];

/// The version of the player that plays recordings of all versions.
const VERSION: &str = "2.3";

/// The versions that it replaces.
const OLD_VERSIONS: [&str; 3] = ["0.81", "0.9.0", "2.0"];

/// The part of playback that a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::recordings) enum Route {
    /// A link of a list, with its ticket.
    Link(FormatKey, String),
    /// The player's page, for a recording.
    Player(RecordId),
    /// A file of the player.
    PlayerFile(FilePath),
    /// The page of an older player. Its query names the recording.
    OldPlayer,
    /// A file of a recording.
    File(Target),
}

/// A file of a recording, as a path names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::recordings) struct Target {
    /// The format.
    pub(in crate::recordings) key: FormatKey,
    /// The ticket in front of the recording.
    pub(in crate::recordings) ticket: Option<String>,
    /// The file. `None`: the recording's own page.
    pub(in crate::recordings) path: Option<FilePath>,
    /// Whether a slash ends the path. Relative links of a page need it.
    pub(in crate::recordings) is_folder: bool,
}

impl Route {
    /// The part that a path asks for, as it stands in a request line. `None`: there is none.
    pub(in crate::recordings) fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let (path, is_folder) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
        let decoded = path.split('/').map(segment).collect::<Option<Vec<_>>>()?;
        let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match &segments[..] {
            ["playback", "ticket", ticket, format, record] if !is_folder => {
                Some(Self::Link(key(record, format)?, (*ticket).to_owned()))
            }
            ["playback", "presentation", "playback.html"] => Some(Self::OldPlayer),
            ["playback", "presentation", version, "playback.html"] if OLD_VERSIONS.contains(version) => {
                Some(Self::OldPlayer)
            }
            ["playback", "presentation", version, rest @ ..] if *version == VERSION => Self::player(rest, is_folder),
            ["playback", "ticket", ..] | [] => None,
            ["playback", format, rest @ ..]
            | ["recording", format @ "screenshare", rest @ ..]
            | [format, rest @ ..] => Some(Self::File(target(format, rest, is_folder)?)),
        }
    }

    fn player(rest: &[&str], is_folder: bool) -> Option<Self> {
        match rest {
            [record] if RecordId::new(record).is_some() => RecordId::new(record).map(Self::Player),
            [] => None,
            _ if is_folder => None,
            _ => FilePath::new(&rest.join("/")).map(Self::PlayerFile),
        }
    }
}

fn target(format: &str, rest: &[&str], is_folder: bool) -> Option<Target> {
    let (ticket, rest) = match rest {
        [ticket, rest @ ..] if Tickets::is_like(ticket) => (Some((*ticket).to_owned()), rest),
        rest => (None, rest),
    };
    let (record, rest) = rest.split_first()?;
    let path = if rest.is_empty() { None } else { Some(FilePath::new(&rest.join("/"))?) };
    // A folder inside a recording has no page.
    let is_usable = path.is_none() || !is_folder;
    is_usable.then_some(Target { key: key(record, format)?, ticket, path, is_folder })
}

fn key(record: &str, format: &str) -> Option<FormatKey> {
    FormatKey::new(&RecordId::new(record)?, format)
}

/// A decoded segment, if all programs read it alike.
fn segment(encoded: &str) -> Option<String> {
    let decoded = percent_decode_str(encoded).decode_utf8().ok()?;
    let is_plain = !decoded.contains('/') && FilePath::new(&decoded).is_some();
    is_plain.then(|| decoded.into_owned())
}

/// The page of a presentation in the player.
pub(in crate::recordings) fn player(record: &RecordId) -> String {
    format!("/playback/presentation/{VERSION}/{record}")
}

/// The path of a link of a list.
pub(in crate::recordings) fn link(key: &FormatKey, ticket: &str) -> String {
    format!("/playback/ticket/{ticket}/{}/{}", key.format(), key.record())
}

/// The folder of a format's files, for a page with links to them.
pub(in crate::recordings) fn folder(key: &FormatKey, ticket: Option<&str>) -> String {
    let prefix = match key.format() {
        "presentation" => "/presentation",
        "screenshare" => "/recording/screenshare",
        format => &format!("/playback/{format}"),
    };
    let ticket = ticket.map(|ticket| format!("{ticket}/")).unwrap_or_default();
    format!("{prefix}/{ticket}{}/", key.record())
}

/// A stored link as a path that is served on any host: formats without a path of their own are below `/playback`.
pub(in crate::recordings) fn served(link: &str) -> String {
    let path = link.trim_start_matches('/');
    let first = path.split(['/', '?']).next().unwrap_or_default();
    if SHARED.contains(&first) || KNOWN.contains(&first) { format!("/{path}") } else { format!("/playback/{path}") }
}

/// A stored link with a ticket in front of the recording. A link that does not name it leads to its page.
pub(in crate::recordings) fn with_ticket(link: &str, key: &FormatKey, ticket: &str) -> String {
    let record = format!("/{}", key.record());
    match served(link).split_once(&record) {
        Some((prefix, rest)) if rest.is_empty() || rest.starts_with('/') => format!("{prefix}/{ticket}{record}{rest}"),
        _ => folder(key, Some(ticket)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use b3scale_middleware::cluster::FrontendId;
    use uuid::Uuid;

    use super::*;
    use crate::recordings::tickets::{Purpose, Subject};

    const RECORD: &str = "0123456789012345678901234567890123456789-1700000000000";

    fn ticket() -> String {
        let record = RecordId::new(RECORD).unwrap();
        let subject = Subject { frontend: FrontendId(Uuid::nil()), record: &record, epoch: 0, format: "video" };
        Tickets::new(b"secret").issue(Purpose::Play, subject, SystemTime::UNIX_EPOCH)
    }

    /// Format, file, whether there is a ticket, and whether it is a folder.
    fn file(path: &str) -> Option<(String, Option<String>, bool, bool)> {
        match Route::of(path)? {
            Route::File(Target { key, ticket, path, is_folder }) => {
                assert_eq!(key.record().as_str(), RECORD);
                Some((key.format().to_owned(), path.map(|path| path.to_string()), ticket.is_some(), is_folder))
            }
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn every_format_has_its_files_at_all_its_paths_with_and_without_a_ticket() {
        let ticket = ticket();
        for (prefix, format) in [
            ("/presentation", "presentation"),
            ("/playback/presentation", "presentation"),
            ("/video", "video"),
            ("/playback/video", "video"),
            ("/podcast", "podcast"),
            ("/playback/podcast", "podcast"),
            ("/notes", "notes"),
            ("/playback/notes", "notes"),
            ("/recording/screenshare", "screenshare"),
            ("/screenshare", "screenshare"),
            ("/playback/screenshare", "screenshare"),
            ("/playback/my_format-2", "my_format-2"),
            ("/my_format-2", "my_format-2"),
        ] {
            let found = |rest: &str| file(&format!("{prefix}/{rest}"));
            let (format, name) = (format.to_owned(), Some("a/b c.png".to_owned()));
            assert_eq!(found(&format!("{RECORD}/a/b%20c.png")), Some((format.clone(), name.clone(), false, false)));
            assert_eq!(found(&format!("{ticket}/{RECORD}/a/b%20c.png")), Some((format.clone(), name, true, false)));
            assert_eq!(found(RECORD), Some((format.clone(), None, false, false)));
            assert_eq!(found(&format!("{RECORD}/")), Some((format.clone(), None, false, true)));
            assert_eq!(found(&format!("{ticket}/{RECORD}/")), Some((format, None, true, true)));
        }
    }

    #[test]
    fn the_player_has_its_page_its_files_and_the_pages_of_older_ones() {
        let record = RecordId::new(RECORD).unwrap();
        let player = |path: &str| Route::of(&format!("/playback/presentation/{path}"));
        assert_eq!(player(&format!("2.3/{RECORD}")), Some(Route::Player(record.clone())));
        assert_eq!(player(&format!("2.3/{RECORD}/")), Some(Route::Player(record)));
        let file = |path| Some(Route::PlayerFile(FilePath::new(path).unwrap()));
        assert_eq!(player("2.3/static/js/main.1a2b.js"), file("static/js/main.1a2b.js"));
        assert_eq!(player("2.3/favicon.ico"), file("favicon.ico"));
        for path in ["playback.html", "0.81/playback.html", "0.9.0/playback.html", "2.0/playback.html"] {
            assert_eq!(player(path), Some(Route::OldPlayer), "{path}");
        }
        for path in ["2.3", "2.3/", "2.3/static/js/", "2.3/../x", "2.0/lib/x.js", "2.1/playback.html"] {
            assert_eq!(player(path), None, "{path}");
        }
    }

    #[test]
    fn a_link_of_a_list_has_ticket_format_and_recording() {
        let key = FormatKey::new(&RecordId::new(RECORD).unwrap(), "video").unwrap();
        let link = format!("/playback/ticket/any/video/{RECORD}");
        assert_eq!(Route::of(&link), Some(Route::Link(key, "any".to_owned())));
        assert_eq!(Route::of("/playback/ticket/any/video"), None);
    }

    /// Defect 2: the original decides on the first text that looks like an id, and on an encoded path.
    #[test]
    fn a_path_that_can_be_read_in_two_ways_asks_for_nothing() {
        for path in [
            "",
            "/",
            "*",
            "//",
            "x",
            "/presentation",
            "/presentation/",
            "/presentation//",
            "/presentation/../ID/a",
            "/presentation/ID//a",
            "//presentation/ID/a",
            "/presentation/./ID/a",
            "/presentation/ID/../OTHER/a",
            "/presentation/ID/%2e%2e/OTHER/a",
            "/presentation/ID/.%2e/OTHER/a",
            "/presentation/ID/..%2fOTHER/a",
            "/presentation/ID%2fa",
            "/presentation/ID/a%2fb",
            "/presentation/ID/a%5cb",
            "/presentation/ID/a\\b",
            "/presentation/ID./a",
            "/presentation/ID%20/a",
            "/presentation/ID%00/a",
            "/presentation/ID/a%00.png",
            "/presentation/ID/a.",
            "/presentation/ID/.a",
            "/presentation/ID/%252e%252e/a",
            "/presentation/ID/a%0a",
            "/presentation/ID/%ff",
            "/presentation/ID/a/",
            "/presentation/TICKET",
            "/presentation/TICKET/",
            "/presentation/TICKET/TICKET/ID/a",
            "http://host/presentation/ID/a",
            "/playback",
            "/playback/",
            "/playback/video",
            "/a b/ID/a",
            "/présentation/ID/a",
        ] {
            let path = path.replace("ID", RECORD).replace("TICKET", &ticket()).replace("OTHER", "other-1");
            assert_eq!(Route::of(&path), None, "{path}");
        }
        let encoded = format!("/%70resentation/%30{}/metadata%2Exml", &RECORD[1..]);
        let decided = Some(("presentation".to_owned(), Some("metadata.xml".to_owned()), false, false));
        assert_eq!(file(&encoded), decided, "an encoded letter is that letter");
    }

    #[test]
    fn a_stored_link_leads_to_a_path_of_ours_and_to_no_other_host() {
        for (link, path) in [
            ("/playback/video/ID/", "/playback/video/ID/"),
            ("podcast/ID/audio.ogg", "/podcast/ID/audio.ogg"),
            ("/recording/screenshare/ID/", "/recording/screenshare/ID/"),
            ("/statistics?id=1", "/statistics?id=1"),
            ("/my-format/ID/?x=/", "/playback/my-format/ID/?x=/"),
            ("//evil.example/ID/", "/playback/evil.example/ID/"),
            ("/", "/playback/"),
        ] {
            assert_eq!(served(link), path, "{link}");
        }
    }

    #[test]
    fn a_stored_link_gets_its_ticket_in_front_of_the_recording() {
        let key = |format| FormatKey::new(&RecordId::new(RECORD).unwrap(), format).unwrap();
        for (format, link, ticketed) in [
            ("video", "/playback/video/ID/", "/playback/video/T/ID/"),
            ("podcast", "/podcast/ID/audio.ogg", "/podcast/T/ID/audio.ogg"),
            ("notes", "/notes/ID/notes.pdf", "/notes/T/ID/notes.pdf"),
            ("screenshare", "/recording/screenshare/ID/", "/recording/screenshare/T/ID/"),
            ("statistics", "/playback/statistics/ID", "/playback/statistics/T/ID"),
            ("statistics", "/statistics?id=1", "/playback/statistics/T/ID/"),
            ("my-format", "/my-format/ID/x.html", "/playback/my-format/T/ID/x.html"),
            ("video", "/playback/video/IDx/", "/playback/video/T/ID/"),
            ("video", "", "/playback/video/T/ID/"),
        ] {
            let (link, ticketed) = (link.replace("ID", RECORD), ticketed.replace("ID", RECORD));
            assert_eq!(with_ticket(&link, &key(format), "T"), ticketed, "{link}");
        }
    }
}
