//! The upload of archives, chunk by chunk, without shared folders: `/api/v1/recordings/upload…`, a site.
//!
//! | request | does |
//! |---|---|
//! | `POST …/upload` | announces an archive by recording, format, length and SHA-256; says which chunks are missing |
//! | `PUT …/upload/{id}/{number}` | brings a chunk, which is durable before its answer |
//! | `GET …/upload/{id}` | says which chunks are missing, and later how the import went |
//! | `POST …/upload/{id}/finish` | queues the import |
//!
//! Any server takes any request, so an upload goes on after any loss. A request is signed by a node
//! ([`Signed`](crate::signature::Signed)), or has an operator's token.

mod problem;
mod sender;

use std::time::Duration;

use b3scale_middleware::cluster::{RecordId, is_format};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use uuid::Uuid;

use super::arrivals::{Arrivals, CHUNK, Chunk};
use super::import::{Importer, keeps};
use crate::budget::{Budget, Owner, Room};
use crate::proxies::Proxies;
use crate::rest::{Announcement, UPLOADS, Upload, UploadState};
use crate::signature::sha256;
use crate::site::{self, Answer, Body, Claim, Intake, Site, Visitor};
use crate::store::{IMPORT_JOB, Import, ImportSource, ImportState, Store};
use crate::token::Tokens;
use crate::work::Waker;
use problem::Problem;
use sender::{Sender, Senders};

/// The most open uploads of a sender.
const MOST_OPEN: i64 = 32;

/// The most bytes of a body other than a chunk.
const LARGEST_ANNOUNCEMENT: u64 = 64 << 10;

/// The parts of the site.
pub struct UploadParts {
    /// The database.
    pub store: Store,
    /// The inbox.
    pub arrivals: Arrivals,
    /// The importer, which knows the files of recordings.
    pub importer: Importer,
    /// The right to wake the queue.
    pub waker: Waker,
    /// The secret of operators' tokens.
    pub secret: String,
    /// The proxies trusted to name the client, in addition to this machine.
    pub proxies: Proxies,
    /// What chunks may take up in memory.
    pub budget: Budget,
    /// The most bytes of an archive.
    pub largest: u64,
}

/// Takes uploads.
pub struct Uploads {
    store: Store,
    arrivals: Arrivals,
    importer: Importer,
    waker: Waker,
    senders: Senders,
    budget: Budget,
    largest: u64,
}

impl Uploads {
    /// The site.
    pub fn new(parts: UploadParts) -> Self {
        let UploadParts { store, arrivals, importer, waker, secret, proxies, budget, largest } = parts;
        let senders = Senders::new(store.clone(), Tokens::of(&secret), proxies);
        Self { store, arrivals, importer, waker, senders, budget, largest }
    }

    async fn respond(&self, request: Request<Body>, visitor: Visitor) -> Result<Answer, Problem> {
        let (head, body) = request.into_parts();
        let sender = self.senders.identify(&head, &visitor).await?;
        visitor.admit();
        let rest = head.uri.path().strip_prefix(UPLOADS).unwrap_or_default();
        let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
        let number = |text: &str| text.parse().map_err(|_| Problem::NotFound);
        match (&head.method, &segments[..]) {
            (&Method::POST, []) => {
                let (body, _room) = self.body(body, &sender, LARGEST_ANNOUNCEMENT).await?;
                self.announce(&sender, &body).await
            }
            (&Method::GET | &Method::HEAD, [id]) => self.answer_of(StatusCode::OK, &self.own(id, &sender).await?).await,
            (&Method::POST, [id, "finish"]) => {
                self.body(body, &sender, LARGEST_ANNOUNCEMENT).await?;
                self.finish(self.own(id, &sender).await?).await
            }
            (&Method::PUT, [id, chunk]) => {
                let import = self.own(id, &sender).await?;
                self.take_chunk(&sender, &import, number(chunk)?, body).await
            }
            _ => Err(Problem::NotFound),
        }
    }

