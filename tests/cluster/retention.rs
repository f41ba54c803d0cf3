//! Retention: which recordings go to the trash, and what stays of them once that is emptied.

use b3scale::recordings::{RecordingsConfig, Remover, Retention, Shelves};
use b3scale::store::{Overdue, OverdueRecording, Store};
use b3scale::work::{Bench, Duty};
use b3scale_middleware::cluster::{RecordId, Visibility};
use b3scale_support::{TestFolder, eventually};
use uuid::Uuid;

use crate::fixture::Fixture;

impl Fixture {
    /// A recording of so many bytes whose meeting ended so many days ago.
    async fn recorded(&self, id: &str, days: i64, bytes: i64) {
        let sql = format!(
            "INSERT INTO recordings (record_id, frontend_id, meeting_id, internal_meeting_id, name, state, start_time, end_time,
                metadata)
            SELECT '{id}', '{frontend}', 'lesson', '{id}', 'Biology', 'published', ended - 60000, ended, '{{\"a\": \"b\"}}'
            FROM (SELECT ((extract(epoch FROM now()) - {days}::bigint * 86400) * 1000)::bigint AS ended) AS meeting;
            INSERT INTO recording_formats (record_id, format, link, shelf, place, bytes, files)
            VALUES ('{id}', 'video', '/video/{id}/', 'local', 'published', {bytes}, 1)",
            frontend = self.frontend.0
        );
        self.database.execute(&sql).await;
    }

    async fn rules(&self, rules: &str) {
        self.database.execute(&format!("UPDATE frontends SET settings = '{{\"recordings\": {rules}}}'")).await;
    }

    /// Puts a recording into the trash of so many days ago.
    async fn drop_days_ago(&self, id: &str, days: i64) {
        let sql = format!(
            "UPDATE recordings SET state = 'deleted' WHERE record_id = '{id}';
            ALTER TABLE recordings DISABLE TRIGGER change_recording;
            UPDATE recordings SET deleted_at = now() - interval '{days} days' WHERE record_id = '{id}';
            ALTER TABLE recordings ENABLE TRIGGER change_recording"
        );
        self.database.execute(&sql).await;
    }

    async fn overdue(&self) -> Vec<(String, Overdue)> {
        named(&self.store.holdings().overdue(100).await.expect("it is answered"))
    }

    /// Lets the duty run once.
    async fn retain(&self) {
        Retention::new(self.store.clone(), b3scale::work::Waker::default()).run().await.expect("it runs");
    }

    /// Files are where their rows want them.
    async fn settle(&self) {
        self.database.execute("DELETE FROM jobs WHERE kind = 'settle_recording'").await;
    }

    async fn in_state(&self, state: &str) -> i64 {
        self.database.count(&format!("SELECT count(*) FROM recordings WHERE state = '{state}'")).await
    }

    async fn jobs(&self, kind: &str) -> i64 {
        self.database.count(&format!("SELECT count(*) FROM jobs WHERE kind = '{kind}'")).await
    }
}

fn named(overdue: &[OverdueRecording]) -> Vec<(String, Overdue)> {
    overdue.iter().map(|one| (one.id.to_string(), one.why)).collect()
}

fn pairs<const N: usize>(expected: [(&str, Overdue); N]) -> Vec<(String, Overdue)> {
    expected.into_iter().map(|(id, why)| (id.to_owned(), why)).collect()
}

