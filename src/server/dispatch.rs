//! Which part of the server answers a request: the site that claims its path, the door for calls, or nothing.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::calls::Calls;
use super::shared::Shared;
use super::target::Target;
use crate::site::{self, Answer, Body, Site, Sites, Visitor};

/// The longest head of a request, in bytes: about as long as a signed address can be at a node.
pub(super) const LARGEST_HEAD: usize = 64 << 10;

/// The parts that answer requests.
pub(super) struct Dispatch {
    pub(super) shared: Arc<Shared>,
    sites: Sites,
    calls: Calls,
}

impl Dispatch {
    pub(super) fn new(shared: Arc<Shared>, sites: Sites) -> Self {
        Self { calls: Calls::new(Arc::clone(&shared)), shared, sites }
    }

    /// Answers a request.
    pub(super) async fn respond(&self, request: Request<Incoming>, visitor: &Visitor) -> Answer {
        let mut answer = self.answer(request, visitor).await;
        if self.shared.drain.has_begun() {
            // A client that sends its next request to a closing connection cannot tell whether it was processed.
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    async fn answer(&self, request: Request<Incoming>, visitor: &Visitor) -> Answer {
        if length_of_head(&request) > LARGEST_HEAD {
            return site::text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The head of this request is too long.\n");
        }
        if let Some(site) = self.sites.find(&request) {
            return visit(site, request, visitor).await;
        }
        match Target::of(request.uri().path()) {
            Some(target) => self.call(target, request, visitor).await,
            None => nothing(request.method()),
        }
    }

    async fn call(&self, target: Target, request: Request<Incoming>, visitor: &Visitor) -> Answer {
        let (head, body) = request.into_parts();
        let lobby = self.shared.parts.lobby.as_ref();
        let page = |join: &_| lobby.and_then(|lobby| lobby.page_for(join)).map(site::redirect);
        self.calls.answer(target, &head, Some(body), visitor, page).await
    }
}

/// Lets a site answer, with as much of the body as it reads.
async fn visit(site: &dyn Site, request: Request<Incoming>, visitor: &Visitor) -> Answer {
    let request = match site.intake() {
        Some(intake) => request.map(|body| Body::new(intake.bound(body))),
        None if is_look(request.method()) => request.map(|_| Body::empty()),
        None => return nothing(request.method()),
    };
    site.answer(request, visitor.clone()).await
}

/// The answer where no part of the server is.
fn nothing(method: &Method) -> Answer {
    let text =
        if is_look(method) { "There is nothing here.\n" } else { "There is nothing here to send anything to.\n" };
    site::text(StatusCode::NOT_FOUND, text)
}

fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The HTTP library checks the bytes so far, and so may let a slightly longer head pass.
fn length_of_head(request: &Request<Incoming>) -> usize {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    address + headers.sum::<usize>()
}
