//! A database with a frontend, two backends, and short forms of the tests' steps.

use std::sync::Arc;

use b3scale::ledger::{Copies, Lookups, NewServer, Places, Release, Servers, Ticket};
use b3scale::store::Store;
use b3scale_middleware::bbb::{MeetingId, ScopedId, Secret};
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{
    Backend, BackendId, Claim, Frontend, FrontendId, Meeting, Move, NewMeeting, Secrets, Size,
};
use b3scale_middleware::ports::Born;
use b3scale_support::TestDatabase;
use uuid::Uuid;

/// The server that makes the claims of the tests. It has never said that it is there.
pub(crate) const SERVER: Uuid = Uuid::from_u128(1);

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
        let frontend = store.frontends().record(&new_frontend("school")).await.expect("a frontend").id;
        let a = store.backends().record(&new_backend("https://a.example/api/")).await.expect("a backend").id;
        let b = store.backends().record(&new_backend("https://b.example/api/")).await.expect("a backend").id;
        Self { database, store, frontend, a, b }
    }

    pub(crate) async fn claim(&self, name: &str, backend: BackendId) -> Claim {
        self.claim_for(SERVER, name, backend).await
    }

    /// The same by another server.
    pub(crate) async fn claim_for(&self, server: Uuid, name: &str, backend: BackendId) -> Claim {
        let (id, meeting_id) = (scoped(name), MeetingId::new(name));
        let claim = self.store.claim_meeting(self.new_meeting(&id, &meeting_id, backend), ticket(server)).await;
        claim.expect("the claim is answered")
    }

    /// A meeting of the frontend that is to get its place on `backend`.
    pub(crate) fn new_meeting<'a>(
        &self,
        id: &'a ScopedId,
        meeting_id: &'a MeetingId,
        backend: BackendId,
    ) -> NewMeeting<'a> {
        NewMeeting { id, meeting_id, frontend: self.frontend, backend, size: Size::default() }
    }

    /// A claim that is moved. `None`: it could not be.
    pub(crate) async fn moved(&self, held: &Meeting, to: BackendId, sent: bool) -> Option<Meeting> {
        match self.store.move_claim(held, to, sent).await.expect("the move is answered") {
            Move::Moved(moved) => Some(Arc::unwrap_or_clone(moved)),
            Move::Barred | Move::NotOurs => None,
        }
    }

    /// Gives a claim up. `false`: it was not ours any more.
    pub(crate) async fn released(&self, held: &Meeting, sent: bool) -> bool {
        self.store.release_claim(held, sent).await.expect("the release is answered") != Release::NotOurs
    }

    /// A claim that is won, on backend a.
    pub(crate) async fn won(&self, name: &str) -> Meeting {
        match self.claim(name, self.a).await {
            Claim::Won(meeting) => Arc::unwrap_or_clone(meeting),
            lost => panic!("{name} is not ours to create: {lost:?}"),
        }
    }

    /// A meeting that runs on backend a.
    pub(crate) async fn live(&self, name: &str) -> Meeting {
        let held = self.won(name).await;
        let live = self.store.record_live(&held, &born(&format!("internal-{name}"), 1_700_000_000_000)).await;
        live.expect("the record is answered").expect("the claim is ours")
    }

    /// A server that is there, and has been for a while.
    pub(crate) async fn server(&self, number: u128) -> Uuid {
        let id = Uuid::from_u128(number);
        let text = String::new;
        let address = "0.0.0.0:42353".to_owned();
        let server = NewServer { id, host: id.to_string(), address, version: text(), pipeline_hash: text() };
        self.store.beat(&server).await.expect("it is noted");
        self.database.execute("UPDATE servers SET steady_since = now() - interval '1 minute'").await;
        id
    }

    /// A server is lost.
    pub(crate) async fn lose(&self, server: Uuid) {
        let silence = format!("UPDATE servers SET beat = now() - interval '9 seconds' WHERE id = '{server}'");
        self.database.execute(&silence).await;
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

/// A node's answer to a create.
pub(crate) fn born(internal_id: &str, create_time: i64) -> Born {
    Born { internal_id: internal_id.to_owned(), create_time, entry: None, callbacks: Vec::new() }
}

/// A claim's identity.
pub(crate) fn ticket(server: Uuid) -> Ticket {
    Ticket::draw(server, &Chance::of_system())
}

pub(crate) fn scoped(name: &str) -> ScopedId {
    ScopedId::new("school", &MeetingId::new(name))
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text).expect("it is not empty")
}

pub(crate) fn new_frontend(key: &str) -> Frontend {
    Frontend::new(Uuid::now_v7(), key, Secrets::new(secret("s3cret"), None))
}

pub(crate) fn new_backend(url: &str) -> Backend {
    Backend { tags: ["eu"].iter().collect(), ..Backend::new(Uuid::now_v7(), url, secret("n0de")) }
}
