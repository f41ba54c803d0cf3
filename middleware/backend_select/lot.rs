//! Choosing among candidates.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::bbb::ScopedId;
use crate::chance::Chance;
use crate::cluster::{Backend, LoadModel, Rank, Reservation, Seats, Size};
use crate::facts::Candidates;

/// Draws the least loaded candidate, and among equals by lot.
pub(super) struct Lot {
    model: LoadModel,
    chance: Chance,
    /// Locked from the choice to the reservation, so that no two calls see the same load.
    choice: Mutex<()>,
}

impl Lot {
    pub(super) fn new(model: LoadModel, chance: Chance) -> Self {
        Self { model, chance, choice: Mutex::default() }
    }

    pub(super) fn model(&self) -> &LoadModel {
        &self.model
    }

    /// The best candidate, and a place on it for the meeting that is held until the claim itself counts.
    pub(super) fn draw(
        &self,
        candidates: &Candidates,
        id: &ScopedId,
        size: Size,
        now: Instant,
    ) -> Option<(Arc<Backend>, Reservation)> {
        let _choice = self.choice.lock().unwrap_or_else(PoisonError::into_inner);
        let mut best: Option<(Rank, &Arc<Backend>)> = None;
        let mut equals = 0;
        for backend in candidates.backends() {
            let rank = Rank::of(backend, &self.model, now);
            match best {
                Some((least, _)) if rank > least => continue,
                Some((least, _)) if rank == least => equals += 1,
                _ => equals = 1,
            }
            // Each of so many equals has been the best with the same chance.
            if self.chance.below(equals) == 0 {
                best = Some((rank, backend));
            }
        }
        let (_, chosen) = best?;
        let seats = Seats { size, shared: false, attendees: 0, since: now };
        Some((Arc::clone(chosen), chosen.vitals.reserve(id, seats)))
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

    fn lot() -> Lot {
        Lot::new(LoadModel::default(), Chance::seeded(1))
    }

    fn draw(lot: &Lot, cluster: &Memory, number: usize) -> Option<(Arc<Backend>, Reservation)> {
        lot.draw(&candidates(cluster), &ScopedId::verbatim(&number.to_string()), Size::default(), Instant::now())
    }

    fn two() -> Memory {
        Memory::new().backend("n1", &[]).backend("n2", &[])
    }

    #[test]
    fn the_least_loaded_is_drawn() {
        let cluster = two().attendees("n1", 40);
        let (chosen, _reservation) = draw(&lot(), &cluster, 0).unwrap();
        assert_eq!(chosen.id, cluster.backend_id("n2"));
    }

    #[test]
    fn equals_are_drawn_by_lot() {
        let (lot, cluster) = (lot(), two());
        let drawn = (0..64).filter_map(|number| draw(&lot, &cluster, number));
        let drawn: HashSet<_> = drawn.map(|(backend, _reservation)| backend.id).collect();
        assert_eq!(drawn.len(), 2);
    }

    #[test]
    fn a_place_that_is_held_counts_for_the_next_draw() {
        let (lot, cluster) = (lot(), two());
        let held: Vec<_> = (0..10).filter_map(|number| draw(&lot, &cluster, number)).collect();
        assert_eq!((cluster.meetings_on("n1"), cluster.meetings_on("n2")), (5, 5));
        drop(held);
        assert_eq!((cluster.meetings_on("n1"), cluster.meetings_on("n2")), (0, 0));
    }

    #[test]
    fn without_candidates_nothing_is_drawn() {
        assert!(
            lot().draw(&Candidates::among([]), &ScopedId::verbatim("m"), Size::default(), Instant::now()).is_none()
        );
    }
}
