//! Counters of the server after a burst.

use std::collections::HashMap;

use b3scale::ledger::Lookups;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::ports::Directory as _;
use b3scale_support::{ClusterOptions, TestCluster};
use futures_util::future::join_all;

/// One meeting's calls, in any order: most come too early or too late.
async fn live_wildly(cluster: &TestCluster, number: usize) {
    let mut calls = [
        CallKind::Create,
        CallKind::Create,
        CallKind::GetMeetingInfo,
        CallKind::GetMeetingInfo,
        CallKind::End,
        CallKind::End,
    ];
    fastrand::shuffle(&mut calls);
    for call in calls {
        let name = if call == CallKind::Create { "name=Lesson&" } else { "" };
        let answer = cluster.call(call, &format!("{name}meetingID=m{number}")).await;
        assert!(answer.field("returncode") == "SUCCESS" || answer.failed() != "internalError", "{call}: {answer:?}");
    }
}

/// Defect 13 of the original: its counters drifted, since it read, counted and wrote without a lock.
#[tokio::test]
async fn after_two_hundred_meetings_at_once_every_count_is_right() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 3, ..ClusterOptions::default() }).await;
    join_all((0..200).map(|number| live_wildly(&cluster, number))).await;
    for number in 0..cluster.nodes.len() {
        let settled = |node: &b3scale_node::NodeState| node.meetings().iter().all(|meeting| !meeting.ending);
        cluster.until_node(number, "every end has come", settled).await;
    }
    cluster.cluster.catch_up().await;
    let mut rows: HashMap<_, u32> = HashMap::new();
    for row in cluster.database.store().load_meetings().await.unwrap() {
        *rows.entry(row.backend).or_default() += 1;
    }
    for (node, backend) in cluster.nodes.iter().zip(&cluster.backends) {
        let there = u32::try_from(node.meetings().len()).unwrap();
        let counted = cluster.cluster.backend(backend.id).unwrap().vitals.meetings();
        assert_eq!((counted, rows.get(&backend.id).copied().unwrap_or_default()), (there, there));
    }
    let all: usize = cluster.spread().into_values().sum();
    assert!(all > 0 && all < 200, "{all} are left, so there was something to count");
}
