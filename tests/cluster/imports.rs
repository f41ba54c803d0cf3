//! Imports of recordings: archives as nodes make them, through the importer, onto a shelf of folders and into the tables.

mod bucket;
mod cut_off;
mod owners;
mod refusals;
mod repeats;

use std::fs;
use std::path::{Path, PathBuf};

use b3scale::program::Environment;
use b3scale::recordings::archive::Limits;
use b3scale::recordings::{Arrivals, ImportSettings, Importer, RecordingsConfig, Shelves};
use b3scale::store::{Import, ImportSource, ImportState, StoredFormat};
use b3scale::work::{Attempt, Job, JobError, Waker};
use b3scale_middleware::cluster::{RecordId, Recording, RecordingState, Visibility};
use b3scale_support::{PublishedFolder, Recorded, TestBucket, TestFolder};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::Fixture;

/// An importer with shelves of its own.
struct Rig {
    cluster: Fixture,
    folder: TestFolder,
    bucket: Option<TestBucket>,
    shelves: Shelves,
    arrivals: Arrivals,
    importer: Importer,
}

/// The settings of folders below one folder, which are made. New recordings go into the bucket, if there is one.
fn config(folder: &Path, bucket: Option<&TestBucket>) -> RecordingsConfig {
    let below = |name: &str| made(folder, name).display().to_string();
    let mut values = vec![
        ("B3SCALE_RECORDINGS_PUBLISHED_PATH", below("published")),
        ("B3SCALE_RECORDINGS_UNPUBLISHED_PATH", below("unpublished")),
        ("B3SCALE_RECORDINGS_INBOX_PATH", below("inbox")),
    ];
    if let Some(bucket) = bucket {
        values.push(("B3SCALE_RECORDINGS_STORAGE", "s3".to_owned()));
        values.extend(bucket.environment());
    }
    let environment: Environment = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    RecordingsConfig::read(&environment).expect("the settings are usable")
}

/// A folder below another one.
fn made(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(&path).expect("it works here");
    path
}

