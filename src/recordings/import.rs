//! Imports: from archives and folders of the inbox to listed recordings.
//!
//! A job takes in each import: archive → work folder → shelf → row, one format after the other. Every step may run twice, and the
//! archive goes last. So a server may be killed anywhere, and another one finishes. An archive that cannot be taken in stays in the
//! inbox, with its reason in the queue of jobs and in the answer to its node.

mod adoption;
mod documents;
mod earlier;
mod folder;
mod format;
mod found;
mod owner;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::cluster::Visibility;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::archive::{ArchiveError, Limits, Unpacked, unpack};
use super::arrivals::Arrivals;
use super::shelf::ShelfError;
use super::shelves::Shelves;
use super::spool::SET_ASIDE;
use super::work_folder::WorkFolder;
use crate::store::{IMPORT_JOB, Import, ImportSource, ImportState, Store, StoreError};
use crate::telemetry::catalog::RECORDING_IMPORTS;
use crate::work::{Attempt, Job, JobError, Terms, Waker};

pub use adoption::{Adopt, Sweep};
pub(super) use earlier::keeps;
pub use folder::{FolderError, Posted};
pub(super) use found::take_found;

/// Pieces of an archive that wait to be unpacked.
const PIECES: usize = 2;

/// The folders and rules of imports.
#[derive(Clone, Debug)]
pub struct ImportSettings {
    /// Where archives are unpacked.
    pub work: PathBuf,
    /// The folder that nodes share. `None`: they do not.
    pub inbox: Option<SharedInbox>,
    /// Scalelite's spool, where refused archives go back to.
    pub spool: Option<PathBuf>,
    /// Bounds of an archive.
    pub limits: Limits,
    /// The visibility of new recordings, unless their frontend or their meeting has one.
    pub default_visibility: Visibility,
    /// Whether each format of a recording is announced to its frontend, and not only the recording.
    pub ready_per_format: bool,
}

/// The folder into which nodes put the folders of formats.
#[derive(Clone, Debug)]
pub struct SharedInbox {
    /// The folder.
    pub folder: PathBuf,
    /// Its place, if it is itself a tree of the local shelf, as by default.
    pub place: Option<&'static str>,
}

/// Takes imports in.
#[derive(Clone)]
pub struct Importer(Arc<Parts>);

struct Parts {
    store: Store,
    shelves: Shelves,
    arrivals: Arrivals,
    settings: ImportSettings,
    waker: Waker,
    /// Rings when an import on this server has settled.
    settled: Notify,
}

/// Why an import, or a format of it, is not taken in.
#[derive(Debug)]
enum Failure {
    /// Another attempt may succeed.
    Passing(String),
    /// It cannot be taken in as it is.
    Refused(String),
}

/// The formats of an import.
#[derive(Default)]
struct Taken {
    /// Formats that are listed now, as `<format>/<record id>`.
    formats: Vec<String>,
    /// Why each other one is refused.
    refused: Vec<String>,
}

/// Which import a job takes in.
#[derive(Serialize, Deserialize)]
pub struct ImportJob {
    id: Uuid,
}

impl Job for Importer {
    const KIND: &'static str = IMPORT_JOB;
    /// A disk may be full, and a bucket away, over a long weekend.
    const TERMS: Terms = Terms {
        at_once: 2,
        lease: Duration::from_secs(60),
        limit: Duration::from_secs(6 * 3600),
        attempts: 1500,
        pause: Duration::from_secs(5),
        longest_pause: Duration::from_secs(300),
    };
    type Payload = ImportJob;

    async fn run(&self, ImportJob { id }: ImportJob, _: Attempt) -> Result<(), JobError> {
        let Some(import) = self.0.store.imports().begin(id).await? else { return Ok(()) };
        if import.state == ImportState::Imported {
            return Ok(self.0.arrivals.remove(id).await?);
        }
        let taken = match import.source {
            ImportSource::Upload | ImportSource::Spool => self.take_archive(&import).await,
            ImportSource::Folder => self.take_folder(&import).await,
        };
        let settled = self.settle(&import, taken).await;
        self.0.settled.notify_waiters();
        settled
    }
}

impl Importer {
    /// An importer to these shelves. The waker is that of the bench, which runs its jobs.
    pub fn new(store: Store, shelves: Shelves, arrivals: Arrivals, settings: ImportSettings, waker: Waker) -> Self {
        Self(Arc::new(Parts { store, shelves, arrivals, settings, waker, settled: Notify::new() }))
    }

