//! The hash algorithms of a checksum.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// A hash algorithm. A checksum says by its length which one it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the explanation")]
pub enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    /// Every algorithm, the weakest first.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Every algorithm, the strongest first.
    pub fn strongest_first() -> impl DoubleEndedIterator<Item = Self> {
        Self::ALL.into_iter().rev()
    }

    /// The algorithm with checksums of that many hex digits.
    pub fn of_length(hex_len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.bytes() * 2 == hex_len)
    }

    /// How many hex digits its checksums have.
    pub const fn hex_len(self) -> usize {
        self.bytes() * 2
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// No algorithm has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("none of sha1, sha256, sha384, sha512")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.to_string() == name).ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        })
    }
}

/// The algorithms a frontend may use. By default all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Algorithms(u8);

impl Algorithms {
    /// All four.
    pub const ALL: Self = Self(0b1111);

    /// Whether that algorithm may be used.
    pub fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & bit(algorithm) != 0
    }

    /// The algorithms that are in both sets.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Their names, the weakest first. `None`: all of them, also those that are added later.
    pub fn names(self) -> Option<Vec<String>> {
        (self != Self::ALL).then(|| self.iter().map(|algorithm| algorithm.to_string()).collect())
    }

    /// The algorithms, the weakest first.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        Self(algorithms.into_iter().fold(0, |set, algorithm| set | bit(algorithm)))
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Algorithms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Algorithms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::<Algorithm>::deserialize(deserializer)?;
        if list.is_empty() {
            return Err(serde::de::Error::custom(
                "no checksum algorithm is left; name at least one of sha1, sha256, sha384, sha512",
            ));
        }
        Ok(list.into_iter().collect())
    }
}

const fn bit(algorithm: Algorithm) -> u8 {
    1 << algorithm as u8
}

/// A hash of any of the algorithms.
pub(super) struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 64],
}

impl Digest {
    /// Hashes the pieces as if they were one text.
    pub(super) fn of<const N: usize>(algorithm: Algorithm, pieces: [&str; N]) -> Self {
        let [digest] = Self::of_each(algorithm, pieces, [""]);
        digest
    }

    /// Hashes the pieces once, and gives the hash for each end that the text may have.
    pub(super) fn of_each<const N: usize, const M: usize>(
        algorithm: Algorithm,
        pieces: [&str; N],
        ends: [&str; M],
    ) -> [Self; M] {
        let hashes = match algorithm {
            Algorithm::Sha1 => hash::<Sha1, M>(&pieces, ends),
            Algorithm::Sha256 => hash::<Sha256, M>(&pieces, ends),
            Algorithm::Sha384 => hash::<Sha384, M>(&pieces, ends),
            Algorithm::Sha512 => hash::<Sha512, M>(&pieces, ends),
        };
        hashes.map(|bytes| Self { algorithm, bytes })
    }

    /// Reads hex of either case.
    pub(super) fn parse(hex: &str) -> Option<Self> {
        let algorithm = Algorithm::of_length(hex.len())?;
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
        }
        Some(Self { algorithm, bytes })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash in lower-case hex.
    pub(super) fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |four: u8| char::from(DIGITS[usize::from(four)]);
        let mut hex = String::with_capacity(self.algorithm.bytes() * 2);
        for byte in self.as_ref() {
            hex.push(digit(byte >> 4));
            hex.push(digit(byte & 0xf));
        }
        hex
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.algorithm.bytes()]
    }
}

fn hash<D: sha2::Digest + Clone, const M: usize>(pieces: &[&str], ends: [&str; M]) -> [[u8; 64]; M] {
    let mut hasher = D::new();
    for piece in pieces {
        hasher.update(piece);
        #[cfg(test)]
        tally::add(piece.len());
    }
    ends.map(|end| {
        let mut bytes = [0; 64];
        let whole = hasher.clone().chain_update(end).finalize();
        bytes[..whole.len()].copy_from_slice(&whole);
        #[cfg(test)]
        tally::add(end.len());
        bytes
    })
}

/// The hashes of this thread, for tests of calls that must take equal work.
#[cfg(test)]
pub(super) mod tally {
    use std::cell::Cell;

    thread_local! {
        static HASHED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }

    pub(in super::super) fn add(bytes: usize) {
        HASHED.with(|hashed| hashed.set((hashed.get().0 + 1, hashed.get().1 + bytes)));
    }

    /// How many pieces were hashed since it was last asked, and of how many bytes in all.
    pub(in super::super) fn take() -> (usize, usize) {
        HASHED.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_names_the_algorithm() {
        assert_eq!([40, 64, 96, 128].map(Algorithm::of_length), Algorithm::ALL.map(Some));
        assert_eq!([0, 32, 41].map(Algorithm::of_length), [None; 3]);
    }

    #[test]
    fn a_set_is_a_list_in_settings() {
        let set: Algorithms = serde_json::from_str(r#"["sha512","sha256"]"#).expect("a list");
        assert!(set.contains(Algorithm::Sha256) && !set.contains(Algorithm::Sha1));
        assert_eq!(serde_json::to_string(&set).expect("a list"), r#"["sha256","sha512"]"#);
        assert_eq!(Algorithms::default().iter().count(), 4);
    }

    #[test]
    fn an_empty_list_is_refused() {
        let error = serde_json::from_str::<Algorithms>("[]").expect_err("empty");
        assert!(error.to_string().contains("at least one"), "{error}");
        serde_json::from_str::<Algorithms>(r#"["md5"]"#).expect_err("unknown");
    }

    #[test]
    fn a_digest_is_read_in_either_case() {
        let digest = Digest::of(Algorithm::Sha1, ["ab", "c123"]);
        assert_eq!(digest.hex(), "6367c48dd193d56ea7b0baad25b19455e529f5ee");
        let upper = Digest::parse(&digest.hex().to_uppercase()).expect("hex");
        assert_eq!(upper.as_ref(), digest.as_ref());
        assert!(Digest::parse(&"g".repeat(40)).is_none());
        assert!(Digest::parse(&"ü".repeat(20)).is_none());
    }
}
