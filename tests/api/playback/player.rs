//! The requests of the stock player in their order, and the links of older ones.

use super::*;

/// A player that was built.
async fn with_player() -> Stage {
    let folder = TestFolder::new();
    write_files(&folder.path().join("published"), RECORD);
    fs::create_dir_all(folder.path().join("unpublished")).unwrap();
    for (path, content) in [
        ("index.html", "<!doctype html><script>run()</script><script src=\"static/js/main.1a2b.js\"></script>"),
        ("static/js/main.1a2b.js", "run()"),
        ("styles/dark.css", "p {}"),
        ("manifest.json", "{}"),
    ] {
        let path = folder.path().join("player").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    Stage::in_folder(folder, &[("RECORDINGS_PLAYER_PATH", "FOLDERplayer")], None).await
}

/// All that the player asks for, with the wanted status and type.
const REQUESTS: [(&str, &str, u16, &str); 24] = [
    ("GET", "metadata.xml", 200, "text/xml; charset=utf-8"),
    ("GET", "shapes.svg", 200, "image/svg+xml; charset=utf-8"),
    ("GET", "slides_new.xml", 200, "text/xml; charset=utf-8"),
    ("GET", "panzooms.xml", 404, ""),
    ("GET", "cursor.xml", 404, ""),
    ("GET", "deskshare.xml", 404, ""),
    ("GET", "presentation_text.json", 200, "application/json; charset=utf-8"),
    ("GET", "captions.json", 200, "application/json; charset=utf-8"),
    ("GET", "polls.json", 404, ""),
    ("GET", "tldraw.json", 404, ""),
    ("GET", "external_videos.json", 404, ""),
    ("GET", "notes.html", 200, "text/html; charset=utf-8"),
    ("HEAD", "video/webcams.mp4", 404, ""),
    ("HEAD", "video/webcams.webm", 200, "video/webm"),
    ("HEAD", "audio/audio.webm", 404, ""),
    ("GET", "video/webcams.webm", 200, "video/webm"),
    ("GET", "deskshare/deskshare.mp4", 404, ""),
    ("GET", "deskshare/deskshare.webm", 404, ""),
    ("GET", "caption_de.vtt", 200, "text/vtt; charset=utf-8"),
    ("GET", "caption_fr.vtt", 404, ""),
    ("GET", "presentation/d2d9-1/slide-1.png", 200, "image/png"),
    ("GET", "presentation/d2d9-1/thumbnails/thumb-1.png", 200, "image/png"),
    ("GET", "presentation/d2d9-1/textfiles/slide-1.txt", 200, "text/plain; charset=utf-8"),
    ("GET", "polls/poll-1.svg", 404, ""),
];

async fn plays(stage: &Stage, root: &str) {
    for (method, path, status, kind) in REQUESTS {
        let answer = stage.send(method, &format!("{root}/{path}"), "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        if status == 404 {
            assert!(answer.body.len() < 100 && !answer.body.contains('<'), "{path}: {}", answer.body);
        } else {
            assert_eq!(answer.header("content-type"), Some(kind), "{path}");
            assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some(), "{path}");
        }
    }
    let found = stage.send("HEAD", &format!("{root}/video/webcams.webm"), "").await;
    assert_eq!((found.header("content-length"), found.header("accept-ranges")), (Some("10"), Some("bytes")));
    assert_eq!((found.header("location"), &*found.body), (None, ""));
    let metadata = stage.get(&format!("{root}/metadata.xml")).await;
    assert!(metadata.body.contains(&format!("<meeting id=\"{RECORD}\"")), "{metadata:?}");
    assert!(metadata.body.contains("<meetingName>x</meetingName>"), "the rest is the node's own");
}

