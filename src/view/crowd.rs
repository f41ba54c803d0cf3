//! Who is in a meeting.

use std::sync::Arc;

use b3scale_middleware::cluster::Meeting;

use super::View;

/// The people in a meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) people: u32,
    /// Those of them who show themselves.
    pub(crate) with_video: u32,
}

impl Crowd {
    pub(crate) fn of(people: usize, with_video: usize) -> Self {
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self { people: count(people), with_video: count(with_video) }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.people = self.people.saturating_add(other.people);
        self.with_video = self.with_video.saturating_add(other.with_video);
    }
}

impl View {
    /// People in a meeting, as its agent says or its node last said.
    pub(crate) fn attendees(&self, meeting: &Meeting) -> u32 {
        self.people_present(meeting).unwrap_or_else(|| self.crowd_reported(meeting).people)
    }

    /// The same, and who of them shows themselves.
    pub(crate) fn crowd(&self, meeting: &Meeting) -> Crowd {
        self.crowd_present(meeting).unwrap_or_else(|| self.crowd_reported(meeting))
    }

    fn crowd_reported(&self, meeting: &Meeting) -> Crowd {
        let report = self.reports.get(&meeting.backend).map(|report| Arc::clone(&report));
        let reported = report.as_ref().and_then(|report| report.meetings.get(&meeting.id));
        let crowd = reported.map(|one| Crowd { people: one.attendees, with_video: one.with_video });
        crowd.unwrap_or_default()
    }
}
