//! The queue of jobs: leases, order, and failures.

use std::collections::BTreeMap;
use std::time::Duration;

use b3scale::ledger::{NewJob, Queue, QueuedJob};
use b3scale::store::{Store, TAKE};
use b3scale_support::TestDatabase;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::fixture::{Fixture, SERVER};

const MINUTE: Duration = Duration::from_secs(60);

const OTHER: Uuid = Uuid::from_u128(2);

/// A database with servers that are there for as long as the test takes: 0 to 19, among them [`SERVER`] and [`OTHER`].
async fn cluster() -> TestDatabase {
    let database = TestDatabase::new().await;
    let sql = "INSERT INTO servers (id, address, version, pipeline_hash, beat)
        SELECT lpad(to_hex(number), 32, '0')::uuid, 'server-' || number, '', '', now() + interval '1 hour'
        FROM generate_series(0, 19) AS number";
    database.execute(sql).await;
    database
}

/// A job with its name as payload.
fn named(name: &str, lane: Option<&str>) -> NewJob {
    NewJob { kind: "test", lane: lane.map(str::to_owned), payload: json!(name), delay: Duration::ZERO }
}

async fn enqueue(store: &Store, jobs: &[(&str, Option<&str>)]) {
    let jobs: Vec<_> = jobs.iter().map(|(name, lane)| named(name, *lane)).collect();
    store.enqueue(&jobs).await.expect("they are queued");
}

async fn take(store: &Store, server: Uuid) -> Vec<QueuedJob> {
    store.take_jobs("test", 10, MINUTE, server).await.expect("the queue answers")
}

/// The names of the jobs that a server takes.
async fn taken(store: &Store, server: Uuid) -> Vec<Value> {
    take(store, server).await.into_iter().map(|job| job.payload).collect()
}

#[tokio::test]
async fn a_job_is_taken_by_one_server_and_gone_once_it_is_done() {
    let database = cluster().await;
    enqueue(database.store(), &[("one", None)]).await;
    let mut servers = JoinSet::new();
    for number in 0..20 {
        let store = database.store().clone();
        servers.spawn(async move { take(&store, Uuid::from_u128(number)).await });
    }
    let mut taken = servers.join_all().await.concat();
    let job = taken.pop().filter(|_| taken.is_empty()).expect("exactly one server has it");
    assert_eq!((job.payload.clone(), job.attempts), (json!("one"), 1));
    assert!(database.store().jobs().find(job.id).await.unwrap().is_some_and(|job| job.running));
    assert!(database.store().complete_job(&job).await.unwrap());
    assert_eq!(database.store().jobs().find(job.id).await.unwrap(), None);
}

#[tokio::test]
async fn jobs_of_one_lane_run_one_at_a_time_and_in_their_order() {
    let database = cluster().await;
    let store = database.store();
    enqueue(store, &[("a1", Some("a")), ("a2", Some("a")), ("b1", Some("b")), ("free", None), ("a3", Some("a"))]).await;
    let first = take(store, SERVER).await;
    assert_eq!(first.iter().map(|job| &job.payload).collect::<Vec<_>>(), ["a1", "b1", "free"]);
    assert!(taken(store, OTHER).await.is_empty(), "the next of lane a waits for the first");
    store.complete_job(&first[0]).await.unwrap();
    assert_eq!(taken(store, OTHER).await, ["a2"]);
}

#[tokio::test]
async fn a_job_that_waits_for_another_attempt_holds_up_its_lane_until_it_is_given_up() {
    let database = cluster().await;
    let store = database.store();
    enqueue(store, &[("a1", Some("a")), ("a2", Some("a")), ("b1", Some("b"))]).await;
    let [a1, b1]: [QueuedJob; 2] = take(store, SERVER).await.try_into().expect("one of each lane");
    assert!(store.retry_job(&a1, MINUTE, "the receiver is away", true).await.unwrap());
    store.complete_job(&b1).await.unwrap();
    assert!(taken(store, SERVER).await.is_empty());
    let waiting = store.jobs().find(a1.id).await.unwrap().unwrap();
    assert_eq!((waiting.running, waiting.last_error.as_deref()), (false, Some("the receiver is away")));

    database.execute("UPDATE jobs SET run_after = now()").await;
    let again = take(store, OTHER).await.pop().expect("its time has come");
    assert_eq!((again.payload.clone(), again.attempts), (json!("a1"), 2));
    assert!(store.poison_job(&again, "410 Gone").await.unwrap());
    assert_eq!(taken(store, OTHER).await, ["a2"]);
    let counts = store.count_jobs().await.unwrap();
    assert_eq!(counts.iter().map(|count| (count.waiting, count.poisoned)).collect::<Vec<_>>(), [(0, 1)]);
}

