//! Time and chance are handed in, so that a simulation controls both and each of its runs can be repeated.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use uuid::{Builder, Uuid};

/// The two clocks of a machine.
pub trait Clock: Send + Sync {
    /// Never goes back. Durations are measured with it.
    fn now(&self) -> Instant;

    /// The time of day, which may be set.
    fn time(&self) -> SystemTime;
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn time(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Random numbers and ids, not for secrets. Clones draw from one source.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<Rng>>);

impl Chance {
    /// Seeded by the system: different in each process.
    pub fn of_system() -> Self {
        Self(Arc::new(Mutex::new(Rng::new())))
    }

    /// The same numbers and ids for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Rng::with_seed(seed))))
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&self, bound: usize) -> usize {
        self.rng().usize(..bound)
    }

    /// A positive number that no other draw is likely to give.
    pub fn number(&self) -> i64 {
        self.rng().i64(1..)
    }

    /// A duration between `least` and `most`.
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.rng().f64())
    }

    /// Puts a list in any order.
    pub fn shuffle<T>(&self, list: &mut [T]) {
        self.rng().shuffle(list);
    }

    /// A random id (UUID version 4).
    pub fn id(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// An id that sorts by the time it was made (UUID version 7).
    pub fn id_at(&self, time: SystemTime) -> Uuid {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng().fill(&mut bytes);
        bytes
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_numbers() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let draw = |chance: &Chance| (chance.id(), chance.id_at(time), chance.number(), chance.below(1000));
        let drawn = draw(&Chance::seeded(7));
        assert_eq!(drawn, draw(&Chance::seeded(7)));
        assert_ne!(drawn, draw(&Chance::seeded(8)));
    }

    #[test]
    fn ids_of_a_time_sort_by_it() {
        let (chance, time) = (Chance::of_system(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let (earlier, later) = (chance.id_at(time), chance.id_at(time + Duration::from_millis(1)));
        assert!(earlier < later);
        assert_eq!((earlier.get_version_num(), chance.id().get_version_num()), (7, 4));
    }
}
