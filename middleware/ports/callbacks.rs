//! What stages ask of the callbacks.

use crate::bbb::ScopedId;
use crate::cluster::{BackendId, Callback, GivenCallback};

/// The callbacks of meetings. Nothing here waits: an address is computed, and stored with its meeting.
pub trait Callbacks: Send + Sync {
    /// Addresses at this cluster for the callbacks of a create on that node. Unusable URLs are left out.
    fn register(&self, meeting: &ScopedId, backend: BackendId, given: Vec<GivenCallback>) -> Vec<Callback>;

    /// The token of an address of ours. `None`: the text is no such address.
    fn token<'t>(&self, address: &'t str) -> Option<&'t str>;

    /// The original of a token of the server that this one replaces. `None`: it is no such token.
    fn legacy(&self, token: &str) -> Option<String>;
}
