//! A server that is killed in the midst of its creates, while something else goes wrong, too.

use std::collections::{BTreeMap, BTreeSet};

use b3scale::ledger::Copies;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::{Meeting, MeetingState};
use b3scale_node::{Misbehaviour, Node, NodeState};
use b3scale_support::{Relay, Servers, ServersOptions, eventually};
use futures_util::future::join_all;

use super::B3SCALED;
use super::calls::{create, creation, home, rows};

const VICTIM: usize = 2;
const SURVIVORS: [usize; 2] = [0, 1];

/// The faults of the first nodes: one makes its meetings and does not say so, one makes none.
const BAD: [Misbehaviour; 2] = [Misbehaviour::StallAfter, Misbehaviour::Stall];
const CREATES: usize = 12;

/// Kills a server while its creates are under way. Two nodes do not answer them.
async fn leave_orphans(servers: &mut Servers) {
    for (node, how) in servers.nodes.iter().zip(BAD) {
        node.misbehave_on("create", how);
    }
    let queries: Vec<_> = (0..CREATES).map(|number| creation(&format!("orphan{number}"))).collect();
    let creates = join_all(queries.iter().map(|query| servers.ask(VICTIM, CallKind::Create, query)));
    let killed = async {
        let asked = |node: &NodeState| node.calls().filter(|call| call.call == "create").count() > 1;
        for node in 0..BAD.len() {
            servers.until_node(node, "creates are under way on it", asked).await;
        }
        servers.kill(VICTIM);
    };
    tokio::join!(creates, killed);
    servers.ended(VICTIM).await;
}

/// Ids of meetings by the number of their node, as the nodes have them.
fn on_nodes(servers: &Servers) -> BTreeMap<usize, BTreeSet<String>> {
    let ids = |node: &Node| node.meetings().into_iter().map(|meeting| meeting.meeting_id).collect();
    servers.nodes.iter().map(ids).enumerate().collect()
}

/// The same, as the database has them. `None`: something is not settled.
fn in_store(servers: &Servers, rows: &[Meeting]) -> Option<BTreeMap<usize, BTreeSet<String>>> {
    let mut places: BTreeMap<_, BTreeSet<_>> = (0..servers.nodes.len()).map(|node| (node, BTreeSet::new())).collect();
    for row in rows {
        (row.state == MeetingState::Live).then_some(())?;
        places.entry(home(servers, row)).or_default().insert(row.id.to_string());
    }
    Some(places)
}

/// Whether a server lists exactly these meetings.
async fn lists(servers: &Servers, server: usize, rows: &[Meeting]) -> bool {
    let list = servers.call(server, CallKind::GetMeetings, "").await;
    let listed = |row: &Meeting| list.text.contains(&format!("<meetingID>{}</meetingID>", row.meeting_id));
    list.text.matches("<meetingID>").count() == rows.len() && rows.iter().all(listed)
}

/// Waits until so many lines of the surviving servers' metrics begin and end so.
async fn show(servers: &Servers, count: usize, figure: &str, value: &str) {
    for server in SURVIVORS {
        let shows = async || {
            let page = servers.fetch(server, "/metrics").await.expect("an answer").text;
            page.lines().filter(|line| line.starts_with(figure) && line.ends_with(value)).count() == count
        };
        eventually("a server shows what is wrong", shows).await;
    }
}

/// Waits until the servers that are left, the database and the nodes say the same. Claims and copies that were left alone
/// until they are as old as a create may take would not be settled in that time.
async fn agree(servers: &Servers) {
    let agreed = async || {
        let rows = rows(servers).await;
        let mut agreed = in_store(servers, &rows) == Some(on_nodes(servers));
        for server in SURVIVORS {
            agreed = agreed && lists(servers, server, &rows).await;
        }
        agreed && servers.store.load_copies().await.is_ok_and(|copies| copies.is_empty())
    };
    eventually("servers, database and nodes agree", agreed).await;
}

async fn survive(other: impl AsyncFnOnce(&Servers)) {
    let mut servers = Servers::start(B3SCALED, ServersOptions::default()).await;
    for server in SURVIVORS {
        create(&servers, server, &format!("before{server}")).await;
    }
    leave_orphans(&mut servers).await;
    assert!(rows(&servers).await.iter().any(|row| row.state == MeetingState::Claimed), "there is something to settle");
    other(&servers).await;
    agree(&servers).await;
    let kept = rows(&servers).await;
    assert!((0..2).all(|number| kept.iter().any(|row| row.meeting_id.as_ref() == format!("before{number}"))));
}

/// The nodes that did not answer the creates answer nothing at all for a while.
#[tokio::test]
async fn what_a_killed_server_leaves_behind_is_settled_in_seconds_while_nodes_are_down() {
    survive(async |servers| {
        let bad = || servers.nodes.iter().take(BAD.len());
        bad().for_each(|node| node.misbehave(Misbehaviour::Stall));
        show(servers, BAD.len(), "b3scale_backend_up{", " 0").await;
        bad().for_each(Node::behave);
    })
    .await;
}

/// No server can say meanwhile that it is there.
#[tokio::test]
async fn what_a_killed_server_leaves_behind_is_settled_in_seconds_while_postgresql_is_away() {
    survive(async |servers| {
        servers.relays.iter().for_each(Relay::cut);
        servers.nodes.iter().for_each(Node::behave);
        show(servers, 1, "b3scale_db_up", " 0").await;
        servers.relays.iter().for_each(Relay::heal);
    })
    .await;
}
