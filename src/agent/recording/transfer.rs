//! Sending one format: announced, chunk by chunk, finished, and then asked for until it is imported.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use b3scale_base::client::{Api, ApiError};
use b3scale_base::clock::RuntimeClock;
use b3scale_base::rest::{Announcement, UPLOADS, Upload, UploadState};
use b3scale_base::signature::{Signed, hex, sha256};
use b3scale_middleware::bbb::Secret;
use b3scale_middleware::chance::Clock;
use bytes::Bytes;
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::tarball::Tarball;
use crate::settings::Node;

/// The size of the parts whose digests tell whether files have changed, and of chunks unless the server says otherwise.
const PART: u64 = 8 << 20;

/// The largest chunk that a server may ask for.
const LARGEST_CHUNK: u64 = 16 << 20;

/// Between two questions whether a recording is imported, and how long to ask.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

/// How a push ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has the files in their place and lists them.
    Imported,
    /// The server has all chunks, and has not imported them yet.
    Queued,
    /// The server cannot take it as it is.
    Refused(String),
    /// It may succeed later. Whether some chunks arrived.
    Failed { reason: String, arrived: bool },
}

/// Sends formats of recordings.
pub(super) struct Transfer {
    api: Api,
    node: String,
    secret: Secret,
    /// The most MiB a second.
    rate: Option<u32>,
}

/// Why a step failed.
enum Failure {
    Passing(String),
    Final(String),
}

/// A tar with its digests.
struct Prepared {
    tarball: Tarball,
    sha256: String,
    parts: Vec<String>,
}

impl Transfer {
    pub(super) fn new(api: Api, node: &Node, rate: Option<u32>) -> Self {
        Self { api, node: node.url.clone(), secret: node.secret.clone(), rate: rate.filter(|rate| *rate > 0) }
    }

    /// Sends a format, and waits a while for its import.
    pub(super) async fn send(&self, record: &str, format: &str, folder: &Path) -> Outcome {
        let mut arrived = false;
        match self.attempt(record, format, folder, &mut arrived).await {
            Ok(outcome) => outcome,
            Err(Failure::Final(reason)) => Outcome::Refused(reason),
            Err(Failure::Passing(reason)) => Outcome::Failed { reason, arrived },
        }
    }

    async fn attempt(&self, record: &str, format: &str, folder: &Path, arrived: &mut bool) -> Result<Outcome, Failure> {
        let (folder, prefix) = (folder.to_owned(), format!("{format}/{record}"));
        let prepared = Arc::new(on_disk(move || Prepared::of(&folder, &prefix)).await?);
        let (record_id, format) = (record.to_owned(), format.to_owned());
        let (length, sha256) = (prepared.tarball.length(), prepared.sha256.clone());
        let announcement = Announcement { record_id, format, length, sha256 };
        let body = serde_json::to_vec(&announcement).map_err(|error| Failure::Final(error.to_string()))?;
        let mut upload = self.ask(Method::POST, UPLOADS, body.into()).await?;
        let path = format!("{UPLOADS}/{}", upload.id);
        if upload.state == UploadState::Receiving {
            if upload.chunk_size == 0 || upload.chunk_size > LARGEST_CHUNK {
                return Err(Failure::Passing(format!("the server wants chunks of {} bytes", upload.chunk_size)));
            }
            for number in upload.missing {
                let began = Instant::now();
                let sent = self.send_chunk(&prepared, &path, number, upload.chunk_size).await?;
                *arrived = true;
                self.pace(sent, began).await;
            }
            upload = self.ask(Method::POST, &format!("{path}/finish"), Bytes::new()).await?;
        }
        self.wait(upload, &path, &prepared.sha256).await
    }

    /// Sends a chunk. Returns its size.
    async fn send_chunk(&self, prepared: &Arc<Prepared>, path: &str, number: u64, size: u64) -> Result<u64, Failure> {
        let prepared = Arc::clone(prepared);
        let chunk = on_disk(move || prepared.chunk(number, size)).await?;
        let sent = chunk.len() as u64;
        self.request(Method::PUT, &format!("{path}/{number}"), chunk.into()).await?;
        Ok(sent)
    }

    /// Keeps to the rate.
    async fn pace(&self, sent: u64, began: Instant) {
        let Some(rate) = self.rate else { return };
        let due = Duration::from_secs_f64(sent as f64 / (f64::from(rate) * f64::from(1 << 20)));
        sleep(due.saturating_sub(began.elapsed())).await;
    }

    /// Asks until the import has settled, or for long enough.
    async fn wait(&self, mut upload: Upload, path: &str, digest: &str) -> Result<Outcome, Failure> {
        let (end, mut pause) = (Instant::now() + PATIENCE, LOOK_PAUSE);
        loop {
            match upload.state {
                UploadState::Imported if upload.sha256 == digest => return Ok(Outcome::Imported),
                UploadState::Imported => {
                    return Err(Failure::Passing("the server has imported another content".to_owned()));
                }
                UploadState::Refused => {
                    return Ok(Outcome::Refused(upload.reason.unwrap_or_else(|| "no reason given".to_owned())));
                }
                _ if Instant::now() >= end => return Ok(Outcome::Queued),
                _ => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            upload = self.ask(Method::GET, path, Bytes::new()).await?;
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Upload, Failure> {
        let answer = self.request(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| Failure::Passing(format!("the answer cannot be read: {error}")))
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
        let signed = Signed::new(method.as_str(), path, &body, RuntimeClock.time());
        let token = signed.token(&self.node, self.secret.expose());
        let token = token.map_err(|error| Failure::Final(error.to_string()))?;
        self.api.send(method, path, &token, body).await.map_err(|error| Failure::of(&error))
    }
}

impl Failure {
    /// The same archive would be refused again only for what it is.
    fn of(error: &ApiError) -> Self {
        match error.refusal() {
            Some(StatusCode::PAYLOAD_TOO_LARGE | StatusCode::BAD_REQUEST) => Self::Final(error.to_string()),
            _ => Self::Passing(error.to_string()),
        }
    }
}

impl Prepared {
    /// Reads all files once.
    fn of(folder: &Path, prefix: &str) -> std::io::Result<Self> {
        let tarball = Tarball::of(folder, prefix)?;
        let (mut whole, mut parts) = (Sha256::new(), Vec::new());
        for start in (0..tarball.length()).step_by(PART as usize) {
            let part = tarball.read(start, PART)?;
            whole.update(&part);
            parts.push(sha256(&part));
        }
        Ok(Self { tarball, sha256: hex(&whole.finalize()), parts })
    }

    /// A chunk, as it was when the digest was made.
    fn chunk(&self, number: u64, size: u64) -> std::io::Result<Vec<u8>> {
        let chunk = self.tarball.read(number.saturating_mul(size), size)?;
        let expected = usize::try_from(number).ok().and_then(|number| self.parts.get(number));
        if size == PART && expected.is_some_and(|expected| *expected != sha256(&chunk)) {
            return Err(std::io::Error::other("the files have changed meanwhile"));
        }
        Ok(chunk)
    }
}

/// Reads files on a thread that may wait.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T, Failure> {
    let worked = spawn_blocking(work).await.map_err(std::io::Error::other).and_then(|worked| worked);
    worked.map_err(|error| Failure::Passing(format!("reading the recording failed: {error}")))
}