#[tokio::test]
async fn a_job_that_was_given_up_is_retried_as_the_last_of_its_lane_or_discarded() {
    let database = cluster().await;
    let store = database.store();
    enqueue(store, &[("a1", Some("a")), ("a2", Some("a"))]).await;
    let a1 = take(store, SERVER).await.pop().unwrap();
    assert_eq!(store.jobs().revive(a1.id).await.unwrap(), None, "it runs");
    assert_eq!(store.jobs().discard(a1.id).await.unwrap(), None, "it runs");
    store.poison_job(&a1, "no").await.unwrap();
    let revived = store.jobs().revive(a1.id).await.unwrap().expect("it was given up");
    assert_eq!((revived.attempts, revived.poisoned_at), (0, None));
    let a2 = take(store, SERVER).await.pop().unwrap();
    assert_eq!(a2.payload, "a2");
    store.poison_job(&a2, "no").await.unwrap();
    assert!(store.jobs().discard(a2.id).await.unwrap().is_some());
    assert_eq!(taken(store, SERVER).await, ["a1"]);
}

#[tokio::test]
async fn a_job_of_a_lost_server_is_taken_at_once_and_the_lost_attempt_changes_nothing() {
    let cluster = Fixture::new().await;
    let (gone, heir) = (cluster.server(2).await, cluster.server(3).await);
    let store = &cluster.store;
    enqueue(store, &[("one", None)]).await;
    let lost = take(store, gone).await.pop().expect("it waits");
    assert_eq!(take(store, heir).await, []);
    cluster.lose(gone).await;
    let again = take(store, heir).await.pop().expect("its server is lost");
    assert_eq!((again.id, again.attempts), (lost.id, 2));
    assert!(!store.renew_job(&lost, MINUTE).await.unwrap());
    assert!(!store.retry_job(&lost, MINUTE, "late", true).await.unwrap());
    assert!(!store.poison_job(&lost, "late").await.unwrap());
    assert!(!store.complete_job(&lost).await.unwrap());
    assert!(store.complete_job(&again).await.unwrap());
}

#[tokio::test]
async fn a_lease_that_is_renewed_keeps_the_job() {
    let database = cluster().await;
    let store = database.store();
    enqueue(store, &[("one", None)]).await;
    let long = store.take_jobs("test", 1, Duration::ZERO, SERVER).await.unwrap().pop().unwrap();
    assert!(store.renew_job(&long, MINUTE).await.unwrap());
    assert_eq!(take(store, OTHER).await, []);
}

#[tokio::test]
async fn a_server_that_stops_gives_its_jobs_back_and_their_attempts_do_not_count() {
    let database = cluster().await;
    let store = database.store();
    enqueue(store, &[("one", None), ("two", None)]).await;
    let mine = store.take_jobs("test", 1, MINUTE, SERVER).await.unwrap().pop().unwrap();
    let theirs = store.take_jobs("test", 1, MINUTE, OTHER).await.unwrap().pop().unwrap();
    store.release_jobs(SERVER).await.unwrap();
    let again = take(store, Uuid::from_u128(3)).await;
    assert_eq!(again.iter().map(|job| (job.id, job.attempts)).collect::<Vec<_>>(), [(mine.id, 1)]);
    assert!(store.complete_job(&theirs).await.unwrap(), "another server's is left alone");
}

