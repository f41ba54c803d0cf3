//! The cost of the cluster per call, against the lower bound of the same work. Both halves of each table are measured in
//! one run, on the same machine and the same PostgreSQL; compare ratios, not runs.
//!
//! *Creates*: calls a second through server, pipeline, database and a simulated node, against pgbench running the same two
//! statements with as many clients, and nothing else.
//!
//! *Lists*: getMeetings of a frontend with 3,000 meetings and 60,000 people, to the last byte, against a handler that writes
//! the same document from memory.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use b3scale::budget::Budget;
use b3scale::proxies::Proxies;
use b3scale::server::{Router, Server, ServerParts, ServerSettings};
use b3scale::store::{CLAIM, LIVE};
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::ports::{Directory as _, Meetings as _};
use b3scale_middleware::{Next, Reply};
use b3scale_node::Role;
use b3scale_support::{ClusterOptions, TestCluster, TestFolder};
use bytes::Bytes;
use futures_util::future::join_all;
use tower::service_fn;
use uuid::Uuid;

/// Clients at once, on both sides.
const CLIENTS: usize = 32;
/// How long each side is measured.
const SPAN: Duration = Duration::from_secs(8);
/// The least of pgbench's rate that creates are to reach.
const CREATES_BAR: f64 = 0.5;
/// The most of the plain handler's time that a list is to take.
const LIST_BAR: f64 = 2.0;
const MEETINGS: usize = 3_000;
const PEOPLE_EACH: usize = 20;

#[tokio::main]
async fn main() {
    creates().await;
    lists().await;
}

