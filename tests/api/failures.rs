//! Nodes that fail, and callers that are wrong.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::Misbehaviour;
use b3scale_support::{ClusterOptions, TestCluster};
use futures_util::future::join_all;
use http::StatusCode;

async fn one_node() -> TestCluster {
    TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await
}

/// How a node fails, short of never answering.
fn failures() -> Vec<Misbehaviour> {
    vec![
        Misbehaviour::Status(500),
        Misbehaviour::Status(502),
        Misbehaviour::CutConnection,
        Misbehaviour::HalfBody,
        Misbehaviour::BrokenXml,
        Misbehaviour::Html,
        Misbehaviour::Empty,
        Misbehaviour::EndlessXml,
        Misbehaviour::WrongChecksum,
    ]
}

#[tokio::test]
async fn a_node_that_fails_is_one_clear_fault_and_leaves_no_half_made_meeting() {
    let cluster = one_node().await;
    for (number, failure) in failures().into_iter().enumerate() {
        cluster.nodes[0].misbehave_on("create", failure.clone());
        let failed = cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await;
        assert_eq!(failed.failed(), "internalError", "{failure:?}");
        assert!(!failed.text.contains("127.0.0.1"), "defect 6: a node's address is nothing for a tenant");
    }
    cluster.nodes[0].behave();
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m0").await.success();
    assert_eq!(cluster.cluster.of_frontend(frontend(&cluster)).len(), 1);
}

#[tokio::test]
async fn every_other_call_says_so_when_its_node_fails() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    for failure in failures() {
        cluster.nodes[0].misbehave(failure.clone());
        for kind in [CallKind::IsMeetingRunning, CallKind::GetMeetingInfo, CallKind::GetSessions] {
            let failed = cluster.call(kind, "meetingID=m1").await;
            assert_eq!(failed.failed(), "internalError", "{kind} {failure:?}");
        }
    }
    cluster.nodes[0].misbehave(Misbehaviour::CutConnection);
    assert_eq!(cluster.call(CallKind::End, "meetingID=m1").await.failed(), "internalError");
    cluster.nodes[0].behave();
    // Until it has answered its health check, a node that failed so often is left alone.
    cluster.cluster.catch_up().await;
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

/// Memory knows what runs, and need not ask a node that fails.
#[tokio::test]
async fn a_list_does_not_depend_on_nodes_that_fail() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    for failure in failures() {
        cluster.nodes[0].misbehave(failure.clone());
        let list = cluster.call(CallKind::GetMeetings, "").await.success();
        assert!(list.text.contains("<meetingID>m1</meetingID>"), "{failure:?}: {list:?}");
    }
}

#[tokio::test]
async fn a_create_whose_node_fails_goes_to_the_next() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 2, ..ClusterOptions::default() }).await;
    cluster.nodes[0].misbehave_on("create", Misbehaviour::Status(500));
    let queries: Vec<String> = (0..8).map(|number| format!("name=Lesson&meetingID=m{number}")).collect();
    let created = join_all(queries.iter().map(|query| cluster.call(CallKind::Create, query))).await;
    created.into_iter().for_each(|answer| drop(answer.success()));
    assert_eq!(cluster.homes("Lesson"), [1]);
}

#[tokio::test]
async fn a_create_that_a_node_carried_out_unanswered_is_ended_there_later() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 2, ..ClusterOptions::default() }).await;
    cluster.nodes[0].misbehave_on("create", Misbehaviour::CutAfter);
    for number in 0..4 {
        cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await.success();
    }
    assert!(!cluster.nodes[0].meetings().is_empty(), "it has made what it never answered");
    cluster.nodes[0].behave();
    cluster.cluster.catch_up().await;
    cluster.until_node(0, "the copies are ended", |node| node.meetings().is_empty()).await;
    assert_eq!(cluster.nodes[1].meetings().len(), 4);
    for number in 0..4 {
        cluster.call(CallKind::GetMeetingInfo, &format!("meetingID=m{number}")).await.success();
    }
}

