//! Meetings that run on a node and that no frontend owns: operators see, count and end them, and no tenant does.

use b3scale::ledger::CommandState;
use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::cluster::{AdminState, BackendId};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::{Misbehaviour, Role};
use b3scale_support::{ClusterOptions, Counted, TestCluster, eventually};
use serde_json::{Value, json};

/// A cluster of one node, on which a meeting of no frontend runs with one attendee.
async fn with_stray(id: &str) -> (TestCluster, BackendId) {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.nodes[0].control().create(id);
    cluster.nodes[0].control().join(id, "Ada", Role::Viewer).unwrap();
    cluster.cluster.catch_up().await;
    let backend = cluster.backends[0].id;
    (cluster, backend)
}

async fn listed(cluster: &TestCluster, query: &str) -> Vec<Value> {
    let list = cluster.operator().fetch(&format!("/meetings?{query}")).await.granted();
    list.as_array().unwrap().clone()
}

/// Waits until a command is done, and returns its state and result.
async fn done(cluster: &TestCluster, action: &str, params: Value) -> (CommandState, Value) {
    let store = cluster.database.store();
    let asked = store.commands().record(action, Some(&params)).await.unwrap().id;
    let command = async || store.commands().find(asked).await.unwrap().unwrap();
    eventually("the command is done", async || command().await.result.is_some()).await;
    let command = command().await;
    (command.state, command.result.unwrap())
}

