//! Deliveries while servers are killed.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use b3scale_support::{Heard, Reaction, Receiver, Servers, ServersOptions, TestDatabase, eventually};
use tokio::sync::oneshot;

use super::B3SCALED;

const MANY: usize = 300;

/// Queues ends of meetings with these numbers.
async fn queue(database: &TestDatabase, receiver: &Receiver, numbers: RangeInclusive<usize>) {
    let (url, first, last) = (receiver.url("/end"), numbers.start(), numbers.end());
    let made = format!(
        "WITH made AS (
            INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url)
            SELECT 'token-' || number, 'school-' || number, 'internal-' || number, id, 'm' || number, id, 'meta_endCallbackUrl', 'end', '{url}'
            FROM frontends, generate_series({first}, {last}) AS number RETURNING id)
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
    queue(&database, &receiver, 1..=MANY).await;
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

#[tokio::test]
async fn a_server_that_stops_lets_its_try_end_and_begins_no_other() {
    let (tell, told) = oneshot::channel();
    let (database, receiver) = (TestDatabase::new().await, Receiver::reacting([Reaction::Told(told)]).await);
    let environment = vec![("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8".to_owned())];
    let options = ServersOptions { servers: 1, nodes: 1, environment, ..ServersOptions::default() };
    let mut servers = Servers::on(B3SCALED, database.url(), options).await;
    queue(&database, &receiver, 1..=1).await;
    receiver.hears(1).await;
    servers.terminate(0);
    eventually("it takes no more calls", async || servers.fetch(0, "/health/live").await.is_err()).await;
    queue(&database, &receiver, 2..=2).await;
    tell.send(200).expect("the receiver waits");
    assert!(servers.ended(0).await);
    let paths: Vec<_> = receiver.heard().iter().map(|heard| heard.path().to_owned()).collect();
    assert_eq!(paths, ["/end?recordingmarks=true&meetingID=m1"]);
    let as_expected = "SELECT count(*) FROM deliveries JOIN meeting_callbacks AS kept ON kept.id = callback_id
        WHERE state = CASE meeting_id WHEN 'm1' THEN 'delivered' ELSE 'waiting' END";
    assert_eq!(database.count(as_expected).await, 2);
    assert_eq!(database.count("SELECT count(run_by) FROM jobs").await, 0, "another server may go on at once");
}
