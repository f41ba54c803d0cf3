//! The table of servers: which are alive, and which are lost.

use std::time::{Duration, SystemTime};

use tokio_postgres::Row;
use uuid::Uuid;

use super::pool::Params;
use super::rows::{column, readable};
use super::{Store, StoreError};

const TABLE: &str = "servers";

/// A server as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewServer {
    /// New at each start.
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
    /// Its introduction.
    pub server: NewServer,
    /// When it was started.
    pub started_at: SystemTime,
    /// How long ago its last beat was, by the database's clock.
    pub age: Duration,
    /// Whether it beats. A silent server is lost, and others finish its work.
    pub alive: bool,
}

impl Store {
    /// Notes that a server is there. Returns the database's time.
    ///
    /// It takes the place of an earlier start at its address, once that is lost. Until then others finish nothing of it: another
    /// machine may have the same name, and an earlier start may still be ending.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn beat(&self, server: &NewServer) -> Result<SystemTime, StoreError> {
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

    /// Removes a server that has finished its work.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn leave(&self, id: Uuid) -> Result<(), StoreError> {
        self.rows("take leave", "DELETE FROM servers WHERE id = $1", &[&id]).await.map(drop)
    }

    /// Current and recent servers, without those that never listened and those that have
    /// been silent since a later one started at its address.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_servers(&self) -> Result<Vec<ServerRow>, StoreError> {
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
