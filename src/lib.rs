//! The programs around the pipeline: server, store, nodes and demo.

pub mod cluster;
pub mod node;
pub mod pipeline;
pub mod store;
