//! The change feed: announced changes, silent ones, and reconnection.

use b3scale::ledger::{Announcements, Change, Ends, Feed, Places, Polls};
use b3scale_support::TestDatabase;
use std::time::Duration;
use tokio::time::timeout;

use crate::fixture::{Fixture, SERVER, born, new_backend, new_frontend};
use crate::polls::answered;

async fn next(feed: &mut Feed) -> Change {
    let change = timeout(Duration::from_secs(20), feed.recv()).await;
    change.expect("a change is announced").expect("the feed goes on")
}

/// Everything that was announced before this call.
async fn announced(cluster: &Fixture, feed: &mut Feed) -> Vec<Change> {
    cluster.database.execute("SELECT pg_notify('b3scale', 'frontend:00000000-0000-0000-0000-000000000000')").await;
    let mark = Change::Frontend(b3scale_middleware::cluster::FrontendId(uuid::Uuid::nil()));
    let mut changes = Vec::new();
    loop {
        match next(feed).await {
            change if change == mark => return changes,
            change => changes.push(change),
        }
    }
}

#[tokio::test]
async fn listening_begins_with_a_full_load() {
    let database = TestDatabase::new().await;
    let mut feed = database.store().feed();
    assert_eq!(next(&mut feed).await, Change::Reconnected);
}

#[tokio::test]
async fn frontends_and_backends_are_announced_also_from_plain_sql() {
    let cluster = Fixture::new().await;
    let mut feed = cluster.store.feed();
    assert_eq!(next(&mut feed).await, Change::Reconnected);
    let frontend = cluster.store.frontends().record(&new_frontend("other")).await.unwrap().id;
    let backend = cluster.store.backends().record(&new_backend("http://c.example/")).await.unwrap().id;
    cluster.database.execute("UPDATE frontends SET active = false WHERE key = 'other'").await;
    cluster.database.execute("DELETE FROM backends WHERE url = 'http://c.example/'").await;
    assert_eq!(
        announced(&cluster, &mut feed).await,
        [Change::Frontend(frontend), Change::Backend(backend), Change::Frontend(frontend), Change::Backend(backend),]
    );
}

#[tokio::test]
async fn meetings_are_announced_when_routing_changes_and_not_for_results() {
    let cluster = Fixture::new().await;
    let mut feed = cluster.store.feed();
    assert_eq!(next(&mut feed).await, Change::Reconnected);

    let held = cluster.won("algebra").await;
    let once = [Change::Meeting(held.id.clone())];
    assert_eq!(announced(&cluster, &mut feed).await, once, "claimed");
    cluster.claim("algebra", cluster.b).await;
    assert_eq!(announced(&cluster, &mut feed).await, [], "taken");
    let moved = cluster.moved(&held, cluster.b, false).await.unwrap();
    assert_eq!(announced(&cluster, &mut feed).await, once, "moved");
    let live = cluster.store.record_live(&moved, &born("internal", 1)).await.unwrap().unwrap();
    assert_eq!(announced(&cluster, &mut feed).await, [], "live");
    let ending = cluster.store.record_ending(&live).await.unwrap().unwrap();
    assert_eq!(announced(&cluster, &mut feed).await, [], "ending");
    cluster.store.forget_meeting(&ending).await.unwrap();
    assert_eq!(announced(&cluster, &mut feed).await, once, "gone");
    let held = cluster.won("algebra").await;
    cluster.released(&held, false).await;
    assert_eq!(announced(&cluster, &mut feed).await, [once.clone(), once].concat(), "claimed and released");
}

#[tokio::test]
async fn the_moving_figures_are_not_announced() {
    let cluster = Fixture::new().await;
    let mut feed = cluster.store.feed();
    assert_eq!(next(&mut feed).await, Change::Reconnected);
    let poll = cluster.store.take_polls(1, Duration::from_secs(60), SERVER).await.unwrap().remove(0);
    cluster.store.record_poll(&poll, &answered(&poll)).await.unwrap().expect("it is ours");
    cluster.store.record_heartbeat(cluster.a, Some((0.5, 0.5))).await.unwrap();
    assert_eq!(announced(&cluster, &mut feed).await, []);
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_and_everything_is_to_be_loaded() {
    let cluster = Fixture::new().await;
    let mut feed = cluster.store.feed();
    assert_eq!(next(&mut feed).await, Change::Reconnected);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query = 'LISTEN b3scale'";
    cluster.database.execute(cut).await;
    assert_eq!(next(&mut feed).await, Change::Reconnected);
    let held = cluster.won("algebra").await;
    assert_eq!(next(&mut feed).await, Change::Meeting(held.id));
}

#[tokio::test]
async fn announcements_of_newer_versions_are_passed_over() {
    let cluster = Fixture::new().await;
    let mut feed = cluster.store.feed();
    assert_eq!(next(&mut feed).await, Change::Reconnected);
    let server = uuid::Uuid::from_u128(7);
    cluster.store.echo(server).await.unwrap();
    assert_eq!(next(&mut feed).await, Change::Echo(server));
    for payload in ["", "pipeline", "gathering:x", "frontend:not-an-id"] {
        cluster.database.execute(&format!("SELECT pg_notify('b3scale', '{payload}')")).await;
    }
    assert_eq!(announced(&cluster, &mut feed).await, []);
}
