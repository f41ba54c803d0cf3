//! The calls in flight with a valid checksum. A frontend has at most half of the free places, so that the next one finds some.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places, shared by the frontends.
#[derive(Debug)]
pub(super) struct Shares {
    most: u32,
    places: Arc<Semaphore>,
    by_frontend: Mutex<HashMap<Box<str>, usize>>,
}

impl Shares {
    pub(super) fn of(most: u32) -> Arc<Self> {
        Arc::new(Self { most, places: Arc::new(Semaphore::new(most as usize)), by_frontend: Mutex::default() })
    }

    /// Takes a place for a call of a frontend. `None`: it has its share, or all are taken.
    pub(super) fn take(self: &Arc<Self>, frontend: &str) -> Option<Share> {
        let mut by_frontend = self.by_frontend();
        let its = by_frontend.get(frontend).copied().unwrap_or_default();
        if its >= self.places.available_permits().div_ceil(2) {
            return None;
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        by_frontend.insert(frontend.into(), its + 1);
        Some(Share { shares: Arc::clone(self), frontend: frontend.into(), _place: place })
    }

    /// How many calls are in flight.
    pub(super) fn in_flight(&self) -> usize {
        (self.most as usize).saturating_sub(self.places.available_permits())
    }

    /// Whether no frontend gets a place any more.
    pub(super) fn are_taken(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Waits until no call is in flight, and lets none follow.
    pub(super) async fn end(&self) {
        // It is never closed.
        if let Ok(all) = self.places.acquire_many(self.most).await {
            all.forget();
        }
    }

    fn by_frontend(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        self.by_frontend.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a call in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    frontend: Box<str>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut by_frontend = self.shares.by_frontend();
        if let Entry::Occupied(mut its) = by_frontend.entry(self.frontend.clone()) {
            *its.get_mut() -= 1;
            if *its.get() == 0 {
                its.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::from_fn;

    use super::*;

    #[test]
    fn a_greedy_frontend_leaves_places_to_the_next_ones() {
        let shares = Shares::of(99);
        let greedy = |frontend: &'static str| from_fn(|| shares.take(frontend)).collect::<Vec<_>>();
        let (first, second) = (greedy("first"), greedy("second"));
        assert_eq!((first.len(), second.len()), (33, 22));
        assert!(shares.take("third").is_some() && !shares.are_taken());
        drop((first, second));
        assert_eq!(shares.in_flight(), 0);
        assert!(shares.by_frontend().is_empty());
    }

    #[test]
    fn the_last_place_is_had_by_a_frontend_that_has_none() {
        let shares = Shares::of(1);
        let call = shares.take("first");
        assert!(call.is_some() && shares.are_taken() && shares.take("second").is_none());
        drop(call);
        assert!(shares.take("second").is_some());
    }
}
