//! Files over HTTP: parts, conditions, compression, policies, methods.

use super::*;

fn webcams() -> String {
    format!("/presentation/{RECORD}/video/webcams.webm")
}

#[tokio::test]
async fn a_part_of_a_file_is_sent_as_it_is_wanted() {
    let stage = Stage::new().await;
    for (range, status, content_range, body) in [
        ("bytes=0-1", 206, Some("bytes 0-1/10"), "01"),
        ("bytes=0-", 206, Some("bytes 0-9/10"), "0123456789"),
        ("bytes=-500", 206, Some("bytes 0-9/10"), "0123456789"),
        ("bytes=-3", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=2-3,6-7", 206, Some("bytes 2-3/10"), "23"),
        ("bytes=10-", 416, Some("bytes */10"), ""),
        ("bytes=x", 200, None, "0123456789"),
    ] {
        let answer = stage.send("GET", &webcams(), &format!("Range: {range}\r\n")).await;
        assert_eq!(
            (answer.status, answer.header("content-range"), &*answer.body),
            (status, content_range, body),
            "{range}"
        );
    }
    let head = stage.send("HEAD", &webcams(), "Range: bytes=0-1\r\n").await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")), "parts are a matter of GET");
}

#[tokio::test]
async fn a_browser_gets_nothing_twice_and_no_mixture_of_two_contents() {
    let stage = Stage::new().await;
    let first = stage.get(&webcams()).await;
    let (tag, date) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    for (headers, status) in [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), 304),
        ("If-None-Match: *\r\n".to_owned(), 304),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"), 200),
        (format!("If-Modified-Since: {date}\r\n"), 304),
        ("If-Modified-Since: Tue, 14 Nov 2000 22:13:20 GMT\r\n".to_owned(), 200),
        ("If-Modified-Since: yesterday\r\n".to_owned(), 200),
        (format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n"), 206),
        (format!("Range: bytes=0-1\r\nIf-Range: {date}\r\n"), 206),
        ("Range: bytes=0-1\r\nIf-Range: \"x\"\r\n".to_owned(), 200),
    ] {
        let answer = stage.send("GET", &webcams(), &headers).await;
        assert_eq!(answer.status, status, "{headers}");
        assert_eq!(answer.header("etag"), Some(tag));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
    fs::write(stage.folder.path().join(format!("published{}", webcams())), "rebuilt").unwrap();
    let answer = stage.send("GET", &webcams(), &format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n")).await;
    assert_eq!((answer.status, &*answer.body), (200, "rebuilt"));
}

#[tokio::test]
async fn text_is_compressed_and_media_are_not() {
    let stage = Stage::new().await;
    let shapes = format!("/presentation/{RECORD}/shapes.svg");
    let plain = stage.get(&shapes).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("Origin, Accept-Encoding")));
    let length = plain.header("content-length").unwrap().parse::<usize>().unwrap();
    let packed = stage.rig.bytes(&head("GET", &shapes, "Accept-Encoding: gzip, br\r\n")).await;
    assert!(packed.starts_with(b"HTTP/1.1 200") && packed.len() < length, "{} of {length}", packed.len());
    let text = String::from_utf8_lossy(&packed).to_ascii_lowercase();
    assert!(text.contains("content-encoding: gzip") && text.contains("transfer-encoding: chunked"));
    assert!(text.contains(&format!("etag: {}-gz\"", plain.header("etag").unwrap().trim_end_matches('"'))));
    for (path, headers) in [
        (webcams(), "Accept-Encoding: gzip\r\n"),
        (shapes.clone(), "Accept-Encoding: gzip;q=0\r\n"),
        (shapes.clone(), "Accept-Encoding: gzip\r\nRange: bytes=0-10\r\n"),
    ] {
        let answer = stage.send("GET", &path, headers).await;
        assert_eq!(answer.header("content-encoding"), None, "{path} with {headers}");
    }
    let head = stage.send("HEAD", &shapes, "Accept-Encoding: gzip\r\n").await;
    assert_eq!(head.header("content-length"), Some(&*length.to_string()));
}

