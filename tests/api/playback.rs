//! Playback: what browsers and players ask of recordings, and what no one gets.

mod announced;
mod files;
mod outage;
mod pages;
mod player;
mod protected;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use b3scale::budget::Budget;
use b3scale::program::Environment;
use b3scale::recordings::playback::{Gate, Known, Playback, PlaybackParts, Records};
use b3scale::recordings::protected::Protected;
use b3scale::recordings::{Purpose, RecordingsConfig, Shelves, Subject, Tickets};
use b3scale::store::{StoreError, StoredFormat};
use b3scale_middleware::chance::Clock;
use b3scale_middleware::cluster::{FrontendId, PreviewImage, RecordId, Recording, RecordingFormat, RecordingState};
use b3scale_support::{TestBucket, TestFolder};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::rig::{Answer, Plan, Rig, head, school};

const RECORD: &str = "0123456789012345678901234567890123456789-1700000000000";
const SIBLING: &str = "0123456789012345678901234567890123456789-1700000000001";
const SECRET: &[u8] = b"secret of the cluster";

/// A thumbnail in lists.
const THUMBNAIL: &str = "presentation/d2d9-1/thumbnails/thumb-1.png";

fn id(id: &str) -> RecordId {
    RecordId::new(id).unwrap()
}

/// A tenant.
fn tenant(number: u128) -> FrontendId {
    FrontendId(Uuid::from_u128(number))
}

/// Records in memory, which may be away.
#[derive(Default)]
struct Table {
    rows: Mutex<HashMap<RecordId, Known>>,
    asked: AtomicUsize,
    is_away: AtomicBool,
}

#[async_trait]
impl Records for Table {
    async fn known(&self, id: &RecordId) -> Result<Option<Known>, StoreError> {
        self.asked.fetch_add(1, Relaxed);
        if self.is_away.load(Relaxed) {
            return Err(StoreError::Setting("it is away".to_owned()));
        }
        Ok(self.rows.lock().unwrap().get(id).cloned())
    }
}

/// A clock that is put forward by hand.
#[derive(Default)]
struct ByHand(AtomicU64);

impl Clock for ByHand {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + self.0.load(Relaxed))
    }
}

/// A server with recordings.
struct Stage {
    rig: Rig,
    table: Arc<Table>,
    clock: Arc<ByHand>,
    folder: TestFolder,
    changes: broadcast::Sender<Option<RecordId>>,
    bucket: Option<TestBucket>,
}

impl Stage {
    /// Two recordings in all formats.
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with more settings, without the beginning of their names.
    async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = TestFolder::new();
        for record in [RECORD, SIBLING] {
            write_files(&folder.path().join("published"), record);
        }
        fs::create_dir_all(folder.path().join("unpublished")).unwrap();
        Self::in_folder(folder, settings, None).await
    }

    async fn in_folder(folder: TestFolder, settings: &[(&str, &str)], bucket: Option<TestBucket>) -> Self {
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut values: Vec<(String, String)> = vec![
            ("B3SCALE_RECORDINGS_PUBLISHED_PATH".to_owned(), path("published")),
            ("B3SCALE_RECORDINGS_UNPUBLISHED_PATH".to_owned(), path("unpublished")),
        ];
        let of_bucket = bucket.iter().flat_map(TestBucket::environment);
        values.extend(of_bucket.map(|(name, value)| (name.to_owned(), value)));
        values.extend(
            settings.iter().map(|(name, value)| (format!("B3SCALE_{name}"), value.replace("FOLDER", &path("")))),
        );
        let config = RecordingsConfig::read(&Environment::from_iter(values)).unwrap();
        let shelves = Shelves::open(&config).await.unwrap();
        let (table, clock) = (Arc::new(Table::default()), Arc::new(ByHand::default()));
        for (record, number) in [(RECORD, 1), (SIBLING, 2)] {
            table.rows.lock().unwrap().insert(id(record), known(record, tenant(number)));
        }
        let records: Arc<dyn Records> = Arc::<Table>::clone(&table);
        let gate = Arc::new(Gate::new(records, Arc::new(Tickets::new(SECRET))));
        let changes = broadcast::Sender::new(16);
        tokio::spawn(Arc::clone(&gate).follow(changes.subscribe()));
        let ticking: Arc<dyn Clock> = Arc::<ByHand>::clone(&clock);
        let parts =
            PlaybackParts { gate: Arc::clone(&gate), shelves, budget: Budget::default(), clock: Arc::clone(&ticking) };
        let rig = Plan::new(&school())
            .site(Playback::new(&config, parts))
            .site(Protected::new(&config, gate, ticking))
            .serve()
            .await;
        Self { rig, table, clock, folder, changes, bucket }
    }

    /// Changes a record, and announces that.
    async fn change(&self, record: &str, change: impl FnOnce(&mut Recording)) {
        change(&mut self.table.rows.lock().unwrap().get_mut(&id(record)).unwrap().recording);
        self.changes.send(Some(id(record))).unwrap();
        // The gate has taken the announcement once it waits for the next one.
        while !self.changes.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn protect(&self) {
        self.change(RECORD, |recording| recording.protected = true).await;
    }

    /// A ticket to the recording of tests.
    fn ticket(&self, purpose: Purpose, format: &str) -> String {
        let record = id(RECORD);
        let subject = Subject { frontend: tenant(1), record: &record, epoch: 0, format };
        Tickets::new(SECRET).issue(purpose, subject, self.clock.time())
    }

    async fn get(&self, path: &str) -> Answer {
        self.rig.get(path).await
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status
    }

    async fn send(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.rig.send(head(method, path, headers)).await
    }
}

