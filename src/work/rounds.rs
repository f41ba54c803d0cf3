//! Rounds: periodic work of each server.

use tokio::time::{MissedTickBehavior, interval};

use super::{Round, caught};
use crate::telemetry::catalog::ROUNDS;

/// Runs a round again and again.
pub(super) async fn repeat<R: Round>(round: R) {
    let mut ticks = interval(R::PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = if caught(R::NAME, round.run()).await.is_some() { "done" } else { "panicked" };
        ROUNDS.with([R::NAME, outcome]).increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::time::Duration;

    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;

    /// Panics the first time. Reports the start of every run.
    struct Clumsy(mpsc::UnboundedSender<Instant>, AtomicU32);

    impl Round for Clumsy {
        const NAME: &'static str = "clumsy";
        const PAUSE: Duration = Duration::from_secs(2);

        async fn run(&self) {
            self.0.send(Instant::now()).expect("the test waits");
            assert!(self.1.fetch_add(1, Relaxed) > 0, "the first run goes wrong");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_panics_is_run_again() {
        let (report, mut starts) = mpsc::unbounded_channel();
        let round = tokio::spawn(repeat(Clumsy(report, AtomicU32::new(0))));
        let [first, second] = [starts.recv().await.unwrap(), starts.recv().await.unwrap()];
        assert_eq!(second - first, Clumsy::PAUSE);
        round.abort();
    }
}
