//! Folders, laid out as the original has them: `<tree>/<format>/<record id>/…`. A place is the name of a tree.
//!
//! Everything that takes a file's place is written next to it, made durable and renamed. So neither a crash nor a reader ever meets
//! half of it. Names of unfinished work begin with `UNFINISHED`.

mod disk;
pub(super) mod folder;
mod open;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use b3scale_middleware::cluster::RecordId;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Content, FilePath, FormatKey, Opened, Part, Shelf, ShelfError, Shifted, Stored, Tree};
use disk::Disk;

/// The beginning of names of unfinished work. No recording has such an id.
const UNFINISHED: &str = ".b3scale-";

/// The most bytes of a file that are in memory at a time.
pub const CHUNK: usize = 64 << 10;

/// A shelf of folders, which servers may share.
pub struct Local {
    trees: Arc<Trees>,
    disk: Disk,
}

/// The folders of the trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trees {
    /// Of published recordings.
    pub published: PathBuf,
    /// Of the others.
    pub unpublished: PathBuf,
    /// The trash.
    pub deleted: PathBuf,
}

impl Trees {
    const ALL: [Tree; 3] = [Tree::Published, Tree::Unpublished, Tree::Deleted];

    fn folder(&self, tree: Tree) -> &Path {
        match tree {
            Tree::Published => &self.published,
            Tree::Unpublished => &self.unpublished,
            Tree::Deleted => &self.deleted,
        }
    }

    fn of(&self, key: &FormatKey, tree: Tree) -> PathBuf {
        self.folder(tree).join(key.format()).join(key.record().as_str())
    }

    /// The tree with a format's files: the named one, else another one, since they may just have been moved. Files in the
    /// trash are found there alone.
    fn find(&self, key: &FormatKey, place: &str) -> Option<Tree> {
        let named = tree(place)?;
        let others = Self::ALL.into_iter().filter(|other| *other != named && *other != Tree::Deleted);
        std::iter::once(named).chain(others).find(|tree| self.of(key, *tree).is_dir())
    }

    /// Looks into the folder of a format, and into the next one if that folder was moved or replaced meanwhile.
    fn look<T>(&self, key: &FormatKey, place: &str, into: impl Fn(&Path) -> io::Result<T>) -> io::Result<Option<T>> {
        loop {
            let before = self.stamped(key, place)?;
            let found = before.as_ref().map(|(tree, _)| into(&self.of(key, *tree)));
            if self.stamped(key, place)? == before {
                return found.transpose();
            }
        }
    }

    fn stamped(&self, key: &FormatKey, place: &str) -> io::Result<Option<(Tree, String)>> {
        let Some(tree) = self.find(key, place) else { return Ok(None) };
        Ok(folder::stamp(&self.of(key, tree))?.map(|stamp| (tree, stamp)))
    }
}

impl Local {
    /// The shelf in these folders.
    pub fn new(trees: Trees) -> Self {
        Self { trees: Arc::new(trees), disk: Disk::new() }
    }

    fn shown(&self) -> String {
        self.trees.published.display().to_string()
    }

    /// Changes files, in its turn.
    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Trees) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ShelfError> {
        let trees = Arc::clone(&self.trees);
        self.disk.change(move || work(&trees)).await.map_err(|error| failure(&self.shown(), error))
    }

    /// Reads files, as soon as a few others have been read.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Trees) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ShelfError> {
        let trees = Arc::clone(&self.trees);
        self.disk.look(move || work(&trees)).await.map_err(|error| failure(&self.shown(), error))
    }

    /// The recordings in the folder of a format.
    async fn keys(&self, (tree, format): (Tree, OsString)) -> Result<Vec<(FormatKey, String)>, ShelfError> {
        let list = move |trees: &Trees| {
            let records = folder::folders(&trees.folder(tree).join(&format))?;
            let key = |record: &OsString| FormatKey::new(&RecordId::new(record.to_str()?)?, format.to_str()?);
            Ok(records.iter().filter_map(key).map(|key| (key, name(tree).to_owned())).collect())
        };
        self.look(list).await
    }
}

