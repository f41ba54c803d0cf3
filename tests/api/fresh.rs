//! Answers from memory: a node's recent answer, without another request.

use b3scale::ledger::{Ingest, Lookups};
use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::ports::Meetings as _;
use b3scale_node::{Node, Role};
use b3scale_support::TestCluster;
use serde_json::json;

fn scoped() -> ScopedId {
    ScopedId::new("school", &MeetingId::new("m1"))
}

/// The answer, and the number of requests to nodes.
async fn running(cluster: &TestCluster) -> (String, usize) {
    let asked = |cluster: &TestCluster| {
        let calls = cluster.nodes.iter().flat_map(Node::calls);
        calls.filter(|call| call.call == "isMeetingRunning").count()
    };
    let before = asked(cluster);
    let answer = cluster.call(CallKind::IsMeetingRunning, "meetingID=m1").await.success();
    (answer.field("running"), asked(cluster) - before)
}

#[tokio::test]
async fn a_node_that_has_just_reported_is_not_asked_and_one_that_has_not_is() {
    let cluster = TestCluster::start().await;
    cluster.cluster.catch_up().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(running(&cluster).await.0, "false");
    cluster.cluster.catch_up().await;
    assert_eq!(running(&cluster).await, ("false".to_owned(), 0));
    let home = cluster.homes("Lesson")[0];
    cluster.nodes[home].control().join(scoped().as_ref(), "Ada", Role::Viewer).unwrap();
    cluster.cluster.catch_up().await;
    assert_eq!(running(&cluster).await, ("true".to_owned(), 0));
    cluster.call(CallKind::End, "meetingID=m1").await.success();
    cluster.until_node(home, "the meeting ends", |node| node.meetings().is_empty()).await;
    assert_eq!(running(&cluster).await.0, "false", "who has ended a meeting sees its end");
}

#[tokio::test]
async fn whoever_was_sent_to_a_meeting_is_not_overlooked() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.cluster.catch_up().await;
    assert_eq!(running(&cluster).await, ("false".to_owned(), 0));
    cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER&redirect=false").await.success();
    assert_eq!(running(&cluster).await, ("false".to_owned(), 1), "she is on the way");
    let home = cluster.homes("Lesson")[0];
    cluster.nodes[home].control().join(scoped().as_ref(), "Ada", Role::Viewer).unwrap();
    assert_eq!(running(&cluster).await, ("true".to_owned(), 1));
}

#[tokio::test]
async fn a_report_that_is_the_same_once_more_is_fresh_at_every_server() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.cluster.catch_up().await;
    let other = cluster.another_server().await;
    let meeting = other.find(&scoped()).await.unwrap().expect("it is known");
    other.wait_until(|| other.seen(&meeting).is_some()).await;
    let before = other.seen(&meeting).unwrap().age;
    cluster.cluster.catch_up().await;
    other.wait_until(|| other.seen(&meeting).is_some_and(|seen| seen.age < before)).await;
    other.stop();
}

#[tokio::test]
async fn an_agent_that_has_seen_somebody_come_is_believed() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let meeting = cluster.database.store().load_meetings().await.unwrap().remove(0);
    let ada = json!({"internal_id": "w_ada", "user_id": "ada"});
    let there = json!([{"internal_id": meeting.internal_id, "id": meeting.id.as_ref(), "attendees": [ada]}]);
    let batch = json!({"boot": "00000000-0000-0000-0000-0000000000b0", "seq": 1, "snapshot": {"meetings": there}});
    let batch: b3scale::rest::Batch = serde_json::from_value(batch).expect("it is a batch");
    cluster.database.store().ingest(meeting.backend, &batch.report()).await.unwrap();
    cluster.until("the server has heard", || cluster.cluster.attendees(&meeting) == 1).await;
    assert_eq!(running(&cluster).await, ("true".to_owned(), 0), "its node has not said so yet");
}
