//! The database's clock, by this server's.

use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// The last answer of the database to the question for its time.
#[derive(Default)]
pub(crate) struct StoreClock(Mutex<Option<(SystemTime, Instant)>>);

impl StoreClock {
    /// Records the clock's time. It counts from the question on, so that nothing is taken to be younger than it is.
    pub(crate) fn set(&self, said: SystemTime, asked: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((said, asked));
    }

    /// Whether the time is known. Without it no age is.
    pub(super) fn is_known(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// A time of the database's clock by ours. Never in the future.
    pub(super) fn instant_of(&self, time: SystemTime) -> Instant {
        let now = Instant::now();
        let Some((said, at)) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return now };
        let age = (said + at.elapsed()).duration_since(time).unwrap_or_default();
        now.checked_sub(age).unwrap_or(now)
    }
}
