//! The database's clock, by this server's.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

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

    /// The time by the database's clock. Every server asks for it before it reads anything else.
    pub(crate) fn time(&self) -> SystemTime {
        let clock = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clock.map_or(SystemTime::UNIX_EPOCH, |(said, at)| said + at.elapsed())
    }

    /// A time of the database's clock by ours. Never in the future.
    pub(super) fn instant_of(&self, time: SystemTime) -> Instant {
        let now = Instant::now();
        let Some((said, at)) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return now };
        let age = (said + at.elapsed()).duration_since(time).unwrap_or_default();
        now.checked_sub(age).unwrap_or(now)
    }
}
