//! The pipeline file of `b3scaled`: checked before a start, and read again by a server that runs.

use std::fs;
use std::path::Path;

use b3scale_support::{Running, TestDatabase, TestFolder, output};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::b3scaled;

/// The pipeline that is shipped.
pub(crate) const PIPELINE: &str = include_str!("../../pipeline.toml");

/// A pipeline without one of its routes.
pub(crate) fn without_route(pipeline: &str, call: &str) -> String {
    let (before, rest) = pipeline.split_once(&format!("[routes.{call}]")).expect("there is such a route");
    let (_, after) = rest.split_once("\n[").expect("another follows");
    format!("{before}[{after}")
}

/// The shipped pipeline with an unknown stage.
fn misspelt() -> String {
    PIPELINE.replacen("\"meeting-scope\"", "\"meeting-scoop\"", 1)
}

fn with_pipeline(file: &Path, arguments: &[&str]) -> Command {
    let mut command = b3scaled(&[&["--pipeline", file.to_str().expect("it is text")], arguments].concat());
    command.env("B3SCALE_LOG_FORMAT", "structured");
    command
}

#[tokio::test]
async fn a_right_pipeline_is_printed_and_nothing_is_wrong() {
    let folder = TestFolder::new();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, PIPELINE).unwrap();
    for command in [b3scaled(&["--check"]), with_pipeline(&file, &["--check"])] {
        let output = output(command).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("backend-select") && text.contains("getMeetings"), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_pipeline_is_shown_with_what_is_wrong_and_where() {
    let folder = TestFolder::new();
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, misspelt()).unwrap();
    let output = output(with_pipeline(&file, &["--check"])).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{text}");
    assert!(text.contains("meeting-scoop") && text.contains("^^^^") && text.contains("meeting-scope"), "{text}");
    assert!(text.contains(&file.display().to_string()), "{text}");
}

#[tokio::test]
async fn a_hangup_takes_a_right_pipeline_over_and_leaves_the_old_one_before_a_wrong_one() {
    let (folder, database) = (TestFolder::new(), TestDatabase::new().await);
    let file = folder.path().join("pipeline.toml");
    fs::write(&file, PIPELINE).unwrap();
    let mut command = with_pipeline(&file, &["--listen", "127.0.0.1:0"]);
    command.env("B3SCALE_DB_URL", database.url()).env("B3SCALE_DRAIN_DELAY", "0");
    let mut server = Running::logging(command);
    let started: Value = serde_json::from_str(&server.line_with("b3scaled serves").await).unwrap();
    let address = started["listen"].as_str().unwrap();
    assert_eq!(sessions(address).await, "checksumError", "there is a route");

    fs::write(&file, misspelt()).unwrap();
    server.signal(Signal::HUP);
    let refused = server.line_with("Pipeline reload refused").await;
    assert!(refused.contains("meeting-scoop"), "{refused}");
    assert_eq!(sessions(address).await, "checksumError", "the route is still there");

    fs::write(&file, without_route(PIPELINE, "getSessions")).unwrap();
    server.signal(Signal::HUP);
    let reloaded: Value = serde_json::from_str(&server.line_with("Pipeline reloaded").await).unwrap();
    assert_ne!(reloaded["hash"], started["hash"]);
    assert_eq!(sessions(address).await, "unsupportedRequest");
    assert!(server.terminate().await, "it ends in order");
}

/// A server's answer to an unsigned getSessions.
pub(crate) async fn sessions(address: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it takes connections");
    let head =
        "GET /bbb/school/bigbluebutton/api/getSessions?checksum=00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the request is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the answer is text");
    let (_, rest) = answer.split_once("<messageKey>").expect("a document that says FAILED");
    rest.split('<').next().unwrap_or_default().to_owned()
}
