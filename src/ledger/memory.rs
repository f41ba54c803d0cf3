//! The database as a model in memory: the same rows, versions, announcements and leases as PostgreSQL's, on a clock that is
//! handed in.
//!
//! It is as isolated as READ COMMITTED, and no more. A statement reads the rows as they were committed when it began. Then
//! it lets other tasks run, as a statement waits for locks, and writes to the rows as they are by now: a row that was changed
//! meanwhile must still match, a row that was added meanwhile is not seen. `tests/cluster/model.rs` holds the model to the
//! SQL.

mod agents;
mod clock;
mod commands;
mod copies;
mod ends;
mod garbage;
mod lookups;
mod operators;
mod places;
mod polls;
mod queue;
mod rows;
mod seats;
mod servers;
mod tables;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::chance::Clock;
use b3scale_middleware::cluster::BackendId;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::yield_now;
use uuid::Uuid;

use super::{Announcements, Change, Feed};
use b3scale_postgres::StoreError;
pub use clock::SimulatedClock;
pub use tables::{
    AgentRow, AttendeeRow, BackendRow, CopyRow, DutyRow, JobRow, MeetingRow, NodeMeetingRow, PastRow, SeatRow,
    ServerEntry, StatusRow, Tables,
};

/// A database in memory. Clones share it, as servers share PostgreSQL.
#[derive(Clone)]
pub struct Model(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    committed: Mutex<Committed>,
}

/// What every new statement sees.
#[derive(Default)]
struct Committed {
    tables: Arc<Tables>,
    feeds: Vec<mpsc::Sender<Change>>,
}

/// One statement under way.
struct Statement {
    /// When it began: what SQL calls `now()`.
    now: SystemTime,
    /// The rows as they were then.
    seen: Arc<Tables>,
    /// The rows that are committed with it.
    tables: Tables,
    announced: Vec<Change>,
}

impl Model {
    /// An empty database.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::of(Tables::default(), clock)
    }

    /// A database with these rows.
    pub fn of(tables: Tables, clock: Arc<dyn Clock>) -> Self {
        let committed = Committed { tables: Arc::new(tables), feeds: Vec::new() };
        Self(Arc::new(Shared { clock, committed: Mutex::new(committed) }))
    }

    /// The rows that are committed.
    pub fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.committed().tables)
    }

    /// Ends all feeds, as a lost connection does: announcements are missed until a server listens again.
    pub fn cut_feeds(&self) {
        self.committed().feeds.clear();
    }

    /// Runs a statement. Others may be committed between its beginning and its end. After an error it has changed nothing.
    async fn run<T>(&self, work: impl FnOnce(&mut Statement) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (now, seen) = (self.0.clock.time(), self.tables());
        yield_now().await;
        let mut committed = self.committed();
        let mut statement = Statement { now, seen, tables: Tables::clone(&committed.tables), announced: Vec::new() };
        let done = work(&mut statement)?;
        committed.tables = Arc::new(statement.tables);
        committed.announce(&statement.announced);
        Ok(done)
    }

    /// Runs a statement that always succeeds.
    async fn change(&self, work: impl FnOnce(&mut Statement)) -> Result<(), StoreError> {
        self.run(|statement| {
            work(statement);
            Ok(())
        })
        .await
    }

    /// Reads the rows as they are committed now.
    async fn read<T>(&self, look: impl FnOnce(&Statement) -> T) -> Result<T, StoreError> {
        self.run(|statement| Ok(look(statement))).await
    }

    fn committed(&self) -> MutexGuard<'_, Committed> {
        self.0.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Committed {
    /// Tells every listener of a commit, of each change once.
    fn announce(&mut self, changes: &[Change]) {
        let once = |at: &usize| !changes[..*at].contains(&changes[*at]);
        for at in (0..changes.len()).filter(once) {
            self.feeds.retain(|feed| feed.try_send(changes[at].clone()).is_ok());
        }
    }
}

impl Statement {
    /// The next number of the sequence of versions.
    fn version(&mut self) -> i64 {
        self.tables.versions += 1;
        self.tables.versions
    }

    fn announce(&mut self, meeting: &ScopedId) {
        self.announced.push(Change::Meeting(meeting.clone()));
    }

    /// Whether a backend was there when the statement began, and cannot be removed before its end.
    fn has_place(&self, backend: BackendId) -> bool {
        self.seen.backends.contains_key(&backend) && self.tables.backends.contains_key(&backend)
    }

    /// A meeting that matched when the statement began and, locked, still does.
    fn locked(&self, id: &ScopedId, matches: impl Fn(&MeetingRow) -> bool) -> Option<MeetingRow> {
        let seen = self.seen.meetings.get(id).filter(|row| matches(row));
        seen.and_then(|_| self.tables.meetings.get(id)).filter(|row| matches(row)).cloned()
    }
}

/// What PostgreSQL says of a row whose frontend is gone.
fn no_frontend(task: &'static str) -> StoreError {
    let message = "insert or update on table \"meetings\" violates foreign key constraint".to_owned();
    StoreError::Refused { task, message, code: "23503".to_owned() }
}

#[async_trait]
impl Announcements for Model {
    fn feed(&self) -> Feed {
        let (changes, feed) = mpsc::channel(Semaphore::MAX_PERMITS);
        let mut committed = self.committed();
        if changes.try_send(Change::Reconnected).is_ok() {
            committed.feeds.push(changes);
        }
        feed
    }

    async fn echo(&self, server: Uuid) -> Result<(), StoreError> {
        self.change(|statement| statement.announced.push(Change::Echo(server))).await
    }

    async fn announce_pipeline(&self) -> Result<(), StoreError> {
        self.change(|statement| statement.announced.push(Change::Pipeline)).await
    }
}