    async fn announce(&self, sender: &Sender, body: &[u8]) -> Result<Answer, Problem> {
        let wrong = |why: String| Problem::Wrong(why);
        let announced: Announcement = serde_json::from_slice(body)
            .map_err(|error| wrong(format!("the body is no announcement of an archive: {error}")))?;
        let Announcement { record_id, format, length, sha256 } = announced;
        let record = RecordId::new(&record_id).ok_or_else(|| wrong("record_id is no id of a recording".to_owned()))?;
        if !is_format(&format) {
            return Err(wrong("format is no name of a format".to_owned()));
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong("sha256 is not 64 hexadecimal digits in lower case".to_owned()));
        }
        if length == 0 {
            return Err(wrong("length is 0, and an archive has bytes".to_owned()));
        }
        if length > self.largest {
            return Err(Problem::TooLarge(self.largest));
        }
        self.arrivals.require_room(length)?;
        let import = Import {
            sender: sender.name.clone(),
            record_id: Some(record.to_string()),
            format: Some(format.clone()),
            length: Some(length),
            sha256: Some(sha256),
            ..Import::new(Uuid::now_v7(), ImportSource::Upload, format!("{format}/{record}"))
        };
        let found = loop {
            let found = self.store.imports().announce(&import, MOST_OPEN).await?.ok_or(Problem::TooMany(MOST_OPEN))?;
            if found.state != ImportState::Imported || self.keeps(&found).await? {
                break found;
            }
            // Its files were lost since, and the sender may have the last copy.
            tracing::warn!(import = found.name, "Taking a recording again whose files were lost");
            self.store.imports().remove(found.id).await?;
        };
        let status = if found.id == import.id { StatusCode::CREATED } else { StatusCode::OK };
        self.answer_of(status, &found).await
    }

    /// Whether the files of an import are still here.
    async fn keeps(&self, import: &Import) -> Result<bool, Problem> {
        keeps(&self.importer, import).await.map_err(|reason| {
            tracing::error!(import = import.name, reason, "Looking for the files of a recording failed");
            Problem::Away("the files of the recording cannot be looked for now".to_owned())
        })
    }

    async fn take_chunk(&self, sender: &Sender, import: &Import, number: u64, body: Body) -> Result<Answer, Problem> {
        let size = size_of(import, number).ok_or(Problem::NotFound)?;
        if import.state != ImportState::Receiving {
            return Err(Problem::Conflict("the upload is finished".to_owned()));
        }
        self.arrivals.require_room(size)?;
        let (chunk, _room) = self.body(body, sender, size).await?;
        if chunk.len() as u64 != size {
            return Err(Problem::Wrong(format!("chunk {number} has {} bytes, and {size} are wanted", chunk.len())));
        }
        self.arrivals.put(import.id, number, chunk).await?;
        self.store.imports().touch(import.id).await?;
        Ok(site::answer(StatusCode::NO_CONTENT, problem::JSON, Bytes::new()))
    }

    async fn finish(&self, import: Import) -> Result<Answer, Problem> {
        if import.state == ImportState::Receiving {
            let missing = self.missing(&import).await?;
            if !missing.is_empty() {
                return Err(Problem::Conflict(format!("{} chunks are missing", missing.len())));
            }
            self.store.imports().complete(import.id).await?;
            self.waker.wake(IMPORT_JOB);
        }
        let import = self.store.imports().find(import.id).await?.ok_or(Problem::NotFound)?;
        self.answer_of(StatusCode::CREATED, &import).await
    }

    /// An upload of the sender.
    async fn own(&self, id: &str, sender: &Sender) -> Result<Import, Problem> {
        let id = id.parse().map_err(|_| Problem::NotFound)?;
        let found = self.store.imports().find(id).await?;
        let is_own = |import: &Import| import.source == ImportSource::Upload && import.sender == sender.name;
        found.filter(is_own).ok_or(Problem::NotFound)
    }

    async fn answer_of(&self, status: StatusCode, import: &Import) -> Result<Answer, Problem> {
        let missing = match import.state {
            ImportState::Receiving => self.missing(import).await?,
            _ => Vec::new(),
        };
        let upload = Upload {
            id: import.id,
            state: state(import.state),
            reason: import.reason.clone(),
            length: import.length.unwrap_or_default(),
            sha256: import.sha256.clone().unwrap_or_default(),
            chunk_size: CHUNK,
            missing,
        };
        Ok(problem::json(status, &upload))
    }

    /// The numbers of the chunks that are not here, or not whole.
    async fn missing(&self, import: &Import) -> Result<Vec<u64>, Problem> {
        let there = self.arrivals.chunks(import.id).await?;
        let is_there = |number: u64| {
            let chunk = size_of(import, number).map(|size| Chunk { number, size });
            chunk.is_some_and(|chunk| there.binary_search(&chunk).is_ok())
        };
        let count = import.length.unwrap_or_default().div_ceil(CHUNK);
        Ok((0..count).filter(|number| !is_there(*number)).collect())
    }

    /// Reads a whole body, and compares it with the signed digest.
    async fn body(&self, mut body: Body, sender: &Sender, largest: u64) -> Result<(Bytes, Room), Problem> {
        let most = usize::try_from(largest).unwrap_or(usize::MAX);
        let mut buffer = self.budget.buffer(Owner::Caller(sender.name.as_str().into()));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Problem::of_body(&error))?;
            let Ok(piece) = frame.into_data() else { continue };
            if buffer.len() + piece.len() > most {
                return Err(Problem::TooLarge(largest));
            }
            buffer.push(&piece, most).map_err(|_| Problem::Busy)?;
        }
        let (body, room) = buffer.finish();
        match &sender.digest {
            Some(signed) if *signed != sha256(&body) => Err(Problem::Damaged),
            _ => Ok((body, room)),
        }
    }
}