#[tokio::test]
async fn the_player_gets_all_it_asks_for() {
    let stage = with_player().await;
    let page = stage.get(&format!("/playback/presentation/2.3/{RECORD}")).await;
    assert!(page.is_page_of_player(), "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    // The digest of `run()`.
    let scripts = "script-src 'self' 'sha256-";
    assert!(policy.contains(scripts) && !policy.contains("script-src 'self' 'unsafe"), "{policy}");
    let script = stage.get("/playback/presentation/2.3/static/js/main.1a2b.js").await;
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let style = stage.get("/playback/presentation/2.3/styles/dark.css").await;
    assert_eq!((style.status, style.header("cache-control")), (200, Some("no-cache")));
    for missing in ["static/js/main.9z9z.js", "favicon.ico", "%2e%2e/published/presentation/x"] {
        let answer = stage.get(&format!("/playback/presentation/2.3/{missing}")).await;
        assert_eq!(answer.status, 404, "{missing}");
        assert!(!answer.body.contains('<'), "no page stands for a script");
    }
    plays(&stage, &format!("/presentation/{RECORD}")).await;
}

#[tokio::test]
async fn the_player_gets_all_of_a_protected_recording_with_the_ticket_in_its_prefix() {
    let stage = with_player().await;
    stage.protect().await;
    let link = format!("/playback/ticket/{}/presentation/{RECORD}", stage.ticket(Purpose::Link, "presentation"));
    for _ in 0..2 {
        let led = stage.get(&link).await;
        let (page, ticket) = led.header("location").unwrap().split_once("?p=").unwrap();
        assert_eq!(
            (led.status, led.header("cache-control"), page),
            (302, Some("no-store"), &*format!("/playback/presentation/2.3/{RECORD}"))
        );
        let page = stage.get(&format!("{page}?p={ticket}&locale=de")).await;
        assert!(page.is_page_of_player() && page.header("cache-control") == Some("no-store"), "{page:?}");
        plays(&stage, &format!("/presentation/{ticket}/{RECORD}")).await;
        let slide = stage.get(&format!("/presentation/{ticket}/{RECORD}/presentation/d2d9-1/slide-1.png")).await;
        assert_eq!(slide.header("cache-control"), Some("private, no-cache"));
        let metadata = stage.get(&format!("/presentation/{ticket}/{RECORD}/metadata.xml")).await;
        assert_eq!(metadata.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_recording_that_the_player_refuses_is_played_by_our_page() {
    let stage = with_player().await;
    let chapter = format!("{RECORD}-3600000");
    write_files(&stage.folder.path().join("published"), &chapter);
    stage.table.rows.lock().unwrap().insert(id(&chapter), known(&chapter, tenant(1)));
    let page = stage.get(&format!("/playback/presentation/2.3/{chapter}")).await;
    assert!(page.status == 200 && !page.is_page_of_player(), "{}", page.body);
    assert!(page.body.contains(&format!("/presentation/{chapter}/video/webcams.webm")), "{}", page.body);
}

#[tokio::test]
async fn a_prefix_that_leads_elsewhere_is_not_shown_to_the_player() {
    let stage = with_player().await;
    for prefix in ["..", "%2e%2e%2fx", "x", "", "https:%2f%2fexample.org"] {
        let page = stage.get(&format!("/playback/presentation/2.3/{RECORD}?p={prefix}")).await;
        assert_eq!(page.status, 404, "{prefix}");
        assert!(!page.is_page_of_player());
    }
}

#[tokio::test]
async fn links_of_older_players_lead_to_this_one() {
    let stage = with_player().await;
    for player in ["playback.html", "0.81/playback.html", "0.9.0/playback.html", "2.0/playback.html"] {
        let led = stage.get(&format!("/playback/presentation/{player}?meetingId={RECORD}&t=1m30s")).await;
        let page = format!("/playback/presentation/2.3/{RECORD}?t=1m30s");
        assert_eq!((led.status, led.header("location")), (302, Some(&*page)), "{player}");
    }
    let led = stage.get(&format!("/playback/presentation/2.0/playback.html?meetingId={RECORD}")).await;
    assert_eq!(led.header("location"), Some(&*format!("/playback/presentation/2.3/{RECORD}")));
    for query in ["", "?meetingId=", "?meetingId=//example.org", "?id=a"] {
        assert_eq!(stage.status(&format!("/playback/presentation/2.0/playback.html{query}")).await, 404, "{query}");
    }
}

impl Answer {
    fn is_page_of_player(&self) -> bool {
        self.status == 200 && self.body.contains("main.1a2b.js")
    }
}
