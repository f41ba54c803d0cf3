//! Protected recordings: what opens them, and what does not.

use super::*;

/// Files by all their paths, and the format of their ticket. `T` is a place for one.
const FILES: [(&str, &str); 16] = [
    ("/presentation/TID/shapes.svg", "presentation"),
    ("/presentation/TID/metadata.xml", "presentation"),
    ("/presentation/TID/video/webcams.webm", "presentation"),
    ("/presentation/TID/presentation/d2d9-1/thumbnails/thumb-2.png", "presentation"),
    ("/playback/presentation/TID/shapes.svg", "presentation"),
    ("/video/TID/video-0.m4v", "video"),
    ("/playback/video/TID/video-0.m4v", "video"),
    ("/playback/video/TID/js/a.js", "video"),
    ("/podcast/TID/audio.ogg", "podcast"),
    ("/playback/podcast/TID/audio.ogg", "podcast"),
    ("/notes/TID/notes.pdf", "notes"),
    ("/playback/notes/TID/notes.pdf", "notes"),
    ("/recording/screenshare/TID/screenshare-0.webm", "screenshare"),
    ("/playback/screenshare/TID/screenshare-0.webm", "screenshare"),
    ("/statistics/TID/data.json", "statistics"),
    ("/playback/statistics/TID/data.json", "statistics"),
];

fn at(path: &str, ticket: Option<&str>) -> String {
    at_record(path, ticket, RECORD)
}

fn at_record(path: &str, ticket: Option<&str>, record: &str) -> String {
    let ticket = ticket.map(|ticket| format!("{ticket}/")).unwrap_or_default();
    path.replace("TID", &format!("{ticket}{record}"))
}

#[tokio::test]
async fn every_file_needs_its_own_ticket() {
    let stage = Stage::new().await;
    stage.protect().await;
    let other = Subject { frontend: tenant(2), record: &id(RECORD), epoch: 0, format: "presentation" };
    let others = Tickets::new(SECRET).issue(Purpose::Play, other, stage.clock.time());
    for (path, format) in FILES {
        let own = stage.ticket(Purpose::Play, format);
        for method in ["GET", "HEAD"] {
            let answer = stage.send(method, &at(path, Some(&own)), "").await;
            assert_eq!(answer.status, 200, "{method} {path}");
        }
        let refused = [
            None,
            Some(stage.ticket(Purpose::Link, format)),
            Some(stage.ticket(Purpose::Cookie, format)),
            Some(stage.ticket(Purpose::Play, "other")),
            Some(stage.ticket(Purpose::Play, "")),
            Some(others.clone()),
            Some(format!("{}{}", &own[..own.len() - 1], if own.ends_with('A') { 'E' } else { 'A' })),
        ];
        for ticket in refused {
            let answer = stage.get(&at(path, ticket.as_deref())).await;
            assert_eq!((answer.status, answer.header("location")), (403, None), "{path} with {ticket:?}");
            assert!(!answer.body.contains('<') && answer.body.len() < 100, "{}", answer.body);
        }
        // The sibling is open, and its tenant's ticket is of no use here.
        assert_eq!(stage.status(&at_record(path, None, SIBLING)).await, 200);
    }
    stage.change(SIBLING, |recording| recording.protected = true).await;
    for (path, format) in FILES {
        let own = stage.ticket(Purpose::Play, format);
        assert_eq!(stage.status(&at_record(path, Some(&own), SIBLING)).await, 403, "{path}: a sibling's file");
    }
}

#[tokio::test]
async fn tickets_expire() {
    let stage = Stage::new().await;
    stage.protect().await;
    let (path, format) = FILES[0];
    let (play, link) = (stage.ticket(Purpose::Play, format), stage.ticket(Purpose::Link, format));
    let link = format!("/playback/ticket/{link}/{format}/{RECORD}");
    let later = |hours: u64| stage.clock.0.store(hours * 3600, Relaxed);
    assert_eq!((stage.status(&link).await, stage.status(&at(path, Some(&play))).await), (302, 200));
    later(1);
    let expired = stage.get(&link).await;
    assert_eq!((expired.status, expired.header("content-type")), (403, Some("text/html;charset=utf-8")));
    assert!(expired.body.contains("This recording is protected"));
    assert_eq!(stage.status(&at(path, Some(&play))).await, 200, "it lasts as long as a viewing");
    later(8);
    assert_eq!(stage.status(&at(path, Some(&play))).await, 403);
}

