//! Files that follow their rows.

use std::fs;

use b3scale::recordings::Settle;
use b3scale::recordings::shelf::{FormatKey, Tree};
use b3scale::work::{Attempt, Job, JobError};

use super::{Shelving, spot};

impl Shelving {
    async fn set_state(&self, key: &FormatKey, state: &str) {
        let sql = format!("UPDATE recordings SET state = '{state}' WHERE record_id = '{}'", key.record());
        self.cluster.database.execute(&sql).await;
    }

    /// Makes one attempt at bringing the files of a recording in line.
    async fn settle(&self, key: &FormatKey) -> Result<(), JobError> {
        let payload = serde_json::json!({ "record_id": key.record().as_str() });
        let payload: <Settle as Job>::Payload = serde_json::from_value(payload).expect("it works here");
        let settle = Settle::new(self.cluster.store.clone(), self.shelves.clone());
        settle.run(payload, Attempt { number: 1, last: false }).await
    }

    /// Puts another content of a format into a tree. Its row is not written.
    async fn place(&self, key: &FormatKey, tree: Tree, content: &str) {
        let folder = self.path("work/other");
        fs::create_dir_all(&folder).expect("it works here");
        fs::write(folder.join("metadata.xml"), content).expect("it works here");
        let local = self.shelves.named("local").expect("it works here");
        local.put(key, tree, &folder).await.expect("it works here");
    }

    fn metadata(&self, tree: &str, key: &FormatKey) -> Option<String> {
        fs::read_to_string(self.path(&format!("{tree}/{key}/metadata.xml"))).ok()
    }
}

#[tokio::test]
async fn a_row_goes_on_naming_the_place_of_files_that_are_gone() {
    let shelving = Shelving::new().await;
    let (video, notes) = (shelving.recorded(1, "video").await, shelving.recorded(1, "notes").await);
    shelving.work().await;
    let before = shelving.row(&notes).await;
    fs::rename(shelving.path(&format!("published/{notes}")), shelving.path("notes")).unwrap();
    shelving.set_state(&video, "unpublished").await;
    let Err(JobError::Poison(why)) = shelving.settle(&video).await else { panic!("an operator has to know") };
    assert!(why.contains("its files are not in their place"), "{why}");
    let row = shelving.row(&notes).await;
    assert_eq!((&row.spot, row.files), (&before.spot, before.files), "it says how many there were");
    assert_eq!(shelving.spot(&video).await, spot("local", "unpublished"), "the other format is moved");
    shelving.set_state(&video, "deleted").await;
    shelving.settle(&video).await.unwrap();

    // Their disk is back.
    fs::create_dir_all(shelving.path("published/notes")).unwrap();
    fs::rename(shelving.path("notes"), shelving.path(&format!("published/{notes}"))).unwrap();
    shelving.settle(&video).await.unwrap();
    assert_eq!(shelving.spot(&notes).await, spot("local", "deleted"));
    assert!(shelving.metadata("deleted", &notes).is_some());
}

#[tokio::test]
async fn files_of_an_import_under_way_are_not_replaced_by_earlier_ones() {
    let shelving = Shelving::new().await;
    let video = shelving.recorded(1, "video").await;
    shelving.set_state(&video, "unpublished").await;
    let job =
        format!("INSERT INTO jobs (kind, lane, payload) VALUES ('import_recording', '{}', '{{}}')", video.record());
    shelving.cluster.database.execute(&job).await;
    shelving.place(&video, Tree::Unpublished, "<rebuilt/>").await;
    assert!(matches!(shelving.settle(&video).await, Err(JobError::Retry(_))));
    assert_eq!(shelving.metadata("unpublished", &video).as_deref(), Some("<rebuilt/>"));
    shelving.list(&video, "unpublished").await;
    shelving.settle(&video).await.unwrap();
    assert_eq!(shelving.metadata("unpublished", &video).as_deref(), Some("<rebuilt/>"));
}

#[tokio::test]
async fn files_that_no_one_needs_make_room() {
    let shelving = Shelving::new().await;
    let video = shelving.recorded(1, "video").await;
    let before = shelving.metadata("published", &video);
    shelving.place(&video, Tree::Unpublished, "<left over/>").await;
    shelving.set_state(&video, "unpublished").await;
    shelving.settle(&video).await.unwrap();
    assert_eq!(shelving.metadata("unpublished", &video), before);
    assert_eq!(shelving.metadata("published", &video), None);
    assert_eq!(shelving.spot(&video).await, spot("local", "unpublished"));
}
