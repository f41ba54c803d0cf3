//! `/health/live` and `/health/ready`, for balancers and for the system's manager.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use http::{HeaderValue, Request, StatusCode};
use serde::Serialize;

use crate::site::{self, Answer, Body, Check, Claim, Readiness, Site, Visitor};

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";

/// Whether the server runs, and whether calls should be sent to it.
pub struct Health(pub Arc<dyn Readiness>);

impl Site for Health {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::at(LIVE), Claim::at(READY)]
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        let is_ready = request.uri().path() == READY;
        let answer = if is_ready { report(self.0.checks()) } else { site::text(StatusCode::OK, "alive\n") };
        ready(answer).boxed()
    }
}

#[derive(Serialize)]
struct Report {
    /// All problems, for people, who read from the top.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
    ready: bool,
    checks: Vec<Check>,
}

fn report(checks: Vec<Check>) -> Answer {
    let ready = checks.iter().all(Check::passes);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let problem = checks.iter().filter_map(Check::failure).collect::<Vec<_>>().join("; ");
    let json = serde_json::to_vec(&Report { problem, ready, checks }).unwrap_or_default();
    site::answer(status, HeaderValue::from_static("application/json"), Bytes::from(json))
}
