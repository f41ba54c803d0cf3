//! The table of frontends.

use std::marker::PhantomData;

use b3scale_middleware::bbb::{Algorithms, Secret};
use b3scale_middleware::cluster::{Frontend, FrontendId, FrontendSettings, Secrets};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use super::rows::{column, moment, readable, unreadable};
use super::transaction::{Ending, Transaction, Work};
use super::{Store, StoreError};

const TABLE: &str = "frontends";

/// The columns of operators other than the settings, and the parameters of their values.
const COLUMNS: &str = "key, secret, next_secret, checksum_algorithms, active, account_ref, description";
const VALUES: &str = "$4, $5, $6, $7, $8, $9, $10";

/// Which frontends. By default all.
#[derive(Clone, Debug, Default)]
pub struct FrontendFilter {
    /// Only frontends of that customer.
    pub owner: Option<String>,
    /// Those of that customer.
    pub account_ref: Option<String>,
    /// The one with that key.
    pub key: Option<String>,
    /// Frontends with this text in their key; `%` and `_` are wildcards.
    pub key_like: Option<String>,
}

/// The table of frontends.
#[derive(Clone, Copy)]
pub struct Frontends<'s>(pub(super) &'s Store);

impl Frontends<'_> {
    /// Every frontend that can be read.
    pub async fn load(self) -> Result<Vec<Frontend>, StoreError> {
        self.list(&FrontendFilter::default()).await
    }

    /// Frontends by their key. Unreadable ones are left out of a list.
    ///
    /// # Errors
    /// [`StoreError::Row`] if the wanted one is unreadable.
    pub async fn list(self, filter: &FrontendFilter) -> Result<Vec<Frontend>, StoreError> {
        let sql =
            "SELECT * FROM frontends WHERE ($1::text IS NULL OR account_ref = $1) AND ($2::text IS NULL OR key = $2)
            AND ($3::text IS NULL OR key LIKE '%' || $3 || '%') AND ($4::text IS NULL OR account_ref = $4) ORDER BY key";
        let FrontendFilter { owner, account_ref, key, key_like } = filter;
        let rows = self.0.rows("list frontends", sql, &[account_ref, key, key_like, owner]).await?;
        if key.is_some() { rows.iter().map(frontend).collect() } else { Ok(readable(&rows, frontend)) }
    }

    /// One frontend.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it cannot be read.
    pub async fn find(self, id: FrontendId) -> Result<Option<Frontend>, StoreError> {
        let row = self.0.row("find a frontend", "SELECT * FROM frontends WHERE id = $1", &[&id.0]).await?;
        row.as_ref().map(frontend).transpose()
    }

    /// Adds a frontend.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its key is in use.
    pub async fn add(self, new: &Frontend) -> Result<Frontend, StoreError> {
        self.put("add a frontend", &insert(), new).await
    }

    /// Adds a frontend, or changes the existing one with its key. Unknown settings are kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a value breaks a rule of the table.
    pub async fn record(self, new: &Frontend) -> Result<Frontend, StoreError> {
        let sql = format!("{} ON CONFLICT (key) DO UPDATE SET {}", insert(), set());
        self.put("record a frontend", &sql, new).await
    }

    async fn put(self, task: &'static str, sql: &str, new: &Frontend) -> Result<Frontend, StoreError> {
        let row = self.0.row(task, &format!("{sql} RETURNING *"), &Written::of(new).params()).await?;
        let gone = || StoreError::Row { row: format!("frontend `{}`", new.key), problem: "it is gone".to_owned() };
        frontend(&row.ok_or_else(gone)?)
    }

    /// Changes a frontend under its row's lock, and returns it as it was and as it is. `change` gets to know
    /// whether it has meetings. `None`: there is no such frontend.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when its new key is in use; the errors of `change`.
    pub async fn change<E: From<StoreError> + Send>(
        self,
        id: FrontendId,
        change: impl Fn(&Frontend, bool) -> Result<Frontend, E> + Sync,
    ) -> Result<Option<(Frontend, Frontend)>, E> {
        self.0.transaction(&Changing { id, change, error: PhantomData }, Ending::Commit).await
    }

    /// Removes a frontend: its meetings end. `false`: there was none.
    pub async fn remove(self, id: FrontendId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM frontends WHERE id = $1 RETURNING id";
        Ok(self.0.row("remove a frontend", sql, &[&id.0]).await?.is_some())
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
        let Some(there) = found.first().map(frontend).transpose()? else { return Ok(None) };
        // Behind the lock, so that no meeting is being placed any more.
        let meetings = "SELECT FROM meetings WHERE frontend_id = $1 LIMIT 1";
        let has_meetings = !transaction.rows(meetings, &[&self.id.0]).await?.is_empty();
        let changed = (self.change)(&there, has_meetings)?;
        if changed == there {
            return Ok(Some((there, changed)));
        }
        let changed = update(transaction, &changed).await?;
        Ok(changed.map(|changed| (there, changed)))
    }
}

