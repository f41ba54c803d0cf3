//! Both databases on one clock, and the histories that are replayed on them.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use b3scale::ledger::memory::Model;
use b3scale::ledger::{Announcements, Change, Feed, Lookups, MeetingCopy, Poll, QueuedJob};
use b3scale::store::Store;
use b3scale_middleware::chance::Clock;
use b3scale_middleware::cluster::{Backend, BackendId, Frontend, Meeting, Secrets};
use b3scale_support::{TestDatabase, eventually, within};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::steps::{Answer, Belief, Kind, Op, Side, Step, backend, frontend, meeting_id};
use super::{agents, rows};
use crate::fixture::secret;

/// When all histories begin.
const START: Duration = Duration::from_secs(1_700_000_000);

/// The number of the first ticket, far above all versions.
const FIRST_TICKET: i64 = 1 << 41;

/// The clock of the statements, in place of PostgreSQL's own: it stands before `pg_catalog` in the search path.
const CLOCK: &str = "
    CREATE TABLE instant (at timestamptz NOT NULL);
    INSERT INTO instant VALUES (to_timestamp(1700000000));
    CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT at FROM public.instant';
    CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM public.instant';
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
    END $$;";

/// Locks every row that a transition could change, so that each statement waits for it.
const LOCK: &str = "BEGIN; SELECT FROM meetings FOR UPDATE; SELECT FROM meeting_copies FOR UPDATE;
    SELECT FROM backend_status FOR UPDATE;";

/// How many sessions wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// A clock that is set by hand.
struct Still(Mutex<SystemTime>);

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn time(&self) -> SystemTime {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Rig {
    _database: TestDatabase,
    store: Store,
    /// Sets the clock and the rows, and reads them.
    client: Client,
    /// Holds locks.
    rival: Client,
    feed: AsyncMutex<Feed>,
}

/// The two sides of a history, as far as it has come.
struct History<'a> {
    rig: &'a Rig,
    clock: Arc<Still>,
    model: Model,
    tickets: i64,
    /// Known rows of each meeting, in both databases: the last is current.
    meetings: [Vec<(Meeting, Meeting)>; 3],
    polls: Vec<(Poll, Poll)>,
    jobs: Vec<(QueuedJob, QueuedJob)>,
    seats: Vec<Uuid>,
}

/// An operation, and its basis, on each side.
struct Prepared {
    op: Op,
    sql: Belief,
    model: Belief,
    ticket: i64,
}

impl Rig {
    pub(super) async fn new() -> Self {
        let database = TestDatabase::empty().await;
        database.execute(CLOCK).await;
        let store = Store::connect(database.url(), 8).await.expect("it takes connections");
        store.schema().migrate().await.expect("the migrations apply");
        database.execute(rows::FUNCTIONS).await;
        let feed = AsyncMutex::new(store.feed());
        let (client, rival) = (connect(database.url()).await, connect(database.url()).await);
        Self { _database: database, store, client, rival, feed }
    }

    /// Replays a history on both sides, from the same beginning.
    pub(super) async fn replay(&self, steps: &[Step]) -> Result<(), String> {
        let mut history = self.begin().await;
        for (at, step) in steps.iter().enumerate() {
            history.take(step).await.map_err(|difference| format!("step {at}, {step:?}: {difference}"))?;
        }
        Ok(())
    }

