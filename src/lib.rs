//! b3scale.
