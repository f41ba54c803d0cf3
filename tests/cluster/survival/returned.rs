//! Nodes that are degraded or come back, while servers are killed.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::MeetingState;
use b3scale_node::{Misbehaviour, NodeState, Role};
use b3scale_support::{Servers, ServersOptions, eventually};

use super::B3SCALED;
use super::calls::{create, creation, finds, home, rows};

/// The server that is left.
const SURVIVOR: usize = 2;
const VICTIMS: [usize; 2] = [0, 1];

async fn two_nodes() -> Servers {
    Servers::start(B3SCALED, ServersOptions { nodes: 2, ..Default::default() }).await
}

fn asked(node: &NodeState, name: &str) -> usize {
    node.calls().filter(|call| call.call == name).count()
}

/// The node where the only meeting lives, by the store.
async fn place(servers: &Servers) -> Option<usize> {
    match &rows(servers).await[..] {
        [meeting] if meeting.state == MeetingState::Live => Some(home(servers, meeting)),
        _ => None,
    }
}

/// The node of a meeting with someone in it is lost, and the meeting is created again. Gives its node and its first internal id.
async fn lost_and_created_again(servers: &Servers) -> (usize, String) {
    let first = create(servers, SURVIVOR, "class").await;
    let lost = place(servers).await.expect("it lives");
    servers.nodes[lost].control().join(&first, "Ada", Role::Viewer).expect("it runs there");
    servers.nodes[lost].misbehave(Misbehaviour::CutConnection);
    servers.until_stored("it is given up", |rows| rows.iter().all(|row| row.state == MeetingState::Detached)).await;
    let again = async || servers.call(SURVIVOR, CallKind::Create, &creation("class")).await.is_success();
    eventually("it is created again", again).await;
    assert!(!finds(servers, SURVIVOR, "class", &first).await);
    (lost, first)
}

#[tokio::test]
async fn a_class_comes_back_with_its_node_though_servers_are_killed_while_it_does() {
    let servers = two_nodes().await;
    let (lost, first) = lost_and_created_again(&servers).await;
    let before = servers.nodes[lost].calls().iter().filter(|call| call.call == "getMeetingInfo").count();
    servers.nodes[lost].behave();
    servers.until_node(lost, "it is asked who is there", |node| asked(node, "getMeetingInfo") > before).await;
    VICTIMS.iter().for_each(|server| servers.kill(*server));
    eventually("the class is where its people are", async || place(&servers).await == Some(lost)).await;
    eventually("joins go there", async || finds(&servers, SURVIVOR, "class", &first).await).await;
    assert_eq!(servers.nodes[lost].meetings().len(), 1);
}

#[tokio::test]
async fn a_class_that_is_parted_stays_so_though_servers_are_killed() {
    let servers = two_nodes().await;
    let (lost, first) = lost_and_created_again(&servers).await;
    let grace = servers.nodes[1 - lost].meetings()[0].internal_id.clone();
    let grace = servers.nodes[1 - lost].control().join(&grace, "Grace", Role::Viewer).expect("it runs there");
    let before = servers.nodes[lost].calls().iter().filter(|call| call.call == "getMeetingInfo").count();
    servers.nodes[lost].behave();
    servers.until_node(lost, "it is asked who is there", |node| asked(node, "getMeetingInfo") > before).await;
    VICTIMS.iter().for_each(|server| servers.kill(*server));
    servers.until_node(lost, "it is asked again", |node| asked(node, "getMeetingInfo") > before + 3).await;
    assert_eq!(place(&servers).await, Some(1 - lost));
    assert_eq!(servers.nodes.iter().map(|node| node.meetings().len()).collect::<Vec<_>>(), [1, 1], "both go on");
    let second = servers.nodes[1 - lost].meetings()[0].internal_id.clone();
    assert!(servers.nodes[1 - lost].control().leave(&second, &grace));
    eventually("the class is where people are left", async || place(&servers).await == Some(lost)).await;
    eventually("joins go there", async || finds(&servers, SURVIVOR, "class", &first).await).await;
}

#[tokio::test]
async fn the_meetings_of_a_degraded_node_stay_though_servers_are_killed() {
    let servers = two_nodes().await;
    let internal_id = create(&servers, SURVIVOR, "class").await;
    let node = place(&servers).await.expect("it lives");
    servers.nodes[node].misbehave_on("getMeetings", Misbehaviour::Status(500));
    servers.until_node(node, "its meeting is asked for", |node| asked(node, "getMeetingInfo") > 0).await;
    VICTIMS.iter().for_each(|server| servers.kill(*server));
    let before = servers.nodes[node].calls().iter().filter(|call| call.call == "getMeetings").count();
    servers.until_node(node, "its list is asked for", |node| asked(node, "getMeetings") > before + 3).await;
    assert!(finds(&servers, SURVIVOR, "class", &internal_id).await);
    assert_eq!(create(&servers, SURVIVOR, "class").await, internal_id, "it is not made again");
    create(&servers, SURVIVOR, "other").await;
    assert_eq!(servers.nodes[node].meetings().len(), 1, "new ones go elsewhere");
}