#[tokio::test]
async fn documents_of_strangers_run_nothing() {
    let stage = Stage::new().await;
    for (path, runs) in [
        (format!("/presentation/{RECORD}/notes.html"), false),
        (format!("/presentation/{RECORD}/shapes.svg"), false),
        (format!("/presentation/{RECORD}/slides_new.xml"), false),
        (format!("/notes/{RECORD}/notes.html"), false),
        (format!("/playback/video/{RECORD}/"), true),
    ] {
        let answer = stage.get(&path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert_eq!(policy.ends_with("sandbox") && policy.contains("default-src 'none'"), !runs, "{path}: {policy}");
        assert!(!policy.contains("http"), "{path}: nothing comes from elsewhere");
    }
    assert_eq!(stage.get(&webcams()).await.header("content-security-policy"), None);
}

#[tokio::test]
async fn recordings_are_read_only_and_a_page_of_another_host_may_read_them() {
    let stage = Stage::new().await;
    let preflight = stage
        .send("OPTIONS", &webcams(), "Origin: https://play.example\r\nAccess-Control-Request-Headers: range\r\n")
        .await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some("*")));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("Range"));
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = stage.send(method, &webcams(), "Content-Length: 0\r\n").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
}

#[tokio::test]
async fn a_bucket_serves_the_same_and_hands_out_media_if_it_may() {
    for delivery in ["proxy", "redirect"] {
        let folder = TestFolder::new();
        fs::create_dir_all(folder.path().join("published")).unwrap();
        fs::create_dir_all(folder.path().join("unpublished")).unwrap();
        let bucket = TestBucket::start().await;
        let stage = Stage::in_folder(folder, &[("RECORDINGS_S3_DELIVERY", delivery)], Some(bucket)).await;
        stage.fill_bucket("presentation").await;
        stage.protect().await;
        let root = format!("/presentation/{}/{RECORD}", stage.ticket(Purpose::Play, "presentation"));
        let range = |range| format!("Range: {range}\r\n");
        let media = stage.send("GET", &format!("{root}/video/webcams.webm"), &range("bytes=2-4")).await;
        if delivery == "proxy" {
            assert_eq!((media.status, &*media.body), (206, "234"));
            assert_eq!(media.header("content-range"), Some("bytes 2-4/10"));
        } else {
            assert_eq!((media.status, media.header("cache-control")), (302, Some("no-store")));
            let location = media.header("location").unwrap();
            assert!(
                location.contains("/video/webcams.webm?") && location.contains("X-Amz-Expires=28800"),
                "{location}"
            );
        }
        let head = stage.send("HEAD", &format!("{root}/video/webcams.webm"), "").await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("10")), "the player does not follow");
        assert_eq!(stage.send("HEAD", &format!("{root}/video/webcams.mp4"), "").await.status, 404);
        let slide = stage.get(&format!("{root}/presentation/d2d9-1/slide-1.png")).await;
        assert_eq!((slide.status, &*slide.body), (200, "png"));
        let refused = stage.send("GET", &format!("/presentation/{RECORD}/video/webcams.webm"), "").await;
        assert_eq!((refused.status, refused.header("location")), (403, None));
    }
}

impl Stage {
    /// Moves a format of the recording to the bucket.
    async fn fill_bucket(&self, format: &str) {
        use b3scale::recordings::shelf::{FormatKey, Shelf, Tree};

        let source = self.folder.path().join("source");
        write_files(&source, RECORD);
        let key = FormatKey::new(&id(RECORD), format).unwrap();
        let shelf = self.bucket.as_ref().unwrap().shelf();
        let place = shelf.put(&key, Tree::Published, &source.join(format).join(RECORD)).await.unwrap();
        let mut rows = self.table.rows.lock().unwrap();
        for stored in &mut rows.get_mut(&id(RECORD)).unwrap().stored {
            if stored.format == format {
                (stored.shelf, stored.place) = (Some("s3".to_owned()), Some(place.clone()));
            }
        }
    }
}
