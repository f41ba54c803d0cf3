//! Nodes that answer every request with nonsense, or not at all.

use std::collections::HashSet;
use std::time::Duration;

use b3scale::net::nodes::UpstreamSettings;
use b3scale_middleware::bbb::CallKind;
use b3scale_node::{Misbehaviour, Node, NodeState};
use b3scale_support::{Answer, ClusterOptions, Servers, ServersOptions, TestCluster, eventually, within};
use futures_util::{StreamExt, stream};

use super::B3SCALED;
use super::calls::{creation, joining, leads_to_node};

const NODES: usize = 4;
/// Creates that come at once while one node misbehaves.
const LOAD: usize = 16;

/// The server that answers calls.
trait Answers {
    fn servers(&self) -> usize;
    fn nodes(&self) -> &[Node];
    async fn answer(&self, number: usize, kind: CallKind, query: &str) -> Answer;
}

impl Answers for Servers {
    fn servers(&self) -> usize {
        self.count()
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    async fn answer(&self, number: usize, kind: CallKind, query: &str) -> Answer {
        self.call(number, kind, query).await
    }
}

impl Answers for TestCluster {
    fn servers(&self) -> usize {
        1
    }

    fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    async fn answer(&self, _: usize, kind: CallKind, query: &str) -> Answer {
        self.call(kind, query).await
    }
}

/// Creates a meeting, and gives the node's own id of it.
async fn create(cluster: &impl Answers, number: usize, id: &str) -> String {
    cluster.answer(number, CallKind::Create, &creation(id)).await.success().field("internalMeetingID")
}

/// The node of a meeting.
fn node_of(cluster: &impl Answers, internal_id: &str) -> usize {
    cluster.nodes().iter().position(|node| node.meeting(internal_id).is_some()).expect("a node has it")
}

/// A meeting on each node, in the order of the nodes: its id, and the node's own id of it.
async fn one_on_each(cluster: &impl Answers) -> Vec<(String, String)> {
    let mut meetings = Vec::new();
    for number in 0..NODES {
        let id = format!("first{number}");
        // By one server, which then knows that the others are empty.
        let internal_id = create(cluster, 0, &id).await;
        meetings.push((node_of(cluster, &internal_id), (id, internal_id)));
    }
    meetings.sort();
    assert!(meetings.iter().map(|(node, _)| *node).eq(0..NODES), "{meetings:?}");
    meetings.into_iter().map(|(_, meeting)| meeting).collect()
}

/// While one node misbehaves, creates come to the others, and calls for meetings elsewhere are answered as ever. Gives the
/// nodes' own ids of what was created.
async fn endure(cluster: &impl Answers, bad: usize, how: &Misbehaviour, first: &[(String, String)]) -> Vec<String> {
    cluster.nodes()[bad].misbehave(how.clone());
    let created = stream::iter(0..LOAD).map(|number| async move {
        let internal_id = create(cluster, number, &format!("{bad}-{number}-{how:?}")).await;
        assert_ne!(node_of(cluster, &internal_id), bad, "{how:?}");
        let (id, elsewhere) = &first[(bad + 1 + number % (NODES - 1)) % NODES];
        assert!(finds(cluster, number, id, elsewhere).await, "{how:?}");
        assert!(leads_to_node(&cluster.answer(number, CallKind::Join, &joining(id)).await), "{how:?}");
        internal_id
    });
    let created = created.buffer_unordered(LOAD).collect();
    let (created, list) = tokio::join!(created, cluster.answer(0, CallKind::GetMeetings, ""));
    let list = list.success();
    assert!(first.iter().enumerate().all(|(node, (id, _))| node == bad || list.text.contains(id)), "{how:?}");
    cluster.nodes()[bad].behave();
    created
}

async fn finds(cluster: &impl Answers, number: usize, id: &str, internal_id: &str) -> bool {
    let info = cluster.answer(number, CallKind::GetMeetingInfo, &format!("meetingID={id}")).await;
    info.is_success() && info.field("internalMeetingID") == internal_id
}

/// One node after the other misbehaves, each in another way, and in the end nothing is left of it.
async fn outlive(cluster: &impl Answers, misbehaviours: &[Misbehaviour]) {
    let first = one_on_each(cluster).await;
    let mut acknowledged: HashSet<String> = first.iter().map(|(_, internal_id)| internal_id.clone()).collect();
    for (number, how) in misbehaviours.iter().enumerate() {
        acknowledged.extend(endure(cluster, number % NODES, how, &first).await);
        for server in 0..cluster.servers() {
            for (id, internal_id) in &first {
                let finds = async || finds(cluster, server, id, internal_id).await;
                eventually("a node that behaves again is asked again", finds).await;
            }
        }
    }
    let only_those =
        |node: &NodeState| node.meetings().iter().all(|meeting| acknowledged.contains(&meeting.internal_id));
    for node in cluster.nodes() {
        within("what was made and not acknowledged is ended", node.wait_until(only_those)).await;
    }
}

#[tokio::test]
async fn a_node_that_answers_nonsense_costs_nobody_a_meeting() {
    let servers = Servers::start(B3SCALED, ServersOptions { nodes: NODES, ..Default::default() }).await;
    let nonsense = [
        Misbehaviour::Status(500),
        Misbehaviour::CutConnection,
        Misbehaviour::CutAfter,
        Misbehaviour::HalfBody,
        Misbehaviour::BrokenXml,
        Misbehaviour::Html,
        Misbehaviour::Empty,
        Misbehaviour::EndlessXml,
        Misbehaviour::Version,
        Misbehaviour::WrongChecksum,
    ];
    outlive(&servers, &nonsense).await;
}

/// In the process of the test, where a create need not be waited for as long as a node may take for its slides: a minute.
#[tokio::test]
async fn a_node_that_stalls_costs_nobody_a_meeting() {
    let upstream = UpstreamSettings { create: Duration::from_secs(2), ..UpstreamSettings::default() };
    let cluster = TestCluster::with(ClusterOptions { nodes: NODES, upstream, ..Default::default() }).await;
    outlive(&cluster, &[Misbehaviour::Stall, Misbehaviour::StallAfter]).await;
}
