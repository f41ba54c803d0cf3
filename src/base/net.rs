//! The network from a client's side: nodes, TLS authorities, causes of errors.

pub mod address;
pub mod causes;
pub mod descriptors;
pub mod nodes;
pub mod tls;
