//! The backends that may take a meeting.

use std::sync::Arc;

use crate::cluster::Backend;
use crate::fault::Fault;

/// The backends that may take a meeting. The set is only ever narrowed.
#[derive(Clone, Debug)]
pub struct Candidates {
    backends: Vec<Arc<Backend>>,
    settled: bool,
    /// Why backends are not among them any more, for the log.
    refusals: Vec<String>,
}

impl Candidates {
    /// Any of these.
    pub fn among(backends: impl IntoIterator<Item = Arc<Backend>>) -> Self {
        Self { backends: backends.into_iter().collect(), settled: false, refusals: Vec::new() }
    }

    /// This one and no other: the meeting is there, or must be.
    pub fn settled(backend: Arc<Backend>) -> Self {
        Self { backends: vec![backend], settled: true, refusals: Vec::new() }
    }

    /// Keeps those that `keep` accepts and notes `why` the others are out. A settled set is left alone.
    pub fn retain(&mut self, why: &str, mut keep: impl FnMut(&Backend) -> bool) {
        if self.settled {
            return;
        }
        let before = self.backends.len();
        self.backends.retain(|backend| keep(backend));
        let out = before - self.backends.len();
        if out > 0 {
            self.refusals.push(format!("{out} of {before} {why}"));
        }
    }

    /// The backends that are left.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.backends.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.backends.is_empty()
    }

    /// Why none is left.
    pub fn no_backend(&self) -> Fault {
        let why = if self.refusals.is_empty() { "there are none".to_owned() } else { self.refusals.join(", ") };
        Fault::NoBackend(why)
    }

    pub(crate) fn remove(&mut self, tried: &Backend) {
        self.backends.retain(|backend| backend.id != tried.id);
    }
}
