//! What the tests share.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cluster;
mod frozen;
mod hearing;
mod postgres;

pub use cluster::{Answer, ClusterOptions, SECRET, TestCluster};
pub use frozen::Frozen;
pub use hearing::hear;
pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres};
