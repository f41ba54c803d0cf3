//! Archives that cannot be taken in. They stay in the inbox, with a reason that names the problem.

use std::fs;
use std::pin::pin;

use b3scale::store::{Import, ImportSource, ImportState};
use b3scale_support::{PublishedFolder, Recorded};
use uuid::Uuid;

use super::cut_off::until;
use super::{Rig, poison, run};

/// The reason why an archive is refused. It stays in the inbox.
async fn refused(rig: &Rig, archive: Vec<u8>) -> String {
    let import = rig.arrive("node-a", archive).await;
    let reason = poison(rig.run(import).await);
    assert_eq!(rig.state(import).await, (ImportState::Refused, Some(reason.clone())));
    assert_eq!(rig.arrivals.chunks(import).await.expect("it works here").len(), 1);
    reason
}

/// An archive of one format, after a change to its folder.
fn changed(recorded: &Recorded, formats: &[&str], change: impl FnOnce(&PublishedFolder)) -> Vec<u8> {
    let published = PublishedFolder::new();
    formats.iter().for_each(|format| drop(published.publish(recorded, format)));
    change(&published);
    published.archive(&[recorded], formats)
}

#[tokio::test]
async fn an_incomplete_archive_is_never_imported() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    let archive = recorded.archive(&["presentation", "video"]);
    for end in [1, 1000, archive.len() / 2, archive.len() - 1024] {
        let reason = refused(&rig, archive[..end].to_vec()).await;
        assert!(reason.starts_with("the archive is incomplete"), "{end}: {reason}");
    }
    assert!(rig.find(&recorded).await.is_none());
    assert!(!rig.files("published", &recorded, "presentation").exists());
    assert!(!rig.files("published", &recorded, "video").exists());
}

#[tokio::test]
async fn one_bad_format_does_not_block_the_others() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    let archive = changed(&recorded, &["presentation", "video", "podcast"], |published| {
        let metadata = published.path().join("video").join(&recorded.id).join("metadata.xml");
        fs::write(metadata, "<recording><id>").expect("it works here");
        let link = published.path().join("podcast").join(&recorded.id).join("link");
        std::os::unix::fs::symlink("/etc/passwd", link).expect("it works here");
    });
    let reason = refused(&rig, archive).await;
    let id = &recorded.id;
    assert!(reason.contains(&format!("video/{id}: metadata.xml: XML ends too early")), "{reason}");
    assert!(reason.contains(&format!("podcast/{id}: `podcast/{id}/link` is a symbolic link")), "{reason}");
    let kinds: Vec<_> = rig.found(&recorded).await.formats.into_iter().map(|format| format.kind).collect();
    assert_eq!(kinds, ["presentation"]);
    rig.is_placed("published", &recorded, "presentation");
}

#[tokio::test]
async fn a_document_of_another_recording_or_format_is_refused() {
    let rig = Rig::new().await;
    let (recorded, other) = (rig.recorded(1, "lesson").await, Recorded::new(2, "other"));
    let with = |document: String| {
        changed(&recorded, &["podcast"], |published| {
            fs::write(published.path().join("podcast").join(&recorded.id).join("metadata.xml"), document)
                .expect("it works here");
        })
    };
    let reason = refused(&rig, with(other.metadata("podcast"))).await;
    assert!(reason.ends_with(&format!("its metadata.xml is that of recording `{}`", other.id)), "{reason}");
    let reason = refused(&rig, with(recorded.metadata("video"))).await;
    assert!(reason.ends_with("its metadata.xml is that of format `video`"), "{reason}");
    let reason = refused(&rig, with("<recording><id>x".repeat(1 << 20))).await;
    assert!(reason.ends_with("metadata.xml has more than 4 MiB"), "{reason}");
    assert!(rig.find(&recorded).await.is_none());
}

#[tokio::test]
async fn a_format_without_a_document_is_refused() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    let archive = changed(&recorded, &["podcast"], |published| {
        fs::remove_file(published.path().join("podcast").join(&recorded.id).join("metadata.xml"))
            .expect("it works here");
    });
    assert_eq!(refused(&rig, archive).await, format!("podcast/{}: there is no metadata.xml", recorded.id));
}

#[tokio::test]
async fn another_archive_than_the_announced_one_is_refused() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    let import = rig.arrive("node-a", recorded.archive(&["podcast"])).await;
    let lie = format!("UPDATE recording_imports SET sha256 = '{}' WHERE id = '{import}'", "0".repeat(64));
    rig.cluster.database.execute(&lie).await;
    let reason = poison(rig.run(import).await);
    assert!(reason.ends_with("the archive's SHA-256 is not the announced one"), "{reason}");
    assert!(!reason.contains(&"0".repeat(64)), "logs hold no digest");
    assert!(rig.find(&recorded).await.is_none());
}

#[tokio::test]
async fn a_job_without_its_archive_is_given_up() {
    let rig = Rig::new().await;
    let import = rig.arrive("node-a", b"gone".to_vec()).await;
    rig.arrivals.remove(import).await.expect("it works here");
    assert_eq!(poison(rig.run(import).await), "its archive is not in the inbox any more");
    rig.run(Uuid::now_v7()).await.expect("nothing is known of it");
}

/// A refused archive of the spool is whole in `failed`, wherever its import was cut off and however often it is tried.
#[tokio::test]
async fn a_refused_archive_of_the_spool_outlives_every_attempt() {
    let spool = tempfile::tempdir().unwrap();
    let rig = Rig::with(|settings| settings.spool = Some(spool.path().to_owned())).await;
    let archive = vec![1; 9 << 20];
    for waits in 1.. {
        let name = format!("{waits}.tar");
        let import =
            Import { length: Some(archive.len() as u64), ..Import::new(Uuid::now_v7(), ImportSource::Spool, &*name) };
        rig.arrive_as(&import, &archive).await;
        let outcome = until(waits, pin!(run(&rig.importer, import.id))).await;
        for attempt in 1..3 {
            let reason = poison(rig.run(import.id).await);
            assert!(reason.ends_with("move it back to try it again"), "{reason}");
            let kept = fs::read(spool.path().join("failed").join(&name)).unwrap();
            assert!(kept == archive, "attempt {attempt} after {waits} waits keeps {} bytes", kept.len());
        }
        let why = fs::read_to_string(spool.path().join(format!("failed/{name}.reason"))).unwrap();
        assert_eq!(why, "the archive is damaged: a header has a wrong checksum\n");
        assert!(rig.arrivals.chunks(import.id).await.unwrap().is_empty(), "after {waits} waits");
        if outcome.is_some() {
            assert!(waits > 8, "the import was cut off at {waits} waits only");
            return;
        }
    }
}
