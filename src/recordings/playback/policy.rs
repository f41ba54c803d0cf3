//! What answers of playback may do in a browser, and answers that have no file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Either;
use sha2::{Digest, Sha256};

use super::super::media::content_type;
use super::super::shelf::{FilePath, FormatKey};
use crate::site::{self, Answer};

/// For documents of strangers: notes and slides. Nothing in them runs, and they are of no origin.
const INERT: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
                     base-uri 'none'; form-action 'none'; sandbox";

/// For pages of formats that bring a player of their own.
const OWN_PLAYER: &str =
    "default-src 'self' data: blob: 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'none'";

/// For the stock player, between its own inline scripts and the rest. It plays videos of other hosts in frames, some by a script of theirs.
/// An event handler in notes does not run.
const PLAYER: [&str; 2] = [
    "default-src 'none'; script-src 'self'",
    " https://www.youtube.com https://player.vimeo.com https://player.twitch.tv; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob: data: https:; connect-src 'self'; \
     worker-src 'self' blob:; frame-src https:; manifest-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'",
];

pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The headers of every answer. A player on another host may read files, and a link never leaves in a `Referer`.
pub(super) fn shared(answer: &mut Answer) {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Range, Accept-Ranges, Content-Length, ETag"),
        (header::VARY, "Origin, Accept-Encoding"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// What a file of a recording may do. `None`: it is no document.
pub(super) fn of_file(key: &FormatKey, path: &FilePath) -> Option<HeaderValue> {
    let kind = content_type(path.as_str());
    let is_page = kind.starts_with("text/html");
    let is_document = is_page || kind.starts_with("image/svg") || kind.starts_with("text/xml");
    let brings_player = is_page && !matches!(key.format(), "presentation" | "notes");
    is_document.then(|| HeaderValue::from_static(if brings_player { OWN_PLAYER } else { INERT }))
}

/// What the stock player may do, whose page this is.
pub(super) fn of_player(page: &str) -> Option<HeaderValue> {
    let [before, after] = PLAYER;
    let scripts: String = inline(page, "script").map(|script| format!(" {}", hash(script))).collect();
    HeaderValue::from_str(&format!("{before}{scripts}{after}")).ok()
}

/// Sends a browser elsewhere, this time.
pub(in crate::recordings) fn redirect(location: &str) -> Answer {
    let Ok(location) = HeaderValue::from_str(location) else {
        return words(StatusCode::NOT_FOUND, "There is nothing here.\n");
    };
    let mut answer = site::redirect(location);
    shared(&mut answer);
    answer.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

/// The source of an inline script or style, as a policy names it.
pub(super) fn hash(source: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(source)))
}

/// The texts of these elements of a page.
fn inline<'p>(page: &'p str, name: &str) -> impl Iterator<Item = &'p str> {
    let (open, close) = (format!("<{name}"), format!("</{name}"));
    let mut rest = page;
    std::iter::from_fn(move || {
        let (_, element) = rest.split_once(&open)?;
        let (_, content) = element.split_once('>')?;
        let (text, after) = content.split_once(&close)?;
        rest = after;
        Some(text)
    })
    .filter(|text| !text.is_empty())
}

/// A few words where a program waits for a file.
pub(super) fn words(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = site::text(status, text);
    shared(&mut answer);
    answer
}

/// A page for a person.
pub(super) fn page(status: StatusCode, title: &str, text: &str) -> Answer {
    let mut answer = site::page(status, title, &format!("<p>{text}</p>"));
    shared(&mut answer);
    answer.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    answer
}

/// The answer while the database or a shelf is away, or memory is used up.
pub(super) fn overloaded() -> Answer {
    let mut answer = words(StatusCode::SERVICE_UNAVAILABLE, "This cannot be played at the moment.\n");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// The answer to a browser that asks whether a page of another host may ask.
pub(super) fn preflight() -> Answer {
    let mut answer = Response::new(Either::Left(Bytes::new().into()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    shared(&mut answer);
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Range, If-Range, If-None-Match, If-Modified-Since"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
