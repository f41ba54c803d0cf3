//! The unfinished work of a lost server falls to the others.

use std::sync::Arc;
use std::time::Duration;

use b3scale::ledger::COMMAND_JOB;
use b3scale::ledger::{Places, Polls, Queue, Servers};
use b3scale_middleware::cluster::{Claim, Meeting};
use uuid::Uuid;

use crate::fixture::{Fixture, SERVER};

const MINUTE: Duration = Duration::from_secs(60);

async fn claimed_by(cluster: &Fixture, server: Uuid, name: &str) -> Meeting {
    match cluster.claim_for(server, name, cluster.a).await {
        Claim::Won(claim) => Arc::unwrap_or_clone(claim),
        lost => panic!("{name} is not ours to create: {lost:?}"),
    }
}

#[tokio::test]
async fn the_claims_of_a_lost_server_are_orphans_and_no_others() {
    let cluster = Fixture::new().await;
    let (gone, observer) = (cluster.server(2).await, cluster.server(3).await);
    let left = claimed_by(&cluster, SERVER, "left").await;
    let orphan = claimed_by(&cluster, gone, "orphan").await;
    claimed_by(&cluster, observer, "own").await;
    let orphans = async || {
        let claims = cluster.store.orphaned_claims(observer).await.unwrap();
        claims.into_iter().map(|claim| claim.id).collect::<Vec<_>>()
    };
    assert_eq!(orphans().await, std::slice::from_ref(&left.id), "its server has taken leave");
    cluster.lose(gone).await;
    assert_eq!(orphans().await, [left.id, orphan.id]);
}

/// While the database is away no server can say that it is there.
#[tokio::test]
async fn a_server_that_was_away_itself_judges_nobody_for_a_while() {
    let cluster = Fixture::new().await;
    let (other, observer) = (cluster.server(2).await, cluster.server(3).await);
    claimed_by(&cluster, other, "algebra").await;
    cluster.lose(other).await;
    cluster.lose(observer).await;
    assert_eq!(cluster.store.orphaned_claims(observer).await.unwrap(), [], "the observer is silent, too");
    let row = cluster.store.load_servers().await.unwrap().into_iter().find(|row| row.server.id == observer);
    cluster.store.beat(&row.expect("it is noted").server).await.unwrap();
    assert_eq!(cluster.store.orphaned_claims(observer).await.unwrap(), [], "it has only just come back");
    cluster.server(3).await;
    assert_eq!(cluster.store.orphaned_claims(observer).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_node_that_a_lost_server_was_asking_is_asked_by_another_at_once() {
    let cluster = Fixture::new().await;
    let (gone, heir) = (cluster.server(2).await, cluster.server(3).await);
    let taken = cluster.store.take_polls(10, MINUTE, gone).await.unwrap();
    assert_eq!(cluster.store.take_polls(10, MINUTE, heir).await.unwrap(), []);
    cluster.lose(gone).await;
    assert_eq!(cluster.store.take_polls(10, MINUTE, heir).await.unwrap().len(), taken.len());
}

#[tokio::test]
async fn a_command_that_a_lost_server_was_running_is_taken_by_another_at_once() {
    let cluster = Fixture::new().await;
    let (gone, heir) = (cluster.server(2).await, cluster.server(3).await);
    cluster.store.commands().record("collect_garbage", None).await.unwrap();
    let take = async |server| cluster.store.take_jobs(COMMAND_JOB, 1, MINUTE, server).await.unwrap();
    let taken = take(gone).await.pop().expect("it waits");
    assert_eq!(take(heir).await, []);
    cluster.lose(gone).await;
    let again = take(heir).await.pop().expect("its server is lost");
    assert_eq!(again.id, taken.id);
}
