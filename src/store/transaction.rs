//! Several statements that count together or not at all.

use std::sync::OnceLock;
use std::time::Instant;

use deadpool_postgres::Object;
use tokio::time::timeout;
use tokio_postgres::Row;

use super::pool::{Params, RIVALS, STATEMENT_LIMIT, is_rivalry};
use super::{Place, Store, StoreError};
use crate::telemetry::catalog::{DB_RETRIES, DB_SECONDS};

/// What becomes of the statements once all are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// They count.
    Commit,
    /// They only showed what they would do.
    Rollback,
}

/// Statements under way. Dropped before its end, none of them was run.
pub(super) struct Transaction<'c> {
    inner: deadpool_postgres::Transaction<'c>,
    task: &'static str,
    place: &'c Place,
    trouble: &'c OnceLock<Trouble>,
}

/// Why a transaction did not come to its end, where that matters for what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Of two that wait for each other PostgreSQL ends one.
    Rivals,
    /// An answer may still come.
    Silence,
}

/// Statements that count together, to be run once or, if they lose to rivals, several times.
//
// No closure: that what it returns can move between threads could not be said of it.
pub(super) trait Work: Sync {
    /// Completes "PostgreSQL refused to …".
    const TASK: &'static str;
    type Done: Send;
    type Error: From<StoreError> + Send;

    fn run(&self, transaction: &Transaction<'_>) -> impl Future<Output = Result<Self::Done, Self::Error>> + Send;
}

impl Store {
    /// Runs statements as one.
    pub(super) async fn transaction<W: Work>(&self, work: &W, ending: Ending) -> Result<W::Done, W::Error> {
        let mut tries = 1..RIVALS;
        loop {
            let trouble = OnceLock::new();
            let outcome = self.attempt(work, ending, &trouble).await;
            if trouble.get() != Some(&Trouble::Rivals) || tries.next().is_none() {
                return outcome;
            }
            DB_RETRIES.with([]).increment(1);
        }
    }

    async fn attempt<W: Work>(
        &self,
        work: &W,
        ending: Ending,
        trouble: &OnceLock<Trouble>,
    ) -> Result<W::Done, W::Error> {
        let mut client = self.client().await?;
        let run = async {
            let begun = noting(client.transaction(), W::TASK, self.place(), trouble).await?;
            let transaction = Transaction { inner: begun, task: W::TASK, place: self.place(), trouble };
            // PostgreSQL does not notice that nobody waits for a lock any more, or that a server is lost while it holds one.
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
        if trouble.get() == Some(&Trouble::Silence) {
            drop(Object::take(client));
        }
        outcome
    }
}

impl Transaction<'_> {
    /// Runs a statement.
    pub(super) async fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let run = async {
            let statement = self.inner.prepare_cached(sql).await?;
            self.inner.query(&statement, params).await
        };
        noting(run, self.task, self.place, self.trouble).await
    }

    async fn end(self, ending: Ending) -> Result<(), StoreError> {
        let Self { inner, task, place, trouble } = self;
        match ending {
            Ending::Commit => noting(inner.commit(), task, place, trouble).await,
            Ending::Rollback => noting(inner.rollback(), task, place, trouble).await,
        }
    }
}

/// Waits for an answer, but not for ever, and keeps in mind what went wrong.
async fn noting<T>(
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    task: &'static str,
    place: &Place,
    trouble: &OnceLock<Trouble>,
) -> Result<T, StoreError> {
    let Ok(answer) = timeout(STATEMENT_LIMIT, answer).await else {
        trouble.get_or_init(|| Trouble::Silence);
        return Err(StoreError::slow(task, place));
    };
    answer.map_err(|error| {
        if is_rivalry(&error) {
            trouble.get_or_init(|| Trouble::Rivals);
        }
        StoreError::from_postgres(task, place, &error)
    })
}
