//! The table of servers: which are alive, and which are lost.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;

use super::pool::Params;
use super::rows::{column, readable};
use super::{Store, StoreError};
use crate::ledger::{NewServer, ServerRow, Servers};

const TABLE: &str = "servers";

#[async_trait]
impl Servers for Store {
    async fn beat(&self, server: &NewServer) -> Result<SystemTime, StoreError> {
        let sql = "WITH replaced AS (
                DELETE FROM servers WHERE host = $5 AND address = $2 AND address <> '' AND is_lost(id, $1))
            INSERT INTO servers (id, address, version, pipeline_hash, host) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (id) DO UPDATE SET address = excluded.address, pipeline_hash = excluded.pipeline_hash, beat = now(),
                steady_since = CASE WHEN servers.beat < now() - interval '5 seconds' THEN now() ELSE servers.steady_since END
            RETURNING beat";
        let NewServer { id, host, address, version, pipeline_hash } = server;
        let params: Params<'_> = &[id, address, version, pipeline_hash, host];
        let row = self.row("note a server's beat", sql, params).await?;
        let gone = || StoreError::Row { row: format!("server {id}"), problem: "it is gone".to_owned() };
        column(TABLE, &row.ok_or_else(gone)?, "beat")
    }

    async fn leave(&self, id: Uuid) -> Result<(), StoreError> {
        self.rows("take leave", "DELETE FROM servers WHERE id = $1", &[&id]).await.map(drop)
    }

    async fn load_servers(&self) -> Result<Vec<ServerRow>, StoreError> {
        let sql = "SELECT *, extract(epoch FROM now() - beat)::float8 AS age, NOT is_lost(id, NULL) AS alive
            FROM servers WHERE (address <> '' OR NOT is_lost(id, NULL)) AND NOT EXISTS (
                SELECT FROM servers AS later WHERE later.host = servers.host AND later.address = servers.address
                    AND later.address <> '' AND later.started_at > greatest(servers.started_at, servers.beat))
            ORDER BY started_at";
        Ok(readable(&self.rows("load the servers", sql, &[]).await?, server))
    }
}

fn server(row: &Row) -> Result<ServerRow, StoreError> {
    let age: f64 = column(TABLE, row, "age")?;
    let server = NewServer {
        id: column(TABLE, row, "id")?,
        host: column(TABLE, row, "host")?,
        address: column(TABLE, row, "address")?,
        version: column(TABLE, row, "version")?,
        pipeline_hash: column(TABLE, row, "pipeline_hash")?,
    };
    let started_at = column(TABLE, row, "started_at")?;
    let age = Duration::try_from_secs_f64(age.max(0.0)).unwrap_or(Duration::MAX);
    Ok(ServerRow { server, started_at, age, alive: column(TABLE, row, "alive")? })
}
