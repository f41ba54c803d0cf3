//! Whether a server can take calls.

use std::sync::Arc;

use serde::Serialize;

/// One thing a ready server must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name: `database`, `draining`.
    pub name: &'static str,
    /// Why the check fails. `None`: it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the server takes calls in spite of its problem, and fails some.
    #[serde(skip_serializing_if = "is_false")]
    pub tolerable: bool,
}

impl Check {
    /// A check. Its problem, if any, keeps calls away.
    pub fn new(name: &'static str, problem: Option<String>) -> Self {
        Self { name, problem, tolerable: false }
    }

    /// The name and the problem, if the check fails.
    pub(crate) fn failure(&self) -> Option<String> {
        Some(format!("{}: {}", self.name, self.problem.as_ref()?))
    }

    /// Whether calls may come.
    pub(crate) fn passes(&self) -> bool {
        self.problem.is_none() || self.tolerable
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields over like this")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Tells whether the server can take calls.
pub trait Readiness: Send + Sync + 'static {
    /// Every check, whether it holds or not, from memory alone.
    fn checks(&self) -> Vec<Check>;
}

impl Readiness for Vec<Arc<dyn Readiness>> {
    fn checks(&self) -> Vec<Check> {
        self.iter().flat_map(|part| part.checks()).collect()
    }
}
