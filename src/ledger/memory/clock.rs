//! The clock of a simulation.

use std::time::{Instant, SystemTime};

use b3scale_middleware::chance::Clock;
use tokio::time;

/// A clock that goes with tokio's time, and so stands still and jumps with it where a test has paused it.
pub struct SimulatedClock {
    start: SystemTime,
    began: time::Instant,
}

impl SimulatedClock {
    /// It shows `start` now.
    pub fn starting_at(start: SystemTime) -> Self {
        Self { start, began: time::Instant::now() }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }

    fn time(&self) -> SystemTime {
        self.start + self.began.elapsed()
    }
}
