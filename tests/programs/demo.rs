//! `b3scaled demo`.

use std::fs;
use std::process::Stdio;

use b3scale_support::{Running, TestFolder, kill, output, servers, still_running, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::b3scaled;
use super::pipeline::{PIPELINE, without_route};

/// A demo on a free port.
fn demo(arguments: &[&str]) -> Command {
    b3scaled(&[&["demo", "--listen", "127.0.0.1:0"], arguments].concat())
}

#[tokio::test]
async fn a_lesson_is_played_and_told_as_a_table() {
    let output = output(demo(&["--once", "--nodes", "3", "--meetings", "6"])).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.ends_with("steps came out as they should.\n") && !text.contains('✗'), "{text}");
    let told = [
        "school    record ",
        "school    getRecordings ",
        "school    playback ",
        "school    callback ",
        "school    webhook ",
        "school    drain ",
        "school    hang node ",
        "cluster   kill server ",
        "cluster   kill node ",
        "cluster   meanwhile ",
    ];
    assert!(told.iter().all(|step| text.contains(&format!("  ✓ {step}"))), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing is wrong that a reader should hear of");
    // Of six meetings the school has three, on two of the nodes; the third node is the ministry's.
    assert!(text.lines().any(|line| line.split_whitespace().eq(["node-3", "office", "0", "3", "6"])), "{text}");
    let is_link = |line: &str| line.starts_with("http://127.0.0.1:") && line.contains("/playback/presentation/2.3/");
    assert_eq!(text.lines().filter(|line| is_link(line)).count(), 1, "{text}");
    assert!(text.lines().all(|line| is_link(line) || line.chars().count() <= 80), "{text}");
}

#[tokio::test]
async fn a_pipeline_that_breaks_the_lesson_fails_it() {
    let folder = TestFolder::new();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, without_route(PIPELINE, "join")).unwrap();
    let mut command = demo(&["--once", "--nodes", "2", "--meetings", "2"]);
    command.env("B3SCALE_PIPELINE", &file);
    let output = output(command).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let mut lines = text.lines().skip_while(|line| !line.contains("✗ school    join"));
    assert!(lines.next().is_some_and(|line| line.ends_with("expected a redirect to node-1")), "{text}");
    assert!(lines.next().is_some_and(|line| line.contains("came     lesson-1: HTTP 200, FAILED unsupportedRequest")));
    assert!(!text.contains("hang node"), "later steps would wait for joins that never come: {text}");
}

#[tokio::test]
async fn a_server_that_does_not_start_is_quoted() {
    let mut command = demo(&["--once"]);
    command.env("B3SCALE_PIPELINE", "/nowhere/pipeline.toml");
    let output = output(command).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("server-1 has ended") && text.contains("/nowhere/pipeline.toml"), "{text}");
}

#[tokio::test]
async fn programs_read_one_object_and_nothing_outlives_the_demo() {
    let folder = TestFolder::new();
    let mut demo = Running::start(demo(&["--json", "--https-nodes", "--data-dir", folder.path().to_str().unwrap()]));
    let object: Value = serde_json::from_str(&demo.line().await).unwrap();
    assert!(object["api"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(object["token"].as_str().unwrap().split('.').count(), 3);
    let entries = |list: &str, name: &str| -> Vec<String> {
        let list = object[list].as_array().unwrap().iter();
        list.map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(entries("frontends", "key"), ["school", "ministry"]);
    assert!(entries("frontends", "url").iter().all(|url| url.ends_with("/bigbluebutton/api/")));
    assert_eq!(entries("backends", "secret").len(), 4);
    assert!(entries("backends", "url").iter().all(|url| url.starts_with("https://127.0.0.1:")));

    let started = demo.descendants();
    // And PostgreSQL with its own.
    assert!(servers(&started).len() == 3 && started.len() > 4, "{started:?}");
    assert!(demo.terminate().await, "it ends in order");
    assert_eq!(demo.line().await, "", "it printed one object and nothing else");
    assert_eq!(still_running(&started), Vec::<String>::new());
    assert!(!folder.path().join("pgdata/postmaster.pid").exists());
    let logs = ["server-1.log", "server-2.log", "server-3.log"];
    assert!(logs.iter().all(|log| folder.path().join(log).exists()), "a chosen folder is kept");
}

#[tokio::test]
async fn a_demo_ends_quietly_by_hand_and_when_its_reader_leaves() {
    let mut demo = demo(&["--json", "--nodes", "2"]);
    let mut running = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    assert!(within("it is ready", lines.next_line()).await.unwrap().is_some());
    kill_process(Pid::from_raw(running.id().unwrap().cast_signed()).unwrap(), Signal::TERM).unwrap();
    let output = within("it ends", running.wait_with_output()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let running = b3scaled(&["demo", "--listen", "127.0.0.1:0", "--nodes", "2"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = within("it ends", running.wait_with_output()).await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[tokio::test]
async fn a_demo_ends_if_any_of_its_servers_does() {
    let mut demo = Running::start(demo(&["--json"]));
    assert!(!demo.line().await.is_empty(), "it is ready");
    let started = demo.descendants();
    kill(*servers(&started).last().unwrap());
    assert_eq!(demo.end().await.code(), Some(1));
    assert_eq!(still_running(&started), Vec::<String>::new());
}

#[tokio::test]
async fn a_demo_that_goes_on_says_how_to_go_on() {
    let mut demo = Running::start(demo(&["--nodes", "2", "--meetings", "2"]));
    let mut text = String::new();
    while !text.contains("The logs of the servers are in ") {
        let line = demo.line().await;
        text.push_str(&line);
        text.push('\n');
    }
    assert!(text.contains("All 30 steps came out as they should."), "{text}");
    assert!(text.contains("no node is drained or killed"), "{text}");
    assert_eq!(servers(&demo.descendants()).len(), 3, "the one that was killed is there again");
    assert!(text.lines().any(|line| line.starts_with("curl 'http") && line.contains("/isMeetingRunning?")), "{text}");
    assert!(demo.terminate().await, "a lesson that went well and a demo that was ended are no failure");
}
