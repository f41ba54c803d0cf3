//! Settings that the servers of a cluster generate and share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rows::column;
use super::{Store, StoreError};

/// The secret of that name, made from 48 random bytes the first time any server asks. Every server gets the same.
pub async fn shared_secret(store: &Store, name: &str) -> Result<String, StoreError> {
    let mut bytes = [0; 48];
    let random = aws_lc_rs::rand::fill(&mut bytes);
    random.map_err(|_| StoreError::Setting("the system gives no random numbers".to_owned()))?;
    // The update changes nothing, but of many servers that start at once it gives each the winner's value.
    let sql = "INSERT INTO cluster_settings AS kept (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = kept.value RETURNING value";
    let row = store.row("share a secret", sql, &[&name, &STANDARD.encode(bytes)]).await?;
    let missing = || StoreError::Row { row: format!("cluster setting `{name}`"), problem: "it is gone".to_owned() };
    column("cluster_settings", &row.ok_or_else(missing)?, "value")
}
