//! Callbacks: messages of nodes to frontends, through us.
//!
//! A node knows a meeting by another id than its frontend, and signs with a secret of its own. So `callback-rewrite` gives it addresses of
//! ours ([`Registrar`]), and [`CallbackSite`] takes its calls there: each is proved to be of the meeting's node, put into the
//! tenant's terms, and queued in the outbox, which signs it for the tenant.

mod inbound;
mod legacy;
mod message;
mod missed;
mod registrar;
mod site;
mod terms;
mod token;

pub use missed::MissedEnds;
pub use registrar::Registrar;
pub use site::{CallbackParts, CallbackSite};

pub(crate) use terms::Terms;
