//! Unpacking an archive into a folder, durably.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{statvfs, syncfs};
use sha2::{Digest as _, Sha256};

use super::content::{Content, Sum};
use super::path::{Place, place};
use super::source::{is_compressed, plain};
use super::tar::{Entry, Kind, Tar};
use super::{ArchiveError, FormatKey, Limits};

/// The most bytes of all paths, which are kept in memory.
const MOST_PATHS: usize = 32 << 20;
/// The space on the disk is looked at again after so many bytes.
const SPACE_EVERY: u64 = 256 << 20;
/// The size of the mark of the end.
const END: u64 = 1024;
const BUFFER: usize = 256 << 10;

/// An archive whose files lie in a folder.
#[derive(Debug)]
pub struct Unpacked {
    /// Its formats by their keys.
    pub formats: Vec<UnpackedFormat>,
    /// The size of the archive in bytes.
    pub length: u64,
    /// The SHA-256 of the archive, in hexadecimal digits.
    pub sha256: String,
}

/// A format of a recording in an archive.
#[derive(Debug)]
pub struct UnpackedFormat {
    /// Its recording and its name.
    pub key: FormatKey,
    /// The folder with its files.
    pub folder: PathBuf,
    /// Whether the archive has it among unpublished recordings, whatever its `metadata.xml` says.
    pub is_unpublished: bool,
    /// Its files, or why it is refused.
    pub content: Result<Content, String>,
}

/// Unpacks an archive into an empty folder: the files of a format lie at `<record id>/<format>`.
///
/// # Errors
/// The archive is refused or cannot be read now, or there is no room for its files.
pub fn unpack(source: impl Read, into: &Path, limits: Limits) -> Result<Unpacked, ArchiveError> {
    let (plain, meter) = plain(source, limits).map_err(ArchiveError::of_source)?;
    let mut work = Unpacking::new(into, limits);
    work.require_space()?;
    let mut tar = Tar::new(plain);
    while let Some(entry) = tar.next()? {
        work.take(&entry, &mut tar)?;
    }
    let formats = work.finish()?;
    Ok(Unpacked { formats, length: meter.count(), sha256: meter.sha256() })
}

/// Whether a file has the end of an archive. Of a compressed one all is read, of a plain one the last bytes alone.
///
/// # Errors
/// The file cannot be read.
pub fn has_end(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if !is_compressed(&mut file)? {
        let length = file.seek(SeekFrom::End(0))?;
        if length < END {
            return Ok(false);
        }
        let mut end = [0; END as usize];
        file.seek(SeekFrom::Start(length - END))?;
        file.read_exact(&mut end)?;
        return Ok(end.iter().all(|byte| *byte == 0));
    }
    // Its import looks at the other limits.
    let (plain, _) = plain(file, Limits { bytes: u64::MAX, files: u64::MAX, keep_free: 0 })?;
    let mut tar = Tar::new(plain);
    loop {
        match tar.next() {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(ArchiveError::Incomplete) => return Ok(false),
            Err(ArchiveError::Source(error)) => return Err(error),
            // A damaged archive is whole: nothing more will come.
            Err(_) => return Ok(true),
        }
    }
}

struct Unpacking<'u> {
    into: &'u Path,
    limits: Limits,
    formats: BTreeMap<FormatKey, Result<Sum, String>>,
    /// Formats from among unpublished recordings.
    unpublished: BTreeSet<FormatKey>,
    paths: Paths,
    entries: u64,
    bytes: u64,
    /// Bytes at which the space is looked at again.
    check_at: u64,
    buffer: Vec<u8>,
}

impl<'u> Unpacking<'u> {
    fn new(into: &'u Path, limits: Limits) -> Self {
        let (formats, unpublished, paths) = (BTreeMap::new(), BTreeSet::new(), Paths::default());
        let buffer = vec![0; BUFFER];
        Self { into, limits, formats, unpublished, paths, entries: 0, bytes: 0, check_at: SPACE_EVERY, buffer }
    }

