//! Our own page of a recording: for formats without a page, and for presentations without the stock player.
//!
//! It loads nothing but files of the recording. Without its script, slides are pictures in their order.

mod slides;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Either;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use time::OffsetDateTime;
use time::macros::format_description;

use super::super::media::{content_type, is_media};
use super::super::shelf::{FilePath, FormatKey, Shelf};
use super::file::{Keep, Unserved, whole};
use super::policy;
use crate::budget::Room;
use crate::offload::PLAYBACK;
use crate::site::{Answer, escape};
use slides::{LARGEST_SHAPES, Slide, slides};

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The policy of the page, but for the source of media that a bucket delivers by itself.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let (style, script) = (policy::hash(STYLE), policy::hash(SCRIPT));
    format!(
        "default-src 'none'; style-src {style}; script-src {script}; img-src 'self'; frame-src 'self'; base-uri 'none'; \
         form-action 'none'; media-src 'self'"
    )
});

/// Letters of a path that stay as they are.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The most bytes of a list of captions.
const LARGEST_CAPTIONS: u64 = 1 << 20;

/// The most documents that are listed.
const MOST_DOCUMENTS: usize = 200;

/// A recording on its page.
pub(super) struct Page<'a> {
    /// The name of the meeting.
    pub(super) name: &'a str,
    /// When it began, in milliseconds since 1970.
    pub(super) start_time: i64,
    /// The path of the folder of its files, with a slash at its end.
    pub(super) base: String,
    /// Another source of media.
    pub(super) media: Option<&'a str>,
    pub(super) keep: Keep,
}

/// The parts of a recording that a page shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    /// Each with its files in different containers. Those of a presentation play together.
    media: Vec<Vec<String>>,
    captions: Vec<Caption>,
    slides: Vec<Slide>,
    documents: Vec<(String, u64)>,
}

/// An entry of a recording's `captions.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Caption {
    locale: String,
    #[serde(default)]
    locale_name: String,
}

impl Page<'_> {
    /// The page of a format that lies on a shelf.
    ///
    /// # Errors
    /// The shelf cannot be used.
    pub(super) async fn answer(
        &self,
        shelf: &dyn Shelf,
        key: &FormatKey,
        place: &str,
        mut room: Room,
    ) -> Result<Answer, Unserved> {
        let content = async |path: &str, most: u64, room: &mut Room| {
            let Some(path) = FilePath::new(path) else { return Ok(None) };
            match shelf.open(key, place, &path).await? {
                Some(file) => whole(file, most, room).await,
                None => Ok(None),
            }
        };
        let files = shelf.files(key, place).await?;
        let is_presentation = key.format() == "presentation";
        let mut parts = if is_presentation { Parts::of_presentation(&files) } else { Parts::of(&files) };
        if let Some(list) = content("captions.json", LARGEST_CAPTIONS, &mut room).await? {
            let listed: Vec<Caption> = serde_json::from_slice(&list).unwrap_or_default();
            let is_there = |caption: &Caption| files.iter().any(|(path, _)| *path == caption.path());
            parts.captions = listed.into_iter().filter(is_there).collect();
        }
        if is_presentation && let Some(shapes) = content("shapes.svg", LARGEST_SHAPES, &mut room).await? {
            parts.slides = PLAYBACK.work(shapes.len(), move || slides(&shapes)).await;
        }
        Ok(self.written(&parts, is_presentation))
    }

    fn written(&self, parts: &Parts, plays_together: bool) -> Answer {
        let media = self.media.map(|media| format!(" {media}")).unwrap_or_default();
        let mut answer = Response::new(Either::Left(Bytes::from(self.html(parts, plays_together)).into()));
        *answer.status_mut() = StatusCode::OK;
        policy::shared(&mut answer);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, self.keep.value());
        if let Ok(policy) = HeaderValue::from_str(&format!("{}{media}", *POLICY)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        answer
    }

    fn html(&self, parts: &Parts, plays_together: bool) -> String {
        let name = escape(if self.name.trim().is_empty() { "Recording" } else { self.name.trim() });
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<h1 dir=\"auto\">{name}</h1>\n{}</header>\n",
            day(self.start_time)
        );
        self.write_stage(&mut html, parts, plays_together);
        self.write_slides(&mut html, &parts.slides);
        self.write_documents(&mut html, &parts.documents);
        if parts.media.is_empty() && parts.slides.is_empty() && parts.documents.is_empty() {
            html.push_str("<p>There is nothing to play in this recording.</p>\n");
        }
        let _ = write!(html, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
        html
    }

    fn write_stage(&self, html: &mut String, parts: &Parts, plays_together: bool) {
        if parts.media.is_empty() && parts.slides.is_empty() {
            return;
        }
        let is_wide = plays_together && parts.media.len() + parts.slides.len().min(1) > 1;
        let _ = writeln!(html, "<section class=\"stage{}\" aria-label=\"Player\">", if is_wide { " wide" } else { "" });
        if let Some(first) = parts.slides.first() {
            let _ = writeln!(html, "<img id=\"slide\" src=\"{}\" alt=\"Current slide\">", self.at(&first.path));
        }
        for (number, files) in parts.media.iter().enumerate() {
            let is_sound = files.iter().all(|file| content_type(file).starts_with("audio/"));
            let element = if is_sound { "audio" } else { "video" };
            let follows = plays_together && number > 0;
            let controls = if follows { "muted tabindex=\"-1\" data-follows" } else { "controls" };
            let label = escape(files.first().map_or("", |file| file.rsplit('/').next().unwrap_or_default()));
            let _ = writeln!(html, "<{element} {controls} playsinline preload=\"metadata\" aria-label=\"{label}\">");
            for file in files {
                let _ = writeln!(html, "<source src=\"{}\" type=\"{}\">", self.at(file), content_type(file));
            }
            for caption in parts.captions.iter().filter(|_| number == 0) {
                let (source, locale, label) =
                    (self.at(&caption.path()), escape(&caption.locale), escape(caption.label()));
                let _ =
                    writeln!(html, "<track kind=\"captions\" src=\"{source}\" srclang=\"{locale}\" label=\"{label}\">");
            }
            let _ = writeln!(html, "</{element}>");
        }
        html.push_str("</section>\n");
    }

    fn write_slides(&self, html: &mut String, slides: &[Slide]) {
        if slides.is_empty() {
            return;
        }
        html.push_str("<section aria-label=\"Slides\">\n<ol class=\"slides\">\n");
        for (slide, number) in slides.iter().zip(1..) {
            let (source, at) = (self.at(&slide.path), slide.at as f64 / 1000.0);
            let picture = format!("<img loading=\"lazy\" src=\"{source}\" alt=\"\">");
            let _ = writeln!(
                html,
                "<li><button type=\"button\" data-at=\"{at}\">{picture}<span>Slide {number}</span></button></li>"
            );
        }
        html.push_str("</ol>\n</section>\n");
    }

    fn write_documents(&self, html: &mut String, documents: &[(String, u64)]) {
        if documents.is_empty() {
            return;
        }
        let is_shown = |path: &str| matches!(content_type(path), "text/html; charset=utf-8" | "application/pdf");
        if let Some((path, _)) = documents.iter().find(|(path, _)| is_shown(path)) {
            let _ = writeln!(html, "<iframe src=\"{}\" title=\"{}\"></iframe>", self.at(path), escape(path));
        }
        html.push_str("<section>\n<h2>Files</h2>\n<ul>\n");
        for (path, bytes) in documents {
            let _ = writeln!(
                html,
                "<li><a href=\"{}\">{}</a> <small>{}</small></li>",
                self.at(path),
                escape(path),
                size(*bytes)
            );
        }
        html.push_str("</ul>\n</section>\n");
    }

    fn at(&self, path: &str) -> String {
        escape(&format!("{}{}", self.base, utf8_percent_encode(path, &PATH)))
    }
}

