//! What machines beside BBB's clients ask: is the server alive, is it ready, how does it fare.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::{Answer, Shared, render};

/// One thing a ready server must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What is checked: `database`, `draining`.
    pub name: &'static str,
    /// Why it does not hold. `None`: it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Tells whether the server can take calls.
pub trait Readiness: Send + Sync + 'static {
    /// Everything that must hold, whether it does or not. Asks nobody.
    fn checks(&self) -> Vec<Check>;
}

/// What `/metrics` shows, and to whom.
#[derive(Clone)]
pub struct MetricsPage {
    /// Renders the metrics.
    pub handle: PrometheusHandle,
    /// The bearer token that is asked for, if any.
    pub token: Option<String>,
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    checks: Vec<Check>,
}

/// The process runs and answers. That is all there is to say.
pub(super) fn live() -> Answer {
    render::text(StatusCode::OK, "alive\n")
}

/// Whether whoever stands before this server should send calls to it.
pub(super) fn ready(shared: &Shared) -> Answer {
    let draining = shared.draining.load(Relaxed);
    let mut checks = shared.parts.readiness.checks();
    let problem = draining.then(|| "the server is going down".to_owned());
    checks.push(Check { name: "draining", problem });
    let ready = checks.iter().all(|check| check.problem.is_none());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let json = serde_json::to_vec(&Report { ready, checks }).unwrap_or_default();
    render::answer(status, HeaderValue::from_static("application/json"), json.into())
}

/// The metrics, for those who may see them.
pub(super) fn metrics(shared: &Shared, headers: &HeaderMap) -> Option<Answer> {
    let page = shared.parts.metrics.as_ref()?;
    if !page.token.as_deref().is_none_or(|token| bears(headers, token)) {
        let mut answer = render::text(StatusCode::UNAUTHORIZED, "This page needs a bearer token.\n");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return Some(answer);
    }
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Some(render::answer(StatusCode::OK, content_type, Bytes::from(page.handle.render())))
}

fn bears(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let given = given.and_then(|value| value.strip_prefix(b"Bearer "));
    given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
}
