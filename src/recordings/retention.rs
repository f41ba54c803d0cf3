//! Retention: recordings past their days or beyond their frontend's bytes go to the trash, and the trash is emptied.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::store::{OverdueRecording, REMOVAL, Store, StoreError};
use crate::work::{Duty, Failure, Waker};

/// The most recordings that one statement takes.
const BATCH: i64 = 200;

/// How many recordings were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// To the trash.
    pub dropped: usize,
    /// Out of the trash, for good.
    pub purged: usize,
}

/// Takes overdue recordings, by the settings of their frontends. Only rows change here: jobs move and remove the files.
pub struct Retention {
    store: Store,
    waker: Waker,
}

impl Retention {
    /// Retention over these tables. The waker is that of the bench, where jobs remove the files.
    pub fn new(store: Store, waker: Waker) -> Self {
        Self { store, waker }
    }

    /// Takes some overdue recordings: first those for the trash, then those in it.
    ///
    /// # Errors
    /// Any [`StoreError`] of the database.
    pub async fn step(&self) -> Result<Taken, StoreError> {
        let dropped = self.store.holdings().drop_overdue(BATCH).await?;
        for (frontend, (recordings, bytes)) in by_frontend(&dropped) {
            tracing::info!(frontend, recordings, bytes, "Moved overdue recordings to the trash");
        }
        let purged = self.store.holdings().purge(BATCH).await?;
        for (frontend, (recordings, bytes)) in by_frontend(&purged) {
            tracing::info!(frontend, recordings, bytes, "Emptied the trash of recordings");
        }
        self.waker.wake(REMOVAL);
        Ok(Taken { dropped: dropped.len(), purged: purged.len() })
    }
}

impl Duty for Retention {
    const NAME: &'static str = "retain-recordings";
    const EVERY: Duration = Duration::from_secs(3600);

    async fn run(&self) -> Result<(), Failure> {
        while self.step().await? != Taken::default() {}
        Ok(())
    }
}

/// How many recordings of each frontend, and their bytes.
fn by_frontend(taken: &[OverdueRecording]) -> BTreeMap<Option<&str>, (u32, i64)> {
    let mut sums = BTreeMap::new();
    for one in taken {
        let (recordings, bytes): &mut (u32, i64) = sums.entry(one.frontend.as_deref()).or_default();
        *recordings += 1;
        *bytes += one.bytes;
    }
    sums
}
