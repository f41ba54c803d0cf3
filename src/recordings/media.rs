//! Types of files, by their names.

/// The content type of a file. With a wrong one a browser shows no slides and no captions.
pub(super) fn content_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match &*extension {
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "gif" => "image/gif",
        "html" | "htm" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpeg" | "jpg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json; charset=utf-8",
        "m4a" => "audio/mp4",
        "m4v" | "mp4" => "video/mp4",
        "md" => "text/markdown; charset=utf-8",
        "mp3" => "audio/mpeg",
        "oga" | "ogg" | "opus" => "audio/ogg",
        "ogv" => "video/ogg",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml; charset=utf-8",
        "ttf" => "font/ttf",
        "txt" | "log" => "text/plain; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "wasm" => "application/wasm",
        "wav" => "audio/wav",
        "webm" => "video/webm",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "xml" => "text/xml; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether a type is text, which shrinks a lot.
pub(super) fn is_text(content_type: &str) -> bool {
    content_type.ends_with("; charset=utf-8") || content_type == "application/manifest+json"
}

/// Whether a type is audio or video.
pub(super) fn is_media(content_type: &str) -> bool {
    content_type.starts_with("video/") || content_type.starts_with("audio/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_every_format_has_its_type() {
        for (path, wanted) in [
            ("shapes.svg", "image/svg+xml; charset=utf-8"),
            ("slides_new.xml", "text/xml; charset=utf-8"),
            ("presentation_text.json", "application/json; charset=utf-8"),
            ("caption_en-US.vtt", "text/vtt; charset=utf-8"),
            ("video/webcams.webm", "video/webm"),
            ("video/webcams.mp4", "video/mp4"),
            ("video-0.m4v", "video/mp4"),
            ("audio/audio.ogg", "audio/ogg"),
            ("presentation/d2d9a6/slide-1.PNG", "image/png"),
            ("presentation/d2d9a6/textfiles/slide-1.txt", "text/plain; charset=utf-8"),
            ("notes.pdf", "application/pdf"),
            ("notes.html", "text/html; charset=utf-8"),
            ("a.d/unknown", "application/octet-stream"),
        ] {
            assert_eq!(content_type(path), wanted, "{path}");
        }
    }

    #[test]
    fn text_shrinks_and_media_do_not() {
        for path in ["a.svg", "a.xml", "a.json", "a.vtt", "a.html", "a.txt", "a.js", "a.css"] {
            assert!(is_text(content_type(path)) && !is_media(content_type(path)), "{path}");
        }
        for path in ["a.webm", "a.mp4", "a.ogg", "a.m4v"] {
            assert!(is_media(content_type(path)) && !is_text(content_type(path)), "{path}");
        }
        assert!(!is_text(content_type("a.png")) && !is_text(content_type("a.pdf")));
    }
}
