//! The table of frontends.

mod entries;

use b3scale_middleware::bbb::{Algorithms, Secret};
use b3scale_middleware::cluster::{Frontend, FrontendId, FrontendSettings, Secrets};
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::rows::{column, readable, unreadable};
use super::{Store, StoreError};

pub use entries::FrontendFilter;

const TABLE: &str = "frontends";

/// A frontend as an operator describes it.
pub struct NewFrontend {
    /// The segment of the URL that names it.
    pub key: String,
    /// What its checksums are made with.
    pub secret: Secret,
    /// What they may be made with, too, while it is moved to a new secret.
    pub next_secret: Option<Secret>,
    /// The checksum algorithms it may use.
    pub algorithms: Algorithms,
    /// Whether it is served.
    pub active: bool,
    /// What is done to its calls.
    pub settings: FrontendSettings,
    /// The customer it belongs to, in another system.
    pub account_ref: Option<String>,
}

impl Store {
    /// Every frontend that can be read.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn load_frontends(&self) -> Result<Vec<Frontend>, StoreError> {
        let rows = self.rows("load the frontends", "SELECT * FROM frontends ORDER BY key", &[]).await?;
        Ok(readable(&rows, frontend))
    }

    /// One frontend.
    ///
    /// # Errors
    /// [`StoreError::Row`] when it cannot be read.
    pub async fn find_frontend(&self, id: FrontendId) -> Result<Option<Frontend>, StoreError> {
        let row = self.row("find a frontend", "SELECT * FROM frontends WHERE id = $1", &[&id.0]).await?;
        row.as_ref().map(frontend).transpose()
    }

    /// Adds a frontend, or changes the one that has its key. Settings that we do not know are kept.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when a value breaks a rule of the table.
    pub async fn record_frontend(&self, new: &NewFrontend) -> Result<Frontend, StoreError> {
        let sql = "INSERT INTO frontends AS kept
                (id, key, secret, next_secret, checksum_algorithms, active, settings, account_ref)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (key) DO UPDATE SET
                secret = excluded.secret, next_secret = excluded.next_secret,
                checksum_algorithms = excluded.checksum_algorithms, active = excluded.active,
                settings = kept.settings || excluded.settings, account_ref = excluded.account_ref
            RETURNING *";
        let next_secret = new.next_secret.as_ref().map(Secret::expose);
        let algorithms = named(new.algorithms);
        let (secret, settings) = (new.secret.expose(), Json(&new.settings));
        let row = self
            .row(
                "record a frontend",
                sql,
                &[
                    &Uuid::now_v7(),
                    &new.key,
                    &secret,
                    &next_secret,
                    &algorithms,
                    &new.active,
                    &settings,
                    &new.account_ref,
                ],
            )
            .await?;
        let gone = || StoreError::Row { row: format!("frontend `{}`", new.key), problem: "it is gone".to_owned() };
        frontend(&row.ok_or_else(gone)?)
    }

    /// Removes a frontend, whose meetings end. `false`: there was none.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn remove_frontend(&self, id: FrontendId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM frontends WHERE id = $1 RETURNING id";
        Ok(self.row("remove a frontend", sql, &[&id.0]).await?.is_some())
    }
}

fn frontend(row: &Row) -> Result<Frontend, StoreError> {
    let secret = |text: &str| Secret::new(text).ok_or_else(|| unreadable(TABLE, row, "its secret is empty"));
    let next: Option<&str> = column(TABLE, row, "next_secret")?;
    let Json(settings) = column::<Json<FrontendSettings>>(TABLE, row, "settings")?;
    Ok(Frontend {
        id: FrontendId(column(TABLE, row, "id")?),
        key: column(TABLE, row, "key")?,
        secrets: Secrets::new(secret(column(TABLE, row, "secret")?)?, next.map(secret).transpose()?),
        algorithms: algorithms(row)?,
        active: column(TABLE, row, "active")?,
        settings,
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

/// Every algorithm is kept as none, so that one that is added later is allowed, too.
fn named(algorithms: Algorithms) -> Option<Vec<String>> {
    (algorithms != Algorithms::default()).then(|| algorithms.iter().map(|one| one.to_string()).collect())
}
