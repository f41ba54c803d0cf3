//! Reports while nothing is wrong.

use std::fs;

use b3scale::rest::{AttendeeChange, Event};
use b3scale_node::{Media, NodeOptions, Role, TestAuthority};
use b3scale_support::TestRedis;
use serde_json::json;

use super::desk::{Desk, Fate};
use super::{Agent, Site, TOKEN};
use crate::manager::Manager;

/// Events of a batch at most.
const LARGEST: usize = 500;

#[tokio::test]
async fn the_first_word_is_a_picture_and_then_come_events_in_order() {
    let site = Site::start().await;
    let control = site.node.control();
    let meeting = control.create("lesson");
    let early = site.join("lesson", 2);
    let _agent = site.agent(&[]);
    site.until_followed().await;
    assert!(site.desk.known().batches[0].snapshot.is_some());
    site.desk.known().batches.clear();

    let late = site.join("lesson", 1200);
    assert!(control.leave("lesson", &early[0]));
    site.until_known("1200 people more and one less").await;
    let batches = site.desk.known().batches.clone();
    assert!(batches.iter().all(|batch| batch.events.len() <= LARGEST && batch.redis_connected));
    assert!(batches.is_sorted_by(|one, next| one.boot == next.boot && one.seq + 1 == next.seq));
    let joined = batches.iter().flat_map(|batch| &batch.events).filter_map(|event| match event {
        Event::AttendeeJoined { meeting: of, attendee } if *of == meeting => Some(attendee.internal_id.clone()),
        _ => None,
    });
    assert!(joined.eq(late), "everybody is told of once, in the order in which they came");
}

#[tokio::test]
async fn changes_are_told_with_what_is_another() {
    let site = Site::start().await;
    let _agent = site.agent(&[]);
    site.desk
        .until("a report", |known| known.batches.iter().any(|batch| batch.snapshot.is_some() && batch.redis_connected))
        .await;
    let control = site.node.control();
    let meeting = control.create("lesson");
    let ada = site.join("lesson", 1).remove(0);
    let media = Media { voice: true, video: true, ..Media::default() };
    assert!(control.media("lesson", &ada, media) && control.role("lesson", &ada, Role::Moderator));
    assert!(control.present("lesson", &ada) && control.record("lesson", true));
    assert!(control.media("lesson", &ada, Media::default()) && control.expire("lesson"));
    let is_end = |event: &Event| matches!(event, Event::MeetingEnded { .. });
    site.desk.until("the end", |known| known.batches.iter().flat_map(|batch| &batch.events).any(is_end)).await;

    let known = site.desk.known();
    let told: Vec<_> = known.batches.iter().flat_map(|batch| batch.events.clone()).collect();
    let change = |change| Event::AttendeeChanged { meeting: meeting.clone(), attendee: ada.clone(), change };
    let nothing = AttendeeChange::default();
    let expected = [
        change(AttendeeChange { joined_voice: Some(true), ..nothing }),
        change(AttendeeChange { has_video: Some(true), ..nothing }),
        change(AttendeeChange { moderator: Some(true), ..nothing }),
        change(AttendeeChange { presenter: Some(true), ..nothing }),
        Event::RecordingChanged { meeting: meeting.clone(), recording: true },
        change(AttendeeChange { joined_voice: Some(false), ..nothing }),
        change(AttendeeChange { has_video: Some(false), ..nothing }),
        Event::MeetingEnded { meeting: meeting.clone() },
    ];
    assert!(matches!(&told[0], Event::MeetingCreated { meeting } if meeting.id == "lesson" && !meeting.breakout));
    assert!(matches!(&told[1], Event::AttendeeJoined { attendee, .. } if attendee.full_name == "Ada"));
    assert_eq!(told[2..], expected);
}

