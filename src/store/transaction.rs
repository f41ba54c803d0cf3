//! Several statements that count together or not at all.

use std::sync::OnceLock;

use deadpool_postgres::Object;
use tokio::time::{Instant, timeout};
use tokio_postgres::Row;

use super::pool::{Params, RIVALS, STATEMENT_LIMIT, is_rivalry};
use super::{Place, Store, StoreError};
use crate::telemetry::catalog::{DB_RETRIES, DB_SECONDS};

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They count.
    Commit,
    /// They were only tried.
    Rollback,
}

/// Statements under way. Dropped before its end, none of them was run.
pub(crate) struct Transaction<'c> {
    inner: deadpool_postgres::Transaction<'c>,
    task: &'static str,
    place: &'c Place,
    mishap: &'c OnceLock<Mishap>,
}

/// Why a transaction failed, where that decides about a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// A deadlock or a serialisation failure.
    Rivals,
    /// An answer may still come.
    Silence,
    /// A new connection may lead to another server, which takes changes.
    ReadOnly,
}

/// Statements that count together, to be run once or, if they lose to rivals, several times.
//
// A trait and not a closure: a `Send` bound on the future of an async closure cannot be written yet.
pub(crate) trait Work: Sync {
    /// Completes "PostgreSQL refused to …".
    const TASK: &'static str;
    type Done: Send;
    type Error: From<StoreError> + Send;

    fn run(&self, transaction: &Transaction<'_>) -> impl Future<Output = Result<Self::Done, Self::Error>> + Send;
}

impl Store {
    /// Runs statements as one.
    pub(crate) async fn transaction<W: Work>(&self, work: &W, ending: Ending) -> Result<W::Done, W::Error> {
        let mut tries = 1..RIVALS;
        loop {
            let mishap = OnceLock::new();
            let outcome = self.attempt(work, ending, &mishap).await;
            if mishap.get() != Some(&Mishap::Rivals) || tries.next().is_none() {
                return outcome;
            }
            DB_RETRIES.with([]).increment(1);
        }
    }

    async fn attempt<W: Work>(&self, work: &W, ending: Ending, mishap: &OnceLock<Mishap>) -> Result<W::Done, W::Error> {
        let mut client = self.client().await?;
        let run = async {
            let begun = noting(client.transaction(), W::TASK, self.place(), mishap).await?;
            let transaction = Transaction { inner: begun, task: W::TASK, place: self.place(), mishap };
            // PostgreSQL does not notice that a client has stopped waiting for a lock, or that a server is lost while it holds one.
            let limits = "SELECT set_config('lock_timeout', '5s', true),
                set_config('idle_in_transaction_session_timeout', '10s', true)";
            transaction.rows(limits, &[]).await?;
            let done = work.run(&transaction).await?;
            transaction.end(ending).await?;
            Ok(done)
        };
        let began = Instant::now();
        let outcome = run.await;
        DB_SECONDS.with([W::TASK]).record(began.elapsed());
        if matches!(mishap.get(), Some(Mishap::Silence | Mishap::ReadOnly)) {
            drop(Object::take(client));
        }
        outcome
    }
}

impl Transaction<'_> {
    /// Runs a statement.
    pub(crate) async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let run = async {
            let statement = self.inner.prepare_cached(sql).await?;
            self.inner.query(&statement, params).await
        };
        noting(run, self.task, self.place, self.mishap).await
    }

    async fn end(self, ending: Ending) -> Result<(), StoreError> {
        let Self { inner, task, place, mishap } = self;
        match ending {
            Ending::Commit => noting(inner.commit(), task, place, mishap).await,
            Ending::Rollback => noting(inner.rollback(), task, place, mishap).await,
        }
    }
}

/// Waits for an answer within the limit, and keeps the mishap.
async fn noting<T>(
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    task: &'static str,
    place: &Place,
    mishap: &OnceLock<Mishap>,
) -> Result<T, StoreError> {
    let Ok(answer) = timeout(STATEMENT_LIMIT, answer).await else {
        mishap.get_or_init(|| Mishap::Silence);
        return Err(StoreError::slow(task, place, STATEMENT_LIMIT));
    };
    answer.map_err(|error| {
        if is_rivalry(&error) {
            mishap.get_or_init(|| Mishap::Rivals);
        }
        let failure = StoreError::from_postgres(task, place, &error);
        if failure.is_read_only() {
            mishap.get_or_init(|| Mishap::ReadOnly);
        }
        failure
    })
}
