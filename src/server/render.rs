//! The way out: the only place where a fault becomes something that a client reads.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::bbb::xml::{ReturnCode, Writer};
use b3scale_middleware::{Fault, Reply};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use serde_json::json;

use crate::site::{self, Answer, Pieces};

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const XML: HeaderValue = HeaderValue::from_static("text/xml;charset=utf-8");

/// How long a client is asked to stay away from a server that sheds load, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// A stage's answer.
pub(super) fn reply(reply: Reply) -> Answer {
    let mut answer = site::answer(reply.status, reply.content_type, Pieces::new(reply.body, reply.rest, reply.room));
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
        return site::page(fault.status(), "404 Not Found", &format!("<p>{}</p>", site::escape(&message)));
    }
    // Of an unknown meeting BBB's insertDocument says no key.
    let key = Some(fault.message_key(kind))
        .filter(|_| kind != CallKind::InsertDocument || !matches!(fault, Fault::MeetingNotFound));
    if in_json {
        let mut response = json!({ "returncode": ReturnCode::Failed.to_string(), "message": message });
        key.into_iter().for_each(|key| response["messageKey"] = key.into());
        site::answer(fault.status(), JSON, Bytes::from(json!({ "response": response }).to_string()))
    } else {
        let document = Writer::response(ReturnCode::Failed);
        let document = key.into_iter().fold(document, |document, key| document.field("messageKey", key));
        site::answer(fault.status(), XML, document.field("message", &message).finish())
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
