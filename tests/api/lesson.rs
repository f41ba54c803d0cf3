//! The calls of a frontend during a lesson.

use b3scale_middleware::bbb::CallKind;
use b3scale_support::{ClusterOptions, TestCluster, eventually};
use futures_util::future::join_all;
use http::Method;

async fn play(cluster: &TestCluster) {
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&meta_room=7").await.success();
    assert_eq!(created.field("meetingID"), "m1");

    let running = cluster.call(CallKind::IsMeetingRunning, "meetingID=m1").await.success();
    assert_eq!(running.field("running"), "false", "nobody has joined");

    let joined = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=MODERATOR").await;
    assert_eq!(joined.status, 302);
    let home = cluster.homes("Lesson")[0];
    assert!(joined.location().starts_with(&format!("{}join?", cluster.nodes[home].url())), "to the node itself");

    let node = &cluster.nodes[home];
    node.control().join(&node.meetings()[0].meeting_id, "Ada", b3scale_node::Role::Moderator).unwrap();
    // Where its node has reported just before, that counts for a few seconds more.
    let runs =
        async || cluster.call(CallKind::IsMeetingRunning, "meetingID=m1").await.success().field("running") == "true";
    eventually("the meeting runs", runs).await;

    let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
    assert_eq!((info.field("meetingID"), info.field("meetingName")), ("m1".to_owned(), "Lesson".to_owned()));
    assert!(info.text.contains("<room>7</room>") && info.text.contains("<fullName>Ada</fullName>"));
    assert_eq!(
        node.meetings()[0].metadata["b3s-frontend"],
        "school",
        "the node learns the frontend, and the tenant does not"
    );
    assert!(!info.text.contains("b3s-"));

    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(list.text.contains("<meetingID>m1</meetingID>"));
    let sessions = cluster.call(CallKind::GetSessions, "").await.success();
    assert!(sessions.text.contains("<userName>Ada</userName>"), "{sessions:?}");

    let ended = cluster.call(CallKind::End, "meetingID=m1").await.success();
    assert_eq!(ended.field("messageKey"), "sentEndMeetingRequest");
    cluster.until_node(home, "the meeting ends", |node| node.meetings().is_empty()).await;
    let running = cluster.call(CallKind::IsMeetingRunning, "meetingID=m1").await.success();
    assert_eq!(running.field("running"), "false");
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.failed(), "notFound");
    assert_eq!(cluster.call(CallKind::End, "meetingID=m1").await.failed(), "notFound");
}

#[tokio::test]
async fn a_lesson_runs_from_create_to_end() {
    play(&TestCluster::start().await).await;
}

#[tokio::test]
async fn a_lesson_runs_on_https_nodes_with_a_private_authority() {
    play(&TestCluster::with(ClusterOptions { https: true, ..ClusterOptions::default() }).await).await;
}

#[tokio::test]
async fn meetings_that_start_together_spread_over_the_nodes() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 4, ..ClusterOptions::default() }).await;
    let queries: Vec<String> = (0..24).map(|number| format!("name=Lesson&meetingID=m{number}")).collect();
    let created = join_all(queries.iter().map(|query| cluster.call(CallKind::Create, query))).await;
    created.into_iter().for_each(|answer| drop(answer.success()));
    assert_eq!(cluster.spread().into_values().collect::<Vec<_>>(), [6, 6, 6, 6]);
}

/// Defect 15 of the original: two parallel creates of one meeting chose different nodes.
#[tokio::test]
async fn simultaneous_creates_of_one_meeting_end_on_one_node() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 3, ..ClusterOptions::default() }).await;
    let creates = (0..20).map(|_| cluster.call(CallKind::Create, "name=Lesson&meetingID=m1"));
    let internal_ids: Vec<String> =
        join_all(creates).await.into_iter().map(|answer| answer.success().field("internalMeetingID")).collect();
    assert!(internal_ids.iter().all(|id| *id == internal_ids[0]), "{internal_ids:?}");
    assert_eq!(cluster.homes("Lesson").len(), 1);
}

#[tokio::test]
async fn a_repeated_create_is_told_so_by_the_same_node() {
    let cluster = TestCluster::start().await;
    let first = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let second = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(second.field("messageKey"), "duplicateWarning");
    assert_eq!(first.field("internalMeetingID"), second.field("internalMeetingID"));
}

