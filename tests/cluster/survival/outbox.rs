//! Deliveries while servers are killed.

use std::collections::HashMap;

use b3scale_support::{Heard, Receiver, Servers, ServersOptions, TestDatabase, eventually};

use super::B3SCALED;

const MANY: usize = 300;

/// Queues an end of each of many meetings.
async fn queue(database: &TestDatabase, receiver: &Receiver) {
    let url = receiver.url("/end");
    let made = format!(
        "WITH made AS (
            INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url)
            SELECT 'token-' || number, 'school-' || number, 'internal-' || number, id, 'm' || number, id, 'meta_endCallbackUrl', 'end', '{url}'
            FROM frontends, generate_series(1, {MANY}) AS number RETURNING id)
        INSERT INTO deliveries (callback_id, subject, kind, marks) SELECT id, '', 'end', true FROM made"
    );
    database.execute(&made).await;
}

#[tokio::test]
async fn no_delivery_is_lost_with_its_server_and_repeated_ones_have_the_same_id() {
    let (database, receiver) = (TestDatabase::new().await, Receiver::start().await);
    let environment = vec![("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8".to_owned())];
    let options = ServersOptions { nodes: 1, environment, ..ServersOptions::default() };
    let mut servers = Servers::on(B3SCALED, database.url(), options).await;
    queue(&database, &receiver).await;
    receiver.hears(MANY / 10).await;
    servers.kill(0);
    receiver.hears(MANY / 5).await;
    servers.terminate(1);
    assert!(servers.ended(1).await, "a server that is asked to end lets its tries come to their end");
    let open = "SELECT count(*) FROM deliveries WHERE state <> 'delivered'";
    eventually("all are delivered", async || database.count(open).await == 0).await;

    let mut by_path: HashMap<String, Vec<Heard>> = HashMap::new();
    for heard in receiver.heard() {
        by_path.entry(heard.path().to_owned()).or_default().push(heard);
    }
    assert_eq!(by_path.len(), MANY);
    let repeated: Vec<_> = by_path.values().filter(|heard| heard.len() > 1).collect();
    for heard in &repeated {
        assert!(heard.iter().all(|one| one.header("Webhook-Id") == heard[0].header("Webhook-Id")));
    }
    assert!(repeated.len() <= 8, "only tries that were under way at the kill are repeated: {}", repeated.len());
}
