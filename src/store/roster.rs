//! The frontends and backends, as servers read them.

use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, Frontend, FrontendId};

use super::garbage::collect_garbage;
use super::{Store, StoreError};
use crate::ledger::Roster;

#[async_trait]
impl Roster for Store {
    async fn load_frontends(&self) -> Result<Vec<Frontend>, StoreError> {
        self.frontends().load().await
    }

    async fn find_frontend(&self, id: FrontendId) -> Result<Option<Frontend>, StoreError> {
        self.frontends().find(id).await
    }

    async fn load_backends(&self) -> Result<Vec<Backend>, StoreError> {
        self.backends().load().await
    }

    async fn find_backend(&self, id: BackendId) -> Result<Option<Backend>, StoreError> {
        self.backends().find(id).await
    }

    async fn record_admin_state(&self, id: BackendId, state: AdminState) -> Result<Option<Backend>, StoreError> {
        self.backends().record_admin_state(id, state).await
    }

    async fn collect_garbage(&self) -> Result<(), StoreError> {
        collect_garbage(self).await
    }

    async fn remove_decommissioned(&self, clear: &[(BackendId, SystemTime)]) -> Result<Vec<BackendId>, StoreError> {
        self.backends().remove_decommissioned(clear).await
    }
}
