//! Agents: their batches, taken once each, and the rows that servers follow.

use std::collections::BTreeMap;

use async_trait::async_trait;
use b3scale_middleware::cluster::{BackendId, NodeBatch, Presence, Receipt};
use b3scale_postgres::StoreError;

/// Taking batches of agents, and following them.
#[async_trait]
pub trait Ingest: Send + Sync {
    /// Takes an agent's batch, unless it has been taken before, or a batch before it is missing. After an error nothing of it
    /// has been taken.
    async fn ingest(&self, backend: BackendId, batch: &NodeBatch<'_>) -> Result<Ingested, StoreError>;

    /// Rows of agents since the known numbers: pairs of a backend and the `seq` of its status.
    async fn presence_since(&self, known: &[(BackendId, i64)]) -> Result<BTreeMap<BackendId, Presence>, StoreError>;
}

/// The outcome of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// The answer to the agent.
    pub receipt: Receipt,
    /// Whether it counts. `false`: it has been taken before, or a batch before it is missing.
    pub counts: bool,
    /// Meetings that are believed to run there and have ended by the agent's word: the ids as nodes know them, and the node's
    /// own. Repeated in every answer until handled: the server that received it may have crashed.
    pub ended: Vec<(String, String)>,
    /// Whether the node runs meetings that have no place on this backend.
    pub strangers: bool,
    /// Whether posts of webhooks were queued.
    pub posts: bool,
}
