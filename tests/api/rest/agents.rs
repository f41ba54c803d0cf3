//! What agents of the original say.

use std::time::Instant;

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_support::{TestCluster, within};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use super::message;

/// A cluster with an agent on its first backend.
async fn with_agent() -> TestCluster {
    let cluster = TestCluster::start().await;
    let id = cluster.backends[0].id;
    cluster.database.execute(&format!("UPDATE backends SET agent_ref = 'node-1' WHERE id = '{id}'")).await;
    cluster
}

/// The same, and only the first node takes meetings.
async fn with_one_node_in_use() -> TestCluster {
    let cluster = with_agent().await;
    let other = cluster.backends[1].id;
    cluster.operator().patch(&format!("/backends/{other}"), &json!({"admin_state": "stopped"})).await.granted();
    let stopped = || cluster.cluster.backend(other).unwrap().takes_meetings(Instant::now()).is_err();
    cluster.until("the server knows that it is stopped", stopped).await;
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
    let cluster = with_one_node_in_use().await;
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let internal = created.field("internalMeetingID");
    let agent = cluster.agent("node-1");
    agent.post("/agent/heartbeat", &json!({})).await.granted();
    let id = cluster.operator().fetch("/meetings?all=1").await.granted()[0]["id"].as_str().unwrap().to_owned();
    let said = json!({"internal_meeting_id": internal, "attendee": {"UserID": "u", "InternalUserID": "w_1", "FullName": "Ada"}});
    for payload in [Value::from(STANDARD.encode(said.to_string())), said] {
        cluster.nodes[0].control().join(&id, "Ada", b3scale_node::Role::Viewer).unwrap();
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

/// A batch about the meeting `m1` of the first node.
fn batch(seq: u64, internal_id: &str, snapshot: bool, events: Value) -> Value {
    let mut batch =
        json!({"boot": "00000000-0000-0000-0000-0000000000b0", "seq": seq, "node": {"cpu": 0.1, "memory": 0.2}});
    batch["events"] = events;
    if snapshot {
        let id = ScopedId::new("school", &MeetingId::new("m1"));
        let meeting = json!({"internal_id": internal_id, "id": id, "create_time": 1, "attendees": []});
        batch["snapshot"]["meetings"] = json!([meeting]);
    }
    batch
}

#[tokio::test]
async fn what_an_agent_sends_is_in_every_servers_lists_and_exact() {
    let cluster = with_one_node_in_use().await;
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_origin=test").await.success();
    let internal = created.field("internalMeetingID");
    cluster.cluster.catch_up().await;
    let other = cluster.another_server().await;
    let agent = cluster.agent("node-1");
    let send = async |batch: Value| agent.post("/agent/ingest", &batch).await.granted();
    assert_eq!(send(batch(1, &internal, false, json!([]))).await, json!({"seq": 0, "snapshot": true}));
    let people = json!([
        {"type": "attendee_joined", "meeting": internal, "attendee": {"internal_id": "w_1", "user_id": "ada", "full_name": "Ada & Co", "moderator": true}},
        {"type": "attendee_joined", "meeting": internal, "attendee": {"internal_id": "w_2", "full_name": "Grace", "joined_voice": true}},
    ]);
    for _ in 0..2 {
        assert_eq!(send(batch(2, &internal, true, people.clone())).await, json!({"seq": 2, "snapshot": false}));
    }
    let backend = cluster.backends[0].id;
    for server in [&cluster.cluster, &other] {
        let counted = || server.backend(backend).unwrap().vitals.attendees() == 2;
        within("every server counts them", server.wait_until(counted)).await;
        let school = server.frontend("school").unwrap().id;
        let listed = String::from_utf8(server.listed(school).await.concat()).unwrap();
        for text in [
            "<meetingID>m1</meetingID>",
            "<origin>test</origin>",
            "<participantCount>2</participantCount>",
            "<moderatorCount>1</moderatorCount>",
            "<voiceParticipantCount>1</voiceParticipantCount>",
            "<running>true</running>",
            "<fullName>Ada &amp; Co</fullName>",
            "<userID>w_2</userID>",
        ] {
            assert!(listed.contains(text), "{text}: {listed}");
        }
    }
    let left = json!([{"type": "attendee_left", "meeting": internal, "attendee": "w_1"}]);
    send(batch(3, &internal, false, left)).await;
    for server in [&cluster.cluster, &other] {
        let counted = || server.backend(backend).unwrap().vitals.attendees() == 1;
        within("every server counts them", server.wait_until(counted)).await;
    }
    let meetings = cluster.operator().fetch("/meetings?all=1").await.granted();
    assert_eq!(meetings[0]["meeting"]["Attendees"][0]["FullName"], "Grace");

    let node = cluster.nodes.iter().find(|node| node.meeting(&internal).is_some()).expect("it runs");
    assert!(node.control().expire(&internal));
    send(batch(4, &internal, false, json!([{"type": "meeting_ended", "meeting": internal}]))).await;
    let gone = || other.known(ScopedId::new("school", &MeetingId::new("m1")).as_ref()).is_none();
    within("every server knows that it has ended", other.wait_until(gone)).await;
    other.stop();
}

#[tokio::test]
async fn a_batch_that_cannot_be_used_changes_nothing() {
    let cluster = with_agent().await;
    let agent = cluster.agent("node-1");
    let huge =
        json!({"boot": "00000000-0000-0000-0000-0000000000b0", "seq": 1, "events": [], "pad": "x".repeat(40 << 20)});
    assert_eq!(agent.post("/agent/ingest", &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for body in
        ["", "{", "{}", r#"{"boot": "x", "seq": 1}"#, r#"{"boot":"00000000-0000-0000-0000-0000000000b0","seq":-1}"#]
    {
        let answer = agent.send(http::Method::POST, "/agent/ingest", "application/json", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
    }
    let odd = json!({"boot": "00000000-0000-0000-0000-0000000000b0", "seq": 1, "snapshot": {"meetings": []},
        "events": [{"type": "moon_landing"}], "node": {"cpu": 7.5, "memory": -1.0, "new": true}});
    assert_eq!(agent.post("/agent/ingest", &odd).await.granted(), json!({"seq": 1, "snapshot": false}));
    assert_eq!(cluster.operator().post("/agent/ingest", &odd).await.status, StatusCode::FORBIDDEN);
    let many = batch(2, "internal", false, vec![json!({"type": "moon_landing"}); 10_001].into());
    assert_eq!(agent.post("/agent/ingest", &many).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // A user's odd id does not hide the others.
    let called = json!({"internal_id": "w_1", "full_name": format!("\0{}", "ä".repeat(5000))});
    let joined = json!([{"type": "attendee_joined", "meeting": "internal", "attendee": called}]);
    let taken = agent.post("/agent/ingest", &batch(2, "internal", true, joined)).await.granted();
    assert_eq!(taken, json!({"seq": 2, "snapshot": false}));
    let kept = "SELECT count(*) FROM attendees WHERE full_name = repeat('ä', 1000)";
    assert_eq!(cluster.database.count(kept).await, 1);
}

/// A stolen token says so of every class of its node.
#[tokio::test]
async fn a_meeting_that_an_agent_calls_ended_goes_on_while_its_node_runs_it() {
    let cluster = with_one_node_in_use().await;
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let internal = created.field("internalMeetingID");
    let agent = cluster.agent("node-1");
    let calls = || cluster.nodes.iter().flat_map(b3scale_node::Node::calls);
    let asked = || calls().filter(|call| call.call == "getMeetingInfo").count();
    let before = asked();
    agent.post("/agent/ingest", &batch(1, &internal, true, json!([]))).await.granted();
    agent
        .post("/agent/ingest", &batch(2, &internal, false, json!([{"type": "meeting_ended", "meeting": internal}])))
        .await
        .granted();
    assert!(asked() > before, "its node is asked");
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
    let again = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(again.field("internalMeetingID"), internal);
}
