//! What stages ask of the callbacks.

use crate::bbb::ScopedId;
use crate::cluster::{BackendId, Callback, GivenCallback};

/// The callbacks of meetings. Nothing here waits: an address is computed, and stored with its meeting.
pub trait Callbacks: Send + Sync {
    /// Addresses at this cluster for the callbacks of a create on that node. Unusable URLs are left out.
    fn register(&self, meeting: &ScopedId, backend: BackendId, given: Vec<GivenCallback>) -> Vec<Callback>;
}
