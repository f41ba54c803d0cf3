//! The frontends and backends: an immutable snapshot, replaced whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use b3scale_middleware::cluster::{Backend, BackendId, Frontend, FrontendId, PolicyInForce, Vitals};

/// The frontends and backends at one moment.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// For every backend, also for later ones.
    policy: PolicyInForce,
    frontends: BTreeMap<String, Arc<Frontend>>,
    backends: BTreeMap<BackendId, Arc<Backend>>,
    /// The backends once more, in a form that is handed out without copying.
    list: Arc<[Arc<Backend>]>,
}

impl Roster {
    /// The rows of the database, with this server's figures of the backends that it knew.
    pub(crate) fn reloaded(&self, frontends: Vec<Frontend>, backends: Vec<Backend>) -> Self {
        let frontends = frontends.into_iter().map(|frontend| (frontend.key.clone(), Arc::new(frontend))).collect();
        let backends = backends.into_iter().map(|backend| (backend.id, self.adopted(backend))).collect();
        self.replaced(frontends, backends)
    }

    /// With one frontend as it is now. An older row than the one known changes nothing.
    pub(crate) fn with_frontend(&self, id: FrontendId, row: Option<Frontend>) -> Self {
        let mut frontends = self.frontends.clone();
        let known =
            frontends.values().find(|frontend| frontend.id == id).map(|known| (known.key.clone(), known.version));
        let newer = row.as_ref().is_none_or(|row| known.as_ref().is_none_or(|(_, version)| row.version > *version));
        if newer {
            if let Some((key, _)) = known {
                frontends.remove(&key);
            }
            frontends.extend(row.map(|row| (row.key.clone(), Arc::new(row))));
        }
        self.replaced(frontends, self.backends.clone())
    }

    /// With one backend as it is now. An older row than the one known changes nothing.
    pub(crate) fn with_backend(&self, id: BackendId, row: Option<Backend>) -> Self {
        let mut backends = self.backends.clone();
        match row {
            None => {
                backends.remove(&id);
            }
            Some(row) if backends.get(&id).is_some_and(|known| known.version >= row.version) => {}
            Some(row) => {
                backends.insert(id, self.adopted(row));
            }
        }
        self.replaced(self.frontends.clone(), backends)
    }

    pub(crate) fn frontend(&self, key: &str) -> Option<&Arc<Frontend>> {
        self.frontends.get(key)
    }

    pub(crate) fn frontend_of(&self, id: FrontendId) -> Option<&Arc<Frontend>> {
        self.frontends.values().find(|frontend| frontend.id == id)
    }

    pub(crate) fn frontends(&self) -> impl Iterator<Item = &Arc<Frontend>> {
        self.frontends.values()
    }

    pub(crate) fn backend(&self, id: BackendId) -> Option<&Arc<Backend>> {
        self.backends.get(&id)
    }

    pub(crate) fn backends(&self) -> &Arc<[Arc<Backend>]> {
        &self.list
    }

    pub(crate) fn policy(&self) -> &PolicyInForce {
        &self.policy
    }

    fn replaced(
        &self,
        frontends: BTreeMap<String, Arc<Frontend>>,
        backends: BTreeMap<BackendId, Arc<Backend>>,
    ) -> Self {
        let list = backends.values().cloned().collect();
        Self { policy: self.policy.clone(), frontends, backends, list }
    }

    fn adopted(&self, row: Backend) -> Arc<Backend> {
        match self.backends.get(&row.id) {
            Some(known) if known.url == row.url => {
                if known.secret != row.secret {
                    known.vitals.signing.forget();
                }
                Arc::new(Backend { vitals: Arc::clone(&known.vitals), ..row })
            }
            // Figures of another address are not its own.
            Some(_) | None => Arc::new(Backend { vitals: Arc::new(Vitals::under(self.policy.clone())), ..row }),
        }
    }
}
