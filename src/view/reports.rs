//! The last report of each node.

use std::sync::Arc;
use std::time::SystemTime;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting, PresentMeeting};
use dashmap::DashMap;

use super::entry::Entry;
use super::report::{Report, Reported};

/// The reports by their backends.
#[derive(Default)]
pub(crate) struct Reports(DashMap<BackendId, Arc<Report>>);

impl Reports {
    /// The report of this very meeting by its node.
    pub(crate) fn about(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        let report = self.of(meeting.backend)?;
        let reported = report.meetings.get(&meeting.id)?;
        (Some(&reported.born.internal_id) == meeting.internal_id.as_ref()).then(|| Arc::clone(reported))
    }

    /// A poll of that time had the same answer.
    pub(crate) fn confirm(&self, backend: BackendId, asked_at: SystemTime) {
        if let Some(report) = self.of(backend) {
            report.confirm(asked_at);
        }
    }

    pub(super) fn of(&self, backend: BackendId) -> Option<Arc<Report>> {
        self.0.get(&backend).map(|report| Arc::clone(&report))
    }

    /// The reported entry of a meeting that its node's agent knows.
    pub(super) fn entry(&self, backend: BackendId, present: &PresentMeeting) -> Option<Entry> {
        let report = self.of(backend)?;
        let reported = report.meetings.get(present.meeting.id.as_str())?;
        reported.entry.clone().filter(|_| reported.born.internal_id == present.meeting.internal_id)
    }

    /// Takes in a report, unless a younger one is known, and returns the youngest.
    pub(super) fn take(
        &self,
        backend: BackendId,
        mut report: Report,
        lives_there: impl Fn(&ScopedId) -> bool,
    ) -> Arc<Report> {
        let mut kept = self.0.entry(backend).or_insert_with(|| Arc::new(Report::empty(report.asked_at)));
        if kept.asked_at <= report.asked_at {
            report.inherit(&kept, lives_there);
            *kept = Arc::new(report);
        }
        Arc::clone(&kept)
    }

    pub(super) fn forget(&self, backend: BackendId) {
        self.0.remove(&backend);
    }

    pub(super) fn retain(&self, is_there: impl Fn(BackendId) -> bool) {
        self.0.retain(|id, _| is_there(*id));
    }
}