#[tokio::test]
async fn a_meeting_of_no_frontend_is_listed_and_shown_to_operators() {
    let (cluster, backend) = with_stray("theirs").await;
    cluster.call(CallKind::Create, "name=Ours&meetingID=m1").await.success();
    let ours = ScopedId::new("school", &MeetingId::new("m1")).to_string();
    for query in
        [format!("backend_id={backend}"), format!("backend_host={}", cluster.backends[0].url), "all=yes".to_owned()]
    {
        let list = listed(&cluster, &query).await;
        let ids: Vec<&str> = list.iter().map(|meeting| meeting["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [&*ours, "theirs"], "{query}");
    }
    let shown = cluster.operator().fetch("/meetings/theirs").await.granted();
    assert_eq!((&shown["frontend_id"], &shown["state"]), (&Value::Null, &json!("live")));
    assert_eq!((&shown["backend_id"], &shown["frontend_meeting_id"]), (&json!(backend), &json!("theirs")));
    let meeting = &shown["meeting"];
    assert_eq!((&meeting["ParticipantCount"], &meeting["Attendees"][0]["FullName"]), (&json!(1), &json!("Ada")));
    assert_eq!(meeting["MeetingID"], "theirs");
    assert!(meeting["CreateTime"].as_u64() > Some(1_000_000_000_000), "its node groups the digits: {meeting}");
    let by_node = format!("/meetings/internal:{}", shown["internal_id"].as_str().unwrap());
    assert_eq!(cluster.operator().fetch(&by_node).await.granted(), shown);
    let stranger = cluster.agent("another").fetch("/meetings/theirs").await;
    assert!(!stranger.status.is_success(), "an agent sees those of its own backend: {stranger:?}");
}

/// A stray may stand under a frontend's id, as after the restore of an old database.
#[tokio::test]
async fn no_tenant_sees_or_ends_a_meeting_of_no_frontend() {
    let schools = ScopedId::new("school", &MeetingId::new("m1")).to_string();
    for (id, name) in [("theirs", "theirs"), (&*schools, "m1")] {
        let (cluster, _) = with_stray(id).await;
        let list = cluster.call(CallKind::GetMeetings, "").await.success();
        assert!(list.text.contains("noMeetings"), "{list:?}");
        let query = format!("meetingID={name}");
        assert_eq!(cluster.call(CallKind::GetMeetingInfo, &query).await.failed(), "notFound");
        assert_eq!(cluster.call(CallKind::End, &query).await.failed(), "notFound");
        assert!(cluster.nodes[0].meeting(id).is_some());
        let of_school = listed(&cluster, "frontend_key=school").await;
        assert_eq!(of_school, Vec::<Value>::new());
        assert_eq!(cluster.operator().fetch(&format!("/meetings/{id}")).await.granted()["frontend_meeting_id"], name);
    }
}

#[tokio::test]
async fn a_meeting_of_no_frontend_cannot_be_changed_or_forgotten() {
    let (cluster, _) = with_stray("theirs").await;
    let operator = cluster.operator();
    for answer in [
        operator.patch("/meetings/theirs", &json!({"meeting": {"Running": false}})).await,
        operator.delete("/meetings/theirs").await,
    ] {
        let (status, body) = answer.refused();
        assert!(status == 409 && body.contains("no frontend owns this meeting"), "{body}");
    }
    assert_eq!(operator.delete("/meetings/nobody").await.refused().0, 404);
}

#[tokio::test]
async fn a_meeting_of_no_frontend_is_counted_as_a_meeting_and_as_load_of_its_node() {
    let counted = Counted::here();
    let options = ClusterOptions { nodes: 1, counted: Some(counted.handle.clone()), ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    cluster.nodes[0].control().create("theirs");
    cluster.nodes[0].control().join("theirs", "Ada", Role::Viewer).unwrap();
    cluster.cluster.catch_up().await;
    let operator = cluster.operator();
    let backend = operator.fetch(&format!("/backends/{}", cluster.backends[0].id)).await.granted();
    assert_eq!((&backend["meetings_count"], &backend["attendees_count"]), (&json!(1), &json!(1)));
    assert_eq!(operator.fetch("/backends").await.granted()[0]["meetings_count"], 1);
    let report = &operator.fetch("/cluster").await.granted()["backends"][0];
    assert_eq!((&report["meetings"], &report["attendees"]), (&json!(1), &json!(1)));
    assert_eq!(report["remarks"], json!(["1 meeting of no frontend runs there"]));
    // It is young: as many are expected as in any other.
    assert_eq!(report["load"].as_f64().unwrap().round(), 15.0);
    let page = cluster.get("/metrics", &[]).await.text;
    let host = cluster.backends[0].host();
    for series in [
        format!("b3scale_backend_meetings{{backend=\"{host}\"}} 1"),
        format!("b3scale_backend_stray_meetings{{backend=\"{host}\"}} 1"),
        format!(
            "b3scale_meeting_attendees{{frontend=\"undefined\",backend=\"{host}\",type=\"audio\",meeting=\"theirs\"}} 1"
        ),
        "b3scale_frontend_meetings{frontend=\"school\"} 0".to_owned(),
    ] {
        assert!(page.lines().any(|line| line == series), "{series} is not in {page}");
    }
}

#[tokio::test]
async fn the_meetings_of_no_frontend_on_a_backend_are_ended_with_its_others() {
    let (cluster, backend) = with_stray("theirs").await;
    cluster.call(CallKind::Create, "name=Ours&meetingID=m1").await.success();
    let ended = done(&cluster, "end_all_meetings", json!({"BackendID": backend})).await;
    assert_eq!(ended, (CommandState::Success, json!(true)));
    cluster.until_node(0, "its meetings end", |node| node.meetings().is_empty()).await;
    cluster.until("it is listed no more", || cluster.cluster.strays(None).is_empty()).await;
}

#[tokio::test]
async fn one_meeting_of_no_frontend_is_ended_by_its_id() {
    for params in [json!({"ID": "theirs"}), json!({"ID": "theirs", "BackendID": true})] {
        let (cluster, backend) = with_stray("theirs").await;
        cluster.nodes[0].control().create("others");
        cluster.cluster.catch_up().await;
        let mut params = params;
        if params["BackendID"] == true {
            params["BackendID"] = json!(backend);
        }
        assert_eq!(done(&cluster, "end_meeting", params).await, (CommandState::Success, json!(true)));
        cluster
            .until_node(0, "it ends", |node| node.meetings().iter().all(|meeting| meeting.meeting_id != "theirs"))
            .await;
        assert!(cluster.nodes[0].meeting("others").is_some());
        let (state, why) = done(&cluster, "end_meeting", json!({"ID": "nobody"})).await;
        assert!(state == CommandState::Error && why.as_str().unwrap().contains("there is no meeting nobody"), "{why}");
    }
}

#[tokio::test]
async fn of_meetings_of_no_frontend_with_one_id_only_that_of_a_named_backend_is_ended() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 2, ..ClusterOptions::default() }).await;
    for node in &cluster.nodes {
        node.control().create("theirs");
    }
    cluster.cluster.catch_up().await;
    cluster.until("both are seen", || cluster.cluster.strays(None).len() == 2).await;
    let (state, why) = done(&cluster, "end_meeting", json!({"ID": "theirs"})).await;
    let expected = "2 backends run a meeting theirs that no frontend owns: say which by `BackendID`";
    assert_eq!((state, why.as_str()), (CommandState::Error, Some(expected)));
    let params = json!({"ID": "theirs", "BackendID": cluster.backends[1].id});
    assert_eq!(done(&cluster, "end_meeting", params).await, (CommandState::Success, json!(true)));
    cluster.until_node(1, "it ends", |node| node.meetings().is_empty()).await;
    assert!(cluster.nodes[0].meeting("theirs").is_some());
}

