//! The bench: how it runs the jobs of the queue.

use std::sync::Arc;
use std::time::Duration;

use b3scale::ledger::{Queue, QueuedJob};
use b3scale::work::{Attempt, Bench, Job, JobError, Terms};
use b3scale_support::{TestDatabase, eventually, within};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

const TERMS: Terms = Terms {
    at_once: 1,
    lease: Duration::from_secs(60),
    limit: Duration::from_secs(60),
    attempts: 3,
    pause: Duration::ZERO,
    longest_pause: Duration::ZERO,
};

/// Does as its payload says, and reports each attempt.
struct Obedient(UnboundedSender<Attempt>);

impl Job for Obedient {
    const KIND: &'static str = "obedient";
    const TERMS: Terms = TERMS;
    type Payload = String;

    async fn run(&self, payload: String, attempt: Attempt) -> Result<(), JobError> {
        self.0.send(attempt).expect("the test waits");
        match payload.as_str() {
            "succeed" => Ok(()),
            "fail" => Err(std::io::Error::other("the receiver is away").into()),
            "recover" if attempt.last => Ok(()),
            "recover" => Err(JobError::Retry("not yet".to_owned())),
            "look" if attempt.number == 1 => {
                let (pause, why) = (Duration::from_secs(60), "not its turn".to_owned());
                Err(JobError::Later { pause, why, counts: false })
            }
            "put off" => Err(JobError::Later { pause: Duration::ZERO, why: "not now".to_owned(), counts: true }),
            "give up" => Err(JobError::Poison("410 Gone".to_owned())),
            other => panic!("{other}"),
        }
    }
}

/// Takes longer than its lease, which is short.
struct Long(UnboundedSender<Attempt>);

impl Job for Long {
    const KIND: &'static str = "long";
    const TERMS: Terms = Terms { lease: Duration::from_millis(300), ..TERMS };
    type Payload = ();

    async fn run(&self, (): (), attempt: Attempt) -> Result<(), JobError> {
        self.0.send(attempt).expect("the test waits");
        std::future::pending().await
    }
}

/// Takes longer than it may.
struct Slow;

impl Job for Slow {
    const KIND: &'static str = "slow";
    const TERMS: Terms = Terms { limit: Duration::from_millis(1), ..TERMS };
    type Payload = ();

    async fn run(&self, (): (), _: Attempt) -> Result<(), JobError> {
        std::future::pending().await
    }
}

/// A bench that runs one job.
async fn run(database: &TestDatabase, payload: &str) -> (Bench, UnboundedReceiver<Attempt>) {
    let bench = Bench::new(Arc::new(database.store().clone()), Uuid::from_u128(7));
    let (report, attempts) = unbounded_channel();
    bench.enqueue(&[Obedient::queued(&payload.to_owned())]).await.expect("it is queued");
    bench.job(Obedient(report));
    (bench, attempts)
}

async fn next(attempts: &mut UnboundedReceiver<Attempt>) -> (u32, bool) {
    let attempt = within("an attempt", attempts.recv()).await.expect("the bench runs");
    (attempt.number, attempt.last)
}

/// Waits until the only job has been given up.
async fn poisoned(database: &TestDatabase) -> QueuedJob {
    let only = async || database.store().jobs().load(2).await.expect("the queue answers").pop();
    eventually("the job is given up", async || only().await.is_some_and(|job| job.poisoned_at.is_some())).await;
    only().await.expect("it is kept")
}

#[tokio::test]
async fn a_job_that_succeeds_is_gone() {
    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "succeed").await;
    assert_eq!(next(&mut attempts).await, (1, false));
    eventually("it is gone", async || database.store().jobs().load(1).await.unwrap().is_empty()).await;
    bench.stop();
}

#[tokio::test]
async fn a_job_that_fails_is_retried_until_its_last_attempt_and_then_kept() {
    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "fail").await;
    for attempt in [(1, false), (2, false), (3, true)] {
        assert_eq!(next(&mut attempts).await, attempt);
    }
    let job = poisoned(&database).await;
    assert_eq!((job.attempts, job.last_error.as_deref()), (3, Some("the receiver is away")));
    bench.stop();
}

#[tokio::test]
async fn a_job_that_recovers_is_gone() {
    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "recover").await;
    for attempt in [(1, false), (2, false), (3, true)] {
        assert_eq!(next(&mut attempts).await, attempt);
    }
    eventually("it is gone", async || database.store().jobs().load(1).await.unwrap().is_empty()).await;
    bench.stop();
}