impl Rig {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ImportSettings)) -> Self {
        Self::on(None, change).await
    }

    async fn on(bucket: Option<TestBucket>, change: impl FnOnce(&mut ImportSettings)) -> Self {
        let (cluster, folder) = (Fixture::new().await, TestFolder::new());
        let shelves = Shelves::open(&config(folder.path(), bucket.as_ref())).await;
        let shelves = shelves.expect("the settings are usable").expect("there are some");
        let arrivals = Arrivals::open(&shelves.inbox, 0).expect("the inbox is usable");
        let mut settings = ImportSettings {
            work: made(folder.path(), "work"),
            inbox: None,
            spool: None,
            limits: Limits { bytes: 1 << 30, files: 10_000, keep_free: 0 },
            default_visibility: Visibility::Published,
            ready_per_format: false,
        };
        change(&mut settings);
        let (store, waker) = (cluster.store.clone(), Waker::default());
        let importer = Importer::new(store, shelves.clone(), arrivals.clone(), settings, waker);
        Self { cluster, folder, bucket, shelves, arrivals, importer }
    }

    /// A meeting of the frontend that ran on backend a, and its recording.
    async fn recorded(&self, number: u64, meeting_id: &str) -> Recorded {
        let recorded = Recorded::new(number, meeting_id);
        self.know(&recorded).await;
        recorded
    }

    /// Enters a meeting into the history.
    async fn know(&self, recorded: &Recorded) {
        let (frontend, backend) = (self.cluster.frontend.0, self.cluster.a.0);
        let sql = format!(
            "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id, ended_at)
             VALUES ('scoped-{0}', '{0}', '{frontend}', '{1}', '{backend}', now())",
            recorded.id, recorded.meeting_id
        );
        self.cluster.database.execute(&sql).await;
    }

    /// Puts an archive into the inbox as if a node had uploaded it. Returns the id of the import.
    async fn arrive(&self, sender: &str, archive: Vec<u8>) -> Uuid {
        let import = Import {
            sender: sender.to_owned(),
            length: Some(archive.len() as u64),
            ..Import::new(Uuid::now_v7(), ImportSource::Upload, "an archive")
        };
        self.arrive_as(&import, &archive).await;
        import.id
    }

    /// Puts the archive of an import into the inbox.
    async fn arrive_as(&self, import: &Import, archive: &[u8]) {
        let file = self.folder.path().join(import.id.to_string());
        fs::write(&file, archive).expect("it works here");
        self.arrivals.take(import.id, &file).await.expect("the inbox takes it");
        fs::remove_file(&file).expect("it works here");
        assert!(self.cluster.store.imports().admit(import).await.expect("it works here"));
    }

    /// Runs the job of an import once.
    async fn run(&self, import: Uuid) -> Result<(), JobError> {
        run(&self.importer, import).await
    }

    /// Imports an archive of these formats.
    async fn import(&self, recorded: &Recorded, formats: &[&str]) -> Result<(), JobError> {
        let import = self.arrive("node-a", recorded.archive(formats)).await;
        self.run(import).await
    }

    async fn state(&self, import: Uuid) -> (ImportState, Option<String>) {
        let import = self.cluster.store.imports().find(import).await.expect("it works here").expect("it is known");
        (import.state, import.reason)
    }

    async fn find(&self, recorded: &Recorded) -> Option<Recording> {
        self.cluster.store.recordings().find(&id(recorded)).await.expect("the tables answer")
    }

    async fn found(&self, recorded: &Recorded) -> Recording {
        self.find(recorded).await.expect("it is listed")
    }

    async fn stored(&self, recorded: &Recorded, format: &str) -> StoredFormat {
        let stored = self.cluster.store.recordings().stored(&id(recorded)).await.expect("the tables answer");
        stored.into_iter().find(|stored| stored.format == format).expect("it has the format")
    }

    /// Where the files of a format are in a tree.
    fn files(&self, tree: &str, recorded: &Recorded, format: &str) -> PathBuf {
        self.folder.path().join(tree).join(format).join(&recorded.id)
    }

    /// Panics unless all files of a format lie in a tree as the node had them.
    fn is_placed(&self, tree: &str, recorded: &Recorded, format: &str) {
        let folder = self.files(tree, recorded, format);
        for (path, content) in recorded.files(format) {
            let placed = fs::read(folder.join(&path)).unwrap_or_else(|error| panic!("{format}/{path}: {error}"));
            assert!(placed == content, "{format}/{path} has another content");
        }
        assert_eq!(fs::read_to_string(folder.join("metadata.xml")).expect("it works here"), recorded.metadata(format));
    }

    /// How many recordings were announced to their frontends.
    async fn announced(&self) -> i64 {
        self.cluster.database.count("SELECT count(*) FROM recordings_ready").await
    }

    /// The names in the folder of the inbox, and in that of the work.
    fn left_over(&self) -> Vec<String> {
        let names = |folder: PathBuf| {
            let entries = fs::read_dir(folder).into_iter().flatten();
            entries
                .map(|entry| entry.expect("it works here").file_name().into_string().expect("it works here"))
                .collect::<Vec<_>>()
        };
        [names(self.folder.path().join("inbox/.b3scale-arrivals")), names(self.folder.path().join("work"))].concat()
    }
}

async fn run(importer: &Importer, import: Uuid) -> Result<(), JobError> {
    let payload = serde_json::from_value(json!({ "id": import })).expect("it works here");
    importer.run(payload, Attempt { number: 1, last: false }).await
}

fn id(recorded: &Recorded) -> RecordId {
    RecordId::new(&recorded.id).expect("it is an id")
}

/// The reason of a job that is given up.
fn poison(outcome: Result<(), JobError>) -> String {
    match outcome {
        Err(JobError::Poison(reason)) => reason,
        other => panic!("the job should be given up: {other:?}"),
    }
}

#[tokio::test]
async fn every_format_is_placed_and_listed() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, "lesson").await;
    let import = rig.arrive("node-a", recorded.archive(&PublishedFolder::FORMATS)).await;
    rig.run(import).await.expect("it is imported");
    let recording = rig.found(&recorded).await;
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(rig.cluster.frontend), "lesson"));
    assert_eq!((&*recording.name, recording.state), ("Physics & more \u{1f9ea}", RecordingState::Published));
    assert_eq!((recording.participants, recording.raw_size), (3, 7_340_032));
    let links: Vec<_> = recording.formats.iter().map(|format| (&*format.kind, &*format.link)).collect();
    let id = &recorded.id;
    assert_eq!(
        links,
        [
            ("notes", &*format!("/notes/{id}/notes.pdf")),
            ("podcast", &format!("/podcast/{id}/audio.ogg")),
            ("presentation", &format!("/playback/presentation/2.3/{id}")),
            ("screenshare", &format!("/recording/screenshare/{id}/")),
            ("statistics", &format!("/statistics/{id}/")),
            ("video", &format!("/playback/video/{id}/")),
        ]
    );
    for format in PublishedFolder::FORMATS {
        rig.is_placed("published", &recorded, format);
        let stored = rig.stored(&recorded, format).await;
        assert_eq!((stored.shelf.as_deref(), stored.files), (Some("local"), recorded.files(format).len() as i64 + 1));
    }
    assert_eq!(rig.state(import).await, (ImportState::Imported, None));
    assert_eq!(rig.announced().await, 1, "the recording is announced once");
    assert!(rig.left_over().iter().all(|name| !name.starts_with(&import.to_string())), "the archive is gone");
}

