//! Bringing the schema up to date, by one server at a time.

mod schema;

use std::time::Duration;

use refinery::{Migration, Runner};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{Store, StoreError};

pub use schema::AppliedMigration;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// Every server that starts takes this lock. The number only has to be unused by others.
const LOCK: i64 = 0x0062_3373_6361_6c65;
/// How long to wait for another server's migration, and for one's own.
const LIMIT: Duration = Duration::from_secs(300);

/// The schema of the database.
#[derive(Clone, Copy)]
pub struct Schema<'s>(pub(super) &'s Store);

impl Schema<'_> {
    /// Applies missing migrations, and returns their names. Servers that start at once wait for each other.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] for a database of the original b3scale, [`StoreError::Migration`] when a migration fails or
    /// the database is newer than this program.
    pub async fn migrate(self) -> Result<Vec<String>, StoreError> {
        self.with_own_client(async |client, runner| {
            // A lock of the session: it always ends with this connection.
            client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(|error| self.refused(&error))?;
            self.refuse_the_original(client).await?;
            let report = runner.run_async(client).await.map_err(|error| self.failed(&error))?;
            Ok(names(report.applied_migrations()))
        })
        .await
    }

    /// The names of the migrations that are missing, without applying any.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] for a database of the original b3scale.
    pub async fn pending(self) -> Result<Vec<String>, StoreError> {
        self.with_own_client(async |client, runner| {
            self.refuse_the_original(client).await?;
            if !exists(client, "refinery_schema_history").await.map_err(|error| self.refused(&error))? {
                return Ok(names(runner.get_migrations()));
            }
            let applied = runner.get_applied_migrations_async(client).await.map_err(|error| self.failed(&error))?;
            let missing: Vec<_> =
                runner.get_migrations().iter().filter(|one| !applied.contains(one)).cloned().collect();
            Ok(names(&missing))
        })
        .await
    }

    async fn with_own_client<T>(
        self,
        work: impl AsyncFnOnce(&mut Client, Runner) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connected = self.0.target.config.connect(self.0.connector.clone()).await;
        let (mut client, connection) = connected.map_err(|error| self.refused(&error))?;
        let driver = tokio::spawn(connection);
        let outcome = timeout(LIMIT, work(&mut client, embedded::migrations::runner())).await;
        driver.abort();
        outcome
            .unwrap_or_else(|_| Err(StoreError::Slow { task: "migrate", place: self.0.place().clone(), limit: LIMIT }))
    }

    async fn refuse_the_original(self, client: &Client) -> Result<(), StoreError> {
        let ours = exists(client, "refinery_schema_history").await;
        let theirs = exists(client, "__meta__").await;
        let frontends = exists(client, "frontends").await;
        let (ours, theirs, frontends) =
            (|| Ok((ours?, theirs?, frontends?)))().map_err(|error| self.refused(&error))?;
        if theirs && frontends && !ours {
            return Err(StoreError::Foreign { place: self.0.place().clone() });
        }
        Ok(())
    }

    fn refused(self, error: &tokio_postgres::Error) -> StoreError {
        StoreError::from_postgres("migrate", self.0.place(), error)
    }

    fn failed(self, error: &refinery::Error) -> StoreError {
        let mut problem = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            problem = format!("{problem}: {cause}");
            source = cause.source();
        }
        StoreError::Migration { place: self.0.place().clone(), problem }
    }
}

async fn exists(client: &Client, table: &str) -> Result<bool, tokio_postgres::Error> {
    client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.try_get(0)
}

fn names(migrations: &[Migration]) -> Vec<String> {
    migrations.iter().map(ToString::to_string).collect()
}
