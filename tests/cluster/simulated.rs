//! Servers on the model of the database, in time that the test sets.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale::cluster::Cluster;
use b3scale::ledger::Servers as _;
use b3scale::ledger::memory::{Model, SimulatedClock};
use b3scale::net::nodes::Patience;
use b3scale::work::Bench;
use b3scale_middleware::NodeRequest;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{
    Backend, BackendId, Claim, Frontend, FrontendId, Meeting, MeetingState, NewMeeting, Secrets, Size,
};
use b3scale_middleware::ports::{Meetings as _, Nodes, Settled};
use b3scale_middleware::{Fault, Reply};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use uuid::Uuid;

use crate::fixture::{born, secret};

const FRONTEND: FrontendId = FrontendId(Uuid::from_u128(1));
const BACKEND: BackendId = BackendId(Uuid::from_u128(2));

/// Nodes that run nothing.
struct Idle;

impl Nodes for Idle {
    fn send(&self, _: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        let empty = "<response><returncode>SUCCESS</returncode><meetings></meetings></response>";
        ready(Ok(Reply::xml(Bytes::from_static(empty.as_bytes())))).boxed()
    }
}

/// A database with a frontend and a backend.
async fn model() -> Model {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let model = Model::new(Arc::new(SimulatedClock::starting_at(start)));
    let frontend = Frontend::new(FRONTEND.0, "school", Secrets::new(secret("s3cret"), None));
    let backend = Backend::new(BACKEND.0, "https://a.example/api/", secret("n0de"));
    model.put_frontend(frontend).await.expect("the model has no trouble");
    model.put_backend(backend).await.expect("the model has no trouble");
    model
}

async fn server(model: &Model, seed: u64) -> Cluster {
    let chance = Chance::seeded(seed);
    let bench = Bench::new(Arc::new(model.clone()), chance.id());
    let started = Cluster::start(model.clone(), Arc::new(Idle), Patience::default(), bench, chance).await;
    started.expect("the model can be read")
}

/// The claim of the one meeting.
async fn won(server: &Cluster) -> Arc<Meeting> {
    let (id, meeting_id) = (ScopedId::verbatim("school-algebra"), MeetingId::new("algebra"));
    let size = Size::default();
    let new = NewMeeting { id: &id, meeting_id: &meeting_id, frontend: FRONTEND, backend: BACKEND, size };
    let Claim::Won(held) = server.claim(new).await.expect("the claim is answered") else {
        panic!("it has no other place")
    };
    held
}

#[tokio::test(start_paused = true)]
async fn servers_on_the_model_hear_of_each_other_and_inherit_the_claim_of_a_lost_one() {
    let model = model().await;
    let (first, second) = (server(&model, 0x51).await, server(&model, 0x52).await);
    let (id, meeting_id) = (ScopedId::verbatim("school-algebra"), MeetingId::new("algebra"));
    let size = Size::default();
    let new = NewMeeting { id: &id, meeting_id: &meeting_id, frontend: FRONTEND, backend: BACKEND, size };
    let Claim::Won(held) = first.claim(new).await.unwrap() else { panic!("it has no other place") };
    second.wait_until(|| second.known(id.as_ref()).is_some()).await;
    // It is lost with its claim. A create that waits at the other server gets the meeting some seconds later.
    first.stop();
    drop(first);
    let Settled::Inherited(inherited) = second.settled(&held).await.unwrap() else { panic!("its server is lost") };
    assert_eq!((inherited.attempt, inherited.state), (2, MeetingState::Claimed));
    assert!(second.record_live(&inherited, born("internal", 1)).await.unwrap());
    let servers = model.load_servers().await.unwrap();
    let there: Vec<_> = servers.iter().map(|row| (row.server.id, row.alive)).collect();
    assert_eq!(there, [(second.server_id(), true)]);
    second.stop();
}

#[tokio::test(start_paused = true)]
async fn a_server_draws_the_same_ids_from_the_same_seed() {
    let mut drawn = Vec::new();
    for seed in [7, 7, 8] {
        let server = server(&model().await, seed).await;
        drawn.push((server.server_id(), won(&server).await.claim));
        server.stop();
    }
    assert_eq!(drawn[0], drawn[1]);
    assert_ne!(drawn[0], drawn[2]);
}
