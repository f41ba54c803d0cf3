//! The programs around the pipeline: server, store, nodes and demo.

pub mod pipeline;
pub mod store;
