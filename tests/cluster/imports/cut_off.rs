//! An import that is cut off at each of its waits, as by a lost server, and made again.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use b3scale::store::ImportState;
use b3scale_support::Recorded;
use uuid::Uuid;

use super::{Rig, run};

/// Runs the job of an import until it has waited so often, and drops it there. True: it came to its end before.
pub(super) async fn run_until(rig: &Rig, import: Uuid, waits: usize) -> bool {
    let (mut job, mut count) = (pin!(run(&rig.importer, import)), 0);
    let cut = poll_fn(|context| {
        if count == waits {
            return Poll::Ready(None);
        }
        count += 1;
        job.as_mut().poll(context).map(Some)
    });
    let ended = cut.await;
    ended.inspect(|outcome| assert!(outcome.is_ok(), "{outcome:?}")).is_some()
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
