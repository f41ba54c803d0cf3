//! Maintenance.

use b3scale_support::{Running, output};
use serde_json::json;

use super::Site;
use super::registration::fails;

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
async fn a_change_that_only_operators_make_is_answered_with_their_command() {
    let site = Site::start().await;
    let why = "only operators enable a backend";
    let refusal = json!({ "error": "operators_only", "fields": { "admin_state": [why] }, "message": "no" });
    site.desk.known().refusal = Some((403, refusal));
    let host = site.desk.known().backend.as_ref().unwrap()["bbb"]["host"].as_str().unwrap().to_owned();
    for command in ["drain", "resume"] {
        let (code, said) = fails(site.command(&[command])).await;
        assert!(code == 1 && said.contains(why) && !said.contains("b3scaled token"), "{said}");
        assert!(said.ends_with(&format!("; ask an operator: `b3scalectl enable backend {host}`")), "{said}");
    }
    site.desk.known().refusal = Some((403, json!({ "message": "b3scale:node scope required" })));
    let (_, said) = fails(site.command(&["drain"])).await;
    assert!(said.contains("`b3scaled token --sub NODE --scopes b3scale:node`"), "{said}");
}

#[tokio::test]
async fn a_wrong_server_is_not_taken_for_one_that_does_not_know_the_node() {
    let site = Site::start().await;
    let mut command = site.command(&["drain"]);
    command.env("B3SCALE_API_URL", format!("{}/api/v1/", site.desk.url()));
    assert!(output(command).await.status.success(), "the path of the API may be there");
    let mut command = site.command(&["drain"]);
    command.env("B3SCALE_API_URL", site.node.url());
    let (code, said) = fails(command).await;
    assert!(code == 1 && said.ends_with("is this the URL of b3scale?"), "{said}");
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
