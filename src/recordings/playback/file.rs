//! A file as an answer: conditions, parts, compression, headers.

use std::time::SystemTime;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::StreamExt;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Either;

use super::super::media::{content_type, is_text};
use super::super::shelf::local::CHUNK;
use super::super::shelf::{Opened, ShelfError};
use super::range::{Wanted, wanted};
use super::{gzip, policy};
use crate::budget::{Full, Room};
use crate::site::{Answer, Body};

/// Who may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Anyone, for ever: its name changes with its content.
    Forever,
    /// Anyone who asks again before each use.
    Asking,
    /// The browser alone, if it asks again before each use.
    Private,
    /// No one.
    Never,
}

impl Keep {
    pub(super) const fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Forever => "public, max-age=31536000, immutable",
            Self::Asking => "no-cache",
            Self::Private => "private, no-cache",
            Self::Never => "no-store",
        })
    }
}

/// A file cannot be served now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unserved {
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error(transparent)]
    Full(#[from] Full),
}

/// The content of a small file. The room owns its bytes.
pub(super) async fn whole(file: Opened, most: u64, room: &mut Room) -> Result<Option<Bytes>, Unserved> {
    if file.size <= most {
        room.grow(usize::try_from(file.size).unwrap_or(usize::MAX))?;
    }
    Ok(file.whole(most).await?)
}

/// A file on its way to a browser.
pub(super) struct Sending<'a> {
    pub(super) opened: Opened,
    /// Its path, whose end decides on its type.
    pub(super) path: &'a str,
    pub(super) keep: Keep,
    /// What it may do in a browser.
    pub(super) policy: Option<HeaderValue>,
    /// For the bytes in flight.
    pub(super) room: Room,
}

impl Sending<'_> {
    /// The answer to a request for it.
    pub(super) async fn answer(mut self, request: &Parts) -> Result<Answer, Unserved> {
        let kind = content_type(self.path);
        let size = self.opened.size;
        let is_packed = is_text(kind)
            && size >= gzip::LEAST
            && request.method == Method::GET
            && !request.headers.contains_key(header::RANGE)
            && gzip::is_taken(&request.headers);
        let plain = format!("\"{}\"", self.opened.tag);
        let tag = if is_packed { format!("\"{}-gz\"", self.opened.tag) } else { plain.clone() };
        let mut answer = self.head(kind, &tag);
        if is_unchanged(request, &tag, self.opened.modified) {
            return Ok(with(answer, StatusCode::NOT_MODIFIED, None));
        }
        let wanted = match request.method {
            Method::GET => wanted(&request.headers, size, &plain, self.opened.modified),
            _ => Wanted::Whole,
        };
        let (status, part) = match wanted {
            Wanted::Whole => (StatusCode::OK, 0..size),
            Wanted::Part(part) => {
                set(&mut answer, header::CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1));
                (StatusCode::PARTIAL_CONTENT, part)
            }
            Wanted::Nothing => {
                set(&mut answer, header::CONTENT_RANGE, &format!("bytes */{size}"));
                return Ok(with(answer, StatusCode::RANGE_NOT_SATISFIABLE, None));
            }
        };
        if is_packed {
            set(&mut answer, header::CONTENT_ENCODING, "gzip");
        } else {
            set(&mut answer, header::CONTENT_LENGTH, &(part.end - part.start).to_string());
        }
        if request.method == Method::HEAD || part.is_empty() {
            return Ok(with(answer, status, None));
        }
        let in_flight = 2 * CHUNK + if is_packed { gzip::MEMORY } else { 0 };
        self.room.grow(in_flight)?;
        let content = self.opened.read(part).await?;
        let room = self.room;
        // The memory is given back with the last piece.
        let content = content.map(move |piece| {
            let _room = &room;
            piece
        });
        let body = if is_packed {
            Body::from_stream(gzip::compressed(content.map_err(std::io::Error::other)))
        } else {
            Body::from_stream(content)
        };
        Ok(with(answer, status, Some(body)))
    }

    fn head(&mut self, kind: &'static str, tag: &str) -> Answer {
        let mut answer = Response::new(Either::Left(Bytes::new().into()));
        policy::shared(&mut answer);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, self.keep.value());
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(policy) = self.policy.take() {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        set(&mut answer, header::ETAG, tag);
        set(&mut answer, header::LAST_MODIFIED, &httpdate::fmt_http_date(self.opened.modified));
        answer
    }
}

fn set(answer: &mut Answer, name: HeaderName, value: &str) {
    // A tag of a bucket may hold anything.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn with(answer: Answer, status: StatusCode, body: Option<Body>) -> Answer {
    let (mut head, empty) = answer.into_parts();
    head.status = status;
    Answer::from_parts(head, body.map_or(empty, Either::Right))
}

/// Whether the browser has that content already.
fn is_unchanged(request: &Parts, tag: &str, modified: SystemTime) -> bool {
    let mut seen =
        request.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok()).peekable();
    if seen.peek().is_some() {
        return seen.flat_map(|list| list.split(',')).any(|seen| {
            let seen = seen.trim();
            seen == "*" || seen.strip_prefix("W/").unwrap_or(seen) == tag
        });
    }
    let since = request.headers.get(header::IF_MODIFIED_SINCE).and_then(|since| since.to_str().ok());
    let since = since.and_then(|since| httpdate::parse_http_date(since).ok());
    // Dates in headers have whole seconds.
    let modified = httpdate::parse_http_date(&httpdate::fmt_http_date(modified));
    since.zip(modified.ok()).is_some_and(|(since, modified)| modified <= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Owner};

    #[tokio::test]
    async fn a_small_file_is_read_into_memory_of_its_owner() {
        let budget = Budget::of(1 << 20);
        let mut room = budget.room(Owner::Frontend("school".into()));
        let file = |size| Opened::of(Bytes::from(vec![b' '; size]), SystemTime::UNIX_EPOCH, "t".to_owned());
        assert!(matches!(whole(file(4 << 20), 8 << 20, &mut room).await, Err(Unserved::Full(_))));
        assert_eq!(whole(file(4 << 20), 1 << 20, &mut room).await.unwrap(), None);
        assert_eq!(whole(file(1 << 10), 1 << 20, &mut room).await.unwrap().unwrap().len(), 1 << 10);
        assert_eq!(budget.held(), 1 << 10);
    }
}
