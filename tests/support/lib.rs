//! What the tests share.

mod cluster;
mod postgres;

pub use cluster::{Answer, ClusterOptions, SECRET, TestCluster};
pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres};
