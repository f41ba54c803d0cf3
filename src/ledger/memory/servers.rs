//! The signs of life of servers, as `store/servers.rs` says it in SQL.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use uuid::Uuid;

use super::{Model, ServerEntry, Statement};
use crate::ledger::{NewServer, ServerRow, Servers};
use b3scale_postgres::StoreError;

/// A longer pause between two beats is a gap.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[async_trait]
impl Servers for Model {
    async fn beat(&self, server: &NewServer) -> Result<SystemTime, StoreError> {
        self.run(|statement| Ok(beat(statement, server))).await
    }

    async fn leave(&self, id: Uuid) -> Result<(), StoreError> {
        self.change(|statement| drop(statement.tables.servers.remove(&id))).await
    }

    async fn load_servers(&self) -> Result<Vec<ServerRow>, StoreError> {
        self.read(|statement| {
            let now = statement.now;
            let is_alive = |id: Uuid| !statement.seen.is_lost(Some(id), None, now);
            let mut rows: Vec<_> = statement.seen.servers.values().collect();
            rows.retain(|row| !row.server.address.is_empty() || is_alive(row.server.id));
            rows.retain(|row| !statement.seen.servers.values().any(|later| later.replaces(row)));
            rows.sort_by_key(|row| row.started_at);
            let row = |row: &ServerEntry| ServerRow {
                server: row.server.clone(),
                started_at: row.started_at,
                age: now.duration_since(row.beat).unwrap_or_default(),
                alive: is_alive(row.server.id),
            };
            rows.into_iter().map(row).collect()
        })
        .await
    }
}

fn beat(statement: &mut Statement, server: &NewServer) -> SystemTime {
    let (now, seen) = (statement.now, &statement.seen);
    let is_replaced =
        |row: &ServerEntry| row.is_at_the_address_of(server) && seen.is_lost(Some(row.server.id), Some(server.id), now);
    let replaced: Vec<_> = seen.servers.values().filter(|row| is_replaced(row)).map(|row| row.server.id).collect();
    replaced.iter().for_each(|id| drop(statement.tables.servers.remove(id)));
    let new = || ServerEntry { server: server.clone(), started_at: now, beat: now, steady_since: now };
    let row = statement.tables.servers.entry(server.id).or_insert_with(new);
    if row.beat < now - LONGEST_PAUSE {
        row.steady_since = now;
    }
    row.beat = now;
    row.server.address.clone_from(&server.address);
    row.server.pipeline_hash.clone_from(&server.pipeline_hash);
    now
}

impl ServerEntry {
    fn is_at_the_address_of(&self, server: &NewServer) -> bool {
        let NewServer { host, address, .. } = &self.server;
        !address.is_empty() && (host, address) == (&server.host, &server.address)
    }

    /// Whether it started at the address of another after that one's last sign of life.
    fn replaces(&self, other: &Self) -> bool {
        self.is_at_the_address_of(&other.server) && self.started_at > other.started_at.max(other.beat)
    }
}
