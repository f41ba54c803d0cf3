//! Used-up file descriptors: connections wait outside until some are free again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

/// So long after a connection could last not be taken, descriptors count as free again.
const OVER: Duration = Duration::from_secs(10);

/// Since when there have been none, and when that was last seen.
#[derive(Debug, Default)]
pub(super) struct Exhaustion(Mutex<Option<(Instant, Instant)>>);

impl Exhaustion {
    /// There was none for a connection. The first time, that is logged.
    pub(super) fn note(&self) {
        let now = Instant::now();
        let mut seen = self.seen();
        if seen.is_none() {
            error!("File descriptors used up: new connections wait; raise LimitNOFILE (ulimit -n)");
        }
        let since = seen.map_or(now, |(since, _)| since);
        *seen = Some((since, now));
    }

    /// A connection was taken.
    pub(super) fn note_end(&self) {
        let mut seen = self.seen();
        if let Some((since, last)) = *seen
            && last.elapsed() >= OVER
        {
            *seen = None;
            info!(seconds = (last - since).as_secs(), "File descriptors free again");
        }
    }

    /// The problem, if any.
    pub(super) fn problem(&self) -> Option<String> {
        let recent = self.seen().filter(|(_, last)| last.elapsed() < OVER);
        recent.map(|_| "no file descriptor is left for new connections".to_owned())
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Instant, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_a_problem_until_it_has_been_over_for_a_while() {
        let exhaustion = Exhaustion::default();
        assert_eq!(exhaustion.problem(), None);
        exhaustion.note();
        exhaustion.note_end();
        assert!(exhaustion.problem().is_some_and(|problem| problem.contains("file descriptor")));
        tokio::time::advance(OVER).await;
        assert_eq!(exhaustion.problem(), None);
        exhaustion.note_end();
        assert!(exhaustion.seen().is_none());
    }
}
