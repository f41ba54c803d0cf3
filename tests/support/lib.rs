//! What the tests share.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cluster;
mod frozen;
mod postgres;
mod program;

pub use cluster::{Answer, ClusterOptions, SECRET, TestCluster};
pub use frozen::Frozen;
pub use postgres::{TestDatabase, TestFolder, TestPostgres, postgres};
pub use program::{Running, output, program, still_running};
