//! b3scale.

pub mod store;
