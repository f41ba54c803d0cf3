//! Frontends as the REST API shows them.

use std::marker::PhantomData;

use b3scale_middleware::cluster::FrontendId;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use super::TABLE;
use crate::rest::{Frontend, FrontendKeys, FrontendSettings};
use crate::state::normal::algorithms;
use crate::store::rows::{column, readable, time};
use crate::store::transaction::{Ending, Transaction, Work};
use crate::store::{Store, StoreError};

/// Which frontends. By default all.
#[derive(Clone, Debug, Default)]
pub struct FrontendFilter {
    /// Those of that customer, whatever else is asked for.
    pub owner: Option<String>,
    /// Those of that customer.
    pub account_ref: Option<String>,
    /// The one with that key.
    pub key: Option<String>,
    /// Those whose key holds that text, in which `%` and `_` stand for others.
    pub key_like: Option<String>,
}

impl Store {
    /// Frontends by their key. One that cannot be read is left out of a list.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it is the one that was asked for.
    pub async fn frontend_entries(&self, filter: &FrontendFilter) -> Result<Vec<Frontend>, StoreError> {
        let sql =
            "SELECT * FROM frontends WHERE ($1::text IS NULL OR account_ref = $1) AND ($2::text IS NULL OR key = $2)
            AND ($3::text IS NULL OR key LIKE '%' || $3 || '%') AND ($4::text IS NULL OR account_ref = $4) ORDER BY key";
        let FrontendFilter { owner, account_ref, key, key_like } = filter;
        let rows = self.rows("list frontends", sql, &[account_ref, key, key_like, owner]).await?;
        if key.is_some() { rows.iter().map(entry).collect() } else { Ok(readable(&rows, entry)) }
    }

    /// One frontend.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn frontend_entry(&self, id: FrontendId) -> Result<Option<Frontend>, StoreError> {
        let row = self.row("find a frontend", "SELECT * FROM frontends WHERE id = $1", &[&id.0]).await?;
        row.as_ref().map(entry).transpose()
    }

    /// Adds a frontend under its id.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its key is in use.
    pub async fn add_frontend(&self, new: &Frontend) -> Result<Frontend, StoreError> {
        let sql =
            "INSERT INTO frontends (id, key, secret, next_secret, checksum_algorithms, active, settings, account_ref)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *";
        let row = self.row("add a frontend", sql, &columns(new).params()).await?;
        let gone = || StoreError::Row { row: format!("frontend `{}`", new.bbb.key), problem: "it is gone".to_owned() };
        entry(&row.ok_or_else(gone)?)
    }

    /// Changes a frontend, whose row nobody else changes meanwhile, and returns it as it was and as it is. `change` is told
    /// whether it has meetings. `None`: there is no such frontend.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its new key is in use; whatever `change` refuses it with.
    pub async fn change_frontend<E: From<StoreError> + Send>(
        &self,
        id: FrontendId,
        change: impl Fn(&Frontend, bool) -> Result<Frontend, E> + Sync,
    ) -> Result<Option<(Frontend, Frontend)>, E> {
        self.transaction(&Changing { id, change, error: PhantomData }, Ending::Commit).await
    }
}

/// Changing a frontend.
struct Changing<F, E> {
    id: FrontendId,
    change: F,
    error: PhantomData<fn() -> E>,
}

impl<F, E> Work for Changing<F, E>
where
    F: Fn(&Frontend, bool) -> Result<Frontend, E> + Sync,
    E: From<StoreError> + Send,
{
    const TASK: &'static str = "change a frontend";
    type Done = Option<(Frontend, Frontend)>;
    type Error = E;

    async fn run(&self, transaction: &Transaction<'_>) -> Result<Self::Done, E> {
        let found = transaction.rows("SELECT * FROM frontends WHERE id = $1 FOR UPDATE", &[&self.id.0]).await?;
        let Some(there) = found.first().map(entry).transpose()? else { return Ok(None) };
        // Behind the lock, so that no meeting is being placed any more.
        let meetings = "SELECT FROM meetings WHERE frontend_id = $1 LIMIT 1";
        let has_meetings = !transaction.rows(meetings, &[&self.id.0]).await?.is_empty();
        let changed = (self.change)(&there, has_meetings)?;
        if changed == there {
            return Ok(Some((there, changed)));
        }
        let sql = "UPDATE frontends SET key = $2, secret = $3, next_secret = $4, checksum_algorithms = $5, active = $6,
                settings = settings || $7, account_ref = $8
            WHERE id = $1 RETURNING *";
        let rows = transaction.rows(sql, &columns(&changed).params()).await?;
        let changed = rows.first().map(entry).transpose()?;
        Ok(changed.map(|changed| (there, changed)))
    }
}

/// What is written of a frontend.
struct Columns<'a> {
    new: &'a Frontend,
    algorithms: Option<Vec<String>>,
    settings: Json<&'a FrontendSettings>,
}

fn columns(new: &Frontend) -> Columns<'_> {
    let algorithms = new.bbb.checksum_algorithms.as_deref().and_then(algorithms);
    Columns { new, algorithms, settings: Json(&new.settings) }
}

impl Columns<'_> {
    fn params(&self) -> [&(dyn ToSql + Sync); 8] {
        let Frontend { id, active, bbb, account_ref, .. } = self.new;
        let FrontendKeys { key, secret, next_secret, .. } = bbb;
        [id, key, secret, next_secret, &self.algorithms, active, &self.settings, account_ref]
    }
}

fn entry(row: &Row) -> Result<Frontend, StoreError> {
    let Json(mut settings) = column::<Json<FrontendSettings>>(TABLE, row, "settings")?;
    settings.params_mut().into_iter().for_each(|params| params.retain(|_, value| !value.is_empty()));
    Ok(Frontend {
        id: column(TABLE, row, "id")?,
        active: column(TABLE, row, "active")?,
        bbb: FrontendKeys {
            key: column(TABLE, row, "key")?,
            secret: column(TABLE, row, "secret")?,
            next_secret: column(TABLE, row, "next_secret")?,
            checksum_algorithms: column(TABLE, row, "checksum_algorithms")?,
        },
        settings,
        account_ref: column(TABLE, row, "account_ref")?,
        created_at: time(TABLE, row, "created_at")?,
        updated_at: time(TABLE, row, "updated_at")?,
    })
}
