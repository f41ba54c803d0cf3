//! Answers of nodes about meetings that are too young for any report.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::Meeting;
use dashmap::DashMap;
use tokio::time::Instant;

use super::report::Reported;

/// By then a node has reported.
const LASTS: Duration = Duration::from_secs(60);

/// The answers of nodes about young meetings.
#[derive(Default)]
pub(crate) struct Firsthand(DashMap<ScopedId, Answer>);

struct Answer {
    internal_id: Option<String>,
    at: Instant,
    /// `None`: its answer was of no use, and it is not asked again.
    said: Option<Arc<Reported>>,
}

impl Firsthand {
    /// The answer about this very meeting.
    pub(crate) fn said(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        self.0.get(&meeting.id).filter(|answer| answer.internal_id == meeting.internal_id)?.said.clone()
    }

    /// Whether the node was asked for this very meeting.
    pub(crate) fn is_answered(&self, meeting: &Meeting) -> bool {
        self.0.get(&meeting.id).is_some_and(|answer| answer.internal_id == meeting.internal_id)
    }

    /// Keeps the answer about a meeting. One about another meeting of the same id says nothing of it.
    pub(crate) fn record(&self, meeting: &Meeting, said: Option<Arc<Reported>>) {
        let said = said.filter(|said| Some(&said.born.internal_id) == meeting.internal_id.as_ref());
        self.0
            .insert(meeting.id.clone(), Answer { internal_id: meeting.internal_id.clone(), at: Instant::now(), said });
    }

    pub(super) fn forget_old(&self) {
        self.0.retain(|_, answer| answer.at.elapsed() < LASTS);
    }
}
