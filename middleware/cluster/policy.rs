//! Policy: a pipeline's settings for all backends.

use std::sync::{Arc, PoisonError, RwLock};

use super::{LoadModel, OverloadBounds};

/// A pipeline's settings for all backends. A plan yields it from the settings of its stages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Policy {
    /// When a node takes no new meetings. `None`: no agent's report keeps it from them.
    pub overload: Option<OverloadBounds>,
    /// How load is computed.
    pub load: LoadModel,
}

/// The policy in force. Clones share it, so each backend is judged by the newest one.
#[derive(Clone, Debug, Default)]
pub struct PolicyInForce(Arc<RwLock<Policy>>);

impl PolicyInForce {
    /// The policy.
    pub fn policy(&self) -> Policy {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another policy in force, for every backend at once.
    pub fn replace(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}
