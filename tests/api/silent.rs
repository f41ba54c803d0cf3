//! Nodes that take a call and never answer it.

use std::time::{Duration, Instant};

use b3scale::ledger::{Copies, Lookups};
use b3scale::net::nodes::{Patience, UpstreamSettings};
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_node::Misbehaviour;
use b3scale_support::{ClusterOptions, Relay, TestCluster, within};
use futures_util::future::{join, join_all};
use serde_json::json;

/// A cluster that waits for a create as long as it takes here, and not for a minute.
async fn impatient(nodes: usize) -> TestCluster {
    let upstream = UpstreamSettings { create: Duration::from_secs(2), ..UpstreamSettings::default() };
    TestCluster::with(ClusterOptions { nodes, upstream, ..ClusterOptions::default() }).await
}

fn known_meetings(cluster: &TestCluster) -> usize {
    let school = cluster.cluster.frontend("school").unwrap().id;
    cluster.cluster.of_frontend(school).len()
}

#[tokio::test]
async fn a_create_that_is_never_answered_is_one_clear_fault_and_leaves_no_half_made_meeting() {
    let cluster = impatient(1).await;
    for (number, silence) in [Misbehaviour::Stall, Misbehaviour::StallAfter].into_iter().enumerate() {
        cluster.nodes[0].misbehave_on("create", silence.clone());
        let failed = cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await;
        assert_eq!(failed.failed(), "internalError", "{silence:?}");
        assert_eq!(known_meetings(&cluster), 0, "{silence:?}");
        assert!(cluster.database.store().load_meetings().await.unwrap().is_empty(), "{silence:?}");
    }
    assert_eq!(cluster.nodes[0].meetings().len(), 1, "one of them it has made all the same");
    cluster.nodes[0].behave();
    cluster.cluster.catch_up().await;
    cluster.until_node(0, "the copy is ended", |node| node.meetings().is_empty()).await;
}

#[tokio::test]
async fn a_create_that_is_never_answered_goes_to_the_next_node() {
    for silence in [Misbehaviour::Stall, Misbehaviour::StallAfter] {
        let cluster = impatient(2).await;
        cluster.nodes[0].misbehave_on("create", silence.clone());
        for number in 0..2 {
            cluster.call(CallKind::Create, &format!("name=Lesson&meetingID=m{number}")).await.success();
        }
        // The second was for the node that had none.
        assert!(cluster.nodes[0].calls().iter().any(|call| call.call == "create"));
        assert_eq!(cluster.nodes[1].meetings().len(), 2, "{silence:?}");
        cluster.nodes[0].behave();
        cluster.cluster.catch_up().await;
        cluster.until_node(0, "the copies are ended", |node| node.meetings().is_empty()).await;
        assert_eq!((cluster.nodes[1].meetings().len(), known_meetings(&cluster)), (2, 2));
    }
}

