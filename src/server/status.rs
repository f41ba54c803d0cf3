//! What machines beside BBB's clients ask: is the server alive, is it ready, how does it fare.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use subtle::ConstantTimeEq;
use tokio::task::spawn_blocking;

use super::{Answer, Shared, render};
use crate::telemetry::catalog::{CALLS_IN_FLIGHT, READY};
use crate::telemetry::{self, Sheet};
use crate::token::bearer;

/// One thing a ready server must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked: `database`, `draining`.
    pub name: &'static str,
    /// Why it does not hold. `None`: it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the server takes calls in spite of its problem, and fails some.
    #[serde(skip_serializing_if = "is_false")]
    pub tolerable: bool,
}

impl Check {
    /// A check whose problem, if it has one, keeps calls away.
    pub fn new(name: &'static str, problem: Option<String>) -> Self {
        Self { name, problem, tolerable: false }
    }

    /// What it is that does not hold, and why.
    pub(crate) fn told(&self) -> Option<String> {
        Some(format!("{}: {}", self.name, self.problem.as_ref()?))
    }

    /// Whether calls may come.
    fn passes(&self) -> bool {
        self.problem.is_none() || self.tolerable
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over like this")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Tells whether the server can take calls.
pub trait Readiness: Send + Sync + 'static {
    /// Everything that must hold, whether it does or not. Asks nobody.
    fn checks(&self) -> Vec<Check>;
}

#[derive(Serialize)]
struct Report {
    /// All problems, for people, who read from the top.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
    ready: bool,
    checks: Vec<Check>,
}

/// The process runs and answers. That is all there is to say.
pub(super) fn live() -> Answer {
    render::text(StatusCode::OK, "alive\n")
}

/// Whether whoever stands before this server should send calls to it.
pub(super) fn ready(shared: &Shared) -> Answer {
    let checks = checks(shared);
    let ready = checks.iter().all(Check::passes);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let problem = checks.iter().filter_map(Check::told).collect::<Vec<_>>().join("; ");
    let json = serde_json::to_vec(&Report { problem, ready, checks }).unwrap_or_default();
    render::answer(status, HeaderValue::from_static("application/json"), json.into())
}

fn checks(shared: &Shared) -> Vec<Check> {
    let mut checks = shared.parts.readiness.checks();
    let problem = shared.draining.load(Relaxed).then(|| "the server is going down".to_owned());
    checks.push(Check::new("draining", problem));
    let full = shared.calls.are_taken() && !shared.draining.load(Relaxed);
    let problem = full.then(|| "as many calls as this server takes are under way".to_owned());
    checks.push(Check::new("calls", problem));
    let in_use = shared.connections.are_in_use();
    let problem = in_use.then(|| "calls are under way on as many connections as this server takes".to_owned());
    checks.push(Check::new("connections", problem));
    checks.push(Check::new("descriptors", shared.exhaustion.problem()));
    checks
}

/// The metrics, for those who may see them.
pub(super) async fn metrics(shared: &Arc<Shared>, headers: &HeaderMap) -> Option<Answer> {
    let page = shared.parts.metrics.clone()?;
    let given = bearer(headers).unwrap_or_default();
    if !page.token.as_ref().is_none_or(|token| given.as_bytes().ct_eq(token.as_bytes()).into()) {
        let mut answer = render::text(StatusCode::UNAUTHORIZED, "This page needs a bearer token.\n");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Some(answer);
    }
    let shared = Arc::clone(shared);
    // There may be tens of thousands of lines, and calls must not wait for them.
    let rendered = spawn_blocking(move || page.render(|sheet| write_figures(sheet, &shared))).await;
    let Ok(text) = rendered else {
        return Some(render::text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics cannot be written.\n"));
    };
    Some(render::answer(StatusCode::OK, telemetry::CONTENT_TYPE, Bytes::from(text)))
}

fn write_figures(sheet: &mut Sheet, shared: &Shared) {
    sheet.set(&CALLS_IN_FLIGHT, [], shared.calls.in_flight());
    shared.parts.budget.write_figures(sheet);
    for check in checks(shared) {
        sheet.set(&READY, [check.name], u8::from(check.passes()));
    }
}
