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
    /// How the database and its schema stand. Takes no connection of its own, as the original did. If it does not answer, it is
    /// taken to be as this server found it, which does not start while a migration is missing.
    pub async fn schema_status(&self) -> SchemaStatus {
        let config = &self.target.config;
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned();
        let known = embedded::migrations::runner().get_migrations().len();
        let all = u32::try_from(known).unwrap_or(u32::MAX);
        let status = SchemaStatus {
            available: true,
            database,
            migrated: true,
            migration: None,
            pending_migrations: 0,
            error: None,
        };
        match self.last_migration().await {
            Ok(Some(last)) => {
                let pending_migrations = all.saturating_sub(u32::try_from(last.version).unwrap_or_default());
                SchemaStatus { migration: Some(last), pending_migrations, ..status }
            }
            Err(error) if error.is_away() => {
                SchemaStatus { available: false, error: Some(error.to_string()), ..status }
            }
            nothing => {
                let error = nothing.err().map(|error| error.to_string());
                SchemaStatus { migrated: false, pending_migrations: all, error, ..status }
            }
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
