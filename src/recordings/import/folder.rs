//! The original's way in: a node posts a `metadata.xml`, and its files lie in the folder of the inbox, or come later, or never.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use b3scale_middleware::bbb::xml::{DocumentError, RecordingDocument};
use b3scale_middleware::cluster::{RecordId, Recording, described, is_format};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::format::Files;
use super::{Failure, Importer, Taken, documents};
use crate::recordings::shelf::FormatKey;
use crate::recordings::work_folder::WorkFolder;
use crate::store::{FrontendFilter, IMPORT_JOB, Import, ImportSource, ImportState, Spot, StoreError};

/// How long a post waits for the end of its import. Its request may take a minute.
const PATIENCE: Duration = Duration::from_secs(45);

/// Between two looks at an import that another server may have.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// The deepest folder of a recording.
const DEEPEST: usize = 32;

/// A post of a `metadata.xml`.
#[derive(Debug, Default)]
pub struct Posted {
    /// The document.
    pub document: Vec<u8>,
    /// The frontend's id of the meeting, instead of that in the document.
    pub meeting_id: Option<String>,
    /// The key of the frontend, instead of that of the meeting.
    pub frontend: Option<String>,
    /// The subject of the sender's token.
    pub sender: String,
}

/// Why a post is not answered with its recording.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The document cannot be used.
    #[error("{0}")]
    Document(#[from] DocumentError),
    /// There is no frontend of that key.
    #[error("override_frontend_key: A frontend with key '{0}' could not be found.")]
    Frontend(String),
    /// The files cannot be taken in as they are.
    #[error("{0}")]
    Refused(String),
    /// It is queued, and goes on after this answer.
    #[error("the recording is queued: {0}")]
    Queued(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Importer {
    /// Takes in a recording whose `metadata.xml` was posted, and waits for the outcome.
    ///
    /// # Errors
    /// Why there is no recording yet, or none at all.
    pub async fn post(&self, posted: Posted) -> Result<Recording, FolderError> {
        let text = String::from_utf8_lossy(&posted.document).replace('\0', "");
        let (recording, _) = described(&documents::parsed(posted.document).await?)?;
        if let Some(key) = &posted.frontend {
            let filter = FrontendFilter { key: Some(key.clone()), ..FrontendFilter::default() };
            if self.0.store.frontends().list(&filter).await?.is_empty() {
                return Err(FolderError::Frontend(key.clone()));
            }
        }
        let import = Import {
            sender: posted.sender,
            record_id: Some(recording.id.to_string()),
            document: Some(text),
            meeting_id: posted.meeting_id,
            frontend: posted.frontend,
            ..Import::new(Uuid::now_v7(), ImportSource::Folder, recording.id.to_string())
        };
        self.0.store.imports().admit(&import).await?;
        self.0.waker.wake(IMPORT_JOB);
        self.wait(import.id, &recording.id).await
    }

    /// Waits until an import has settled, on this server or another one.
    async fn wait(&self, import: Uuid, record: &RecordId) -> Result<Recording, FolderError> {
        let end = Instant::now() + PATIENCE;
        let queued = |reason: Option<String>| FolderError::Queued(reason.unwrap_or_else(|| "it waits".to_owned()));
        loop {
            let settled = self.0.settled.notified();
            let Some(found) = self.0.store.imports().find(import).await? else { return Err(queued(None)) };
            match found.state {
                ImportState::Imported => {
                    let recording = self.0.store.recordings().find(record).await?;
                    return recording.ok_or_else(|| FolderError::Refused("the recording was removed".to_owned()));
                }
                ImportState::Refused => return Err(FolderError::Refused(found.reason.unwrap_or_default())),
                // Its next attempt comes later.
                ImportState::Waiting if found.reason.is_some() => return Err(queued(found.reason)),
                _ if Instant::now() >= end => return Err(queued(found.reason)),
                _ => {}
            }
            tokio::select! {
                () = settled => {}
                () = sleep(LOOK_PAUSE) => {}
            }
        }
    }

    /// Takes in the posted format, and further formats of the recording in the inbox.
    pub(super) async fn take_folder(&self, import: &Import) -> Result<Taken, Failure> {
        let text = import.document.clone().unwrap_or_default();
        let posted = documents::parsed(text.into_bytes()).await?;
        let (recording, format) = described(&posted)?;
        let mut folders = self.inbox_folders(&recording.id).await?;
        let (mut taken, posted_key) =
            (Taken::default(), format.and_then(|format| FormatKey::new(&recording.id, &format.kind)));
        if let Some(key) = &posted_key {
            let folder = folders.remove(key);
            taken.note(key, self.take_posted(import, key, &posted, folder).await)?;
        }
        for (key, folder) in folders {
            // It is left alone if it is no format: the node may still write it.
            let Ok(document) = documents::of_folder(&folder).await else { continue };
            taken.note(&key, self.take_posted(import, &key, &document, Some(folder)).await)?;
        }
        if taken.is_empty() {
            let reason = "metadata.xml has no `playback`, and the inbox has no format of the recording";
            return Err(Failure::Refused(reason.to_owned()));
        }
        Ok(taken)
    }

    async fn take_posted(
        &self,
        import: &Import,
        key: &FormatKey,
        document: &RecordingDocument,
        folder: Option<PathBuf>,
    ) -> Result<(), Failure> {
        let Some(folder) = folder else {
            return self.take_format(import, key, document, Files::None).await;
        };
        let inbox = self.0.settings.inbox.as_ref();
        if let Some(place) = inbox.and_then(|inbox| inbox.place) {
            let spot = Spot { shelf: "local".to_owned(), place: place.to_owned() };
            return self.take_format(import, key, document, Files::Placed(&spot)).await;
        }
        let desk = WorkFolder::new(&self.0.settings.work, &import.id.to_string())?;
        let taken = self.take_copy(import, key, document, &folder, desk.path()).await;
        desk.remove().await;
        taken
    }

    /// The shelf takes a copy, so that an attempt that is cut off leaves the folder as it was.
    async fn take_copy(
        &self,
        import: &Import,
        key: &FormatKey,
        document: &RecordingDocument,
        folder: &Path,
        desk: &Path,
    ) -> Result<(), Failure> {
        let (source, copy) = (folder.to_owned(), desk.join("files"));
        let most = self.0.settings.limits.files;
        on_disk(folder, move || copied(&source, &copy, &mut 0, most, DEEPEST)).await?;
        self.take_format(import, key, document, Files::Folder(&desk.join("files"), None)).await?;
        // By one step, so that half a folder is never taken for a whole one.
        let (source, gone) = (folder.to_owned(), desk.join("gone"));
        on_disk(folder, move || moved_away(&source, &gone)).await
    }

    /// The folders of a recording in the inbox, by format.
    async fn inbox_folders(&self, record: &RecordId) -> Result<BTreeMap<FormatKey, PathBuf>, Failure> {
        let Some(inbox) = self.0.settings.inbox.clone() else { return Ok(BTreeMap::new()) };
        let (record, shown) = (record.clone(), inbox.folder.clone());
        on_disk(&shown, move || folders_of(&inbox.folder, &record)).await
    }
}

impl Taken {
    fn is_empty(&self) -> bool {
        self.formats.is_empty() && self.refused.is_empty()
    }
}

/// Works on a thread that may wait.
async fn on_disk<T: Send + 'static>(
    place: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let worked = spawn_blocking(work).await.map_err(io::Error::other).and_then(|worked| worked);
    worked.map_err(|error| Failure::Passing(format!("{}: {error}", place.display())))
}

fn folders_of(inbox: &Path, record: &RecordId) -> io::Result<BTreeMap<FormatKey, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(inbox)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(format) = name.to_str().filter(|name| is_format(name)) else { continue };
        let folder = entry.path().join(record.as_str());
        let is_folder = folder.symlink_metadata().is_ok_and(|found| found.is_dir());
        found.extend(FormatKey::new(record, format).filter(|_| is_folder).map(|key| (key, folder)));
    }
    Ok(found)
}

/// Gives all files of a folder second names in another one; on another file system, copies them. Links and devices are left out.
fn copied(from: &Path, to: &Path, count: &mut u64, most: u64, depth: usize) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target, kind) = (entry.path(), to.join(entry.file_name()), entry.file_type()?);
        *count += 1;
        if *count > most || depth == 0 {
            return Err(io::Error::other(format!("more than {most} files, or more than {DEEPEST} folders deep")));
        }
        if kind.is_dir() {
            copied(&source, &target, count, most, depth - 1)?;
        } else if kind.is_file() && fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Takes a folder away under its name.
fn moved_away(folder: &Path, gone: &Path) -> io::Result<()> {
    match fs::rename(folder, gone) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let hidden = folder.with_file_name(format!(".b3scale-gone-{name}"));
            fs::rename(folder, &hidden)?;
            fs::remove_dir_all(&hidden)
        }
        moved => moved,
    }
}