/// A change, by name, and the status of a file after it.
type Case = (&'static str, fn(&mut Recording), u16);

#[tokio::test]
async fn unpublish_protect_and_delete_end_running_tickets_at_once() {
    let raise = |recording: &mut Recording| recording.epoch += 1;
    let changes: [Case; 4] = [
        ("unpublish", |recording| recording.state = RecordingState::Unpublished, 404),
        ("delete", |recording| recording.state = RecordingState::Deleted, 404),
        ("remove its tenant", |recording| recording.frontend = None, 404),
        ("end the protection", |recording| recording.protected = false, 200),
    ];
    for (name, change, status) in changes {
        let stage = Stage::new().await;
        stage.protect().await;
        for (path, format) in FILES {
            assert_eq!(stage.status(&at(path, Some(&stage.ticket(Purpose::Play, format)))).await, 200);
        }
        stage.change(RECORD, change).await;
        for (path, format) in FILES {
            let ticket = stage.ticket(Purpose::Play, format);
            assert_eq!(stage.status(&at(path, Some(&ticket))).await, status, "{name}: {path}");
            assert_eq!(stage.status(&at(path, None)).await, status, "{name}: {path} without a ticket");
        }
        let ticket = stage.ticket(Purpose::Thumbnail, "presentation");
        let thumbnail = stage.status(&format!("/presentation/{ticket}/{RECORD}/{THUMBNAIL}")).await;
        assert_eq!(thumbnail, status, "{name}: a thumbnail");
    }
    let stage = Stage::new().await;
    stage.protect().await;
    let ticket = stage.ticket(Purpose::Play, "video");
    let path = at("/playback/video/TID/video-0.m4v", Some(&ticket));
    assert_eq!(stage.status(&path).await, 200);
    stage.change(RECORD, raise).await;
    assert_eq!(stage.status(&path).await, 403, "it was unpublished and published again");
}

#[tokio::test]
async fn a_link_of_a_list_leads_into_its_format() {
    let stage = Stage::new().await;
    stage.protect().await;
    for (format, before, after) in [
        ("podcast", "/podcast/", "/audio.ogg"),
        ("notes", "/notes/", "/notes.pdf"),
        ("video", "/playback/video/", "/"),
        ("screenshare", "/recording/screenshare/", "/"),
        ("statistics", "/playback/statistics/", "/"),
    ] {
        let link = format!("/playback/ticket/{}/{format}/{RECORD}", stage.ticket(Purpose::Link, format));
        let led = stage.get(&link).await;
        let location = led.header("location").unwrap_or_else(|| panic!("{led:?}"));
        let ticket = location.strip_prefix(before).and_then(|rest| rest.strip_suffix(&format!("/{RECORD}{after}")));
        assert!(ticket.is_some_and(Tickets::is_like), "{location}");
        assert_eq!(stage.status(location).await, 200, "{location}");
        let foreign = format!("/playback/ticket/{}/video/{RECORD}", stage.ticket(Purpose::Link, "podcast"));
        assert_eq!(stage.status(&foreign).await, 403);
    }
    for (ticket, record, status) in [("x", RECORD, 403), ("x", "unknown-1", 404), ("x", SIBLING, 302)] {
        assert_eq!(stage.status(&format!("/playback/ticket/{ticket}/video/{record}")).await, status, "{record}");
    }
}

#[tokio::test]
async fn listed_thumbnails_have_tickets_of_their_own_that_open_nothing_else() {
    let stage = Stage::new().await;
    stage.protect().await;
    let ticket = stage.ticket(Purpose::Thumbnail, "presentation");
    let thumbnail = stage.get(&format!("/presentation/{ticket}/{RECORD}/{THUMBNAIL}")).await;
    assert_eq!((thumbnail.status, &*thumbnail.body), (200, "thumb"));
    assert_eq!(thumbnail.header("cache-control"), Some("private, no-cache"));
    assert_eq!(stage.status(&format!("/presentation/{RECORD}/{THUMBNAIL}")).await, 403, "it shows a slide");
    for other in ["presentation/d2d9-1/thumbnails/thumb-2.png", "presentation/d2d9-1/slide-1.png", "metadata.xml"] {
        assert_eq!(stage.status(&format!("/presentation/{ticket}/{RECORD}/{other}")).await, 403, "{other}");
    }
    for path in [format!("/video/{ticket}/{RECORD}/{THUMBNAIL}"), format!("/presentation/{ticket}/{RECORD}/")] {
        assert_eq!(stage.status(&path).await, 403, "{path}");
    }
    assert_eq!(asked(&stage, &format!("/presentation/{ticket}/{RECORD}/{THUMBNAIL}"), "").await, 200);
    assert_eq!(asked(&stage, &format!("/presentation/{ticket}/{RECORD}/shapes.svg"), "").await, 403);
    stage.clock.0.store(24 * 3600, Relaxed);
    assert_eq!(stage.status(&format!("/presentation/{ticket}/{RECORD}/{THUMBNAIL}")).await, 403, "it has expired");
}

/// Defect 2: the original's decision can be led astray by the spelling of a path.
#[tokio::test]
async fn no_spelling_of_a_path_opens_a_protected_file() {
    let stage = Stage::new().await;
    stage.protect().await;
    for path in [
        "/presentation//ID/shapes.svg",
        "//presentation/ID/shapes.svg",
        "/presentation/./ID/shapes.svg",
        "/presentation/OTHER/../ID/shapes.svg",
        "/presentation/OTHER/%2e%2e/ID/shapes.svg",
        "/presentation/OTHER/..%2fID/shapes.svg",
        "/presentation/OTHER/..%5cID/shapes.svg",
        "/presentation/%49D/shapes.svg",
        "/PRESENTATION/ID/shapes.svg",
        "/Presentation/ID/shapes.svg",
        "/presentation/ID./shapes.svg",
        "/presentation/ID%00/shapes.svg",
        "/presentation/ID%20/shapes.svg",
        "/presentation/%30ID/shapes.svg",
        "/presentation/ID/shapes.svg/",
        "/presentation/ID/shapes.svg?p=x",
        "/presentation/ID/shapes.svg;x",
        "/presentation/ID/SHAPES.svg",
        "/playback/presentation/2.3/../../../presentation/ID/shapes.svg",
        "/playback/presentation/2.0/ID/shapes.svg",
        "/playback/presentation/ID/shapes.svg",
        "/playback/ticket/x/presentation/ID/shapes.svg",
        "/playback/presentation/2.3/presentation/ID/shapes.svg",
        "/recording/screenshare/../presentation/ID/shapes.svg",
        "/published/presentation/ID/shapes.svg",
        "http://b3scale.test/presentation/ID/shapes.svg",
    ] {
        let path = path.replace("%49D", "%30ID").replace("%30ID", &format!("%30{}", &RECORD[1..]));
        let path = path.replace("ID", RECORD).replace("OTHER", SIBLING);
        let answer = stage.get(&path).await;
        assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.status);
        assert!(!answer.body.contains("svg"), "{path}");
    }
}