impl Site for Uploads {
    fn claims(&self) -> Vec<Claim> {
        vec![Claim::below(UPLOADS)]
    }

    fn intake(&self) -> Option<Intake> {
        let largest = usize::try_from(CHUNK).unwrap_or(usize::MAX);
        Some(Intake { largest, pause: Duration::from_secs(30), whole: Duration::from_secs(600) })
    }

    fn answer(&self, request: Request<Body>, visitor: Visitor) -> BoxFuture<'_, Answer> {
        let answer = self.respond(request, visitor);
        async move {
            let mut answer = answer.await.unwrap_or_else(Problem::into_answer);
            answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            answer
        }
        .boxed()
    }
}

fn state(state: ImportState) -> UploadState {
    match state {
        ImportState::Receiving => UploadState::Receiving,
        ImportState::Waiting => UploadState::Waiting,
        ImportState::Running => UploadState::Running,
        ImportState::Imported => UploadState::Imported,
        ImportState::Refused => UploadState::Refused,
    }
}

/// The size of a chunk of an upload. `None`: it has no such chunk.
fn size_of(import: &Import, number: u64) -> Option<u64> {
    let start = number.checked_mul(CHUNK)?;
    let left = import.length.unwrap_or_default().checked_sub(start).filter(|left| *left > 0)?;
    Some(left.min(CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_chunks_but_the_last_have_one_size() {
        let import = Import { length: Some(2 * CHUNK + 1), ..Import::new(Uuid::nil(), ImportSource::Upload, "x") };
        let sizes = [0, 1, 2, 3, u64::MAX].map(|number| size_of(&import, number));
        assert_eq!(sizes, [Some(CHUNK), Some(CHUNK), Some(1), None, None]);
        let whole = Import { length: Some(CHUNK), ..import };
        assert_eq!([0, 1].map(|number| size_of(&whole, number)), [Some(CHUNK), None]);
    }
}