/// Reads the whole table in the order of keys. A row that cannot be read is an error.
pub(super) async fn all(transaction: &Transaction<'_>) -> Result<Vec<Frontend>, StoreError> {
    let rows = transaction.rows("SELECT * FROM frontends ORDER BY key COLLATE \"C\"", &[]).await?;
    rows.iter().map(frontend).collect()
}

pub(super) async fn add(transaction: &Transaction<'_>, new: &Frontend) -> Result<(), StoreError> {
    transaction.rows(&insert(), &Written::of(new).params()).await.map(drop)
}

pub(super) async fn update(transaction: &Transaction<'_>, changed: &Frontend) -> Result<Option<Frontend>, StoreError> {
    let sql = format!("UPDATE frontends AS kept SET {} WHERE id = $1 RETURNING *", set());
    let rows = transaction.rows(&sql, &Written::of(changed).params()).await?;
    rows.first().map(frontend).transpose()
}

fn insert() -> String {
    format!(
        "INSERT INTO frontends AS kept (id, settings, created_at, {COLUMNS})
        VALUES ($1, $2, coalesce($3, now()), {VALUES})"
    )
}

/// Sets a row. What others keep among the settings stays.
fn set() -> String {
    format!("({COLUMNS}) = ROW ({VALUES}), settings = kept.settings || $2, created_at = coalesce(kept.created_at, $3)")
}

/// The values of a frontend as its columns take them.
struct Written<'a> {
    frontend: &'a Frontend,
    secret: &'a str,
    next_secret: Option<&'a str>,
    algorithms: Option<Vec<String>>,
    settings: Json<&'a FrontendSettings>,
}

impl<'a> Written<'a> {
    fn of(frontend: &'a Frontend) -> Self {
        Self {
            frontend,
            secret: frontend.secrets.current().expose(),
            next_secret: frontend.secrets.next().map(Secret::expose),
            algorithms: frontend.algorithms.names(),
            settings: Json(&frontend.settings),
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let Self { secret, next_secret, algorithms, settings, .. } = self;
        let Frontend { id, key, active, account_ref, description, created_at, .. } = self.frontend;
        vec![&id.0, settings, created_at, key, secret, next_secret, algorithms, active, account_ref, description]
    }
}

fn frontend(row: &Row) -> Result<Frontend, StoreError> {
    let secret = |text: &str| Secret::new(text).ok_or_else(|| unreadable(TABLE, row, "its secret is empty"));
    let next: Option<&str> = column(TABLE, row, "next_secret")?;
    let Json(settings) = column::<Json<Value>>(TABLE, row, "settings")?;
    let broken = |name| unreadable(TABLE, row, &format!("the setting `{name}` is not of its kind"));
    let mut settings = FrontendSettings::read(settings).map_err(broken)?;
    settings.drop_empty_params();
    let time = |name| moment(TABLE, row, name).map(Some);
    Ok(Frontend {
        id: FrontendId(column::<Uuid>(TABLE, row, "id")?),
        key: column(TABLE, row, "key")?,
        secrets: Secrets::new(secret(column(TABLE, row, "secret")?)?, next.map(secret).transpose()?),
        algorithms: algorithms(row)?,
        active: column(TABLE, row, "active")?,
        settings,
        account_ref: column(TABLE, row, "account_ref")?,
        description: column(TABLE, row, "description")?,
        created_at: time("created_at")?,
        updated_at: time("updated_at")?,
        version: column(TABLE, row, "version")?,
    })
}

fn algorithms(row: &Row) -> Result<Algorithms, StoreError> {
    let Some(words) = column::<Option<Vec<String>>>(TABLE, row, "checksum_algorithms")? else {
        return Ok(Algorithms::default());
    };
    let algorithms = serde_json::from_value(words.into());
    algorithms.map_err(|error| unreadable(TABLE, row, &format!("checksum_algorithms: {error}")))
}
