//! Separation of frontends.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::DefaultPresentation;
use b3scale_middleware::ports::Directory as _;
use b3scale_node::Node;
use b3scale_support::{ClusterOptions, TestCluster};

#[tokio::test]
async fn two_frontends_can_use_one_meeting_id_and_never_meet() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.frontend("ministry", |_| {}).await;
    cluster.call_as("school", CallKind::Create, "name=School&meetingID=m1").await.success();
    cluster.call_as("ministry", CallKind::Create, "name=Ministry&meetingID=m1").await.success();
    for (key, own, other) in [("school", "School", "Ministry"), ("ministry", "Ministry", "School")] {
        let list = cluster.call_as(key, CallKind::GetMeetings, "").await.success();
        assert!(list.text.contains(own) && !list.text.contains(other), "{list:?}");
        assert_eq!(cluster.call_as(key, CallKind::GetMeetingInfo, "meetingID=m1").await.field("meetingName"), own);
    }
    cluster.call_as("school", CallKind::End, "meetingID=m1").await.success();
    cluster.until_node(0, "one meeting ends", |node| node.meetings().len() == 1).await;
    cluster.call_as("ministry", CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

#[tokio::test]
async fn every_call_of_another_frontend_finds_no_such_meeting() {
    let cluster = TestCluster::start().await;
    cluster.frontend("ministry", |_| {}).await;
    cluster.call_as("school", CallKind::Create, "name=School&meetingID=m1").await.success();
    let scoped = cluster.nodes[cluster.homes("School")[0]].meetings()[0].meeting_id.clone();
    let internal = cluster.nodes[cluster.homes("School")[0]].meetings()[0].internal_id.clone();
    for id in ["m1", &scoped, &internal] {
        let query = format!("meetingID={id}&fullName=Eve&role=MODERATOR&message=x&redirect=false");
        let ask = |kind| cluster.call_as("ministry", kind, &query);
        assert_eq!(ask(CallKind::IsMeetingRunning).await.success().field("running"), "false");
        assert_eq!(ask(CallKind::GetMeetingInfo).await.failed(), "notFound");
        assert_eq!(ask(CallKind::End).await.failed(), "notFound");
        assert_eq!(ask(CallKind::SendChatMessage).await.failed(), "meetingNotFound");
        assert_eq!(ask(CallKind::Join).await.failed(), "invalidMeetingIdentifier");
    }
    cluster.call_as("school", CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

#[tokio::test]
async fn required_tags_choose_the_node() {
    let tags = vec![vec!["eu"], vec!["eu", "gpu"]];
    let cluster = TestCluster::with(ClusterOptions { tags, ..ClusterOptions::default() }).await;
    cluster.frontend("school", |settings| settings.required_tags = Some(["gpu"].iter().collect())).await;
    for number in 0..4 {
        cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await.success();
    }
    assert_eq!(cluster.homes("Lesson"), [1]);
    cluster.frontend("school", |settings| settings.required_tags = Some(["us"].iter().collect())).await;
    assert_eq!(cluster.call(CallKind::Create, "name=Lesson&meetingID=m9").await.failed(), "internalError");
}

#[tokio::test]
async fn defaults_overrides_and_slides_reach_the_node() {
    let cluster = TestCluster::start().await;
    cluster
        .frontend("school", |settings| {
            settings.create_override_params.insert("record".to_owned(), "false".to_owned());
            settings.create_default_params.insert("welcome".to_owned(), "Hello & hi".to_owned());
            let url = "https://files.example/Erste%20Schritte.pdf?v=1".to_owned();
            settings.default_presentation = Some(DefaultPresentation { url, ..DefaultPresentation::default() });
        })
        .await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1&record=true").await.success();
    let meeting = cluster.nodes[cluster.homes("Lesson")[0]].meetings().remove(0);
    assert_eq!((meeting.param("record"), meeting.param("welcome")), (Some("false"), Some("Hello & hi")));
    assert_eq!(meeting.documents[0].name, "Erste Schritte.pdf");
}

#[tokio::test]
async fn slides_by_parameter_count_as_slides_and_a_forced_default_takes_them_out() {
    let cluster = TestCluster::start().await;
    let own = "name=Lesson&preUploadedPresentation=https%3A%2F%2Fx.example%2Fown.pdf";
    for (force, expected) in [(false, "own.pdf"), (true, "Welcome.pdf")] {
        cluster
            .frontend("school", |settings| {
                let (url, filename) = ("https://files.example/download?id=7".to_owned(), "Welcome.pdf".to_owned());
                settings.default_presentation = Some(DefaultPresentation { url, force, filename });
            })
            .await;
        cluster.call(CallKind::Create, &format!("{own}&meetingID={expected}")).await.success();
        let meetings: Vec<_> = cluster.nodes.iter().flat_map(Node::meetings).collect();
        let meeting = meetings.iter().find(|meeting| meeting.documents[0].name == expected);
        let meeting = meeting.unwrap_or_else(|| panic!("{expected}: {meetings:?}"));
        assert_eq!(meeting.documents.len(), 1);
        assert_eq!(meeting.param("preUploadedPresentation").is_some(), !force);
    }
}

#[tokio::test]
async fn a_secret_can_be_changed_without_an_outage() {
    let cluster = TestCluster::start().await;
    cluster.database.execute("UPDATE frontends SET secret = 'new', next_secret = 'frontend-secret'").await;
    let secrets = || cluster.cluster.frontend("school").is_some_and(|school| school.secrets.iter().count() == 2);
    cluster.until("the server knows both secrets", secrets).await;
    cluster.call(CallKind::GetMeetings, "").await.success();
}

/// Defect 8 of the original: frontend keys could be probed by distinct messages.
#[tokio::test]
async fn an_unknown_or_disabled_frontend_is_answered_like_a_wrong_secret() {
    let cluster = TestCluster::start().await;
    cluster.frontend("off", |_| {}).await;
    cluster.database.execute("UPDATE frontends SET active = false WHERE key = 'off'").await;
    cluster.until("it is disabled", || cluster.cluster.frontend("off").is_some_and(|off| !off.active)).await;
    let wrong = cluster.get("/bbb/school/bigbluebutton/api/getMeetings?checksum=00", &[]).await;
    let unknown = cluster.get(&cluster.signed("nobody", CallKind::GetMeetings, ""), &[]).await;
    let disabled = cluster.call_as("off", CallKind::GetMeetings, "").await;
    assert_eq!((&wrong.text, wrong.status), (&unknown.text, unknown.status));
    assert_eq!((&wrong.text, wrong.status), (&disabled.text, disabled.status));
    let without = |key: &str| format!("/bbb/{key}/bigbluebutton/api/getMeetings");
    assert_eq!(cluster.get(&without("school"), &[]).await.text, cluster.get(&without("nobody"), &[]).await.text);
}
