//! Shares: a frontend whose receiver hangs leaves places to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use b3scale_middleware::cluster::FrontendId;

/// How many tries of one frontend a server makes at once.
const MOST: u32 = 8;

/// The tries under way, by frontend. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<FrontendId, u32>>>);

/// A place of a frontend, until it is dropped.
pub(super) struct Share {
    shares: Shares,
    frontend: FrontendId,
}

impl Shares {
    /// Takes a place. `None`: the frontend has all of its own.
    pub(super) fn take(&self, frontend: FrontendId) -> Option<Share> {
        let mut taken = self.lock();
        let count = taken.entry(frontend).or_default();
        (*count < MOST).then(|| {
            *count += 1;
            Share { shares: self.clone(), frontend }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FrontendId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.shares.lock();
        let left = taken.get(&self.frontend).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.frontend);
        } else {
            taken.insert(self.frontend, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_frontend_has_its_places_and_no_more() {
        let (one, other) = (FrontendId(Uuid::from_u128(1)), FrontendId(Uuid::from_u128(2)));
        let shares = Shares::default();
        let mut taken: Vec<_> = (0..MOST).filter_map(|_| shares.take(one)).collect();
        assert_eq!(taken.len(), MOST as usize);
        assert!(shares.take(one).is_none());
        assert!(shares.take(other).is_some());
        taken.pop();
        assert!(shares.take(one).is_some());
        taken.clear();
        assert!(shares.lock().is_empty(), "nothing is kept of frontends without tries");
    }
}
