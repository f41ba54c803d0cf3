//! What agents cost.
//!
//! *At the server*: events a second into PostgreSQL, in batches as agents send them, against one event a request as the original's
//! agent does it. Both halves are measured in one run, through the same server.
//!
//! *With webhooks*: the same batches while 100 hooks hear of each event, against no hook. Their receivers are away, so it is the
//! transaction of ingest that is measured.
//!
//! *On a node*: the memory and the processor's time of an agent that hears 100 events a second from a real Redis.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::CallKind;
use b3scale_node::{NodeOptions, Role};
use b3scale_support::{ClusterOptions, Relay, Running, TestCluster, TestFolder, TestRedis, Tool, program, token};
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::interval;
use uuid::Uuid;

/// Agents at once, each of a node of its own.
const AGENTS: usize = 4;
/// The most that an agent puts into a batch.
const BATCH: usize = 500;
/// How long each half is measured.
const SPAN: Duration = Duration::from_secs(5);
/// The least of events a second.
const BAR: f64 = 20_000.0;

/// Meetings of each agent.
const MEETINGS: usize = 10;

/// Hooks of the frontend, and the least share of events a second that is left with them.
const HOOKS: usize = 100;
const SHARE: f64 = 0.5;

/// Events a second that the agent hears.
const HEARD: u32 = 100;

#[tokio::main]
async fn main() {
    at_the_server().await;
    on_a_node().await;
}

async fn at_the_server() {
    let cluster = TestCluster::with(ClusterOptions { nodes: AGENTS, ..ClusterOptions::default() }).await;
    for (number, backend) in cluster.backends.iter().enumerate() {
        let sql = format!("UPDATE backends SET agent_ref = 'node-{number}' WHERE id = '{}'", backend.id);
        cluster.database.execute(&sql).await;
    }
    let single = events_a_second(&cluster, 1, false).await;
    let batched = events_a_second(&cluster, BATCH, false).await;
    println!("\nattendee events a second, {AGENTS} agents");
    println!("  {:<44}{single:>10.0}", "one event a request");
    println!("  {:<44}{batched:>10.0}", format!("{BATCH} events a batch"));
    println!("  {:<44}{:>10.2}", "ratio", batched / single);
    println!("  {:<44}{BAR:>10.0}   {}", "bar", if batched >= BAR { "holds" } else { "MISSED" });
    with_webhooks(&cluster).await;
}

/// The meetings of the agents are the frontend's.
async fn place_meetings(cluster: &TestCluster) {
    for (node, backend) in cluster.backends.iter().enumerate() {
        let sql = format!(
            "INSERT INTO meetings (id, frontend_id, meeting_id, backend_id, attempt, state, internal_id, create_time, claim, version)
            SELECT '{node}-m' || number, (SELECT id FROM frontends LIMIT 1), 'm' || number, '{}', 1, 'live', 'm' || number, 1, 0,
                nextval('versions') FROM generate_series(0, {MEETINGS} - 1) AS number",
            backend.id
        );
        cluster.database.execute(&sql).await;
    }
}

async fn with_webhooks(cluster: &TestCluster) {
    place_meetings(cluster).await;
    let without = events_a_second(cluster, BATCH, false).await;
    let sql = format!(
        "INSERT INTO hooks (id, frontend_id, url, cursor) SELECT 'hook-' || number, (SELECT id FROM frontends LIMIT 1),
            'http://127.0.0.1:9/' || number, 0 FROM generate_series(1, {HOOKS}) AS number"
    );
    cluster.database.execute(&sql).await;
    let with = events_a_second(cluster, BATCH, true).await;
    let told = cluster.database.count("SELECT count(*) FROM hook_events").await;
    println!("\nattendee events a second, {AGENTS} agents, {BATCH} events a batch");
    println!("  {:<44}{without:>10.0}", "without hooks");
    println!("  {:<44}{with:>10.0}", format!("{HOOKS} hooks hear each"));
    println!("  {:<44}{told:>10}", "events kept for hooks");
    let share = with / without;
    println!("  {:<44}{share:>10.2}   bar {SHARE} {}", "ratio", if share >= SHARE { "holds" } else { "MISSED" });
}

async fn events_a_second(cluster: &TestCluster, size: usize, tells: bool) -> f64 {
    // As autovacuum does every minute: no half is slowed by the rows of the one before.
    cluster.database.execute("VACUUM ANALYZE").await;
    let began = Instant::now();
    let names: Vec<String> = (0..AGENTS).map(|number| format!("node-{number}")).collect();
    let tools: Vec<Tool<'_>> = names.iter().map(|name| cluster.agent(name)).collect();
    let sending = tools.iter().enumerate().map(|(node, agent)| send_for(SPAN, agent, node, size, tells));
    let taken = join_all(sending).await;
    taken.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64()
}