#[tokio::test]
async fn a_create_can_be_posted_as_a_form_or_with_slides() {
    let cluster = TestCluster::start().await;
    let form = "meetingID=form&name=By+form&checksum=";
    let checksum = b3scale_middleware::bbb::sign(
        b3scale_middleware::bbb::Algorithm::Sha256,
        "create",
        "",
        &b3scale_middleware::bbb::Secret::new(b3scale_support::SECRET).unwrap(),
    );
    let path = "/bbb/school/bigbluebutton/api/create";
    let form_type = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    cluster.request(Method::POST, path, &form_type, &format!("{form}{checksum}")).await.success();
    assert_eq!(cluster.homes("By form").len(), 1);

    let slides = r#"<modules><module name="presentation"><document url="https://f.example/a.pdf" filename="a.pdf"/></module></modules>"#;
    cluster.post(CallKind::Create, "meetingID=xml&name=By+xml", "application/xml", slides).await.success();
    let home = cluster.homes("By xml")[0];
    let meeting = cluster.nodes[home].meetings().into_iter().find(|meeting| meeting.name == "By xml").unwrap();
    assert_eq!(meeting.documents[0].name, "a.pdf");
}

#[tokio::test]
async fn a_query_too_long_for_a_node_still_arrives() {
    let cluster = TestCluster::start().await;
    let query = format!("name=Lesson&meetingID=m1&welcome={}", "x".repeat(20_000));
    cluster.call(CallKind::Create, &query).await.success();
    let home = cluster.homes("Lesson")[0];
    assert_eq!(cluster.nodes[home].meetings()[0].param("welcome").map(str::len), Some(20_000));
}

#[tokio::test]
async fn a_join_can_be_answered_with_a_document() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let joined = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER&redirect=false").await.success();
    assert_eq!(joined.field("messageKey"), "successfullyJoined");
    assert!(joined.headers.get_all("set-cookie").iter().any(|cookie| cookie.as_bytes().starts_with(b"JSESSIONID=")));
}

#[tokio::test]
async fn documents_and_chat_messages_reach_the_meeting() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let slides =
        r#"<modules><module name="presentation"><document name="b.pdf">JVBERg==</document></module></modules>"#;
    cluster.post(CallKind::InsertDocument, "meetingID=m1", "application/xml", slides).await.success();
    cluster.call(CallKind::SendChatMessage, "meetingID=m1&message=Hello").await.success();
    let meeting = cluster.nodes[cluster.homes("Lesson")[0]].meetings().remove(0);
    assert!(meeting.documents.iter().any(|document| document.name == "b.pdf"));
    assert_eq!(meeting.chat[0].text, "Hello");
}

#[tokio::test]
async fn greenlights_health_check_succeeds() {
    let cluster = TestCluster::start().await;
    assert_eq!(cluster.call(CallKind::IsMeetingRunning, "meetingID=0").await.success().field("running"), "false");
}

/// Defect 25 of the original: answers were parsed into a structure and written again, without the elements it lacked.
#[tokio::test]
async fn elements_that_we_do_not_know_come_through() {
    let cluster = TestCluster::start().await;
    let created = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_eq!(created.field("parentMeetingID"), "bbb-none");
    assert_eq!(created.field("hasUserJoined"), "false");
}

/// Defect 28 of the original: a long id failed, and left a meeting on the node that no call could reach.
#[tokio::test]
async fn a_long_meeting_id_is_the_tenants_own_again_in_every_answer() {
    let cluster = TestCluster::start().await;
    let id = "ü".repeat(200);
    let query = format!("name=Lesson&meetingID={}", "%C3%BC".repeat(200));
    assert_eq!(cluster.call(CallKind::Create, &query).await.success().field("meetingID"), id);
    let list = cluster.call(CallKind::GetMeetings, "").await.success();
    assert!(list.text.contains(&format!("<meetingID>{id}</meetingID>")));
    let home = cluster.homes("Lesson")[0];
    cluster.call(CallKind::End, &query).await.success();
    cluster.until_node(home, "the meeting ends", |node| node.meetings().is_empty()).await;
}

#[tokio::test]
async fn a_breakout_made_by_a_frontend_goes_to_its_parents_node() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 4, ..ClusterOptions::default() }).await;
    cluster.call(CallKind::Create, "name=Parent&meetingID=m1").await.success();
    for number in 0..4 {
        let query = format!("name=Room&meetingID=b{number}&isBreakout=true&parentMeetingID=m1&sequence={number}");
        cluster.call(CallKind::Create, &query).await.success();
    }
    assert_eq!(cluster.homes("Room"), cluster.homes("Parent"));
}
