use super::*;

fn files(paths: &[&str]) -> Vec<(String, u64)> {
    paths.iter().map(|path| ((*path).to_owned(), 1_500_000)).collect()
}

fn page(name: &str) -> Page<'_> {
    let base = "/playback/video/a-1/".to_owned();
    Page { name, start_time: 1_700_000_000_000, base, media: None, keep: Keep::Asking }
}

#[test]
fn a_video_has_its_containers_in_one_element_and_its_captions() {
    let files =
        files(&["captions.json", "caption_en-US.vtt", "metadata.xml", "video-0.mp4", "video-0.webm", "css/x.css"]);
    let mut parts = Parts::of(&files);
    assert_eq!(parts.media, [["video-0.mp4", "video-0.webm"]]);
    assert_eq!(parts.documents, []);
    parts.captions = serde_json::from_str(r#"[{"kind":"captions","locale":"en-US","localeName":"English"}]"#).unwrap();
    let html = page("Physics").html(&parts, false);
    assert!(html.contains("<source src=\"/playback/video/a-1/video-0.mp4\" type=\"video/mp4\">"));
    assert!(html.contains(
        "<track kind=\"captions\" src=\"/playback/video/a-1/caption_en-US.vtt\" srclang=\"en-US\" label=\"English\">"
    ));
    assert_eq!(html.matches("<video ").count(), 1);
    assert!(html.contains("<time datetime=\"2023-11-14T22:13Z\">2023-11-14 22:13 UTC</time>"));
}

#[test]
fn a_presentation_has_its_webcams_in_the_lead_and_its_screen_along() {
    let webcams =
        ["deskshare/deskshare.webm", "metadata.xml", "notes.html", "presentation/a/slide-1.png", "video/webcams.webm"];
    let parts = Parts::of_presentation(&files(&webcams));
    assert_eq!(parts.media, [["video/webcams.webm"], ["deskshare/deskshare.webm"]]);
    assert_eq!(parts.documents, [("notes.html".to_owned(), 1_500_000)]);
    let html = page("Physics").html(&parts, true);
    assert!(html.contains("<video controls ") && html.contains("<video muted tabindex=\"-1\" data-follows "));
    assert!(html.contains("<iframe src=\"/playback/video/a-1/notes.html\""));
    assert_eq!(Parts::of_presentation(&files(&["audio/audio.ogg"])).media, [["audio/audio.ogg"]]);
}

#[test]
fn other_formats_show_their_media_and_list_their_files() {
    let podcast = Parts::of(&files(&["audio.ogg", "metadata.xml"]));
    assert!(page("").html(&podcast, false).contains("<audio controls "));
    let notes = Parts::of(&files(&["metadata.xml", "notes.pdf", "notes ü.odt"]));
    let html = page("").html(&notes, false);
    assert!(
        html.contains("<iframe src=\"/playback/video/a-1/notes.pdf\"")
            && html.contains("<h1 dir=\"auto\">Recording</h1>")
    );
    assert!(html.contains("<a href=\"/playback/video/a-1/notes%20%C3%BC.odt\">notes ü.odt</a> <small>1.5 MB</small>"));
    let many: Vec<String> = (0..1000).map(|number| format!("{number}.txt")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(Parts::of(&files(&many)).documents.len(), MOST_DOCUMENTS);
    assert!(page("").html(&Parts::default(), false).contains("There is nothing to play"));
}

#[test]
fn no_name_becomes_a_part_of_the_page() {
    let evil = "\"><script>alert(1)</script>";
    let parts = Parts {
        media: vec![vec![format!("{evil}.webm")]],
        captions: vec![Caption { locale: evil.to_owned(), locale_name: String::new() }],
        slides: vec![Slide { path: evil.to_owned(), at: 0 }],
        documents: vec![(format!("{evil}.html"), 1)],
    };
    let html = page(evil).html(&parts, true);
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    assert!(!html.contains("\"><script"), "{html}");
}

#[test]
fn the_policy_lets_the_pages_own_style_and_script_through_and_nothing_else() {
    let answer = Page { media: Some("https://s3.example"), ..page("a") }.written(&Parts::default(), false);
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-")
            && policy.ends_with("media-src 'self' https://s3.example")
    );
    assert!(!policy.contains("unsafe"));
}
