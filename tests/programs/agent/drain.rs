//! Maintenance.

use b3scale_support::{Running, output};
use serde_json::json;

use super::Site;

#[tokio::test]
async fn a_node_is_drained_and_put_back() {
    let site = Site::start().await;
    let wanted = |state: &str| json!({ "admin_state": state });
    let drained = output(site.command(&["drain"])).await;
    assert_eq!(String::from_utf8_lossy(&drained.stdout), "This node takes no new meetings. There are 2 on it.\n");
    let resumed = output(site.command(&["resume"])).await;
    assert_eq!(String::from_utf8_lossy(&resumed.stdout), "This node takes meetings.\n");
    assert!(drained.status.success() && resumed.status.success());
    let changes: Vec<_> = site.desk.known().changes.drain(..).map(|(_, body)| body).collect();
    assert_eq!(changes, [wanted("stopped"), wanted("ready")]);
}

#[tokio::test]
async fn draining_waits_for_the_last_meeting_if_it_is_told_to() {
    let site = Site::start().await;
    let mut waiting = Running::start(site.command(&["drain", "--wait"]));
    assert_eq!(waiting.line().await, "This node takes no new meetings. There are 2 on it.");
    site.desk.known().backend.as_mut().unwrap()["meetings_count"] = json!(1);
    assert_eq!(waiting.line().await, "1 left.");
    // A server that restarts meanwhile is waited for, too.
    site.desk.away().await;
    site.desk.back().await;
    site.desk.known().backend.as_mut().unwrap()["meetings_count"] = json!(0);
    assert_eq!(waiting.line().await, "0 left.");
    assert!(waiting.ended().await);
}