#[async_trait]
impl Shelf for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn put(&self, key: &FormatKey, tree: Tree, folder: &Path) -> Result<String, ShelfError> {
        let (key, folder) = (key.clone(), folder.to_owned());
        let put = move |trees: &Trees| {
            folder::secure(&folder)?;
            folder::take(&folder, &trees.of(&key, tree))
        };
        self.change(put).await.map(|()| name(tree).to_owned())
    }

    async fn add(&self, key: &FormatKey, tree: Tree, folder: &Path) -> Result<Option<String>, ShelfError> {
        let (key, folder) = (key.clone(), folder.to_owned());
        let add = move |trees: &Trees| {
            folder::secure(&folder)?;
            folder::shift(&folder, &trees.of(&key, tree))
        };
        Ok(self.change(add).await?.then(|| name(tree).to_owned()))
    }

    async fn shift(&self, key: &FormatKey, place: &str, tree: Tree) -> Result<Shifted, ShelfError> {
        let (key, named) = (key.clone(), place.to_owned());
        let shift = move |trees: &Trees| {
            let (target, place) = (trees.of(&key, tree), name(tree).to_owned());
            match trees.find(&key, &named) {
                // An earlier attempt may have moved it to the trash.
                None if !target.is_dir() => Ok(Shifted::Missing),
                Some(found) if found != tree && !folder::shift(&trees.of(&key, found), &target)? => {
                    let stamp = folder::stamp(&target)?.unwrap_or_default();
                    Ok(Shifted::Taken(Stored { place, stamp }))
                }
                _ => Ok(Shifted::To(place)),
            }
        };
        self.change(shift).await
    }

    async fn remove(&self, key: &FormatKey, place: &str) -> Result<(), ShelfError> {
        let (key, tree) = (key.clone(), tree(place));
        self.change(move |trees| tree.map_or(Ok(()), |tree| folder::remove(&trees.of(&key, tree)))).await
    }

    async fn remove_content(&self, key: &FormatKey, content: &Stored) -> Result<(), ShelfError> {
        let (key, tree, stamp) = (key.clone(), tree(&content.place), content.stamp.clone());
        let remove =
            move |trees: &Trees| tree.map_or(Ok(()), |tree| folder::remove_stamped(&trees.of(&key, tree), &stamp));
        self.change(remove).await
    }

    async fn open(&self, key: &FormatKey, place: &str, path: &FilePath) -> Result<Option<Opened>, ShelfError> {
        let (key, place, path) = (key.clone(), place.to_owned(), path.clone());
        let find = move |trees: &Trees| trees.look(&key, &place, |folder| open::file(folder, &path));
        let found = self.look(find).await?.flatten();
        Ok(found.map(|found| opened(found, self.disk.clone(), self.shown())))
    }

    async fn write(&self, key: &FormatKey, place: &str, path: &FilePath, content: Bytes) -> Result<(), ShelfError> {
        let (key, place, path) = (key.clone(), place.to_owned(), path.clone());
        let write = move |trees: &Trees| {
            let found = trees.find(&key, &place);
            let tree = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{key} has no files")))?;
            open::write(&trees.of(&key, tree), &path, &content)
        };
        self.change(write).await
    }

    async fn files(&self, key: &FormatKey, place: &str) -> Result<Vec<(String, u64)>, ShelfError> {
        let (key, place) = (key.clone(), place.to_owned());
        let list = move |trees: &Trees| trees.look(&key, &place, folder::files);
        Ok(self.look(list).await?.unwrap_or_default())
    }

    async fn contents(&self, key: &FormatKey) -> Result<Vec<Stored>, ShelfError> {
        let key = key.clone();
        let look = move |trees: &Trees| {
            let mut found = Vec::new();
            for tree in Trees::ALL {
                let stamp = folder::stamp(&trees.of(&key, tree))?;
                found.extend(stamp.map(|stamp| Stored { place: name(tree).to_owned(), stamp }));
            }
            Ok(found)
        };
        self.look(look).await
    }

    fn all(&self) -> BoxStream<'_, Result<(FormatKey, String), ShelfError>> {
        let formats = stream::once(self.look(formats));
        let records = formats.map_ok(|formats| stream::iter(formats).then(|format| self.keys(format))).try_flatten();
        records.map_ok(|keys| stream::iter(keys).map(Ok)).try_flatten().boxed()
    }

    fn is_in(&self, place: &str, tree: Tree) -> bool {
        place == name(tree)
    }

    async fn sweep(&self, before: SystemTime) -> Result<usize, ShelfError> {
        let sweep = move |trees: &Trees| {
            let mut swept = 0;
            for (tree, format, left) in records(trees)? {
                let path = trees.folder(tree).join(&format).join(&left);
                let is_unfinished = left.to_str().is_some_and(|name| name.starts_with(UNFINISHED));
                if is_unfinished && folder::changed(&path)? < before {
                    std::fs::remove_dir_all(&path)?;
                    swept += 1;
                }
            }
            Ok(swept)
        };
        self.change(sweep).await
    }

    async fn link(&self, _: &FormatKey, _: &str, _: &FilePath, _: Duration) -> Result<Option<String>, ShelfError> {
        Ok(None)
    }
}

