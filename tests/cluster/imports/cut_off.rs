//! An import that is cut off at each of its waits, as by a lost server, and made again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use b3scale::recordings::Settle;
use b3scale::store::{ImportState, Store};
use b3scale::work::{Attempt, Job, JobError};
use b3scale_middleware::cluster::{FrontendId, RecordId, RecordingChange};
use b3scale_support::Recorded;
use futures_util::FutureExt;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Rig, id, run};

/// Lets work go on until it has waited so often. `None`: it is not done yet.
pub(super) async fn until<F: Future + Unpin>(waits: usize, mut work: F) -> Option<F::Output> {
    let mut count = 0;
    let cut = poll_fn(|context| {
        if count == waits {
            return Poll::Ready(None);
        }
        count += 1;
        work.poll_unpin(context).map(Some)
    });
    cut.await
}

/// Runs the job of an import until it has waited so often, and drops it there. True: it came to its end before.
pub(super) async fn run_until(rig: &Rig, import: Uuid, waits: usize) -> bool {
    let ended = until(waits, pin!(run(&rig.importer, import))).await;
    ended.inspect(|outcome| assert!(outcome.is_ok(), "{outcome:?}")).is_some()
}

/// Runs the other work once the first has waited so often. True: the first came to its end before.
//
// The first may hold a row that the other needs. So it goes on when the other has waited for a while.
async fn in_between<O: Send + 'static>(
    waits: u64,
    mut first: Pin<Box<impl Future<Output = Result<(), JobError>>>>,
    other: Pin<Box<impl Future<Output = O> + Send + 'static>>,
) -> (bool, Result<(), JobError>, O) {
    let ended = until(usize::try_from(waits).expect("it is small"), first.as_mut()).await;
    let mut other = tokio::spawn(other);
    let done = timeout(Duration::from_millis(300), &mut other).await;
    let is_over = ended.is_some();
    let outcome = match ended {
        Some(outcome) => outcome,
        None => first.await,
    };
    let done = match done {
        Ok(done) => done,
        Err(_) => other.await,
    };
    (is_over, outcome, done.expect("it does not panic"))
}

impl Rig {
    fn settler(&self) -> Settle {
        Settle::new(self.cluster.store.clone(), self.shelves.clone())
    }

    /// A listed recording that its node has built again. Returns the import of that.
    async fn rebuilt(&self, number: u64) -> (Recorded, Uuid) {
        let mut recorded = self.recorded(number, &format!("lesson {number}")).await;
        self.import(&recorded, &["podcast"]).await.expect("it is imported");
        settle(&self.settler(), &recorded).await.expect("it is settled");
        self.cluster.database.execute("DELETE FROM jobs").await;
        recorded.take = 2;
        let import = self.arrive("node-a", recorded.archive(&["podcast"])).await;
        (recorded, import)
    }

    /// Panics unless the files of an unpublished recording are the rebuilt ones, once its jobs are done.
    async fn ends_well(&self, recorded: &Recorded, waits: u64) {
        self.cluster.database.execute("DELETE FROM jobs").await;
        let settled = settle(&self.settler(), recorded).await;
        settled.unwrap_or_else(|error| panic!("after {waits} waits: {error:?}"));
        self.is_placed("unpublished", recorded, "podcast");
        assert!(!self.files("published", recorded, "podcast").exists(), "after {waits} waits");
        let stored = self.stored(recorded, "podcast").await;
        assert_eq!(stored.place.as_deref(), Some("unpublished"), "after {waits} waits");
    }
}

async fn settle(settle: &Settle, recorded: &Recorded) -> Result<(), JobError> {
    let payload = serde_json::from_value(json!({ "record_id": recorded.id })).expect("it works here");
    settle.run(payload, Attempt { number: 1, last: false }).await
}

async fn unpublish(store: Store, frontend: FrontendId, id: RecordId) {
    store.recordings().change(frontend, &[id], &RecordingChange::Publish(false)).await.expect("it is unpublished");
}

