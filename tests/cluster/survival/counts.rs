//! How often a call waits for PostgreSQL, counted on the wire.

use b3scale::ledger::{Announcements, Change, Feed};
use b3scale_middleware::bbb::CallKind;
use b3scale_node::Misbehaviour;
use b3scale_support::{Mark, RoundTrip, Servers, ServersOptions, new_frontend, within};

use super::B3SCALED;
use super::calls::{create, info, join, leads_to_node, running};

/// What servers ask from time to time, whether or not they are called.
const PERIODIC: [&str; 37] = [
    "SET ending_until",
    "DELETE FROM meeting_copies WHERE",
    "DELETE FROM meeting_history WHERE",
    "DELETE FROM commands",
    "DELETE FROM servers",
    "state = 'detached' AND updated_at",
    "AND claim = ANY($1)",
    "backend_status",
    "INSERT INTO servers",
    "INSERT INTO duties",
    "UPDATE duties",
    "WITH RECURSIVE heads",
    "AS is_waiting FROM jobs",
    "DELETE FROM jobs WHERE poisoned_at",
    "pg_notify('b3scale', 'echo:'",
    "AND claimed_at < now()",
    "AND is_lost(claimed_by",
    "SELECT copies.* FROM meeting_copies",
    "DELETE FROM backends",
    "DELETE FROM seats WHERE expires_at",
    "DELETE FROM agents",
    "DELETE FROM attendees",
    "DELETE FROM node_meetings",
    "DELETE FROM meeting_callbacks",
    "DELETE FROM recording_imports",
    "DELETE FROM deliveries",
    "SELECT queue_end(",
    "FROM deliveries WHERE state = 'waiting'",
    "SELECT coalesce(tell_hooks(",
    "WITH idle AS (",
    "WITH old AS (",
    "DELETE FROM hook_events",
    "coalesce(max(behind), 0) AS lag",
    "settings->'webhooks' AS webhooks",
    "SELECT * FROM hooks WHERE permanent",
    "SELECT hooks.id, key, meeting_id FROM hooks",
    "DELETE FROM hooks USING",
];

/// Statements by which a server follows announcements and possible changes.
const FOLLOWING: [&str; 2] = ["SELECT * FROM meetings WHERE id = ANY($1)", "SELECT * FROM frontends WHERE id = $1"];

const CREATES: usize = 5;

/// Servers with one connection each, on which every statement of a create is prepared.
async fn warm(servers: usize, nodes: usize) -> Servers {
    let servers =
        Servers::start(B3SCALED, ServersOptions { servers, nodes, connections: 1, ..Default::default() }).await;
    for server in 0..servers.count() {
        create(&servers, server, &format!("warm{server}")).await;
    }
    servers.followed().await;
    servers
}

/// Statements of a server since then, without periodic ones. Preparing a statement takes one more round trip, once.
fn asked(servers: &Servers, server: usize, mark: Mark) -> Vec<RoundTrip> {
    let trips = servers.relays[server].since(mark).into_iter();
    let periodic = |trip: &RoundTrip| PERIODIC.iter().any(|sql| trip.sql.contains(sql));
    trips.filter(|trip| !trip.only_prepares && !periodic(trip)).collect()
}

#[tokio::test]
async fn a_scrape_asks_no_database() {
    let servers = warm(1, 2).await;
    let mark = servers.relays[0].mark();
    for _ in 0..5 {
        let page = servers.fetch(0, "/metrics").await.expect("an answer");
        assert!(page.text.contains("b3scale_meeting_attendees"), "{page:?}");
    }
    assert!(asked(&servers, 0, mark).is_empty());
}

/// Counts the announcements of meetings until now.
async fn announced(servers: &Servers, feed: &mut Feed) -> usize {
    let last = servers.store.frontends().record(&new_frontend("last")).await.expect("a frontend").id;
    let mut meetings = 0;
    loop {
        match within("an announcement", feed.recv()).await.expect("the feed goes on") {
            Change::Frontend(id) if id == last => return meetings,
            Change::Meeting(_) => meetings += 1,
            _ => {}
        }
    }
}

/// How often one server waits in creates that are made there one after the other, and how much that announces.
async fn cost(servers: &Servers, creates: usize) -> (usize, usize) {
    let mut feed = servers.store.feed();
    assert_eq!(feed.recv().await, Some(Change::Reconnected));
    let mark = servers.relays[0].mark();
    for number in 0..creates {
        create(servers, 0, &format!("m{number}")).await;
    }
    let announced = announced(servers, &mut feed).await;
    servers.followed().await;
    let own = asked(servers, 0, mark).into_iter().filter(|trip| !FOLLOWING.contains(&&*trip.sql));
    (own.count(), announced)
}

#[tokio::test]
async fn calls_for_what_a_server_knows_never_wait_for_the_database() {
    let servers = warm(2, 2).await;
    for server in 0..servers.count() {
        // Results of creates are not announced: another server looks each meeting up once.
        for meeting in ["warm0", "warm1"] {
            info(&servers, server, meeting).await.success();
        }
        let mark = servers.relays[server].mark();
        assert!(leads_to_node(&join(&servers, server, "warm0").await));
        running(&servers, server, "warm0").await.success();
        info(&servers, server, "warm0").await.success();
        let list = servers.call(server, CallKind::GetMeetings, "").await.success();
        assert!(list.text.contains("warm0"), "{list:?}");
        let nobody = servers.call_as("nobody", server, CallKind::GetMeetings, "").await;
        let forged = "/bbb/school/bigbluebutton/api/isMeetingRunning?meetingID=warm0&checksum=00";
        let forged = servers.fetch(server, forged).await.expect("an answer");
        assert_eq!([nobody.failed(), forged.failed()], ["checksumError", "checksumError"]);
        assert_eq!(asked(&servers, server, mark), []);
    }
}

#[tokio::test]
async fn a_create_waits_twice_for_the_database_and_announces_once() {
    let servers = warm(1, 2).await;
    assert_eq!(cost(&servers, CREATES).await, (2 * CREATES, CREATES));
}

#[tokio::test]
async fn a_node_that_fails_costs_a_create_one_wait_more() {
    let servers = warm(1, 2).await;
    let empty = servers.nodes.iter().find(|node| node.meetings().is_empty()).expect("there is one meeting");
    // The least loaded node is asked first. It answers its health check.
    empty.misbehave_on("create", Misbehaviour::CutConnection);
    assert_eq!(cost(&servers, 1).await, (3, 2));
}
