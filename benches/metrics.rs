//! The cost of a scrape: `/metrics` of a cluster with 150 backends, 3,000 meetings and 200 frontends that have all called, each meeting
//! named. The table of `engine` has the cost of the engine's metrics around a stage.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::time::Instant;

use b3scale::telemetry;
use b3scale_middleware::bbb::CallKind;
use b3scale_support::{ClusterOptions, TestCluster, eventually};
use futures_util::future::join_all;

const BACKENDS: usize = 150;
const MEETINGS: usize = 3_000;
const FRONTENDS: usize = 200;
/// Creates under way at once.
const AT_ONCE: usize = 32;
/// The bar of a scrape, in milliseconds.
const BAR: f64 = 50.0;

#[tokio::main]
async fn main() {
    let counted = telemetry::start_metrics().expect("no other recorder is there");
    let options = ClusterOptions { nodes: BACKENDS, counted: Some(counted), ..ClusterOptions::default() };
    let cluster = TestCluster::with(options).await;
    for number in 0..FRONTENDS {
        cluster.frontend(&key(number), |_| {}).await;
    }
    let meetings: Vec<_> = (0..MEETINGS).map(|number| (key(number % FRONTENDS), format!("m{number}"))).collect();
    for some in meetings.chunks(AT_ONCE) {
        join_all(some.iter().map(|(key, id)| create(&cluster, key, id))).await;
    }
    let runs =
        async || cluster.get("/metrics", &[]).await.text.matches("b3scale_meeting_durations{").count() == MEETINGS;
    eventually("every meeting is shown", runs).await;
    let mut took = Vec::new();
    let mut page = String::new();
    for _ in 0..40 {
        let began = Instant::now();
        page = cluster.get("/metrics", &[]).await.text;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("\na scrape of {BACKENDS} backends, {MEETINGS} meetings and {FRONTENDS} frontends");
    println!("  {:<28}{:>9}", "series", page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count());
    println!("  {:<28}{:>9.1} MiB", "size", page.len() as f64 / f64::from(1 << 20));
    println!("  {:<28}{slowest:>9.1} ms", "the slowest of 40");
    println!("  {:<28}{median:>9.1} ms   bar {BAR} ms: {}", "median", if median <= BAR { "holds" } else { "MISSED" });
}

fn key(number: usize) -> String {
    format!("tenant-{number}")
}

/// The first calls of a frontend's users.
async fn create(cluster: &TestCluster, key: &str, id: &str) {
    cluster.call_as(key, CallKind::Create, &format!("name=Lesson&meetingID={id}")).await.success();
    let join = format!("fullName=Someone&meetingID={id}&role=VIEWER");
    cluster.call_as(key, CallKind::Join, &join).await;
    cluster.call_as(key, CallKind::IsMeetingRunning, &format!("meetingID={id}")).await.success();
}
