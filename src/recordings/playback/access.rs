//! Who may play a recording, from memory.
//!
//! A view of a presentation is dozens of requests, and each decides for itself. So a record is looked up once and remembered for a
//! few seconds. A change is announced and ends that at once, and while the database is away the last answer counts.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::cluster::{RecordId, Recording, RecordingState};
use http::{HeaderMap, header};
use tokio::sync::{Semaphore, broadcast};
use tokio::time::{Instant, timeout};

use super::super::shelf::{FilePath, FormatKey};
use super::super::tickets::{Purpose, Subject, Tickets};
use super::route::{Route, served};
use crate::store::{Store, StoreError, StoredFormat};

/// How long a look-up counts.
const FRESH: Duration = Duration::from_secs(5);

/// The same where there is no such recording. A new one is not announced.
const FRESH_NOTHING: Duration = Duration::from_secs(1);

/// The recordings in each half of the memory.
const MOST: usize = 4096;

/// Look-ups at a time: strangers make up ids.
const LOOKUPS: usize = 8;

/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A recording with its files, as playback knows it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The recording, without metadata.
    pub recording: Recording,
    /// The files of its formats.
    pub stored: Vec<StoredFormat>,
}

impl Known {
    /// Whether a file is a thumbnail in lists.
    fn lists(&self, key: &FormatKey, path: &FilePath) -> bool {
        let images = self.recording.formats.iter().flat_map(|format| &format.images);
        images.filter_map(|image| Route::of(served(&image.link).split('?').next()?)).any(|route| match route {
            Route::File(target) => target.key == *key && target.path.as_ref() == Some(path),
            _ => false,
        })
    }
}

/// The records of recordings.
#[async_trait]
pub trait Records: Send + Sync {
    /// Looks one up.
    async fn known(&self, id: &RecordId) -> Result<Option<Known>, StoreError>;
}

#[async_trait]
impl Records for Store {
    async fn known(&self, id: &RecordId) -> Result<Option<Known>, StoreError> {
        let Some(found) = self.recordings().find(id).await? else { return Ok(None) };
        let stored = self.recordings().stored(id).await?;
        let recording =
            Recording { metadata: std::collections::BTreeMap::default(), breakout_rooms: Vec::new(), ..found };
        Ok(Some(Known { recording, stored }))
    }
}

/// The right to a file.
#[derive(Clone, Debug)]
pub enum Access {
    /// It is anyone's.
    Open(Arc<Known>),
    /// It is for the holder of a valid ticket.
    Admitted(Arc<Known>),
    /// It is protected, and there is no valid ticket.
    Locked(Arc<Known>),
    /// There is no such recording, or it is not published.
    Unknown,
    /// No one knows: the database is away.
    Away,
}

/// Decides who may play.
pub struct Gate {
    records: Arc<dyn Records>,
    tickets: Arc<Tickets>,
    memory: Mutex<Memory>,
    lookups: Semaphore,
}

impl Gate {
    /// A gate that knows nothing yet.
    pub fn new(records: Arc<dyn Records>, tickets: Arc<Tickets>) -> Self {
        Self { records, tickets, memory: Mutex::default(), lookups: Semaphore::new(LOOKUPS) }
    }

