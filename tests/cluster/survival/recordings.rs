//! Servers that are killed while they take in recordings, by each of the ways in.

use std::fs;
use std::time::SystemTime;

use b3scale::ledger::Servers as _;
use b3scale::signature::{Signed, sha256};
use b3scale::store::IMPORT_JOB;
use b3scale_middleware::cluster::RecordId;
use b3scale_support::{
    Answer, PublishedFolder, Recorded, RecordingFolders, Servers, ServersOptions, TestDatabase, Unanswered, eventually,
    publish, token,
};
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::join;
use tokio_postgres::{Client, NoTls};

use super::B3SCALED;

const RECORDINGS: u64 = 24;
const FORMATS: [&str; 3] = ["video", "podcast", "notes"];
const UPLOADS: &str = "/api/v1/recordings/upload";

/// The servers that are killed, and how many recordings are listed then at least. The first server is left.
const KILLS: [(usize, usize); 2] = [(1, 1), (2, 8)];

/// A cluster into which recordings come. A server that does not answer is passed over, as by a load balancer.
struct Rig {
    folders: RecordingFolders,
    servers: Servers,
    database: TestDatabase,
}

impl Rig {
    async fn new() -> Self {
        let (folders, database) = (RecordingFolders::new(), TestDatabase::new().await);
        let options = ServersOptions { nodes: 1, environment: folders.environment(), ..ServersOptions::default() };
        let servers = Servers::on(B3SCALED, database.url(), options).await;
        Self { folders, servers, database }
    }

    /// Holds up imports before they write the row of a format, as long as the connection is kept.
    async fn hold(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(self.database.url(), NoTls).await.expect("it connects");
        tokio::spawn(connection);
        client.batch_execute("BEGIN; LOCK TABLE recording_formats IN SHARE MODE").await.expect("the table is there");
        client
    }

    /// Kills servers while they have an import in hand.
    async fn kill(&self, recordings: &[Recorded]) {
        for (victim, least) in KILLS {
            eventually("some recordings are listed", async || self.listed(recordings).await >= least).await;
            let all = self.servers.store.load_servers().await.expect("the tables answer");
            let url = self.servers.url(victim);
            let found = all.into_iter().find(|row| url.ends_with(&row.server.address)).expect("it is there");
            let held = self.hold().await;
            eventually("the server has an import in hand", async || {
                let jobs = self.servers.store.jobs().load(1000).await.expect("the queue answers");
                let is_its = |run_by| run_by == Some(found.server.id);
                jobs.iter().any(|job| job.kind == IMPORT_JOB && job.running && is_its(job.run_by))
            })
            .await;
            self.servers.kill(victim);
            drop(held);
        }
    }

    /// How many recordings are listed with all formats.
    async fn listed(&self, recordings: &[Recorded]) -> usize {
        let mut count = 0;
        for recorded in recordings {
            let id = RecordId::new(&recorded.id).expect("it is an id");
            let found = self.servers.store.recordings().find(&id).await.expect("the tables answer");
            count += usize::from(found.is_some_and(|recording| recording.formats.len() == FORMATS.len()));
        }
        count
    }

    /// Panics unless all recordings come to be listed with all their files, and nothing else is left.
    async fn have_all(&self, recordings: &[Recorded]) {
        eventually("all recordings are listed", async || self.listed(recordings).await == recordings.len()).await;
        for (recorded, format) in recordings.iter().flat_map(|recorded| FORMATS.map(|format| (recorded, format))) {
            self.folders.hold("unpublished", recorded, format);
        }
        eventually("all imports are done", async || {
            let jobs = self.servers.store.jobs().load(1000).await.expect("the queue answers");
            jobs.iter().all(|job| job.kind != IMPORT_JOB)
        })
        .await;
        eventually("the archives are gone", async || self.folders.chunks().is_empty()).await;
    }

    /// A request of the first node.
    async fn ask(&self, first: usize, method: Method, path: &str, body: &str) -> Answer {
        let node = &self.servers.nodes[0];
        let signed = Signed::new(method.as_str(), path, body.as_bytes(), SystemTime::now());
        self.send(first, method, path, &signed.token(&node.url(), node.secret()).expect("the secret is a key"), body)
            .await
    }

    async fn send(&self, first: usize, method: Method, path: &str, token: &str, body: &str) -> Answer {
        for turn in first..first + self.servers.count() {
            match self.servers.send(turn, method.clone(), path, token, body).await {
                Ok(answer) => return answer,
                Err(Unanswered::Refused | Unanswered::Broken(_)) => {}
            }
        }
        panic!("no server answers {method} {path}");
    }