    async fn begin(&self) -> History<'_> {
        let clock = Arc::new(Still(Mutex::new(SystemTime::UNIX_EPOCH + START)));
        let model = Model::new(Arc::<Still>::clone(&clock));
        let mut sql = "TRUNCATE frontends, backends, meetings, meeting_copies, meeting_history, servers, jobs, duties
            RESTART IDENTITY CASCADE;
            UPDATE instant SET at = to_timestamp(1700000000);"
            .to_owned();
        for meeting in [0, 2] {
            let id = frontend(meeting);
            sql += &format!("INSERT INTO frontends (id, key, secret) VALUES ('{0}', '{0}', 's3cret');", id.0);
            model.put_frontend(new_frontend(meeting)).await.expect("the model has no trouble");
        }
        for number in 0..3 {
            let new = new_backend(backend(number));
            sql += &format!(
                "INSERT INTO backends (id, url, secret, admin_state) VALUES ('{}', '{}', 'n0de', 'ready');",
                new.id, new.url
            );
            model.put_backend(new).await.expect("the model has no trouble");
        }
        self.client.batch_execute(&sql).await.expect("the rows are there");
        let meetings = [const { Vec::new() }; 3];
        let history = History {
            rig: self,
            clock,
            model,
            tickets: FIRST_TICKET,
            meetings,
            polls: Vec::new(),
            jobs: Vec::new(),
            seats: Vec::new(),
        };
        history.announced().await;
        history.pass(Duration::from_millis(1)).await;
        history
    }
}

