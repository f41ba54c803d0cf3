//! The node going wrong as told, TLS, and its end.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{DEMO, ask, exchange, get, node, node_with, signed};
use crate::{Misbehaviour, Node, NodeOptions, TestAuthority};

async fn cut(node: &Node) -> String {
    String::from_utf8(exchange(node, "GET", &signed("create", DEMO), &[], b"").await).expect("text")
}

#[tokio::test]
async fn wrong_answers_come_as_told_and_do_nothing() {
    let node = node().await;
    let cases = [
        (Misbehaviour::Status(502), 502, "text/html;charset=utf-8"),
        (Misbehaviour::Html, 200, "text/html;charset=utf-8"),
        (Misbehaviour::Empty, 200, "text/xml;charset=utf-8"),
        (Misbehaviour::WrongChecksum, 200, "text/xml;charset=utf-8"),
    ];
    for (how, status, content) in cases {
        node.misbehave(how.clone());
        let answer = get(&node, "create", DEMO).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(content)), "{how:?}");
    }
    node.misbehave(Misbehaviour::CutConnection);
    assert_eq!(cut(&node).await, "");
    assert!(node.meetings().is_empty());
    node.behave();
    assert_eq!(get(&node, "create", DEMO).await.text("returncode"), Some("SUCCESS"));
}

#[tokio::test]
async fn half_done_calls_are_done() {
    for how in [Misbehaviour::CutAfter, Misbehaviour::HalfBody, Misbehaviour::BrokenXml] {
        let node = node().await;
        node.misbehave_on("create", how.clone());
        let answer = cut(&node).await;
        assert!(!answer.contains("</response>"), "{how:?}: {answer}");
        assert_eq!(answer.contains("<returncode>"), how != Misbehaviour::CutAfter, "{how:?}: {answer}");
        assert_eq!(node.meetings().len(), 1, "{how:?}");
        assert_eq!(get(&node, "getMeetings", "").await.text("meetingID"), Some("abc123"), "{how:?}");
    }
}

#[tokio::test]
async fn a_stalled_call_is_seen_and_never_answered() {
    let node = node().await;
    node.misbehave(Misbehaviour::StallAfter);
    let asking = get(&node, "create", DEMO);
    let seen = node.wait_until(|state| state.calls_seen() == 1 && state.meeting("abc123").is_some());
    tokio::select! {
        answer = asking => panic!("answered: {answer:?}"),
        () = seen => {}
    }
    node.misbehave(Misbehaviour::Stall);
    let asking = get(&node, "end", "meetingID=abc123");
    tokio::select! {
        answer = asking => panic!("answered: {answer:?}"),
        () = node.wait_until(|state| state.calls_seen() == 2) => {}
    }
    assert!(!node.meeting("abc123").expect("created").ending);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_answered_well() {
    let node = node().await;
    node.misbehave(Misbehaviour::Slow(Duration::from_secs(7)));
    let start = tokio::time::Instant::now();
    assert_eq!(get(&node, "create", DEMO).await.text("returncode"), Some("SUCCESS"));
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn an_endless_answer_goes_on_as_long_as_it_is_read() {
    let node = node().await;
    node.misbehave(Misbehaviour::EndlessXml);
    let mut stream = TcpStream::connect(node.address()).await.expect("a listening node");
    stream.write_all(b"GET /bigbluebutton/api/getMeetings HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("read");
    let mut bytes = vec![0; 4 << 20];
    stream.read_exact(&mut bytes).await.expect("four mebibytes");
}

#[tokio::test]
async fn a_compressed_answer_can_be_read() {
    let node = node().await;
    node.misbehave(Misbehaviour::Gzip);
    let bytes = exchange(&node, "GET", "/bigbluebutton/api", &[], b"").await;
    let head_end = bytes.windows(4).position(|part| part == b"\r\n\r\n").expect("a head");
    assert!(String::from_utf8_lossy(&bytes[..head_end]).contains("content-encoding: gzip"));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&bytes[head_end + 4..]).read_to_string(&mut plain).expect("valid gzip");
    assert!(plain.contains("<apiVersion>2.0</apiVersion>"), "{plain}");
}

#[tokio::test]
async fn a_restart_loses_all_meetings() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    node.control().forget();
    assert_eq!(get(&node, "getMeetings", "").await.text("messageKey"), Some("noMeetings"));
}

#[tokio::test]
async fn a_stopped_node_frees_its_port() {
    let node = node().await;
    let listen = node.address();
    node.stop().await;
    assert!(TcpStream::connect(listen).await.is_err());
    let node = node_with(|options| options.listen = listen).await;
    assert_eq!(ask(&node, "GET", "/bigbluebutton/api", &[], b"").await.status, 200);
}

#[tokio::test]
async fn after_a_crash_a_node_is_back_at_its_address_without_its_meetings() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    node.crash().await;
    assert!(TcpStream::connect(node.address()).await.is_err());
    assert!(node.meetings().is_empty());
    node.restart().await.expect("the address is free");
    assert_eq!(get(&node, "getMeetings", "").await.text("messageKey"), Some("noMeetings"));
    assert!(node.restart().await.is_err(), "it is there already");
}

#[tokio::test]
async fn tls_is_trusted_through_the_authority_only() {
    let authority = TestAuthority::new().expect("a key");
    let tls = Some(authority.server_config().expect("a certificate"));
    let node = Node::start(NodeOptions { tls, ..NodeOptions::default() }).await.expect("a free port");
    assert!(node.url().starts_with("https://127.0.0.1:"), "{}", node.url());
    let connect = async |trusted: &TestAuthority| {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions.expect("versions").with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(node.address()).await.expect("a listening node");
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let mut stream = connect(&authority).await.expect("trusted");
    stream.write_all(b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("read");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(String::from_utf8_lossy(&answer).contains("<apiVersion>2.0</apiVersion>"));
    let other = TestAuthority::new().expect("a key");
    assert!(connect(&other).await.is_err());
}
