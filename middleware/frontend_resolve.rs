//! `frontend-resolve`: finds the frontend that the path names.
//!
//! ```toml
//! [stages.frontend-resolve]
//! ```
//!
//! An unknown or disabled key must look like a wrong secret, or keys could be probed. So an unknown
//! key gets a stand-in: an inactive frontend with a random secret. `checksum-verify` then answers it like any
//! other.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{frontend_resolve::FrontendResolve, memory::Memory};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let (seen, _) = cluster.through(FrontendResolve {}, cluster.call(CallKind::GetMeetings, "")).await;
//! assert_eq!(seen.expect("it goes on").facts.frontend()?.key, "school");
//! # Ok::<(), b3scale_middleware::Fault>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use crate::bbb::{CallKind, Secret};
use crate::call::Call;
use crate::cluster::{Frontend, Secrets};
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::{Directory, Ports};
use crate::stage::{SetupError, Stage, StageLayer, Transform};

/// Settings of `frontend-resolve`: none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontendResolve {}

impl Stage for FrontendResolve {
    const KIND: &'static str = "frontend-resolve";
    type Layer = StageLayer<Resolver>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::NONE.gives(&[Fact::Frontend])
    }

    fn layer(self, ports: &Ports) -> Result<StageLayer<Resolver>, SetupError> {
        Ok(StageLayer::new(Resolver { directory: Arc::clone(&ports.directory), nobody: Arc::new(nobody()?) }))
    }
}

/// Finds frontends.
pub struct Resolver {
    directory: Arc<dyn Directory>,
    nobody: Arc<Frontend>,
}

impl Transform for Resolver {
    fn transform(&self, call: &mut Call) -> Result<(), Fault> {
        let found = self.directory.frontend(&call.door.frontend_key);
        if let Some(frontend) = &found {
            call.door.trail.note_frontend(frontend);
        }
        call.facts.set_frontend(found.unwrap_or_else(|| Arc::clone(&self.nobody)));
        Ok(())
    }
}

fn nobody() -> Result<Frontend, SetupError> {
    let unknown = Secret::new(&format!("{}{}", Uuid::new_v4(), Uuid::new_v4()))
        .ok_or_else(|| SetupError::new("no random secret could be made"))?;
    Ok(Frontend { active: false, ..Frontend::new(Uuid::nil(), "", Secrets::new(unknown, None)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn a_known_key_gives_its_frontend() {
        let cluster = Memory::new().frontend("school", "secret");
        let (seen, _) = cluster.through(FrontendResolve {}, cluster.call(CallKind::Create, "")).await;
        assert_eq!(seen.unwrap().facts.frontend().unwrap().key, "school");
    }

    /// Defect 8 of the original: keys could be probed by distinct messages.
    #[tokio::test]
    async fn an_unknown_key_gives_a_stand_in_that_nobody_can_sign_for() {
        let cluster = Memory::new();
        let (seen, _) = cluster.through(FrontendResolve {}, cluster.call(CallKind::Create, "")).await;
        let seen = seen.unwrap();
        assert!(!seen.facts.frontend().unwrap().active);
        assert!(seen.facts.frontend().unwrap().key.is_empty());
    }
}
