//! The algorithm of a node's checksums, as far as it was found out.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bbb::Algorithm;

/// The algorithm that a node has accepted last. By default none is known.
#[derive(Debug, Default)]
pub struct Signing(Mutex<Option<Algorithm>>);

impl Signing {
    /// The algorithm that the node has accepted last.
    pub fn known(&self) -> Option<Algorithm> {
        *self.found()
    }

    /// The node has accepted a checksum of that algorithm.
    pub fn learn(&self, algorithm: Algorithm) {
        *self.found() = Some(algorithm);
    }

    /// The node has another secret now, so nothing it said before counts.
    pub fn forget(&self) {
        *self.found() = None;
    }

    /// Every algorithm in the order in which a node is tried: the one it has accepted last, then the others, the strongest first.
    pub fn tries(&self) -> impl Iterator<Item = Algorithm> + use<> {
        let known = self.known();
        let others = Algorithm::strongest_first().filter(move |other| Some(*other) != known);
        known.into_iter().chain(others)
    }

    fn found(&self) -> MutexGuard<'_, Option<Algorithm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(signing: &Signing) -> Vec<Algorithm> {
        signing.tries().collect()
    }

    #[test]
    fn the_strongest_is_tried_first_until_another_is_known() {
        use Algorithm::{Sha1, Sha256, Sha384, Sha512};
        let signing = Signing::default();
        assert_eq!(tries(&signing), [Sha512, Sha384, Sha256, Sha1]);
        signing.learn(Sha256);
        assert_eq!(tries(&signing), [Sha256, Sha512, Sha384, Sha1]);
        signing.forget();
        assert_eq!(tries(&signing), [Sha512, Sha384, Sha256, Sha1]);
    }
}
