//! `meta-frontend`: writes the frontend's key into the meeting's metadata.
//!
//! ```toml
//! [stages.meta-frontend]
//! name = "meta_b3s-frontend"     # default: b3scale's
//! ```
//!
//! The key is then on the node and in its recordings. A client's value of that name is replaced. Answers show clients
//! no metadata with a name in `b3s-`; another name would show it to them.
//!
//! ```
//! use b3scale_middleware::bbb::CallKind;
//! use b3scale_middleware::{memory::Memory, meta_frontend::MetaFrontend};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let cluster = Memory::new().frontend("school", "secret");
//! let (seen, _) = cluster.through(MetaFrontend::default(), cluster.verified(CallKind::Create, "")).await;
//! assert_eq!(seen.expect("it goes on").params.first("meta_b3s-frontend"), Some("school"));
//! # });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::Deserialize;

use crate::bbb::CallKind;
use crate::call::Call;
use crate::contract::{Contract, Fact};
use crate::fault::Fault;
use crate::ports::Ports;
use crate::stage::{SetupError, Stage, StageLayer, Transform};

/// Settings of `meta-frontend`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MetaFrontend {
    /// The parameter: `meta_`, a letter, then letters, digits and dashes. BBB drops any other.
    pub name: String,
}

impl Default for MetaFrontend {
    fn default() -> Self {
        Self { name: "meta_b3s-frontend".to_owned() }
    }
}

impl Stage for MetaFrontend {
    const KIND: &'static str = "meta-frontend";
    type Layer = StageLayer<Self>;

    fn contract(&self, _: CallKind) -> Contract {
        Contract::needs(&[Fact::Frontend, Fact::Checksum, Fact::OpenParams])
    }

    fn layer(self, _: &Ports) -> Result<StageLayer<Self>, SetupError> {
        if !is_kept_by_bbb(&self.name) {
            let want = "`meta_`, a letter, then letters, digits and dashes";
            let message = format!("BBB would drop the parameter `{}`; a name is {want}", self.name);
            return Err(SetupError::of(&["name"], message));
        }
        Ok(StageLayer::new(self))
    }
}

impl Transform for MetaFrontend {
    fn transform(&self, call: &mut Call) -> Result<(), Fault> {
        let key = &call.facts.frontend()?.key;
        call.params.set(&self.name, key);
        Ok(())
    }
}

fn is_kept_by_bbb(name: &str) -> bool {
    let Some(key) = name.strip_prefix("meta_") else { return false };
    key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[tokio::test]
    async fn a_clients_own_value_is_replaced_in_every_spelling() {
        let cluster = Memory::new().frontend("school", "secret");
        let query = "meta_B3S-Frontend=a&meta_b3s-frontend=b&%6Deta_b3s-frontend=c&META_b3s-frontend=d&meta_b3s-frontend[]=e\
                     &meta_b3s-frontend%09=f&name=x";
        let (seen, _) = cluster.through(MetaFrontend::default(), cluster.verified(CallKind::Create, query)).await;
        assert_eq!(seen.unwrap().params.encode(), "meta_b3s-frontend=school&name=x");
    }

    #[test]
    fn a_name_that_bbb_would_drop_does_not_start() {
        for name in ["b3s-frontend", "meta_", "meta_1x", "meta_b3s_frontend"] {
            assert!(!is_kept_by_bbb(name), "{name}");
        }
    }
}
