//! The circuit of a backend.

use std::time::Duration;

use b3scale::net::nodes::UpstreamSettings;
use b3scale_middleware::bbb::CallKind;
use b3scale_node::Misbehaviour;
use b3scale_support::{ClusterOptions, TestCluster};
use futures_util::future::join_all;

/// How often a node was asked for a meeting.
fn asked(cluster: &TestCluster) -> usize {
    cluster.nodes[0].calls().iter().filter(|call| call.call == "getMeetingInfo").count()
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_left_alone_until_it_answers_its_health_check() {
    let upstream = UpstreamSettings { answer: Duration::from_millis(200), ..UpstreamSettings::default() };
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, upstream, ..ClusterOptions::default() }).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let info = || cluster.call(CallKind::GetMeetingInfo, "meetingID=m1");
    cluster.nodes[0].misbehave(Misbehaviour::Stall);
    for answer in join_all((0..5).map(|_| info())).await {
        assert_eq!(answer.failed(), "internalError");
    }
    let before = asked(&cluster);
    assert_eq!(before, 5);
    for answer in join_all((0..50).map(|_| info())).await {
        assert_eq!(answer.failed(), "internalError");
    }
    assert_eq!(asked(&cluster), before, "none of them reached the node");
    cluster.nodes[0].behave();
    cluster.cluster.catch_up().await;
    info().await.success();
}