    fn take(&mut self, entry: &Entry, tar: &mut Tar<impl Read>) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.files {
            return Err(ArchiveError::TooLarge(format!("{} files", self.limits.files)));
        }
        if entry.size > self.limits.bytes {
            return Err(self.limits.too_large());
        }
        let (key, path) = match (place(&entry.path)?, entry.kind) {
            (Place::Above, Kind::Folder) => return Ok(()),
            (Place::In { key, path, is_unpublished }, _) => {
                if is_unpublished {
                    self.unpublished.insert(key.clone());
                }
                (key, path)
            }
            _ => return Err(ArchiveError::unsafe_path(&entry.path, "lies outside of all recordings")),
        };
        let problem = match (path, entry.kind) {
            (None, Kind::Folder) => return self.enter(key),
            (None, _) => "is no folder",
            (Some(_), Kind::Other(problem)) => problem,
            (Some(path), kind) => match self.paths.enter(&key, &path, kind)? {
                Some(problem) => problem,
                None if kind == Kind::Folder => return self.folder(&key, &path),
                None => return self.file(key, &path, tar),
            },
        };
        // Its other formats are not to blame.
        let refusal = format!("`{}` {problem}", b3scale_middleware::bbb::cut(&entry.path));
        let refuse = |content: &mut Result<Sum, String>| {
            if content.is_ok() {
                *content = Err(refusal.clone());
            }
        };
        self.formats.entry(key).and_modify(refuse).or_insert_with(|| Err(refusal.clone()));
        Ok(())
    }

    fn enter(&mut self, key: FormatKey) -> Result<(), ArchiveError> {
        fs::create_dir_all(self.home(&key)).map_err(ArchiveError::of_disk)?;
        self.formats.entry(key).or_insert_with(|| Ok(Sum::default()));
        Ok(())
    }

    fn folder(&self, key: &FormatKey, path: &str) -> Result<(), ArchiveError> {
        fs::create_dir_all(self.home(key).join(path)).map_err(ArchiveError::of_disk)
    }

    fn file(&mut self, key: FormatKey, path: &str, tar: &mut Tar<impl Read>) -> Result<(), ArchiveError> {
        if matches!(self.formats.get(&key), Some(Err(_))) {
            return Ok(());
        }
        let target = self.home(&key).join(path);
        let parent = target.parent().unwrap_or(&target);
        fs::create_dir_all(parent).map_err(ArchiveError::of_disk)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&target);
        let (size, hash) = self.write(&mut file.map_err(ArchiveError::of_disk)?, tar)?;
        if let Ok(sum) = self.formats.entry(key).or_insert_with(|| Ok(Sum::default())) {
            sum.add(path, size, hash);
        }
        Ok(())
    }

    fn write(&mut self, file: &mut File, tar: &mut Tar<impl Read>) -> Result<(u64, Sha256), ArchiveError> {
        let (mut size, mut hash) = (0, Sha256::new());
        loop {
            let count = tar.read(&mut self.buffer)?;
            if count == 0 {
                return Ok((size, hash));
            }
            size += count as u64;
            self.count(count as u64)?;
            hash.update(&self.buffer[..count]);
            file.write_all(&self.buffer[..count]).map_err(ArchiveError::of_disk)?;
        }
    }

    /// Counts bytes of files.
    fn count(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.bytes += bytes;
        if self.bytes > self.limits.bytes {
            return Err(self.limits.too_large());
        }
        if self.bytes >= self.check_at {
            self.check_at += SPACE_EVERY;
            self.require_space()?;
        }
        Ok(())
    }

    fn require_space(&self) -> Result<(), ArchiveError> {
        let free = free_space(self.into).map_err(ArchiveError::of_disk)?;
        if free >= self.limits.keep_free {
            return Ok(());
        }
        let [free, kept] = [free, self.limits.keep_free].map(|bytes| bytes >> 20);
        Err(ArchiveError::Full(format!("{} has {free} MiB free, and {kept} MiB are kept free", self.into.display())))
    }

    fn home(&self, key: &FormatKey) -> PathBuf {
        self.into.join(key.record().as_str()).join(key.format())
    }

    fn finish(mut self) -> Result<Vec<UnpackedFormat>, ArchiveError> {
        if self.formats.is_empty() {
            return Err(ArchiveError::Empty);
        }
        // One call for all files is much faster than one for each.
        let folder = File::open(self.into).map_err(ArchiveError::of_disk)?;
        syncfs(&folder).map_err(|error| ArchiveError::of_disk(error.into()))?;
        let formats = std::mem::take(&mut self.formats).into_iter();
        Ok(formats
            .map(|(key, sum)| UnpackedFormat {
                folder: self.home(&key),
                is_unpublished: self.unpublished.contains(&key),
                key,
                content: sum.map(Sum::finish),
            })
            .collect())
    }
}

/// The bytes that this program may still write at that place.
pub(crate) fn free_space(folder: &Path) -> io::Result<u64> {
    let space = statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// The paths so far, in lower case, with their spelling. On some shelves names differ by more than their case.
#[derive(Default)]
struct Paths {
    seen: HashMap<String, (Box<str>, Kind)>,
    size: usize,
}

impl Paths {
    /// Enters a path and the folders above it. Returns the problem if it cannot stand next to an earlier one.
    fn enter(&mut self, key: &FormatKey, path: &str, kind: Kind) -> Result<Option<&'static str>, ArchiveError> {
        let home = key.to_string();
        let folders = path.match_indices('/').map(|(end, _)| (&path[..end], Kind::Folder));
        for (path, kind) in folders.chain([(path, kind)]) {
            let name = format!("{home}/{}", path.to_lowercase());
            match self.seen.get(&name) {
                None => {
                    self.size += name.len() + path.len();
                    if self.size > MOST_PATHS {
                        return Err(ArchiveError::TooLarge(format!("{} MiB of names", MOST_PATHS >> 20)));
                    }
                    self.seen.insert(name, (path.into(), kind));
                }
                Some((spelling, _)) if **spelling != *path => {
                    return Ok(Some("differs from another path in case alone"));
                }
                Some((_, Kind::Folder)) if kind == Kind::Folder => {}
                Some(_) => return Ok(Some("comes twice")),
            }
        }
        Ok(None)
    }
}