/// Of the rows that are due, and of those behind the head of a lane.
#[tokio::test]
async fn however_many_jobs_are_due_a_server_reads_few_of_them() {
    let database = cluster().await;
    let many = "INSERT INTO jobs (kind, lane, payload)
        SELECT 'test', lane, 'null' FROM generate_series(1, 50000), unnest(ARRAY[NULL, 'a']) AS lane";
    database.execute(many).await;
    database.execute("VACUUM ANALYZE jobs").await;
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    // Both as the values are known, and as a statement that is prepared once for all values.
    for mode in ["force_custom_plan", "force_generic_plan"] {
        client.batch_execute(&format!("SET plan_cache_mode = {mode}")).await.unwrap();
        let sql = format!("EXPLAIN (ANALYZE, FORMAT JSON) {TAKE}");
        let row = client.query_one(&sql, &[&"test", &10_i64, &60.0, &SERVER]).await.unwrap();
        let plan: Value = row.get(0);
        let read = rows_read(&plan[0]["Plan"]);
        assert!(read < 100.0, "{mode}, {read} rows: {plan:#}");
    }
    driver.abort();
    assert_eq!(database.count("SELECT count(*) FROM jobs WHERE run_by IS NOT NULL").await, 20);
}

/// How many rows of the table a plan has read.
fn rows_read(plan: &Value) -> f64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or_default();
    let is_scan =
        plan["Node Type"].as_str().is_some_and(|kind| kind.ends_with("Scan")) && plan["Relation Name"] == "jobs";
    let read =
        if is_scan { (number("Actual Rows") + number("Rows Removed by Filter")) * number("Actual Loops") } else { 0.0 };
    read + plan["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<f64>()
}

#[tokio::test]
async fn jobs_that_are_due_the_longest_go_first() {
    let database = cluster().await;
    let store = database.store();
    enqueue(store, &[("free", None), ("a1", Some("a"))]).await;
    database.execute("UPDATE jobs SET run_after = now() - interval '1 minute' * seq").await;
    let mut order = Vec::new();
    for _ in 0..2 {
        let taken = store.take_jobs("test", 1, MINUTE, SERVER).await.unwrap();
        order.extend(taken.into_iter().map(|job| job.payload));
    }
    assert_eq!(order, ["a1", "free"]);
}

/// Eight servers, each with sessions of its own, run all jobs. A job goes back once before it is done.
#[tokio::test]
async fn however_many_servers_run_them_the_jobs_of_a_lane_keep_their_order() {
    const LANES: usize = 5;
    const JOBS: usize = 8;
    let database = cluster().await;
    let jobs = (0..JOBS).flat_map(|number| {
        (0..LANES).map(move |lane| NewJob { payload: json!(number), ..named("", Some(&lane.to_string())) })
    });
    database.store().enqueue(&jobs.collect::<Vec<_>>()).await.unwrap();
    let (done, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let mut servers = JoinSet::new();
    for number in 10..18 {
        let (store, done) = (database.store().clone(), done.clone());
        servers.spawn(async move {
            while database_has_jobs(&store).await {
                for job in store.take_jobs("test", 2, MINUTE, Uuid::from_u128(number)).await.unwrap() {
                    if job.attempts == 1 {
                        assert!(store.retry_job(&job, Duration::ZERO, "once more", true).await.unwrap());
                    } else {
                        // Before it is completed, since its successor may be done before this server goes on.
                        done.send((job.lane.clone().unwrap(), job.payload.clone())).unwrap();
                        assert!(store.complete_job(&job).await.unwrap());
                    }
                }
            }
        });
    }
    drop(done);
    servers.join_all().await;
    let mut lanes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    while let Some((lane, number)) = ends.recv().await {
        lanes.entry(lane).or_default().push(number);
    }
    let wanted: Vec<_> = (0..JOBS).map(Value::from).collect();
    assert_eq!(lanes.len(), LANES);
    lanes.into_iter().for_each(|(lane, numbers)| assert_eq!(numbers, wanted, "lane {lane}"));
}

async fn database_has_jobs(store: &Store) -> bool {
    !store.jobs().load(1).await.expect("the queue answers").is_empty()
}
