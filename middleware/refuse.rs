//! `refuse`: closes a route.
//!
//! ```toml
//! [stages.refuse]
//! message = "This request is not supported."
//! ```
//!
//! A call without a route is refused as unknown; this says so with words of the operator's choice.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, refuse::Refuse};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new();
//! let reply = cluster.ask(Refuse::default(), cluster.call(CallKind::SendChatMessage, "")).await;
//! assert!(reply.is_err());
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Deserialize;
use tower::Service;

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::contract::Contract;
use crate::fault::Fault;
use crate::ports::Ports;
use crate::stage::{Endpoint, SetupError};

/// Settings of `refuse`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Refuse {
    /// The text for the tenant.
    pub message: String,
}

impl Default for Refuse {
    fn default() -> Self {
        Self { message: "This request is not supported.".to_owned() }
    }
}

impl Endpoint for Refuse {
    const KIND: &'static str = "refuse";
    type Service = RefuseService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::NONE
    }

    fn service(self, _: &Ports) -> Result<RefuseService, SetupError> {
        Ok(RefuseService { message: self.message.into() })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct RefuseService {
    message: Arc<str>,
}

impl Service<Call> for RefuseService {
    type Response = Reply;
    type Error = Fault;
    type Future = Ready<Result<Reply, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        ready(Err(Fault::Refused(Box::from(&*self.message))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn the_operators_words_reach_the_tenant() {
        let cluster = Memory::new();
        let stage = Refuse { message: "Chat is closed.".to_owned() };
        let fault = cluster.ask(stage, cluster.call(CallKind::SendChatMessage, "")).await.unwrap_err();
        assert_eq!(fault.message(CallKind::SendChatMessage), "Chat is closed.");
        assert_eq!(fault.message_key(CallKind::SendChatMessage), "unsupportedRequest");
    }
}
