//! A server that is killed while it works.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::MeetingState;
use b3scale_node::{NodeOptions, NodeState};
use b3scale_support::{Answer, Servers, ServersOptions, Unanswered, eventually};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};

use super::B3SCALED;
use super::calls::{creation, finds, home, join, joining, leads_to_node, rows};

/// Each is created once and joined three times, which makes five thousand calls.
const MEETINGS: usize = 1250;
const JOINS: usize = 3;
const AT_ONCE: usize = 32;

/// The server that is killed, the others, and the meeting at which that is done.
const VICTIM: usize = 2;
const SURVIVORS: [usize; 2] = [0, 1];
const LAST_STRAW: usize = MEETINGS / 3;

/// The internal ids of meetings by their ids. `None`: the create was not answered.
type Created = HashMap<String, Option<String>>;

/// Many creates while a server is killed.
async fn storm(servers: &Servers) -> Created {
    let lessons = stream::iter(0..MEETINGS).map(|number| async move {
        if number == LAST_STRAW {
            servers.kill(VICTIM);
        }
        let id = format!("m{number}");
        let internal_id = lesson(servers, number, &id).await;
        (id, internal_id)
    });
    lessons.buffer_unordered(AT_ONCE).collect().await
}

/// A meeting as a frontend has it through a load balancer. A create with a broken connection is not repeated here.
async fn lesson(servers: &Servers, first: usize, id: &str) -> Option<String> {
    let created = match ask(servers, first, CallKind::Create, &creation(id)).await {
        Err(Unanswered::Refused) => servers.call(first + 1, CallKind::Create, &creation(id)).await,
        Err(Unanswered::Broken(_)) => return None,
        Ok(answer) => answer,
    };
    let internal_id = created.success().field("internalMeetingID");
    for turn in first..first + JOINS {
        let joined = match ask(servers, turn, CallKind::Join, &joining(id)).await {
            Err(_) => join(servers, turn + 1, id).await,
            Ok(answer) => answer,
        };
        assert!(leads_to_node(&joined), "{joined:?}");
    }
    Some(internal_id)
}

/// Only the server that is killed may leave a call unanswered.
async fn ask(servers: &Servers, server: usize, kind: CallKind, query: &str) -> Result<Answer, Unanswered> {
    let answer = servers.ask(server, kind, query).await;
    assert!(answer.is_ok() || server % servers.count() == VICTIM, "{answer:?}");
    answer
}

/// Repeats unanswered creates on the other servers.
async fn finish(servers: &Servers, created: &mut Created) {
    let unfinished = created.iter_mut().filter(|(_, internal_id)| internal_id.is_none());
    join_all(unfinished.zip(SURVIVORS.into_iter().cycle()).map(|((id, internal_id), server)| {
        eventually("a create that was cut off can be repeated", async move || {
            let answer = servers.call(server, CallKind::Create, &creation(id)).await;
            *internal_id = answer.is_success().then(|| answer.field("internalMeetingID"));
            internal_id.is_some()
        })
    }))
    .await;
}

/// Every server that is left finds every meeting.
async fn are_found(servers: &Servers, created: &Created) {
    let questions = created.iter().flat_map(|meeting| SURVIVORS.map(|server| (server, meeting)));
    stream::iter(questions)
        .for_each_concurrent(AT_ONCE, async |(server, (id, internal_id))| {
            let internal_id = internal_id.as_ref().expect("it is created by now");
            assert!(finds(servers, server, id, internal_id).await, "server {server}, {id}");
        })
        .await;
}

/// Each meeting has a row that names its node, and is on that node alone, once copies are ended.
async fn have_one_place_each(servers: &Servers, created: &Created) {
    let rows = rows(servers).await;
    assert_eq!(rows.len(), MEETINGS);
    let mut places = vec![HashSet::new(); servers.nodes.len()];
    for row in &rows {
        assert_eq!((row.state, &row.internal_id), (MeetingState::Live, &created[row.meeting_id.as_ref()]), "{row:?}");
        places[home(servers, row)].insert(row.id.to_string());
    }
    for (number, place) in places.iter().enumerate() {
        let is_so = |node: &NodeState| {
            let there = node.meetings();
            there.len() == place.len() && there.iter().all(|meeting| place.contains(&meeting.meeting_id))
        };
        servers.until_node(number, "each meeting is on its node alone", is_so).await;
    }
}

/// A node takes a moment for each answer, so that creates are on their way whenever the server is killed.
#[tokio::test]
async fn no_acknowledged_create_is_lost_when_a_server_is_killed() {
    let node = NodeOptions { answer_delay: Duration::from_millis(20), ..Default::default() };
    let mut servers = Servers::start(B3SCALED, ServersOptions { nodes: 8, node, ..Default::default() }).await;
    let mut created = storm(&servers).await;
    assert!(created.values().any(Option::is_none), "there was something to lose");
    finish(&servers, &mut created).await;
    are_found(&servers, &created).await;
    have_one_place_each(&servers, &created).await;

    servers.restart(VICTIM).await;
    for id in created.keys() {
        eventually("it knows them all again", async || leads_to_node(&join(&servers, VICTIM, id).await)).await;
    }
}
