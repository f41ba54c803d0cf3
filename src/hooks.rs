//! Webhooks: a frontend's addresses that hear of every event of its meetings, as those of bbb-webhooks do.
//!
//! Events are numbered rows, one for all hooks of a frontend, written with their cause. Each hook has a cursor there, and a lane of
//! jobs: any server posts the next events, one at a time, and moves the cursor once the receiver has one. Only a server that is killed
//! between the two posts an event twice, under the same `webhook-id`.
//!
//! ```text
//! registry.rs   the calls of frontends: create, list, destroy
//! permanent.rs  hooks that stand in the settings of their frontends
//! expired.rs    hooks of meetings that have ended
//! deliver.rs    the posts of a hook, in order               request.rs    the request of an event
//! sign.rs       its signatures                              schedule.rs   what an answer means, and the pauses
//! shape.rs      an event as bbb-webhooks has it             created.rs    a meeting by its entry in lists
//! recordings.rs a recording with our links
//! upkeep.rs     events that wait for too long               count.rs      figures
//! ```

mod count;
mod created;
mod deliver;
mod expired;
mod permanent;
mod recordings;
mod registry;
mod request;
mod schedule;
mod shape;
mod sign;
mod upkeep;

pub use count::CountHooks;
pub use deliver::{DueHook, PostHooks, PostHooksParts};
pub use expired::ExpiredHooks;
pub use permanent::PermanentHooks;
pub use registry::Registry;
pub use upkeep::{MendHooks, SweepHookEvents};
