//! PostgreSQL as every program reaches it: URL, TLS and errors; and a private one for the default run.

mod error;
mod foreign;
pub mod private;
mod tls;
mod trouble;
mod url;

use std::error::Error as _;

use b3scale_base::net::url::without_user;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, WrongType};

pub use error::{Place, StoreError, reason};
pub use foreign::{CONNECTING, ForeignDatabase};
pub use tls::{Connector, Trust};
pub use trouble::Trouble;
pub use url::Target;

/// The parameters of a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A column's value, or an error that names the table, the row's key and the column.
///
/// # Errors
/// [`StoreError::Row`].
pub fn column<'a, T: FromSql<'a>>(table: &str, row: &'a Row, name: &str) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| unreadable(table, row, &wrong_value(row, name, &error)))
}

/// Why a column cannot be read, without the names of our types.
fn wrong_value(row: &Row, name: &str, error: &tokio_postgres::Error) -> String {
    let found = row.columns().iter().find(|column| column.name() == name);
    match (found, error.source().is_some_and(<dyn std::error::Error>::is::<WrongType>)) {
        (Some(column), true) => {
            format!("its column `{name}` has the type {}, which is not the expected one", column.type_())
        }
        _ => reason(error),
    }
}

/// An error for a row that holds what no program of ours writes.
pub fn unreadable(table: &str, row: &Row, problem: &str) -> StoreError {
    // URLs of backends are names, those of tenants secrets.
    let url = if table.starts_with("backend") { "url" } else { "id" };
    let key = row.try_get::<_, &str>("key").or_else(|_| row.try_get(url)).or_else(|_| row.try_get("id"));
    let row = format!("row `{}` of table {table}", without_user(key.unwrap_or("?")));
    StoreError::Row { row, problem: problem.to_owned() }
}
