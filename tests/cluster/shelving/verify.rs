//! Verification and repairs.

use std::fs;

use b3scale::recordings::Verifier;
use b3scale::rest::{FileProblem, FileProblemKind as Kind, VerifyLine, VerifyTotals};
use b3scale_support::{Recorded, publish};
use tokio::sync::mpsc;

use super::{Shelving, spot};

impl Shelving {
    /// Verifies all, and returns the problems by recording, and the totals.
    async fn verify(&self, repairs: bool) -> (Vec<FileProblem>, VerifyTotals) {
        let (lines, mut received) = mpsc::channel(1);
        let verifier = Verifier::new(self.cluster.store.clone(), self.shelves.clone(), self.importer());
        let run = tokio::spawn(async move { verifier.run(repairs, lines).await });
        let mut problems = Vec::new();
        let totals = loop {
            match received.recv().await.expect("the last line is another one") {
                VerifyLine::Problem(problem) => problems.push(problem),
                VerifyLine::Progress(_) => {}
                VerifyLine::Done(totals) => break totals,
                VerifyLine::Failed(why) => panic!("{why}"),
            }
        };
        run.await.expect("it works here");
        problems.sort_by(|a, b| a.record_id.cmp(&b.record_id));
        (problems, totals)
    }
}

fn kinds(problems: &[FileProblem]) -> Vec<(Kind, bool)> {
    problems.iter().map(|problem| (problem.problem, problem.repaired)).collect()
}

#[tokio::test]
async fn files_as_their_rows_want_them_are_no_problem() {
    let shelving = Shelving::new().await;
    for number in 1..4 {
        shelving.recorded(number, "video").await;
    }
    assert_eq!(
        shelving.verify(true).await,
        (Vec::new(), VerifyTotals { formats: 3, on_shelves: 3, problems: 0, repaired: 0 })
    );
}

#[tokio::test]
async fn every_damage_is_named_and_repaired_where_nothing_can_be_lost() {
    let shelving = Shelving::new().await;
    let path = |tree: &str, key: &dyn std::fmt::Display| shelving.path(&format!("{tree}/{key}"));
    // 1: gone. 2: in another tree than its row says. 3: in the tree of another state. 4: without metadata.xml.
    let keys = [1, 2, 3, 4].map(|number| number);
    let mut made = Vec::new();
    for number in keys {
        made.push(shelving.recorded(number, "video").await);
    }
    fs::remove_dir_all(path("published", &made[0])).unwrap();
    fs::create_dir_all(shelving.path("unpublished/video")).unwrap();
    fs::rename(path("published", &made[1]), path("unpublished", &made[1])).unwrap();
    let unpublish = format!("UPDATE recordings SET state = 'unpublished' WHERE record_id = '{}'", made[2].record());
    shelving.cluster.database.execute(&unpublish).await;
    shelving.cluster.database.execute("DELETE FROM jobs").await;
    fs::remove_file(path("published", &made[3]).join("metadata.xml")).unwrap();
    // 5: never imported, and unpublished by its place. 6: a second copy.
    let unlisted = Recorded::new(5, "lesson");
    publish(&shelving.path("unpublished"), &unlisted, "video");
    let copied = shelving.recorded(6, "video").await;
    publish(&shelving.path("deleted"), &Recorded::new(6, "lesson"), "video");

    let expected = [Kind::Missing, Kind::Misplaced, Kind::Misplaced, Kind::Incomplete, Kind::Unlisted, Kind::LeftOver];
    let (problems, totals) = shelving.verify(false).await;
    // Files in another tree than their row says are seen from both sides.
    let seen: Vec<Kind> =
        problems.iter().map(|problem| problem.problem).filter(|kind| *kind != Kind::LeftOver).collect();
    assert_eq!(seen, expected[..5], "{problems:#?}");
    assert_eq!((totals.formats, totals.repaired), (5, 0));
    assert!(path("unpublished", &made[1]).exists(), "without repairs nothing is touched");

    let (problems, _) = shelving.verify(true).await;
    let repaired: Vec<_> = kinds(&problems).into_iter().filter(|(_, repaired)| *repaired).collect();
    assert_eq!(repaired, [(Kind::Misplaced, true), (Kind::Misplaced, true), (Kind::Unlisted, true)], "{problems:#?}");
    assert_eq!(shelving.spot(&made[1]).await, spot("local", "published"));
    assert_eq!(shelving.spot(&made[2]).await, spot("local", "unpublished"));
    assert!(path("published", &made[1]).exists() && path("unpublished", &made[2]).exists());
    let found = "SELECT count(*) FROM recordings JOIN recording_formats USING (record_id)
        WHERE state = 'unpublished' AND place = 'unpublished' AND meeting_id = 'lesson'";
    assert_eq!(shelving.cluster.database.count(found).await, 2, "a recording that was found stays unpublished");
    assert!(path("deleted", &copied).exists(), "no file is removed");

    shelving.cluster.database.execute("DELETE FROM jobs").await;
    let (problems, totals) = shelving.verify(true).await;
    let left = [(Kind::Missing, false), (Kind::Incomplete, false), (Kind::LeftOver, false)];
    assert_eq!((kinds(&problems), totals.repaired), (left.to_vec(), 0), "{problems:#?}");
}

#[tokio::test]
async fn fewer_files_than_a_row_knows_are_a_loss_and_more_are_not() {
    let shelving = Shelving::new().await;
    let [less, more] = [shelving.recorded(1, "video").await, shelving.recorded(2, "video").await];
    shelving.work().await;
    let measure = "UPDATE recording_formats SET files = 6, bytes = 1000000 WHERE record_id = ";
    shelving.cluster.database.execute(&format!("{measure} '{}'", less.record())).await;
    let measure = "UPDATE recording_formats SET files = 1, bytes = 1 WHERE record_id = ";
    shelving.cluster.database.execute(&format!("{measure} '{}'", more.record())).await;
    let (problems, _) = shelving.verify(true).await;
    assert_eq!(kinds(&problems), [(Kind::Changed, false), (Kind::Changed, true)], "{problems:#?}");
    assert_eq!(kinds(&shelving.verify(false).await.0), [(Kind::Changed, false)]);
}

#[tokio::test]
async fn a_bucket_that_is_away_is_a_problem_of_its_recordings_alone() {
    let mut shelving = Shelving::new().await;
    let [moved, _] = [shelving.recorded(1, "video").await, shelving.recorded(2, "video").await];
    shelving.cluster.store.holdings().queue_move(moved.record(), "s3").await.unwrap();
    shelving.work().await;
    assert_eq!(shelving.verify(false).await.0, []);
    shelving.bucket.go_away().await;
    let (problems, totals) = shelving.verify(true).await;
    assert_eq!(totals.formats, 2);
    assert!(problems.iter().all(|problem| problem.problem == Kind::Unreadable && !problem.repaired), "{problems:#?}");
    assert!(problems.iter().any(|problem| problem.record_id == moved.record().as_str()));
    assert!(problems.iter().all(|problem| problem.shelf.as_deref() == Some("s3")));
}
