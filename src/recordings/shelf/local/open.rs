//! Single files inside a format. No link is followed there, so a path leads nowhere else.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, renameat};
use rustix::io::Errno;

use super::super::FilePath;
use super::UNFINISHED;

/// A file, as it was found.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    pub(super) tag: String,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// A pipe would be waited for, without its flag.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a file of a folder. `None`: it is not there, or no file.
pub(super) fn file(folder: &Path, path: &FilePath) -> io::Result<Option<Found>> {
    let opened = parent(folder, path, false).and_then(|parent| openat(parent, path.name(), FILE, Mode::empty()));
    let file = match opened {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(None);
    }
    let (size, modified) = (found.size(), found.modified()?);
    let tag = format!("{:x}-{:x}-{:x}-{size:x}", found.ino(), found.mtime(), found.mtime_nsec());
    Ok(Some(Found { file, size, modified, tag }))
}

/// Writes a file of a folder, durably, in place of an earlier one.
pub(super) fn write(folder: &Path, path: &FilePath, content: &[u8]) -> io::Result<()> {
    let parent = parent(folder, path, true)?;
    let staged = format!("{UNFINISHED}{:016x}", fastrand::u64(..));
    let mut file = File::from(openat(&parent, &staged, NEW, Mode::from_raw_mode(0o644))?);
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| Ok(renameat(&parent, &staged, &parent, path.name())?));
    if renamed.is_err() {
        let _ = rustix::fs::unlinkat(&parent, &staged, rustix::fs::AtFlags::empty());
    }
    renamed.and_then(|()| File::from(parent).sync_all())
}

/// The folder of a file, entered step by step. Missing ones are made if wanted.
fn parent(folder: &Path, path: &FilePath, is_made: bool) -> Result<OwnedFd, Errno> {
    let mut parent = openat(CWD, folder, FOLDER, Mode::empty())?;
    let inner = path.segments().count() - 1;
    for segment in path.segments().take(inner) {
        if is_made {
            match mkdirat(&parent, segment, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        parent = openat(&parent, segment, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(parent)
}