#[tokio::test]
async fn a_meeting_of_no_frontend_holds_up_a_decommission() {
    let (cluster, backend) = with_stray("theirs").await;
    let decommissioned = done(&cluster, "decommission_backend", json!({"id": backend})).await;
    assert_eq!(decommissioned, (CommandState::Success, json!(false)), "it is there still");
    cluster.until("it is told", || is_decommissioned(&cluster, backend)).await;
    cluster.cluster.catch_up().await;
    assert!(cluster.database.store().backends().find(backend).await.unwrap().is_some());
    cluster.nodes[0].control().expire("theirs");
    cluster.until("it is removed", || cluster.cluster.backend(backend).is_none()).await;
}

#[tokio::test]
async fn a_decommissioned_backend_stays_while_its_node_does_not_list_all_that_it_runs() {
    for list in [Misbehaviour::Html, Misbehaviour::HalfBody] {
        let (cluster, backend) = with_stray("theirs").await;
        let node = &cluster.nodes[0];
        node.misbehave_on("getMeetings", list.clone());
        cluster.cluster.catch_up().await;
        let decommissioned = done(&cluster, "decommission_backend", json!({"id": backend})).await;
        assert_eq!(decommissioned, (CommandState::Success, json!(false)), "{list:?}");
        node.behave();
        node.control().expire("theirs");
        cluster.until("it is removed", || cluster.cluster.backend(backend).is_none()).await;
    }
}

/// It may have begun since the node was last asked.
#[tokio::test]
async fn a_node_is_asked_what_it_runs_before_its_backend_is_removed() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.cluster.catch_up().await;
    cluster.nodes[0].control().create("theirs");
    let backend = cluster.backends[0].id;
    assert_eq!(
        cluster.operator().delete(&format!("/backends/{backend}")).await.granted()["admin_state"],
        "decommissioned"
    );
    cluster.until("it is seen", || !cluster.cluster.strays(None).is_empty()).await;
    assert!(cluster.database.store().backends().find(backend).await.unwrap().is_some());
}

fn is_decommissioned(cluster: &TestCluster, id: BackendId) -> bool {
    cluster.cluster.backend(id).is_some_and(|backend| backend.admin_state == AdminState::Decommissioned)
}

#[tokio::test]
async fn a_meeting_that_has_just_ended_is_no_stray_though_the_last_list_has_it() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.call(CallKind::Create, "name=Ours&meetingID=m1").await.success();
    cluster.cluster.catch_up().await;
    let id = ScopedId::new("school", &MeetingId::new("m1"));
    let meeting = cluster.cluster.known(id.as_ref()).unwrap();
    cluster.nodes[0].control().expire(id.as_ref());
    cluster.cluster.forget_now(&meeting).await.unwrap();
    assert!(cluster.cluster.strays(None).is_empty());
    // Nor does it become one when a tenant asks for it.
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed(), "notFound");
    assert!(cluster.cluster.strays(None).is_empty());
}