#[tokio::test]
async fn an_archive_may_have_several_recordings() {
    let rig = Rig::new().await;
    let (one, other) = (rig.recorded(1, "one").await, rig.recorded(2, "other").await);
    let published = PublishedFolder::new();
    for recorded in [&one, &other] {
        published.publish(recorded, "podcast");
    }
    let import = rig.arrive("node-a", published.archive(&[&one, &other], &["podcast"])).await;
    rig.run(import).await.expect("it is imported");
    for recorded in [&one, &other] {
        assert_eq!(rig.found(recorded).await.meeting_id, recorded.meeting_id);
        rig.is_placed("published", recorded, "podcast");
    }
}

#[tokio::test]
async fn a_full_disk_pauses_an_import_and_loses_nothing() {
    let full = Rig::with(|settings| settings.limits.keep_free = u64::MAX).await;
    let recorded = full.recorded(1, "lesson").await;
    let import = full.arrive("node-a", recorded.archive(&["podcast"])).await;
    let Err(JobError::Retry(reason)) = full.run(import).await else { panic!("the job is tried again") };
    assert!(reason.starts_with("no room left for the files of the archive"), "{reason}");
    assert_eq!(full.state(import).await, (ImportState::Waiting, Some(reason)));
    assert!(full.find(&recorded).await.is_none());
    let shelves =
        Shelves::open(&config(full.folder.path(), None)).await.expect("it works here").expect("it works here");
    let settings = ImportSettings {
        work: full.folder.path().join("work"),
        inbox: None,
        spool: None,
        limits: Limits { bytes: 1 << 30, files: 100, keep_free: 0 },
        default_visibility: Visibility::Published,
        ready_per_format: false,
    };
    let roomy = Importer::new(full.cluster.store.clone(), shelves, full.arrivals.clone(), settings, Waker::default());
    run(&roomy, import).await.expect("there is room now");
    full.is_placed("published", &recorded, "podcast");
}

/// A sweep removes uploads that their senders have given up, and refused archives that an operator has discarded.
#[tokio::test]
async fn remains_are_swept() {
    use b3scale::recordings::Sweep;
    use b3scale::work::Duty;

    let rig = Rig::new().await;
    let store = &rig.cluster.store;
    let recorded = rig.recorded(1, "lesson").await;
    let upload = |digit: &str| Import {
        record_id: Some(recorded.id.clone()),
        format: Some("video".to_owned()),
        length: Some(4096),
        sha256: Some(digit.repeat(64)),
        ..Import::new(Uuid::now_v7(), ImportSource::Upload, "video")
    };
    let old = store.imports().announce(&upload("a"), 10).await.expect("it works here").expect("it is announced");
    let young = store.imports().announce(&upload("b"), 10).await.expect("it works here").expect("it is announced");
    for import in [old.id, young.id] {
        rig.arrivals.put(import, 0, vec![0; 4096].into()).await.expect("it works here");
    }
    let aged = format!("UPDATE recording_imports SET updated_at = now() - interval '49 hours' WHERE id = '{}'", old.id);
    rig.cluster.database.execute(&aged).await;
    let refused = rig.arrive("node-a", b"no archive".to_vec()).await;
    poison(rig.run(refused).await);
    Sweep(rig.importer.clone()).run().await.expect("it sweeps");
    assert!(store.imports().find(old.id).await.expect("it works here").is_none());
    assert!(rig.arrivals.chunks(old.id).await.expect("it works here").is_empty());
    assert_eq!(rig.arrivals.chunks(young.id).await.expect("it works here").len(), 1);
    assert_eq!(rig.arrivals.chunks(refused).await.expect("it works here").len(), 1, "its job is there for an operator");
    rig.cluster.database.execute("DELETE FROM jobs").await;
    Sweep(rig.importer.clone()).run().await.expect("it sweeps");
    assert!(rig.arrivals.chunks(refused).await.expect("it works here").is_empty());
}
