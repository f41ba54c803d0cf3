//! Pages for people: our own ones, those of formats, and those without a recording.

use super::*;

#[tokio::test]
async fn a_format_without_a_page_has_ours() {
    let stage = Stage::new().await;
    for (path, wanted) in [
        (
            format!("/playback/podcast/{RECORD}/"),
            format!("<source src=\"/playback/podcast/{RECORD}/audio.ogg\" type=\"audio/ogg\">"),
        ),
        (format!("/playback/notes/{RECORD}/"), format!("<iframe src=\"/playback/notes/{RECORD}/notes.html\"")),
        (format!("/recording/screenshare/{RECORD}/"), format!("/recording/screenshare/{RECORD}/screenshare-0.webm\"")),
        (format!("/playback/statistics/{RECORD}/"), format!("<a href=\"/playback/statistics/{RECORD}/data.json\">")),
        (format!("/playback/presentation/2.3/{RECORD}"), format!("src=\"/presentation/{RECORD}/video/webcams.webm\"")),
    ] {
        let page = stage.get(&path).await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
        assert!(
            page.body.contains("<h1 dir=\"auto\">Physics &amp; more</h1>") && page.body.contains(&wanted),
            "{page:?}"
        );
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'sha256-"));
        assert_eq!(page.header("x-frame-options"), None, "it may be shown in a frame");
    }
    let presentation = stage.get(&format!("/playback/presentation/2.3/{RECORD}")).await.body;
    assert_eq!(presentation.matches("<li><button ").count(), 40);
    assert!(presentation.contains(&format!("<track kind=\"captions\" src=\"/presentation/{RECORD}/caption_de.vtt\"")));
}

#[tokio::test]
async fn our_page_of_a_protected_recording_has_its_ticket_in_all_links() {
    let stage = Stage::new().await;
    stage.protect().await;
    for (format, prefix) in
        [("podcast", "/playback/podcast"), ("screenshare", "/recording/screenshare"), ("presentation", "/presentation")]
    {
        let ticket = stage.ticket(Purpose::Play, format);
        let path = match format {
            "presentation" => format!("/playback/presentation/2.3/{RECORD}?p={ticket}"),
            _ => format!("{prefix}/{ticket}/{RECORD}/"),
        };
        let page = stage.get(&path).await;
        assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")), "{page:?}");
        let links: Vec<_> = page.body.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!links.is_empty());
        for link in links {
            assert!(link.starts_with(&format!("{prefix}/{ticket}/{RECORD}/")), "{link}");
            assert_eq!(stage.status(link).await, 200, "{link}");
        }
    }
}

#[tokio::test]
async fn a_page_without_its_slash_gets_one_and_a_presentation_its_player() {
    let stage = Stage::new().await;
    for (path, location) in [
        (format!("/playback/video/{RECORD}"), format!("/playback/video/{RECORD}/")),
        (format!("/video/{RECORD}"), format!("/video/{RECORD}/")),
        (format!("/presentation/{RECORD}"), format!("/playback/presentation/2.3/{RECORD}")),
        (format!("/presentation/{RECORD}/"), format!("/playback/presentation/2.3/{RECORD}")),
    ] {
        let led = stage.get(&path).await;
        assert_eq!((led.status, led.header("location")), (302, Some(&*location)), "{path}");
    }
    let page = stage.get(&format!("/playback/video/{RECORD}/")).await;
    assert_eq!(page.body, "<script src=\"js/a.js\"></script>", "the format brings its own page");
}

#[tokio::test]
async fn people_are_told_why_there_is_no_recording() {
    let stage = Stage::new().await;
    stage.protect().await;
    for (path, status, title) in [
        (format!("/playback/video/{RECORD}/"), 403, "This recording is protected"),
        (format!("/playback/presentation/2.3/{RECORD}"), 403, "This recording is protected"),
        ("/playback/video/unknown-1/".to_owned(), 404, "This recording is not available"),
        ("/playback/presentation/2.3/unknown-1".to_owned(), 404, "This recording is not available"),
        ("/playback/ticket/x/video/unknown-1".to_owned(), 404, "This recording is not available"),
        (format!("/playback/mystery/{SIBLING}/"), 404, "This recording is not available"),
    ] {
        let page = stage.get(&path).await;
        assert_eq!((page.status, page.header("content-type")), (status, Some("text/html;charset=utf-8")), "{path}");
        assert!(
            page.body.contains(&format!("<h1>{title}</h1>")) && page.header("referrer-policy").is_some(),
            "{page:?}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_host_of_its_own_shows_recordings_and_nothing_else() {
    let stage =
        Stage::with(&[("RECORDINGS_PLAYBACK_HOST", "https://play.example"), ("API_URL", "https://b3scale.test")]).await;
    let on_host = async |path: &str| {
        stage.rig.send(format!("GET {path} HTTP/1.1\r\nHost: play.example\r\nConnection: close\r\n\r\n")).await.status
    };
    assert_eq!(on_host(&format!("/presentation/{RECORD}/shapes.svg")).await, 200);
    assert_eq!(on_host(&format!("/any-format/{RECORD}/x.png")).await, 404);
    for path in ["/", "/bbb/school/bigbluebutton/api", "/health/ready", "/api/v1/status"] {
        assert_eq!(on_host(path).await, 404, "{path}");
    }
    assert_eq!(stage.status(&format!("/presentation/{RECORD}/shapes.svg")).await, 404);
    assert_eq!(stage.status("/bbb/school/bigbluebutton/api").await, 200);
}
