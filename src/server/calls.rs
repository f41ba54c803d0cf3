//! One BBB call from its head to its answer: decode, run, log, encode.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::call::Gate;
use b3scale_middleware::{Body, Call, Door, Fault, Reply};
use futures_util::FutureExt;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::{Instrument, Span};

use super::browser::Browser;
use super::log::Line;
use super::reading::Reading;
use super::target::Target;
use super::ticket::Ticket;
use super::waiting::Tokens;
use super::{Answer, Shared, render};
use crate::telemetry;

/// The head of a request for a call, however it reached us.
pub(super) struct Head<'a> {
    pub method: &'a Method,
    pub address: &'a PathAndQuery,
    pub headers: &'a HeaderMap,
    pub peer: SocketAddr,
    /// What the call will hold.
    pub ticket: Arc<Ticket>,
    /// Whether whoever sent it may follow it through its stages in the log, and wants to.
    pub watched: bool,
}

/// What the way out must know of a call.
pub(super) struct Visit {
    /// As which the answer is written. A name that is no call is answered as the version call is.
    kind: CallKind,
    /// What the log calls it.
    name: &'static str,
    door: Arc<Door>,
    span: Span,
    browser: Option<Browser>,
    reading: Reading,
}

impl Visit {
    /// Decodes a call. What is wrong with it is answered like any other fault.
    pub(super) fn decode(head: &Head<'_>, target: Target, body: Body) -> (Self, Result<Call, Fault>) {
        let kind = *target.call.as_ref().unwrap_or(&CallKind::Index);
        let name = target.call.as_ref().map_or("(unknown)", |kind| kind.name());
        let door = Door::new(request_id(head.headers), head.peer, &target.frontend_key);
        let span = telemetry::span_of(&door.request_id, name);
        let trace = telemetry::trace_of(&span, head.headers);
        let gate: Arc<dyn Gate> = Arc::<Ticket>::clone(&head.ticket);
        let looks = head.method == Method::HEAD;
        let door = Arc::new(Door { trace, watched: head.watched, looks, gate: Some(gate), ..door });
        let mut browser = None;
        let call = target.call.map_err(|name| no_call(&name)).and_then(|kind| {
            let params = Params::parse(head.address.query().unwrap_or_default());
            let body = match body {
                Body::Unread(source) if head.method != Method::POST => Body::Ignored(source.media()),
                body => body,
            };
            let call = Call::new(kind, params, body, Arc::clone(&door));
            browser = Browser::of(&call, head);
            if !takes(kind, head.method) {
                return Err(Fault::UnsupportedMethod { allow: kind.methods().allow() });
            }
            Ok(call)
        });
        (Self { kind, name, door, span, browser, reading: Reading::of(head.headers) }, call)
    }

