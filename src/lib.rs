//! The programs around the pipeline: server, store, nodes and demo.

pub mod cluster;
pub mod config;
pub mod node;
pub mod pipeline;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
