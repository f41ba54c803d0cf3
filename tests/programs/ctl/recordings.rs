//! `recording import`, `verify`, `move` and `retention`, towards a real server.

use std::fs;

use b3scale_support::{
    ClusterOptions, PublishedFolder, Recorded, RecordingFolders, TestBucket, TestCluster, eventually, publish,
};
use serde_json::{Value, json};

use super::Ctl;

/// A cluster with folders and a bucket, and a folder of another system.
struct Site {
    cluster: TestCluster,
    folders: RecordingFolders,
    _bucket: TestBucket,
    other: PublishedFolder,
    ctl: Ctl,
}

impl Site {
    async fn start() -> Self {
        let (folders, bucket, other) = (RecordingFolders::new(), TestBucket::start().await, PublishedFolder::new());
        let mut environment = folders.environment();
        environment.extend(bucket.environment());
        let cluster = TestCluster::with(ClusterOptions { environment, ..ClusterOptions::default() }).await;
        let ctl = Ctl::of_operator(&cluster.url());
        Self { cluster, folders, _bucket: bucket, other, ctl }
    }

    /// A recording in a tree of the other system.
    fn publish(&self, tree: &str, number: u64, format: &str) -> Recorded {
        let recorded = Recorded::new(number, "lesson");
        publish(&self.other.path().join(tree), &recorded, format);
        recorded
    }

    async fn import(&self, flags: &str) -> String {
        self.ctl.done(&format!("recording import {flags} {}", self.other.path().display())).await
    }

    async fn shown(&self, recorded: &Recorded) -> Value {
        let shown = self.ctl.done(&format!("--json show recording {}", recorded.id)).await;
        serde_json::from_str(&shown).expect("it is JSON")
    }

    /// Waits until no background work is left.
    async fn settled(&self) {
        let jobs = "SELECT count(*) FROM jobs";
        eventually("no job is left", async || self.cluster.database.count(jobs).await == 0).await;
    }
}

#[tokio::test]
async fn a_folder_of_another_system_is_imported_once() {
    let site = Site::start().await;
    let published = site.publish("published", 1, "presentation");
    site.publish("published", 1, "video");
    let unpublished = site.publish("unpublished", 2, "video");
    site.publish("deleted", 3, "video");
    let dry = site.ctl.done(&format!("recording --dry import {}", site.other.path().display())).await;
    assert!(dry.starts_with("skipping: import 3 formats of 2 recordings, "), "{dry}");
    let said = site.import("").await;
    assert!(said.starts_with("importing 3 formats of 2 recordings, "), "{said}");
    assert!(said.contains("\n3 imported\n2 recordings belong to no meeting that is known here."), "{said}");
    site.folders.hold("unpublished", &unpublished, "video");
    assert_eq!(site.shown(&published).await["recording"]["Formats"].as_array().map(Vec::len), Some(2));
    site.ctl.done(&format!("recording assign {} school", published.id)).await;
    assert_eq!(site.shown(&published).await["visibility"], "published", "it was held for want of a frontend");
    site.ctl.done(&format!("recording assign {} school", unpublished.id)).await;
    assert_eq!(site.shown(&unpublished).await["visibility"], "unpublished");
    let again: Value = serde_json::from_str(&site.import("--json").await).expect("it is JSON");
    assert_eq!((&again["imported"], &again["known"], &again["unassigned"]), (&json!([]), &json!(3), &json!([])));
}

#[tokio::test]
async fn a_refused_recording_of_a_folder_is_named_and_the_others_come() {
    let site = Site::start().await;
    let wrong = site.publish("published", 1, "video");
    site.publish("published", 2, "video");
    let metadata = site.other.path().join("published/video").join(&wrong.id).join("metadata.xml");
    fs::write(metadata, "<recording>").unwrap();
    let said = site.ctl.run(&format!("recording import {}", site.other.path().display())).await;
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with(&format!("video/{} was refused: ", wrong.id)), "{}", said.err);
    assert!(said.out.contains("\n1 imported, 1 refused\n"), "{}", said.out);
    let empty = site.ctl.fails("recording import .").await;
    assert!(empty.contains("there is no folder FORMAT/RECORD_ID with a metadata.xml in it"), "{empty}");
}

#[tokio::test]
async fn files_are_verified_repaired_and_moved() {
    let site = Site::start().await;
    let [first, second] = [1, 2].map(|number| site.publish("published", number, "video"));
    site.import("").await;
    for recorded in [&first, &second] {
        site.ctl.done(&format!("recording assign {} school", recorded.id)).await;
    }
    site.settled().await;
    let well = site.ctl.done("recording verify").await;
    assert_eq!(well, "2 formats in the database, 2 on shelves: all is well\n");

    let tree = |name: &str| site.folders.path(name).join("video").join(&first.id);
    fs::create_dir_all(site.folders.path("unpublished/video")).unwrap();
    fs::rename(tree("published"), tree("unpublished")).unwrap();
    let wrong = site.ctl.run("recording verify").await;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.out.starts_with(&format!("misplaced video/{} on local: ", first.id)), "{}", wrong.out);
    let fixed = site.ctl.run("recording verify --fix").await;
    assert!(fixed.code == 0 && fixed.out.contains(" – repaired\n"), "{fixed:?}");
    assert!(tree("published").is_dir());

    let moved = site.ctl.done("recording move --to s3").await;
    assert!(
        moved.starts_with("moving 2 recordings with ") && moved.ends_with("moved 2 recordings to s3, 0 failed\n"),
        "{moved}"
    );
    site.settled().await;
    assert!(!tree("published").exists());
    let nothing = site.ctl.run("recording move --to s3").await;
    assert_eq!((nothing.code, &*nothing.out), (64, "no changes\n"));
    assert_eq!(site.ctl.done("recording verify").await, "2 formats in the database, 2 on shelves: all is well\n");
    site.ctl.done(&format!("recording move --to local {}", second.id)).await;
    site.settled().await;
    site.folders.hold("published", &second, "video");
    let unknown = site.ctl.fails("recording move --to s3 none-such").await;
    assert!(unknown.contains("there is no recording `none-such`"), "{unknown}");
    assert_eq!(site.ctl.run("recording move --to tape").await.code, 2);
}

#[tokio::test]
async fn retention_is_shown_before_it_is_done() {
    let site = Site::start().await;
    let recorded = site.publish("published", 1, "video");
    site.import("").await;
    site.ctl.done(&format!("recording assign {} school", recorded.id)).await;
    assert_eq!(site.ctl.done("recording retention --dry-run").await, "no recording is overdue\n");
    site.ctl.done(r#"set -j '{"recordings": {"keep_days": 30}}' frontend school"#).await;
    let shown = site.ctl.done("recording retention --dry-run").await;
    assert!(shown.contains(&recorded.id) && shown.contains("to the trash: its days are over"), "{shown}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.starts_with("1 recording, "), "{last}");
    let json: Value = serde_json::from_str(&site.ctl.done("--json recording retention --dry-run").await).unwrap();
    assert_eq!((&json["total"], &json["recordings"][0]["reason"]), (&json!(1), &json!("age")));
    assert_eq!(site.ctl.done("recording retention").await, "1 recording came to the trash, and 0 recordings left it\n");
    assert_eq!(site.shown(&recorded).await["recording"]["State"], "deleted");
    assert_eq!(site.ctl.run("recording retention").await.code, 64);
}
