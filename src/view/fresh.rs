//! Recent knowledge of a meeting, with its age.

use std::time::SystemTime;

use b3scale_middleware::cluster::{BackendId, Meeting};
use b3scale_middleware::ports::Seen;

use super::View;

impl View {
    /// Knowledge of a running meeting: attendees seen by its node's agent, else the node's report when it
    /// was last asked.
    ///
    /// The agent reports the last leave at once. Its node calls a meeting running for up to a minute longer, so that
    /// is left to the node.
    ///
    /// The absence of attendees means little just after a join was sent.
    pub(crate) fn seen(&self, meeting: &Meeting) -> Option<Seen> {
        let seen = self.heard(meeting).or_else(|| self.reported(meeting))?;
        (seen.running || !self.arrivals.expects(&meeting.id)).then_some(seen)
    }

    fn heard(&self, meeting: &Meeting) -> Option<Seen> {
        self.people_present(meeting).filter(|people| *people > 0)?;
        Some(Seen { age: self.presence_age(meeting.backend)?, running: true })
    }

    fn reported(&self, meeting: &Meeting) -> Option<Seen> {
        let report = self.reports.get(&meeting.backend)?;
        let reported = report.own(&meeting.id)?;
        let is_it = meeting.internal_id.as_ref() == Some(&reported.born.internal_id);
        // Without the store's time its age is unknown.
        let knows_time = self.clock.lock().is_ok_and(|clock| clock.is_some());
        (is_it && knows_time)
            .then(|| Seen { age: self.instant_of(report.holds_since()).elapsed(), running: reported.running })
    }

    /// A node was polled again, and its answer has not changed.
    pub(crate) fn confirm_report(&self, backend: BackendId, asked_at: SystemTime) {
        if let Some(report) = self.reports.get(&backend) {
            report.confirm(asked_at);
        }
    }
}
