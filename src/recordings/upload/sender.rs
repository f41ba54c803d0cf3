//! The sender of a request: a node by its signature, or an operator by a token.

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::chance::Clock;
use http::request::Parts;
use tokio::sync::Semaphore;
use tracing::warn;

use super::problem::Problem;
use crate::clock::RuntimeClock;
use crate::proxies::Proxies;
use crate::signature::{Refusal, Signed, node_of};
use crate::site::Visitor;
use crate::store::{Store, StoreError};
use crate::token::{Scope, Tokens, bearer};

/// The sender of a request, as it has proved.
#[derive(Debug)]
pub(super) struct Sender {
    /// The URL of the node, or the subject of the operator's token.
    pub(super) name: String,
    /// The SHA-256 of the body, as signed. An operator's token signs none.
    pub(super) digest: Option<String>,
}

/// Look-ups at a time: strangers make up nodes.
const LOOKUPS: usize = 4;

/// Finds out who sends.
pub(super) struct Senders {
    store: Store,
    tokens: Tokens,
    proxies: Proxies,
    lookups: Semaphore,
}

impl Senders {
    pub(super) fn new(store: Store, tokens: Tokens, proxies: Proxies) -> Self {
        Self { store, tokens, proxies, lookups: Semaphore::new(LOOKUPS) }
    }

    pub(super) async fn identify(&self, head: &Parts, visitor: &Visitor) -> Result<Sender, Problem> {
        let refused = self.proved(head).await;
        if let Err(Problem::Unsigned | Problem::Clock(_) | Problem::Other) = &refused {
            // One line of one form for each, so that fail2ban can read it.
            let address = self.proxies.client(visitor.peer.ip(), &head.headers);
            warn!(client.address = %address, "Invalid signature of an upload");
        }
        refused
    }

    async fn proved(&self, head: &Parts) -> Result<Sender, Problem> {
        let token = bearer(&head.headers).ok_or(Problem::Unsigned)?;
        let Some(node) = node_of(token) else {
            let claims = self.tokens.read(token).ok().filter(|claims| claims.has(Scope::Admin));
            let claims = claims.ok_or(Problem::Unsigned)?;
            return Ok(Sender { name: format!("operator {}", claims.sub), digest: None });
        };
        // An unknown node gets the answer of a wrong secret, after the same work.
        let secret = self.secret_of(&node).await?;
        let (is_known, secret) =
            secret.map_or((false, String::from("unknown")), |secret| (true, secret.expose().to_owned()));
        let signed = Signed::read(token, &secret, RuntimeClock.time());
        let signed = signed.map_err(|refusal| match refusal {
            Refusal::Signature => Problem::Unsigned,
            Refusal::Clock(seconds) if is_known => Problem::Clock(seconds),
            Refusal::Clock(_) => Problem::Unsigned,
        })?;
        match signed {
            _ if !is_known => Err(Problem::Unsigned),
            signed if signed.is_of(head.method.as_str(), head.uri.path()) => {
                Ok(Sender { name: node, digest: Some(signed.sha256) })
            }
            _ => Err(Problem::Other),
        }
    }

    async fn secret_of(&self, node: &str) -> Result<Option<Secret>, StoreError> {
        let _turn = self.lookups.acquire().await;
        self.store.imports().secret_of(node).await
    }
}
