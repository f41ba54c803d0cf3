//! Webhooks: hooks of frontends, and their events.

mod calls;
mod order;