/// A recording as it is published by tenant 1.
fn known(record: &str, frontend: FrontendId) -> Known {
    let format = |kind: &str, link: &str, images: Vec<PreviewImage>| RecordingFormat {
        kind: kind.to_owned(),
        link: link.replace("ID", record),
        processing_time: 0,
        duration: 60_000,
        size: 0,
        images,
        extensions: String::new(),
    };
    let link = format!("/presentation/{record}/{THUMBNAIL}?x=1");
    let thumbnail = PreviewImage { link, alt: String::new(), width: String::new(), height: String::new() };
    let formats = vec![
        format("notes", "/notes/ID/notes.pdf", Vec::new()),
        format("podcast", "/podcast/ID/audio.ogg", Vec::new()),
        format("presentation", "/playback/presentation/2.3/ID", vec![thumbnail]),
        format("screenshare", "/recording/screenshare/ID/", Vec::new()),
        format("statistics", "/playback/statistics/ID/", Vec::new()),
        format("video", "/playback/video/ID/", Vec::new()),
    ];
    let stored = formats.iter().map(|format| StoredFormat {
        format: format.kind.clone(),
        shelf: Some("local".to_owned()),
        place: Some("published".to_owned()),
        digest: None,
        files: 1,
    });
    let stored = stored.collect();
    let recording = Recording {
        id: id(record),
        frontend: Some(frontend),
        meeting_id: "physics".to_owned(),
        internal_meeting_id: record.to_owned(),
        name: "Physics & more".to_owned(),
        is_breakout: false,
        state: RecordingState::Published,
        protected: false,
        start_time: 1_700_000_000_000,
        end_time: 1_700_000_060_000,
        participants: 3,
        raw_size: 0,
        metadata: std::collections::BTreeMap::default(),
        breakout: None,
        breakout_rooms: Vec::new(),
        formats,
        epoch: 0,
        created_at: SystemTime::UNIX_EPOCH,
        updated_at: SystemTime::UNIX_EPOCH,
    };
    Known { recording, stored }
}

/// The files of a recording in a tree.
fn write_files(tree: &Path, record: &str) {
    let shapes = format!("<svg xmlns:xlink=\"http://www.w3.org/1999/xlink\">{}</svg>", shapes());
    for (path, content) in [
        ("presentation/ID/metadata.xml", "<recording><id>ID</id><meta><meetingName>x</meetingName></meta></recording>"),
        ("presentation/ID/shapes.svg", &shapes),
        ("presentation/ID/slides_new.xml", "<popcorn/>"),
        ("presentation/ID/presentation_text.json", "{}"),
        ("presentation/ID/captions.json", r#"[{"locale":"de","localeName":"Deutsch"}]"#),
        ("presentation/ID/caption_de.vtt", "WEBVTT"),
        ("presentation/ID/notes.html", "<p>notes<script>alert(1)</script></p>"),
        ("presentation/ID/video/webcams.webm", "0123456789"),
        ("presentation/ID/presentation/d2d9-1/slide-1.png", "png"),
        ("presentation/ID/presentation/d2d9-1/thumbnails/thumb-1.png", "thumb"),
        ("presentation/ID/presentation/d2d9-1/thumbnails/thumb-2.png", "thumb"),
        ("presentation/ID/presentation/d2d9-1/textfiles/slide-1.txt", "text"),
        ("video/ID/index.html", "<script src=\"js/a.js\"></script>"),
        ("video/ID/js/a.js", "1"),
        ("video/ID/video-0.m4v", "0123456789"),
        ("podcast/ID/audio.ogg", "0123456789"),
        ("podcast/ID/metadata.xml", "<recording><id>ID</id></recording>"),
        ("notes/ID/notes.pdf", "%PDF"),
        ("notes/ID/notes.html", "<p>notes</p>"),
        ("screenshare/ID/screenshare-0.webm", "0123456789"),
        ("statistics/ID/data.json", "{}"),
    ] {
        let path = tree.join(path.replace("ID", record));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.replace("ID", record)).unwrap();
    }
}

fn shapes() -> String {
    let image = |at: u32| {
        format!(
            "<image class=\"slide\" in=\"{at}\" out=\"{}\" xlink:href=\"presentation/d2d9-1/slide-1.png\"/>",
            at + 1
        )
    };
    (0..40).map(image).collect()
}
