//! One BBB call at the door, from the head of its request to its line in the log.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use b3scale_middleware::bbb::{CallKind, Params};
use b3scale_middleware::call::Gate;
use b3scale_middleware::params_rewrite::rewrite;
use b3scale_middleware::{Body, Call, Door, Fault};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;
use tracing::Span;

use super::reading::Reading;
use super::shared::Shared;
use super::target::Target;
use super::ticket::Ticket;
use crate::site::{Answer, Visitor};
use crate::telemetry;

/// A call's record for the way out. Its client and the task that carries it out share it.
pub(super) struct Visit {
    pub(super) shared: Arc<Shared>,
    /// As which call it is answered. A name that is no call is answered as the version call is.
    pub(super) kind: CallKind,
    /// The call's name in the log.
    pub(super) name: &'static str,
    /// Its door, with the records of the stages.
    pub(super) door: Arc<Door>,
    pub(super) span: Span,
    /// Path and query, with the checksum.
    pub(super) address: PathAndQuery,
    /// The formats that its client reads.
    pub(super) reading: Reading,
    /// Whether its line is in the log.
    pub(super) written: AtomicBool,
    params: OnceLock<Params>,
}

impl Visit {
    /// Decodes the head of a call, which holds `ticket`.
    pub(super) fn new(
        shared: &Arc<Shared>,
        target: &Target,
        head: &Parts,
        visitor: &Visitor,
        ticket: &Arc<Ticket>,
    ) -> Self {
        let kind = *target.call.as_ref().unwrap_or(&CallKind::Index);
        let name = target.call.as_ref().map_or("(unknown)", |kind| kind.name());
        let door = Door::new(request_id(&head.headers), visitor.peer, Instant::now().into_std(), &target.frontend_key);
        let span = telemetry::span_of(&door.request_id, name);
        let trace = telemetry::trace_of(&span, &head.headers);
        let gate: Arc<dyn Gate> = Arc::<Ticket>::clone(ticket);
        let followers = shared.parts.followers.as_ref();
        let watched = followers.is_some_and(|followers| followers.may_follow(&head.headers, visitor.peer));
        let looks = head.method == Method::HEAD;
        let address = head.uri.path_and_query().cloned();
        Self {
            shared: Arc::clone(shared),
            kind,
            name,
            door: Arc::new(Door { trace, watched, looks, gate: Some(gate), ..door }),
            span,
            address: address.unwrap_or(PathAndQuery::from_static("/")),
            reading: Reading::of(&head.headers),
            written: AtomicBool::new(false),
            params: OnceLock::new(),
        }
    }

    /// The call itself. Its errors are answered like any other fault.
    pub(super) fn call(&self, target: Target, method: &Method, body: Body) -> Result<Call, Fault> {
        let kind = target.call.map_err(|name| no_call(&name))?;
        if !takes(kind, method) {
            return Err(Fault::UnsupportedMethod { allow: kind.methods().allow() });
        }
        let body = match body {
            Body::Unread(source) if method != Method::POST => Body::Ignored(source.media()),
            body => body,
        };
        let params = Params::parse(self.address.query().unwrap_or_default());
        Ok(Call::new(kind, params, body, Arc::clone(&self.door)))
    }

    /// Whether the checksum of the call held. Before that, nothing in its query counts.
    pub(super) fn is_verified(&self) -> bool {
        self.door.trail.is_verified()
    }

    /// The parameters with the values of the frontend's settings, as any stage would see them. They are read when the stages are done,
    /// and once.
    pub(super) fn params(&self) -> &Params {
        self.params.get_or_init(|| {
            let mut params = Params::parse(self.address.query().unwrap_or_default());
            // A known key is answered like an unknown one until the checksum has held.
            if let Some(frontend) = self.door.trail.frontend().filter(|_| self.is_verified()) {
                rewrite(self.kind, &frontend.settings, &mut params);
            }
            params
        })
    }

    /// Adds the name of the call to an answer.
    pub(super) fn named(&self, mut answer: Answer) -> Answer {
        answer.headers_mut().insert("x-request-id", self.door.request_id.clone());
        answer
    }
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
