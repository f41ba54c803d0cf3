//! Servers that are killed while they take in recordings, which nodes upload through a load balancer.

use std::time::SystemTime;

use b3scale::signature::{Signed, sha256};
use b3scale::store::IMPORT_JOB;
use b3scale_middleware::cluster::RecordId;
use b3scale_support::{
    Answer, PublishedFolder, Recorded, RecordingFolders, Servers, ServersOptions, Unanswered, eventually,
};
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::B3SCALED;

const RECORDINGS: u64 = 24;
const UPLOADS: &str = "/api/v1/recordings/upload";

/// The server that is killed, and the recording at which that is done.
const VICTIM: usize = 1;
const LAST_STRAW: u64 = 8;

/// An upload by the first node. A server that does not answer is passed over.
struct Upload<'s> {
    servers: &'s Servers,
    first: usize,
}

impl Upload<'_> {
    async fn ask(&self, method: Method, path: &str, body: &str) -> Answer {
        let node = &self.servers.nodes[0];
        for turn in self.first..self.first + self.servers.count() {
            let signed = Signed::new(method.as_str(), path, body.as_bytes(), SystemTime::now());
            let token = signed.token(&node.url(), node.secret()).expect("the secret is a key");
            match self.servers.send(turn, method.clone(), path, &token, body).await {
                Ok(answer) => return answer,
                Err(Unanswered::Refused | Unanswered::Broken(_)) => {}
            }
        }
        panic!("no server answers {method} {path}");
    }

    /// Announces, sends and finishes an archive. Returns the path of the upload.
    async fn send(&self, recorded: &Recorded) -> String {
        let archive = String::from_utf8(recorded.archive(&["podcast"])).expect("it is ASCII");
        let announcement = json!({
            "record_id": recorded.id, "format": "podcast", "length": archive.len(), "sha256": sha256(archive.as_bytes()),
        });
        let announced = document(&self.ask(Method::POST, UPLOADS, &announcement.to_string()).await);
        let path = format!("{UPLOADS}/{}", announced["id"].as_str().expect("it has an id"));
        let sent = self.ask(Method::PUT, &format!("{path}/0"), &archive).await;
        assert!(matches!(sent.status, StatusCode::NO_CONTENT | StatusCode::CONFLICT), "{sent:?}");
        let finished = self.ask(Method::POST, &format!("{path}/finish"), "").await;
        assert_eq!(finished.status, StatusCode::CREATED, "{finished:?}");
        path
    }
}

fn document(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Every finished upload becomes a recording, also those of the server that is killed and never comes back.
#[tokio::test]
async fn no_finished_upload_is_lost_when_a_server_is_killed() {
    let folders = RecordingFolders::new();
    let options = ServersOptions { nodes: 1, environment: folders.environment(), ..ServersOptions::default() };
    let servers = Servers::start(B3SCALED, options).await;
    let uploads = stream::iter(0..RECORDINGS).map(async |number| {
        let recorded = Recorded::new(number, &format!("lesson {number}"));
        let upload = Upload { servers: &servers, first: usize::try_from(number).expect("it is small") };
        let path = upload.send(&recorded).await;
        if number == LAST_STRAW {
            servers.kill(VICTIM);
        }
        (recorded, path)
    });
    let uploads: Vec<_> = uploads.buffer_unordered(6).collect().await;
    for (recorded, path) in &uploads {
        let upload = Upload { servers: &servers, first: 0 };
        eventually("an upload is imported", async || {
            document(&upload.ask(Method::GET, path, "").await)["state"] == "imported"
        })
        .await;
        folders.hold("unpublished", recorded, "podcast");
    }
    for (recorded, _) in &uploads {
        let id = RecordId::new(&recorded.id).expect("it is an id");
        let recording = servers.store.recordings().find(&id).await.expect("the tables answer").expect("it is listed");
        assert_eq!(recording.formats.len(), 1);
    }
    eventually("the archives are gone", async || folders.chunks().is_empty()).await;
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
        std::fs::write(folders.path("spool").join(format!("{}.tar", recorded.id)), archive).unwrap();
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
