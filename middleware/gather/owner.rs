//! Which entries of a node's list are the frontend's own.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::bbb::{MeetingId, ScopedId, unscoped, xml};
use crate::cluster::{BackendId, Callback, Frontend, Meeting, restored};
use crate::ports::Meetings;

/// The frontend that keeps its entries.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) frontend: Arc<Frontend>,
    pub(super) meetings: Arc<dyn Meetings>,
}

impl Owner {
    /// Its meetings on `backend`, under its own ids, and their breakouts. Unreadable entries are left out.
    pub(super) fn meetings(&self, entries: Vec<Bytes>, backend: BackendId) -> Vec<Bytes> {
        let mut own = Vec::new();
        let mut breakouts = Vec::new();
        let mut parents = HashSet::new();
        let shown = |entry: &Bytes, callbacks: &[Callback]| {
            xml::shown(entry, |text| restored(text, callbacks).or_else(|| unscoped(text, |id| self.own_id(id))))
        };
        for entry in entries {
            let names = ["meetingID", "internalMeetingID", "parentMeetingID"];
            let Ok([id, internal_id, parent]) = xml::fields(&entry, names) else { continue };
            let Some(id) = id.map(|id| ScopedId::verbatim(&id)) else { continue };
            match (self.verdict(&id, backend), parent) {
                (Verdict::Own, _) => {
                    parents.extend(internal_id);
                    let known = self.meetings.known(id.as_ref());
                    own.extend(shown(&entry, known.as_ref().map_or(&[], |known| &known.callbacks)));
                }
                (Verdict::Unknown, Some(parent)) => breakouts.push((parent, entry)),
                (Verdict::Unknown | Verdict::Elsewhere, _) => {}
            }
        }
        let breakouts = breakouts.iter().filter(|(parent, _)| parents.contains(parent));
        own.extend(breakouts.filter_map(|(parent, entry)| {
            // A node gives a breakout the metadata of its parent.
            let parent = self.meetings.known_by_internal_id(self.frontend.id, parent);
            shown(entry, parent.as_ref().map_or(&[], |parent| &parent.callbacks)).ok()
        }));
        own
    }

    /// The frontend's id of a meeting of its own.
    fn own_id(&self, id: &ScopedId) -> Option<MeetingId> {
        let known = self.meetings.known(id.as_ref()).filter(|known| self.owns(known));
        known.map_or_else(|| id.decode_for(&self.frontend.key), |known| Some(known.meeting_id.clone()))
    }

    fn verdict(&self, id: &ScopedId, backend: BackendId) -> Verdict {
        match self.meetings.known(id.as_ref()) {
            Some(meeting) if self.owns(&meeting) && meeting.backend == backend => Verdict::Own,
            None if id.decode().is_none() => Verdict::Unknown,
            Some(_) | None => Verdict::Elsewhere,
        }
    }

    /// The sessions of its meetings. Unreadable ones are left out.
    pub(super) fn sessions(&self, mut entries: Vec<Bytes>) -> Vec<Bytes> {
        let meetings = self.meetings.of_frontend(self.frontend.id);
        let own: HashSet<&str> = meetings.iter().filter_map(|meeting| meeting.internal_id.as_deref()).collect();
        entries.retain(|entry| match xml::fields(entry, ["meetingID"]) {
            Ok([internal_id]) => internal_id.is_some_and(|id| own.contains(id.as_str())),
            Err(_) => false,
        });
        entries
    }

    fn owns(&self, meeting: &Meeting) -> bool {
        meeting.frontend == self.frontend.id
    }
}

/// The owner of a reported meeting.
enum Verdict {
    /// The frontend's own.
    Own,
    /// Another frontend's, a copy of a meeting on another node, or an unknown meeting.
    Elsewhere,
    /// No id of ours: a breakout, or a stranger.
    Unknown,
}
