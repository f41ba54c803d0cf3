//! What the tests share.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cluster;
mod postgres;

pub use cluster::{Answer, ClusterOptions, SECRET, TestCluster};
pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres};
