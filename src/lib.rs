//! The programs around the pipeline: server, store, nodes and demo.

pub mod cluster;
pub mod config;
pub mod demo;
pub mod node;
pub mod pipeline;
pub mod store;
pub mod telemetry;
