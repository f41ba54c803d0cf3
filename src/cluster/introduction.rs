//! This server among the others: its introduction, and its signs of life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::system::uname;
use tokio::time::Instant;

use super::replica::Replica;
use crate::ledger::NewServer;
use crate::store::StoreError;

/// This server's introduction, which each beat writes down once more.
pub(super) struct Introduction {
    replica: Arc<Replica>,
    server: Mutex<NewServer>,
    /// Held by a beat, so that no older introduction is written over a newer one.
    beating: tokio::sync::Mutex<()>,
}

impl Introduction {
    pub(super) fn new(replica: Arc<Replica>) -> Self {
        let server = NewServer {
            id: replica.server,
            host: uname().nodename().to_string_lossy().into_owned(),
            address: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pipeline_hash: String::new(),
        };
        Self { replica, server: Mutex::new(server), beating: tokio::sync::Mutex::default() }
    }

    pub(super) fn server(&self) -> NewServer {
        self.lock().clone()
    }

    /// Changes the introduction, and tells the other servers.
    pub(super) async fn change(&self, address: String, pipeline_hash: String) {
        {
            let mut server = self.lock();
            (server.address, server.pipeline_hash) = (address, pipeline_hash);
        }
        // Should this beat fail, the next says it.
        let _ = self.beat().await;
    }

    /// Says that this server is there, and reads the database's clock.
    pub(super) async fn beat(&self) -> Result<(), StoreError> {
        let Replica { store, view, .. } = &*self.replica;
        let _beating = self.beating.lock().await;
        let asked = Instant::now();
        view.clock.set(self.replica.observe(store.beat(&self.server()).await)?, asked);
        Ok(())
    }

    /// Takes leave of the other servers.
    pub(super) async fn leave(&self) {
        if let Err(error) = self.replica.store.leave(self.replica.server).await {
            tracing::debug!(%error, "Removing this server's record failed");
        }
    }

    fn lock(&self) -> MutexGuard<'_, NewServer> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
