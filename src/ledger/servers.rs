//! The servers of the cluster: their signs of life, by which the others know what to finish for them.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use b3scale_postgres::StoreError;

/// The signs of life of servers.
#[async_trait]
pub trait Servers: Send + Sync {
    /// Records that a server is there. Returns the database's time.
    ///
    /// It takes the place of an earlier start at its address, once that is lost. Until then others finish nothing of it:
    /// another machine may have the same name, and an earlier start may still be ending.
    async fn beat(&self, server: &NewServer) -> Result<SystemTime, StoreError>;

    /// Removes a server that has finished its work.
    async fn leave(&self, id: Uuid) -> Result<(), StoreError>;

    /// Current and recent servers. A start that failed before it listened is left out, and so is
    /// a silent server if a later one started at its address.
    async fn load_servers(&self) -> Result<Vec<ServerRow>, StoreError>;
}

/// A server as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServer {
    /// New with each start.
    pub id: Uuid,
    /// The name of its machine.
    pub host: String,
    /// Where it listens. Empty: it does not yet.
    pub address: String,
    /// Of the program.
    pub version: String,
    /// Of the pipeline that it runs.
    pub pipeline_hash: String,
}

/// A server of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// How it introduced itself.
    pub server: NewServer,
    /// When it was started.
    pub started_at: SystemTime,
    /// How long ago its last beat was, by the database's clock.
    pub age: Duration,
    /// Whether it is counted on. A server that has been silent for too long is lost, and others finish its work.
    pub alive: bool,
}
