//! Putting the callbacks of a server together: their addresses, and the site that nodes call.

use std::net::SocketAddr;
use std::sync::Arc;

use b3scale_middleware::chance::Chance;
use b3scale_middleware::ports;
use url::Url;

use crate::callbacks::{CallbackParts, CallbackSite, MissedEnds, Registrar};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::site::Site;
use crate::store::Store;
use crate::work::Bench;

/// The callbacks of a server.
pub(super) struct Callbacks {
    registrar: Arc<Registrar>,
    /// The site that nodes call.
    pub(super) site: Arc<dyn Site>,
}

impl Callbacks {
    /// Begins to take callbacks in. `imports`: this server imports recordings.
    pub(super) fn open(
        config: &Config,
        store: &Store,
        cluster: &Cluster,
        bench: &Bench,
        secret: &str,
        imports: bool,
    ) -> Self {
        bench.duty(MissedEnds(store.clone()));
        let site = CallbackSite::new(CallbackParts {
            store: store.clone(),
            nodes: Arc::new(cluster.clone()),
            secret: secret.to_owned(),
            imports,
            waker: bench.waker(),
            budget: config.upstream.budget.clone(),
        });
        Self { registrar: Arc::new(Registrar::new(secret, Chance::of_system())), site: Arc::new(site) }
    }

    /// Their port.
    pub(super) fn port(&self) -> Arc<dyn ports::Callbacks> {
        Arc::<Registrar>::clone(&self.registrar)
    }

    /// Settles where nodes reach this cluster: at its URL, else at the address where this server listens.
    pub(super) fn settle(&self, config: &Config, listen: SocketAddr) {
        let url = config.recordings.api_url.as_ref().map_or_else(
            || {
                tracing::warn!(%listen, "Nodes call the address of this server: B3SCALE_API_URL is not set");
                format!("http://{listen}")
            },
            Url::to_string,
        );
        self.registrar.settle(&url);
    }
}
