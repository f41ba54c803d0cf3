//! Moves between the shelves.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use b3scale::recordings::Mover;
use b3scale::recordings::shelf::{FormatKey, Tree};
use b3scale::work::{Attempt, Job, JobError};

use super::{Shelving, spot};

/// The files of a folder with their contents.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).expect("it works here") {
            let path = entry.expect("it works here").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it works here").display().to_string();
                found.insert(name, fs::read(path).expect("it works here"));
            }
        }
    }
    found
}

impl Shelving {
    async fn queue_move(&self, key: &FormatKey, to: &str) -> bool {
        self.cluster.store.holdings().queue_move(key.record(), to).await.expect("it works here").is_some()
    }

    /// Makes one attempt at a move.
    async fn attempt(&self, key: &FormatKey, to: &str) -> Result<(), JobError> {
        let payload = serde_json::json!({ "record_id": key.record().as_str(), "to": to });
        let payload: <Mover as Job>::Payload = serde_json::from_value(payload).expect("it works here");
        self.mover().run(payload, Attempt { number: 1, last: false }).await
    }
}

#[tokio::test]
async fn a_recording_moves_to_the_bucket_and_back_unchanged() {
    let shelving = Shelving::new().await;
    let video = shelving.recorded(1, "video").await;
    let presentation = shelving.recorded(1, "presentation").await;
    let folder = shelving.path(&format!("published/{presentation}"));
    let before = contents(&folder);
    assert!(before.len() > 10);
    assert!(shelving.queue_move(&video, "s3").await);
    assert!(shelving.queue_move(&video, "s3").await, "a second wish finds the first");
    shelving.work().await;
    for key in [&video, &presentation] {
        assert_eq!(shelving.spot(key).await.unwrap().shelf, "s3");
        assert!(!shelving.path(&format!("published/{key}")).exists(), "the source of {key} is gone");
    }
    assert_eq!(shelving.bucket.objects().len(), before.len() + contents_of_video());
    assert!(!shelving.queue_move(&video, "s3").await, "nothing is left to move");

    shelving.cluster.database.execute("UPDATE recordings SET state = 'unpublished'").await;
    assert!(shelving.queue_move(&video, "local").await);
    shelving.work().await;
    assert_eq!(shelving.spot(&presentation).await, spot("local", "unpublished"));
    assert_eq!(contents(&shelving.path(&format!("unpublished/{presentation}"))), before);
    assert_eq!((shelving.bucket.objects(), shelving.given_up().await), (Vec::new(), Vec::new()));
    assert_eq!(fs::read_dir(shelving.path("work")).unwrap().count(), 0, "no copy is left behind");
}

fn contents_of_video() -> usize {
    b3scale_support::Recorded::new(1, "lesson").files("video").len() + 1
}

#[tokio::test]
async fn a_bucket_that_is_away_costs_an_attempt_and_no_file() {
    let mut shelving = Shelving::new().await;
    let video = shelving.recorded(1, "video").await;
    shelving.bucket.go_away().await;
    assert!(matches!(shelving.attempt(&video, "s3").await, Err(JobError::Retry(_))));
    assert_eq!(shelving.spot(&video).await, spot("local", "published"));
    assert!(shelving.path(&format!("published/{video}/metadata.xml")).exists());
    shelving.bucket.come_back().await;
    shelving.attempt(&video, "s3").await.unwrap();
    assert_eq!(shelving.spot(&video).await.unwrap().shelf, "s3");
}

#[tokio::test]
async fn an_import_during_a_move_wins() {
    let shelving = Shelving::new().await;
    let video = shelving.recorded(1, "video").await;
    let local = shelving.shelves.named("local").unwrap();
    let read = shelving.row(&video).await;
    let moved = local.contents(&video).await.unwrap().remove(0);
    // A node rebuilds the recording: first its files come to the same place, then its row is written.
    let rebuilt = shelving.path("work/rebuilt");
    fs::create_dir_all(&rebuilt).unwrap();
    fs::write(rebuilt.join("metadata.xml"), "<rebuilt/>").unwrap();
    local.put(&video, Tree::Published, &rebuilt).await.unwrap();
    shelving.list(&video, "published").await;
    let to = spot("s3", "abc").unwrap();
    assert!(!shelving.cluster.store.holdings().switch(&read, &to, &moved.stamp).await.unwrap());
    assert_eq!(shelving.spot(&video).await, spot("local", "published"));
    local.remove_content(&video, &moved).await.unwrap();
    let metadata = shelving.path(&format!("published/{video}/metadata.xml"));
    assert_eq!(fs::read_to_string(metadata).unwrap(), "<rebuilt/>", "a late removal of the source spares it");
}

#[tokio::test]
async fn a_move_goes_on_where_a_killed_one_ended_and_spares_other_files() {
    let shelving = Shelving::new().await;
    let (killed, other) = (shelving.recorded(1, "video").await, shelving.recorded(2, "video").await);
    for key in [&killed, &other] {
        shelving.attempt(key, "s3").await.unwrap();
    }
    // The source of a move to the bucket is removed by a job that has not run yet, so equal files lie there.
    let metadata = shelving.path(&format!("published/{other}/metadata.xml"));
    fs::write(&metadata, "<other/>").unwrap();
    shelving.cluster.database.execute("DELETE FROM jobs").await;
    shelving.attempt(&killed, "local").await.unwrap();
    assert_eq!(shelving.spot(&killed).await, spot("local", "published"));
    let refused = shelving.attempt(&other, "local").await.unwrap_err();
    assert!(
        matches!(&refused, JobError::Poison(why) if why.contains("other files of it lie on `local`")),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(&metadata).unwrap(), "<other/>");
    assert_eq!(shelving.spot(&other).await.unwrap().shelf, "s3");
}

#[tokio::test]
async fn a_format_without_files_is_given_up_and_the_others_move() {
    let shelving = Shelving::new().await;
    let (video, notes) = (shelving.recorded(1, "video").await, shelving.recorded(1, "notes").await);
    fs::remove_dir_all(shelving.path(&format!("published/{notes}"))).unwrap();
    assert!(shelving.queue_move(&video, "s3").await);
    shelving.work().await;
    assert_eq!(shelving.spot(&video).await.unwrap().shelf, "s3");
    assert_eq!(shelving.spot(&notes).await, spot("local", "published"));
    let [why] = &*shelving.given_up().await else { panic!("one job is given up") };
    assert!(why.contains("its files are not in their place"), "{why}");
}
