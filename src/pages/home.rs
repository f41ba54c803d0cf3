//! The page at the root, and addresses of the original's documentation that bookmarks still have.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use http::{HeaderValue, Request, StatusCode};

use crate::site::{self, Answer, Body, Claim, Site, Visitor};

/// Where the original keeps its documentation.
const ORIGINAL: &str = "/static/docs";

/// Tells people where they are, and where the documentation is.
pub struct Home;

impl Site for Home {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::at("/"), Claim::below(ORIGINAL)]
    }

    fn answer(&self, request: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
        let answer = match request.uri().path() {
            "/" => site::text(StatusCode::OK, "b3scale: BigBlueButton for many. The API is at /bbb/<frontend>/.\n"),
            path if path.ends_with(".json") => site::redirect(HeaderValue::from_static("/api/v1/openapi.json")),
            _ => site::redirect(HeaderValue::from_static("/docs/api/v1/")),
        };
        ready(answer).boxed()
    }
}