/// The answer to a web server that asks about a path.
async fn asked(stage: &Stage, path: &str, cookies: &str) -> u16 {
    let headers = format!("X-Resource-Path: {path}\r\nCookie: {cookies}\r\n");
    stage.send("GET", "/api/v1/protected/recordings/auth", &headers).await.status
}

#[tokio::test]
async fn the_originals_way_is_a_link_then_a_cookie_then_a_question_for_each_file() {
    let stage = Stage::with(&[
        ("RECORDINGS_PROTECTION", "cookie"),
        ("RECORDINGS_PLAYBACK_HOST", "https://play.example"),
        ("API_URL", "https://b3scale.test"),
    ])
    .await;
    stage.protect().await;
    let key = b3scale::recordings::shelf::FormatKey::new(&id(RECORD), "video").unwrap();
    let link = b3scale::recordings::protected::path(&key, &stage.ticket(Purpose::Link, "video"));
    let led = stage.get(&link).await;
    let elsewhere = format!("https://play.example{link}?here");
    assert_eq!((led.status, led.header("location"), led.header("set-cookie")), (302, Some(&*elsewhere), None));
    let led = stage.get(&format!("{link}?here")).await;
    assert_eq!(led.header("location"), Some(&*format!("https://play.example/playback/video/{RECORD}/")));
    let cookie = led.header("set-cookie").unwrap();
    // Defect 4: the original's cookie is anyone's.
    let attributes = "Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=None";
    let (cookie, rest) = cookie.split_once("; ").unwrap();
    assert_eq!(rest, attributes);

    for (path, _) in FILES {
        assert_eq!(asked(&stage, &at(path, None), cookie).await, 200, "{path}");
        assert_eq!(asked(&stage, &at(path, None), &format!("a=b; {cookie}; c")).await, 200, "{path}");
        assert_eq!(asked(&stage, &at(path, None), "").await, 403, "{path}");
        assert_eq!(asked(&stage, &at_record(path, None, SIBLING), "").await, 200, "{path}");
    }
    stage.change(SIBLING, |recording| recording.protected = true).await;
    let (name, ticket) = cookie.split_once('=').unwrap();
    for (path, _) in FILES {
        let sibling = at_record(path, None, SIBLING);
        for cookie in [cookie, &format!("_b3s_{SIBLING}={ticket}"), &format!("_b3s_protected={ticket}")] {
            assert_eq!(asked(&stage, &sibling, cookie).await, 403, "{path} of the sibling with {cookie}");
        }
    }
    // Defect 3: the original takes the ticket of a link, and any other token, for a cookie.
    let (path, format) = FILES[5];
    for ticket in [
        stage.ticket(Purpose::Link, format),
        stage.ticket(Purpose::Play, format),
        stage.ticket(Purpose::Cookie, format),
    ] {
        assert_eq!(asked(&stage, &at(path, None), &format!("{name}={ticket}")).await, 403);
    }
    assert_eq!(
        asked(&stage, &at(path, Some(&stage.ticket(Purpose::Play, format))), "").await,
        200,
        "tickets work, too"
    );
    assert_eq!(asked(&stage, &at(path, Some(ticket)), "").await, 403, "a cookie is no ticket of a path");

    // Our own site takes the cookie in this setting.
    let host = |cookie: &str| {
        format!("GET {} HTTP/1.1\r\nHost: play.example\r\nConnection: close\r\n{cookie}\r\n", at(path, None))
    };
    assert_eq!(stage.rig.send(host(&format!("Cookie: {cookie}\r\n"))).await.status, 200);
    assert_eq!(stage.rig.send(host("")).await.status, 403);
    assert_eq!(stage.status(&at(path, None)).await, 404, "the API's host shows no recordings");

    stage.change(RECORD, |recording| (recording.state, recording.epoch) = (RecordingState::Unpublished, 1)).await;
    assert_eq!(asked(&stage, &at(path, None), cookie).await, 403);
    stage.change(RECORD, |recording| recording.state = RecordingState::Published).await;
    assert_eq!(asked(&stage, &at(path, None), cookie).await, 403, "the epoch ended the cookie");
}

