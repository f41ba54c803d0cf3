//! A database with a frontend, two backends, and short ways to say what the tests do.

use b3scale::store::{Claim, NewBackend, NewFrontend, Store};
use b3scale_middleware::bbb::{Algorithms, MeetingId, ScopedId, Secret};
use b3scale_middleware::cluster::{AdminState, BackendId, FrontendId, FrontendSettings, Meeting};
use b3scale_support::TestDatabase;

pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) frontend: FrontendId,
    pub(crate) a: BackendId,
    pub(crate) b: BackendId,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let store = database.store().clone();
        let frontend = store.record_frontend(&new_frontend("school")).await.expect("a frontend").id;
        let a = store.record_backend(&new_backend("https://a.example/api/")).await.expect("a backend").id;
        let b = store.record_backend(&new_backend("https://b.example/api/")).await.expect("a backend").id;
        Self { database, store, frontend, a, b }
    }

    pub(crate) async fn claim(&self, name: &str, backend: BackendId) -> Claim {
        let id = MeetingId::new(name);
        let claim = self.store.claim_meeting(&scoped(name), &id, self.frontend, backend).await;
        claim.expect("the claim is answered")
    }

    /// A claim that is won, on backend a.
    pub(crate) async fn won(&self, name: &str) -> Meeting {
        match self.claim(name, self.a).await {
            Claim::Won(meeting) => meeting,
            lost => panic!("{name} is not ours to create: {lost:?}"),
        }
    }

    /// A meeting that runs on backend a.
    pub(crate) async fn live(&self, name: &str) -> Meeting {
        let held = self.won(name).await;
        let live = self.store.record_live(&held, &format!("internal-{name}"), 1_700_000_000_000).await;
        live.expect("the record is answered").expect("the claim is ours")
    }

    pub(crate) async fn found(&self, name: &str) -> Option<Meeting> {
        self.store.find_meeting(&scoped(name)).await.expect("the look-up is answered")
    }

    /// Ids and backends of the copies that may be ended.
    pub(crate) async fn copies(&self) -> Vec<(ScopedId, BackendId)> {
        let copies = self.store.load_copies().await.expect("the copies are loaded");
        copies.into_iter().map(|copy| (copy.id, copy.backend)).collect()
    }
}

pub(crate) fn scoped(name: &str) -> ScopedId {
    ScopedId::new("school", &MeetingId::new(name))
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text).expect("it is not empty")
}

pub(crate) fn new_frontend(key: &str) -> NewFrontend {
    NewFrontend {
        key: key.to_owned(),
        secret: secret("s3cret"),
        next_secret: None,
        algorithms: Algorithms::default(),
        active: true,
        settings: FrontendSettings::default(),
        account_ref: None,
    }
}

pub(crate) fn new_backend(url: &str) -> NewBackend {
    NewBackend {
        url: url.to_owned(),
        secret: secret("n0de"),
        tags: ["eu"].iter().collect(),
        load_factor: 1.0,
        admin_state: AdminState::Ready,
    }
}
