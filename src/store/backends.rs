//! The table of backends: what an operator set.

mod entries;

use std::sync::Arc;
use std::time::SystemTime;

use b3scale_middleware::bbb::{Algorithm, Secret};
use b3scale_middleware::cluster::{AdminState, Backend, BackendId, Tags, Vitals};
use tokio_postgres::Row;
use uuid::Uuid;

use super::pool::Params;
use super::rows::{column, readable, spelling, unreadable, word, word_if_any};
use super::{Store, StoreError};
use crate::rest::check::without_user;

pub use entries::{BackendFilter, Standing};

const TABLE: &str = "backends";

/// A backend as an operator describes it.
pub struct NewBackend {
    /// The API's base URL, ending in a slash.
    pub url: String,
    /// What the node's checksums are made with.
    pub secret: Secret,
    /// The only algorithm of its checksums. `None`: it is found out.
    pub algorithm: Option<Algorithm>,
    /// What a frontend may ask for.
    pub tags: Tags,
    /// How much a unit of load counts here.
    pub load_factor: f64,
    /// What is wanted of it.
    pub admin_state: AdminState,
    /// The subject of its agent's token.
    pub agent_ref: Option<String>,
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
        let sql = "INSERT INTO backends (id, url, secret, checksum_algorithm, tags, load_factor, admin_state, agent_ref)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (url) DO UPDATE SET secret = excluded.secret,
                checksum_algorithm = excluded.checksum_algorithm, tags = excluded.tags, load_factor = excluded.load_factor, admin_state = excluded.admin_state, agent_ref = excluded.agent_ref
            RETURNING *";
        let tags: Vec<&str> = new.tags.iter().collect();
        let (secret, state) = (new.secret.expose(), spelling(new.admin_state));
        let (id, algorithm) = (Uuid::now_v7(), new.algorithm.map(spelling));
        let params: Params<'_> = &[&id, &new.url, &secret, &algorithm, &tags, &new.load_factor, &state, &new.agent_ref];
        let row = self.row("record a backend", sql, params).await?;
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

    /// Removes a backend, whatever it has: its meetings are detached. `false`: there was none.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn remove_backend(&self, id: BackendId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM backends WHERE id = $1 RETURNING id";
        Ok(self.row("remove a backend", sql, &[&id.0]).await?.is_some())
    }

    /// Removes the decommissioned backends whose last meeting has ended. A node that is lost cannot say so of its meetings: it
    /// is waited for, and not for more than ten minutes.
    ///
    /// `clear` names the backends whose nodes listed all that they run, and ran nothing else, each with when it was asked. An answer of before the
    /// decommissioning counts only if the node gives no other.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn remove_decommissioned(&self, clear: &[(BackendId, SystemTime)]) -> Result<Vec<BackendId>, StoreError> {
        let sql = "DELETE FROM backends USING backend_status AS status
            WHERE admin_state = 'decommissioned' AND status.backend_id = backends.id
                AND NOT EXISTS (
                    SELECT FROM meetings WHERE meetings.backend_id = backends.id
                        AND (state <> 'detached' OR meetings.updated_at > now() - interval '10 minutes'))
                AND (synced_at < now() - interval '10 minutes' OR EXISTS (
                    SELECT FROM unnest($1::uuid[], $2::timestamptz[]) AS clear (id, asked_at)
                    WHERE clear.id = backends.id
                        AND (clear.asked_at >= backends.updated_at OR node_state NOT IN ('ready', 'degraded'))))
            RETURNING id";
        let (ids, asked_at): (Vec<Uuid>, Vec<SystemTime>) =
            clear.iter().map(|(id, asked_at)| (id.0, *asked_at)).unzip();
        let rows = self.rows("remove decommissioned backends", sql, &[&ids, &asked_at]).await?;
        rows.iter().map(|row| column(TABLE, row, "id").map(BackendId)).collect()
    }
}

/// A backend's URL. A user and a password, which the table may hold, would be shown and go to every browser that joins.
pub(crate) fn url(row: &Row) -> Result<String, StoreError> {
    Ok(without_user(column(TABLE, row, "url")?).into_owned())
}

fn backend(row: &Row) -> Result<Backend, StoreError> {
    let tags: Vec<String> = column(TABLE, row, "tags")?;
    let secret = Secret::new(column(TABLE, row, "secret")?);
    Ok(Backend {
        id: BackendId(column(TABLE, row, "id")?),
        url: url(row)?,
        secret: secret.ok_or_else(|| unreadable(TABLE, row, "its secret is empty"))?,
        algorithm: word_if_any(TABLE, row, "checksum_algorithm")?,
        tags: tags.into_iter().collect(),
        load_factor: column(TABLE, row, "load_factor")?,
        admin_state: word(TABLE, row, "admin_state")?,
        vitals: Arc::new(Vitals::default()),
        version: column(TABLE, row, "version")?,
    })
}
