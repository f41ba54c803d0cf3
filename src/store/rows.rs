//! From rows to the domain, one column at a time.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::StoreError;

pub(crate) use b3scale_postgres::{column, unreadable};

/// A word that the domain has a type for, such as a state.
pub(crate) fn word<T: DeserializeOwned>(table: &str, row: &Row, name: &str) -> Result<T, StoreError> {
    word_if_any(table, row, name)?.ok_or_else(|| unreadable(table, row, &format!("{name} is missing")))
}

/// The same of a column that may be empty.
pub(crate) fn word_if_any<T: DeserializeOwned>(table: &str, row: &Row, name: &str) -> Result<Option<T>, StoreError> {
    let Some(text) = column::<Option<&str>>(table, row, name)? else { return Ok(None) };
    let word = serde_json::from_value(text.into());
    word.map(Some).map_err(|_| unreadable(table, row, &format!("{name} is `{text}`")))
}

/// A time as the REST API writes it.
pub(crate) fn time(table: &str, row: &Row, name: &str) -> Result<OffsetDateTime, StoreError> {
    let found = time_if_any(table, row, name)?;
    found.ok_or_else(|| unreadable(table, row, &format!("{name} is missing")))
}

/// The same of a column that may be empty.
pub(crate) fn time_if_any(table: &str, row: &Row, name: &str) -> Result<Option<OffsetDateTime>, StoreError> {
    let Some(time) = column::<Option<SystemTime>>(table, row, name)? else { return Ok(None) };
    // PostgreSQL has times without a written form: infinity, and years of six digits.
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|since| since.try_into().ok());
    let before = || SystemTime::UNIX_EPOCH.duration_since(time).ok().and_then(|before| before.try_into().ok());
    let written = match since {
        Some(since) => OffsetDateTime::UNIX_EPOCH.checked_add(since),
        None => before().and_then(|before: time::Duration| OffsetDateTime::UNIX_EPOCH.checked_sub(before)),
    };
    written.map(Some).ok_or_else(|| unreadable(table, row, &format!("{name} is a time out of range")))
}

/// A time that can be written.
pub(crate) fn moment(table: &str, row: &Row, name: &str) -> Result<SystemTime, StoreError> {
    time(table, row, name).map(SystemTime::from)
}

/// The same of a column that may be empty.
pub(crate) fn moment_if_any(table: &str, row: &Row, name: &str) -> Result<Option<SystemTime>, StoreError> {
    Ok(time_if_any(table, row, name)?.map(SystemTime::from))
}

/// The word for a state, as the tables spell it.
pub(crate) fn spelling<T: Serialize>(state: T) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        // Only enums without data are passed here; anything else is refused by the column's check.
        _ => String::new(),
    }
}

/// All readable rows. Others are logged and left out: a tenant's broken row must not stop the rest.
pub(crate) fn readable<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, StoreError>) -> Vec<T> {
    let log = |error: &StoreError| tracing::error!(%error, "Skipping an unreadable row of the database");
    rows.iter().filter_map(|row| read(row).inspect_err(log).ok()).collect()
}
