//! The table of servers: which are listed, and which row a start reuses.

use b3scale::ledger::{NewServer, Roster as _, Servers};
use b3scale::store::Store;
use b3scale_support::TestDatabase;
use uuid::Uuid;

/// A start of a server.
fn server(number: u128, host: &str, address: &str) -> NewServer {
    NewServer {
        id: Uuid::from_u128(number),
        host: host.to_owned(),
        address: address.to_owned(),
        version: "1".to_owned(),
        pipeline_hash: String::new(),
    }
}

/// The numbers of the starts that are listed, each with whether it is alive.
async fn listed(store: &Store) -> Vec<(u128, bool)> {
    let rows = store.load_servers().await.expect("they can be read");
    rows.iter().map(|row| (row.server.id.as_u128(), row.alive)).collect()
}

async fn silence(database: &TestDatabase, seconds: u32) {
    database.execute(&format!("UPDATE servers SET beat = now() - interval '{seconds} seconds'")).await;
}

#[tokio::test]
async fn a_server_that_never_listened_is_never_listed_as_lost() {
    let database = TestDatabase::new().await;
    let store = database.store();
    for start in 1..=20 {
        store.beat(&server(start, "one", "")).await.unwrap();
    }
    assert_eq!(listed(store).await.len(), 20, "they start");
    silence(&database, 9).await;
    assert_eq!(listed(store).await, []);
    store.collect_garbage().await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM servers").await, 0);
}

#[tokio::test]
async fn a_server_that_listened_and_fell_silent_is_lost() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.beat(&server(1, "one", "")).await.unwrap();
    store.beat(&server(1, "one", "0.0.0.0:42353")).await.unwrap();
    silence(&database, 9).await;
    store.collect_garbage().await.unwrap();
    assert_eq!(listed(store).await, [(1, false)]);
}

/// It is not taken away at once, for others would finish creates that are still under way there.
#[tokio::test]
async fn a_restart_hides_the_start_before_it_and_takes_its_row_once_that_is_lost() {
    let database = TestDatabase::new().await;
    let store = database.store();
    let rows = async || database.count("SELECT count(*) FROM servers").await;
    store.beat(&server(1, "one", "0.0.0.0:42353")).await.unwrap();
    store.beat(&server(2, "one", "")).await.unwrap();
    assert_eq!(listed(store).await, [(1, true), (2, true)], "the first one may still be ending");
    store.beat(&server(2, "one", "0.0.0.0:42353")).await.unwrap();
    assert_eq!((listed(store).await, rows().await), (vec![(2, true)], 2));
    silence(&database, 9).await;
    store.beat(&server(2, "one", "0.0.0.0:42353")).await.unwrap();
    assert_eq!(rows().await, 2, "the database may have been away, and the first one could not beat");
    database.execute("UPDATE servers SET steady_since = now() - interval '6 seconds'").await;
    store.beat(&server(2, "one", "0.0.0.0:42353")).await.unwrap();
    assert_eq!((listed(store).await, rows().await), (vec![(2, true)], 1));
}

/// Containers may all have one name. Until a server is lost, others finish nothing of it.
#[tokio::test]
async fn a_server_that_runs_keeps_its_row_when_another_of_its_name_starts() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.beat(&server(1, "one", "0.0.0.0:42353")).await.unwrap();
    store.beat(&server(2, "one", "")).await.unwrap();
    store.beat(&server(2, "one", "0.0.0.0:42353")).await.unwrap();
    let lost = format!("SELECT count(*) FROM servers WHERE is_lost('{}', NULL)", Uuid::from_u128(1));
    assert_eq!(database.count(&lost).await, 0);
    store.beat(&server(1, "one", "0.0.0.0:42353")).await.unwrap();
    assert_eq!(listed(store).await, [(1, true), (2, true)]);
}

#[tokio::test]
async fn servers_of_two_machines_at_one_address_are_two_servers() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.beat(&server(1, "one", "127.0.0.1:42353")).await.unwrap();
    silence(&database, 9).await;
    store.beat(&server(2, "two", "127.0.0.1:42353")).await.unwrap();
    assert_eq!(listed(store).await, [(1, false), (2, true)]);
}
