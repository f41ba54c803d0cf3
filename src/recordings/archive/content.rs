//! The digest of a folder of files: the same for the same names and contents.

use sha2::{Digest as _, Sha256};

use crate::signature::hex;

/// The files of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many there are.
    pub files: i64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The digest of their names and contents, in hexadecimal digits.
    pub digest: String,
}

/// Adds up the files of a format.
#[derive(Default)]
pub(super) struct Sum {
    files: Vec<(Box<str>, [u8; 32])>,
    bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, path: &str, size: u64, hash: Sha256) {
        self.files.push((path.into(), hash.finalize().into()));
        self.bytes += size;
    }

    pub(super) fn finish(mut self) -> Content {
        self.files.sort_unstable();
        let mut hash = Sha256::new();
        for (path, content) in &self.files {
            hash.update((path.len() as u64).to_be_bytes());
            hash.update(path.as_bytes());
            hash.update(content);
        }
        let files = i64::try_from(self.files.len()).unwrap_or(i64::MAX);
        Content { files, bytes: self.bytes, digest: hex(&hash.finalize()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(files: &[(&str, &str)]) -> Content {
        let mut sum = Sum::default();
        for (path, content) in files {
            sum.add(path, content.len() as u64, Sha256::new_with_prefix(content));
        }
        sum.finish()
    }

    #[test]
    fn the_digest_is_of_names_and_contents_in_any_order() {
        let one = sum(&[("a", "1"), ("b", "22")]);
        assert_eq!((one.files, one.bytes, one.digest.len()), (2, 3, 64));
        assert_eq!(sum(&[("b", "22"), ("a", "1")]), one);
        for other in [&[("a", "1"), ("b", "23")][..], &[("a", "1"), ("c", "22")], &[("a", "1")], &[("ab", "122")]] {
            assert_ne!(sum(other).digest, one.digest);
        }
    }
}
