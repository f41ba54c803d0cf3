//! A tar of a folder that is made while it is read. The same files give the same bytes, from any place on.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// The mark of the end: two empty blocks.
const END: u64 = 2 * BLOCK;
/// The longest name that a header has room for.
const LONGEST_NAME: usize = 100;

/// The tar of a folder.
#[derive(Debug)]
pub(super) struct Tarball {
    folder: PathBuf,
    prefix: String,
    files: Vec<Entry>,
    length: u64,
}

/// A file of the folder.
#[derive(Debug)]
struct Entry {
    path: String,
    size: u64,
    /// Where its header begins.
    start: u64,
    /// Where its content begins.
    content: u64,
}

impl Tarball {
    /// The tar of all files of a folder, with names below `prefix`.
    pub(super) fn of(folder: &Path, prefix: &str) -> io::Result<Self> {
        let mut files = Vec::new();
        let mut length = 0;
        for (path, size) in listed(folder)? {
            let content = length + header(&format!("{prefix}/{path}"), size)?.len() as u64;
            files.push(Entry { path, size, start: length, content });
            length = content + size.next_multiple_of(BLOCK);
        }
        Ok(Self { folder: folder.to_owned(), prefix: prefix.to_owned(), files, length: length + END })
    }

    /// Its size in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Its bytes from `start` on, at most `most`.
    pub(super) fn read(&self, start: u64, most: u64) -> io::Result<Vec<u8>> {
        let end = self.length.min(start.saturating_add(most));
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?];
        // What no file fills is padding, or the end.
        let first = self.files.partition_point(|file| file.content + file.size <= start);
        for file in self.files[first..].iter().take_while(|file| file.start < end) {
            let header = header(&format!("{}/{}", self.prefix, file.path), file.size)?;
            overlap(&mut bytes, start, file.start, header.len() as u64, |part, from| {
                let from = usize::try_from(from).map_err(io::Error::other)?;
                part.copy_from_slice(&header[from..from + part.len()]);
                Ok(())
            })?;
            overlap(&mut bytes, start, file.content, file.size, |part, from| {
                let mut source = File::open(self.folder.join(&file.path))?;
                source.seek(SeekFrom::Start(from))?;
                source.read_exact(part)
            })?;
        }
        Ok(bytes)
    }
}

/// Fills the part of `bytes`, which begin at `start`, that overlaps with `length` bytes at `place`. `fill` gets the part, and where in
/// them it begins.
fn overlap(
    bytes: &mut [u8],
    start: u64,
    place: u64,
    length: u64,
    fill: impl FnOnce(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let (from, to) = (start.max(place), (start + bytes.len() as u64).min(place + length));
    if from >= to {
        return Ok(());
    }
    let within = |at: u64| usize::try_from(at - start).map_err(io::Error::other);
    fill(&mut bytes[within(from)?..within(to)?], from - place)
}

/// The header of a file, behind an entry with its name if that is long.
fn header(path: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.len() > LONGEST_NAME {
        let mut name = fresh(EntryType::GNULongName, path.len() as u64 + 1);
        name.set_path("././@LongLink")?;
        name.set_cksum();
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    }
    let mut file = fresh(EntryType::Regular, size);
    let name = &mut file.as_old_mut().name;
    let kept = path.len().min(name.len());
    name[..kept].copy_from_slice(&path.as_bytes()[..kept]);
    file.set_cksum();
    bytes.extend_from_slice(file.as_bytes());
    Ok(bytes)
}

/// A header without a name. Owners and times are left out, since they do not matter and would change the digest.
fn fresh(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// The files below a folder with their sizes, by their paths. Links and devices are none.
fn listed(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let name = entry.file_name().into_string();
            let name = name.map_err(|name| io::Error::other(format!("{} is not UTF-8", name.display())))?;
            let path = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push((path, entry.metadata()?.len()));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A folder with files of all kinds of sizes and names.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("presentation").join("d".repeat(90));
        fs::create_dir_all(&deep).unwrap();
        for (path, size) in [("metadata.xml", 100), ("empty", 0), ("block", 512), ("presentation/é.png", 5000)] {
            fs::write(folder.path().join(path), vec![b'x'; size]).unwrap();
        }
        fs::write(deep.join("slide-1.png"), "a slide with a long name").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        folder
    }

    fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap().map(Result::unwrap);
        let read = entries.map(|mut entry| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        read.collect()
    }

    #[test]
    fn another_program_reads_all_files_of_it() {
        let folder = folder();
        let tarball = Tarball::of(folder.path(), "video/a-1").unwrap();
        let tar = tarball.read(0, u64::MAX).unwrap();
        assert_eq!(tar.len() as u64, tarball.length());
        assert!(tar.ends_with(&[0; END as usize]));
        let files = files(&tar);
        assert_eq!(files.len(), 5, "{:?}", files.keys());
        assert_eq!(files["video/a-1/presentation/é.png"], vec![b'x'; 5000]);
        assert_eq!(files["video/a-1/empty"], b"");
        let slide = format!("video/a-1/presentation/{}/slide-1.png", "d".repeat(90));
        assert_eq!(files[&slide], b"a slide with a long name");
    }

    #[test]
    fn any_part_of_it_can_be_read_and_is_always_the_same() {
        let folder = folder();
        let tarball = Tarball::of(folder.path(), "video/a-1").unwrap();
        let whole = tarball.read(0, u64::MAX).unwrap();
        for size in [1, 511, 512, 513, 4096] {
            let again = Tarball::of(folder.path(), "video/a-1").unwrap();
            let parts = (0..again.length().div_ceil(size)).flat_map(|part| again.read(part * size, size).unwrap());
            assert!(parts.eq(whole.iter().copied()), "{size}");
        }
        assert_eq!(tarball.read(tarball.length(), 10).unwrap(), b"");
    }

    #[test]
    fn a_file_that_has_shrunk_since_is_an_error() {
        let folder = folder();
        let tarball = Tarball::of(folder.path(), "video/a-1").unwrap();
        fs::write(folder.path().join("metadata.xml"), "less").unwrap();
        assert_eq!(tarball.read(0, u64::MAX).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
