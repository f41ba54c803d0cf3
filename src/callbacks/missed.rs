//! Ends that no statement saw: of sessions that lost their place before anything was known of their end.

use std::time::Duration;

use crate::store::Store;
use crate::work::{Duty, Failure};

/// Queues missed ends.
pub struct MissedEnds(pub Store);

impl Duty for MissedEnds {
    const NAME: &'static str = "missed-ends";
    const EVERY: Duration = Duration::from_secs(60);

    async fn run(&self) -> Result<(), Failure> {
        let found = self.0.callbacks().queue_missed_ends().await?;
        if found > 0 {
            tracing::info!(found, "Queueing ends of meetings that were missed");
        }
        Ok(())
    }
}