/// The files of the import, and not those before it, are there in the end.
#[tokio::test]
async fn a_recording_that_is_unpublished_at_any_wait_of_an_import_keeps_its_files() {
    settle_beside_an_import(false).await;
}

#[tokio::test]
async fn a_recording_that_was_unpublished_just_before_an_import_keeps_its_files() {
    settle_beside_an_import(true).await;
}

async fn settle_beside_an_import(is_unpublished: bool) {
    let rig = Rig::new().await;
    for waits in 1.. {
        let (recorded, import) = rig.rebuilt(waits).await;
        if is_unpublished {
            unpublish(rig.cluster.store.clone(), rig.cluster.frontend, id(&recorded)).await;
        }
        let (settler, store, frontend) = (rig.settler(), rig.cluster.store.clone(), rig.cluster.frontend);
        let beside = {
            let recorded = recorded.clone();
            async move {
                unpublish(store, frontend, id(&recorded)).await;
                // It may have to wait for the import, and is tried again.
                let _ = settle(&settler, &recorded).await;
            }
        };
        let job = run(&rig.importer, import);
        let (is_over, imported, ()) = in_between(waits, Box::pin(job), Box::pin(beside)).await;
        imported.unwrap_or_else(|error| panic!("after {waits} waits: {error:?}"));
        rig.ends_well(&recorded, waits).await;
        if is_over {
            assert!(waits > 15, "the import waited {waits} times only");
            return;
        }
    }
}

/// The same, with the import in between.
#[tokio::test]
async fn an_import_at_any_wait_of_an_unpublishing_keeps_its_files() {
    let rig = Rig::new().await;
    for waits in 1.. {
        let (recorded, import) = rig.rebuilt(waits).await;
        unpublish(rig.cluster.store.clone(), rig.cluster.frontend, id(&recorded)).await;
        let (settler, importer) = (rig.settler(), rig.importer.clone());
        let beside = async move { run(&importer, import).await };
        let job = settle(&settler, &recorded);
        let (is_over, _, imported) = in_between(waits, Box::pin(job), Box::pin(beside)).await;
        imported.unwrap_or_else(|error| panic!("after {waits} waits: {error:?}"));
        rig.ends_well(&recorded, waits).await;
        if is_over {
            assert!(waits > 5, "the job waited {waits} times only");
            return;
        }
    }
}

/// Whatever a lost server left, the next attempt makes one whole recording of it.
#[tokio::test]
async fn an_import_that_is_cut_off_anywhere_is_finished_by_the_next_attempt() {
    let rig = Rig::new().await;
    for waits in 1.. {
        let recorded = rig.recorded(waits, &format!("lesson {waits}")).await;
        let import = rig.arrive("node-a", recorded.archive(&["podcast", "notes"])).await;
        let is_over = run_until(&rig, import, usize::try_from(waits).unwrap()).await;
        is_whole_or_absent(&rig, &recorded).await;
        rig.run(import).await.unwrap_or_else(|error| panic!("after {waits} waits: {error:?}"));
        assert_eq!(rig.state(import).await, (ImportState::Imported, None), "after {waits} waits");
        let kinds: Vec<_> = rig.found(&recorded).await.formats.into_iter().map(|format| format.kind).collect();
        assert_eq!(kinds, ["notes", "podcast"], "after {waits} waits");
        rig.is_placed("published", &recorded, "podcast");
        rig.is_placed("published", &recorded, "notes");
        assert!(rig.arrivals.chunks(import).await.unwrap().is_empty(), "after {waits} waits");
        assert_eq!(rig.announced().await, i64::try_from(waits).unwrap());
        if is_over {
            assert!(waits > 20, "the import was cut off at {waits} waits only");
            return;
        }
    }
}

/// Nothing half-placed is ever listed.
async fn is_whole_or_absent(rig: &Rig, recorded: &Recorded) {
    let formats = rig.find(recorded).await.map(|recording| recording.formats).unwrap_or_default();
    for format in formats {
        rig.is_placed("published", recorded, &format.kind);
    }
}
