//! b3scale.
pub mod pipeline;