    /// Announces, sends and finishes an archive. Returns the path of the upload.
    async fn upload(&self, first: usize, recorded: &Recorded) -> String {
        let archive = String::from_utf8(recorded.archive(&FORMATS)).expect("it is ASCII");
        let announcement = json!({
            "record_id": recorded.id, "format": FORMATS[0], "length": archive.len(), "sha256": sha256(archive.as_bytes()),
        });
        let announced = document(&self.ask(first, Method::POST, UPLOADS, &announcement.to_string()).await);
        let path = format!("{UPLOADS}/{}", announced["id"].as_str().expect("it has an id"));
        let sent = self.ask(first, Method::PUT, &format!("{path}/0"), &archive).await;
        assert!(matches!(sent.status, StatusCode::NO_CONTENT | StatusCode::CONFLICT), "{sent:?}");
        let finished = self.ask(first, Method::POST, &format!("{path}/finish"), "").await;
        assert_eq!(finished.status, StatusCode::CREATED, "{finished:?}");
        path
    }

    /// Puts the files into the shared folder, and posts the document of one format.
    async fn post(&self, first: usize, recorded: &Recorded) {
        for format in FORMATS {
            publish(&self.folders.path("inbox"), recorded, format);
        }
        let (token, document) = (token("node-1", "b3scale:node"), recorded.metadata(FORMATS[0]));
        let posted = self.send(first, Method::POST, "/api/v1/recordings-import", &token, &document).await;
        assert_eq!(posted.status, StatusCode::OK, "{posted:?}");
    }
}

fn document(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

fn recordings() -> Vec<Recorded> {
    (0..RECORDINGS).map(|number| Recorded::new(number, &format!("lesson {number}"))).collect()
}

#[tokio::test]
async fn no_finished_upload_is_lost_when_servers_are_killed() {
    let (rig, recordings) = (Rig::new().await, recordings());
    let uploads = stream::iter(recordings.iter().enumerate()).map(|(number, recorded)| rig.upload(number, recorded));
    let (paths, ()) = join!(uploads.buffer_unordered(6).collect::<Vec<_>>(), rig.kill(&recordings));
    rig.have_all(&recordings).await;
    for path in paths {
        assert_eq!(document(&rig.ask(0, Method::GET, &path, "").await)["state"], "imported");
    }
}

#[tokio::test]
async fn no_posted_recording_is_lost_when_servers_are_killed() {
    let (rig, recordings) = (Rig::new().await, recordings());
    let posts = stream::iter(recordings.iter().enumerate()).map(|(number, recorded)| rig.post(number, recorded));
    let (_, ()) = join!(posts.buffer_unordered(6).collect::<Vec<_>>(), rig.kill(&recordings));
    rig.have_all(&recordings).await;
    for recorded in &recordings {
        for format in FORMATS {
            assert!(!rig.folders.path("inbox").join(format).join(&recorded.id).exists(), "{format} of {recorded:?}");
        }
    }
}

#[tokio::test]
async fn no_archive_of_the_spool_is_lost_when_servers_are_killed() {
    let (rig, recordings) = (Rig::new().await, recordings());
    for recorded in &recordings {
        let archive = recorded.archive(&FORMATS);
        fs::write(rig.folders.path("spool").join(format!("{}.tar", recorded.id)), archive).unwrap();
    }
    rig.kill(&recordings).await;
    rig.have_all(&recordings).await;
    assert!(!rig.folders.path("spool/failed").exists());
}

/// The same archives in the spool of three servers at once are taken once each.
#[tokio::test]
async fn servers_share_a_spool() {
    let folders = RecordingFolders::new();
    let options = ServersOptions { nodes: 1, environment: folders.environment(), ..ServersOptions::default() };
    let servers = Servers::start(B3SCALED, options).await;
    let recordings: Vec<_> = (0..12).map(|number| Recorded::new(number, "lesson")).collect();
    for recorded in &recordings {
        let archive = recorded.archive(&PublishedFolder::FORMATS);
        fs::write(folders.path("spool").join(format!("{}.tar", recorded.id)), archive).unwrap();
    }
    for recorded in &recordings {
        let id = RecordId::new(&recorded.id).expect("it is an id");
        eventually("an archive is imported", async || {
            let found = servers.store.recordings().find(&id).await.expect("the tables answer");
            found.is_some_and(|recording| recording.formats.len() == PublishedFolder::FORMATS.len())
        })
        .await;
        folders.hold("unpublished", recorded, "video");
    }
    eventually("all imports are done", async || {
        let jobs = servers.store.jobs().load(100).await.expect("the queue answers");
        jobs.iter().all(|job| job.kind != IMPORT_JOB)
    })
    .await;
    assert!(!folders.path("spool/failed").exists());
}
