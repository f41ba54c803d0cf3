//! How the schema stands.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::Row;

use super::embedded;
use crate::rest::{Migration, SchemaStatus};
use crate::store::rows::{column, unreadable};
use crate::store::{Store, StoreError};

const TABLE: &str = "refinery_schema_history";

impl Store {
    /// How the database and its schema stand. Takes no connection of its own, as the original did.
    pub async fn schema_status(&self) -> SchemaStatus {
        let config = &self.target.config;
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned();
        let known = embedded::migrations::runner().get_migrations().len();
        let status = SchemaStatus {
            available: true,
            database,
            migrated: false,
            migration: None,
            pending_migrations: u32::try_from(known).unwrap_or(u32::MAX),
            error: None,
        };
        match self.last_migration().await {
            Ok(Some(last)) => {
                let applied = u32::try_from(last.version).unwrap_or_default();
                let pending_migrations = status.pending_migrations.saturating_sub(applied);
                SchemaStatus { migrated: true, migration: Some(last), pending_migrations, ..status }
            }
            Ok(None) => status,
            Err(error) => SchemaStatus { available: !error.is_away(), error: Some(error.to_string()), ..status },
        }
    }

    /// The last step that was applied. They are numbered without gaps, from 1.
    async fn last_migration(&self) -> Result<Option<Migration>, StoreError> {
        let sql = "SELECT version, name, applied_on FROM refinery_schema_history ORDER BY version DESC LIMIT 1";
        self.row("look for the last migration", sql, &[]).await?.as_ref().map(migration).transpose()
    }
}

fn migration(row: &Row) -> Result<Migration, StoreError> {
    let (name, applied_on): (String, String) = (column(TABLE, row, "name")?, column(TABLE, row, "applied_on")?);
    let applied_at = OffsetDateTime::parse(&applied_on, &Rfc3339);
    let applied_at = applied_at.map_err(|error| unreadable(TABLE, row, &format!("applied_on: {error}")))?;
    Ok(Migration { applied_at, description: name.replace('_', " "), version: column(TABLE, row, "version")? })
}
