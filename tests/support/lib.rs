//! What the tests share.

mod frozen;
mod postgres;

pub use frozen::Frozen;
pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres};
