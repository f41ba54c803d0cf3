//! `/metrics`: all figures of a server, for clients that have the token.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use subtle::ConstantTimeEq;
use tokio::task::spawn_blocking;

use crate::server::Calls;
use crate::site::{self, Answer, Body, Claim, Readiness, Site, Visitor};
use crate::telemetry::catalog::READY;
use crate::telemetry::{self, MetricsPage};
use crate::token::bearer;

/// The page of a server, with the figures of the server itself.
#[derive(Clone)]
pub struct Metrics {
    /// Counted events, and the figures of everything else.
    pub page: MetricsPage,
    /// The calls under way.
    pub calls: Calls,
    /// The checks of the server.
    pub readiness: Arc<dyn Readiness>,
}

impl Metrics {
    fn text(&self) -> String {
        self.page.render(|sheet| {
            self.calls.write_figures(sheet);
            for check in self.readiness.checks() {
                sheet.set(&READY, [check.name], u8::from(check.passes()));
            }
        })
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let given = bearer(headers).unwrap_or_default();
        self.page.token.as_ref().is_none_or(|token| given.as_bytes().ct_eq(token.as_bytes()).into())
    }
}

impl Site for Metrics {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::at("/metrics")]
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        let is_admitted = self.admits(request.headers());
        let metrics = self.clone();
        async move {
            if !is_admitted {
                let mut answer = site::text(StatusCode::UNAUTHORIZED, "This page needs a bearer token.\n");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                return answer;
            }
            // There may be tens of thousands of lines, and calls must not wait for them.
            match spawn_blocking(move || metrics.text()).await {
                Ok(text) => site::answer(StatusCode::OK, telemetry::CONTENT_TYPE, Bytes::from(text)),
                Err(_) => site::text(StatusCode::INTERNAL_SERVER_ERROR, "The metrics cannot be written.\n"),
            }
        }
        .boxed()
    }
}
