//! The frontends and backends, as servers read them.

use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, Frontend, FrontendId};

use b3scale_postgres::StoreError;

/// Reading the records of operators, and removing decommissioned ones.
#[async_trait]
pub trait Roster: Send + Sync {
    /// Every frontend that can be read.
    async fn load_frontends(&self) -> Result<Vec<Frontend>, StoreError>;

    /// One frontend.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it cannot be read.
    async fn find_frontend(&self, id: FrontendId) -> Result<Option<Frontend>, StoreError>;

    /// Every backend that can be read, each with its own vitals, which are unknown yet.
    async fn load_backends(&self) -> Result<Vec<Backend>, StoreError>;

    /// One backend.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it cannot be read.
    async fn find_backend(&self, id: BackendId) -> Result<Option<Backend>, StoreError>;

    /// Sets the wanted state of a backend. `None`: there is no such backend.
    async fn record_admin_state(&self, id: BackendId, state: AdminState) -> Result<Option<Backend>, StoreError>;

    /// Removes rows that have become of no use, in all tables.
    async fn collect_garbage(&self) -> Result<(), StoreError>;

    /// Removes the decommissioned backends without meetings. The meetings of a lost node, which cannot say that
    /// they have ended, hold it up for ten minutes at most.
    ///
    /// `clear` names the backends with a complete list and no other meetings on their nodes, each with the time of the
    /// question. An answer from before the decommissioning counts only if the node gives no other.
    async fn remove_decommissioned(&self, clear: &[(BackendId, SystemTime)]) -> Result<Vec<BackendId>, StoreError>;
}
