//! A server under attack: its memory meanwhile, and afterwards.

use std::fs;

use b3scale_middleware::bbb::CallKind;
use b3scale_node::Misbehaviour;
use b3scale_support::{
    Running, Servers, ServersOptions, TestDatabase, eventually, new_frontend, program, signed, within,
};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nodes that answer without an end.
const ENDLESS: usize = 60;
/// Calls to each of them.
const CALLS: usize = 3;
/// Connections of strangers.
const STRANGERS: usize = 2000;
/// The bound of an idle server's memory, in bytes.
const BASE: u64 = 150 << 20;

#[tokio::test]
async fn memory_and_places_hold_while_nodes_and_strangers_attack() {
    let nodes = ENDLESS + 1;
    let options = ServersOptions { servers: 1, nodes, ..ServersOptions::default() };
    let servers = Servers::start(env!("CARGO_BIN_EXE_b3scaled"), options).await;
    let process = servers.process(0);
    // Each is placed on another node, the least loaded.
    for meeting in 0..nodes {
        servers.call(0, CallKind::Create, &format!("name=Lesson&meetingID=m{meeting}")).await.success();
    }
    servers.nodes[1..].iter().for_each(|node| node.misbehave_on("getMeetingInfo", Misbehaviour::EndlessXml));
    let address = servers.url(0).trim_start_matches("http://").to_owned();
    let form = "POST /bbb/school/api/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 100000\r\n\r\n";
    let head = format!("GET /bbb/school/ HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(60_000));
    let strangers = join_all((0..STRANGERS).map(|number| {
        let sent = if number % 2 == 0 { form } else { head.as_str() };
        let address = &address;
        async move {
            let mut stream = TcpStream::connect(address).await.expect("it is taken");
            // A connection that is pushed out cannot send all of it.
            let _ = stream.write_all(sent.as_bytes()).await;
            stream
        }
    }));
    let infos = join_all((0..nodes * CALLS).map(|call| {
        let query = format!("meetingID=m{}", call % nodes);
        async { servers.call(0, CallKind::GetMeetingInfo, &{ query }).await }
    }));
    let tenants = async {
        for number in 0..50 {
            let created = servers.call(0, CallKind::Create, &format!("name=Lesson&meetingID=y{number}")).await;
            created.success();
            let ready = servers.fetch(0, "/health/ready").await.expect("an answer");
            assert_eq!(ready.status, 200, "{}", ready.text);
        }
    };
    let (strangers, infos, ()) = tokio::join!(strangers, infos, tenants);
    assert!(infos.iter().filter(|info| !info.is_success()).count() >= ENDLESS * CALLS);
    let figure = async |name: &str| figure(&servers, name).await;
    let limit = figure("b3scale_buffered_limit_bytes").await;
    let peak = figure("b3scale_buffered_peak_bytes").await;
    assert!(peak <= limit && peak > 8 << 20, "{peak} of {limit}");
    let most = memory(process, "VmHWM");
    assert!(most <= BASE + limit, "{most} bytes");
    drop(strangers);
    eventually("all is given back", async || figure("b3scale_buffered_bytes").await == 0).await;
    eventually("the memory is given back", async || memory(process, "VmRSS") <= BASE).await;
}

/// Descriptors run out where there are few, and a line for each connection would fill a disk.
#[tokio::test]
async fn few_descriptors_are_shared_out_and_told_once() {
    let database = TestDatabase::new().await;
    database.store().frontends().record(&new_frontend("school")).await.unwrap();
    let limited = "ulimit -n 200 && exec \"$0\"";
    let mut server = program("sh", &["-c", limited, env!("CARGO_BIN_EXE_b3scaled")]);
    server
        .env("B3SCALE_LISTEN_HTTP", "127.0.0.1:0")
        .env("B3SCALE_DB_URL", database.url())
        .env("B3SCALE_DB_POOL_SIZE", "4")
        .env("B3SCALE_LOG_FORMAT", "structured");
    let mut server = Running::logging(server);
    let log = server.keep_reading();
    let line: serde_json::Value = serde_json::from_str(&log.line_with("b3scaled serves").await).unwrap();
    let address = line["listen"].as_str().unwrap().to_owned();
    let strangers = join_all((0..500).map(|_| async { TcpStream::connect(&address).await.unwrap() })).await;
    let asks = async |path: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("an answer", stream.read_to_string(&mut answer)).await.unwrap();
        answer
    };
    assert!(asks(&signed("school", CallKind::GetMeetings, "")).await.contains("SUCCESS"));
    assert!(asks("/health/ready").await.starts_with("HTTP/1.1 200"));
    let words = log.last_words();
    assert_eq!(words.matches("Few file descriptors").count(), 1, "{words}");
    assert!(words.matches("File descriptors used up").count() <= 1, "{words}");
    assert!(!words.contains("Accepting a connection failed"), "{words}");
    drop(strangers);
}

/// A figure of the server's without labels.
async fn figure(servers: &Servers, name: &str) -> u64 {
    let page = servers.fetch(0, "/metrics").await.expect("an answer").text;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("it is there");
    line.parse().expect("a number")
}

/// The resident memory of a process, in bytes.
fn memory(process: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).expect("it is told");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}
