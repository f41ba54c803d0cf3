//! The entries of single meetings.

use std::sync::Arc;

use b3scale_middleware::bbb::{MeetingId, ScopedId, unscoped, xml};
use b3scale_middleware::cluster::Meeting;
use bytes::Bytes;

use super::entry::{Entry, Unshown};
use super::report::Reported;
use super::{Known, View};

impl View {
    /// A meeting's entry in lists: its node's report with its agent's attendees, else the entry of a meeting
    /// of a young one.
    pub(crate) fn entry(&self, meeting: &Meeting) -> Option<Bytes> {
        let told = || self.told_of(meeting).and_then(|reported| reported.entry.clone());
        let entry = self.entry_present(meeting).or_else(told).or_else(|| created(meeting))?;
        if entry.is_scoped { self.under_own_ids(meeting, &entry.element) } else { Some(entry.element) }
    }

    /// The entry of a meeting without a report: its node's answer to a request, else the entry of its create.
    pub(crate) fn young_entry(&self, meeting: &Meeting) -> Option<Entry> {
        let said = self.firsthand.said(meeting).and_then(|said| said.entry.clone());
        said.or_else(|| created(meeting))
    }

    /// Parts of a node's report that its tenant reads otherwise, or not at all.
    pub(crate) fn unshown(&self, meeting: &Meeting) -> Unshown {
        let created = || meeting.entry.as_deref().map(Unshown::read);
        self.told_of(meeting).map(|told| told.unshown.clone()).or_else(created).unwrap_or_default()
    }

    fn told_of(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        self.report_of(meeting).or_else(|| self.firsthand.said(meeting))
    }

    /// An entry under the ids of the meeting's frontend.
    fn under_own_ids(&self, meeting: &Meeting, element: &Bytes) -> Option<Bytes> {
        let frontend = self.roster().frontend_of(meeting.frontend).cloned();
        let own = |id: &ScopedId| -> Option<MeetingId> {
            match self.meeting(id.as_ref()) {
                _ if *id == meeting.id => Some(meeting.meeting_id.clone()),
                Known::There(known) if known.frontend == meeting.frontend => Some(known.meeting_id.clone()),
                Known::There(_) | Known::Absent | Known::Unknown => id.decode_for(&frontend.as_ref()?.key),
            }
        };
        xml::shown(element, |text| unscoped(text, own)).ok()
    }
}

/// The entry of a meeting's create.
fn created(meeting: &Meeting) -> Option<Entry> {
    Some(Entry { element: meeting.entry.clone()?, is_scoped: true })
}