impl History<'_> {
    async fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Pass(seconds) => self.pass(Duration::from_secs(*seconds)).await,
            Step::Alone(op) => self.take_alone(op).await?,
            Step::Together(ops) => self.take_together(ops).await?,
        }
        self.note_meetings().await;
        // No two rows of different steps have the same time.
        self.pass(Duration::from_millis(1)).await;
        Ok(())
    }

    async fn take_alone(&mut self, op: &Op) -> Result<(), String> {
        let prepared = self.prepare(op);
        let (mut feed, marks) = (self.model.feed(), self.marks().await);
        let (sql, model) = (self.ask_sql(&prepared).await, self.ask(&self.model, &prepared).await);
        same("answer", &sql.words, &model.words)?;
        let announced = self.announced().await;
        same("announcements", &announced, &heard(&mut feed))?;
        let sql_rows = rows::of_sql(&self.rig.client, marks.0).await;
        let model_rows = rows::of_model(&self.model.tables(), marks.1);
        same("rows", &sql_rows, &model_rows)?;
        self.learn(&sql, &model);
        Ok(())
    }

    /// Runs operations of several sessions at once: all begin before the first can end.
    async fn take_together(&mut self, ops: &[Op]) -> Result<(), String> {
        let mut prepared = Vec::new();
        for op in ops {
            prepared.push(self.prepare(op));
        }
        let marks = self.marks().await;
        let answers = self.overlap(&prepared).await;
        let announced = self.announced().await;
        let rows = rows::of_sql(&self.rig.client, marks.0).await;
        let mut schedules = vec![Vec::new()];
        let mut outcomes = Vec::new();
        while let Some(schedule) = schedules.pop() {
            let outcome = self.try_schedule(&prepared, &schedule, marks.1);
            if !outcome.open.is_empty() {
                schedules.extend(outcome.open.iter().map(|next| [&schedule[..], &[*next]].concat()));
                continue;
            }
            let words = |answers: &[Answer]| answers.iter().map(|one| one.words.clone()).collect::<Vec<_>>();
            let modelled = words(&outcome.answers);
            if modelled == words(&answers) && outcome.rows == rows && outcome.announced == announced {
                answers.iter().zip(&outcome.answers).for_each(|(sql, model)| self.learn(sql, model));
                self.model = outcome.model;
                return Ok(());
            }
            outcomes.push((modelled, outcome.announced, outcome.rows));
        }
        outcomes.sort();
        outcomes.dedup();
        let answers: Vec<_> = answers.iter().map(|answer| &answer.words).collect();
        Err(format!("the SQL came to {answers:#?}, {announced:#?}, {rows:#?}, the model to one of {outcomes:#?}"))
    }

    /// Runs the statements while a rival holds the rows, until each of them waits for it or has come to its end.
    async fn overlap(&self, prepared: &[Prepared]) -> Vec<Answer> {
        self.rig.rival.batch_execute(LOCK).await.expect("nobody else holds the rows");
        let done = AtomicI64::new(0);
        let release = async {
            let is_stuck = async || self.waiting().await + done.load(Relaxed) == prepared.len() as i64;
            eventually("each statement waits or is done", is_stuck).await;
            self.rig.rival.batch_execute("ROLLBACK").await.expect("the rows are free");
        };
        let statements = join_all(prepared.iter().map(async |one| {
            let answer = self.ask_sql(one).await;
            done.fetch_add(1, Relaxed);
            answer
        }));
        tokio::join!(statements, release).0
    }

    async fn waiting(&self) -> i64 {
        self.rig.client.query_one(WAITING, &[]).await.expect("it can be asked").get(0)
    }

    /// Runs the model's statements in an order: each number in it lets that one begin, or go on to its end.
    fn try_schedule(&self, prepared: &[Prepared], schedule: &[usize], mark: i64) -> Outcome {
        let model = Model::of(self.model.tables().as_ref().clone(), Arc::<Still>::clone(&self.clock));
        let mut feed = model.feed();
        let mut statements: Vec<BoxFuture<'_, Answer>> =
            prepared.iter().map(|one| self.ask(&model, one).boxed()).collect();
        let mut answers: Vec<Option<Answer>> = vec![None; prepared.len()];
        for at in schedule {
            answers[*at] = (&mut statements[*at]).now_or_never();
        }
        let open = (0..answers.len()).filter(|at| answers[*at].is_none()).collect();
        drop(statements);
        let rows = rows::of_model(&model.tables(), mark);
        let announced = heard(&mut feed);
        Outcome { open, answers: answers.into_iter().flatten().collect(), rows, announced, model }
    }

    /// The last version of each side.
    async fn marks(&self) -> (i64, i64) {
        let sql = "SELECT last_value FROM versions";
        let sql = self.rig.client.query_one(sql, &[]).await.expect("it can be asked").get(0);
        (sql, self.model.tables().versions)
    }

    async fn ask_sql(&self, prepared: &Prepared) -> Answer {
        let Prepared { op, sql, ticket, .. } = prepared;
        op.perform(Side::Sql(&self.rig.store), sql, *ticket, self.clock.time()).await
    }

    async fn ask(&self, model: &Model, prepared: &Prepared) -> Answer {
        let Prepared { op, model: belief, ticket, .. } = prepared;
        op.perform(Side::Model(model), belief, *ticket, self.clock.time()).await
    }

    /// The basis of an operation: the same row on each side.
    fn prepare(&mut self, op: &Op) -> Prepared {
        self.tickets += 1;
        let known = &self.meetings[op.meeting];
        let meetings = known.len().checked_sub(1 + op.age).map(|at| known[at].clone());
        let polls = self.polls.len().checked_sub(1 + op.age).map(|at| self.polls[at].clone());
        let is_old = i32::from(op.age > 0);
        let at = (meeting_id(op.meeting).0, backend(op.backend));
        let copy = self.model.tables().copies.get(&at).map(|row| MeetingCopy {
            id: at.0.clone(),
            backend: at.1,
            attempt: row.attempt - is_old,
            doomed: row.doomed,
        });
        let ((sql, model), (sql_poll, model_poll)) = (meetings.unzip(), polls.unzip());
        let needs_poll = matches!(op.kind, Kind::ReturnPoll | Kind::RecordPoll);
        let jobs = self.jobs.len().checked_sub(1 + op.age).map(|at| self.jobs[at].clone());
        let (sql_job, model_job) = jobs.unzip();
        let start = (backend(op.backend), agents::boot(op));
        let batch = self.model.tables().agents.get(&start).map_or(0, |row| row.seq.unsigned_abs());
        let belief = |meeting, poll: Option<Poll>, job| Belief {
            meeting,
            copy: copy.clone(),
            poll: poll.filter(|_| needs_poll),
            job,
            seat: self.seats.last().copied(),
            batch,
        };
        Prepared {
            op: op.clone(),
            sql: belief(sql, sql_poll, sql_job),
            model: belief(model, model_poll, model_job),
            ticket: self.tickets,
        }
    }

    fn learn(&mut self, sql: &Answer, model: &Answer) {
        // Rows of one statement come in any order.
        let by_id = |answer: &Answer| {
            let mut meetings = answer.learned.meetings.clone();
            meetings.sort_by(|one, other| one.id.cmp(&other.id));
            meetings
        };
        for (sql, model) in by_id(sql).into_iter().zip(by_id(model)) {
            let meetings = self.meetings.iter_mut().enumerate();
            let known = meetings.filter(|(number, _)| meeting_id(*number).0 == sql.id).map(|(_, known)| known);
            known.for_each(|known| known.push((sql.clone(), model.clone())));
        }
        self.jobs.extend(sql.learned.jobs.iter().cloned().zip(model.learned.jobs.iter().cloned()));
        self.seats.extend(&sql.learned.seats);
        let by_backend = |polls: &[Poll]| {
            let mut polls = polls.to_vec();
            polls.sort_by_key(|poll| poll.backend);
            polls
        };
        self.polls.extend(by_backend(&sql.learned.polls).into_iter().zip(by_backend(&model.learned.polls)));
    }

    /// Notes every meeting as it is now.
    async fn note_meetings(&mut self) {
        for number in 0..self.meetings.len() {
            let (id, _) = meeting_id(number);
            let sql = self.rig.store.find_meeting(&id).await.expect("it can be read");
            let model = self.model.tables().meetings.get(&id).map(|row| row.meeting.clone());
            let is_known = self.meetings[number].last().map(|(known, _)| known) == sql.as_ref();
            if let Some(pair) = sql.zip(model).filter(|_| !is_known) {
                self.meetings[number].push(pair);
            }
        }
    }

    /// Sets both clocks forward.
    async fn pass(&self, time: Duration) {
        *self.clock.0.lock().unwrap_or_else(PoisonError::into_inner) += time;
        let sql = "UPDATE instant SET at = at + make_interval(secs => $1)";
        self.rig.client.execute(sql, &[&time.as_secs_f64()]).await.expect("the clock is set");
    }

    /// Everything that was announced up to now.
    async fn announced(&self) -> Vec<String> {
        let mark = Uuid::new_v4();
        self.rig.store.echo(mark).await.expect("it is announced");
        let mut feed = self.rig.feed.lock().await;
        let mut changes = Vec::new();
        loop {
            let change = within("the mark comes", feed.recv()).await.expect("the feed goes on");
            if change == Change::Echo(mark) {
                return in_order(&changes);
            }
            changes.push(change);
        }
    }
}