/// Sends batches until the time is over, and counts the events in them.
async fn send_for(span: Duration, agent: &Tool<'_>, node: usize, size: usize, tells: bool) -> usize {
    let (boot, began, mut taken) = (Uuid::new_v4(), Instant::now(), 0);
    let meeting = |number: usize| json!({"internal_id": format!("m{number}"), "id": format!("{node}-m{number}")});
    let meetings: Vec<Value> = (0..MEETINGS).map(meeting).collect();
    let first = json!({"boot": boot, "seq": 1, "snapshot": {"meetings": meetings}, "events": []});
    agent.post("/agent/ingest", &first).await.granted();
    // Written before, so that it is the server that is measured. Two, so that each batch changes every attendee.
    let texts = [0, 1].map(|turn| events(turn, size, tells));
    for (seq, events) in (2..).zip(texts.iter().cycle()) {
        if began.elapsed() >= span {
            break;
        }
        let batch = format!(r#"{{"boot": "{boot}", "seq": {seq}, {events}}}"#);
        let receipt = agent.send(Method::POST, "/agent/ingest", "application/json", &batch).await.granted();
        assert_eq!(receipt["seq"], json!(seq), "it is taken");
        taken += size;
    }
    taken
}

fn events(turn: usize, size: usize, tells: bool) -> String {
    let events: Value = (0..size).map(|number| event(turn, number)).collect();
    let mapped: Value = (0..size).map(|number| mapped(turn, number)).collect();
    if tells { format!(r#""events": {events}, "mapped": {mapped}"#) } else { format!(r#""events": {events}"#) }
}

/// Of every four events, three are attendees that come and one is an attendee that leaves.
fn event(turn: usize, number: usize) -> Value {
    let meeting = format!("m{}", number % MEETINGS);
    if number % 4 == 3 {
        return json!({"type": "attendee_left", "meeting": meeting, "attendee": format!("w{}", number - 1)});
    }
    let attendee =
        json!({"internal_id": format!("w{number}"), "user_id": format!("u{turn}"), "full_name": "Ada Lovelace"});
    json!({"type": "attendee_joined", "meeting": meeting, "attendee": attendee})
}

/// The same for webhooks.
fn mapped(turn: usize, number: usize) -> Value {
    let (meeting, leaves) = (format!("m{}", number % MEETINGS), number % 4 == 3);
    let (name, who) = if leaves { ("user-left", number - 1) } else { ("user-joined", number) };
    let user = json!({
        "internal-user-id": format!("w{who}"), "external-user-id": format!("u{turn}"), "name": "Ada Lovelace", "role": "VIEWER",
        "presenter": false, "guest": false,
    });
    let ids = json!({"internal-meeting-id": meeting, "external-meeting-id": "m"});
    json!({"meeting": meeting, "name": name, "ts": 1_700_000_000_000_i64 + number as i64,
        "attributes": {"meeting": ids, "user": user}})
}

async fn on_a_node() {
    let redis = TestRedis::start().await;
    let node = NodeOptions { redis: Some(redis.url().to_owned()), ..NodeOptions::default() };
    let cluster = TestCluster::with(ClusterOptions { nodes: 1, node, ..ClusterOptions::default() }).await;
    let sql = format!("UPDATE backends SET agent_ref = 'node-0' WHERE id = '{}'", cluster.backends[0].id);
    cluster.database.execute(&sql).await;
    cluster.call(CallKind::Create, "name=Lesson&meetingID=m1").await.success();
    let (folder, relay) = (TestFolder::new(), Relay::to(redis.socket()).await);
    let mut agent = Running::logging(agent(&cluster, &folder, &relay));
    agent.line_with("b3scaleagent reports").await;
    let _log = agent.keep_reading();
    let meeting = cluster.nodes[0].meetings()[0].meeting_id.clone();
    let (before, mut ticks) = (ticks(agent.id()), interval(Duration::from_secs(1) / HEARD));
    let mut there = VecDeque::new();
    for _ in 0..HEARD * 10 {
        ticks.tick().await;
        let control = cluster.nodes[0].control();
        if there.len() > 50 {
            there.pop_front().map(|who: String| control.leave(&meeting, &who));
        } else {
            there.extend(control.join(&meeting, "Ada Lovelace", Role::Viewer));
        }
    }
    let busy = f64::from(self::ticks(agent.id()) - before) / 10.0;
    println!("\nan agent that hears {HEARD} events a second");
    println!("  {:<44}{:>7} MiB   bar 15", "memory", memory(agent.id()) >> 10);
    println!("  {:<44}{busy:>7.1} %", "of one processor");
}

fn agent(cluster: &TestCluster, folder: &TestFolder, relay: &Relay) -> Command {
    let (node, redis) = (&cluster.nodes[0], relay.address());
    let properties = format!(
        "bigbluebutton.web.serverURL={}\nsecuritySalt={}\nredisHost={}\nredisPort={}\n",
        node.url().trim_end_matches("/bigbluebutton/api/"),
        node.secret(),
        redis.ip(),
        redis.port(),
    );
    let file = folder.path().join("bbb-web.properties");
    std::fs::write(&file, properties).expect("the folder is ours");
    let mut command = program(env!("CARGO_BIN_EXE_b3scaleagent"), &[]);
    command.env("BBB_CONFIG", file).env("B3SCALE_API_URL", cluster.url()).env("B3SCALE_LOG_FORMAT", "plain");
    command.env("B3SCALE_API_ACCESS_TOKEN", token("node-0", "b3scale:node"));
    command
}

/// CPU time used, in hundredths of a second.
fn ticks(process: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let figures: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let figure = |place: usize| figures[place].parse::<u32>().expect("a number");
    figure(11) + figure(12)
}

/// Resident memory, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