/// Defect 2: the original says yes when it finds no id in a path.
#[tokio::test]
async fn a_web_server_that_asks_about_anything_else_is_told_no() {
    let stage = Stage::new().await;
    stage.protect().await;
    let cookie = format!("_b3s_{RECORD}={}", stage.ticket(Purpose::Cookie, ""));
    assert_eq!(asked(&stage, &format!("/presentation/{RECORD}/shapes.svg"), &cookie).await, 200);
    for path in [
        "",
        "/",
        "/x",
        "/presentation/",
        "/presentation/unknown-1/a.png",
        "*",
        "/presentation/OTHER/../ID/shapes.svg",
        "/presentation/OTHER/%2e%2e/ID/shapes.svg",
        "/OTHER/presentation/ID/a/../../x",
        "/presentation/ID%2fshapes.svg",
        "/presentation//ID/shapes.svg",
        "/presentation/ID/..",
        "https://x/presentation/ID/shapes.svg",
        "/playback/ticket/x/presentation/ID",
    ] {
        let path = path.replace("ID", RECORD).replace("OTHER", SIBLING);
        assert_eq!(asked(&stage, &path, "").await, 403, "{path}");
        assert_eq!(asked(&stage, &path, &cookie).await, 403, "{path} with a cookie of the recording");
    }
    let two = format!("X-Resource-Path: /presentation/{SIBLING}/shapes.svg\r\n").repeat(2);
    assert_eq!(stage.send("GET", "/api/v1/protected/recordings/auth", &two).await.status, 403);
    assert_eq!(stage.send("GET", "/api/v1/protected/recordings/auth", "").await.status, 403);
    for token in ["x", "video~x~y", &format!("video~{RECORD}~x"), "~~", ""] {
        let answer = stage.get(&format!("/api/v1/protected/recordings/{token}")).await;
        assert!(matches!(answer.status, 403 | 404) && answer.header("set-cookie").is_none(), "{token}: {answer:?}");
    }
}
