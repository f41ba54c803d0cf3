//! Hooks of single meetings, a week after these have ended. Events of their recordings came until then.

use std::time::Duration;

use b3scale_middleware::bbb::{MeetingId, ScopedId};

use crate::store::{ScopedHook, Store};
use crate::work::{Duty, Failure};

/// Removes hooks of meetings that have ended. One of a meeting that never was goes a month after it was created.
pub struct ExpiredHooks(pub Store);

impl Duty for ExpiredHooks {
    const NAME: &'static str = "expired-hooks";
    const EVERY: Duration = Duration::from_secs(3600);

    async fn run(&self) -> Result<(), Failure> {
        let found = self.0.hooks().scoped().await?;
        let meetings: Vec<ScopedId> = found.iter().map(meeting).collect();
        let ids: Vec<&str> = found.iter().map(|hook| &*hook.id).collect();
        let meetings: Vec<&str> = meetings.iter().map(AsRef::as_ref).collect();
        let removed = self.0.hooks().remove_expired(&ids, &meetings).await?;
        if removed > 0 {
            tracing::info!(removed, "Removing hooks of meetings that ended a week ago");
        }
        Ok(())
    }
}

/// The id by which nodes know its meeting.
fn meeting(hook: &ScopedHook) -> ScopedId {
    ScopedId::new(&hook.frontend, &MeetingId::new(&hook.meeting_id))
}
