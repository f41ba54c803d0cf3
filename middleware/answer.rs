//! `answer`: answers the index call, which asks for the version.
//!
//! ```toml
//! [stages.answer]
//! bbb-version = ""               # what to say is installed; empty: nothing, as a node does by default
//! ```
//!
//! The index call carries no checksum, so this stage is all it may reach. The path of a key without an active frontend is not
//! found. So a mistyped key shows here: all other calls answer as to a wrong secret.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{answer::Answer, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let reply = cluster.ask(Answer::default(), cluster.call(CallKind::Index, "")).await?;
//! assert!(reply.body.starts_with(b"<response><returncode>SUCCESS</returncode><version>2.0</version>"));
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use serde::Deserialize;
use tower::Service;

use crate::bbb::{CallKind, ReturnCode, xml};
use crate::call::{Call, Reply};
use crate::contract::Contract;
use crate::fault::Fault;
use crate::ports::{Directory, Ports};
use crate::stage::{Endpoint, SetupError};

/// The version of the BBB API, the same for all of BBB 2, 3 and 4.
const API_VERSION: &str = "2.0";

/// Settings of `answer`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answer {
    /// What to say is installed. Empty: nothing.
    pub bbb_version: String,
}

impl Endpoint for Answer {
    const KIND: &'static str = "answer";
    type Service = AnswerService;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::NONE.only(&[CallKind::Index])
    }

    fn service(self, ports: &Ports) -> Result<AnswerService, SetupError> {
        let document = xml::Writer::response(ReturnCode::Success)
            .field("version", API_VERSION)
            .field("apiVersion", API_VERSION)
            .field("bbbVersion", &self.bbb_version)
            .finish();
        Ok(AnswerService { document, directory: Arc::clone(&ports.directory) })
    }
}

/// See the module's documentation.
#[derive(Clone)]
pub struct AnswerService {
    document: Bytes,
    directory: Arc<dyn Directory>,
}

impl Service<Call> for AnswerService {
    type Response = Reply;
    type Error = Fault;
    type Future = Ready<Result<Reply, Fault>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let frontend = self.directory.frontend(&call.door.frontend_key).filter(|frontend| frontend.active);
        let Some(frontend) = frontend else {
            return ready(Err(Fault::NothingThere("no active frontend has this key".into())));
        };
        call.door.trail.note_frontend(&frontend);
        ready(Ok(Reply::xml(self.document.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn the_version_that_is_installed_can_be_told() {
        let cluster = Memory::new().frontend("school", "secret");
        let stage = Answer { bbb_version: "3.0.19".to_owned() };
        let reply = cluster.ask(stage, cluster.call(CallKind::Index, "")).await.unwrap();
        assert!(reply.body.ends_with(b"<bbbVersion>3.0.19</bbbVersion></response>"));
    }

    #[tokio::test]
    async fn a_key_that_no_active_frontend_has_does_not_look_right() {
        for cluster in [Memory::new(), Memory::new().disabled_frontend("school", "secret")] {
            let reply = cluster.ask(Answer::default(), cluster.call(CallKind::Index, "")).await;
            assert!(matches!(reply, Err(Fault::NothingThere(_))));
        }
    }
}
