//! The node over a socket, asked by a client that knows nothing but bytes.

mod callbacks;
mod failing;
mod joining;
mod meetings;
mod recordings;
mod timers;
mod wire;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::checksum::digest;
use super::{Node, NodeOptions};

const SECRET: &str = "639259d4-9dd8-4b25-bf01-95f9567eaf4b";
const NOW: u64 = 1_700_000_000_000;
/// SHA-1 of `abc123`, and the time.
const INTERNAL: &str = "6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000";
const DEMO: &str = "name=Demo+room&meetingID=abc123&attendeePW=ap&moderatorPW=mp&voiceBridge=71234";

/// An answer, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(": ").is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        self.head.lines().find(|line| of(line)).map(|line| line.split_once(": ").expect("found by its colon").1)
    }

    /// The text of the first element with this name.
    fn text(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text)
    }

    /// Asserts a document, without regard to white space between elements.
    fn is(&self, document: &str) {
        assert_eq!(self.status, 200);
        assert_eq!(self.header("content-type"), Some("text/xml;charset=utf-8"));
        assert_eq!(compressed(&self.body), compressed(document));
    }

    fn refuses(&self, key: &str, message: &str) {
        self.is(&format!(
            "<response><returncode>FAILED</returncode><messageKey>{key}</messageKey><message>{message}</message></response>"
        ));
    }
}

fn compressed(document: &str) -> String {
    document.lines().map(str::trim).collect()
}

/// The world of the reference: its secret, its clock, its host.
async fn node() -> Node {
    node_with(|_| {}).await
}

async fn node_with(change: impl FnOnce(&mut NodeOptions)) -> Node {
    let mut options = NodeOptions {
        secret: SECRET.to_owned(),
        frozen_clock: Some(NOW),
        public_url: Some("https://bbb.example".to_owned()),
        // So long that nothing ends behind the back of a slow test.
        end_delay: Duration::from_secs(3600),
        ..NodeOptions::default()
    };
    change(&mut options);
    Node::start(options).await.expect("a free port on the loopback")
}

fn signed(call: &str, query: &str) -> String {
    let checksum = digest(64, &[call, query, SECRET]).expect("sha256");
    let joint = if query.is_empty() { "" } else { "&" };
    format!("/bigbluebutton/api/{call}?{query}{joint}checksum={checksum}")
}

async fn get(node: &Node, call: &str, query: &str) -> Answer {
    ask(node, "GET", &signed(call, query), &[], b"").await
}

async fn post(node: &Node, call: &str, query: &str, content: &str, body: &[u8]) -> Answer {
    ask(node, "POST", &signed(call, query), &[&format!("Content-Type: {content}")], body).await
}

async fn ask(node: &Node, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Answer {
    let bytes = exchange(node, method, target, headers, body).await;
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// All bytes the node sends before it closes.
async fn exchange(node: &Node, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(node.address()).await.expect("a listening node");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: bbb.example\r\nConnection: close\r\n{headers}{length}\r\n");
    stream.write_all(head.as_bytes()).await.expect("a head is read");
    // A node that refuses a body may close before it has come.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}
