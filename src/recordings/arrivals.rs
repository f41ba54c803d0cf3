//! The inbox of archives: chunks of each import, in a folder that servers share or in a bucket, so that any server can finish it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::archive::free_space;
use super::shelf::ShelfError;
use super::shelf::s3::{INBOX, S3};
use super::shelves::Inbox;
use crate::net::causes;

/// The size of each chunk but the last, in bytes.
pub(super) const CHUNK: u64 = 8 << 20;

/// The folder of chunks in the inbox. No format has such a name.
const FOLDER: &str = ".b3scale-arrivals";

/// The most bytes that are read at a time.
const READ: u64 = 4 << 20;

/// Where chunks arrive.
#[derive(Clone)]
pub struct Arrivals {
    place: Place,
    keep_free: u64,
}

#[derive(Clone)]
enum Place {
    Folder { root: PathBuf, files: LocalFileSystem },
    Bucket(Arc<S3>),
}

/// A chunk that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chunk {
    /// Its number, from 0.
    pub number: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Arrivals {
    /// The chunks in an inbox. So many bytes stay free on the disk of a folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(inbox: &Inbox, keep_free: u64) -> Result<Self, ShelfError> {
        let place = match inbox {
            Inbox::Folder(inbox) => {
                let root = inbox.join(FOLDER);
                std::fs::create_dir_all(&root).map_err(|error| unusable(&root, error))?;
                let files = LocalFileSystem::new_with_prefix(&root).map_err(|error| failure(&root, error))?;
                Place::Folder { root, files: files.with_fsync(true).with_automatic_cleanup(true) }
            }
            Inbox::Bucket(bucket) => Place::Bucket(Arc::clone(bucket)),
        };
        Ok(Self { place, keep_free })
    }

    /// Makes sure that there is room for more bytes.
    ///
    /// # Errors
    /// [`ShelfError::Full`]. A bucket says so only once it is full.
    pub fn require_room(&self, bytes: u64) -> Result<(), ShelfError> {
        let Place::Folder { root, .. } = &self.place else { return Ok(()) };
        let free = free_space(root).map_err(|error| unusable(root, error))?;
        if free >= self.keep_free.saturating_add(bytes) {
            return Ok(());
        }
        let [free, kept] = [free, self.keep_free].map(|bytes| bytes >> 20);
        let reason = format!("{free} MiB are free, and {kept} MiB are kept free");
        Err(ShelfError::Full { place: root.display().to_string(), reason })
    }

    /// Keeps a chunk, durably, in place of an earlier one of its number.
    pub async fn put(&self, import: Uuid, number: u64, chunk: Bytes) -> Result<(), ShelfError> {
        let put = self.objects().put(&self.key(import, number), chunk.into()).await;
        put.map(drop).map_err(|error| self.failure(error))
    }

    /// The chunks that are here, by number.
    pub async fn chunks(&self, import: Uuid) -> Result<Vec<Chunk>, ShelfError> {
        let listed = self.objects().list(Some(&self.prefix(import))).try_collect::<Vec<ObjectMeta>>().await;
        let found = listed.map_err(|error| self.failure(error))?;
        let chunk =
            |meta: &ObjectMeta| Some(Chunk { number: meta.location.filename()?.parse().ok()?, size: meta.size });
        let mut chunks: Vec<_> = found.iter().filter_map(chunk).collect();
        chunks.sort_unstable();
        Ok(chunks)
    }

    /// Removes the chunks of an import.
    pub async fn remove(&self, import: Uuid) -> Result<(), ShelfError> {
        let prefix = self.prefix(import);
        let found = self.objects().list(Some(&prefix)).map_ok(|meta| meta.location).boxed();
        let removed = self.objects().delete_stream(found).try_for_each(|_| async { Ok(()) }).await;
        match removed {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Sends the bytes of all chunks in their order. It ends early if no one receives them.
    pub async fn send(&self, import: Uuid, to: mpsc::Sender<Bytes>) -> Result<(), ShelfError> {
        for Chunk { number, size } in self.chunks(import).await? {
            let (key, mut at) = (self.key(import, number), 0);
            while at < size {
                let end = size.min(at + READ);
                let read = self.objects().get_range(&key, at..end).await.map_err(|error| self.failure(error))?;
                if to.send(read).await.is_err() {
                    return Ok(());
                }
                at = end;
            }
        }
        Ok(())
    }

    /// Takes in a whole archive from a folder of this machine. The file itself stays.
    pub async fn take(&self, import: Uuid, file: &Path) -> Result<(), ShelfError> {
        match &self.place {
            Place::Folder { root, .. } => {
                let (file, target) = (file.to_owned(), root.join(import.to_string()).join(name(0)));
                let linked = spawn_blocking(move || link(&file, &target)).await;
                linked.map_err(io::Error::other).and_then(|linked| linked).map_err(|error| unusable(root, error))
            }
            Place::Bucket(_) => self.send_file(import, file).await,
        }
    }

    async fn send_file(&self, import: Uuid, path: &Path) -> Result<(), ShelfError> {
        let unreadable = |error| unusable(path, error);
        let (mut file, mut number) = (File::open(path).await.map_err(unreadable)?, 0);
        let there = self.chunks(import).await?;
        loop {
            let mut chunk = Vec::new();
            (&mut file).take(CHUNK).read_to_end(&mut chunk).await.map_err(unreadable)?;
            if chunk.is_empty() {
                return Ok(());
            }
            if !there.contains(&Chunk { number, size: chunk.len() as u64 }) {
                self.put(import, number, chunk.into()).await?;
            }
            number += 1;
        }
    }

    fn objects(&self) -> &dyn ObjectStore {
        match &self.place {
            Place::Folder { files, .. } => files,
            Place::Bucket(bucket) => bucket.objects(),
        }
    }

    fn prefix(&self, import: Uuid) -> Key {
        match &self.place {
            Place::Folder { .. } => Key::from(import.to_string()),
            Place::Bucket(_) => Key::from_iter([INBOX, &import.to_string()]),
        }
    }

    fn key(&self, import: Uuid, number: u64) -> Key {
        self.prefix(import).join(name(number))
    }

    fn failure(&self, error: object_store::Error) -> ShelfError {
        match &self.place {
            Place::Folder { root, .. } => failure(root, error),
            Place::Bucket(bucket) => bucket.failure(error),
        }
    }
}

/// The name of a chunk.
fn name(number: u64) -> String {
    format!("{number:06}")
}

/// Gives a file a second name, durably. On another file system: a copy.
fn link(file: &Path, target: &Path) -> io::Result<()> {
    let folder = target.parent().unwrap_or(target);
    std::fs::create_dir_all(folder)?;
    match std::fs::hard_link(file, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::PermissionDenied) => {
            // The name of unfinished work of the store of files, which it does not list.
            let unfinished = folder.join(format!("{}#1", name(0)));
            std::fs::copy(file, &unfinished)?;
            std::fs::rename(&unfinished, target)?;
        }
        linked => linked?,
    }
    std::fs::File::open(target)?.sync_all()?;
    [folder, folder.parent().unwrap_or(folder)].iter().try_for_each(|path| std::fs::File::open(path)?.sync_all())
}

fn unusable(place: &Path, error: io::Error) -> ShelfError {
    let place = place.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ShelfError::Full { place, reason: error.to_string() }
        }
        _ => ShelfError::Away { place, reason: error.into() },
    }
}

fn failure(place: &Path, error: object_store::Error) -> ShelfError {
    let kind = causes::find::<io::Error>(&error).map(io::Error::kind);
    let place = place.display().to_string();
    match kind {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            ShelfError::Full { place, reason: error.to_string() }
        }
        _ => ShelfError::Away { place, reason: error.into() },
    }
}
