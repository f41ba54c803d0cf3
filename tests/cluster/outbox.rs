//! The outbox: deliveries of real jobs to real receivers.

mod answers;
mod order;
mod rig;
mod servers;
mod stored;
