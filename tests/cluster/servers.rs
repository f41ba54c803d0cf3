//! The table of servers: which are listed, and whose row a start takes.

use std::time::Duration;

use b3scale::store::{NewServer, Store};
use b3scale_support::TestDatabase;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);

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
        store.beat(&server(start, "one", ""), Duration::ZERO).await.unwrap();
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
    store.beat(&server(1, "one", ""), Duration::ZERO).await.unwrap();
    store.beat(&server(1, "one", "0.0.0.0:42353"), Duration::ZERO).await.unwrap();
    silence(&database, 9).await;
    store.collect_garbage().await.unwrap();
    assert_eq!(listed(store).await, [(1, false)]);
}

#[tokio::test]
async fn a_restart_takes_the_row_of_the_start_before_it() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.beat(&server(1, "one", "0.0.0.0:42353"), HOUR).await.unwrap();
    store.beat(&server(2, "one", ""), Duration::ZERO).await.unwrap();
    assert_eq!(listed(store).await, [(1, true), (2, true)], "the first one may still be ending");
    store.beat(&server(2, "one", "0.0.0.0:42353"), Duration::ZERO).await.unwrap();
    assert_eq!(listed(store).await, [(2, true)]);
}

#[tokio::test]
async fn a_restart_takes_the_row_later_if_it_could_not_at_first() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.beat(&server(1, "one", "0.0.0.0:42353"), HOUR).await.unwrap();
    silence(&database, 9).await;
    store.beat(&server(2, "one", "0.0.0.0:42353"), HOUR).await.unwrap();
    assert_eq!(listed(store).await, [(2, true)]);
}

#[tokio::test]
async fn servers_of_two_machines_at_one_address_are_two_servers() {
    let database = TestDatabase::new().await;
    let store = database.store();
    store.beat(&server(1, "one", "127.0.0.1:42353"), HOUR).await.unwrap();
    silence(&database, 9).await;
    store.beat(&server(2, "two", "127.0.0.1:42353"), HOUR).await.unwrap();
    assert_eq!(listed(store).await, [(1, false), (2, true)]);
}

/// Containers may all have one name. Then a beat does not take away the row of a server that runs.
#[tokio::test]
async fn a_server_that_beats_keeps_its_row_whatever_its_name() {
    let database = TestDatabase::new().await;
    let store = database.store();
    for _ in 0..2 {
        store.beat(&server(1, "one", "0.0.0.0:42353"), HOUR).await.unwrap();
        store.beat(&server(2, "one", "0.0.0.0:42353"), HOUR).await.unwrap();
    }
    assert_eq!(listed(store).await, [(1, true), (2, true)]);
}
