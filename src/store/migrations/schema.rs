//! The state of the schema.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Row;

use super::{Schema, embedded};
use crate::store::StoreError;
use crate::store::rows::{column, unreadable};

const TABLE: &str = "refinery_schema_history";

/// A migration that was applied. They are numbered without gaps, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i32,
    /// Its name.
    pub description: String,
    /// When it was applied.
    pub applied_at: OffsetDateTime,
}

impl<'s> Schema<'s> {
    /// The name of the database.
    pub fn database(self) -> &'s str {
        let config = &self.0.target.config;
        config.get_dbname().or(config.get_user()).unwrap_or_default()
    }

    /// The number of migrations that this program has.
    pub fn versions() -> u32 {
        u32::try_from(embedded::migrations::runner().get_migrations().len()).unwrap_or(u32::MAX)
    }

    /// The last migration that was applied. `None`: there is no schema.
    pub async fn last(self) -> Result<Option<AppliedMigration>, StoreError> {
        let sql = "SELECT version, name, applied_on FROM refinery_schema_history ORDER BY version DESC LIMIT 1";
        self.0.row("look for the last migration", sql, &[]).await?.as_ref().map(migration).transpose()
    }
}

fn migration(row: &Row) -> Result<AppliedMigration, StoreError> {
    let (name, applied_on): (String, String) = (column(TABLE, row, "name")?, column(TABLE, row, "applied_on")?);
    let applied_at = OffsetDateTime::parse(&applied_on, &Rfc3339);
    let applied_at = applied_at.map_err(|error| unreadable(TABLE, row, &format!("applied_on: {error}")))?;
    Ok(AppliedMigration { version: column(TABLE, row, "version")?, description: name.replace('_', " "), applied_at })
}
