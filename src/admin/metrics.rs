//! Metrics: of the requests of this API, and a frontend's own figures.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use b3scale_middleware::ports::Directory as _;
use http::Method;
use http::header::CONTENT_TYPE;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Admin;
use super::access::{Caller, Observers};
use super::body::Name;
use super::problem::Problem;
use crate::telemetry::catalog::{API_REQUESTS, API_SECONDS};
use crate::telemetry::{self, Sheet};

/// Where a frontend's metrics are.
pub(super) const PATH: &str = "/bbb/{key}/metrics";

/// Leaves the route of a request in its answer.
pub(super) async fn note_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Counts a request where its answer leaves, however it came to that.
pub(super) fn count(method: &Method, began: Instant, response: &Response) {
    let route = response.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
    API_REQUESTS.with([name(method), route, response.status().as_str()]).increment(1);
    API_SECONDS.with([route]).record(began.elapsed());
}

/// Methods may be anything that a client thinks of.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "(other)",
    }
}

/// Show a frontend's own metrics, in Prometheus's text format. They contain no other frontend and no node.
#[utoipa::path(get, path = "/bbb/{key}/metrics", tag = "frontends",
    params(("key" = String, Path, description = "The key of the frontend, equal to the token's subject")),
    responses((status = OK, description = "The metrics", body = String, content_type = "text/plain")))]
pub(super) async fn show(
    State(admin): State<Admin>,
    who: Caller<Observers>,
    Name(key): Name,
) -> Result<Response, Problem> {
    if !who.is_admin() && who.subject() != key {
        return Err(Problem::Forbidden);
    }
    let frontend = admin.cluster.frontend(&key).ok_or(Problem::NotFound)?;
    let server = admin.cluster.server_id().to_string();
    let written = spawn_blocking(move || {
        let counted = admin.counted.as_ref().map(|counted| counted.of_frontend(&key, &server));
        let mut sheet = Sheet::default();
        admin.cluster.figures().write_of_frontend(&mut sheet, &frontend);
        counted.unwrap_or_default() + &sheet.text()
    });
    let text = written.await.map_err(|_| Problem::Internal)?;
    Ok(([(CONTENT_TYPE, telemetry::CONTENT_TYPE)], text).into_response())
}
