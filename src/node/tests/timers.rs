//! What happens by itself, on a clock that a test turns.

use std::time::Duration;

use tokio::time::Instant;

use super::{DEMO, get, node};
use crate::node::{Node, Role};

/// Waits until no meeting is left and gives the time that took.
async fn gone_after(node: &Node, since: Instant) -> Duration {
    node.wait_until(|state| state.meetings().is_empty()).await;
    Duration::from_secs(since.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_meeting_nobody_joins_goes_after_five_minutes() {
    let (node, start) = (node().await, Instant::now());
    get(&node, "create", DEMO).await;
    assert_eq!(gone_after(&node, start).await, Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn a_meeting_goes_a_minute_after_the_last_has_left() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    let user = node.control().join("abc123", "Ada", Role::Viewer).expect("a meeting");
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(node.meeting("abc123").expect("someone is there").running);
    node.control().leave("abc123", &user);
    assert_eq!(gone_after(&node, Instant::now()).await, Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_meeting_lasts_no_longer_than_its_duration() {
    let (node, start) = (node().await, Instant::now());
    get(&node, "create", &format!("{DEMO}&duration=10")).await;
    node.control().join("abc123", "Ada", Role::Viewer);
    assert_eq!(gone_after(&node, start).await, Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn create_may_set_the_minutes() {
    let (node, start) = (node().await, Instant::now());
    get(&node, "create", &format!("{DEMO}&meetingExpireIfNoUserJoinedInMinutes=2")).await;
    assert_eq!(gone_after(&node, start).await, Duration::from_secs(120));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_open_the_client_is_forgotten() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    get(&node, "join", "meetingID=abc123&fullName=Ada&role=VIEWER").await;
    let start = Instant::now();
    node.wait_until(|state| state.meeting("abc123").is_some_and(|meeting| meeting.expected == 0)).await;
    assert_eq!(start.elapsed().as_secs(), 45);
}
