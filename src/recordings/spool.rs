//! Scalelite's spool: a folder into which nodes put whole archives.
//!
//! An archive that has not changed for some seconds and has its end is claimed by renaming, so that of many servers one gets it. Then
//! it goes to the inbox. A server may be killed at any step: another one continues with a claimed file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use b3scale_middleware::bbb::cut;
use b3scale_middleware::cluster::RecordId;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use uuid::Uuid;

use super::archive;
use super::arrivals::Arrivals;
use crate::store::{IMPORT_JOB, Import, ImportSource, Store};
use crate::work::{Failure, Round, Waker};

/// How long a file has to stay as it is before it is read.
const QUIET: Duration = Duration::from_secs(5);

/// A file without its end is given up when it has not changed for so long.
const STALE: Duration = Duration::from_secs(3600);

/// The folder of claimed files.
const CLAIMED: &str = ".b3scale-claimed";

/// The folder of refused archives.
const FAILED: &str = "failed";

/// How a refused archive is tried again.
pub(super) const SET_ASIDE: &str = "a refused archive lies in `failed` below the spool: move it back to try it again";

/// Takes archives from a spool into the inbox.
pub struct Spool {
    folder: PathBuf,
    store: Store,
    arrivals: Arrivals,
    waker: Waker,
    seen: Arc<Mutex<Seen>>,
}

/// Files of a spool by their names, as they were seen last.
type Seen = HashMap<String, Sight>;

/// A file as it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sight {
    size: u64,
    inode: u64,
    modified: SystemTime,
    since: Instant,
    /// Whether it has its end. `None`: not looked at yet.
    is_whole: Option<bool>,
}

impl Round for Spool {
    const NAME: &'static str = "watch-spool";
    const PAUSE: Duration = Duration::from_secs(2);

    async fn run(&self) {
        let (folder, seen) = (self.folder.clone(), Arc::clone(&self.seen));
        let looked = spawn_blocking(move || look(&folder, &mut seen.lock().unwrap_or_else(PoisonError::into_inner)));
        let claimed = match looked.await.map_err(io::Error::other).and_then(|looked| looked) {
            Ok(claimed) => claimed,
            Err(error) => {
                return tracing::warn!(folder = %self.folder.display(), %error, "Reading the spool failed");
            }
        };
        for Claimed { id, name, path } in claimed {
            // A failure holds up no other archive.
            if let Err(error) = self.deliver(id, &name, &path).await {
                tracing::warn!(archive = &*cut(&name), error, "Taking an archive from the spool failed");
            }
        }
    }
}

impl Spool {
    /// The round over a spool.
    pub fn new(folder: PathBuf, store: Store, arrivals: Arrivals, waker: Waker) -> Self {
        Self { folder, store, arrivals, waker, seen: Arc::default() }
    }

    /// Brings a claimed file into the inbox, and queues its import.
    async fn deliver(&self, id: Uuid, name: &str, path: &Path) -> Result<(), Failure> {
        let file = File::open(path)?;
        if matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            return Ok(());
        }
        if self.store.imports().find(id).await?.is_some() {
            // It was in the inbox when its import was queued, and may have left it since.
            return Ok(fs::remove_file(path)?);
        }
        let length = file.metadata()?.len();
        self.arrivals.require_room(0)?;
        self.arrivals.take(id, path).await?;
        let record = name.strip_suffix(".tar").and_then(RecordId::new);
        let import = Import {
            record_id: record.map(|record| record.to_string()),
            length: Some(length),
            ..Import::new(id, ImportSource::Spool, name)
        };
        self.store.imports().admit(&import).await?;
        fs::remove_file(path)?;
        self.waker.wake(IMPORT_JOB);
        Ok(())
    }
}

/// A file that is ours, until it is in the inbox.
struct Claimed {
    id: Uuid,
    name: String,
    path: PathBuf,
}

/// Claims whole archives. Returns the claimed ones, with the remains of a lost server.
fn look(spool: &Path, seen: &mut Seen) -> io::Result<Vec<Claimed>> {
    let now = Instant::now();
    let mut here = Seen::new();
    for (name, file) in archives(spool)? {
        let path = spool.join(&name);
        let fresh =
            Sight { size: file.len(), inode: file.ino(), modified: file.modified()?, since: now, is_whole: None };
        let mut sight = seen.get(&name).copied().filter(|sight| sight.is_of(&fresh)).unwrap_or(fresh);
        if now.duration_since(sight.since) >= QUIET {
            let is_whole = match sight.is_whole {
                Some(is_whole) => is_whole,
                None => archive::has_end(&path)?,
            };
            sight.is_whole = Some(is_whole);
            if is_whole {
                claim(spool, &name)?;
                continue;
            }
            if SystemTime::now().duration_since(sight.modified).is_ok_and(|age| age > STALE) {
                let reason = "the archive is incomplete, and has not changed for an hour";
                tracing::error!(archive = &*cut(&name), reason, "Refusing a recording");
                set_aside(spool, &name, reason, sight.size, &mut File::open(&path)?)?;
                fs::remove_file(&path)?;
                continue;
            }
        }
        here.insert(name, sight);
    }
    *seen = here;
    claimed(spool)
}

