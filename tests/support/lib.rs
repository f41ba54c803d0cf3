//! What the tests share.

mod postgres;

pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres};