impl Parts {
    /// Of a presentation: the webcams or the sound, and the shared screen.
    fn of_presentation(files: &[(String, u64)]) -> Self {
        let mut all = media(files);
        let mut of = |stem: &str| all.remove(stem);
        let (webcams, sound) = (of("video/webcams"), of("audio/audio"));
        let media = webcams.or(sound).into_iter().chain(of("deskshare/deskshare")).collect();
        let documents = files.iter().filter(|(path, _)| path == "notes.html" || path == "notes.pdf").cloned().collect();
        Self { media, documents, ..Self::default() }
    }

    /// Of any other format: its media, and the rest of its files if they are for people.
    fn of(files: &[(String, u64)]) -> Self {
        let is_document = |path: &str| {
            let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
            let is_ours = matches!(path, "metadata.xml" | "captions.json" | "video.xml");
            !path.contains('/')
                && !is_ours
                && !is_media(content_type(path))
                && !matches!(extension, "vtt" | "css" | "js")
        };
        let documents = files.iter().filter(|(path, _)| is_document(path)).take(MOST_DOCUMENTS).cloned().collect();
        Self { media: media(files).into_values().collect(), documents, ..Self::default() }
    }
}

/// Files of media, by their names without extension.
fn media(files: &[(String, u64)]) -> BTreeMap<&str, Vec<String>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (path, _) in files.iter().filter(|(path, _)| is_media(content_type(path))) {
        let stem = path.rsplit_once('.').map_or(&**path, |(stem, _)| stem);
        found.entry(stem).or_default().push(path.clone());
    }
    found
}

impl Caption {
    fn path(&self) -> String {
        format!("caption_{}.vtt", self.locale)
    }

    fn label(&self) -> &str {
        if self.locale_name.is_empty() { &self.locale } else { &self.locale_name }
    }
}

/// The day and the time of a meeting.
fn day(start_time: i64) -> String {
    let start = OffsetDateTime::from_unix_timestamp(start_time / 1000).ok().filter(|_| start_time > 0);
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]Z");
    let written = start.and_then(|start| start.format(format).ok());
    written.map_or_else(String::new, |time| {
        let shown = time.replace('T', " ").replace('Z', " UTC");
        format!("<p><time datetime=\"{time}\">{shown}</time></p>\n")
    })
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests;