    /// Forgets changed recordings until the cluster ends. `None` stands for any.
    pub async fn follow(self: Arc<Self>, mut changes: broadcast::Receiver<Option<RecordId>>) {
        loop {
            match changes.recv().await {
                Ok(Some(id)) => self.memory().forget(&id),
                Ok(None) | Err(broadcast::error::RecvError::Lagged(_)) => self.memory().forget_all(),
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// The right of a visitor with that proof to a file of a format. A thumbnail has tickets of its own, too: lists show it.
    pub async fn file(&self, key: &FormatKey, path: &FilePath, proof: Proof<'_>, now: SystemTime) -> Access {
        match (self.access(key, proof, now).await, proof) {
            (Access::Locked(known), Proof::Ticket(ticket, Purpose::Play)) if known.lists(key, path) => {
                self.access_of(known, key, Proof::Ticket(ticket, Purpose::Thumbnail), now)
            }
            (access, _) => access,
        }
    }

    /// The right of a visitor with that proof to a format of a recording.
    pub async fn access(&self, key: &FormatKey, proof: Proof<'_>, now: SystemTime) -> Access {
        match self.known(key.record()).await {
            Ok(Some(known)) => self.access_of(known, key, proof, now),
            Ok(None) => Access::Unknown,
            Err(Away) => Access::Away,
        }
    }

    /// The right of the holder of a ticket to a text track. A frontend shows those of unpublished recordings, too.
    pub async fn track(&self, record: &RecordId, name: &str, ticket: &str, now: SystemTime) -> Access {
        let known = match self.known(record).await {
            Ok(Some(known)) => known,
            Ok(None) => return Access::Unknown,
            Err(Away) => return Access::Away,
        };
        let Recording { frontend: Some(frontend), state, epoch, .. } = known.recording else { return Access::Unknown };
        if state == RecordingState::Deleted {
            return Access::Unknown;
        }
        let subject = Subject { frontend, record, epoch, format: name };
        match self.tickets.admits(ticket, Purpose::Track, subject, now) {
            true => Access::Admitted(known),
            false => Access::Locked(known),
        }
    }

    fn access_of(&self, known: Arc<Known>, key: &FormatKey, proof: Proof<'_>, now: SystemTime) -> Access {
        // Of a tenant that was removed.
        let Some(frontend) = known.recording.frontend else { return Access::Unknown };
        if known.recording.state != RecordingState::Published {
            return Access::Unknown;
        }
        if !known.recording.protected {
            return Access::Open(known);
        }
        let subject = Subject { frontend, record: key.record(), epoch: known.recording.epoch, format: key.format() };
        let holds = |ticket: &str, purpose, subject| self.tickets.admits(ticket, purpose, subject, now);
        let is_admitted = match proof {
            Proof::None => false,
            Proof::Ticket(ticket, purpose) => holds(ticket, purpose, subject),
            Proof::Cookie(ticket) => holds(ticket, Purpose::Cookie, Subject { format: "", ..subject }),
        };
        if is_admitted { Access::Admitted(known) } else { Access::Locked(known) }
    }

    /// A ticket to a recording that is known.
    pub fn issue(&self, purpose: Purpose, known: &Known, format: &str, now: SystemTime) -> Option<String> {
        let Recording { frontend, id, epoch, .. } = &known.recording;
        let subject = Subject { frontend: (*frontend)?, record: id, epoch: *epoch, format };
        Some(self.tickets.issue(purpose, subject, now))
    }

    async fn known(&self, id: &RecordId) -> Result<Option<Arc<Known>>, Away> {
        if let Some(known) = self.memory().fresh(id) {
            return Ok(known);
        }
        let looked = timeout(PATIENCE, self.look_up(id)).await;
        match looked {
            Ok(Ok(known)) => Ok(known),
            Ok(Err(_)) | Err(_) => self.memory().stale(id).ok_or(Away),
        }
    }

    async fn look_up(&self, id: &RecordId) -> Result<Option<Arc<Known>>, Away> {
        let _turn = self.lookups.acquire().await.map_err(|_| Away)?;
        let changes = {
            let mut memory = self.memory();
            // Another request for it may just have been answered.
            if let Some(known) = memory.fresh(id) {
                return Ok(known);
            }
            memory.changes
        };
        match self.records.known(id).await {
            Ok(known) => {
                let known = known.map(Arc::new);
                self.memory().remember(id, known.clone(), changes);
                Ok(known)
            }
            Err(error) => {
                tracing::debug!(%error, "Looking up a recording failed");
                Err(Away)
            }
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a visitor proves a right with.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// Nothing.
    None,
    /// A ticket of a format.
    Ticket(&'a str, Purpose),
    /// A ticket of all formats, from a cookie.
    Cookie(&'a str),
}

/// The ticket in the cookie of a recording.
pub(in crate::recordings) fn cookie<'h>(headers: &'h HeaderMap, record: &RecordId) -> Option<&'h str> {
    let name = cookie_name(record);
    let lists = headers.get_all(header::COOKIE).iter().filter_map(|list| list.to_str().ok());
    let mut pairs = lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(each, _)| *each == name).map(|(_, ticket)| ticket)
}

/// The name of the cookie of a recording. Each has one, so that several can be played.
pub(in crate::recordings) fn cookie_name(record: &RecordId) -> String {
    format!("_b3s_{record}")
}

/// The database is away, and the recording is not in memory.
#[derive(Debug)]
struct Away;

/// Recordings that were looked up. The half of the last ones and the half of those before.
#[derive(Default)]
struct Memory {
    last: HashMap<RecordId, Memo>,
    earlier: HashMap<RecordId, Memo>,
    /// Counts forgotten recordings: a look-up that began earlier may be out of date.
    changes: u64,
}

#[derive(Clone)]
struct Memo {
    known: Option<Arc<Known>>,
    seen: Instant,
}

impl Memory {
    fn fresh(&mut self, id: &RecordId) -> Option<Option<Arc<Known>>> {
        let memo = self.find(id)?;
        let limit = if memo.known.is_some() { FRESH } else { FRESH_NOTHING };
        (memo.seen.elapsed() < limit).then_some(memo.known)
    }

    /// The last answer, which counts for another while.
    fn stale(&mut self, id: &RecordId) -> Option<Option<Arc<Known>>> {
        let known = self.find(id)?.known;
        self.keep(id, known.clone());
        Some(known)
    }

    fn find(&self, id: &RecordId) -> Option<Memo> {
        self.last.get(id).or_else(|| self.earlier.get(id)).cloned()
    }

    fn remember(&mut self, id: &RecordId, known: Option<Arc<Known>>, changes: u64) {
        if self.changes == changes {
            self.keep(id, known);
        }
    }

    fn keep(&mut self, id: &RecordId, known: Option<Arc<Known>>) {
        self.last.insert(id.clone(), Memo { known, seen: Instant::now() });
        if self.last.len() >= MOST {
            self.earlier = take(&mut self.last);
        }
    }

    fn forget(&mut self, id: &RecordId) {
        self.changes += 1;
        self.last.remove(id);
        self.earlier.remove(id);
    }

    fn forget_all(&mut self) {
        *self = Self { changes: self.changes + 1, ..Self::default() };
    }
}
