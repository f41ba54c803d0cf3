//! Records that an operator enters: frontends, and nodes as backends.

use b3scale::store::Store;
use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{Backend, Frontend, Secrets, Tags};
use b3scale_node::{Node, NodeOptions};
use uuid::Uuid;

use crate::SECRET;

/// A frontend as tests have them, with nothing set.
pub fn new_frontend(key: &str) -> Frontend {
    Frontend::new(Uuid::now_v7(), key, Secrets::new(Secret::new(SECRET).unwrap(), None))
}

/// Starts a node and records its backend, which is ready.
pub(crate) async fn record_node(store: &Store, options: NodeOptions, tags: Tags) -> (Node, Backend) {
    let node = Node::start(options).await.unwrap();
    let secret = Secret::new(node.secret()).unwrap();
    let backend = Backend { tags, ..Backend::new(Uuid::now_v7(), node.url(), secret) };
    let backend = store.backends().record(&backend).await.unwrap();
    (node, backend)
}
