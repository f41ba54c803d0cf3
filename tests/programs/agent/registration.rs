//! How a node becomes known, and what keeps an agent from starting.

use std::fs;

use b3scale_support::{TestRedis, output};
use serde_json::json;

use super::desk::Desk;
use super::{Site, TOKEN};
use crate::ctl::samples::BACKEND;
use crate::manager::Manager;

async fn unknown() -> Site {
    Site::with(TestRedis::start().await, Desk::start(TOKEN, false).await, "").await
}

/// The one line of an agent that ends at once, and its exit code.
pub(super) async fn fails(command: tokio::process::Command) -> (i32, String) {
    let output = output(command).await;
    let said = String::from_utf8(output.stderr).unwrap();
    let said = said.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n");
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn a_new_node_is_registered_and_waits_to_be_enabled() {
    for flag in ["-a", "-register", "--register"] {
        let site = unknown().await;
        let mut command = site.command(&[flag]);
        command.env("B3SCALE_LOAD_FACTOR", "1.5");
        let agent = super::Agent::start(command);
        agent.log.line_with("This node is registered").await;
        let bbb = json!({ "host": site.node.url(), "secret": site.node.secret() });
        let body = json!({ "bbb": bbb, "load_factor": 1.5, "admin_state": "init" });
        assert_eq!(site.desk.known().changes, [("POST /api/v1/backends".to_owned(), body)]);
        site.desk.until("a report", |known| !known.batches.is_empty()).await;
        assert!(!agent.log.last_words().contains(site.node.secret()));
    }
}

/// The original's agent sent host and secret under a key that no server reads.
#[tokio::test]
async fn a_known_node_is_brought_up_to_date() {
    let site = Site::start().await;
    let mut agent = site.agent(&["-a"]);
    agent.log.line_with("Reporting for this node").await;
    let body = json!({ "bbb": { "host": site.node.url(), "secret": site.node.secret() } });
    assert_eq!(site.desk.known().changes, [(format!("PATCH /api/v1/backends/{BACKEND}"), body)]);
    assert!(agent.running.terminate().await, "it ends in order");
}

#[tokio::test]
async fn an_unknown_node_is_not_registered_unasked() {
    let site = unknown().await;
    let (code, said) = fails(site.command(&[])).await;
    let expected = format!("{} does not know this node; register it with `b3scaleagent --register`", site.desk.url());
    assert_eq!((code, said), (1, expected));
}

/// Otherwise it would run on and report nothing, and systemd would call it well.
#[tokio::test]
async fn a_start_that_a_server_refuses_ends_with_the_reason_and_never_says_that_it_reports() {
    let message = |message: &str| json!({ "message": message });
    for (status, answer, expected) in [
        (400, message("host"), "refused (400 Bad Request): message: host"),
        (403, message("b3scale:node scope required"), "scope required; `b3scaled token --sub NODE"),
        (403, json!({ "error": "operators_only", "message": "moved" }), "message: moved; ask an operator"),
        (409, message("another agent"), "refused (409 Conflict): message: another agent"),
    ] {
        let site = unknown().await;
        site.desk.known().refusal = Some((status, answer));
        never_ready(site.command(&["--register"]), expected).await;
    }
    let site = unknown().await;
    let mut command = site.command(&["--register"]);
    command.env("B3SCALE_API_ACCESS_TOKEN", "d.e.f");
    never_ready(command, "not authorized (401): message: invalid or expired jwt; `b3scaled token").await;
    for (url, expected) in [
        (site.desk.url().replace("http:", "https:"), "whether the URL should begin with http://"),
        (site.node.url(), "is this the URL of b3scale?"),
    ] {
        let mut command = site.command(&["--register"]);
        command.env("B3SCALE_API_URL", url);
        never_ready(command, expected).await;
    }
}

/// An agent that ends at once with this reason, and has not called itself ready.
async fn never_ready(mut command: tokio::process::Command, expected: &str) {
    let manager = Manager::new();
    manager.manages(&mut command);
    let ended = output(command).await;
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(1) && log.lines().last().unwrap().contains(expected), "{log}");
    assert!(!log.contains("b3scaleagent reports"), "{log}");
    assert!(!manager.heard_so_far().contains(&"READY=1\n".to_owned()));
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    let site = unknown().await;
    site.desk.away().await;
    let agent = site.agent(&["--register"]);
    agent.log.line_with("Reporting failed").await;
    assert!(!agent.log.last_words().contains("b3scaleagent reports"));
    site.desk.back().await;
    agent.log.line_with("b3scaleagent reports").await;
    site.until_followed().await;
}

#[tokio::test]
async fn what_an_agent_lacks_is_said_in_one_line() {
    let site = unknown().await;
    let mut command = site.command(&[]);
    command.env("BBB_CONFIG", "/nowhere.properties");
    let (code, said) = fails(command).await;
    assert!(code == 1 && said.starts_with("/nowhere.properties cannot be read:"), "{said}");

    fs::write(site.properties(), "bigbluebutton.web.serverURL=https://node.example\n").unwrap();
    let (code, said) = fails(site.command(&[])).await;
    assert!(code == 1 && said.contains("has no securitySalt"), "{said}");

    let mut command = site.command(&[]);
    command.env_remove("B3SCALE_API_ACCESS_TOKEN").env("B3SCALE_API_TOKEN_FILE", "/nowhere/jwt");
    command.env("BBB_CONFIG", "/dev/null");
    let (code, said) = fails(command).await;
    assert!(code == 1 && said.lines().count() == 1, "{said}");

    let mut command = site.command(&[]);
    command.env("B3SCALE_LOAD_FACTOR", "heavy");
    let (code, said) = fails(command).await;
    assert_eq!(
        (code, &*said),
        (1, "B3SCALE_LOAD_FACTOR=`heavy`: it is no number from 0.1 to 10; a number such as 1.0 is wanted")
    );

    let (code, said) = fails(site.command(&["--regster"])).await;
    assert!(code == 2 && said.contains("--regster"), "{said}");
}