#[tokio::test]
async fn breakouts_are_meetings_and_people_in_them_are_counted_once() {
    let site = Site::start().await;
    let control = site.node.control();
    control.create("lesson");
    let breakout = control.breakout("lesson", "group 1").unwrap();
    site.join("lesson", 2);
    site.join(&breakout, 1);
    let _agent = site.agent(&[]);
    site.until_known("both meetings").await;
    site.desk.until("figures", |known| known.batches.last().is_some_and(|batch| batch.node.attendees == 2)).await;
    assert_eq!(site.desk.known().batches.last().unwrap().node.meetings, 2);
}

#[tokio::test]
async fn nothing_to_report_still_beats_and_tells_how_the_machine_fares() {
    let site = Site::start().await;
    let _agent = site.agent(&[]);
    site.desk.until("some beats", |known| known.batches.len() >= 4).await;
    let last = site.desk.known().batches.pop().unwrap();
    assert!(last.events.is_empty() && last.snapshot.is_none());
    assert!(last.node.memory > 0.0 && last.node.memory < 1.0, "{:?}", last.node);
}

#[tokio::test]
async fn a_picture_is_sent_whenever_the_server_wants_one() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let _agent = site.agent(&[]);
    site.until_followed().await;
    site.desk.known().fates.push_back(Fate::SnapshotWanted);
    site.desk.known().batches.clear();
    site.desk.until("another", |known| known.batches.iter().any(|batch| batch.snapshot.is_some())).await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_passed_over() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let agent = site.agent(&[]);
    site.until_followed().await;
    let nobody =
        json!({ "envelope": { "name": "UserJoinedMeetingEvtMsg" }, "core": { "body": { "name": "Ada Lovelace" } } });
    let unknown = json!({ "envelope": { "name": "UserTypingEvtMsg" }, "core": 7 });
    for message in ["{\"envelope\":", "\u{1f600}", "[]", &nobody.to_string(), &unknown.to_string()] {
        site.redis.run(&["PUBLISH", "from-akka-apps-redis-channel", message]).await;
    }
    site.join("lesson", 1);
    site.until_known("who came afterwards").await;
    agent.log.line_with("Skipping an unreadable message of BBB").await;
    assert!(!agent.log.last_words().contains("Lovelace"));
}

#[tokio::test]
async fn a_node_may_have_a_certificate_of_a_private_authority() {
    let authority = TestAuthority::new().unwrap();
    let options = NodeOptions { tls: Some(authority.server_config().unwrap()), ..NodeOptions::default() };
    let site = Site::of(options, TestRedis::start().await, Desk::start(TOKEN, true).await, "").await;
    site.node.control().create("lesson");
    let agent = site.agent(&[]);
    let line = agent.log.line_with("Listing the node's meetings failed").await;
    assert!(line.contains("UnknownIssuer"), "{line}");
    drop(agent);
    let file = site.folder.path().join("ca.pem");
    fs::write(&file, authority.pem()).unwrap();
    let mut command = site.command(&[]);
    command.env("B3SCALE_NODE_CA_FILE", &file);
    let _agent = Agent::start(command);
    site.until_known("a snapshot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_one_algorithm_only_is_asked_with_that() {
    let options = NodeOptions { checksum_digits: Some(40), ..NodeOptions::default() };
    let site = Site::of(options, TestRedis::start().await, Desk::start(TOKEN, true).await, "").await;
    site.node.control().create("lesson");
    let _agent = site.agent(&[]);
    site.until_known("a snapshot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_that_it_reports_that_it_lives_and_that_it_goes() {
    let (site, manager) = (Site::start().await, Manager::new());
    let mut command = site.command(&[]);
    manager.manages(&mut command);
    let mut agent = Agent::start(command);
    assert_eq!(manager.heard_next(), "READY=1\n");
    assert_eq!(manager.heard(), "WATCHDOG=1\n");
    assert!(agent.running.terminate().await);
    assert_eq!(manager.heard_next(), "STOPPING=1\n");
}
