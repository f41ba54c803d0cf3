//! Files of recordings on two shelves, folders and a bucket: moves between them, and their verification.

mod moves;
mod settling;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use b3scale::program::Environment;
use b3scale::recordings::archive::Limits;
use b3scale::recordings::shelf::FormatKey;
use b3scale::recordings::{Arrivals, ImportSettings, Importer, Mover, RecordingsConfig, Remover, Settle, Shelves};
use b3scale::store::{Holding, NewFormat, Rules, Spot, StoredFormat};
use b3scale::work::{Bench, Waker};
use b3scale_middleware::cluster::{RecordId, Visibility};
use b3scale_support::{Recorded, TestBucket, TestFolder, eventually, new_format, publish};
use uuid::Uuid;

use crate::fixture::Fixture;

/// A database, folders and a bucket.
struct Shelving {
    cluster: Fixture,
    folder: TestFolder,
    bucket: TestBucket,
    shelves: Shelves,
}

impl Shelving {
    async fn new() -> Self {
        let (cluster, folder, bucket) = (Fixture::new().await, TestFolder::new(), TestBucket::start().await);
        let made = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).expect("it works here");
            Some(path)
        };
        let config = RecordingsConfig {
            published: made("published"),
            unpublished: made("unpublished"),
            deleted: made("deleted"),
            inbox: made("inbox"),
            s3: Some(bucket.settings()),
            ..RecordingsConfig::read(&Environment::default()).expect("it works here")
        };
        made("work");
        let shelves = Shelves::open(&config).await.expect("it works here").expect("it works here");
        Self { cluster, folder, bucket, shelves }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn importer(&self) -> Importer {
        let arrivals = Arrivals::open(&self.shelves.inbox, 0).expect("it works here");
        let settings = ImportSettings {
            work: self.path("work"),
            inbox: None,
            spool: None,
            limits: Limits { bytes: 1 << 30, files: 1000, keep_free: 0 },
            default_visibility: Visibility::Published,
            ready_per_format: false,
        };
        Importer::new(self.cluster.store.clone(), self.shelves.clone(), arrivals, settings, Waker::default())
    }

    fn mover(&self) -> Mover {
        Mover::new(self.cluster.store.clone(), self.shelves.clone(), self.path("work"), Waker::default())
    }

    /// A recording in the published tree, with its row.
    async fn recorded(&self, number: u64, format: &str) -> FormatKey {
        let recorded = Recorded::new(number, "lesson");
        publish(&self.path("published"), &recorded, format);
        let key = FormatKey::new(&RecordId::new(&recorded.id).expect("it works here"), format).expect("it works here");
        self.list(&key, "published").await;
        key
    }

    /// Writes the row of a format on the local shelf.
    async fn list(&self, key: &FormatKey, place: &str) {
        let mut new = new_format(1, Some(self.cluster.frontend), "lesson", key.format());
        new.recording.id = key.record().clone();
        let stored = StoredFormat { shelf: Some("local".to_owned()), place: Some(place.to_owned()), ..new.stored };
        let rules = Rules { visibility: Visibility::Published, held: false, ready_per_format: false };
        let added = self
            .cluster
            .store
            .recordings()
            .add_format(&NewFormat { stored, ..new }, &rules)
            .await
            .expect("it works here");
        assert!(!added.tombstone);
        self.cluster.database.execute("DELETE FROM jobs WHERE kind = 'settle_recording'").await;
    }

    async fn row(&self, key: &FormatKey) -> Holding {
        let rows = self.cluster.store.holdings().of(key.record()).await.expect("it works here");
        rows.into_iter().find(|row| row.format == key.format()).expect("there is a row")
    }

    async fn spot(&self, key: &FormatKey) -> Option<Spot> {
        self.row(key).await.spot
    }

    /// Runs all jobs until none is left.
    async fn work(&self) {
        let store = &self.cluster.store;
        let bench = Bench::new(Arc::new(store.clone()), Uuid::from_u128(7));
        bench.job(Remover::new(store.clone(), self.shelves.clone()));
        bench.job(Settle::new(store.clone(), self.shelves.clone()));
        bench.job(self.mover());
        let waiting = "SELECT count(*) FROM jobs WHERE poisoned_at IS NULL";
        eventually("no job is left", async || self.cluster.database.count(waiting).await == 0).await;
        bench.stop();
    }

    /// Why the last job was given up.
    async fn given_up(&self) -> Vec<String> {
        let jobs = self.cluster.store.jobs().load(10).await.expect("it works here");
        jobs.into_iter().filter(|job| job.poisoned_at.is_some()).filter_map(|job| job.last_error).collect()
    }
}

fn spot(shelf: &str, place: &str) -> Option<Spot> {
    Some(Spot { shelf: shelf.to_owned(), place: place.to_owned() })
}
