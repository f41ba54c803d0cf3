//! The network as clients see it: the nodes, whom TLS trusts, what an error is made of.

pub mod address;
pub mod causes;
pub mod descriptors;
pub mod nodes;
pub mod tls;
