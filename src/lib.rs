//! b3scale.

pub mod server;
pub mod upstream;
