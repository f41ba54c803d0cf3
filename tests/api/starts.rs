//! A server that has started places meetings: it checks the nodes' health before it is ready.

use std::time::Instant;

use b3scale::cluster::Cluster;
use b3scale_middleware::cluster::{AdminState, NodeState};
use b3scale_middleware::ports::Directory as _;
use b3scale_node::Misbehaviour;
use b3scale_support::{ClusterOptions, TestCluster};

/// A server that starts when the only other one is gone, and the store says so of every node.
async fn start_after(cluster: &TestCluster, status: &str) -> Cluster {
    cluster.cluster.stop();
    cluster.database.execute(&format!("UPDATE backend_status SET {status}")).await;
    cluster.another_server().await
}

/// How many backends take new meetings.
fn taking(server: &Cluster) -> usize {
    server.backends().iter().filter(|backend| backend.takes_meetings(Instant::now()).is_ok()).count()
}

#[tokio::test]
async fn a_node_that_was_down_when_it_was_last_asked_long_ago_is_asked_before_the_start() {
    let cluster = TestCluster::start().await;
    let long_ago =
        "node_state = 'error', misses = 3, answers = 0, seen_at = now() - interval '1 hour', poll_due = now()";
    let server = start_after(&cluster, long_ago).await;
    assert_eq!(taking(&server), 2);
    server.stop();
}

#[tokio::test]
async fn a_node_that_was_up_when_it_was_last_asked_long_ago_is_asked_before_the_start() {
    let cluster = TestCluster::start().await;
    let asked = cluster.nodes[0].calls().len();
    let server = start_after(&cluster, "seen_at = now() - interval '1 hour', poll_due = now()").await;
    assert!(cluster.nodes[0].calls().len() > asked);
    assert_eq!(taking(&server), 2);
    server.stop();
}

#[tokio::test]
async fn a_node_that_a_killed_server_was_asking_is_asked_before_the_start() {
    let cluster = TestCluster::start().await;
    let under_way = "node_state = 'init', misses = 0, answers = 0, poll_due = now() + interval '1 hour',
        polled_until = now() + interval '1 hour', polled_by = gen_random_uuid()";
    let server = start_after(&cluster, under_way).await;
    assert_eq!(taking(&server), 2);
    server.stop();
}

#[tokio::test]
async fn a_node_that_hangs_keeps_no_server_from_starting() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 100, ..Default::default() }).await;
    cluster.nodes[70].misbehave(Misbehaviour::Stall);
    let server = start_after(&cluster, "node_state = 'init', misses = 0, answers = 0, poll_due = now()").await;
    assert_eq!(taking(&server), 99);
    server.stop();
}

#[tokio::test]
async fn a_backend_that_is_enabled_later_is_asked_then() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..Default::default() }).await;
    let id = cluster.backends[0].id;
    cluster.database.store().backends().record_admin_state(id, AdminState::Init).await.unwrap();
    let server = start_after(&cluster, "node_state = 'init', misses = 0, answers = 0, seq = seq + 1").await;
    assert_eq!(server.backend(id).unwrap().vitals.health().state, NodeState::Init, "nobody has enabled it");
    cluster.database.store().backends().record_admin_state(id, AdminState::Ready).await.unwrap();
    server.wait_until(|| taking(&server) == 1).await;
    server.stop();
}
