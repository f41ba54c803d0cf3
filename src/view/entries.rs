//! Entries of lists.

use std::collections::HashMap;
use std::sync::Arc;

use b3scale_middleware::bbb::{MeetingId, ScopedId, unscoped, xml};
use b3scale_middleware::cluster::Meeting;
use bytes::Bytes;

use super::View;
use super::entry::{Entry, Unshown};
use super::report::Reported;

impl View {
    /// The entries of some meetings of one frontend. The entry of a parent gets the breakouts that its report lacks.
    pub(crate) fn list(&self, meetings: &[Arc<Meeting>]) -> Vec<Bytes> {
        let breakouts = self.young_breakouts(meetings);
        let entry = |meeting: &Arc<Meeting>| {
            let entry = self.entry(meeting)?;
            let own = meeting.internal_id.as_ref().and_then(|id| breakouts.get(id));
            Some(own.and_then(|own| xml::with_breakouts(&entry, own).ok()).unwrap_or(entry))
        };
        meetings.iter().filter_map(entry).collect()
    }

    /// The entry of a meeting: by its node's agent, else of its node's report, else of its create.
    pub(crate) fn entry(&self, meeting: &Meeting) -> Option<Bytes> {
        let told = || self.told_of(meeting).and_then(|reported| reported.entry.clone());
        let present = self.presences.entry(meeting, || self.young_entry(meeting));
        let entry = present.or_else(told).or_else(|| created(meeting))?;
        let parent = self.parent(meeting);
        let element = entry.restored(parent.as_ref().map_or(&meeting.callbacks, |parent| &parent.callbacks))?;
        if entry.is_scoped { self.under_own_ids(meeting, &element) } else { Some(element) }
    }

    /// The entry of a meeting that no report has: its node's answer about it, else of its create.
    fn young_entry(&self, meeting: &Meeting) -> Option<Entry> {
        let said = self.firsthand.said(meeting).and_then(|said| said.entry.clone());
        said.or_else(|| created(meeting))
    }

    /// The parts of an entry that a tenant reads otherwise, or not at all.
    pub(crate) fn unshown(&self, meeting: &Meeting) -> Unshown {
        let created = || meeting.entry.as_deref().map(Unshown::read);
        self.told_of(meeting).map(|told| told.unshown.clone()).or_else(created).unwrap_or_default()
    }

    /// The parent of a breakout that a node made, with the metadata of the parent.
    fn parent(&self, meeting: &Meeting) -> Option<Arc<Meeting>> {
        if !(meeting.size.breakout && meeting.callbacks.is_empty()) {
            return None;
        }
        self.meetings.by_internal_id(meeting.frontend, self.told_of(meeting)?.parent.as_deref()?)
    }

    fn told_of(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        self.reports.about(meeting).or_else(|| self.firsthand.said(meeting))
    }

    /// The frontend's ids of breakouts that no report has yet, by the internal ids of their parents.
    fn young_breakouts(&self, meetings: &[Arc<Meeting>]) -> HashMap<String, Vec<String>> {
        let mut breakouts: HashMap<String, Vec<String>> = HashMap::new();
        for young in meetings.iter().filter(|one| one.size.breakout && self.reports.about(one).is_none()) {
            let parent =
                self.young_entry(young).and_then(|entry| xml::fields(&entry.element, ["parentMeetingID"]).ok());
            if let Some([Some(parent)]) = parent {
                breakouts.entry(parent).or_default().push(young.meeting_id.to_string());
            }
        }
        breakouts
    }

    /// An entry under the ids of the meeting's frontend.
    fn under_own_ids(&self, meeting: &Meeting, element: &Bytes) -> Option<Bytes> {
        let frontend = self.roster().frontend_of(meeting.frontend).cloned();
        let own = |id: &ScopedId| -> Option<MeetingId> {
            match self.meetings.there(id.as_ref()) {
                _ if *id == meeting.id => Some(meeting.meeting_id.clone()),
                Some(known) if known.frontend == meeting.frontend => Some(known.meeting_id.clone()),
                Some(_) | None => id.decode_for(&frontend.as_ref()?.key),
            }
        };
        xml::shown(element, |text| unscoped(text, own)).ok()
    }
}

/// The entry of a meeting's create.
fn created(meeting: &Meeting) -> Option<Entry> {
    meeting.entry.clone().map(Entry::of_create)
}