/// A folder of files that are no recordings.
pub struct Folder {
    path: PathBuf,
    disk: Disk,
}

impl Folder {
    /// The folder at a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path, disk: Disk::new() }
    }

    /// Opens a file of it. `None`: there is no such file.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub async fn open(&self, path: &FilePath) -> Result<Option<Opened>, ShelfError> {
        let (folder, path, shown) = (self.path.clone(), path.clone(), self.path.display().to_string());
        let found = self.disk.look(move || open::file(&folder, &path)).await.map_err(|error| failure(&shown, error))?;
        Ok(found.map(|found| opened(found, self.disk.clone(), shown)))
    }
}

/// A file that was found.
fn opened(found: open::Found, disk: Disk, place: String) -> Opened {
    let open::Found { file, size, modified, tag } = found;
    let read = move |part| ready(Ok(content(disk, place, Arc::new(file), part))).boxed();
    Opened { size, modified, tag, read: Box::new(read) }
}

/// The name of a tree, which is a place.
const fn name(tree: Tree) -> &'static str {
    match tree {
        Tree::Published => "published",
        Tree::Unpublished => "unpublished",
        Tree::Deleted => "deleted",
    }
}

fn tree(place: &str) -> Option<Tree> {
    Trees::ALL.into_iter().find(|tree| name(*tree) == place)
}

/// The folders of formats.
fn formats(trees: &Trees) -> io::Result<Vec<(Tree, OsString)>> {
    let mut found = Vec::new();
    for tree in Trees::ALL {
        found.extend(folder::folders(trees.folder(tree))?.into_iter().map(|format| (tree, format)));
    }
    Ok(found)
}

/// The folders in the folders of formats, with those of unfinished work.
fn records(trees: &Trees) -> io::Result<Vec<(Tree, OsString, OsString)>> {
    let mut found = Vec::new();
    for (tree, format) in formats(trees)? {
        let records = folder::folders(&trees.folder(tree).join(&format))?;
        found.extend(records.into_iter().map(|record| (tree, format.clone(), record)));
    }
    Ok(found)
}

/// A path next to another one, for unfinished work.
fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    path.with_file_name(format!("{UNFINISHED}{:016x}-{name}", fastrand::u64(..)))
}

/// The bytes of a part of a file, a chunk at a time.
fn content(disk: Disk, place: String, file: Arc<std::fs::File>, part: Part) -> Content {
    let chunks = stream::try_unfold(part, move |part| {
        let (disk, place, file) = (disk.clone(), place.clone(), Arc::clone(&file));
        async move {
            if part.is_empty() {
                return Ok(None);
            }
            let length = (part.end - part.start).min(CHUNK as u64);
            // Made here and not on the thread that reads: the allocator keeps memory for each thread that takes some.
            let mut chunk = vec![0; usize::try_from(length).unwrap_or(CHUNK)];
            let read = disk.look(move || file.read_exact_at(&mut chunk, part.start).map(|()| chunk));
            let chunk = read.await.map_err(|error| failure(&place, error))?;
            Ok(Some((Bytes::from(chunk), part.start + length..part.end)))
        }
    });
    chunks.boxed()
}

fn failure(place: &str, error: io::Error) -> ShelfError {
    let place = place.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ShelfError::Full { place, reason: error.to_string() }
        }
        _ => ShelfError::Away { place, reason: error.into() },
    }
}
