//! Attendees that this server has sent to a meeting. They may be there before the node reports them.

use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use dashmap::DashMap;
use tokio::time::Instant;

/// How long an attendee may be on the way.
const ON_THE_WAY: Duration = Duration::from_secs(60);

/// When an attendee was last sent to a meeting.
#[derive(Default)]
pub(crate) struct Arrivals(DashMap<ScopedId, Instant>);

impl Arrivals {
    pub(crate) fn record(&self, meeting: &ScopedId) {
        self.0.insert(meeting.clone(), Instant::now());
    }

    /// Drops arrivals that must be over.
    pub(crate) fn forget_old(&self) {
        self.0.retain(|_, sent| sent.elapsed() < ON_THE_WAY);
    }

    /// Whether an attendee may be on the way there.
    pub(crate) fn expects(&self, meeting: &ScopedId) -> bool {
        self.0.get(meeting).is_some_and(|sent| sent.elapsed() < ON_THE_WAY)
    }
}
