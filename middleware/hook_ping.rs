//! `hook-ping`: answers hooks/ping, by which clients find out whether there are webhooks.
//!
//! ```toml
//! [stages.hook-ping]
//! ```
//!
//! The call carries no checksum, and is answered as bbb-webhooks does, in plain text.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{hook_ping::HookPing, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let reply = cluster.ask(HookPing {}, cluster.call(CallKind::HooksPing, "")).await?;
//! assert_eq!(reply.body, "bbb-webhooks API up!");
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use serde::Deserialize;
use tower::Service;

use crate::bbb::CallKind;
use crate::call::{Call, Reply};
use crate::contract::Contract;
use crate::fault::Fault;
use crate::ports::Ports;
use crate::stage::{Endpoint, SetupError};

/// Settings of `hook-ping`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookPing {}

impl Endpoint for HookPing {
    const KIND: &'static str = "hook-ping";
    type Service = HookPingService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::NONE.only(&[CallKind::HooksPing])
    }

    fn service(self, _: &Ports) -> Result<HookPingService, SetupError> {
        Ok(HookPingService)
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct HookPingService;

impl Service<Call> for HookPingService {
    type Response = Reply;
    type Error = Fault;
    type Future = Ready<Result<Reply, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        ready(Ok(Reply::text("bbb-webhooks API up!")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn the_answer_is_plain_text_for_any_key() {
        let reply = Memory::new().ask(HookPing {}, Memory::new().call(CallKind::HooksPing, "")).await.unwrap();
        assert_eq!(
            (reply.content_type.as_bytes(), &*reply.body),
            (&b"text/plain;charset=utf-8"[..], &b"bbb-webhooks API up!"[..])
        );
    }
}
