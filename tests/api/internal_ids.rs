//! Calls that name a meeting by its node's own id.

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_support::{Answer, ClusterOptions, TestCluster};
use futures_util::FutureExt as _;

const UNKNOWN: &str = "6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000";

async fn created(cluster: &TestCluster, query: &str) -> String {
    cluster.call(CallKind::Create, query).await.success().field("internalMeetingID")
}

#[tokio::test]
async fn a_lesson_is_played_by_the_internal_id() {
    let cluster = TestCluster::start().await;
    let id = format!("meetingID={}", created(&cluster, "name=Lesson&meetingID=m1").await);
    let home = cluster.homes("Lesson")[0];
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, &id).await.success().field("meetingID"), "m1");
    assert_eq!(cluster.call(CallKind::IsMeetingRunning, &id).await.success().field("running"), "false");
    let joined = cluster.call(CallKind::Join, &format!("{id}&fullName=Ada&role=VIEWER")).await;
    assert!(joined.location().starts_with(&format!("{}join?", cluster.nodes[home].url())), "{joined:?}");
    cluster.call(CallKind::SendChatMessage, &format!("{id}&message=Hello")).await;
    let slides =
        r#"<modules><module name="presentation"><document name="b.pdf">JVBERg==</document></module></modules>"#;
    cluster.post(CallKind::InsertDocument, &id, "application/xml", slides).await.success();
    let documents = cluster.nodes[home].meetings().remove(0).documents;
    assert!(documents.iter().any(|document| document.name == "b.pdf"));
    cluster.call(CallKind::End, &id).await.success();
    cluster.until_node(home, "the meeting ends", |node| node.meetings().is_empty()).await;
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, &id).await.failed(), "notFound");
}

#[tokio::test]
async fn another_frontends_internal_id_is_answered_like_one_that_does_not_exist() {
    let cluster = TestCluster::start().await;
    cluster.frontend("other", |_| {}).await;
    let foreign = created(&cluster, "name=Lesson&meetingID=m1").await;
    let said = |answer: Answer, id: &str| (answer.status, answer.text.replace(id, "ID"));
    for kind in [
        CallKind::GetMeetingInfo,
        CallKind::IsMeetingRunning,
        CallKind::End,
        CallKind::Join,
        CallKind::SendChatMessage,
        CallKind::InsertDocument,
    ] {
        let mut answers = Vec::new();
        for id in [&*foreign, UNKNOWN] {
            let query = format!("meetingID={id}&fullName=Eve&role=VIEWER&message=x");
            answers.push(said(cluster.call_as("other", kind, &query).await, id));
        }
        assert_eq!(answers[0], answers[1], "{kind}");
    }
    let query = |parent: &str| format!("name=Room&meetingID=b1&isBreakout=true&parentMeetingID={parent}");
    let refused = cluster.call_as("other", CallKind::Create, &query(&foreign)).await;
    assert_eq!(refused.failed(), cluster.call_as("other", CallKind::Create, &query(UNKNOWN)).await.failed());
    assert_eq!(cluster.nodes[cluster.homes("Lesson")[0]].meetings().len(), 1);
}

#[tokio::test]
async fn a_breakout_is_created_for_a_parent_by_its_internal_id() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 4, ..ClusterOptions::default() }).await;
    let parent = created(&cluster, "name=Parent&meetingID=m1").await;
    let query = format!("name=Room&meetingID=b1&isBreakout=true&parentMeetingID={parent}&sequence=1");
    let room = cluster.call(CallKind::Create, &query).await.success();
    assert_eq!((room.field("parentMeetingID"), cluster.homes("Room")), (parent, cluster.homes("Parent")));
}

#[tokio::test]
async fn a_meeting_is_created_under_an_id_that_looks_like_an_internal_one() {
    let cluster = TestCluster::start().await;
    let id = created(&cluster, "name=Lesson&meetingID=m1").await;
    let other = cluster.call(CallKind::Create, &format!("name=Other&meetingID={id}")).await.success();
    assert_eq!(other.field("meetingID"), id);
    let info = cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={id}")).await.success();
    assert_eq!(info.field("meetingName"), "Lesson", "an id is an internal one first");
    let other = format!("meetingID={}", other.field("internalMeetingID"));
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, &other).await.success().field("meetingName"), "Other");
}

/// Defect 17 of the original: a meeting that was made again kept its old internal id.
#[tokio::test]
async fn a_meeting_that_was_made_again_is_not_found_by_its_old_internal_id() {
    let cluster = TestCluster::start().await;
    let old = created(&cluster, "name=Lesson&meetingID=m1").await;
    let home = cluster.homes("Lesson")[0];
    cluster.nodes[home].control().forget();
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed(), "notFound");
    let new = created(&cluster, "name=Lesson&meetingID=m1").await;
    assert_ne!(old, new);
    let found = async |id: &str| cluster.call(CallKind::GetMeetingInfo, &format!("meetingID={id}")).await;
    assert_eq!(found(&old).await.failed(), "notFound");
    assert_eq!(found(&new).await.success().field("meetingID"), "m1");
}

#[tokio::test]
async fn a_server_that_has_not_heard_of_a_meeting_looks_its_internal_id_up() {
    let cluster = TestCluster::start().await;
    let other = cluster.another_server().await;
    // From here on it hears of nothing.
    other.stop();
    let school = cluster.cluster.frontend("school").unwrap().id;
    assert!(other.find_by_internal_id(school, UNKNOWN).await.unwrap().is_none());
    let scoped = ScopedId::new("school", &MeetingId::new(UNKNOWN));
    let looked_up = other.find(&scoped).now_or_never().expect("one look is for both ids");
    assert!(looked_up.unwrap().is_none());
    let id = created(&cluster, "name=Lesson&meetingID=m1").await;
    assert!(other.known_by_internal_id(school, &id).is_none());
    let found = other.find_by_internal_id(school, &id).await.unwrap().expect("the database has it");
    assert_eq!(found.meeting_id.as_ref(), "m1");
    assert_eq!(other.known_by_internal_id(school, &id).expect("memory has it by now").id, found.id);
    let stranger = b3scale_middleware::cluster::FrontendId(uuid::Uuid::nil());
    assert!(other.find_by_internal_id(stranger, &id).await.unwrap().is_none());
    assert!(other.known_by_internal_id(stranger, &id).is_none());
    other.forget(&found).await;
    assert!(other.known_by_internal_id(school, &id).is_none());
    assert!(other.find_by_internal_id(school, &id).await.unwrap().is_none());
}
