//! Records that an operator enters: frontends, and nodes as backends.

use b3scale::store::{NewBackend, NewFrontend, Store};
use b3scale_middleware::bbb::{Algorithms, Secret};
use b3scale_middleware::cluster::{AdminState, Backend, FrontendSettings, Tags};
use b3scale_node::{Node, NodeOptions};

use crate::SECRET;

/// A frontend as tests have them, with nothing set.
pub fn new_frontend(key: &str) -> NewFrontend {
    NewFrontend {
        key: key.to_owned(),
        secret: Secret::new(SECRET).unwrap(),
        next_secret: None,
        algorithms: Algorithms::default(),
        active: true,
        settings: FrontendSettings::default(),
        account_ref: None,
    }
}

/// Starts a node and records its backend, which is ready.
pub(crate) async fn record_node(store: &Store, options: NodeOptions, tags: Tags) -> (Node, Backend) {
    let node = Node::start(options).await.unwrap();
    let backend = NewBackend {
        url: node.url(),
        secret: Secret::new(node.secret()).unwrap(),
        algorithm: None,
        tags,
        load_factor: 1.0,
        admin_state: AdminState::Ready,
        agent_ref: None,
    };
    let backend = store.record_backend(&backend).await.unwrap();
    (node, backend)
}
