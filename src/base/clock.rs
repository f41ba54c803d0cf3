//! The clocks of the programs.

use std::time::{Instant, SystemTime};

use b3scale_middleware::chance::Clock;

/// The clocks that the async runtime goes by: a test that pauses the runtime's time pauses [`Clock::now`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RuntimeClock;

impl Clock for RuntimeClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn time(&self) -> SystemTime {
        SystemTime::now()
    }
}
