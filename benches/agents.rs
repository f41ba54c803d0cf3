//! What agents cost: events a second into PostgreSQL, in batches as agents send them, against one event a request as the original's
//! agent does it. Both halves are measured in one run, through the same server.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::time::{Duration, Instant};

use b3scale_support::{ClusterOptions, TestCluster, Tool};
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

/// Agents at once, each of a node of its own.
const AGENTS: usize = 4;
/// The most that an agent puts into a batch.
const BATCH: usize = 500;
/// How long each half is measured.
const SPAN: Duration = Duration::from_secs(5);
/// The least of events a second.
const BAR: f64 = 20_000.0;

#[tokio::main]
async fn main() {
    let cluster = TestCluster::with(ClusterOptions { nodes: AGENTS, ..ClusterOptions::default() }).await;
    for (number, backend) in cluster.backends.iter().enumerate() {
        let sql = format!("UPDATE backends SET agent_ref = 'node-{number}' WHERE id = '{}'", backend.id);
        cluster.database.execute(&sql).await;
    }
    let single = events_a_second(&cluster, 1).await;
    let batched = events_a_second(&cluster, BATCH).await;
    println!("\nattendee events a second, {AGENTS} agents");
    println!("  {:<44}{single:>10.0}", "one event a request");
    println!("  {:<44}{batched:>10.0}", format!("{BATCH} events a batch"));
    println!("  {:<44}{:>10.2}", "ratio", batched / single);
    println!("  {:<44}{BAR:>10.0}   {}", "bar", if batched >= BAR { "holds" } else { "MISSED" });
}

async fn events_a_second(cluster: &TestCluster, size: usize) -> f64 {
    let began = Instant::now();
    let names: Vec<String> = (0..AGENTS).map(|number| format!("node-{number}")).collect();
    let tools: Vec<Tool<'_>> = names.iter().map(|name| cluster.agent(name)).collect();
    let taken = join_all(tools.iter().map(|agent| send_for(SPAN, agent, size))).await;
    taken.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64()
}

/// Sends batches until the time is over, and counts the events in them.
async fn send_for(span: Duration, agent: &Tool<'_>, size: usize) -> usize {
    let (boot, began, mut taken) = (Uuid::new_v4(), Instant::now(), 0);
    let meetings: Vec<Value> = (0..10).map(|number| json!({"internal_id": format!("m{number}"), "id": "m"})).collect();
    let first = json!({"boot": boot, "seq": 1, "snapshot": {"meetings": meetings}, "events": []});
    agent.post("/agent/ingest", &first).await.granted();
    for seq in 2.. {
        if began.elapsed() >= span {
            break;
        }
        let events: Vec<Value> = (0..size).map(|number| event(seq, number)).collect();
        let batch = json!({"boot": boot, "seq": seq, "events": events});
        let receipt = agent.post("/agent/ingest", &batch).await.granted();
        assert_eq!(receipt["seq"], json!(seq), "it is taken");
        taken += size;
    }
    taken
}

/// Of every four events, three are of people who come and one of somebody who goes.
fn event(seq: usize, number: usize) -> Value {
    let meeting = format!("m{}", number % 10);
    if number % 4 == 3 {
        return json!({"type": "attendee_left", "meeting": meeting, "attendee": format!("w{}", number - 1)});
    }
    let attendee =
        json!({"internal_id": format!("w{number}"), "user_id": format!("u{seq}"), "full_name": "Ada Lovelace"});
    json!({"type": "attendee_joined", "meeting": meeting, "attendee": attendee})
}
