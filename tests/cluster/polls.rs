//! Which server polls which node, and how the others follow.

use std::sync::Arc;
use std::time::Duration;

use b3scale::cluster::Cluster;
use b3scale::ledger::{Poll, PollOutcome, Polls};
use b3scale::net::nodes::Patience;
use b3scale::store::Store;
use b3scale::work::Bench;
use b3scale_middleware::chance::Chance;
use b3scale_middleware::cluster::{AdminState, BackendId, Health, NodeState};
use b3scale_middleware::ports::{Directory as _, Nodes};
use b3scale_middleware::{Fault, NodeFailure, NodeRequest, Reply};
use b3scale_support::{eventually, within};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fixture::{Fixture, SERVER};

const MINUTE: Duration = Duration::from_secs(60);

/// The node has answered, without a report that would be news.
pub(crate) fn answered(poll: &Poll) -> PollOutcome<'static> {
    PollOutcome {
        health: poll.health.answered(),
        last_error: None,
        latency: Duration::from_micros(1500),
        attendees: 7,
        report: None,
        next: MINUTE,
    }
}

#[tokio::test]
async fn of_many_servers_one_asks_a_node() {
    let cluster = Fixture::new().await;
    let mut servers = JoinSet::new();
    for _ in 0..20 {
        let store = cluster.store.clone();
        servers.spawn(async move { store.take_polls(10, MINUTE, SERVER).await.unwrap() });
    }
    let taken: Vec<_> = servers.join_all().await.concat();
    assert_eq!(taken.len(), 2, "there are two nodes");
    assert_ne!(taken[0].backend, taken[1].backend);
}