#[tokio::test]
async fn recordings_stay_without_a_rule_and_go_to_the_trash_after_their_days() {
    let cluster = Fixture::new().await;
    for days in [1, 29, 31, 4000] {
        cluster.recorded(&format!("r-{days}"), days, 100).await;
    }
    cluster.retain().await;
    assert_eq!((cluster.overdue().await, cluster.in_state("published").await), (Vec::new(), 4));
    cluster.rules(r#"{"keep_days": 30}"#).await;
    assert_eq!(cluster.overdue().await, pairs([("r-4000", Overdue::Age), ("r-31", Overdue::Age)]));
    let total = cluster.store.holdings().overdue_total().await.expect("it works here");
    assert_eq!((total.recordings, total.bytes), (2, 200));
    cluster.retain().await;
    assert_eq!((cluster.in_state("published").await, cluster.in_state("deleted").await), (2, 2));
    assert_eq!(cluster.jobs("settle_recording").await, 4 + 2, "a job moves the files of each");
    assert_eq!(cluster.overdue().await, [], "the trash keeps them for its days");
}

#[tokio::test]
async fn the_oldest_go_until_the_rest_fits_the_bytes() {
    let cluster = Fixture::new().await;
    for days in [1, 2, 3, 4] {
        cluster.recorded(&format!("r-{days}"), days, 100).await;
    }
    cluster.rules(r#"{"keep_bytes": 250, "keep_days": 1000}"#).await;
    assert_eq!(cluster.overdue().await, pairs([("r-4", Overdue::Size), ("r-3", Overdue::Size)]));
    cluster.retain().await;
    assert_eq!(cluster.in_state("published").await, 2);
    cluster.rules(r#"{"keep_bytes": 99}"#).await;
    cluster.retain().await;
    assert_eq!(cluster.in_state("published").await, 0, "even the newest is too large");
}

#[tokio::test]
async fn a_wrong_clock_of_a_node_neither_keeps_nor_drops_a_recording() {
    let cluster = Fixture::new().await;
    cluster.recorded("of-1970", 1, 100).await;
    cluster.recorded("of-the-future", -40_000, 100).await;
    cluster.database.execute("UPDATE recordings SET end_time = 0 WHERE record_id = 'of-1970'").await;
    cluster.rules(r#"{"keep_days": 30}"#).await;
    assert_eq!(cluster.overdue().await, [], "both count from their arrival");
    let past = "ALTER TABLE recordings DISABLE TRIGGER change_recording;
        UPDATE recordings SET created_at = now() - interval '31 days'";
    cluster.database.execute(past).await;
    assert_eq!(cluster.overdue().await.len(), 2);
    cluster.database.execute("UPDATE recordings SET end_time = 9223372036854775807").await;
    assert_eq!(cluster.overdue().await.len(), 2);
}

#[tokio::test]
async fn the_emptied_trash_leaves_a_tombstone_without_words() {
    let cluster = Fixture::new().await;
    for (id, days) in [("fresh", 6), ("due", 8)] {
        cluster.recorded(id, 10, 100).await;
        cluster.drop_days_ago(id, days).await;
    }
    let track = "INSERT INTO recording_tracks (record_id, kind, lang, label, source, content)
        VALUES ('due', 'captions', 'en', 'English', 'live', 'WEBVTT')";
    cluster.database.execute(track).await;
    assert_eq!(cluster.overdue().await, pairs([("due", Overdue::Trash)]));
    cluster.settle().await;
    cluster.retain().await;
    let left = "SELECT count(*) FROM recordings WHERE record_id = 'due' AND state = 'deleted' AND name = ''
        AND metadata = '{}' AND purged_at IS NOT NULL";
    assert_eq!(cluster.database.count(left).await, 1);
    let rows = "SELECT (SELECT count(*) FROM recording_formats WHERE record_id = 'due')
        + (SELECT count(*) FROM recording_tracks WHERE record_id = 'due')";
    assert_eq!((cluster.database.count(rows).await, cluster.jobs("remove_files").await), (0, 1));
    assert_eq!(cluster.overdue().await, []);
    let [due, fresh] = ["due", "fresh"].map(|id| RecordId::new(id).unwrap());
    let show = async |id| cluster.store.recordings().set_visibility(id, Visibility::Published).await.unwrap();
    assert_eq!(show(&due).await, None, "without files it does not come back");
    assert!(show(&fresh).await.is_some());
    cluster.drop_days_ago("fresh", 6).await;
    cluster.rules(r#"{"trash_days": 0}"#).await;
    assert_eq!(cluster.overdue().await, pairs([("fresh", Overdue::Trash)]), "a frontend may have days of its own");
}

#[tokio::test]
async fn files_on_their_way_to_the_trash_are_not_removed_from_where_they_were() {
    let cluster = Fixture::new().await;
    cluster.recorded("r-31", 31, 100).await;
    cluster.rules(r#"{"keep_days": 30, "trash_days": 0}"#).await;
    cluster.retain().await;
    assert_eq!((cluster.in_state("deleted").await, cluster.jobs("remove_files").await), (1, 0));
    cluster.settle().await;
    cluster.retain().await;
    assert_eq!(cluster.jobs("remove_files").await, 1);
}

#[tokio::test]
async fn a_recording_that_comes_back_from_the_trash_keeps_its_files() {
    let cluster = Fixture::new().await;
    cluster.recorded("back", 10, 100).await;
    cluster.drop_days_ago("back", 8).await;
    cluster.database.execute("UPDATE recordings SET state = 'published'").await;
    cluster.retain().await;
    assert_eq!((cluster.in_state("published").await, cluster.jobs("remove_files").await), (1, 0));
}

/// Shelves of folders.
async fn shelves(folder: &TestFolder) -> Shelves {
    let path = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).expect("it works here");
        path
    };
    let environment = b3scale::program::Environment::default();
    let config = RecordingsConfig {
        published: Some(path("published")),
        unpublished: Some(path("unpublished")),
        deleted: Some(path("deleted")),
        ..RecordingsConfig::read(&environment).expect("it works here")
    };
    Shelves::open(&config).await.expect("it works here").expect("it works here")
}

/// Runs the jobs of a kind until there are none.
async fn work(store: &Store, shelves: Shelves) {
    let bench = Bench::new(std::sync::Arc::new(store.clone()), Uuid::from_u128(7));
    bench.job(Remover::new(store.clone(), shelves));
    let open = async || {
        store.jobs().load(10).await.expect("it works here").iter().filter(|job| job.kind == "remove_files").count()
    };
    eventually("no job is left", async || open().await == 0).await;
    bench.stop();
}

#[tokio::test]
async fn files_go_after_their_row_and_stay_if_a_row_names_them_again() {
    let (cluster, folder) = (Fixture::new().await, TestFolder::new());
    let shelves = shelves(&folder).await;
    for id in ["gone", "again"] {
        let files = folder.path().join("deleted/video").join(id);
        std::fs::create_dir_all(&files).expect("it works here");
        std::fs::write(files.join("metadata.xml"), "<recording/>").expect("it works here");
        cluster.recorded(id, 10, 100).await;
        cluster.drop_days_ago(id, 8).await;
    }
    cluster.database.execute("UPDATE recording_formats SET place = 'deleted'").await;
    cluster.settle().await;
    cluster.retain().await;
    let format = "INSERT INTO recording_formats (record_id, format, link, shelf, place)
        VALUES ('again', 'video', '', 'local', 'deleted')";
    cluster.database.execute(format).await;
    work(&cluster.store, shelves).await;
    let is_there = |id: &str| folder.path().join("deleted/video").join(id).exists();
    assert_eq!([is_there("gone"), is_there("again")], [false, true]);
    assert!(cluster.database.count("SELECT count(*) FROM jobs WHERE poisoned_at IS NOT NULL").await == 0);
}
