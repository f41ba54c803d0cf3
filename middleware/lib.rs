//! The pipeline.

pub mod bbb;
pub mod cluster;
