//! Imports into a bucket, by each way in.

use b3scale::recordings::SharedInbox;
use b3scale::recordings::shelf::{FilePath, FormatKey};
use b3scale_support::publish;

use super::cut_off::run_until;
use super::*;

const FORMATS: [&str; 2] = ["notes", "podcast"];

impl Rig {
    async fn on_bucket() -> Self {
        let bucket = TestBucket::start().await;
        Self::on(Some(bucket), |settings| {
            let folder = settings.work.with_file_name("inbox");
            settings.inbox = Some(SharedInbox { folder, place: None });
        })
        .await
    }

    /// Brings formats of a recording in by one of the ways.
    async fn bring(&self, source: ImportSource, recorded: &Recorded, formats: &[&str]) -> Uuid {
        let import = Import::new(Uuid::now_v7(), source, &recorded.id);
        let import = match source {
            ImportSource::Folder => {
                for format in formats {
                    publish(&self.folder.path().join("inbox"), recorded, format);
                }
                Import { record_id: Some(recorded.id.clone()), document: Some(recorded.metadata(formats[0])), ..import }
            }
            ImportSource::Upload | ImportSource::Spool => {
                let archive = recorded.archive(formats);
                let length = Some(archive.len() as u64);
                let file = self.folder.path().join(import.id.to_string());
                fs::write(&file, archive).expect("it works here");
                self.arrivals.take(import.id, &file).await.expect("the inbox takes it");
                Import { length, ..import }
            }
        };
        assert!(self.cluster.store.imports().admit(&import).await.expect("it works here"));
        import.id
    }

    /// Panics unless all files of a format lie in the bucket as the node had them.
    async fn is_in_bucket(&self, recorded: &Recorded, format: &str) {
        let stored = self.stored(recorded, format).await;
        let (shelf, place) = (stored.shelf.expect("it has files"), stored.place.expect("it has files"));
        assert_eq!(shelf, "s3");
        let (shelf, key) = (self.shelves.named(&shelf).expect("it is open"), FormatKey::new(&id(recorded), format));
        let key = key.expect("it is a format");
        for (path, content) in recorded.files(format) {
            let file = shelf.open(&key, &place, &FilePath::new(&path).expect("it is a path")).await;
            let file = file.expect("the bucket answers").unwrap_or_else(|| panic!("{format}/{path} is not there"));
            let whole = file.whole(u64::MAX).await.expect("the bucket answers").expect("it has any size");
            assert!(whole == content, "{format}/{path} has another content");
        }
    }
}

#[tokio::test]
async fn an_import_into_a_bucket_that_is_cut_off_is_finished_by_the_next_attempt() {
    let rig = Rig::on_bucket().await;
    let mut number = 0;
    for (first, source) in [ImportSource::Upload, ImportSource::Spool, ImportSource::Folder].into_iter().enumerate() {
        // Each wait in turn would take a minute.
        for waits in (first..).step_by(5) {
            number += 1;
            let recorded = rig.recorded(number, &format!("lesson {number}")).await;
            let import = rig.bring(source, &recorded, &FORMATS).await;
            let is_over = run_until(&rig, import, waits).await;
            for format in rig.find(&recorded).await.map(|found| found.formats).unwrap_or_default() {
                rig.is_in_bucket(&recorded, &format.kind).await;
            }
            rig.run(import).await.unwrap_or_else(|error| panic!("{source:?} after {waits} waits: {error:?}"));
            assert_eq!(rig.state(import).await, (ImportState::Imported, None), "{source:?} after {waits} waits");
            for format in FORMATS {
                rig.is_in_bucket(&recorded, format).await;
            }
            assert!(rig.arrivals.chunks(import).await.unwrap().is_empty(), "{source:?} after {waits} waits");
            assert_eq!(rig.announced().await, i64::try_from(number).unwrap());
            if is_over {
                assert!(waits > 20, "the import was cut off at {waits} waits only");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_bucket_that_is_away_pauses_an_import_and_loses_nothing() {
    let mut rig = Rig::on_bucket().await;
    let recorded = rig.recorded(1, "lesson").await;
    let import = rig.bring(ImportSource::Folder, &recorded, &["video"]).await;
    rig.bucket.as_mut().expect("there is one").go_away().await;
    let Err(JobError::Retry(reason)) = rig.run(import).await else { panic!("the job is tried again") };
    assert_eq!(rig.state(import).await, (ImportState::Waiting, Some(reason)));
    assert!(rig.find(&recorded).await.is_none());
    rig.bucket.as_mut().expect("there is one").come_back().await;
    rig.run(import).await.expect("it is imported");
    rig.is_in_bucket(&recorded, "video").await;
}
