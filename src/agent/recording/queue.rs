//! The queue of recordings to push: a folder with a file for each format, named `<record id>.<format>`.
//!
//! BBB's scripts put empty files there. After a failure such a file holds when to try again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use b3scale_middleware::cluster::{RecordId, is_format};
use serde::{Deserialize, Serialize};

/// The pause after the first failure. Each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

/// The folder of refused recordings.
const REFUSED: &str = "refused";

/// A queue.
pub(super) struct Queue {
    folder: PathBuf,
    /// Held while this process works on the queue.
    _lock: File,
}

/// A format of a recording that waits.
pub(super) struct Waiting {
    pub(super) record: RecordId,
    pub(super) format: String,
    path: PathBuf,
    /// Tells this file from one that is put there later.
    inode: u64,
    state: State,
}

/// What happened to it.
#[derive(Default, Serialize, Deserialize)]
struct State {
    failures: u32,
    /// In seconds since 1970.
    next: u64,
    reason: String,
}

impl Queue {
    /// Opens a queue. `None`: another process works on it.
    pub(super) fn open(folder: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join(".lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { folder: folder.to_owned(), _lock: lock })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Queues a format, or queues it again from the beginning.
    pub(super) fn add(&self, record: &RecordId, format: &str) -> io::Result<()> {
        write(&self.folder.join(format!("{record}.{format}")), b"")
    }

    /// The formats that wait, the oldest first, and those that wait for a later attempt last.
    pub(super) fn waiting(&self) -> io::Result<Vec<Waiting>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some((record, format)) = name(&path) else { continue };
            let (text, file) = match fs::read_to_string(&path).and_then(|text| Ok((text, fs::metadata(&path)?))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read?,
            };
            let state: State = serde_json::from_str(&text).unwrap_or_default();
            found.push((file.modified()?, Waiting { record, format, path, inode: file.ino(), state }));
        }
        found.sort_by_key(|(modified, waiting)| (waiting.state.next, *modified));
        Ok(found.into_iter().map(|(_, waiting)| waiting).collect())
    }
}

impl Waiting {
    /// Whether its time has come.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        self.state.next <= seconds(now)
    }

    /// It is done, unless it was queued again meanwhile.
    pub(super) fn finish(&self) -> io::Result<()> {
        if self.is_there()? { fs::remove_file(&self.path) } else { Ok(()) }
    }

    /// It failed, and is tried again after a pause, a short one if some of it arrived. Returns the pause.
    pub(super) fn postpone(&self, reason: &str, arrived: bool, now: SystemTime) -> io::Result<Duration> {
        let failures = if arrived { 0 } else { self.state.failures };
        let pause = (PAUSE * 2_u32.saturating_pow(failures.min(16))).min(LONGEST_PAUSE);
        let state = State { failures: failures + 1, next: seconds(now) + pause.as_secs(), reason: reason.to_owned() };
        if self.is_there()? {
            write(&self.path, &serde_json::to_vec(&state)?)?;
        }
        Ok(pause)
    }

    /// It cannot be pushed as it is: it goes aside with the reason.
    pub(super) fn refuse(&self, reason: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path).join(REFUSED);
        fs::create_dir_all(&folder)?;
        write(&folder.join(self.path.file_name().unwrap_or_default()), format!("{reason}\n").as_bytes())?;
        self.finish()
    }

    fn is_there(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(file) => Ok(file.ino() == self.inode),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The recording and the format in the name of a file.
fn name(path: &Path) -> Option<(RecordId, String)> {
    let (record, format) = path.file_name()?.to_str()?.split_once('.')?;
    Some((RecordId::new(record)?, is_format(format).then(|| format.to_owned())?))
}

/// Writes a file at once.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_file_name(format!(".{}", path.file_name().unwrap_or_default().display()));
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn names(queue: &Queue) -> Vec<String> {
        queue.waiting().unwrap().iter().map(|one| format!("{} {}", one.record, one.format)).collect()
    }

    #[test]
    fn formats_wait_until_they_are_done_and_other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path()).unwrap().unwrap();
        assert!(Queue::open(folder.path()).unwrap().is_none(), "one process at a time");
        let record = RecordId::new("a-1").unwrap();
        queue.add(&record, "video").unwrap();
        fs::write(folder.path().join("b-2.notes"), "").unwrap();
        fs::write(folder.path().join(".c-3.notes"), "").unwrap();
        fs::write(folder.path().join("README"), "").unwrap();
        assert_eq!(names(&queue), ["a-1 video", "b-2 notes"]);
        queue.waiting().unwrap()[0].finish().unwrap();
        assert_eq!(names(&queue), ["b-2 notes"]);
    }

    #[test]
    fn pauses_grow_and_a_format_that_is_queued_again_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path()).unwrap().unwrap();
        let record = RecordId::new("a-1").unwrap();
        queue.add(&record, "video").unwrap();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let waiting = queue.waiting().unwrap().remove(0);
            pauses.push(waiting.postpone("the server is away", false, at(1000)).unwrap().as_secs());
        }
        assert_eq!((pauses[0], pauses[1], pauses[11]), (60, 120, 6 * 3600));
        let waiting = queue.waiting().unwrap().remove(0);
        assert!(!waiting.is_due(at(1000)) && waiting.is_due(at(1000 + 6 * 3600)));
        queue.add(&record, "video").unwrap();
        waiting.finish().unwrap();
        assert_eq!(names(&queue), ["a-1 video"], "the later one stays");
        assert!(queue.waiting().unwrap()[0].is_due(at(0)));
    }

    #[test]
    fn a_refused_format_goes_aside_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::open(folder.path()).unwrap().unwrap();
        queue.add(&RecordId::new("a-1").unwrap(), "video").unwrap();
        queue.waiting().unwrap()[0].refuse("it is damaged").unwrap();
        assert_eq!(names(&queue), Vec::<String>::new());
        assert_eq!(fs::read_to_string(folder.path().join("refused/a-1.video")).unwrap(), "it is damaged\n");
    }
}