/// Defect 36 of the original: a transaction stayed open, and held its connection, while a node was waited for.
#[tokio::test]
async fn a_node_that_is_waited_for_holds_no_connection_to_the_database() {
    let options = ClusterOptions { tags: vec![vec!["a"], vec!["b"]], connections: 1, ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    cluster.frontend("school", |settings| settings.required_tags = Some(["a"].iter().collect())).await;
    cluster.frontend("college", |settings| settings.required_tags = Some(["b"].iter().collect())).await;
    cluster.nodes[0].misbehave_on("create", Misbehaviour::Stall);
    let other = async {
        let asked = |node: &b3scale_node::NodeState| node.calls().any(|call| call.call == "create");
        cluster.until_node(0, "the first node is asked", asked).await;
        cluster.call_as("college", CallKind::Create, "name=Lecture&meetingID=m1").await.success()
    };
    tokio::select! {
        biased;
        answer = cluster.call(CallKind::Create, "name=Lesson&meetingID=m1") => panic!("nobody answered: {answer:?}"),
        _ = other => {}
    }
    assert_eq!(cluster.homes("Lecture"), [1]);
}

/// A cluster where calls end only by a probe or with their node: all other limits are longer than any test.
async fn probing(nodes: usize) -> TestCluster {
    probing_after(SOON, nodes).await
}

const SOON: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::from_secs(3600);

/// The same, and nodes are probed that late.
async fn probing_after(first_byte: Duration, nodes: usize) -> TestCluster {
    let patience = Patience { first_byte, probe: SOON };
    let upstream =
        UpstreamSettings { create: NEVER, answer: NEVER, stall: SOON, patience, ..UpstreamSettings::default() };
    TestCluster::with(ClusterOptions { nodes, upstream, ..ClusterOptions::default() }).await
}

fn asked(cluster: &TestCluster, node: usize, call: &str) -> usize {
    cluster.nodes[node].calls().iter().filter(|seen| seen.call == call).count()
}

#[tokio::test]
async fn a_create_on_a_node_that_hangs_goes_to_the_next_and_its_copy_is_ended() {
    for silence in [Misbehaviour::Stall, Misbehaviour::StallAfter, Misbehaviour::HeadOnly, Misbehaviour::Trickle] {
        let cluster = probing(2).await;
        cluster.nodes[0].misbehave_on("create", silence.clone());
        cluster.nodes[0].misbehave_on("index", silence.clone());
        for number in 0..2 {
            let query = format!("name=Lesson&meetingID=m{number}");
            within("the create is answered", cluster.call(CallKind::Create, &query)).await.success();
        }
        assert!(asked(&cluster, 0, "create") > 0, "{silence:?}");
        assert_eq!(cluster.nodes[1].meetings().len(), 2, "{silence:?}");
        cluster.nodes[0].behave();
        cluster.cluster.catch_up().await;
        cluster.until_node(0, "the copy is ended", |node| node.meetings().is_empty()).await;
    }
}

#[tokio::test]
async fn a_slow_create_on_a_node_that_answers_its_probes_is_waited_for() {
    let cluster = probing(1).await;
    cluster.nodes[0].misbehave_on("create", Misbehaviour::Slow(Duration::from_secs(1)));
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    assert!(asked(&cluster, 0, "index") > 0, "it was asked whether it is there");
    assert_eq!(asked(&cluster, 0, "create"), 1);
}

#[tokio::test]
async fn all_calls_that_wait_for_a_node_share_one_probe_and_are_cut_by_it() {
    let cluster = probing(1).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    for call in ["getMeetingInfo", "end", "join", "getSessions", "index"] {
        cluster.nodes[0].misbehave_on(call, Misbehaviour::Stall);
    }
    let calls = [
        (CallKind::GetMeetingInfo, "meetingID=m1"),
        (CallKind::End, "meetingID=m1"),
        (CallKind::Join, "meetingID=m1&fullName=Ada&role=VIEWER&redirect=false"),
        (CallKind::GetSessions, ""),
    ];
    let waiting = calls.iter().cycle().take(20).map(|(kind, query)| cluster.call(*kind, query));
    for answer in within("they are cut", join_all(waiting)).await {
        assert_eq!(answer.failed(), "internalError");
    }
    assert_eq!(asked(&cluster, 0, "index"), 1);
}

#[tokio::test]
async fn calls_that_wait_for_a_node_are_cut_when_another_server_finds_it_lost() {
    let cluster = probing_after(NEVER, 1).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    cluster.nodes[0].misbehave_on("getMeetingInfo", Misbehaviour::Stall);
    let waiting = cluster.call(CallKind::GetMeetingInfo, "meetingID=m1");
    let losing = async {
        let asked = |node: &b3scale_node::NodeState| node.calls().any(|call| call.call == "getMeetingInfo");
        cluster.until_node(0, "the node is asked", asked).await;
        cluster.nodes[0].misbehave(Misbehaviour::CutConnection);
        let other = cluster.another_server().await;
        for _ in 0..3 {
            other.catch_up().await;
        }
    };
    let (answer, ()) = within("it is cut", join(waiting, losing)).await;
    assert_eq!(answer.failed(), "internalError");
}

#[tokio::test]
async fn an_answer_that_has_begun_and_stalls_is_cut_though_the_node_answers_its_probes() {
    for silence in [Misbehaviour::HeadOnly, Misbehaviour::Trickle] {
        let cluster = probing(1).await;
        cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
        cluster.nodes[0].misbehave_on("getMeetingInfo", silence.clone());
        let answer = within("it is cut", cluster.call(CallKind::GetMeetingInfo, "meetingID=m1")).await;
        assert_eq!(answer.failed(), "internalError", "{silence:?}");
    }
}

#[tokio::test]
async fn a_create_passes_over_all_nodes_that_hang() {
    let cluster = probing(3).await;
    for node in &cluster.nodes[..2] {
        node.misbehave_on("create", Misbehaviour::Stall);
        node.misbehave_on("index", Misbehaviour::Stall);
    }
    for number in 0..3 {
        let query = format!("name=Lesson&meetingID=m{number}");
        within("the create is answered", cluster.call(CallKind::Create, &query)).await.success();
    }
    assert_eq!(cluster.nodes[2].meetings().len(), 3);
}

/// The first that hangs costs a pause and a probe, and all others together one more probe.
#[tokio::test]
async fn of_many_nodes_that_hang_a_create_waits_for_two() {
    let cluster = probing_after(5 * SOON, 4).await;
    cluster.call(CallKind::Create, "name=First&meetingID=m0").await.success();
    let healthy = cluster.homes("First")[0];
    let hanging: Vec<usize> = (0..4).filter(|node| *node != healthy).collect();
    for node in &hanging {
        for call in ["create", "index", "getMeetings"] {
            cluster.nodes[*node].misbehave_on(call, Misbehaviour::Stall);
        }
    }
    within("the create is answered", cluster.call(CallKind::Create, "name=Lesson&meetingID=m1")).await.success();
    assert_eq!(cluster.homes("Lesson"), [healthy], "the last choice, since it had a meeting already");
    assert!(hanging.iter().all(|node| asked(&cluster, *node, "index") > 0), "each was asked whether it is there");
    let creates: usize = hanging.iter().map(|node| asked(&cluster, *node, "create")).sum();
    assert_eq!(creates, 2, "one was passed over, since its probe had been missed");
}

#[tokio::test]
async fn a_create_that_its_network_swallows_goes_to_the_next_node_and_is_noted() {
    let cluster = probing(2).await;
    let relay = Relay::to_port(cluster.nodes[0].address()).await;
    let id = cluster.backends[0].id;
    let host = format!("http://{}/bigbluebutton/api/", relay.address());
    let path = format!("/backends/{id}");
    cluster.operator().patch(&path, &json!({"bbb": {"host": host}})).await.granted();
    let is_there = || cluster.cluster.backend(id).is_some_and(|known| known.url == host && known.is_up());
    cluster.until("the node is up behind the relay", is_there).await;
    relay.stall();
    let mut number = 0;
    while cluster.cluster.backend(id).unwrap().takes_meetings(Instant::now()).is_ok() {
        let query = format!("name=Lesson&meetingID=m{number}");
        within("the create is answered", cluster.call(CallKind::Create, &query)).await.success();
        number += 1;
    }
    assert_eq!((cluster.nodes[0].meetings().len(), cluster.nodes[1].meetings().len()), (0, number));
    let copies = cluster.database.store().load_copies().await.unwrap();
    assert_eq!(copies.iter().map(|copy| copy.backend).collect::<Vec<_>>(), [id], "the node may have got the call");
    relay.heal();
    cluster.cluster.catch_up().await;
    cluster
        .until("the node takes meetings again", || {
            cluster.cluster.backend(id).unwrap().takes_meetings(Instant::now()).is_ok()
        })
        .await;
}
