//! b3scale.

pub mod upstream;
