//! Nodes that are absent for a while, with their meetings.

use std::collections::HashMap;

use b3scale_middleware::cluster::{Meeting, MeetingState};
use b3scale_node::{Misbehaviour, Role};
use b3scale_support::{Servers, ServersOptions, eventually};
use futures_util::{StreamExt, stream};

use super::B3SCALED;
use super::calls::{create, finds, home, rows, running};

const NODES: usize = 20;
/// One in ten.
const VANISHING: [usize; 2] = [4, 15];

/// Meetings from before, and those created in the burst during which the nodes vanish.
const BEFORE: usize = 100;
const BURST: usize = 120;
const AT_ONCE: usize = 16;

/// Meetings with an attendee each. Returns their internal ids.
async fn begin(servers: &Servers) -> HashMap<String, String> {
    let meetings = stream::iter(0..BEFORE).map(|number| async move {
        let id = format!("before{number}");
        let internal_id = create(servers, number, &id).await;
        let joined = servers.nodes.iter().find_map(|node| node.control().join(&internal_id, "Ada", Role::Viewer));
        assert!(joined.is_some(), "the meeting is on a node");
        (id, internal_id)
    });
    meetings.buffer_unordered(AT_ONCE).collect().await
}

/// Many creates at once. All succeed although nodes vanish after the first third.
async fn burst(servers: &Servers) {
    let creates = stream::iter(0..BURST).map(|number| async move {
        if number == BURST / 3 {
            VANISHING.iter().for_each(|node| servers.nodes[*node].misbehave(Misbehaviour::CutConnection));
        }
        create(servers, number, &format!("burst{number}")).await
    });
    creates.buffer_unordered(AT_ONCE).for_each(async |_| {}).await;
}

/// The meetings of before that are on the nodes which have vanished.
async fn lost(servers: &Servers) -> Vec<Meeting> {
    let is_lost =
        |row: &Meeting| row.meeting_id.as_ref().starts_with("before") && VANISHING.contains(&home(servers, row));
    rows(servers).await.into_iter().filter(is_lost).collect()
}

/// Waits until every server says of these that they do not run.
async fn are_released(servers: &Servers, lost: &[Meeting]) {
    let is_detached = |row: &Meeting| row.state == MeetingState::Detached;
    let found = |rows: &[Meeting]| {
        rows.iter().filter(|row| is_detached(row) && lost.iter().any(|one| one.id == row.id)).count()
    };
    servers.until_stored("the nodes are given up", |rows| found(rows) == lost.len()).await;
    for server in 0..servers.count() {
        for meeting in lost {
            let id = meeting.meeting_id.as_ref();
            let released = async || {
                let answer = running(servers, server, id).await;
                answer.is_success() && answer.field("running") == "false"
            };
            eventually("a lost meeting does not run", released).await;
        }
    }
}

/// Creates a lost meeting again. Gives the new internal id.
async fn create_anew(servers: &Servers, number: usize, meeting: &Meeting) -> String {
    let internal_id = create(servers, number, meeting.meeting_id.as_ref()).await;
    let has_it = |node: &usize| servers.nodes[*node].meeting(&internal_id).is_some();
    let homes: Vec<_> = (0..NODES).filter(has_it).collect();
    assert!(homes.len() == 1 && !VANISHING.contains(&homes[0]), "{homes:?}");
    internal_id
}

#[tokio::test]
async fn meetings_of_nodes_that_vanish_are_created_elsewhere_and_come_back_with_their_people() {
    let servers = Servers::start(B3SCALED, ServersOptions { nodes: NODES, ..Default::default() }).await;
    let internal_ids = begin(&servers).await;
    burst(&servers).await;
    let lost = lost(&servers).await;
    assert!(lost.len() >= 2, "one to create anew, and one to take back: {lost:?}");
    are_released(&servers, &lost).await;
    let (wanted, _) = lost.split_at(lost.len() / 2);
    for (number, meeting) in wanted.iter().enumerate() {
        create_anew(&servers, number, meeting).await;
    }

    VANISHING.iter().for_each(|node| servers.nodes[*node].behave());
    for server in 0..servers.count() {
        for (id, internal_id) in &internal_ids {
            let finds = async || finds(&servers, server, id, internal_id).await;
            eventually("every class is back with whom is in it", finds).await;
        }
    }
}
