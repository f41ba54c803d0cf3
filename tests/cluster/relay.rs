//! The relay of the other tests: it records the traffic, and cuts or stalls it.

use b3scale::ledger::{Announcements, Change, Lookups as _};
use b3scale::store::Store;
use b3scale_support::{Relay, RoundTrip, TestDatabase, new_frontend, within};

async fn relayed(connections: usize) -> (TestDatabase, Relay, Store) {
    let database = TestDatabase::new().await;
    let relay = Relay::start(database.url()).await;
    let store = Store::connect(relay.url(), connections).await.expect("the relay leads to PostgreSQL");
    (database, relay, store)
}

#[tokio::test]
async fn every_round_trip_is_told_with_its_statement() {
    let (_database, relay, store) = relayed(1).await;
    let mark = relay.mark();
    for _ in 0..2 {
        store.load_meetings().await.unwrap();
    }
    let trip = |only_prepares| RoundTrip { sql: "SELECT * FROM meetings".into(), only_prepares };
    assert_eq!(relay.since(mark), [trip(true), trip(false), trip(false)]);
}

#[tokio::test]
async fn through_a_way_that_is_cut_nobody_comes_until_it_is_healed() {
    let (_database, relay, store) = relayed(2).await;
    let mut feed = store.feed();
    assert_eq!(feed.recv().await, Some(Change::Reconnected));
    relay.cut();
    assert!(store.ping().await.expect_err("there is no way").is_away());
    assert!(Store::connect(relay.url(), 1).await.is_err_and(|error| error.is_away()));
    relay.heal();
    store.ping().await.expect("the pool connects anew");
    assert_eq!(within("the feed is back", feed.recv()).await, Some(Change::Reconnected));
}

/// As on a network that comes back: bytes sent meanwhile are not lost.
#[tokio::test]
async fn what_is_sent_on_a_way_that_stalls_arrives_when_it_is_healed() {
    let (database, relay, store) = relayed(1).await;
    store.frontends().record(&new_frontend("early")).await.expect("it flows");
    relay.stall();
    let late = tokio::spawn(async move { store.frontends().record(&new_frontend("late")).await });
    let keys = async || {
        let frontends = database.store().frontends().load().await.expect("this way is another");
        frontends.into_iter().map(|frontend| frontend.key).collect::<Vec<_>>()
    };
    assert_eq!(keys().await, ["early"]);
    assert!(!late.is_finished());
    relay.heal();
    within("the answer", late).await.unwrap().expect("it was only slow");
    assert_eq!(keys().await, ["early", "late"]);
}
