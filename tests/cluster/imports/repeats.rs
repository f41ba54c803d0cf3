//! Recordings that come again: the same, rebuilt, in further formats, deleted before.

use std::fs;
use std::os::unix::fs::MetadataExt;

use b3scale::recordings::Sweep;
use b3scale::store::{Import, ImportSource, ImportState};
use b3scale::work::Duty;
use b3scale_middleware::cluster::{RecordingChange, RecordingState, Visibility};
use uuid::Uuid;

use super::{Rig, id, poison};

#[tokio::test]
async fn formats_arrive_one_after_the_other() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["presentation"]).await.expect("it is imported");
    rig.import(&recorded, &["video"]).await.expect("it is imported");
    let kinds: Vec<_> = rig.found(&recorded).await.formats.into_iter().map(|format| format.kind).collect();
    assert_eq!(kinds, ["presentation", "video"]);
    rig.is_placed("published", &recorded, "presentation");
    rig.is_placed("published", &recorded, "video");
    assert_eq!(rig.announced().await, 1, "once for the recording, by default");
}

#[tokio::test]
async fn with_a_setting_each_format_is_announced() {
    let rig = Rig::with(|settings| settings.ready_per_format = true).await;
    let recorded = rig.recorded(1, "lesson").await;
    for formats in [&["presentation"][..], &["video"], &["video"]] {
        rig.import(&recorded, formats).await.expect("it is imported");
    }
    assert_eq!(rig.announced().await, 2);
}

#[tokio::test]
async fn the_same_archive_twice_is_one_import() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["podcast", "notes"]).await.expect("it is imported");
    let inode = || fs::metadata(rig.files("published", &recorded, "podcast")).unwrap().ino();
    let (before, updated) = (inode(), rig.found(&recorded).await.updated_at);
    let again = rig.arrive("node-a", recorded.archive(&["podcast", "notes"])).await;
    rig.run(again).await.expect("it is known");
    assert_eq!(rig.state(again).await, (ImportState::Imported, None));
    assert_eq!((inode(), rig.found(&recorded).await.updated_at), (before, updated), "nothing was touched");
    assert_eq!(rig.announced().await, 1);
}

#[tokio::test]
async fn lost_files_come_back_with_the_same_archive() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["podcast", "video"]).await.expect("it is imported");
    fs::remove_dir_all(rig.files("published", &recorded, "podcast")).unwrap();
    fs::remove_file(rig.files("published", &recorded, "video").join("video-0.m4v")).unwrap();
    rig.import(&recorded, &["podcast", "video"]).await.expect("it is imported");
    rig.is_placed("published", &recorded, "podcast");
    rig.is_placed("published", &recorded, "video");
    assert_eq!(rig.announced().await, 1);
}

#[tokio::test]
async fn a_rebuilt_recording_replaces_files_and_keeps_edits() {
    let rig = Rig::new().await;
    let mut recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["presentation", "podcast"]).await.expect("it is imported");
    let (store, frontend) = (&rig.cluster.store, rig.cluster.frontend);
    let edit = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let metadata = vec![edit("meetingName", "Chemistry"), edit("subject", "acids")];
    let update = RecordingChange::Update { metadata, protect: Some(true) };
    store.recordings().change(frontend, &[id(&recorded)], &update).await.expect("it is changed");

    recorded.take = 2;
    recorded.name = "Physics, cut".to_owned();
    rig.import(&recorded, &["presentation", "podcast"]).await.expect("it is imported");
    let recording = rig.found(&recorded).await;
    assert_eq!(recording.metadata["meetingName"], "Chemistry");
    assert_eq!((&*recording.metadata["subject"], recording.visibility()), ("acids", Visibility::Protected));
    rig.is_placed("published", &recorded, "presentation");
    rig.is_placed("published", &recorded, "podcast");
}

