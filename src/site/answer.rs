//! Answers of our own making: pages for people, plain words, redirects.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use http_body_util::Either;

use super::{Answer, Pieces};

const HTML: HeaderValue = HeaderValue::from_static("text/html;charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=utf-8");

/// Sends a browser elsewhere.
pub(crate) fn redirect(location: HeaderValue) -> Answer {
    let mut answer = answer(StatusCode::FOUND, HTML, Bytes::new());
    answer.headers_mut().insert(header::LOCATION, location);
    answer
}

/// A page for people. `body` is HTML. Nothing is loaded with it and no script may run in it.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Answer {
    let title = escape(title);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n</head>\n\
         <body style=\"max-width:36em;margin:4em auto;padding:0 1em;font-family:sans-serif\">\n\
         <h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    );
    let mut answer = answer(status, HTML, Bytes::from(html));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'");
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// A few words for a person.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, TEXT, text.into())
}

/// Any answer. No cache on its way may keep it.
pub(crate) fn answer(status: StatusCode, content_type: HeaderValue, body: impl Into<Pieces>) -> Answer {
    let mut answer = Response::new(Either::Left(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// A link to a path on this server, as it may stand in HTML.
pub(crate) fn local(address: &PathAndQuery) -> String {
    // Two slashes at the start would name another host.
    format!("/{}", escape(address.as_str().trim_start_matches('/')))
}

/// Text as it may stand in HTML, attributes included.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char => out.push(char),
        }
    }
    out
}
