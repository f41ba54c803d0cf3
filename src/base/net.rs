//! The network from a client's side: nodes, addresses of tenants, TLS authorities, causes of errors.

pub mod address;
pub mod causes;
pub mod descriptors;
pub mod egress;
pub mod nodes;
pub mod tls;
pub mod url;
