//! How old what is known of a meeting is, and what it says.

use std::time::SystemTime;

use b3scale_middleware::cluster::{BackendId, Meeting};
use b3scale_middleware::ports::Seen;

use super::View;

impl View {
    /// What is known of a meeting that runs: by its node's agent that someone is there, else by what the node said when it
    /// was last asked.
    ///
    /// That nobody is there any more the agent says at once. Its node calls a meeting running for up to a minute longer, so that
    /// is left to the node.
    ///
    /// That nobody is there says little of a meeting to which someone was just sent.
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
        // Without the store's time nobody can say how old it is.
        let knows_time = self.clock.lock().is_ok_and(|clock| clock.is_some());
        (is_it && knows_time)
            .then(|| Seen { age: self.instant_of(report.holds_since()).elapsed(), running: reported.running })
    }

    /// A node was asked once more, and said what it had said before.
    pub(crate) fn confirm_report(&self, backend: BackendId, asked_at: SystemTime) {
        if let Some(report) = self.reports.get(&backend) {
            report.confirm(asked_at);
        }
    }
}
