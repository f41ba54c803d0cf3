//! Shares: a frontend whose receiver is slow leaves places and time to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use b3scale_middleware::cluster::FrontendId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// How long a try waits for a place: at a quick receiver one is free in that time.
const PATIENCE: Duration = Duration::from_millis(250);
/// The least and the longest pause of a try that found no place. Behind the longest one the line begins again at the least.
const PAUSE: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// The time between two such tries of a frontend. Twelve thousand of them are a small part of a server's work.
const SPACING: Duration = Duration::from_millis(50);
/// So many frontends are remembered without a look at which are idle.
const REMEMBERED: usize = 1000;

/// The tries under way, by frontend.
pub(crate) struct Shares {
    /// How many of one frontend a server makes at once.
    most: usize,
    lines: Mutex<HashMap<FrontendId, Line>>,
}

/// A place of a frontend, until it is dropped.
pub(crate) type Share = OwnedSemaphorePermit;

/// The places of a frontend, and the tries that found none.
struct Line {
    places: Arc<Semaphore>,
    /// When the last of them is made again.
    end: Instant,
}

impl Shares {
    /// So many places for each frontend.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, lines: Mutex::default() }
    }

    /// Takes a place. While other tries of the frontend are put off, this one waits for none.
    ///
    /// # Errors
    /// The frontend has all of its own; the pause until the next try.
    pub(crate) async fn take(&self, frontend: FrontendId) -> Result<Share, Duration> {
        let (places, is_long) = self.line(frontend, |line| (Arc::clone(&line.places), line.end > Instant::now()));
        let patience = if is_long { Duration::ZERO } else { PATIENCE };
        match timeout(patience, places.acquire_owned()).await {
            Ok(Ok(share)) => Ok(share),
            _ => Err(self.line(frontend, Line::queue)),
        }
    }

    fn line<T>(&self, frontend: FrontendId, look: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= REMEMBERED {
            lines.retain(|_, line| line.places.available_permits() < self.most || line.end > Instant::now());
        }
        look(lines.entry(frontend).or_insert_with(|| Line::new(self.most)))
    }
}

impl Line {
    fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), end: Instant::now() }
    }

    /// The pause of one more try.
    fn queue(&mut self) -> Duration {
        let now = Instant::now();
        let next = (self.end + SPACING).max(now + PAUSE);
        self.end = if next > now + LONGEST_PAUSE { now + PAUSE } else { next };
        self.end - now
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MOST: usize = 8;

    #[tokio::test(start_paused = true)]
    async fn a_frontend_has_its_places_and_no_more() {
        let (one, other) = (FrontendId(Uuid::from_u128(1)), FrontendId(Uuid::from_u128(2)));
        let shares = Shares::new(MOST);
        let mut taken = Vec::new();
        for _ in 0..MOST {
            taken.push(shares.take(one).await.expect("a place"));
        }
        assert_eq!(shares.take(one).await.map(drop), Err(PAUSE));
        assert!(shares.take(other).await.is_ok());
        taken.pop();
        assert!(shares.take(one).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn tries_without_a_place_are_spread_over_time() {
        let mut line = Line::new(MOST);
        let mut pauses: Vec<_> = (0..20_000).map(|_| line.queue()).collect();
        assert_eq!(pauses[..3], [PAUSE, PAUSE + SPACING, PAUSE + 2 * SPACING]);
        pauses.sort_unstable();
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        let most_at_once = pauses.chunk_by(|one, other| one == other).map(<[_]>::len).max();
        assert_eq!(most_at_once, Some(2), "two rounds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_behind_others_that_are_put_off_holds_up_nothing() {
        let one = FrontendId(Uuid::from_u128(1));
        let shares = Shares::new(1);
        let place = shares.take(one).await;
        let began = Instant::now();
        assert_eq!(shares.take(one).await.map(drop), Err(PAUSE));
        assert!(began.elapsed() >= PATIENCE);
        let began = Instant::now();
        for number in 1..100 {
            assert!(shares.take(one).await.is_err(), "{number}");
        }
        assert!(began.elapsed() < PATIENCE);
        drop(place);
        assert!(shares.take(one).await.is_ok(), "a free place is taken at once");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_frontends_are_forgotten() {
        let shares = Shares::new(MOST);
        let kept = shares.take(FrontendId(Uuid::from_u128(0))).await;
        for number in 1..=REMEMBERED as u128 {
            drop(shares.take(FrontendId(Uuid::from_u128(number))).await);
        }
        assert!(shares.lines.lock().expect("no thread panicked").len() < REMEMBERED);
        assert!(shares.lines.lock().expect("no thread panicked").contains_key(&FrontendId(Uuid::from_u128(0))));
        drop(kept);
    }
}
