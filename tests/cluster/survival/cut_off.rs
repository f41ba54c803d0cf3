//! One server does not come to PostgreSQL, while the others do.

use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use b3scale_node::{Misbehaviour, NodeState};
use b3scale_support::{Relay, Servers, ServersOptions, eventually, new_frontend};

use super::B3SCALED;
use super::calls::{create, creation, finds, info, join, leads_to_node, running};

/// The server that is cut off.
const LONELY: usize = 0;

/// Makes two meetings that a server knows then, `known…` and `ended…`.
pub(super) async fn learn(servers: &Servers, server: usize) {
    for id in [format!("known{server}"), format!("ended{server}")] {
        create(servers, server + 1, &id).await;
        info(servers, server, &id).await.success();
    }
}

/// Asks for all that needs no database, of meetings that the server knows, and ends one of them.
pub(super) async fn serves_what_it_knows(servers: &Servers, server: usize) {
    let (known, ended) = (format!("known{server}"), format!("ended{server}"));
    let joined = join(servers, server, &known).await;
    assert!(leads_to_node(&joined), "{joined:?}");
    running(servers, server, &known).await.success();
    info(servers, server, &known).await.success();
    let list = servers.call(server, CallKind::GetMeetings, "").await.success();
    assert!(list.text.contains(&known) && list.text.contains(&ended), "{list:?}");
    create(servers, server, &known).await;
    servers.call(server, CallKind::End, &format!("meetingID={ended}")).await.success();
}

/// A create that cannot be made is answered, and says so.
pub(super) async fn refuses_creates(servers: &Servers, server: usize) {
    let refused = servers.call(server, CallKind::Create, &creation(&format!("refused{server}"))).await;
    assert_eq!(refused.failed(), "internalError");
    assert!(refused.field("message").contains("Please try again"), "{refused:?}");
}

/// Cuts a server off, asks it and the others, and reconnects it. Then it follows the changes of that time.
async fn survive(cut_off: fn(&Relay)) {
    let servers = Servers::start(B3SCALED, ServersOptions::default()).await;
    servers.store.frontends().record(&new_frontend("college")).await.expect("a frontend");
    servers.followed().await;
    learn(&servers, LONELY).await;
    cut_off(&servers.relays[LONELY]);

    let (_, _, created) = tokio::join!(
        serves_what_it_knows(&servers, LONELY),
        refuses_creates(&servers, LONELY),
        change_without(&servers)
    );
    servers.relays[LONELY].heal();
    for (id, internal_id) in created {
        let finds = async || finds(&servers, LONELY, &id, &internal_id).await;
        eventually("it finds what was created meanwhile", finds).await;
    }
    eventually("it refuses who was switched off", async || is_refused(&servers, LONELY).await).await;
    create(&servers, LONELY, "after").await;
}

/// Events on the other servers: they place meetings, and a frontend is switched off.
async fn change_without(servers: &Servers) -> Vec<(String, String)> {
    let mut college = new_frontend("college");
    college.active = false;
    servers.store.frontends().record(&college).await.expect("a frontend");
    let mut created = Vec::new();
    for server in (0..servers.count()).filter(|server| *server != LONELY) {
        let id = format!("new{server}");
        created.push((id.clone(), create(servers, server, &id).await));
        eventually("the others know who was switched off", async || is_refused(servers, server).await).await;
    }
    created
}

async fn is_refused(servers: &Servers, server: usize) -> bool {
    let answer = servers.call_as("college", server, CallKind::GetMeetings, "").await;
    !answer.is_success() && answer.failed() == "checksumError"
}

#[tokio::test]
async fn a_server_whose_way_to_postgresql_is_cut_serves_what_it_knows_and_learns_the_rest_later() {
    survive(Relay::cut).await;
}

/// Nothing tells a server that its connections lead nowhere but that they do not answer.
#[tokio::test]
async fn a_server_whose_way_to_postgresql_stalls_serves_what_it_knows_and_learns_the_rest_later() {
    survive(Relay::stall).await;
}

/// Its node has created the meeting, and no server could record it.
#[tokio::test]
async fn a_create_whose_result_could_not_be_noted_can_be_repeated_everywhere() {
    let servers = Servers::start(B3SCALED, ServersOptions { nodes: 1, ..Default::default() }).await;
    servers.nodes[0].misbehave_once("create", Misbehaviour::Slow(Duration::from_millis(500)));
    let cut = async {
        let asked = |node: &NodeState| node.calls().any(|call| call.call == "create");
        servers.until_node(0, "the node is at work", asked).await;
        servers.relays[LONELY].cut();
    };
    let query = creation("unnoted");
    let (answer, ()) = tokio::join!(servers.call(LONELY, CallKind::Create, &query), cut);
    assert!(!answer.failed().is_empty(), "nothing was acknowledged that nobody knows of");
    servers.relays[LONELY].heal();
    for server in 0..servers.count() {
        let repeated = async || servers.call(server, CallKind::Create, &query).await.is_success();
        eventually("the create comes to its end", repeated).await;
    }
    let alone = |node: &NodeState| node.meetings().len() == 1;
    servers.until_node(0, "there is one meeting of that id", alone).await;
}

/// The claim was on its way, and arrives when the way is healed and its server has long given it up.
#[tokio::test]
async fn a_create_that_was_refused_because_the_way_stalled_can_be_repeated() {
    let servers = Servers::start(B3SCALED, ServersOptions { connections: 1, ..Default::default() }).await;
    // The statement is prepared then, and goes out in one piece.
    create(&servers, LONELY, "before").await;
    servers.relays[LONELY].stall();
    refuses_creates(&servers, LONELY).await;
    servers.relays[LONELY].heal();
    for server in 0..servers.count() {
        let repeated = async || servers.call(server, CallKind::Create, &creation("refused0")).await.is_success();
        eventually("the create comes to its end", repeated).await;
    }
}
