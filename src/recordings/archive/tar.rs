//! The entries of a tar, read one after another in bounded memory.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use super::ArchiveError;

const BLOCK: u64 = 512;
/// The most bytes of a name in an entry of its own.
const LONGEST_NAME: u64 = 4096;
/// The most bytes of a record of extensions.
const LONGEST_EXTENSION: u64 = 64 << 10;
const HARD_LINK: &str = "is a hard link";
/// Where a header keeps its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A tar, from its beginning.
pub(super) struct Tar<R> {
    source: R,
    /// Bytes of the entry's content that have not been read.
    left: u64,
    /// Bytes between the content and the next header.
    padding: u64,
}

/// An entry. Its content is read from the tar before the next entry.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Bytes of its content.
    pub(super) size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    /// An entry that no recording has, in words.
    Other(&'static str),
}

/// Names and sizes that stand before their entry.
#[derive(Default)]
struct Ahead {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, left: 0, padding: 0 }
    }

    /// The next entry. `None`: the mark of the end was read, and nothing follows it.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut ahead = Ahead::default();
        loop {
            self.skip()?;
            let block = self.block()?;
            if is_empty(&block) {
                self.end()?;
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            if !has_its_checksum(header) {
                return Err(ArchiveError::broken("a header has a wrong checksum"));
            }
            let size = header.entry_size().map_err(|_| ArchiveError::broken("a header has no readable size"))?;
            match header.entry_type() {
                EntryType::GNULongName => ahead.path = Some(self.text(size, LONGEST_NAME)?),
                EntryType::GNULongLink => drop(self.text(size, LONGEST_NAME)?),
                EntryType::XHeader => ahead.read(&self.text(size, LONGEST_EXTENSION)?)?,
                EntryType::XGlobalHeader => drop(self.text(size, LONGEST_EXTENSION)?),
                kind => return self.entry(header, kind, ahead, size).map(Some),
            }
        }
    }

    /// Reads on in the content of the entry. 0: it is complete.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.source.read(&mut buffer[..most]).map_err(ArchiveError::of_source)?;
        if count == 0 {
            return Err(ArchiveError::Incomplete);
        }
        self.left -= count as u64;
        Ok(count)
    }

    fn entry(&mut self, header: &Header, kind: EntryType, ahead: Ahead, size: u64) -> Result<Entry, ArchiveError> {
        let path = ahead.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = String::from_utf8(path)
            .map_err(|error| ArchiveError::unsafe_path(&String::from_utf8_lossy(error.as_bytes()), "is not UTF-8"))?;
        let kind = match kind {
            // Old archives mark a folder by a slash alone.
            EntryType::Regular if path.ends_with('/') => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Folder,
            // What follows its header is not counted in its size.
            EntryType::GNUSparse => return Err(ArchiveError::unsafe_path(&path, "is a sparse file")),
            EntryType::Link => Kind::Other(HARD_LINK),
            EntryType::Symlink => Kind::Other("is a symbolic link"),
            EntryType::Char | EntryType::Block => Kind::Other("is a device"),
            EntryType::Fifo => Kind::Other("is a named pipe"),
            _ => Kind::Other("is no file and no folder"),
        };
        // A hard link states the size of its target and has no content.
        let size = if kind == Kind::Other(HARD_LINK) { 0 } else { ahead.size.unwrap_or(size) };
        self.expect(size);
        Ok(Entry { path, kind, size })
    }

    /// Announces content of that size.
    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK;
    }

    /// Reads a whole content that is small.
    fn text(&mut self, size: u64, most: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > most {
            return Err(ArchiveError::broken("a name or an extension is too long"));
        }
        self.expect(size);
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        let mut filled = 0;
        while filled < text.len() {
            filled += self.read(&mut text[filled..])?;
        }
        // The names of GNU end in a zero.
        text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
        Ok(text)
    }

    /// Goes to the next header.
    fn skip(&mut self) -> Result<(), ArchiveError> {
        let rest = std::mem::take(&mut self.left).saturating_add(std::mem::take(&mut self.padding));
        let skipped = io::copy(&mut (&mut self.source).take(rest), &mut io::sink()).map_err(ArchiveError::of_source)?;
        if skipped == rest { Ok(()) } else { Err(ArchiveError::Incomplete) }
    }

    fn block(&mut self) -> Result<[u8; BLOCK as usize], ArchiveError> {
        let mut block = [0; BLOCK as usize];
        self.source.read_exact(&mut block).map_err(ArchiveError::of_source)?;
        Ok(block)
    }

    /// Reads the second half of the mark of the end, and the padding behind it.
    fn end(&mut self) -> Result<(), ArchiveError> {
        if !is_empty(&self.block()?) {
            return Err(ArchiveError::broken("an empty block stands between entries"));
        }
        let mut buffer = [0; 8 * BLOCK as usize];
        loop {
            match self.source.read(&mut buffer).map_err(ArchiveError::of_source)? {
                0 => return Ok(()),
                count if is_empty(&buffer[..count]) => {}
                _ => return Err(ArchiveError::broken("there is data behind its end")),
            }
        }
    }
}

impl Ahead {
    /// Reads a record of extensions.
    fn read(&mut self, record: &[u8]) -> Result<(), ArchiveError> {
        let unreadable = || ArchiveError::broken("a record of extensions cannot be read");
        for extension in PaxExtensions::new(record) {
            let extension = extension.map_err(|_| unreadable())?;
            match extension.key_bytes() {
                b"path" => self.path = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let size = extension.value().ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(unreadable)?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(ArchiveError::broken("it has a sparse file")),
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_empty(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Whether the sum of all bytes, with spaces in place of the sum itself, is as the header says.
fn has_its_checksum(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let sum = bytes.iter().enumerate().map(|(place, byte)| if CHECKSUM.contains(&place) { b' ' } else { *byte });
    header.cksum().is_ok_and(|stated| stated == sum.map(u32::from).sum::<u32>())
}
