//! Starts of a server that fail, and starts where another ran.

use b3scale::ledger::Servers;
use b3scale_support::{Running, TestDatabase};
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use super::b3scaled;

/// A server that has been started at an address.
fn start(database: &TestDatabase, address: &str) -> Running {
    Running::logging(command(database, address))
}

fn command(database: &TestDatabase, address: &str) -> Command {
    let mut command = b3scaled(&["--listen", address]);
    command.env("B3SCALE_DB_URL", database.url()).env("B3SCALE_LOG_FORMAT", "structured");
    command
}

/// The lines that a server logs until it serves.
async fn logged_at_start(command: Command) -> Vec<Value> {
    let mut server = Running::logging(command);
    let mut lines = Vec::new();
    loop {
        let line: Value = serde_json::from_str(&server.line().await).expect("a structured line");
        if line.to_string().contains("b3scaled serves") {
            return lines;
        }
        lines.push(line);
    }
}

/// Waits until it serves, and says where.
async fn serving(server: &mut Running) -> String {
    let line: Value = serde_json::from_str(&server.line_with("b3scaled serves").await).expect("a structured line");
    line["listen"].as_str().expect("its address").to_owned()
}

/// Where the servers that are listed listen.
async fn listed(database: &TestDatabase) -> Vec<String> {
    let rows = database.store().load_servers().await.expect("they can be read");
    rows.into_iter().map(|row| row.server.address).collect()
}

#[tokio::test]
async fn a_start_that_fails_leaves_no_server_and_a_restart_is_no_second_one() {
    let database = TestDatabase::new().await;
    let mut first = start(&database, "127.0.0.1:0");
    let address = serving(&mut first).await;
    for _ in 0..2 {
        let mut rival = start(&database, &address);
        assert!(!rival.ended().await, "the address is taken");
        assert_eq!(listed(&database).await, [&*address]);
    }
    first.signal(Signal::KILL);
    first.ended().await;
    let mut restarted = start(&database, &address);
    serving(&mut restarted).await;
    assert_eq!(listed(&database).await, [&*address]);
}

#[tokio::test]
async fn a_variable_of_the_original_that_does_nothing_yet_is_warned_about_once() {
    let database = TestDatabase::new().await;
    let mut command = command(&database, "127.0.0.1:0");
    let idle = "B3SCALE_REVERSE_PROXY_MODE";
    command.env(idle, "true");
    let lines = logged_at_start(command).await;
    let names = lines.iter().filter_map(|line| line["name"].as_str());
    let warned: Vec<_> = names.filter(|name| name.starts_with("B3SCALE_")).collect();
    assert_eq!(warned, [idle]);
}
