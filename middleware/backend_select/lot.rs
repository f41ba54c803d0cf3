//! Choosing among candidates.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cluster::{Backend, Reservation};
use crate::facts::Candidates;

/// Draws the least loaded candidate, and among equals by lot.
#[derive(Default)]
pub(super) struct Lot {
    /// Held from the choice to the reservation, so that no two calls see the same load.
    rng: Mutex<fastrand::Rng>,
}

impl Lot {
    /// The least loaded candidate, and a place on it that is held until the claim itself counts.
    pub(super) fn draw(&self, candidates: &Candidates) -> Option<(Arc<Backend>, Reservation)> {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let least = candidates.backends().iter().map(|backend| backend.load()).min_by(f64::total_cmp)?;
        let equals = || candidates.backends().iter().filter(|backend| backend.load() <= least);
        let drawn = rng.usize(..equals().count().max(1));
        let chosen = equals().nth(drawn)?;
        Some((Arc::clone(chosen), chosen.vitals.reserve()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::memory::Memory;

    fn candidates(cluster: &Memory) -> Candidates {
        Candidates::among(["n1", "n2"].map(|name| cluster.backend_named(name)))
    }

    fn two() -> Memory {
        Memory::new().backend("n1", &[]).backend("n2", &[])
    }

    #[test]
    fn the_least_loaded_is_drawn() {
        let cluster = two().attendees("n1", 40);
        let (chosen, _reservation) = Lot::default().draw(&candidates(&cluster)).unwrap();
        assert_eq!(chosen.id, cluster.backend_id("n2"));
    }

    #[test]
    fn equals_are_drawn_by_lot() {
        let (lot, cluster) = (Lot::default(), two());
        let drawn = (0..64).filter_map(|_| lot.draw(&candidates(&cluster)));
        let drawn: HashSet<_> = drawn.map(|(backend, _reservation)| backend.id).collect();
        assert_eq!(drawn.len(), 2);
    }

    #[test]
    fn a_place_that_is_held_counts_for_the_next_draw() {
        let (lot, cluster) = (Lot::default(), two());
        let held: Vec<_> = (0..10).filter_map(|_| lot.draw(&candidates(&cluster))).collect();
        assert_eq!((cluster.meetings_on("n1"), cluster.meetings_on("n2")), (5, 5));
        drop(held);
        assert_eq!((cluster.meetings_on("n1"), cluster.meetings_on("n2")), (0, 0));
    }

    #[test]
    fn without_candidates_nothing_is_drawn() {
        assert!(Lot::default().draw(&Candidates::among([])).is_none());
    }
}
