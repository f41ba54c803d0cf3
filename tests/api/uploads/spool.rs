//! Scalelite's spool: whole archives in a folder.

use std::fs;

use b3scale_middleware::cluster::{RecordId, Recording};
use b3scale_support::{Recorded, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Rig;

async fn find(rig: &Rig, recorded: &Recorded) -> Option<Recording> {
    let id = RecordId::new(&recorded.id).expect("it is an id");
    rig.cluster.database.store().recordings().find(&id).await.expect("the tables answer")
}

/// As rsync does it: under a name that begins with a dot, then renamed.
fn put(rig: &Rig, name: &str, archive: &[u8]) {
    let spool = rig.folders.path("spool");
    fs::write(spool.join(format!(".{name}.Xa81")), archive).unwrap();
    fs::rename(spool.join(format!(".{name}.Xa81")), spool.join(name)).unwrap();
}

/// Retries the only job that was given up, until it is given up again.
async fn retry(rig: &Rig) {
    let given_up = async || {
        let jobs = rig.cluster.operator().fetch("/jobs").await.granted();
        let jobs = jobs.as_array().expect("it is a list").clone();
        jobs.into_iter().find(|job| job["kind"] == "import_recording" && job["state"] == "poisoned")
    };
    let id = |job: Option<Value>| job.expect("a job was given up")["id"].as_str().expect("it has an id").to_owned();
    eventually("the job is given up", async || given_up().await.is_some()).await;
    let job = id(given_up().await);
    rig.cluster.operator().post(&format!("/jobs/{job}/retry"), &json!({})).await.granted();
    eventually("the job is given up again", async || given_up().await.is_some()).await;
    let reason = given_up().await.map(|job| job["last_error"].to_string()).unwrap_or_default();
    assert!(reason.contains("move it back to try it again"), "{reason}");
}

/// A server was lost between the queue and the end of the claimed file, and another one finished the import.
#[tokio::test]
async fn a_claimed_archive_that_was_queued_before_does_not_come_back() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "one");
    let (name, archive) = (format!("{}.tar", recorded.id), recorded.archive(&["podcast"]));
    let folder = rig.folders.path("spool").join(".b3scale-claimed");
    let claimed = folder.join(format!("{}~{name}", Uuid::now_v7()));
    let claim = || {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("unfinished"), &archive).unwrap();
        fs::rename(folder.join("unfinished"), &claimed).unwrap();
    };
    claim();
    eventually("it is imported", async || find(&rig, &recorded).await.is_some()).await;
    eventually("the archive is gone", async || rig.folders.chunks().is_empty() && !claimed.exists()).await;
    claim();
    eventually("the claim ends", async || !claimed.exists()).await;
    assert!(rig.folders.chunks().is_empty(), "no import would ever remove it");
}

#[tokio::test]
async fn archives_are_taken_from_the_spool_and_a_bad_one_blocks_no_other() {
    let rig = Rig::new().await;
    let (first, last) = (Recorded::new(1, "one"), Recorded::new(2, "two"));
    let archive = first.archive(&["presentation", "video"]);
    put(&rig, "a.tar", b"no archive at all, and without an end");
    put(&rig, &format!("{}.tar", first.id), &archive);
    let mut bad = last.archive(&["podcast"]);
    bad[0] ^= 1;
    put(&rig, &format!("{}.tar", last.id), &bad);

    eventually("a good archive is imported", async || find(&rig, &first).await.is_some_and(|it| it.formats.len() == 2))
        .await;
    rig.folders.hold("unpublished", &first, "video");
    let spool = rig.folders.path("spool");
    let reason = spool.join(format!("failed/{}.tar.reason", last.id));
    eventually("a damaged archive is set aside", async || reason.exists()).await;
    assert_eq!(fs::read_to_string(reason).unwrap(), "the archive is damaged: a header has a wrong checksum\n");
    assert_eq!(fs::read(spool.join(format!("failed/{}.tar", last.id))).unwrap(), bad);
    assert!(spool.join("a.tar").exists(), "it may still be growing");
    assert!(find(&rig, &last).await.is_none());

    retry(&rig).await;
    let kept = fs::read(spool.join(format!("failed/{}.tar", last.id))).unwrap();
    assert!(kept == bad, "a retry cannot touch it");

    put(&rig, &format!("{}.tar", last.id), &last.archive(&["podcast"]));
    eventually("its node sends it again", async || find(&rig, &last).await.is_some()).await;
    rig.folders.hold("unpublished", &last, "podcast");
}