    /// Records the outcome. The archive of an import goes last.
    async fn settle(&self, import: &Import, taken: Result<Taken, Failure>) -> Result<(), JobError> {
        let Parts { store, arrivals, .. } = &*self.0;
        let count = |outcome| RECORDING_IMPORTS.with([outcome]).increment(1);
        let (formats, reason) = match taken {
            Ok(Taken { formats, refused }) if refused.is_empty() => {
                store.imports().settle(import.id, ImportState::Imported, None, &formats).await?;
                count("imported");
                return Ok(arrivals.remove(import.id).await?);
            }
            Ok(Taken { formats, refused }) => (formats, refused.join("; ")),
            Err(Failure::Refused(reason)) => (Vec::new(), reason),
            Err(Failure::Passing(reason)) => {
                tracing::warn!(import = import.name, %reason, "Pausing an import");
                count("paused");
                store.imports().settle(import.id, ImportState::Waiting, Some(&reason), &[]).await?;
                return Err(JobError::Retry(reason));
            }
        };
        tracing::error!(import = import.name, import.sender, %reason, "Refusing a recording");
        let is_handed_back = import.source == ImportSource::Spool && work::hand_back(&self.0, import, &reason).await?;
        let reason = if is_handed_back { format!("{reason}; {SET_ASIDE}") } else { reason };
        store.imports().settle(import.id, ImportState::Refused, Some(&reason), &formats).await?;
        if is_handed_back {
            arrivals.remove(import.id).await?;
        }
        count("refused");
        Err(JobError::Poison(reason))
    }

    /// Unpacks an archive and takes its formats in.
    async fn take_archive(&self, import: &Import) -> Result<Taken, Failure> {
        let parts = &self.0;
        if parts.arrivals.chunks(import.id).await?.is_empty() {
            let gone = "its archive is not in the inbox any more";
            let is_of_spool = import.source == ImportSource::Spool;
            return Err(Failure::Refused(if is_of_spool { format!("{gone}; {SET_ASIDE}") } else { gone.to_owned() }));
        }
        let folder = WorkFolder::new(&parts.settings.work, &import.id.to_string())?;
        let taken = self.take_archive_in(import, &folder).await;
        folder.remove().await;
        taken
    }

    async fn take_archive_in(&self, import: &Import, folder: &WorkFolder) -> Result<Taken, Failure> {
        let Unpacked { formats, length, sha256 } = self.unpack(import, folder.path().to_owned()).await?;
        if let Some(announced) = import.length.filter(|announced| *announced != length) {
            let reason = format!("the archive has {length} bytes, and {announced} were announced");
            return Err(Failure::Refused(reason));
        }
        // Logs show no digest in full: they could not be searched for checksums of calls.
        if import.sha256.as_ref().is_some_and(|announced| *announced != sha256) {
            return Err(Failure::Refused("the archive's SHA-256 is not the announced one".to_owned()));
        }
        let mut taken = Taken::default();
        for unpacked in formats {
            let key = unpacked.key.clone();
            taken.note(&key, self.take_unpacked(import, unpacked).await)?;
        }
        Ok(taken)
    }

    async fn unpack(&self, import: &Import, into: PathBuf) -> Result<Unpacked, Failure> {
        let (pieces, unpacked) = mpsc::channel(PIECES);
        let limits = self.0.settings.limits;
        let unpacking = spawn_blocking(move || unpack(work::Pipe::new(unpacked), &into, limits));
        // Where the inbox fails, the archive seems to end too early.
        let sent = self.0.arrivals.send(import.id, pieces).await;
        let unpacked = unpacking.await.map_err(|error| Failure::Passing(error.to_string()))?;
        sent?;
        Ok(unpacked?)
    }
}

impl Taken {
    /// Adds the outcome of a format. A passing failure ends the attempt.
    fn note(&mut self, key: &super::shelf::FormatKey, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match outcome {
            Ok(()) => self.formats.push(key.to_string()),
            Err(Failure::Refused(reason)) => self.refused.push(format!("{key}: {reason}")),
            Err(passing) => return Err(passing),
        }
        Ok(())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Refused { .. }) {
            return Self::Refused(error.to_string());
        }
        Self::Passing(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        if error.is_passing() { Self::Passing(error.to_string()) } else { Self::Refused(error.to_string()) }
    }
}
