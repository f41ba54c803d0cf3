//! Figures of hooks, for metrics.

use std::time::Duration;

use crate::store::Store;
use crate::telemetry::catalog::{HOOK_LAG, HOOK_POSTS, HOOKS};
use crate::work::Round;

/// Counts the hooks.
pub struct CountHooks(pub Store);

impl Round for CountHooks {
    const NAME: &'static str = "count-hooks";
    const PAUSE: Duration = Duration::from_secs(5);

    async fn run(&self) {
        let counts = match self.0.hook_events().counts().await {
            Ok(counts) => counts,
            Err(error) => return tracing::debug!(%error, "Counting hooks failed"),
        };
        for state in ["active", "retrying", "paused"] {
            let count = counts.iter().find(|count| count.state == state).map_or(0, |count| count.count);
            HOOKS.with([state]).set(count as f64);
        }
        HOOK_LAG.with([]).set(counts.iter().map(|count| count.lag).max().unwrap_or_default() as f64);
    }
}

/// Counts a post that ended.
pub(super) fn posted(outcome: &'static str) {
    HOOK_POSTS.with([outcome]).increment(1);
}

/// Counts events that a hook did not hear.
pub(super) fn lost(events: i64) {
    HOOK_POSTS.with(["lost"]).increment(events.unsigned_abs());
}

/// Shows all series from the start, so that the first event is an increase.
pub(super) fn announce() {
    for outcome in ["delivered", "retried", "paused", "lost"] {
        HOOK_POSTS.with([outcome]).increment(0);
    }
}
