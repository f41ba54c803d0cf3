//! Events for webhooks while servers are killed.

use std::collections::BTreeMap;

use b3scale_support::{Receiver, Servers, ServersOptions, TestDatabase, eventually};

use super::B3SCALED;

const HOOKS: usize = 20;
const EVENTS: usize = 60;

/// Tells all hooks of as many events, one transaction each.
async fn tell(database: &TestDatabase, from: usize, to: usize) {
    for number in from..=to {
        let told = format!(
            "SELECT tell_hooks(ARRAY[(id, 'user-joined', '', 'm', 'i', {number}, NULL, NULL, NULL)::told_event])
            FROM frontends"
        );
        database.execute(&told).await;
    }
}

#[tokio::test]
async fn no_event_is_lost_with_its_server_and_each_hook_hears_them_in_order() {
    let (database, receiver) = (TestDatabase::new().await, Receiver::start().await);
    let environment = vec![("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8".to_owned())];
    let options = ServersOptions { nodes: 1, environment, ..ServersOptions::default() };
    let mut servers = Servers::on(B3SCALED, database.url(), options).await;
    database.execute("INSERT INTO hook_feeds (frontend_id, last) SELECT id, 0 FROM frontends").await;
    let made = format!(
        "INSERT INTO hooks (id, frontend_id, url, cursor) SELECT 'h' || number, id, '{}' || number, 0
        FROM frontends, generate_series(1, {HOOKS}) AS number",
        receiver.url("/h")
    );
    database.execute(&made).await;
    tell(&database, 1, EVENTS / 3).await;
    receiver.hears(HOOKS).await;
    servers.kill(0);
    tell(&database, EVENTS / 3 + 1, 2 * EVENTS / 3).await;
    receiver.hears(HOOKS * EVENTS / 3).await;
    servers.terminate(1);
    assert!(servers.ended(1).await, "a server that is asked to end lets its posts come to their end");
    tell(&database, 2 * EVENTS / 3 + 1, EVENTS).await;
    let open = format!("SELECT count(*) FROM hooks WHERE cursor < {EVENTS}");
    eventually("all have heard all", async || database.count(&open).await == 0).await;

    let mut by_hook: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for heard in receiver.heard() {
        let hook = heard.path().split('?').next().unwrap().to_owned();
        let seq = heard.header("X-B3scale-Sequence").unwrap().parse().unwrap();
        by_hook.entry(hook).or_default().push((seq, heard.header("Webhook-Id").unwrap().to_owned()));
    }
    assert_eq!(by_hook.len(), HOOKS);
    let mut repeated = 0;
    for (hook, heard) in &mut by_hook {
        let before = heard.len();
        assert!(heard.is_sorted(), "{hook}: {heard:?}");
        heard.dedup();
        let sequence: Vec<_> = heard.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(sequence, (1..=EVENTS as i64).collect::<Vec<_>>(), "{hook}");
        repeated += before - heard.len();
    }
    assert!(repeated <= HOOKS, "only posts that were under way at the kill are repeated: {repeated}");
}