#[tokio::test]
async fn a_node_whose_server_is_lost_is_asked_by_another_and_the_lost_answer_comes_too_late() {
    let cluster = Fixture::new().await;
    let lost = cluster.store.take_polls(1, Duration::ZERO, SERVER).await.unwrap().remove(0);
    let again = cluster.store.take_poll(lost.backend, MINUTE, SERVER).await.unwrap().expect("it is there");
    assert_eq!(cluster.store.record_poll(&lost, &answered(&lost)).await.unwrap(), None);
    assert_eq!(cluster.store.record_poll(&again, &answered(&again)).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_node_that_is_not_enabled_is_asked_only_while_it_has_meetings() {
    let cluster = Fixture::new().await;
    let live = cluster.live("algebra").await;
    for backend in [cluster.a, cluster.b] {
        cluster.store.backends().record_admin_state(backend, AdminState::Init).await.unwrap();
    }
    let taken = cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap();
    assert_eq!(taken.iter().map(|poll| poll.backend).collect::<Vec<_>>(), [live.backend]);
    cluster.store.backends().record_admin_state(cluster.b, AdminState::Ready).await.unwrap();
    let taken = cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap();
    assert_eq!(taken.iter().map(|poll| poll.backend).collect::<Vec<_>>(), [cluster.b], "at once when it is enabled");
}

#[tokio::test]
async fn a_node_that_was_down_and_forgotten_is_up_with_its_first_answer() {
    let cluster = Fixture::new().await;
    let down = Health { state: NodeState::Error, misses: 3, answers: 0, unlisted: 0 };
    let poll = async || cluster.store.take_polls(1, Duration::ZERO, SERVER).await.unwrap().remove(0);
    let first = poll().await;
    let outcome = PollOutcome { health: down, next: Duration::ZERO, ..answered(&first) };
    cluster.store.record_poll(&first, &outcome).await.unwrap().expect("it is ours");
    cluster
        .database
        .execute("UPDATE backend_status SET poll_due = now() - interval '5 seconds' WHERE misses > 0")
        .await;
    assert_eq!(poll().await.health, down);
    let long_ago =
        "UPDATE backend_status SET seen_at = now() - interval '1 minute', poll_due = now() - interval '5 seconds'
        WHERE misses > 0";
    cluster.database.execute(long_ago).await;
    assert_eq!(poll().await.health.answered().state, NodeState::Ready);
}

/// Whether a server may poll the node: it is under no lease.
async fn is_free(cluster: &Fixture, id: BackendId) -> bool {
    let sql =
        format!("SELECT count(*) FROM backend_status WHERE backend_id = '{id}' AND (polled_until > now()) IS NOT TRUE");
    cluster.database.count(&sql).await == 1
}

#[tokio::test]
async fn a_poll_that_could_not_be_made_is_given_back_and_says_nothing_of_the_node() {
    let cluster = Fixture::new().await;
    let take = async || cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().unwrap();
    let first = take().await;
    assert!(!is_free(&cluster, cluster.a).await);
    cluster.store.return_poll(&first).await.unwrap();
    assert!(is_free(&cluster, cluster.a).await);
    let second = take().await;
    assert_eq!(second.health, first.health);
    cluster.store.return_poll(&first).await.unwrap();
    assert!(!is_free(&cluster, cluster.a).await, "another has it by now");
}

/// Nodes that this server cannot ask, for reasons of its own; counted.
struct Unaskable(watch::Sender<usize>);

impl Nodes for Unaskable {
    fn send(&self, request: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        self.0.send_modify(|asked| *asked += 1);
        let failure = NodeFailure::NotAsked("no file descriptor is left");
        ready(Err(Fault::Node { backend: request.backend.id, failure })).boxed()
    }
}

#[tokio::test]
async fn a_server_that_can_ask_no_node_leaves_them_to_the_others_and_as_they_were() {
    let cluster = Fixture::new().await;
    cluster.store.backends().record_admin_state(cluster.b, AdminState::Init).await.unwrap();
    let first = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().unwrap();
    cluster.store.record_poll(&first, &PollOutcome { next: Duration::ZERO, ..answered(&first) }).await.unwrap();
    let nodes = Arc::new(Unaskable(watch::Sender::new(0)));
    let store = Store::connect(cluster.database.url(), 4).await.unwrap();
    let (asked, chance) = (Arc::<Unaskable>::clone(&nodes), Chance::of_system());
    let bench = Bench::new(Arc::new(store.clone()), chance.id());
    let server = Cluster::start(store, asked, Patience::default(), bench, chance).await.unwrap();
    within("it tries", nodes.0.subscribe().wait_for(|asked| *asked > 0)).await.unwrap();
    eventually("the poll is given back", async || is_free(&cluster, cluster.a).await).await;
    assert!(server.backend(cluster.a).unwrap().is_up(), "its silence is ours");
    server.stop();
}

#[tokio::test]
async fn a_suspect_is_asked_at_once() {
    let cluster = Fixture::new().await;
    for poll in cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap() {
        cluster.store.record_poll(&poll, &answered(&poll)).await.unwrap();
    }
    assert_eq!(cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap(), []);
    cluster.store.hasten_poll(cluster.a, Duration::ZERO).await.unwrap();
    assert_eq!(cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap()[0].backend, cluster.a);
}

/// An agent that speaks all the time must not keep its node from being heard.
#[tokio::test]
async fn a_poll_under_way_comes_to_its_end_and_another_follows_soon() {
    let cluster = Fixture::new().await;
    let poll = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().unwrap();
    cluster.store.hasten_poll(cluster.a, Duration::ZERO).await.unwrap();
    let others = cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap();
    assert!(others.iter().all(|other| other.backend != cluster.a), "it is being asked");
    let outcome = PollOutcome { next: MINUTE, ..answered(&poll) };
    assert!(cluster.store.record_poll(&poll, &outcome).await.unwrap().is_some());
    // That answer lacks later events.
    let again =
        async || cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap().iter().any(|one| one.backend == cluster.a);
    eventually("it is asked again", again).await;
}

#[tokio::test]
async fn what_is_seen_is_followed_without_gaps_and_a_report_only_while_it_is_news() {
    let cluster = Fixture::new().await;
    let follow = async |seq| {
        let statuses = cluster.store.statuses_since(&[(cluster.a, seq), (cluster.b, i64::MAX)]).await.unwrap();
        statuses.into_iter().next()
    };
    let first = follow(0).await.expect("a backend has a status from its beginning");
    assert_eq!((first.health, first.seq, &first.report), (Health::default(), 1, &None));
    assert_eq!((first.age, first.agent, follow(1).await), (None, None, None));

    let poll = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().expect("it is there");
    let report = Some((&b"<response/>"[..], &b"digest"[..]));
    let seq = cluster.store.record_poll(&poll, &PollOutcome { report, ..answered(&poll) }).await.unwrap();
    assert_eq!(seq, Some(2), "numbers have no gaps");
    let second = follow(1).await.expect("there is more");
    assert_eq!((second.health.state, second.attendees), (NodeState::Ready, 7));
    assert_eq!((second.report.as_deref(), second.asked_at), (Some(&b"<response/>"[..]), Some(poll.asked_at)));
    assert!(second.age.is_some() && second.latency == Duration::from_micros(1500));

    assert!(cluster.store.record_heartbeat(cluster.a, Some((0.25, 0.5))).await.unwrap().is_some());
    let third = follow(2).await.expect("the agent has spoken");
    let agent = third.agent.expect("there is one");
    assert_eq!((agent.cpu, agent.memory, third.seq, third.report), (0.25, 0.5, 3, None));
    let poll = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().expect("it is there");
    assert_eq!(poll.digest.as_deref(), Some(&b"digest"[..]));
    assert!(follow(1).await.is_some_and(|status| status.report.is_some()), "whoever has not seen it gets it");
}

#[tokio::test]
async fn an_error_keeps_the_time_of_the_last_answer() {
    let cluster = Fixture::new().await;
    let poll = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().expect("it is there");
    let failed = PollOutcome { health: poll.health.missed(), last_error: Some("timeout"), ..answered(&poll) };
    cluster.store.record_poll(&poll, &failed).await.unwrap().expect("it is ours");
    let status = cluster.store.statuses_since(&[]).await.unwrap().into_iter().find(|one| one.backend == cluster.a);
    let status = status.expect("it is there");
    assert_eq!((status.age, status.health.state), (None, NodeState::Error));
    assert_eq!(status.last_error.as_deref(), Some("timeout"));
}

/// A status seen at another address says nothing about the new one.
#[tokio::test]
async fn a_backend_that_moves_to_another_node_starts_anew() {
    let cluster = Fixture::new().await;
    let old = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().expect("it is there");
    let report = Some((&b"<response/>"[..], &b"digest"[..]));
    cluster.store.record_poll(&old, &PollOutcome { report, ..answered(&old) }).await.unwrap().expect("it is ours");
    let under_way = cluster.store.take_poll(cluster.a, MINUTE, SERVER).await.unwrap().expect("it is there");
    cluster.database.execute("UPDATE backends SET url = 'https://new.example/' WHERE url LIKE '%/a.%'").await;
    assert_eq!(cluster.store.record_poll(&under_way, &answered(&under_way)).await.unwrap(), None);
    let status = cluster.store.statuses_since(&[(cluster.b, i64::MAX)]).await.unwrap().remove(0);
    assert_eq!((status.health, status.report.as_deref()), (Health::default(), Some(&b""[..])), "the report is void");
    assert!(cluster.store.take_polls(10, MINUTE, SERVER).await.unwrap().iter().any(|poll| poll.backend == cluster.a));
}