#[tokio::test]
async fn a_job_says_when_it_runs_again_and_whether_that_was_an_attempt() {
    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "look").await;
    let is_put_off = "SELECT count(*) FROM jobs WHERE attempts = 0 AND run_by IS NULL AND last_error = 'not its turn'
        AND run_after BETWEEN now() + interval '50 seconds' AND now() + interval '60 seconds'";
    for _ in 0..4 {
        assert_eq!(next(&mut attempts).await, (1, false), "a look is no attempt");
        eventually("it is put off", async || database.count(is_put_off).await == 1).await;
        database.execute("UPDATE jobs SET run_after = now()").await;
        bench.waker().wake(Obedient::KIND);
    }
    bench.stop();

    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "put off").await;
    for attempt in [(1, false), (2, false), (3, true)] {
        assert_eq!(next(&mut attempts).await, attempt);
    }
    assert_eq!(poisoned(&database).await.last_error.as_deref(), Some("not now"));
    bench.stop();
}

#[tokio::test]
async fn a_job_that_cannot_succeed_is_given_up_at_once() {
    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "give up").await;
    assert_eq!(next(&mut attempts).await, (1, false));
    assert_eq!(poisoned(&database).await.last_error.as_deref(), Some("410 Gone"));
    bench.stop();
}

#[tokio::test]
async fn a_job_that_panics_ends_no_other() {
    let database = TestDatabase::new().await;
    let (bench, mut attempts) = run(&database, "panic").await;
    assert_eq!(poisoned(&database).await.last_error.as_deref(), Some("panic"));
    for _ in 0..3 {
        next(&mut attempts).await;
    }
    bench.enqueue(&[Obedient::queued(&"succeed".to_owned())]).await.unwrap();
    assert_eq!(next(&mut attempts).await, (1, false));
    bench.stop();
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_given_up_at_once() {
    let database = TestDatabase::new().await;
    let bench = Bench::new(Arc::new(database.store().clone()), Uuid::from_u128(7));
    bench.job(Obedient(unbounded_channel().0));
    let mut job = Obedient::queued(&String::new());
    job.payload = json!({"of": "an older release"});
    bench.enqueue(&[job]).await.unwrap();
    let job = poisoned(&database).await;
    assert!(job.last_error.is_some_and(|error| error.starts_with("the payload cannot be read")));
    bench.stop();
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_cut_off() {
    let database = TestDatabase::new().await;
    let bench = Bench::new(Arc::new(database.store().clone()), Uuid::from_u128(7));
    bench.job(Slow);
    bench.enqueue(&[Slow::queued(&())]).await.unwrap();
    assert_eq!(poisoned(&database).await.last_error.as_deref(), Some("no end within 0 s"));
    bench.stop();
}

/// A job that ends its server would end one after the other.
#[tokio::test]
async fn a_job_whose_servers_were_lost_in_every_attempt_is_given_up() {
    let database = TestDatabase::new().await;
    database.store().enqueue(&[Obedient::queued(&"succeed".to_owned())]).await.unwrap();
    for server in 1..=3 {
        database.store().take_jobs(Obedient::KIND, 1, Duration::ZERO, Uuid::from_u128(server)).await.unwrap();
    }
    let bench = Bench::new(Arc::new(database.store().clone()), Uuid::from_u128(7));
    bench.job(Obedient(unbounded_channel().0));
    assert!(poisoned(&database).await.last_error.is_some_and(|error| error.contains("server was lost")));
    bench.stop();
}

#[tokio::test]
async fn a_job_under_way_keeps_its_lease_and_is_cut_off_when_another_server_has_it() {
    let database = TestDatabase::new().await;
    let bench = Bench::new(Arc::new(database.store().clone()), Uuid::from_u128(7));
    let (report, mut attempts) = unbounded_channel();
    bench.job(Long(report));
    bench.enqueue(&[Long::queued(&())]).await.unwrap();
    assert_eq!(next(&mut attempts).await, (1, false));
    let renewed = "SELECT count(*) FROM jobs WHERE lease > created_at + interval '900 milliseconds'";
    eventually("the lease is renewed", async || database.count(renewed).await == 1).await;
    assert_eq!(database.count("SELECT attempts::int8 FROM jobs").await, 1);
    database.execute("UPDATE jobs SET attempts = 2, lease = NULL, run_by = NULL").await;
    assert_eq!(next(&mut attempts).await, (3, true), "the first attempt has made room for another");
    bench.stop();
}

#[tokio::test]
async fn a_bench_that_stops_leaves_its_jobs_to_others() {
    let database = TestDatabase::new().await;
    let bench = Bench::new(Arc::new(database.store().clone()), Uuid::from_u128(7));
    let (report, mut attempts) = unbounded_channel();
    bench.job(Long(report));
    bench.enqueue(&[Long::queued(&())]).await.unwrap();
    next(&mut attempts).await;
    bench.stop();
    bench.leave().await;
    let taken = database.store().take_jobs(Long::KIND, 1, TERMS.lease, Uuid::from_u128(8)).await.unwrap();
    assert_eq!(taken.iter().map(|job| job.attempts).collect::<Vec<_>>(), [1]);
}