async fn creates() {
    let options = ClusterOptions { nodes: 8, connections: 16, ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    warm_up(&cluster).await;
    let ours = creates_a_second(&cluster).await;
    let theirs = pgbench(&cluster).await;
    println!("\ncreates a second, {CLIENTS} clients");
    println!("  {:<44}{ours:>10.0}", "through b3scale, to a simulated node and back");
    let Some(theirs) = theirs else { return println!("  pgbench is not installed: nothing to compare with") };
    println!("  {:<44}{theirs:>10.0}", "pgbench, the same two statements");
    verdict(ours / theirs, CREATES_BAR, ours / theirs >= CREATES_BAR);
}

async fn warm_up(cluster: &TestCluster) {
    let queries: Vec<_> = (0..CLIENTS).map(|number| format!("name=Warm&meetingID=warm-{number}")).collect();
    for answer in join_all(queries.iter().map(|query| cluster.call(CallKind::Create, query))).await {
        answer.success();
    }
}

async fn creates_a_second(cluster: &TestCluster) -> f64 {
    let (began, created) = (Instant::now(), AtomicU64::new(0));
    let clients = (0..CLIENTS).map(|client| {
        let created = &created;
        async move {
            for number in 0.. {
                if began.elapsed() >= SPAN {
                    return;
                }
                let query = format!("name=Lesson&meetingID=m-{client}-{number}");
                cluster.call(CallKind::Create, &query).await.success();
                created.fetch_add(1, Relaxed);
            }
        }
    });
    join_all(clients).await;
    created.load(Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// Transactions a second of pgbench, each a claim and its result. `None`: it is not installed.
async fn pgbench(cluster: &TestCluster) -> Option<f64> {
    let program = program("pgbench")?;
    let folder = TestFolder::new();
    let script = folder.path().join("create.sql");
    let frontend = cluster.cluster.frontend("school").expect("it is there").id;
    let backend = cluster.backends[0].id;
    let entry = cluster.cluster.listed(frontend).await;
    let entry = String::from_utf8_lossy(entry.first().expect("meetings run")).into_owned();
    let values: [(&str, String); 7] = [
        ("frontend", frontend.0.to_string()),
        ("backend", backend.to_string()),
        ("server", Uuid::new_v4().to_string()),
        ("entry", entry),
        ("none", "30".to_owned()),
        ("breakout", "false".to_owned()),
        ("callbacks", "[]".to_owned()),
    ];
    let claim = ["id", "frontend", "id", "backend", "none", "none", "breakout", "server", "id"];
    let live =
        ["id", "backend", "one", "id", "one", "frontend", "id", "entry", "none", "none", "breakout", "id", "callbacks"];
    let mut text =
        "\\set number :number + 1\n\\set id (:client_id + 1) * 100000000 + :number\n\\set one 1\n".to_owned();
    for (sql, names) in [(CLAIM, &claim[..]), (LIVE, &live[..])] {
        let _ = writeln!(text, "{};", with_names(sql, names));
    }
    std::fs::write(&script, text).expect("the folder is ours");
    let mut command = Command::new(program);
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.args([format!("--client={CLIENTS}"), format!("--time={}", SPAN.as_secs())]);
    command.args(["--define=number=0"]).args(values.map(|(name, value)| format!("--define={name}={value}")));
    let output = command.arg("--file").arg(&script).arg(cluster.database.url()).output().expect("pgbench runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    Some(rate.unwrap_or_else(|| panic!("pgbench measured nothing: {said}{}", String::from_utf8_lossy(&output.stderr))))
}

/// A statement with pgbench's variables in place of its parameters.
fn with_names(sql: &str, names: &[&str]) -> String {
    let numbered = names.iter().enumerate().rev();
    let named = numbered
        .fold(sql.to_owned(), |sql, (index, name)| sql.replace(&format!("${}", index + 1), &format!(":{name}")));
    named.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A program of PostgreSQL. Debian and others keep some of them outside PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = std::env::split_paths(&path).chain(versions.map(|version| version.path().join("bin")));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

async fn lists() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 10, ..ClusterOptions::default() }).await;
    let ids: Vec<_> = (0..MEETINGS).map(|number| format!("name=Lesson&meetingID=m{number}")).collect();
    for ids in ids.chunks(CLIENTS) {
        join_all(ids.iter().map(|query| cluster.call(CallKind::Create, query))).await;
    }
    for node in &cluster.nodes {
        for meeting in node.meetings() {
            for person in 0..PEOPLE_EACH {
                node.control().join(&meeting.meeting_id, &format!("Person {person}"), Role::Viewer);
            }
        }
    }
    cluster.cluster.catch_up().await;
    let document = cluster.call(CallKind::GetMeetings, "").await.success().text;
    assert_eq!(document.matches("<attendee>").count(), MEETINGS * PEOPLE_EACH, "everybody is listed");
    let plain = Plain::serving(document.clone().into());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turn, so that other load on the machine affects both.
    for _ in 0..20 {
        ours.push(timed(|| cluster.call(CallKind::GetMeetings, "")).await);
        theirs.push(timed(|| cluster.fetch_from(&plain.address, "/bbb/x/api/getMeetings")).await);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let megabytes = document.len() as f64 / f64::from(1 << 20);
    println!("\ngetMeetings of {MEETINGS} meetings with {} people, {megabytes:.1} MiB", MEETINGS * PEOPLE_EACH);
    println!("  {:<44}{:>7.1} ms", "from the view, to the last byte", ours * 1e3);
    println!("  {:<44}{:>7.1} ms", "a handler that writes the same document", theirs * 1e3);
    verdict(ours / theirs, LIST_BAR, ours / theirs <= LIST_BAR);
}

async fn timed<F: Future>(call: impl Fn() -> F) -> f64 {
    let began = Instant::now();
    call().await;
    began.elapsed().as_secs_f64()
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn verdict(ratio: f64, bar: f64, holds: bool) {
    println!("  {:<44}{ratio:>10.2}   bar {bar}: {}", "ratio", if holds { "holds" } else { "MISSED" });
}

/// The same server with nothing behind it but a document.
struct Plain {
    address: String,
}

struct Document(HashMap<CallKind, Next>);

impl Router for Document {
    fn route(&self, kind: CallKind) -> Option<Next> {
        self.0.get(&kind).cloned()
    }
}

impl Plain {
    fn serving(document: Bytes) -> Self {
        let answer = Next::new(service_fn(move |_| std::future::ready(Ok(Reply::xml(document.clone())))));
        let router = Arc::new(Document(HashMap::from([(CallKind::GetMeetings, answer)])));
        let (proxies, budget) = (Proxies::default(), Budget::default());
        let parts = ServerParts { router, lobby: None, followers: None, proxies, budget };
        let server = Server::bind(([127, 0, 0, 1], 0).into(), parts, ServerSettings::default()).expect("a port");
        let address = server.local_addr().to_string();
        tokio::spawn(server.serve(std::future::pending()));
        Self { address }
    }
}
