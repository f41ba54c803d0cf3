//! The outbox: deliveries a second, from rows that wait to rows that are settled, by three servers on one PostgreSQL to receivers on
//! the same machine. Each of many frontends has its own callbacks, since one frontend has few tries at a time. And posts of events to
//! hooks a second, from the statement that tells of them to the last cursor.
#![expect(clippy::print_stdout, reason = "tables are what it is for")]

use std::sync::Arc;
use std::time::Instant;

use b3scale::hooks::{PostHooks, PostHooksParts};
use b3scale::net::egress::EgressSettings;
use b3scale::outbox::{Courier, Deliver, Drain};
use b3scale::recordings::settings::Protection;
use b3scale::recordings::{Links, Tickets};
use b3scale::store::{DELIVER_JOB, POST_HOOKS_JOB, Store};
use b3scale::work::Bench;
use b3scale_support::{Receiver, TestDatabase, eventually, new_frontend};
use uuid::Uuid;

const SERVERS: u128 = 3;
const FRONTENDS: usize = 20;
/// How many hooks each has.
const HOOKS: usize = 5;
/// How many deliveries or posts a round has, and how many rounds there are.
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
    println!("\nThe outbox: {MANY} ends of {FRONTENDS} frontends, by {SERVERS} servers");
    show("deliveries a second", rates);
    let rates = post(&database, &benches).await;
    println!("\nWebhooks: {MANY} posts to {} hooks of {FRONTENDS} frontends, by {SERVERS} servers", HOOKS * FRONTENDS);
    show("posts a second", rates);
    benches.iter().for_each(Bench::stop);
}

fn show(what: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    println!("  {what:<44}{:>10.0}", rates[ROUNDS / 2]);
}

/// Tells the hooks of all frontends of events. Gives the posts a second of each round.
async fn post(database: &TestDatabase, benches: &[Bench]) -> Vec<f64> {
    let receiver = Receiver::start().await;
    let hooks = format!(
        "INSERT INTO hooks (id, frontend_id, url, cursor) SELECT key || '-' || number, id, '{}' || key || number, 0
        FROM frontends, generate_series(1, {HOOKS}) AS number",
        receiver.url("/")
    );
    database.execute(&hooks).await;
    let told = format!(
        "SELECT tell_hooks(array_agg((id, 'user-joined', '', 'm', 'i', number, NULL, NULL, NULL)::told_event))
        FROM frontends, generate_series(1, {}) AS number",
        MANY / HOOKS / FRONTENDS
    );
    let open = "SELECT count(*) FROM hooks JOIN hook_feeds USING (frontend_id) WHERE cursor < last";
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        database.execute(&told).await;
        benches.iter().for_each(|bench| bench.waker().wake(POST_HOOKS_JOB));
        eventually("all are posted", async || database.count(open).await == 0).await;
        rates.push(MANY as f64 / began.elapsed().as_secs_f64());
    }
    assert_eq!(receiver.heard().len(), MANY * ROUNDS, "each is posted once");
    rates
}

async fn servers(database: &TestDatabase) -> Vec<Bench> {
    let mut benches = Vec::new();
    for number in 1..=SERVERS {
        let store = Store::connect(database.url(), 8).await.expect("it takes connections");
        let bench = Bench::new(Arc::new(store.clone()), Uuid::from_u128(number));
        let allow = vec!["127.0.0.0/8".parse().expect("a network")];
        let courier = Courier::new(&EgressSettings { allow, ..EgressSettings::default() }).expect("a courier");
        bench.job(Deliver::new(store.clone(), courier.clone(), Drain::default()));
        let links = Links::new("https://play.example", Protection::Ticket, Arc::new(Tickets::new(b"secret")));
        let (drain, domain) = (Drain::default(), "bbb.example".to_owned());
        bench.job(PostHooks::new(PostHooksParts { store, courier, drain, links, domain }));
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
