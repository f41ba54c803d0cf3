//! Uploads of recordings: chunk by chunk, signed by nodes, taken in by the server.

mod callbacks;
mod captions;
mod refusals;
mod spool;
mod work;

use std::time::SystemTime;

use b3scale::signature::{Signed, sha256};
use b3scale_support::{Answer, ClusterOptions, PublishedFolder, Recorded, RecordingFolders, TestCluster, eventually};
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// Where uploads go.
const UPLOADS: &str = "/api/v1/recordings/upload";

/// The size of each chunk but the last.
const CHUNK: usize = 8 << 20;

/// A cluster with recordings.
struct Rig {
    cluster: TestCluster,
    folders: RecordingFolders,
}

impl Rig {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// One with further variables in its environment.
    async fn with(variables: &[(&'static str, &str)]) -> Self {
        let folders = RecordingFolders::new();
        let mut environment = folders.environment();
        for (name, value) in variables {
            environment.retain(|(known, _)| known != name);
            environment.push((*name, (*value).to_owned()));
        }
        let cluster = TestCluster::with(ClusterOptions { environment, ..ClusterOptions::default() }).await;
        Self { cluster, folders }
    }

    /// A request that a node signs.
    async fn ask(&self, node: usize, method: Method, path: &str, body: &str) -> Answer {
        let (url, secret) = (self.cluster.nodes[node].url().to_owned(), self.cluster.nodes[node].secret().to_owned());
        let signed = Signed::new(method.as_str(), path, body.as_bytes(), SystemTime::now());
        self.send(&signed.token(&url, &secret).unwrap(), method, path, body).await
    }

    async fn send(&self, token: &str, method: Method, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.cluster.request(method, path, &[("authorization", &*bearer)], body).await
    }

    async fn announce(&self, node: usize, recorded: &Recorded, format: &str, archive: &str) -> Answer {
        self.ask(node, Method::POST, UPLOADS, &announcement(recorded, format, archive)).await
    }

    /// Announces an archive and sends all its chunks. Returns the path of the upload.
    async fn upload(&self, node: usize, recorded: &Recorded, format: &str, archive: &str) -> String {
        let announced = document(&self.announce(node, recorded, format, archive).await);
        let path = format!("{UPLOADS}/{}", announced["id"].as_str().expect("it has an id"));
        for (number, chunk) in chunks(archive).enumerate() {
            let answer = self.ask(node, Method::PUT, &format!("{path}/{number}"), chunk).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        }
        path
    }

    /// Asks for an upload until it has a state other than these.
    async fn settled(&self, node: usize, path: &str) -> Value {
        let mut last = Value::Null;
        eventually("an import settles", async || {
            last = document(&self.ask(node, Method::GET, path, "").await);
            !["waiting", "running"].contains(&last["state"].as_str().expect("it has a state"))
        })
        .await;
        last
    }
}

fn announcement(recorded: &Recorded, format: &str, archive: &str) -> String {
    let digest = sha256(archive.as_bytes());
    json!({ "record_id": recorded.id, "format": format, "length": archive.len(), "sha256": digest }).to_string()
}

/// An archive of a podcast, which is all ASCII.
fn podcast(recorded: &Recorded) -> String {
    String::from_utf8(recorded.archive(&["podcast"])).expect("it is ASCII")
}

/// An archive of a podcast that has three chunks.
fn long_podcast(recorded: &Recorded) -> String {
    let published = PublishedFolder::new();
    let folder = published.publish(recorded, "podcast");
    std::fs::write(folder.join("long.ogg"), "x".repeat(2 * CHUNK)).unwrap();
    String::from_utf8(published.archive(&[recorded], &["podcast"])).expect("it is ASCII")
}

fn chunks(archive: &str) -> impl Iterator<Item = &str> {
    (0..archive.len().div_ceil(CHUNK)).map(|number| &archive[number * CHUNK..archive.len().min((number + 1) * CHUNK)])
}

fn document(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test]
async fn an_archive_is_announced_sent_finished_and_imported() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let archive = long_podcast(&recorded);
    let answer = rig.announce(0, &recorded, "podcast", &archive).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let announced = document(&answer);
    assert_eq!((&announced["state"], &announced["chunk_size"]), (&json!("receiving"), &json!(CHUNK)));
    assert_eq!((&announced["missing"], &announced["length"]), (&json!([0, 1, 2]), &json!(archive.len())));

    let path = rig.upload(0, &recorded, "podcast", &archive).await;
    assert!(path.ends_with(announced["id"].as_str().unwrap()), "the same archive is the same upload");
    assert_eq!(document(&rig.ask(0, Method::GET, &path, "").await)["missing"], json!([]));
    let finished = rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!(finished.status, StatusCode::CREATED);
    let settled = rig.settled(0, &path).await;
    assert_eq!((&settled["state"], settled.get("reason")), (&json!("imported"), None), "{settled}");
    rig.folders.hold("unpublished", &recorded, "podcast");
    eventually("the archive is gone", async || rig.folders.chunks().is_empty()).await;

    let again = rig.announce(0, &recorded, "podcast", &archive).await;
    assert_eq!((again.status, &document(&again)["state"]), (StatusCode::OK, &json!("imported")));
    let finished = rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!((finished.status, &document(&finished)["state"]), (StatusCode::CREATED, &json!("imported")));
}

/// A node that removes what is imported would remove the last copy.
#[tokio::test]
async fn a_recording_whose_files_were_lost_is_wanted_again() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let archive = podcast(&recorded);
    for _ in 0..2 {
        let path = rig.upload(0, &recorded, "podcast", &archive).await;
        rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
        assert_eq!(rig.settled(0, &path).await["state"], "imported");
        rig.folders.hold("unpublished", &recorded, "podcast");
        std::fs::remove_dir_all(rig.folders.path("unpublished/podcast")).unwrap();
    }
    rig.cluster.database.execute("UPDATE recordings SET state = 'deleted'").await;
    let deleted = rig.announce(0, &recorded, "podcast", &archive).await;
    assert_eq!(document(&deleted)["state"], "imported", "the files of a deleted recording are not missed");
}

