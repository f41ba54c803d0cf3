use super::*;

const PRESENTATION: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/presentation.xml");
const VIDEO: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/video.xml");
const PODCAST: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/podcast.xml");
const NOTES: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/notes.xml");
const SCREENSHARE: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/screenshare.xml");
const STATISTICS: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/statistics.xml");
const OLD: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/old.xml");
const BREAKOUT: &[u8] = include_bytes!("../../../../fuzz/seeds/recording/breakout.xml");

const ID: &str = "6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000";

fn read(xml: &str) -> RecordingDocument {
    recording(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

fn refused(xml: &str) -> String {
    recording(xml.as_bytes()).expect_err(xml).to_string()
}

fn playback(xml: &[u8]) -> Playback {
    recording(xml).expect("it is usable").playback.expect("it has a format")
}

#[test]
fn a_presentation_is_read_whole() {
    let document = recording(PRESENTATION).expect("it is usable");
    assert_eq!((&*document.id, &*document.meeting_id, &*document.name), (ID, "abc123", "Physics & more \u{1f9ea}"));
    assert!(document.is_published && !document.is_breakout);
    assert_eq!((document.start_time, document.end_time), (1_700_000_000_000, 1_700_003_600_000));
    assert_eq!((document.participants, document.raw_size), (3, 7_340_032));
    let metadata: Vec<_> = document.metadata.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        metadata,
        [
            ("bbb-recording-description", "First line\n<b>second</b> line"),
            ("gl-listed", "false"),
            ("isBreakout", "false"),
            ("meetingId", "abc123"),
            ("meetingName", "Physics & more \u{1f9ea}"),
        ]
    );
    assert_eq!(document.breakout_rooms, ["77aa9f0a1b2c3d4e5f60718293a4b5c6d7e8f902-1700000600000"]);
    let playback = document.playback.expect("it has a format");
    assert_eq!((&*playback.format, playback.processing_time), ("presentation", 42_000));
    assert_eq!(playback.link, format!("/playback/presentation/2.3/{ID}"));
    assert_eq!((playback.duration, playback.size), (3_600_000, 1_024_000));
    let [image] = &playback.images[..] else { panic!("one thumbnail: {:?}", playback.images) };
    assert!(image.link.starts_with(&format!("/presentation/{ID}/presentation/")), "{}", image.link);
    assert_eq!((&*image.alt, &*image.width, &*image.height), ("Welcome", "176", "136"));
    assert_eq!(playback.extensions, r#"<transcript lang="en">Hello &amp; welcome</transcript>"#);
}

/// Facts of each writer: state `available`, no `meeting`, no sizes, an order of its own.
#[test]
fn every_script_has_habits_of_its_own() {
    let video = recording(VIDEO).expect("it is usable");
    assert_eq!((&*video.id, &*video.meeting_id, &*video.name), (ID, "abc123", "Physics"));
    assert!(video.is_published, "its state is `available`");
    assert_eq!(playback(VIDEO).link, format!("/playback/video/{ID}/"), "with its slash");
    let podcast = playback(PODCAST);
    assert_eq!((&*podcast.link, podcast.processing_time), (&*format!("/podcast/{ID}/audio.ogg"), 0));
    assert_eq!(playback(NOTES).link, format!("/notes/{ID}/notes.pdf"));
    let screenshare = recording(SCREENSHARE).expect("it is usable");
    assert_eq!((screenshare.raw_size, screenshare.playback.expect("it has a format").size), (0, 0));
    let statistics = playback(STATISTICS);
    assert_eq!((&*statistics.format, &*statistics.link), ("statistics", &*format!("/statistics/{ID}/")));
    let old = recording(OLD).expect("it is usable");
    assert_eq!((&*old.meeting_id, &*old.name, old.participants), ("old room", "Old room", 0));
    assert_eq!(
        old.playback.expect("a format").link,
        format!("/playback/presentation/0.9.0/playback.html?meetingId={ID}")
    );
}

#[test]
fn a_breakout_names_its_parent() {
    let document = recording(BREAKOUT).expect("it is usable");
    assert!(document.is_breakout);
    assert_eq!(document.parent, Some(Parent { id: ID.to_owned(), sequence: 2, free_join: true }));
    assert!(read("<recording><id>a-1</id><meta><isBreakout>true</isBreakout></meta></recording>").is_breakout);
    assert!(read("<recording><id>a-1</id><meeting breakout='true'/></recording>").is_breakout);
}

/// Defect 43 of the original: a file without `playback` or `meta` stopped its server.
#[test]
fn all_but_the_id_may_be_missing() {
    let bare = read("\u{feff}<?xml version='1.0'?>\n<!-- c --><recording><id> a-1700000000000\n</id></recording>");
    assert_eq!((&*bare.id, &*bare.meeting_id, &*bare.name), ("a-1700000000000", "a-1700000000000", ""));
    assert_eq!((bare.start_time, bare.end_time), (1_700_000_000_000, 1_700_000_000_000), "the time in the id");
    assert_eq!((bare.is_published, bare.playback), (false, None));
    let empty = read("<recording><id>a</id><start_time/><size></size><playback/><meta/><breakoutRooms/></recording>");
    assert_eq!((empty.start_time, empty.playback), (0, Some(Playback::default())));
    assert_eq!(read("<recording><id>a-1-2</id></recording>").start_time, 1, "a chapter of a recording");
}

#[test]
fn attributes_and_elements_come_in_any_order() {
    let document = read(
        "<recording><playback><size>7.5</size><format> notes </format></playback><meta><b3s-x>1</b3s-x><b>2</b><b>3</b>\
         <1a>no</1a></meta><raw_size>-4</raw_size><meeting name='N' breakout='false' externalId='e'/><id>a</id>\
         <future><id>b</id></future></recording>",
    );
    assert_eq!((&*document.id, &*document.meeting_id, &*document.name), ("a", "e", "N"));
    assert_eq!(document.raw_size, 0);
    assert_eq!(document.metadata["b"], "2", "of several the first counts, as elsewhere");
    assert!(!document.metadata.contains_key("1a"), "it cannot stand in an answer");
    let playback = document.playback.expect("it has a format");
    assert_eq!((&*playback.format, playback.size), ("notes", 7));
}

#[test]
fn links_are_paths() {
    let link = |text: &str| {
        let xml = format!("<recording><id>a</id><playback><link>{text}</link></playback></recording>");
        recording(xml.as_bytes()).map(|document| document.playback.expect("a format").link)
    };
    for (written, path) in [
        ("\n  https://bbb.example/podcast/a/audio.ogg\n ", "/podcast/a/audio.ogg"),
        ("http://bbb.example:8080/play\nback/video/a/?x=1&amp;y=/../", "/playback/video/a/?x=1&y=/../"),
        ("HTTPS://bbb.example", "/"),
        ("/notes/a/my notes.pdf#p1", "/notes/a/my%20notes.pdf#p1"),
        ("//evil.example/x", "/evil.example/x"),
        ("https://bbb.example//evil.example/x", "/evil.example/x"),
        ("", ""),
    ] {
        assert_eq!(link(written).as_deref(), Ok(path), "{written}");
    }
    let said = |text: &str| link(text).expect_err(text).to_string();
    assert_eq!(
        said("javascript:alert(1)"),
        "metadata.xml: `playback/link` is `javascript:alert(1)`, and a URL is wanted"
    );
    assert_eq!(said("https://b/presentation/../x"), "metadata.xml: `playback/link` has a segment `.` or `..`");
    assert!(said(&format!("/{}", "a".repeat(3000))).ends_with("has more than 2048 bytes"));
}

#[test]
fn a_thumbnail_without_a_usable_link_is_left_out() {
    let images = "<image/><image>javascript:x</image><image width='1'>https://n/t-1.png</image><image>/t-2.png</image>";
    let xml = format!(
        "<recording><id>a</id><playback><extensions><preview><images>{images}</images></preview></extensions></playback>\
         </recording>"
    );
    let playback = playback(xml.as_bytes());
    assert_eq!(playback.images.iter().map(|image| &*image.link).collect::<Vec<_>>(), ["/t-1.png", "/t-2.png"]);
    assert_eq!((&*playback.images[0].width, &*playback.images[1].width), ("1", ""));
}

#[test]
fn an_extension_that_would_break_an_answer_is_left_out() {
    let with = |extension: &str| {
        format!("<recording><id>a</id><playback><extensions>{extension}</extensions></playback></recording>")
    };
    let extensions = |extension: &str| playback(with(extension).as_bytes()).extensions;
    assert_eq!(extensions("<a><b>1</b></a><c/>"), "<a><b>1</b></a><c/>");
    assert_eq!(extensions("<1a/><x:y/><ok/>"), "<ok/>");
    assert_eq!(extensions(&format!("<a>{}</a><ok/>", "x".repeat(MOST_EXTENSIONS))), "<ok/>");
}

#[test]
fn errors_name_the_element_and_the_problem() {
    assert_eq!(refused("<recording><id> </id></recording>"), "metadata.xml: `id` is missing or empty");
    assert_eq!(refused("<html/>"), "metadata.xml: its root is `html`, and `recording` is wanted");
    for (xml, said) in [
        ("<start_time>yesterday</start_time>", "`start_time` is `yesterday`, and a whole number is wanted"),
        ("<end_time>99999999999999999999</end_time>", "`end_time` is `99999999999999999999`, and a whole number"),
        ("<playback><size>12 MB</size></playback>", "`playback/size` is `12 MB`, and a whole number is wanted"),
        ("<breakout sequence='one'/>", "`breakout/@sequence` is `one`, and a whole number is wanted"),
    ] {
        let all = refused(&format!("<recording><id>a</id>{xml}</recording>"));
        assert!(all.starts_with(&format!("metadata.xml: {said}")), "{all}");
    }
    for xml in ["", "<recording><id>a</id>", "<recording><id>a</recording>", "{}", "<!DOCTYPE r><recording/>"] {
        assert!(refused(xml).starts_with("metadata.xml: XML "), "{}", refused(xml));
    }
    let long = "x".repeat(LONGEST_ID + 1);
    assert_eq!(
        refused(&format!("<recording><id>{long}</id></recording>")),
        "metadata.xml: `id` has more than 256 characters"
    );
    let long = format!("<recording><id>a</id><meta><meetingId>{long}</meetingId></meta></recording>");
    assert_eq!(refused(&long), "metadata.xml: `meta/meetingId` has more than 256 characters");
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let many = "<a>0123456789</a>".repeat(MOST_METADATA / 10);
    assert!(refused(&format!("<recording><id>a</id><meta>{many}</meta></recording>")).ends_with("more than 1024 KiB"));
    let huge = vec![b' '; LARGEST_METADATA + 1];
    assert_eq!(recording(&huge), Err(DocumentError::TooLarge));
    let rooms = "<breakoutRoom>b</breakoutRoom>".repeat(2 * MOST_ROOMS);
    let xml = format!("<recording><id>a</id><breakoutRooms>{rooms}</breakoutRooms></recording>");
    assert_eq!(read(&xml).breakout_rooms.len(), MOST_ROOMS);
}

#[test]
fn characters_that_xml_forbids_are_dropped() {
    let document = read("<recording><id>a</id><meta><meetingName>a\u{b}b&#0;c</meetingName></meta></recording>");
    assert_eq!(document.name, "abc");
}
