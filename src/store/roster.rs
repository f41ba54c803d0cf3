//! The frontends and backends, as servers read them.

use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_middleware::cluster::{Backend, BackendId, Frontend, FrontendId};

use super::{Store, StoreError};
use crate::ledger::Roster;

#[async_trait]
impl Roster for Store {
    async fn load_frontends(&self) -> Result<Vec<Frontend>, StoreError> {
        Self::load_frontends(self).await
    }

    async fn find_frontend(&self, id: FrontendId) -> Result<Option<Frontend>, StoreError> {
        Self::find_frontend(self, id).await
    }

    async fn load_backends(&self) -> Result<Vec<Backend>, StoreError> {
        Self::load_backends(self).await
    }

    async fn find_backend(&self, id: BackendId) -> Result<Option<Backend>, StoreError> {
        Self::find_backend(self, id).await
    }

    async fn remove_decommissioned(&self, clear: &[(BackendId, SystemTime)]) -> Result<Vec<BackendId>, StoreError> {
        Self::remove_decommissioned(self, clear).await
    }
}
