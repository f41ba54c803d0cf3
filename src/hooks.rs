//! Webhooks: a frontend's addresses that hear of every event of its meetings, as those of bbb-webhooks do.
//!
//! ```text
//! registry.rs   the calls of frontends: create, list, destroy
//! permanent.rs  hooks that stand in the settings of their frontends
//! expired.rs    hooks of meetings that have ended
//! ```

mod expired;
mod permanent;
mod registry;

pub use expired::ExpiredHooks;
pub use permanent::PermanentHooks;
pub use registry::Registry;
