//! Putting the callbacks of a server together: their addresses, and the site that nodes call.

use std::sync::Arc;

use b3scale_middleware::memory::Memory;
use b3scale_middleware::ports;

use crate::site::Site;

/// The callbacks of a server.
pub(super) struct Callbacks {
    /// Their port.
    pub(super) port: Arc<dyn ports::Callbacks>,
    /// The site that nodes call.
    pub(super) sites: Vec<Arc<dyn Site>>,
}

impl Callbacks {
    /// Begins to take callbacks in.
    pub(super) fn open() -> Self {
        Self { port: Arc::new(Memory::new()), sites: Vec::new() }
    }
}
