//! The way out: the only place where a fault becomes something a client reads.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::bbb::xml::{ReturnCode, Writer};
use b3scale_middleware::call::Room;
use b3scale_middleware::{Fault, Reply};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use serde_json::json;

use super::Answer;
use super::pieces::Pieces;

const HTML: HeaderValue = HeaderValue::from_static("text/html;charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=utf-8");
const XML: HeaderValue = HeaderValue::from_static("text/xml;charset=utf-8");

/// How long a client is asked to stay away from a server that sheds load, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// What a stage answered.
pub(super) fn reply(reply: Reply) -> Answer {
    let mut answer = pieces(reply.status, reply.content_type, Pieces::new(reply.body, reply.rest, reply.room));
    let headers = answer.headers_mut();
    if let Some(location) = reply.location {
        headers.insert(header::LOCATION, location);
    }
    for cookie in reply.cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    answer
}

/// A fault, as BBB writes it: a document, or a page where a node has nothing.
pub(super) fn fault(fault: &Fault, kind: CallKind, in_json: bool) -> Answer {
    let message = fault.message(kind);
    if matches!(fault, Fault::NothingThere(_)) {
        return page(fault.status(), "404 Not Found", &format!("<p>{}</p>", escape(&message)));
    }
    // Of an unknown meeting BBB's insertDocument says no key.
    let key = Some(fault.message_key(kind))
        .filter(|_| kind != CallKind::InsertDocument || !matches!(fault, Fault::MeetingNotFound));
    if in_json {
        let mut response = json!({ "returncode": ReturnCode::Failed.to_string(), "message": message });
        key.into_iter().for_each(|key| response["messageKey"] = key.into());
        answer(fault.status(), JSON, json!({ "response": response }).to_string().into())
    } else {
        let document = Writer::response(ReturnCode::Failed);
        let document = key.into_iter().fold(document, |document, key| document.field("messageKey", key));
        answer(fault.status(), XML, document.field("message", &message).finish())
    }
}

/// Adds the headers of a fault to its answer, which may be XML, JSON or a page.
pub(super) fn marked(mut answer: Answer, fault: &Fault) -> Answer {
    match fault {
        Fault::UnsupportedMethod { allow } => {
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        Fault::Overloaded => {
            answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        _ => {}
    }
    answer
}

/// A redirect that is ours.
pub(super) fn redirect(location: HeaderValue) -> Answer {
    reply(Reply::redirect(location))
}

/// A page for people. `body` is HTML. Nothing is loaded with it and no script may run in it.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Answer {
    let title = escape(title);
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n</head>\n\
         <body style=\"max-width:36em;margin:4em auto;padding:0 1em;font-family:sans-serif\">\n\
         <h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    );
    let mut answer = answer(status, HTML, html.into());
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'");
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// A few words for whoever came to the wrong place.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    answer(status, TEXT, text.into())
}

/// Any answer. None may be kept by anybody on its way.
pub(super) fn answer(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    pieces(status, content_type, Pieces::new(body, Vec::new(), Room::default()))
}

fn pieces(status: StatusCode, content_type: HeaderValue, body: Pieces) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// A link to a path on this server, as it may stand in HTML.
pub(super) fn local(address: &PathAndQuery) -> String {
    // Two slashes at the start would name another host.
    format!("/{}", escape(address.as_str().trim_start_matches('/')))
}

/// Text as it may stand in HTML, attributes included.
pub(super) fn escape(text: &str) -> String {
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
