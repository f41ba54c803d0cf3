//! The address that nodes call: `/api/v1/callbacks/proxy/{token}`, as in the original.
//!
//! A node is answered at once. The tenant is called later, from the outbox.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::cluster::CALLBACK_PATH;
use b3scale_middleware::ports::Directory;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;

use super::inbound::{Claimed, Inbound, Refusal};
use super::legacy::LegacyTokens;
use super::message::Message;
use super::token::CallbackTokens;
use crate::budget::{Budget, Owner, Room};
use crate::site::{self, Answer, Body, Claim, Intake, Site, Visitor};
use crate::store::Store;
use crate::work::Waker;

/// The most bytes of a body. Analytics of a large meeting take a few hundred kilobytes.
const LARGEST: usize = 4 << 20;

/// The paths of callbacks.
const CALLBACKS: &str = "/api/v1/callbacks";

/// The parts of the site.
pub struct CallbackParts {
    /// The database.
    pub store: Store,
    /// The nodes, with their secrets.
    pub nodes: Arc<dyn Directory>,
    /// The secret of the cluster's tokens.
    pub secret: String,
    /// Whether recordings are imported here.
    pub imports: bool,
    /// The right to wake the outbox.
    pub waker: Waker,
    /// What bodies may take up in memory.
    pub budget: Budget,
}

/// Takes the callbacks of nodes.
pub struct CallbackSite {
    inbound: Inbound,
    budget: Budget,
}

impl CallbackSite {
    /// The site.
    pub fn new(parts: CallbackParts) -> Self {
        let CallbackParts { store, nodes, secret, imports, waker, budget } = parts;
        let (tokens, legacy) = (CallbackTokens::new(secret.as_bytes()), LegacyTokens::of(&secret));
        Self { inbound: Inbound { store, nodes, tokens, legacy, imports, waker }, budget }
    }

    async fn respond(&self, request: Request<Body>, visitor: Visitor) -> Result<(), Refusal> {
        let (head, body) = request.into_parts();
        let token = head.uri.path().strip_prefix(CALLBACK_PATH).unwrap_or_default().to_owned();
        // A HEAD only looks.
        if !matches!(head.method, Method::GET | Method::POST) {
            return if head.method == Method::HEAD { Ok(()) } else { Err(Refusal::Unknown) };
        }
        let claimed = self.inbound.claimed(&token).await?;
        let owner = match &claimed {
            Claimed::Kept(kept) => {
                visitor.admit();
                Owner::Frontend(kept.frontend_key.as_str().into())
            }
            Claimed::Legacy(_) => {
                visitor.admit();
                Owner::stranger(visitor.peer.ip())
            }
            Claimed::Loose(_) => Owner::stranger(visitor.peer.ip()),
        };
        let (body, _room) = self.body(body, owner).await?;
        self.inbound.take(&token, claimed, &Message::new(&head, body)).await
    }

    async fn body(&self, mut body: Body, owner: Owner) -> Result<(Bytes, Room), Refusal> {
        let mut buffer = self.budget.buffer(owner);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Malformed)?;
            let Ok(piece) = frame.into_data() else { continue };
            buffer.push(&piece, LARGEST).map_err(|_| Refusal::Away)?;
        }
        Ok(buffer.finish())
    }
}

impl Site for CallbackSite {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::below(CALLBACKS)]
    }

    fn intake(&self) -> Option<Intake> {
        Some(Intake { largest: LARGEST, pause: Duration::from_secs(10), whole: Duration::from_secs(30) })
    }

    fn answer(&self, request: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer> {
        async move {
            let Err(refusal) = self.respond(request, visitor).await else { return site::text(StatusCode::OK, "") };
            let status = match refusal {
                Refusal::Unknown => StatusCode::NOT_FOUND,
                Refusal::Unproved => StatusCode::UNAUTHORIZED,
                Refusal::Misplaced => StatusCode::FORBIDDEN,
                Refusal::Malformed => StatusCode::BAD_REQUEST,
                Refusal::Large => StatusCode::PAYLOAD_TOO_LARGE,
                Refusal::Crowded => StatusCode::TOO_MANY_REQUESTS,
                Refusal::Away => StatusCode::SERVICE_UNAVAILABLE,
            };
            let mut answer = site::text(status, format!("{}\n", refusal.text()));
            if status == StatusCode::SERVICE_UNAVAILABLE {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            answer
        }
        .boxed()
    }
}
