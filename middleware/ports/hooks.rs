//! What stages ask of the hooks.

use futures_util::future::BoxFuture;

use crate::cluster::{Frontend, FrontendId, Hook, HookMade, NewHook};
use crate::fault::Fault;

/// The hooks of all frontends. A hook of another frontend does not exist for a caller.
pub trait Hooks: Send + Sync {
    /// Creates a hook. A frontend has each URL once for a meeting, and once for all of them.
    fn create<'a>(&'a self, frontend: &'a Frontend, new: NewHook) -> BoxFuture<'a, Result<HookMade, Fault>>;

    /// The hooks of a frontend, the oldest first. `meeting`: without those of other meetings.
    fn list<'a>(&'a self, frontend: FrontendId, meeting: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Hook>, Fault>>;

    /// Destroys a hook that is not permanent. `false`: the frontend has none of that id.
    fn destroy<'a>(&'a self, frontend: FrontendId, id: &'a str) -> BoxFuture<'a, Result<bool, Fault>>;
}
