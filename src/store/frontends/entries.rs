//! Frontends as the REST API shows them.

use b3scale_middleware::bbb::Algorithm;
use b3scale_middleware::cluster::FrontendId;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use super::TABLE;
use crate::rest::{Frontend, FrontendKeys, FrontendSettings};
use crate::store::rows::{column, readable, time, unreadable};
use crate::store::{Store, StoreError};

/// Which frontends. By default all.
#[derive(Clone, Debug, Default)]
pub struct FrontendFilter {
    /// Those of that customer.
    pub account_ref: Option<String>,
    /// The one with that key.
    pub key: Option<String>,
    /// Those whose key holds that text, in which `%` and `_` stand for others.
    pub key_like: Option<String>,
}

impl Store {
    /// Frontends by their key.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn frontend_entries(&self, filter: &FrontendFilter) -> Result<Vec<Frontend>, StoreError> {
        let sql =
            "SELECT * FROM frontends WHERE ($1::text IS NULL OR account_ref = $1) AND ($2::text IS NULL OR key = $2)
            AND ($3::text IS NULL OR key LIKE '%' || $3 || '%') ORDER BY key";
        let FrontendFilter { account_ref, key, key_like } = filter;
        Ok(readable(&self.rows("list frontends", sql, &[account_ref, key, key_like]).await?, entry))
    }

    /// One frontend, and the version of its row.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn frontend_entry(&self, id: FrontendId) -> Result<Option<(Frontend, i64)>, StoreError> {
        let row = self.row("find a frontend", "SELECT * FROM frontends WHERE id = $1", &[&id.0]).await?;
        row.map(|row| Ok((entry(&row)?, column(TABLE, &row, "version")?))).transpose()
    }

    /// Adds a frontend under its id.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its key is in use.
    pub async fn add_frontend(&self, new: &Frontend) -> Result<Frontend, StoreError> {
        let sql =
            "INSERT INTO frontends (id, key, secret, next_secret, checksum_algorithms, active, settings, account_ref)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *";
        let row = self.row("add a frontend", sql, &columns(new).params(&[])).await?;
        let gone = || StoreError::Row { row: format!("frontend `{}`", new.bbb.key), problem: "it is gone".to_owned() };
        entry(&row.ok_or_else(gone)?)
    }

    /// Changes a frontend whose row still has that version. `None`: it has another by now, or is gone, or meetings run under
    /// the key that was to be changed.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its new key is in use.
    pub async fn change_frontend(&self, changed: &Frontend, version: i64) -> Result<Option<Frontend>, StoreError> {
        let sql = "UPDATE frontends SET key = $2, secret = $3, next_secret = $4, checksum_algorithms = $5, active = $6,
                settings = settings || $7, account_ref = $8
            WHERE id = $1 AND version = $9
                AND (key = $2 OR NOT EXISTS (SELECT FROM meetings WHERE frontend_id = $1)) RETURNING *";
        let row = self.row("change a frontend", sql, &columns(changed).params(&[&version])).await?;
        row.as_ref().map(entry).transpose()
    }
}

/// What is written of a frontend.
struct Columns<'a> {
    new: &'a Frontend,
    algorithms: Option<Vec<String>>,
    settings: Json<&'a FrontendSettings>,
}

fn columns(new: &Frontend) -> Columns<'_> {
    let named = |algorithms: &Vec<Algorithm>| algorithms.iter().map(ToString::to_string).collect();
    Columns { new, algorithms: new.bbb.checksum_algorithms.as_ref().map(named), settings: Json(&new.settings) }
}

impl<'a> Columns<'a> {
    fn params(&'a self, more: &[&'a (dyn ToSql + Sync)]) -> Vec<&'a (dyn ToSql + Sync)> {
        let Frontend { id, active, bbb, account_ref, .. } = self.new;
        let FrontendKeys { key, secret, next_secret, .. } = bbb;
        let mut params: Vec<&(dyn ToSql + Sync)> =
            vec![id, key, secret, next_secret, &self.algorithms, active, &self.settings, account_ref];
        params.extend(more);
        params
    }
}

pub(in crate::store) fn entry(row: &Row) -> Result<Frontend, StoreError> {
    let Json(mut settings) = column::<Json<FrontendSettings>>(TABLE, row, "settings")?;
    settings.params_mut().into_iter().for_each(|params| params.retain(|_, value| !value.is_empty()));
    Ok(Frontend {
        id: column(TABLE, row, "id")?,
        active: column(TABLE, row, "active")?,
        bbb: FrontendKeys {
            key: column(TABLE, row, "key")?,
            secret: column(TABLE, row, "secret")?,
            next_secret: column(TABLE, row, "next_secret")?,
            checksum_algorithms: algorithms(row)?,
        },
        settings,
        account_ref: column(TABLE, row, "account_ref")?,
        created_at: time(TABLE, row, "created_at")?,
        updated_at: time(TABLE, row, "updated_at")?,
    })
}

fn algorithms(row: &Row) -> Result<Option<Vec<Algorithm>>, StoreError> {
    let words: Option<Vec<String>> = column(TABLE, row, "checksum_algorithms")?;
    let read = words.map(|words| serde_json::from_value(words.into())).transpose();
    read.map_err(|error| unreadable(TABLE, row, &format!("checksum_algorithms: {error}")))
}
