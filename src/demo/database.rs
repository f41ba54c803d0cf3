//! The database of the demo: a new one in the folder's cluster, which may hold others.

use tokio_postgres::{Client, NoTls};

use super::DemoError;
use crate::store::private::PrivatePostgres;

/// Apart from the server's own database, so that a demo in its folder touches nothing of it.
const NAME: &str = "demo";

/// Drops the database, creates it, and returns its URL.
pub(super) async fn fresh(cluster: &PrivatePostgres) -> Result<String, DemoError> {
    let (client, connection) = tokio_postgres::connect(cluster.url(), NoTls).await?;
    let driver = tokio::spawn(connection);
    let made = make(&client).await;
    driver.abort();
    made?;
    Ok(cluster.url_of(NAME))
}

async fn make(client: &Client) -> Result<(), tokio_postgres::Error> {
    // Neither statement may share a transaction with the other.
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")).await?;
    client.batch_execute(&format!("CREATE DATABASE {NAME}")).await
}
