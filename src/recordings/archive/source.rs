//! The bytes of an archive: counted, hashed, and decompressed.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use super::{ArchiveError, Limits};
use crate::signature::hex;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER: usize = 256 << 10;
/// How many times as large as the archive the tar in it may be, once it is larger than [`SMALL`].
const MOST_GROWTH: u64 = 200;
/// A tar of this size may be compressed as well as it is.
const SMALL: u64 = 64 << 20;
/// The headers and paddings of a file, in bytes.
const AROUND_FILE: u64 = 4096;

/// Tells length and digest of the bytes that were read.
#[derive(Clone, Default)]
pub(super) struct Meter(Rc<State>);

#[derive(Default)]
struct State {
    count: Cell<u64>,
    hash: RefCell<Sha256>,
}

impl Meter {
    /// Bytes read so far.
    pub(super) fn count(&self) -> u64 {
        self.0.count.get()
    }

    /// The SHA-256 of the bytes read so far, in hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        hex(&self.0.hash.borrow().clone().finalize())
    }
}

struct Metered<R> {
    source: R,
    meter: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.meter.0.count.set(self.meter.count() + count as u64);
        self.meter.0.hash.borrow_mut().update(&buffer[..count]);
        Ok(count)
    }
}

/// Whether a file is compressed. It is read from its beginning afterwards.
pub(super) fn is_compressed(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(GZIP.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == GZIP)
}

/// The bytes of a tar. More than the limits allow, in contents, headers or behind its end, are an error.
struct Bounded<R> {
    plain: R,
    count: u64,
    limits: Limits,
    meter: Meter,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        self.count = self.count.saturating_add(count as u64);
        let around = self.limits.files.saturating_mul(AROUND_FILE);
        if self.count > self.limits.bytes.saturating_add(around).saturating_add(SMALL) {
            return Err(io::Error::other(self.limits.too_large()));
        }
        if self.count > SMALL && self.count / MOST_GROWTH > self.meter.count() {
            return Err(io::Error::other(ArchiveError::Bomb(MOST_GROWTH)));
        }
        Ok(count)
    }
}

/// The tar in a source within limits, and the meter of the source.
pub(super) fn plain<'s>(source: impl Read + 's, limits: Limits) -> io::Result<(impl Read + 's, Meter)> {
    let meter = Meter::default();
    let mut source = BufReader::with_capacity(BUFFER, Metered { source, meter: meter.clone() });
    let is_compressed = source.fill_buf()?.starts_with(&GZIP);
    let plain: Box<dyn Read> = if is_compressed { Box::new(MultiGzDecoder::new(source)) } else { Box::new(source) };
    Ok((Bounded { plain, count: 0, limits, meter: meter.clone() }, meter))
}