/// The end of a schedule, or of its beginning.
struct Outcome {
    /// The statements that have not come to their end.
    open: Vec<usize>,
    answers: Vec<Answer>,
    rows: Vec<String>,
    announced: Vec<String>,
    model: Model,
}

fn heard(feed: &mut Feed) -> Vec<String> {
    in_order(&std::iter::from_fn(|| feed.try_recv().ok()).collect::<Vec<_>>())
}

/// The order within a statement does not matter.
fn in_order(changes: &[Change]) -> Vec<String> {
    let changes = changes.iter().filter(|change| **change != Change::Reconnected);
    let mut words: Vec<_> = changes.map(|change| format!("{change:?}")).collect();
    words.sort();
    words
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, sql: &T, model: &T) -> Result<(), String> {
    if sql == model { Ok(()) } else { Err(format!("other {what}\nSQL {sql:#?}\nmodel {model:#?}")) }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it takes connections");
    tokio::spawn(connection);
    client
}

fn new_frontend(meeting: usize) -> Frontend {
    let id = frontend(meeting).0;
    Frontend::new(id, id.to_string(), Secrets::new(secret("s3cret"), None))
}

fn new_backend(id: BackendId) -> Backend {
    Backend::new(id.0, format!("https://{id}.example/api/"), secret("n0de"))
}
