//! What agents of the original say.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::ports::Directory as _;
use b3scale_support::TestCluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::message;

/// A cluster whose first backend has an agent.
async fn with_agent() -> TestCluster {
    let cluster = TestCluster::start().await;
    let id = cluster.backends[0].id;
    cluster.database.execute(&format!("UPDATE backends SET agent_ref = 'node-1' WHERE id = '{id}'")).await;
    cluster
}

#[tokio::test]
async fn an_agent_finds_its_backend_and_is_heard_of() {
    let cluster = with_agent().await;
    let agent = cluster.agent("node-1");
    assert_eq!(agent.fetch("/agent/backend").await.granted()["id"], json!(cluster.backends[0].id));
    let heartbeat = agent.post("/agent/heartbeat", &json!({"ignored": true})).await.granted();
    assert_eq!(heartbeat["backend_id"], json!(cluster.backends[0].id));
    assert_eq!(agent.fetch("/agent/backend").await.granted()["agent_heartbeat"], heartbeat["heartbeat"]);
    let heard = || cluster.cluster.backend(cluster.backends[0].id).unwrap().vitals.agent().is_some();
    cluster.until("every server hears of it", heard).await;
}

#[tokio::test]
async fn an_agent_without_a_backend_is_told_so() {
    let cluster = TestCluster::start().await;
    let agent = cluster.agent("nobody");
    let not_found = message("Not Found");
    assert_eq!(agent.fetch("/agent/backend").await.refused(), (404, &*not_found));
    assert_eq!(agent.post("/agent/heartbeat", &json!({})).await.refused(), (404, &*not_found));
    let rpc = json!({"action": "meeting_set_running", "payload": "e30="});
    assert_eq!(agent.post("/agent/rpc", &rpc).await.refused(), (403, &*message("Forbidden")));
}

#[tokio::test]
async fn what_has_happened_on_a_node_is_seen_at_once() {
    let cluster = with_agent().await;
    // Only the first node takes meetings.
    cluster
        .operator()
        .patch(&format!("/backends/{}", cluster.backends[1].id), &json!({"admin_state": "stopped"}))
        .await
        .granted();
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let internal = created.field("internalMeetingID");
    let agent = cluster.agent("node-1");
    agent.post("/agent/heartbeat", &json!({})).await.granted();
    let id = cluster.operator().fetch("/meetings?all=1").await.granted()[0]["id"].as_str().unwrap().to_owned();
    let said = json!({"internal_meeting_id": internal, "attendee": {"UserID": "u", "InternalUserID": "w_1", "FullName": "Ada"}});
    for payload in [Value::from(STANDARD.encode(said.to_string())), said] {
        cluster.nodes[0].control().join(&id, "Ada", b3scale::node::Role::Viewer).unwrap();
        let people = cluster.nodes[0].meetings()[0].attendees.len();
        let reply =
            agent.post("/agent/rpc", &json!({"action": "meeting_add_attendee", "payload": payload})).await.granted();
        assert_eq!(reply, json!({"status": "ok", "result": null}));
        let backend = cluster.cluster.backend(cluster.backends[0].id).unwrap();
        cluster.until("people are counted", || backend.vitals.attendees() as usize == people).await;
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_told_in_the_words_of_the_original() {
    let cluster = with_agent().await;
    let agent = cluster.agent("node-1");
    let reply = async |body: Value| agent.post("/agent/rpc", &body).await.granted();
    let error = |text: &str| json!({"status": "error", "result": text});
    assert_eq!(reply(json!({"action": "bogus", "payload": "e30="})).await, error("the requsted RPC action is unknown"));
    assert_eq!(
        reply(json!({"action": "meeting_state_reset", "payload": ""})).await,
        error("unexpected end of JSON input")
    );
    let answer = agent.send(http::Method::POST, "/agent/rpc", "application/json", r#"{"action": 5}"#).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["status"], "error");
    assert!(answer.json()["result"].as_str().unwrap().contains("field=action"), "{answer:?}");
}
