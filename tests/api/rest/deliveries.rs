//! Deliveries by the REST API.

use b3scale_support::{ClusterOptions, Reaction, Receiver, TestCluster, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{has_keys, message};

const KNOWN: [&str; 15] = [
    "id",
    "kind",
    "state",
    "frontend",
    "meeting_id",
    "scoped_id",
    "record_id",
    "host",
    "attempts",
    "status",
    "problem",
    "created_at",
    "tried_at",
    "next_try",
    "settled_at",
];

/// A cluster that may call the receiver, with an end to be delivered to it.
async fn cluster_of(receiver: &Receiver) -> TestCluster {
    let environment = vec![("B3SCALE_EGRESS_ALLOW", "127.0.0.0/8".to_owned())];
    let cluster = TestCluster::with(ClusterOptions { environment, ..ClusterOptions::default() }).await;
    let url = receiver.url("/meeting_ended?salt=secret");
    let made = format!(
        "WITH made AS (
            INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url)
            SELECT 'token', 'school-lesson', 'internal', id, 'lesson', id, 'meta_endCallbackUrl', 'end', '{url}' FROM frontends
            RETURNING id)
        INSERT INTO deliveries (callback_id, subject, kind, marks) SELECT id, '', 'end', true FROM made"
    );
    cluster.database.execute(&made).await;
    cluster
}

/// The only delivery, once it is in that state.
async fn in_state(cluster: &TestCluster, state: &str) -> Value {
    let list = async || cluster.operator().fetch(&format!("/deliveries?state={state}")).await.granted();
    eventually("it comes to that state", async || list().await.as_array().is_some_and(|list| !list.is_empty())).await;
    list().await[0].clone()
}

#[tokio::test]
async fn a_delivery_that_was_refused_is_shown_and_retried() {
    let receiver = Receiver::reacting([Reaction::Status(410)]).await;
    let cluster = cluster_of(&receiver).await;
    let operator = cluster.operator();
    let refused = in_state(&cluster, "refused").await;
    has_keys(&refused, &KNOWN);
    let said = |delivery: &Value, keys: [&str; 5]| keys.map(|key| delivery[key].clone());
    assert_eq!(
        said(&refused, ["kind", "frontend", "meeting_id", "scoped_id", "host"]),
        [json!("end"), json!("school"), json!("lesson"), json!("school-lesson"), json!("127.0.0.1")]
    );
    assert_eq!(
        said(&refused, ["attempts", "status", "problem", "record_id", "next_try"]),
        [json!(1), json!(410), json!("the receiver answers 410"), Value::Null, Value::Null]
    );
    let id = refused["id"].as_str().expect("an id").to_owned();
    assert_eq!(operator.fetch(&format!("/deliveries/{id}")).await.granted(), refused);
    for (query, count) in [
        ("frontend=school", 1),
        ("frontend=x", 0),
        ("meeting=lesson", 1),
        ("meeting=school-lesson", 1),
        ("state=dead", 0),
    ] {
        let list = operator.fetch(&format!("/deliveries?{query}")).await.granted();
        assert_eq!(list.as_array().map(Vec::len), Some(count), "{query}");
    }
    assert!(!operator.fetch("/deliveries").await.text.contains("salt"), "the URL is a secret of the frontend");

    let retried = operator.post(&format!("/deliveries/{id}/retry"), &json!({})).await.granted();
    assert_eq!((&retried["id"], &retried["attempts"]), (&json!(id), &json!(0)));
    assert_eq!(in_state(&cluster, "delivered").await["status"], 200);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[1].path(), "/meeting_ended?salt=secret&recordingmarks=true&meetingID=lesson");
    assert!(heard.iter().all(|heard| heard.header("Webhook-Id") == Some(&*id)));

    cluster.database.execute("UPDATE deliveries SET kind = 'analytics'").await;
    let emptied = json!({
        "error": "conflict",
        "message": "it is delivered, and its body was removed then: it cannot be sent again",
    });
    let refused = operator.post(&format!("/deliveries/{id}/retry"), &json!({})).await;
    assert_eq!(refused.refused(), (409, &*emptied.to_string()));
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn a_delivery_that_waits_is_dropped_once() {
    let receiver = Receiver::reacting([Reaction::Status(500)]).await;
    let cluster = cluster_of(&receiver).await;
    receiver.hears(1).await;
    let tried = async || in_state(&cluster, "waiting").await;
    eventually("the try has failed", async || tried().await["problem"].is_string()).await;
    let waiting = tried().await;
    assert!(waiting["next_try"].is_string(), "{waiting}");
    let (operator, id) = (cluster.operator(), waiting["id"].as_str().expect("an id").to_owned());
    let dropped = operator.delete(&format!("/deliveries/{id}")).await.granted();
    assert_eq!((&dropped["state"], &dropped["status"]), (&json!("dropped"), &json!(500)));
    let missing = message("Not Found");
    assert_eq!(operator.delete(&format!("/deliveries/{id}")).await.refused(), (404, &*missing));
}

#[tokio::test]
async fn deliveries_are_a_matter_of_operators() {
    let cluster = TestCluster::start().await;
    let (operator, missing) = (cluster.operator(), message("Not Found"));
    assert_eq!(operator.fetch("/deliveries").await.granted(), json!([]));
    assert_eq!(cluster.tool("x", "b3scale:recordings").fetch("/deliveries").await.status, 403);
    let unknown = format!("/deliveries/{}", Uuid::nil());
    assert_eq!(operator.fetch(&unknown).await.refused(), (404, &*missing));
    assert_eq!(operator.delete(&unknown).await.refused(), (404, &*missing));
    assert_eq!(operator.post(&format!("{unknown}/retry"), &json!({})).await.refused(), (404, &*missing));
    assert_eq!(operator.fetch("/deliveries?state=lost").await.status, 400);
}
