//! The outbox: deliveries a second, from rows that wait to rows that are settled, by three servers on one PostgreSQL to receivers on
//! the same machine. Each of many frontends has its own callbacks, since one frontend has few tries at a time.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::sync::Arc;
use std::time::Instant;

use b3scale::net::egress::EgressSettings;
use b3scale::outbox::{Courier, Deliver, Drain};
use b3scale::store::{DELIVER_JOB, Store};
use b3scale::work::Bench;
use b3scale_support::{Receiver, TestDatabase, eventually, new_frontend};
use uuid::Uuid;

const SERVERS: u128 = 3;
const FRONTENDS: usize = 20;
/// How many deliveries a round has, and how many rounds there are.
const MANY: usize = 3000;
const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let (database, receiver) = (TestDatabase::new().await, Receiver::start().await);
    for number in 0..FRONTENDS {
        let frontend = new_frontend(&format!("school{number}"));
        database.store().frontends().record(&frontend).await.expect("it is added");
    }
    let url = receiver.url("/end");
    let callbacks = format!(
        "INSERT INTO meeting_callbacks (token, meeting, internal_id, frontend_id, meeting_id, backend_id, name, kind, url)
        SELECT 'token-' || number || key, key || number, 'internal-' || number || key, id, 'm' || number, id, 'meta_endCallbackUrl', 'end', '{url}'
        FROM frontends, generate_series(1, {}) AS number",
        MANY / FRONTENDS
    );
    database.execute(&callbacks).await;
    let benches = servers(&database).await;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        database.execute("DELETE FROM deliveries").await;
        let began = Instant::now();
        let queued = "INSERT INTO deliveries (callback_id, subject, kind, marks) SELECT id, '', 'end', true FROM meeting_callbacks";
        database.execute(queued).await;
        benches.iter().for_each(|bench| bench.waker().wake(DELIVER_JOB));
        let open = "SELECT count(*) FROM deliveries WHERE state = 'waiting'";
        eventually("all are delivered", async || database.count(open).await == 0).await;
        rates.push(MANY as f64 / began.elapsed().as_secs_f64());
    }
    assert_eq!(receiver.heard().len(), MANY * ROUNDS, "each is sent once");
    rates.sort_by(f64::total_cmp);
    println!("\nThe outbox: {MANY} ends of {FRONTENDS} frontends, by {SERVERS} servers");
    println!("  {:<44}{:>10.0}", "deliveries a second", rates[ROUNDS / 2]);
    benches.iter().for_each(Bench::stop);
}

async fn servers(database: &TestDatabase) -> Vec<Bench> {
    let mut benches = Vec::new();
    for number in 1..=SERVERS {
        let store = Store::connect(database.url(), 8).await.expect("it takes connections");
        let bench = Bench::new(Arc::new(store.clone()), Uuid::from_u128(number));
        let allow = vec!["127.0.0.0/8".parse().expect("a network")];
        let courier = Courier::new(&EgressSettings { allow, ..EgressSettings::default() }).expect("a courier");
        bench.job(Deliver::new(store, courier, Drain::default()));
        benches.push(bench);
    }
    let beats = format!(
        "INSERT INTO servers (id, host, address, version, pipeline_hash, beat)
        SELECT lpad(to_hex(number), 32, '0')::uuid, '', '127.0.0.1:1', '', '', now() + interval '1 hour'
        FROM generate_series(1, {SERVERS}) AS number"
    );
    database.execute(&beats).await;
    benches
}
