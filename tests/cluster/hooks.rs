//! Webhooks: events of real jobs to real receivers.

mod answers;
mod expired;
mod order;
mod recordings;
mod rig;
mod upkeep;
