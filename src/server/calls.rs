//! A BBB call from its request to its answer: decode, run, log, encode.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::{Body, Call, Fault, Reply};
use futures_util::FutureExt;
use http::request::Parts;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::Instrument;

use super::shared::Shared;
use super::target::Target;
use super::ticket::Ticket;
use super::visit::Visit;
use super::{browser, outgoing, render};
use crate::site::{Answer, Visitor};
use crate::telemetry::Sheet;
use crate::telemetry::catalog::CALLS_IN_FLIGHT;

/// The door for BBB calls. Clones lead to the same server.
#[derive(Clone)]
pub struct Calls(Arc<Shared>);

impl Calls {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Carries out a call. A browser with a join that fails for now gets the page that `wait` makes of the join's address, if any.
    pub(crate) async fn answer(
        &self,
        target: Target,
        head: &Parts,
        body: Option<Incoming>,
        visitor: &Visitor,
        wait: impl FnOnce(&PathAndQuery) -> Option<Answer>,
    ) -> Answer {
        let Self(shared) = self;
        let ticket = Ticket::new(&shared.calls, &shared.parts.proxies, visitor, &head.headers, &target.frontend_key);
        let body = body.map_or(Body::None, |body| shared.bodies.body(&head.headers, body, &ticket));
        let visit = Arc::new(Visit::new(shared, &target, head, visitor, &ticket));
        let call = visit.call(target, &head.method, body);
        let result = run(&visit, call).await;
        let waiting = result.as_ref().err().filter(|fault| browser::may_wait(&visit, fault));
        let answer = waiting.and_then(|_| wait(&visit.address));
        visit.named(answer.unwrap_or_else(|| written(&visit, result)))
    }

    /// Writes down how many calls there are and how much memory bodies take up.
    pub(crate) fn write_figures(&self, sheet: &mut Sheet) {
        sheet.set(&CALLS_IN_FLIGHT, [], self.0.calls.in_flight());
        self.0.parts.budget.write_figures(sheet);
    }
}

/// Runs a call to its end and logs it.
async fn run(visit: &Arc<Visit>, call: Result<Call, Fault>) -> Result<Reply, Fault> {
    let call = match call {
        Ok(call) => call,
        Err(fault) => return visit.end(Err(fault)),
    };
    let limit = limit(&visit.shared, &call);
    let late = || Err(Fault::Internal(format!("no answer within {} s", limit.as_secs())));
    if !visit.kind.changes_something() {
        let ended = timeout(limit, travel(visit, call)).instrument(visit.span.clone()).await;
        return visit.end(ended.unwrap_or_else(|_| late()));
    }
    // A client that hangs up or waits too long must not cut such a call in half: all that it waits for is bounded.
    let own = Arc::clone(visit);
    let whole = async move { own.end(travel(&own, call).await) };
    let task = tokio::spawn(whole.instrument(visit.span.clone()));
    match timeout(limit, task).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => visit.end(Err(Fault::Internal(error.to_string()))),
        Err(_) => visit.end(late()),
    }
}

/// Sends a call through the stages of its route.
async fn travel(visit: &Visit, call: Call) -> Result<Reply, Fault> {
    let next = visit.shared.parts.router.route(call.kind);
    let next = next.ok_or_else(|| Fault::UnsupportedRequest(call.kind.name().into()))?;
    let answer = AssertUnwindSafe(next.oneshot(call)).catch_unwind().await;
    let reply =
        answer.unwrap_or_else(|panic| Err(Fault::Internal(format!("a stage panicked: {}", text_of(&*panic)))))?;
    outgoing::with_room(visit, reply)
}

/// How long a client waits at most.
fn limit(shared: &Shared, call: &Call) -> Duration {
    let limit = if call.kind == CallKind::Create { shared.settings.create } else { shared.settings.call };
    if matches!(call.body, Body::Unread(_)) { limit + shared.settings.body } else { limit }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// Writes the answer.
fn written(visit: &Arc<Visit>, result: Result<Reply, Fault>) -> Answer {
    match result {
        Ok(reply) => match reply.tail.take() {
            Some(tail) => outgoing::followed(visit, render::reply(reply), tail),
            None => render::reply(reply),
        },
        Err(fault) => {
            let seen = browser::answer(visit, &fault);
            let answer = seen.unwrap_or_else(|| render::fault(&fault, visit.kind, is_in_json(visit, &fault)));
            render::marked(answer, &fault)
        }
    }
}

/// Whether BBB would write a fault in JSON: to a client that wants it, or because the call is one of those in JSON.
fn is_in_json(visit: &Visit, fault: &Fault) -> bool {
    let of_the_call = match fault {
        Fault::UnsupportedRequest(name) => CallKind::answers_json(name),
        Fault::ChecksumMissing | Fault::ChecksumMismatch(_) => false,
        // BBB checks this parameter before it writes JSON.
        Fault::InvalidParam { key: "missingParamRecordID", .. } => false,
        _ => CallKind::answers_json(visit.name),
    };
    of_the_call || visit.reading.prefers_json()
}
