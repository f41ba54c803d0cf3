//! Uploads of recordings, for the agent and the command line: a tar is announced, sent chunk by chunk, and finished. Then the server is
//! asked until it is imported.

mod tarball;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::Secret;
use b3scale_middleware::chance::Clock;
use bytes::Bytes;
use http::{Method, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::client::{Api, ApiError};
use crate::clock::RuntimeClock;
use crate::rest::{Announcement, UPLOADS, Upload, UploadState};
use crate::signature::{Signed, hex, sha256};
use tarball::Tarball;

/// The size of the parts whose digests tell whether files have changed, and of chunks unless the server says otherwise.
const PART: u64 = 8 << 20;

/// The largest chunk that a server may ask for.
const LARGEST_CHUNK: u64 = 16 << 20;

/// Between two questions whether a recording is imported, and how long to ask.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(120);

/// How an upload ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has the files in their place and lists them.
    Imported {
        /// Whether it had them before.
        was_known: bool,
    },
    /// The server has all chunks, and has not imported them yet.
    Queued,
    /// The server cannot take it as it is.
    Refused(String),
    /// It may succeed later.
    Failed {
        /// Why.
        reason: String,
        /// Whether some chunks arrived.
        arrived: bool,
    },
}

/// A recording that the server did not have before.
const NEW: Outcome = Outcome::Imported { was_known: false };

/// The sender of recordings.
#[derive(Clone, Debug)]
pub enum Sender {
    /// A node, which signs its requests.
    Node {
        /// The URL of its API.
        url: String,
        /// Its secret.
        secret: Secret,
    },
    /// An operator, with the token of the client.
    Operator,
}

/// A format of a recording in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFormat {
    /// The recording.
    pub record: String,
    /// The format.
    pub format: String,
    /// Its files.
    pub folder: PathBuf,
    /// Whether it lies among unpublished recordings.
    pub is_unpublished: bool,
}

/// Sends formats of recordings.
pub struct Transfer {
    api: Api,
    sender: Sender,
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
    /// A sender to a server. `rate`: the most MiB a second.
    pub fn new(api: Api, sender: Sender, rate: Option<u32>) -> Self {
        Self { api, sender, rate: rate.filter(|rate| *rate > 0) }
    }

    /// Sends a format, and waits a while for its import. `sent` is called with the bytes of each chunk.
    pub async fn send(&self, local: &LocalFormat, sent: impl Fn(u64)) -> Outcome {
        let mut arrived = false;
        let count = |bytes| {
            arrived = true;
            sent(bytes);
        };
        match self.attempt(local, count).await {
            Ok(outcome) => outcome,
            Err(Failure::Final(reason)) => Outcome::Refused(reason),
            Err(Failure::Passing(reason)) => Outcome::Failed { reason, arrived },
        }
    }

    async fn attempt(&self, local: &LocalFormat, mut sent: impl FnMut(u64)) -> Result<Outcome, Failure> {
        let LocalFormat { record: record_id, format, folder, is_unpublished } = local.clone();
        let tree = if is_unpublished { "unpublished/" } else { "" };
        let prefix = format!("{tree}{format}/{record_id}");
        let prepared = Arc::new(on_disk(move || Prepared::of(&folder, &prefix)).await?);
        let (length, sha256) = (prepared.tarball.length(), prepared.sha256.clone());
        let announcement = Announcement { record_id, format, length, sha256 };
        let body = serde_json::to_vec(&announcement).map_err(|error| Failure::Final(error.to_string()))?;
        let mut upload = self.ask(Method::POST, UPLOADS, body.into()).await?;
        let path = format!("{UPLOADS}/{}", upload.id);
        let was_known = upload.state == UploadState::Imported;
        if upload.state == UploadState::Receiving {
            if upload.chunk_size == 0 || upload.chunk_size > LARGEST_CHUNK {
                return Err(Failure::Passing(format!("the server wants chunks of {} bytes", upload.chunk_size)));
            }
            for number in upload.missing {
                let began = Instant::now();
                let bytes = self.send_chunk(&prepared, &path, number, upload.chunk_size).await?;
                sent(bytes);
                self.pace(bytes, began).await;
            }
            upload = self.ask(Method::POST, &format!("{path}/finish"), Bytes::new()).await?;
        }
        let outcome = self.wait(upload, &path, &prepared.sha256).await?;
        Ok(if was_known && outcome == NEW { Outcome::Imported { was_known } } else { outcome })
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
                UploadState::Imported if upload.sha256 == digest => return Ok(NEW),
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
        let token = match &self.sender {
            Sender::Operator => None,
            Sender::Node { url, secret } => {
                let signed = Signed::new(method.as_str(), path, &body, RuntimeClock.time());
                let token = signed.token(url, secret.expose());
                Some(token.map_err(|error| Failure::Final(error.to_string()))?)
            }
        };
        self.api.send(method, path, token.as_deref(), body).await.map_err(|error| Failure::of(&error))
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
