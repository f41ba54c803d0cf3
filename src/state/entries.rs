//! Frontends and backends as entries of the document.

use b3scale_middleware::bbb::Algorithms;
use b3scale_middleware::cluster::{Backend, Frontend, Tags};
use uuid::Uuid;

use super::{Entry, Kept};
use crate::net::url::base_url;
use crate::rest::{StateBackend, StateFrontend};

impl Entry for StateFrontend {
    type Record = Frontend;
    const WHAT: &'static str = "frontend";

    fn kept(frontend: Frontend) -> Kept<Self> {
        let id = frontend.id.0;
        Kept { id, entry: Self::from(frontend).normal() }
    }

    fn normal(&self) -> Self {
        let named =
            |words: &[String]| words.iter().filter_map(|word| word.parse().ok()).collect::<Algorithms>().names();
        Self {
            checksum_algorithms: self.checksum_algorithms.as_deref().and_then(named),
            settings: self.settings.clone().normal(),
            ..self.clone().trimmed()
        }
    }

    fn moved_onto(self, there: &Self) -> Self {
        Self::moved_onto(self, there)
    }

    fn blank(&self) -> Self {
        Self::new(self.key.clone(), self.secret.clone())
    }

    fn name(&self) -> &str {
        &self.key
    }

    fn id(&self) -> Option<Uuid> {
        self.id
    }

    fn record(&self, id: Uuid, is_kept: bool) -> Result<Frontend, Vec<(String, String)>> {
        Self::record(self, id, is_kept)
    }
}

impl Entry for StateBackend {
    type Record = Backend;
    const WHAT: &'static str = "backend";

    fn kept(backend: Backend) -> Kept<Self> {
        let id = backend.id.0;
        Kept { id, entry: Self::from(backend).normal() }
    }

    fn normal(&self) -> Self {
        let tags = self.tags.iter().collect::<Tags>().normal();
        Self { tags: tags.words().to_vec(), ..self.clone().trimmed() }
    }

    fn moved_onto(self, there: &Self) -> Self {
        Self::moved_onto(self, there)
    }

    fn blank(&self) -> Self {
        Self::new(self.host.clone(), self.secret.clone())
    }

    fn name(&self) -> &str {
        &self.host
    }

    fn id(&self) -> Option<Uuid> {
        self.id
    }

    fn record(&self, id: Uuid, _: bool) -> Result<Backend, Vec<(String, String)>> {
        Self::record(self, id)
    }
}

/// A backend's URL as it is stored. An unusable one stays as it is, and is refused elsewhere.
pub(super) fn host(text: &str) -> String {
    base_url(text).unwrap_or_else(|| text.to_owned())
}
