//! Webhooks: events of real jobs to real receivers.

mod answers;
mod order;
mod recordings;
mod rig;
mod upkeep;
