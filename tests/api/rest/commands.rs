//! Commands by the REST API.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_support::{TestCluster, eventually};
use http::StatusCode;
use serde_json::{Value, json};

use super::{has_keys, message, validation};

/// Requests a command, and returns its outcome.
async fn done(cluster: &TestCluster, body: Value) -> Value {
    let answer = cluster.operator().post("/commands", &body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    let command = answer.json();
    let known =
        ["id", "seq", "state", "action", "params", "result", "deadline", "started_at", "stopped_at", "created_at"];
    has_keys(&command, &known);
    let path = format!("/commands/{}", command["id"].as_str().unwrap());
    let is_done = async || !cluster.operator().fetch(&path).await.granted()["result"].is_null();
    eventually("the command is done", is_done).await;
    cluster.operator().fetch(&path).await.granted()
}

#[tokio::test]
async fn all_meetings_of_a_backend_are_ended() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let home = cluster.homes("Lesson")[0];
    let body = json!({"action": "end_all_meetings", "params": {"BackendID": cluster.backends[home].id}});
    let command = done(&cluster, body).await;
    assert_eq!((&command["state"], &command["result"]), (&json!("success"), &json!(true)));
    assert!(command["started_at"].is_string() && command["stopped_at"].is_string());
    cluster.until_node(home, "nothing runs there", |node| node.meetings().is_empty()).await;
    let list = cluster.operator().fetch("/commands").await.granted();
    assert_eq!(list[0]["id"], command["id"]);
}

#[tokio::test]
async fn one_meeting_is_ended_and_an_unknown_one_is_not() {
    let cluster = TestCluster::start().await;
    for id in ["m1", "m2"] {
        cluster.call(CallKind::Create, &format!("name={id}&meetingID={id}")).await.success();
    }
    let (home, id) = (cluster.homes("m1")[0], ScopedId::new("school", &MeetingId::new("m1")));
    let command = done(&cluster, json!({"action": "end_meeting", "params": {"ID": id}})).await;
    assert_eq!(command["state"], "success");
    cluster.until_node(home, "it has ended", |node| node.meetings().iter().all(|meeting| meeting.name != "m1")).await;
    assert_eq!(cluster.homes("m2").len(), 1);
    let command = done(&cluster, json!({"action": "end_meeting", "params": {"ID": "unknown"}})).await;
    assert_eq!((&command["state"], &command["result"]), (&json!("error"), &json!("there is no meeting unknown")));
}

/// The original has a word for it and never says it.
#[tokio::test]
async fn a_command_that_is_being_carried_out_is_still_requested() {
    let cluster = TestCluster::start().await;
    let id = uuid::Uuid::now_v7();
    let begun = format!(
        "INSERT INTO commands (id, action, params, state, started_at)
        VALUES ('{id}', 'end_meeting', '{{}}', 'running', now())"
    );
    cluster.database.execute(&begun).await;
    let shown = cluster.operator().fetch(&format!("/commands/{id}")).await.granted();
    assert_eq!((&shown["state"], &shown["result"]), (&json!("requested"), &Value::Null));
    assert!(shown["started_at"].is_string() && shown["stopped_at"].is_null());
    assert_eq!(cluster.operator().fetch("/commands").await.granted()[0], shown);
}

#[tokio::test]
async fn only_what_is_allowed_is_done() {
    let cluster = TestCluster::start().await;
    let refused = validation(&json!({"action": ["this action is not allowed"]}));
    for action in ["collect_garbage", "decommission_backend", "bogus"] {
        let answer = cluster.operator().post("/commands", &json!({"action": action, "params": {"id": "x"}})).await;
        assert_eq!(answer.refused(), (400, &*refused), "{action}");
    }
    let answer = cluster.operator().post("/commands", &json!({"action": "end_meeting"})).await;
    assert_eq!(answer.refused(), (400, &*validation(&json!({"params.ID": ["this field is required"]}))));
}

/// Defect 45 of the original: a command that is not there was a 500.
#[tokio::test]
async fn a_command_that_is_not_there_is_not_found() {
    let cluster = TestCluster::start().await;
    let answer = cluster.operator().fetch("/commands/00000000-0000-0000-0000-000000000000").await;
    assert_eq!(answer.refused(), (404, &*message("Not Found")));
}
