//! The cost of a page of recordings, of a frontend with 100,000 of them: getRecordings with a limit of 100, to the last byte, against
//! a client of PostgreSQL that reads the same rows and the same count, and does nothing with them. Both halves are measured in turn,
//! on the same machine and the same PostgreSQL; compare ratios, not runs.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::time::Instant;

use b3scale_middleware::bbb::CallKind;
use b3scale_support::{ClusterOptions, MANY_RECORDINGS, TestCluster};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

/// How often each side is measured.
const ROUNDS: usize = 300;
/// The most of the plain client's time that a call is to take.
const BAR: f64 = 3.0;

const ROWS: &str = "SELECT * FROM recordings WHERE frontend_id = $1 AND state IN ('published', 'unpublished')
    ORDER BY start_time DESC, record_id DESC LIMIT 100";
const FORMATS: &str = "SELECT * FROM recording_formats WHERE record_id = ANY($1)";
const COUNT: &str = "SELECT count(*) FROM recordings WHERE frontend_id = $1 AND state IN ('published', 'unpublished')";

#[tokio::main]
async fn main() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 0, ..ClusterOptions::default() }).await;
    cluster.database.execute(MANY_RECORDINGS).await;
    cluster.database.execute("VACUUM ANALYZE recordings, recording_formats").await;
    let frontend = cluster.database.store().frontends().load().await.expect("it is there")[0].id.0;
    let plain = Plain::connected(cluster.database.url()).await;
    let call = async || cluster.call(CallKind::GetRecordings, "limit=100").await.success().text;
    let document = call().await;
    assert_eq!(document.matches("<recordID>").count(), 100, "a page is full");
    assert!(document.contains("<totalElements>90000</totalElements>"), "and counted");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        call().await;
        ours.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        plain.read(frontend).await;
        theirs.push(began.elapsed().as_secs_f64());
    }
    println!("\ngetRecordings of 100 of 90000 recordings, {} KiB", document.len() >> 10);
    println!("  {:<44}{:>10}{:>10}", "", "p50", "p99");
    let [ours, theirs] =
        [("through b3scale, to the last byte", ours), ("the same rows and the same count, plain", theirs)]
            .map(|(name, samples)| shown(name, samples));
    for (name, ratio) in [("ratio of p50", ours[0] / theirs[0]), ("ratio of p99", ours[1] / theirs[1])] {
        println!("  {name:<44}{ratio:>10.2}   bar {BAR}: {}", if ratio <= BAR { "holds" } else { "MISSED" });
    }
}

/// Prints the median and the 99th of 100, and returns them in seconds.
fn shown(name: &str, mut samples: Vec<f64>) -> [f64; 2] {
    samples.sort_by(f64::total_cmp);
    let figures = [samples[samples.len() / 2], samples[samples.len() * 99 / 100]];
    println!("  {name:<44}{:>7.1} ms{:>7.1} ms", figures[0] * 1e3, figures[1] * 1e3);
    figures
}

/// A client with nothing but prepared statements.
struct Plain {
    client: Client,
    statements: [Statement; 3],
}

impl Plain {
    async fn connected(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it takes connections");
        tokio::spawn(connection);
        let prepare = async |sql| client.prepare(sql).await.expect("it is SQL");
        let statements = [prepare(ROWS).await, prepare(FORMATS).await, prepare(COUNT).await];
        Self { client, statements }
    }

    async fn read(&self, frontend: Uuid) {
        let [rows, formats, count] = &self.statements;
        let rows = self.client.query(rows, &[&frontend]).await.expect("they are read");
        let ids: Vec<&str> = rows.iter().map(|row| row.get("record_id")).collect();
        let formats = self.client.query(formats, &[&ids]).await.expect("they are read");
        let count: i64 = self.client.query_one(count, &[&frontend]).await.expect("they are counted").get(0);
        assert_eq!((rows.len(), formats.len(), count), (100, 100, 90_000));
    }
}
