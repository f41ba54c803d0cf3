//! The pool of connections, and the one way statements reach PostgreSQL.

use std::time::Duration;

use b3scale_postgres::{Connector, Target};
use deadpool_postgres::{Client, Manager, Object, Pool, PoolError, Runtime};
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::{Place, StoreError};
use crate::telemetry::Sheet;
use crate::telemetry::catalog::{
    DB_CONNECTIONS, DB_CONNECTIONS_LIMIT, DB_RETRIES, DB_SECONDS, DB_WAIT_SECONDS, DB_WAITING,
};

pub(super) use b3scale_postgres::Params;

/// How long a statement may take before its connection is given up.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(10);
/// How often a statement is run that loses to rivals.
pub(super) const RIVALS: u32 = 5;
/// How long to wait for a free, a new, or a returned connection.
const POOL_LIMIT: Duration = Duration::from_secs(5);

/// PostgreSQL, as the rest of the program sees it. Cheap to clone.
///
/// No connection is held between two calls of its functions, so none ever waits for a node.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    pub(super) target: Target,
    pub(super) connector: Connector,
}

impl Store {
    /// Connects to the database that `url` names (`postgresql://…` or `key=value …`, every `sslmode` of libpq) with at most
    /// `pool_size` connections.
    ///
    /// # Errors
    /// [`StoreError::Setting`] when `url` cannot be understood, and why the first connection fails.
    pub async fn connect(url: &str, pool_size: usize) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let connector = Connector::new(&target.trust)?;
        let manager = Manager::new(target.config.clone(), connector.clone());
        let pool = Pool::builder(manager)
            .max_size(pool_size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_LIMIT))
            .create_timeout(Some(POOL_LIMIT))
            .recycle_timeout(Some(POOL_LIMIT))
            .build()
            .map_err(|error| StoreError::Setting(error.to_string()))?;
        let store = Self { pool, target, connector };
        drop(store.client().await?);
        Ok(store)
    }

    /// Which database this is: host, name and user.
    pub fn place(&self) -> &Place {
        &self.target.place
    }

    /// Whether PostgreSQL answers right now.
    ///
    /// # Errors
    /// Any [`StoreError`] that says why it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.rows("answer", "SELECT", &[]).await.map(drop)
    }

    /// Closes the connections that are not in use, and every other once it is given back. Nothing can be asked from then on.
    pub fn close(&self) {
        self.pool.close();
    }

    /// Runs a statement. `task` completes "PostgreSQL refused to …".
    pub(super) async fn rows(&self, task: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let client = self.client().await?;
        let run = async {
            let statement = client.prepare_cached(sql).await?;
            let mut tries = 1..RIVALS;
            loop {
                match client.query(&statement, params).await {
                    // Of two statements that wait for each other PostgreSQL ends one, as if it had never been.
                    Err(error) if is_rivalry(&error) && tries.next().is_some() => DB_RETRIES.with([]).increment(1),
                    outcome => return outcome,
                }
            }
        };
        let began = Instant::now();
        let outcome = timeout(STATEMENT_LIMIT, run).await;
        DB_SECONDS.with([task]).record(began.elapsed());
        let Ok(outcome) = outcome else {
            // Its answer may still come, and would be taken for the next statement's delay.
            drop(Object::take(client));
            return Err(StoreError::slow(task, self.place(), STATEMENT_LIMIT));
        };
        let outcome = outcome.map_err(|error| StoreError::from_postgres(task, self.place(), &error));
        if outcome.as_ref().is_err_and(StoreError::is_read_only) {
            // The primary may be another server by now, to which a new connection leads.
            drop(Object::take(client));
        }
        outcome
    }

    /// Runs a statement that gives one row or none.
    pub(super) async fn row(
        &self,
        task: &'static str,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(task, sql, params).await?.into_iter().next())
    }

    pub(super) async fn client(&self) -> Result<Client, StoreError> {
        let began = Instant::now();
        let client = self.pool.get().await;
        DB_WAIT_SECONDS.with([]).record(began.elapsed());
        let away = |reason| StoreError::Away { place: self.place().clone(), reason }.counted();
        client.map_err(|error| match error {
            PoolError::Backend(error) => StoreError::from_postgres("take a connection", self.place(), &error),
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
                StoreError::Busy { size: self.pool.status().max_size }.counted()
            }
            PoolError::Timeout(_) => away(format!("no connection within {} s", POOL_LIMIT.as_secs())),
            other => away(other.to_string()),
        })
    }

    /// Writes down the figures of the pool, for `/metrics`.
    pub fn write_figures(&self, sheet: &mut Sheet) {
        let status = self.pool.status();
        sheet.set(&DB_CONNECTIONS_LIMIT, [], status.max_size);
        sheet.set(&DB_CONNECTIONS, ["idle"], status.available);
        sheet.set(&DB_CONNECTIONS, ["used"], status.size.saturating_sub(status.available));
        sheet.set(&DB_WAITING, [], status.waiting);
    }
}

pub(super) fn is_rivalry(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE].contains(code))
}
