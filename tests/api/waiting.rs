//! A join before its node is ready.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::NodeState;
use b3scale_node::Misbehaviour;
use b3scale_support::{ClusterOptions, TestCluster, signed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

async fn lost_node() -> TestCluster {
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, ..ClusterOptions::default() }).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.nodes[0].misbehave(Misbehaviour::CutConnection);
    for _ in 0..3 {
        cluster.cluster.catch_up().await;
    }
    assert_eq!(cluster.node_state(0), NodeState::Error);
    cluster
}

#[tokio::test]
async fn the_waiting_page_leads_to_the_node_once_that_is_ready() {
    let cluster = lost_node().await;
    let waiting = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER").await;
    assert_eq!(waiting.status, 302);
    let page = waiting.location().to_owned();
    assert!(page.starts_with("/b3s/retry-join/"), "{page}");
    let shown = cluster.get(&page, &[("accept", "text/html")]).await;
    assert_eq!(shown.status, 200);
    assert!(shown.headers.get("content-type").unwrap().to_str().unwrap().starts_with("text/html"));

    cluster.nodes[0].behave();
    // One answer does not bring a node back, two do.
    cluster.cluster.catch_up().await;
    cluster.cluster.catch_up().await;
    let joined = cluster.get(&page, &[("accept", "text/html")]).await;
    assert!(joined.location().starts_with(&cluster.nodes[0].url()), "{joined:?}");
}

#[tokio::test]
async fn a_client_that_wants_a_document_is_told() {
    let cluster = lost_node().await;
    let answer = cluster.call(CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER&redirect=false").await;
    assert_eq!(answer.failed(), "serverUnavailable");
}

/// A browser that waited at the original when it was replaced.
#[tokio::test]
async fn a_waiting_page_of_the_original_leads_to_its_join() {
    let cluster = TestCluster::start().await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let join = signed("school", CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER");
    let request = URL_SAFE_NO_PAD.encode(json!({"mth": "GET", "url": join}).to_string().replace('&', "\\u0026"));
    let page = cluster.get(&format!("/b3s/retry-join/{request}"), &[("accept", "text/html")]).await;
    assert_eq!((page.status.as_u16(), page.location()), (302, &*join));
    let joined = cluster.get(page.location(), &[("accept", "text/html")]).await;
    assert!(joined.location().contains("/bigbluebutton/api/join?"), "{joined:?}");
}

/// Defect 11 of the original: the link of the waiting page was not signed.
#[tokio::test]
async fn a_forged_waiting_page_leads_nowhere() {
    let cluster = lost_node().await;
    let forged = cluster.get("/b3s/retry-join/eyJtdGgiOiJHRVQiLCJ1cmwiOiJodHRwczovL2V2aWwuZXhhbXBsZS8ifQ", &[]).await;
    assert_eq!(forged.status, 404);
    assert!(!forged.text.contains("evil"));
}