#[tokio::test]
async fn an_upload_goes_on_with_the_missing_chunks() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let archive = long_podcast(&recorded);
    let announced = document(&rig.announce(0, &recorded, "podcast", &archive).await);
    let path = format!("{UPLOADS}/{}", announced["id"].as_str().unwrap());
    let parts: Vec<_> = chunks(&archive).collect();
    for number in [2, 0] {
        let sent = rig.ask(0, Method::PUT, &format!("{path}/{number}"), parts[number]).await;
        assert_eq!(sent.status, StatusCode::NO_CONTENT);
    }
    let early = rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!((early.status, &document(&early)["message"]), (StatusCode::CONFLICT, &json!("1 chunks are missing")));
    assert_eq!(document(&rig.announce(0, &recorded, "podcast", &archive).await)["missing"], json!([1]));
    rig.ask(0, Method::PUT, &format!("{path}/1"), parts[1]).await;
    rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!(rig.settled(0, &path).await["state"], "imported");
}

#[tokio::test]
async fn a_refused_archive_says_why_and_may_be_sent_again() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let archive = podcast(&recorded);
    let cut = &archive[..archive.len() - 1024];
    let path = rig.upload(0, &recorded, "podcast", cut).await;
    rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
    let settled = rig.settled(0, &path).await;
    assert_eq!(settled["state"], "refused");
    assert!(settled["reason"].as_str().unwrap().starts_with("the archive is incomplete"), "{settled}");
    assert_eq!(rig.folders.chunks().len(), 1, "it is kept aside");
    let again = rig.announce(0, &recorded, "podcast", cut).await;
    assert_eq!((again.status, &document(&again)["state"]), (StatusCode::CREATED, &json!("receiving")));
}
