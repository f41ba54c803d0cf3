//! Whole folders: made durable, moved in place of others, copied, listed, removed.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::unfinished;

/// The least permissions of files and folders: a web server reads them, too.
const FILE_MODE: u32 = 0o444;
const FOLDER_MODE: u32 = 0o555;

/// Makes a folder durable and readable, and drops its links and devices.
pub(super) fn secure(folder: &Path) -> io::Result<()> {
    for entry in entries(folder)? {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            secure(&entry.path())?;
        } else if kind.is_file() {
            secure_file(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    permit(folder, FOLDER_MODE)?;
    sync(folder)
}

fn secure_file(path: &Path) -> io::Result<()> {
    permit(path, FILE_MODE)?;
    sync(path)
}

fn permit(path: &Path, least: u32) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & least == least { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(mode | least)) }
}

/// Makes a file, or the names in a folder, durable.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Moves a durable folder to a target. An earlier folder there is replaced at once and then removed.
pub(super) fn take(folder: &Path, target: &Path) -> io::Result<()> {
    let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(parent)?;
    match replace(folder, target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            replace(&copied(folder, target)?, target)?;
            sync(parent)?;
            remove(folder)
        }
        replaced => {
            replaced?;
            sync(parent)?;
            folder.parent().map_or(Ok(()), sync)
        }
    }
}

/// Moves a durable folder to a target, unless there is one. `false`: there is one. At any time the whole folder is at one of the two
/// paths.
pub(super) fn shift(folder: &Path, target: &Path) -> io::Result<bool> {
    let parent = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(parent)?;
    match rename(folder, target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            if target.exists() {
                return Ok(false);
            }
            let staged = copied(folder, target)?;
            if !rename(&staged, target)? {
                return fs::remove_dir_all(staged).map(|()| false);
            }
            sync(parent)?;
            remove(folder).map(|()| true)
        }
        Ok(true) => {
            sync(parent)?;
            folder.parent().map_or(Ok(()), sync).map(|()| true)
        }
        renamed => renamed,
    }
}

/// Renames a folder. `false`: there is one of that name. A folder with files is never replaced by a rename.
fn rename(folder: &Path, target: &Path) -> io::Result<bool> {
    match fs::rename(folder, target) {
        Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
            Ok(false)
        }
        renamed => renamed.map(|()| true),
    }
}

/// A copy of a folder next to a target, on its file system.
fn copied(folder: &Path, target: &Path) -> io::Result<PathBuf> {
    let staged = unfinished(target);
    copy(folder, &staged).inspect_err(|_| drop(fs::remove_dir_all(&staged)))?;
    Ok(staged)
}

/// Puts a folder in place of another one, if there is one. That one is removed.
fn replace(folder: &Path, target: &Path) -> io::Result<()> {
    match renameat_with(CWD, folder, CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => fs::remove_dir_all(folder),
        Err(Errno::NOENT) => fs::rename(folder, target),
        // File systems of other machines cannot exchange: for a moment there is none.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            let old = unfinished(target);
            match fs::rename(target, &old) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(folder, target),
                renamed => {
                    renamed?;
                    fs::rename(folder, target).inspect_err(|_| drop(fs::rename(&old, target)))?;
                    fs::remove_dir_all(old)
                }
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes a folder, which is gone for readers at once. No folder is no error.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let old = unfinished(folder);
    match fs::rename(folder, &old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => {
            renamed?;
            folder.parent().map_or(Ok(()), sync)?;
            fs::remove_dir_all(old)
        }
    }
}

/// Removes a folder, if it is the one with that stamp.
pub(super) fn remove_stamped(folder: &Path, wanted: &str) -> io::Result<()> {
    let is_wanted = |folder: &Path| Ok::<_, io::Error>(stamp(folder)?.is_some_and(|found| found == wanted));
    if !is_wanted(folder)? {
        return Ok(());
    }
    let old = unfinished(folder);
    fs::rename(folder, &old)?;
    // Another one may have come in between. A still later one has its place rightly.
    if is_wanted(&old)? || fs::rename(&old, folder).is_err() {
        folder.parent().map_or(Ok(()), sync)?;
        return fs::remove_dir_all(old);
    }
    Ok(())
}

/// Tells a folder from a later one of its name. `None`: there is no folder.
pub(super) fn stamp(folder: &Path) -> io::Result<Option<String>> {
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {
            let made = found.created().ok().and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
            let made = made.map(|made| made.as_nanos()).unwrap_or_default();
            Ok(Some(format!("{:x}-{:x}-{made:x}", found.dev(), found.ino())))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(None),
    }
}

/// When a folder came to its path, or changed there. Its files may be far older.
pub(super) fn changed(folder: &Path) -> io::Result<SystemTime> {
    let found = fs::symlink_metadata(folder)?;
    let since = Duration::new(found.ctime().unsigned_abs(), u32::try_from(found.ctime_nsec()).unwrap_or_default());
    Ok(SystemTime::UNIX_EPOCH + since)
}

/// Copies a folder to another file system, durably, and reads each copy back.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in entries(from)? {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_file() {
            copy_file(&source, &target)?;
        }
    }
    permit(to, FOLDER_MODE)?;
    sync(to)
}

fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    fs::copy(source, target)?;
    let file = File::open(target)?;
    file.set_modified(fs::metadata(source)?.modified()?)?;
    file.sync_all()?;
    if digest(&mut File::open(source)?)? == digest(&mut File::open(target)?)? {
        return permit(target, FILE_MODE);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} differs from its source", target.display())))
}

fn digest(file: &mut File) -> io::Result<[u8; 32]> {
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(digest.finalize().into()),
            read => digest.update(&chunk[..read]),
        }
    }
}

/// The files below a folder with their sizes, by their paths. Links, and unfinished files, are none.
pub(in super::super) fn files(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in entries(&folder.join(&inner))? {
            let (path, kind) = (inner.join(entry.file_name()), entry.file_type()?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && !is_unfinished(&entry.file_name()) {
                found.push((path.to_string_lossy().into_owned(), entry.metadata()?.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_unfinished(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(super::UNFINISHED))
}

/// The names of the folders in a folder, links to folders too. No folder has none.
pub(super) fn folders(folder: &Path) -> io::Result<Vec<OsString>> {
    let found = match entries(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        found => found?,
    };
    Ok(found.iter().filter(|entry| entry.path().is_dir()).map(fs::DirEntry::file_name).collect())
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    fs::read_dir(folder)?.collect()
}
