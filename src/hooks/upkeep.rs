//! The upkeep of events: none waits without a job, and none for ever.

use std::time::Duration;

use super::count;
use crate::store::{POST_HOOKS_JOB, Store};
use crate::work::{Duty, Failure, Waker};

/// Tells of lost meetings, and brings hooks on that are behind and have no job.
pub struct MendHooks {
    /// The tables.
    pub store: Store,
    /// The right to wake the queue of posts.
    pub waker: Waker,
}

impl Duty for MendHooks {
    const NAME: &'static str = "mend-hooks";
    const EVERY: Duration = Duration::from_secs(5);

    async fn run(&self) -> Result<(), Failure> {
        let hooks = self.store.hook_events();
        let queued = hooks.tell_lost().await? + hooks.mend().await?;
        if queued > 0 {
            tracing::debug!(queued, "Queueing posts of hooks that were behind");
            self.waker.wake(POST_HOOKS_JOB);
        }
        Ok(())
    }
}

/// Removes events that all hooks have had, and events that wait for too long.
pub struct SweepHookEvents(pub Store);

impl Duty for SweepHookEvents {
    const NAME: &'static str = "sweep-hook-events";
    const EVERY: Duration = Duration::from_secs(60);

    async fn run(&self) -> Result<(), Failure> {
        for loss in self.0.hook_events().sweep().await? {
            count::lost(loss.events);
            tracing::warn!(
                hook = loss.hook,
                frontend = loss.frontend,
                events = loss.events,
                "Removing events that a hook has not had"
            );
        }
        Ok(())
    }
}
