//! Another system's database, which is only read.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Row};

use super::tls::Connector;
use super::url::Target;
use super::{Params, Place, StoreError};

/// Completes "PostgreSQL did not …".
pub const CONNECTING: &str = "take a connection";
/// How long a connection may take: what answers there may be no PostgreSQL, and say nothing.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a statement may take: a table is read whole, and perhaps from far away.
const LIMIT: Duration = Duration::from_secs(60);

/// Another system's database as it was when it was opened. Nothing can be written, and the connection ends with this.
pub struct ForeignDatabase {
    client: Client,
    driver: JoinHandle<()>,
    place: Place,
}

impl ForeignDatabase {
    /// Connects as a server does. Errors name the place with the flag that names the URL.
    ///
    /// # Errors
    /// [`StoreError::Setting`] when `url` cannot be understood, [`StoreError::Away`] when the connection fails.
    pub async fn open(flag: &str, url: &str) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let place = Place::new(format!("{} ({flag})", target.place));
        let connecting = timeout(CONNECT_LIMIT, target.config.connect(Connector::new(&target.trust)?));
        let slow = |_| StoreError::Slow { task: CONNECTING, place: place.clone(), limit: CONNECT_LIMIT };
        let connected = connecting.await.map_err(slow)?;
        let (client, connection) = connected.map_err(|error| StoreError::from_postgres(CONNECTING, &place, &error))?;
        let driver = tokio::spawn(async move {
            // The next statement reports why it ended.
            let _ = connection.await;
        });
        let opened = Self { client, driver, place };
        opened.rows("begin to read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &[]).await?;
        Ok(opened)
    }

    /// Which database this is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it has a table of that name.
    pub async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let rows = self.rows("look for a table", "SELECT FROM pg_class WHERE oid = to_regclass($1)", &[&name]).await?;
        Ok(!rows.is_empty())
    }

    /// Runs a statement. `task` completes "PostgreSQL refused to …".
    pub async fn rows(&self, task: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let slow = |_| StoreError::Slow { task, place: self.place.clone(), limit: LIMIT };
        let answer = timeout(LIMIT, self.client.query(sql, params)).await.map_err(slow)?;
        answer.map_err(|error| StoreError::from_postgres(task, &self.place, &error))
    }
}

impl Drop for ForeignDatabase {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
