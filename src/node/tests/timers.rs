//! Timers, on a clock that a test turns.

use std::time::Duration;

use tokio::time::Instant;

use super::{DEMO, get, node};
use crate::{Misbehaviour, Node, Role};

/// Turns the clock until no meeting is left and gives the minutes that took.
async fn minutes_until_gone(node: &Node) -> u64 {
    let start = Instant::now();
    tokio::time::pause();
    node.wait_until(|state| state.meetings().is_empty()).await;
    (start.elapsed() + Duration::from_secs(30)).as_secs() / 60
}

#[tokio::test]
async fn a_meeting_nobody_joins_goes_after_five_minutes() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    assert_eq!(minutes_until_gone(&node).await, 5);
}

#[tokio::test]
async fn a_meeting_goes_a_minute_after_the_last_has_left() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    let user = node.control().join("abc123", "Ada", Role::Viewer).expect("a meeting");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(node.meeting("abc123").expect("someone is there").running);
    tokio::time::resume();
    node.control().leave("abc123", &user);
    assert_eq!(minutes_until_gone(&node).await, 1);
}

#[tokio::test]
async fn a_meeting_lasts_no_longer_than_its_duration() {
    let node = node().await;
    get(&node, "create", &format!("{DEMO}&duration=10")).await;
    node.control().join("abc123", "Ada", Role::Viewer);
    assert_eq!(minutes_until_gone(&node).await, 10);
}

#[tokio::test]
async fn a_meeting_can_end_a_while_after_its_last_moderator_has_left() {
    let node = node().await;
    get(&node, "create", &format!("{DEMO}&endWhenNoModerator=true&endWhenNoModeratorDelayInMinutes=3")).await;
    let control = node.control();
    let ada = control.join("abc123", "Ada", Role::Moderator).expect("a meeting");
    control.join("abc123", "Alan", Role::Viewer);
    control.leave("abc123", &ada);
    let ada = control.join("abc123", "Ada", Role::Moderator).expect("a meeting");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(node.meeting("abc123").expect("a moderator is there").running);
    tokio::time::resume();
    control.leave("abc123", &ada);
    assert_eq!(minutes_until_gone(&node).await, 3);
}

#[tokio::test]
async fn create_may_set_the_minutes() {
    let node = node().await;
    get(&node, "create", &format!("{DEMO}&meetingExpireIfNoUserJoinedInMinutes=2")).await;
    assert_eq!(minutes_until_gone(&node).await, 2);
}

#[tokio::test]
async fn who_does_not_open_the_client_is_forgotten() {
    let node = node().await;
    get(&node, "create", &format!("{DEMO}&meetingExpireIfNoUserJoinedInMinutes=0")).await;
    get(&node, "join", "meetingID=abc123&fullName=Ada&role=VIEWER").await;
    tokio::time::pause();
    node.wait_until(|state| state.meeting("abc123").is_some_and(|meeting| meeting.expected == 0)).await;
    assert!(node.meeting("abc123").is_some());
}

#[tokio::test]
async fn the_end_of_a_meeting_is_told_to_both_addresses() {
    let (node, listener) = (node().await, node().await);
    let base = format!("http%3A%2F%2F{}%2Fbigbluebutton%2Fapi%3F", listener.address());
    get(&node, "create", &format!("{DEMO}&meetingEndedURL={base}lb%3D1&meta_endCallbackUrl={base}gl%3D1")).await;
    node.control().breakout("abc123", "Room 1");
    assert!(node.control().expire("abc123"));
    listener.wait_until(|state| state.calls_seen() == 2).await;
    let mut targets: Vec<_> = listener.calls().into_iter().map(|call| call.target).collect();
    targets.sort();
    let expected = ["gl=1&recordingmarks=false&meetingID=abc123", "lb=1"];
    assert_eq!(targets, expected.map(|query| format!("/bigbluebutton/api?{query}")));
}

#[tokio::test(start_paused = true)]
async fn the_end_is_told_again_until_it_is_heard() {
    let (node, listener) = (node().await, node().await);
    listener.misbehave_once("index", Misbehaviour::Status(503));
    listener.misbehave_once("index", Misbehaviour::CutConnection);
    let url = format!("http%3A%2F%2F{}%2Fbigbluebutton%2Fapi", listener.address());
    get(&node, "create", &format!("{DEMO}&meetingEndedURL={url}")).await;
    node.control().expire("abc123");
    listener.wait_until(|state| state.calls_seen() == 3).await;
}