    /// Runs the call to its end and logs it.
    pub(super) async fn run(&self, shared: &Arc<Shared>, call: Result<Call, Fault>) -> Result<Reply, Fault> {
        let line = Line::new(Arc::clone(&self.door), self.kind, self.name, self.span.clone(), Arc::clone(shared));
        let call = match call {
            Ok(call) => call,
            Err(fault) => return line.end(Err(fault)),
        };
        let limit = limit(shared, &call);
        let late = || Err(Fault::Internal(format!("no answer within {} s", limit.as_secs())));
        if !self.kind.changes_something() {
            let ended = timeout(limit, run(shared, call)).instrument(self.span.clone()).await;
            return line.end(ended.unwrap_or_else(|_| late()));
        }
        // A client that hangs up or waits too long must not cut such a call in half: all that it waits for is bounded.
        let (shared, its_line) = (Arc::clone(shared), line.clone());
        let run = async move { its_line.end(run(&shared, call).await) };
        let task = tokio::spawn(run.instrument(self.span.clone()));
        match timeout(limit, task).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => line.end(Err(Fault::Internal(error.to_string()))),
            Err(_) => line.end(late()),
        }
    }

    /// Whether a fault can be waited out by a browser that may be trusted.
    pub(super) fn may_wait(&self, fault: &Fault) -> bool {
        self.trusted_browser().is_some_and(|browser| browser.may_wait(fault))
    }

    /// Sends a join that can be waited out to the waiting page.
    pub(super) fn wait(&self, fault: &Fault, tokens: &Tokens) -> Option<Answer> {
        let browser = self.trusted_browser().filter(|browser| browser.may_wait(fault))?;
        Some(self.named(render::redirect(tokens.page_for(browser.address.as_str())?)))
    }

    /// Writes the answer.
    pub(super) fn answer(&self, result: Result<Reply, Fault>) -> Answer {
        let answer = match result {
            Ok(reply) => render::reply(reply),
            Err(fault) => {
                let seen = self.browser.as_ref().and_then(|browser| browser.fault(&fault, &self.reading));
                let answer = seen.unwrap_or_else(|| render::fault(&fault, self.kind, self.is_in_json(&fault)));
                render::marked(answer, &fault)
            }
        };
        self.named(answer)
    }

    /// Whether BBB would write a fault in JSON: to a client that wants it, or because the call is one of those in JSON.
    fn is_in_json(&self, fault: &Fault) -> bool {
        let of_the_call = match fault {
            Fault::UnsupportedRequest(name) => CallKind::answers_json(name),
            Fault::ChecksumMissing | Fault::ChecksumMismatch(_) => false,
            _ => CallKind::answers_json(self.name),
        };
        of_the_call || self.reading.prefers_json()
    }

    /// Addresses in a query count only once its checksum has held.
    fn trusted_browser(&self) -> Option<&Browser> {
        self.browser.as_ref().filter(|_| self.door.trail.is_verified())
    }

    /// Adds the name of the call to an answer.
    pub(super) fn named(&self, mut answer: Answer) -> Answer {
        answer.headers_mut().insert("x-request-id", self.door.request_id.clone());
        answer
    }
}

async fn run(shared: &Shared, call: Call) -> Result<Reply, Fault> {
    let next = shared.parts.router.route(call.kind);
    let next = next.ok_or_else(|| Fault::UnsupportedRequest(call.kind.name().into()))?;
    let answer = AssertUnwindSafe(next.oneshot(call)).catch_unwind().await;
    answer.unwrap_or_else(|panic| Err(Fault::Internal(format!("a stage panicked: {}", text_of(&*panic)))))
}

/// How long a client waits at most.
fn limit(shared: &Shared, call: &Call) -> Duration {
    let limit = if call.kind == CallKind::Create { shared.settings.create } else { shared.settings.call };
    if matches!(call.body, Body::Unread(_)) { limit + shared.settings.body } else { limit }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// Whether the call is made with one of its methods. A HEAD is a GET only where looking may change nothing.
fn takes(kind: CallKind, method: &Method) -> bool {
    kind.methods().contains(method) || (method == Method::HEAD && matches!(kind, CallKind::Index | CallKind::Join))
}

/// A name that is none of our calls. A name that BBB does not have either is not found, as at a node.
fn no_call(name: &str) -> Fault {
    if CallKind::is_foreign(name) {
        Fault::UnsupportedRequest(name.into())
    } else {
        Fault::NothingThere(format!("BBB has no call `{}`", loggable(name)).into())
    }
}

/// The name of a call that we do not have. A client that forgets the question mark puts its whole query there.
fn loggable(name: &str) -> &str {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/';
    if name.len() <= 64 && name.bytes().all(usual) { name } else { "(odd)" }
}

/// The client's name for the call if it can stand in a log, else one of ours.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fits =
        |value: &&HeaderValue| (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    headers.get("x-request-id").filter(fits).cloned().unwrap_or_else(|| {
        let made = uuid::Uuid::now_v7().to_string();
        HeaderValue::try_from(made).unwrap_or(HeaderValue::from_static("unnamed"))
    })
}
