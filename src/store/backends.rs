//! The tables of backends: what an operator set, and how they fare.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, NodeState, Tags, Vitals};
use tokio_postgres::Row;
use uuid::Uuid;

use super::rows::{column, readable, spelling, unreadable, word};
use super::{Store, StoreError};

const TABLE: &str = "backends";
const STATUS: &str = "backend_status";

/// A backend as an operator describes it.
pub struct NewBackend {
    /// The API's base URL, ending in a slash.
    pub url: String,
    /// What the node's checksums are made with.
    pub secret: Secret,
    /// What a frontend may ask for.
    pub tags: Tags,
    /// How much a unit of load counts here.
    pub load_factor: f64,
    /// What is wanted of it.
    pub admin_state: AdminState,
}

/// What was seen of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStatus {
    /// Whether it answered as a node should.
    pub node_state: NodeState,
    /// Why not.
    pub last_error: Option<String>,
    /// How long its answer took.
    pub latency: Duration,
    /// People in its meetings.
    pub attendees: u32,
}

/// The last thing any server saw of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendStatus {
    /// The node's backend.
    pub backend: BackendId,
    /// What was seen.
    pub seen: NewStatus,
    /// How long ago the node answered, by the database's clock. `None`: never.
    pub age: Option<Duration>,
    /// Counts the records of this backend without gaps.
    pub seq: i64,
}

impl Store {
    /// Every backend that can be read, each with [`Vitals`] of its own that nothing has been seen of yet.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_backends(&self) -> Result<Vec<Backend>, StoreError> {
        let rows = self.rows("load the backends", "SELECT * FROM backends ORDER BY id", &[]).await?;
        Ok(readable(&rows, backend))
    }

    /// One backend.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it cannot be read.
    pub async fn find_backend(&self, id: BackendId) -> Result<Option<Backend>, StoreError> {
        let row = self.row("find a backend", "SELECT * FROM backends WHERE id = $1", &[&id.0]).await?;
        row.as_ref().map(backend).transpose()
    }

    /// Adds a backend, or changes the one that has its URL.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a value breaks a rule of the table.
    pub async fn record_backend(&self, new: &NewBackend) -> Result<Backend, StoreError> {
        let sql = "INSERT INTO backends (id, url, secret, tags, load_factor, admin_state)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (url) DO UPDATE SET secret = excluded.secret, tags = excluded.tags,
                load_factor = excluded.load_factor, admin_state = excluded.admin_state
            RETURNING *";
        let tags: Vec<&str> = new.tags.iter().collect();
        let (secret, state) = (new.secret.expose(), spelling(new.admin_state));
        let row = self
            .row("record a backend", sql, &[&Uuid::now_v7(), &new.url, &secret, &tags, &new.load_factor, &state])
            .await?;
        let gone = || StoreError::Row { row: format!("backend `{}`", new.url), problem: "it is gone".to_owned() };
        backend(&row.ok_or_else(gone)?)
    }

    /// Sets what is wanted of a backend. `None`: there is no such backend.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn record_admin_state(&self, id: BackendId, state: AdminState) -> Result<Option<Backend>, StoreError> {
        let sql = "UPDATE backends SET admin_state = $2 WHERE id = $1 RETURNING *";
        let row = self.row("set a backend's state", sql, &[&id.0, &spelling(state)]).await?;
        row.as_ref().map(backend).transpose()
    }

    /// Removes a backend. `false`: there was none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] while it has meetings.
    pub async fn remove_backend(&self, id: BackendId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM backends WHERE id = $1 RETURNING id";
        Ok(self.row("remove a backend", sql, &[&id.0]).await?.is_some())
    }

    /// Notes what was seen of a node, without announcing it, and returns the number of this record. `None`: the backend was
    /// removed meanwhile.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn record_status(&self, id: BackendId, seen: &NewStatus) -> Result<Option<i64>, StoreError> {
        // The row's lock is what makes seq gapless: a second server waits here for the first one's commit.
        let sql = "INSERT INTO backend_status AS kept
                (backend_id, node_state, last_error, latency_ns, attendees, synced_at, seq)
            SELECT id, $2, $3, $4, $5, CASE WHEN $2 = 'ready' THEN now() END, 1 FROM backends WHERE id = $1
            ON CONFLICT (backend_id) DO UPDATE SET
                node_state = excluded.node_state, last_error = excluded.last_error, latency_ns = excluded.latency_ns,
                attendees = excluded.attendees, synced_at = coalesce(excluded.synced_at, kept.synced_at),
                seq = kept.seq + 1
            RETURNING seq";
        let latency = i64::try_from(seen.latency.as_nanos()).unwrap_or(i64::MAX);
        let attendees = i32::try_from(seen.attendees).unwrap_or(i32::MAX);
        let row = self
            .row(
                "record a backend's status",
                sql,
                &[&id.0, &spelling(seen.node_state), &seen.last_error, &latency, &attendees],
            )
            .await?;
        row.map(|row| column(STATUS, &row, "seq")).transpose()
    }

    /// What was last seen of every node.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_statuses(&self) -> Result<Vec<BackendStatus>, StoreError> {
        let sql = "SELECT *, extract(epoch FROM now() - synced_at)::float8 AS age FROM backend_status";
        Ok(readable(&self.rows("load the backends' status", sql, &[]).await?, status))
    }
}

fn backend(row: &Row) -> Result<Backend, StoreError> {
    let tags: Vec<String> = column(TABLE, row, "tags")?;
    let secret = Secret::new(column(TABLE, row, "secret")?);
    Ok(Backend {
        id: BackendId(column(TABLE, row, "id")?),
        url: column(TABLE, row, "url")?,
        secret: secret.ok_or_else(|| unreadable(TABLE, row, "its secret is empty"))?,
        tags: tags.into_iter().collect(),
        load_factor: column(TABLE, row, "load_factor")?,
        admin_state: word(TABLE, row, "admin_state")?,
        vitals: Arc::new(Vitals::default()),
        version: column(TABLE, row, "version")?,
    })
}

fn status(row: &Row) -> Result<BackendStatus, StoreError> {
    let age: Option<f64> = column(STATUS, row, "age")?;
    let latency: i64 = column(STATUS, row, "latency_ns")?;
    let attendees: i32 = column(STATUS, row, "attendees")?;
    Ok(BackendStatus {
        backend: BackendId(column(STATUS, row, "backend_id")?),
        seen: NewStatus {
            node_state: word(STATUS, row, "node_state")?,
            last_error: column(STATUS, row, "last_error")?,
            latency: Duration::from_nanos(latency.unsigned_abs()),
            attendees: attendees.unsigned_abs(),
        },
        age: age.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)),
        seq: column(STATUS, row, "seq")?,
    })
}