#[tokio::test]
async fn a_node_that_answers_not_or_in_part_spoils_no_list() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 3, ..ClusterOptions::default() }).await;
    for number in 0..6 {
        cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await.success();
    }
    for node in &cluster.nodes {
        for meeting in node.meetings() {
            for name in ["Ada", "Grace", "Edsger"] {
                node.control().join(&meeting.meeting_id, name, b3scale_node::Role::Viewer).unwrap();
            }
        }
    }
    let spoiled =
        [(Misbehaviour::CutConnection, 12..=12), (Misbehaviour::Html, 12..=12), (Misbehaviour::BrokenXml, 13..=17)];
    for (list, sessions) in spoiled {
        cluster.nodes[0].misbehave_on("getSessions", list.clone());
        let found = cluster.call(CallKind::GetSessions, "").await.success();
        assert!(sessions.contains(&found.text.matches("<meeting>").count()), "{list:?}: {found:?}");
    }
}

/// Defect 24 of the original: gzip was passed on and not decoded.
#[tokio::test]
async fn a_compressed_answer_is_decoded() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.nodes[0].misbehave(Misbehaviour::Gzip);
    assert_eq!(cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success().field("meetingName"), "Lesson");
}

#[tokio::test]
async fn a_meeting_that_ended_on_its_node_is_forgotten() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let id = cluster.nodes[0].meetings()[0].meeting_id.clone();
    assert!(cluster.nodes[0].control().expire(&id));
    cluster.cluster.catch_up().await;
    assert!(cluster.cluster.of_frontend(frontend(&cluster)).is_empty());
}

/// Defect 17 of the original: a meeting that its node had lost was deleted as an orphan once it was made again.
#[tokio::test]
async fn a_meeting_that_its_node_has_lost_can_be_created_again() {
    let cluster = one_node().await;
    let first = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.nodes[0].control().forget();
    let second = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert_ne!(first.field("internalMeetingID"), second.field("internalMeetingID"));
    cluster.cluster.catch_up().await;
    cluster.call(CallKind::GetMeetingInfo, "meetingID=m1").await.success();
}

#[tokio::test]
async fn a_meeting_that_its_node_made_anew_unanswered_is_known_by_its_new_internal_id() {
    let cluster = one_node().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.nodes[0].control().forget();
    cluster.nodes[0].misbehave_once("create", Misbehaviour::CutAfter);
    assert_eq!(cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.failed(), "internalError");
    cluster.cluster.catch_up().await;
    let known = cluster.cluster.of_frontend(frontend(&cluster))[0].internal_id.clone();
    assert_eq!(known, Some(cluster.nodes[0].meetings()[0].internal_id.clone()));
}

#[tokio::test]
async fn calls_that_bbb_or_we_do_not_have_are_told_so() {
    let cluster = one_node().await;
    let get = async |call: &str| cluster.get(&format!("/bbb/school/bigbluebutton/api/{call}?checksum=00"), &[]).await;
    for call in ["setConfigXML", "getDefaultConfigXML"] {
        assert_eq!(get(call).await.failed(), "unsupportedRequest", "{call}");
    }
    // As at a node.
    for call in ["nonsense", "CREATE"] {
        assert_eq!(get(call).await.status, StatusCode::NOT_FOUND, "{call}");
    }
}

#[tokio::test]
async fn a_call_that_is_wrong_is_refused_before_any_node_is_asked() {
    let cluster = one_node().await;
    let before = cluster.nodes[0].calls().len();
    let refused = [
        ("name=x", "validationError"),
        ("meetingID=", "missingParamMeetingID"),
        ("meetingID=m", "validationError"),
        ("meetingID=a%2Cb", "validationError"),
        ("meetingID=m2&name=Room&isBreakout=true&sequence=1&parentMeetingID=nowhere", "parentMeetingDoesNotExist"),
    ];
    for (query, key) in refused {
        assert_eq!(cluster.call(CallKind::Create, query).await.failed(), key, "{query}");
    }
    let broken =
        cluster.post(CallKind::Create, "meetingID=m1&name=Lesson", "application/xml", "<modules><module>").await;
    assert_eq!(broken.failed(), "invalidRequestBody");
    let json = cluster.post(CallKind::Create, "meetingID=m1&name=Lesson", "application/json", "{}").await;
    assert_eq!(json.failed(), "unsupportedContentType");
    assert_eq!(cluster.nodes[0].calls().len(), before);
}

fn frontend(cluster: &TestCluster) -> b3scale_middleware::cluster::FrontendId {
    cluster.cluster.frontend("school").unwrap().id
}