impl Sight {
    fn is_of(&self, other: &Self) -> bool {
        (self.size, self.inode, self.modified) == (other.size, other.inode, other.modified)
    }
}

/// The archives of a spool by their names. Names of unfinished copies begin with a dot, or end in another way.
fn archives(spool: &Path) -> io::Result<Vec<(String, fs::Metadata)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(spool)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !name.ends_with(".tar") {
            continue;
        }
        match entry.metadata() {
            Ok(file) if file.is_file() => found.push((name, file)),
            Ok(_) => {}
            // Another server has claimed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Claims a file, unless another server was faster.
fn claim(spool: &Path, name: &str) -> io::Result<()> {
    let folder = spool.join(CLAIMED);
    fs::create_dir_all(&folder)?;
    match fs::rename(spool.join(name), folder.join(format!("{}~{name}", Uuid::now_v7()))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed,
    }
}

fn claimed(spool: &Path) -> io::Result<Vec<Claimed>> {
    let entries = match fs::read_dir(spool.join(CLAIMED)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let parts = name.to_str().and_then(|name| name.split_once('~'));
        let parts = parts.and_then(|(id, name)| Some((id.parse().ok()?, name.to_owned())));
        found.extend(parts.map(|(id, name)| Claimed { id, name, path: entry.path() }));
    }
    found.sort_by_key(|claimed| claimed.id);
    Ok(found)
}

/// Puts a refused archive into `failed` below the spool, with its reason next to it, in place of an earlier one of its name. An archive
/// without all of its bytes replaces nothing.
pub(super) fn set_aside(
    spool: &Path,
    name: &str,
    reason: &str,
    length: u64,
    archive: &mut impl io::Read,
) -> io::Result<()> {
    let folder = spool.join(FAILED);
    fs::create_dir_all(&folder)?;
    // A cut-off attempt may still be writing its own.
    let unfinished = folder.join(format!(".{name}.{:08x}", fastrand::u32(..)));
    let copied = copy(archive, &unfinished, length).and_then(|()| fs::rename(&unfinished, folder.join(name)));
    copied.inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    let mut why = File::create(folder.join(format!("{name}.reason")))?;
    writeln!(why, "{reason}")?;
    why.sync_all()?;
    File::open(&folder)?.sync_all()
}

/// Copies an archive to a new file, durably.
fn copy(archive: &mut impl io::Read, to: &Path, length: u64) -> io::Result<()> {
    let mut file = File::create(to)?;
    let copied = io::copy(archive, &mut file)?;
    if copied != length {
        let problem = format!("{copied} bytes of {length} came");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks until nothing is too young any more.
    async fn look_twice(spool: &Path) -> Vec<String> {
        let mut seen = Seen::new();
        assert!(look(spool, &mut seen).unwrap().is_empty(), "no file is old enough");
        tokio::time::advance(QUIET).await;
        look(spool, &mut seen).unwrap().into_iter().map(|claimed| claimed.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn whole_archives_are_claimed_and_others_wait() {
        let spool = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &[u8]| fs::write(spool.path().join(name), content).unwrap();
        let whole = tar::Builder::new(Vec::new()).into_inner().unwrap();
        put("b.tar", &whole);
        put("a.tar", &whole);
        put("cut.tar", &whole[..512]);
        put("text.tar", b"no archive");
        put(".a.tar.Xy12", &whole);
        put("a.tar.part", &whole);
        fs::create_dir(spool.path().join("folder.tar")).unwrap();
        assert_eq!(look_twice(spool.path()).await, ["a.tar", "b.tar"]);
        assert!(spool.path().join("cut.tar").exists() && spool.path().join(".a.tar.Xy12").exists());
    }

    #[tokio::test(start_paused = true)]
    async fn an_archive_that_grows_is_not_touched() {
        let spool = tempfile::tempdir().unwrap();
        let (path, mut seen) = (spool.path().join("a.tar"), Seen::new());
        for size in 1..5 {
            fs::write(&path, vec![0; 1024 * size]).unwrap();
            assert!(look(spool.path(), &mut seen).unwrap().is_empty());
            tokio::time::advance(QUIET).await;
        }
        assert_eq!(look(spool.path(), &mut seen).unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_archive_that_stays_incomplete_is_set_aside_with_its_reason() {
        let spool = tempfile::tempdir().unwrap();
        let path = spool.path().join("a.tar");
        fs::write(&path, b"half").unwrap();
        let old = SystemTime::now() - 2 * STALE;
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        assert!(look_twice(spool.path()).await.is_empty());
        assert_eq!(fs::read(spool.path().join("failed/a.tar")).unwrap(), b"half");
        let reason = fs::read_to_string(spool.path().join("failed/a.tar.reason")).unwrap();
        assert!(reason.starts_with("the archive is incomplete"), "{reason}");
        assert!(!path.exists());
    }
}
