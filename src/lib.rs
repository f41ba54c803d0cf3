//! b3scale.

pub mod node;