/// Defect 42 of the original: a processed-again recording never replaced the old one.
#[tokio::test]
async fn a_rebuilt_recording_goes_to_the_tree_of_its_state() {
    let rig = Rig::new().await;
    let mut recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    let (store, frontend) = (&rig.cluster.store, rig.cluster.frontend);
    let unpublish = RecordingChange::Publish(false);
    store.recordings().change(frontend, &[id(&recorded)], &unpublish).await.expect("it is unpublished");
    recorded.take = 2;
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    assert_eq!(rig.found(&recorded).await.state, RecordingState::Unpublished);
    rig.is_placed("unpublished", &recorded, "podcast");
    assert_eq!(rig.stored(&recorded, "podcast").await.place.as_deref(), Some("unpublished"));
    assert!(!rig.files("published", &recorded, "podcast").exists());
}

#[tokio::test]
async fn a_deleted_recording_stays_deleted() {
    let rig = Rig::new().await;
    let mut recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    let (store, frontend) = (&rig.cluster.store, rig.cluster.frontend);
    store.recordings().change(frontend, &[id(&recorded)], &RecordingChange::Delete).await.expect("it is deleted");
    recorded.take = 2;
    let late = rig.arrive("node-a", recorded.archive(&["podcast", "video"])).await;
    rig.run(late).await.expect("there is nothing to do");
    assert_eq!(rig.state(late).await, (ImportState::Imported, None));
    assert_eq!(rig.found(&recorded).await.state, RecordingState::Deleted);
    assert!(!rig.files("published", &recorded, "video").exists());
    assert!(!rig.files("unpublished", &recorded, "video").exists());
}

#[tokio::test]
async fn of_two_nodes_with_one_id_the_second_is_kept_aside() {
    let rig = Rig::new().await;
    let mut recorded = rig.recorded(1, "lesson").await;
    rig.import(&recorded, &["podcast"]).await.expect("it is imported");
    let kept = recorded.clone();
    recorded.take = 2;
    let other = rig.arrive("node-b", recorded.archive(&["podcast", "video"])).await;
    let reason = poison(rig.run(other).await);
    assert!(
        reason.starts_with(&format!("podcast/{}: node-b sends other files than node-a sent", recorded.id)),
        "{reason}"
    );
    rig.is_placed("published", &kept, "podcast");
    rig.is_placed("published", &recorded, "video");
    assert_eq!(rig.arrivals.chunks(other).await.unwrap().len(), 1, "nothing is lost");

    recorded.take = 3;
    rig.import(&recorded, &["podcast"]).await.expect("its own node may send it again");
    rig.is_placed("published", &recorded, "podcast");
}

#[tokio::test]
async fn an_import_whose_job_was_discarded_can_begin_again() {
    let rig = Rig::new().await;
    let (store, recorded) = (&rig.cluster.store, rig.recorded(1, "lesson").await);
    let upload = || Import {
        record_id: Some(recorded.id.clone()),
        format: Some("podcast".to_owned()),
        length: Some(4096),
        sha256: Some("a".repeat(64)),
        ..Import::new(Uuid::now_v7(), ImportSource::Upload, "podcast")
    };
    let announced = async || store.imports().announce(&upload(), 10).await.expect("it works here").expect("it is open");
    let first = announced().await.id;
    rig.arrivals.put(first, 0, vec![0; 4096].into()).await.expect("it works here");
    assert!(store.imports().complete(first).await.expect("it works here"));
    Sweep(rig.importer.clone()).run().await.expect("it sweeps");
    assert_eq!(announced().await.id, first, "its job will take it in");

    rig.cluster.database.execute("DELETE FROM jobs").await;
    Sweep(rig.importer.clone()).run().await.expect("it sweeps");
    let again = announced().await;
    assert_eq!((again.id == first, again.state), (false, ImportState::Receiving));
    assert!(rig.arrivals.chunks(first).await.expect("it works here").is_empty());
}

#[tokio::test]
async fn an_archive_of_the_spool_outlives_its_job() {
    let rig = Rig::new().await;
    let import = Import::new(Uuid::now_v7(), ImportSource::Spool, "archive.tar");
    rig.arrivals.put(import.id, 0, vec![0; 4096].into()).await.expect("it works here");
    assert!(rig.cluster.store.imports().admit(&import).await.expect("it works here"));
    rig.cluster.database.execute("DELETE FROM jobs").await;
    Sweep(rig.importer.clone()).run().await.expect("it sweeps");
    assert_eq!(rig.arrivals.chunks(import.id).await.expect("it works here").len(), 1, "there is no other copy");
}
