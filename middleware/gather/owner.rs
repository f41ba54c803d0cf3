//! Which entries of a node's list are the frontend's own.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::bbb::{ScopedId, XmlError, xml};
use crate::cluster::{BackendId, Frontend, Meeting};
use crate::ports::Meetings;

/// Whose entries are kept.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) frontend: Arc<Frontend>,
    pub(super) meetings: Arc<dyn Meetings>,
}

impl Owner {
    /// Its meetings, under its own ids, and their breakouts, of what `backend` reports.
    pub(super) fn meetings(&self, entries: Vec<Bytes>, backend: BackendId) -> Result<Vec<Bytes>, XmlError> {
        let mut own = Vec::new();
        let mut breakouts = Vec::new();
        let mut parents = HashSet::new();
        for entry in entries {
            let [id, internal_id, parent] = xml::fields(&entry, ["meetingID", "internalMeetingID", "parentMeetingID"])?;
            let Some(id) = id.map(|id| ScopedId::verbatim(&id)) else { continue };
            match (self.tenants_id(&id, backend), parent) {
                (Verdict::Own(tenants), _) => {
                    parents.extend(internal_id);
                    own.push(xml::rewrite(&entry, |_, text| (text == id.as_ref()).then(|| tenants.clone()))?);
                }
                (Verdict::Unknown, Some(parent)) => breakouts.push((parent, entry)),
                (Verdict::Unknown | Verdict::Elsewhere, _) => {}
            }
        }
        own.extend(breakouts.into_iter().filter(|(parent, _)| parents.contains(parent)).map(|(_, entry)| entry));
        Ok(own)
    }

    fn tenants_id(&self, id: &ScopedId, backend: BackendId) -> Verdict {
        match (self.meetings.known(id.as_ref()), id.decode()) {
            (Some(meeting), _) if self.owns(&meeting) && meeting.backend != backend => Verdict::Elsewhere,
            (Some(meeting), _) if self.owns(&meeting) => Verdict::Own(meeting.meeting_id.to_string()),
            (None, Some((key, meeting_id))) if key == self.frontend.key => Verdict::Own(meeting_id.to_string()),
            (None, None) => Verdict::Unknown,
            _ => Verdict::Elsewhere,
        }
    }

    /// The sessions of its meetings.
    pub(super) fn sessions(&self, entries: Vec<Bytes>) -> Result<Vec<Bytes>, XmlError> {
        let meetings = self.meetings.of_frontend(self.frontend.id);
        let own: HashSet<&str> = meetings.iter().filter_map(|meeting| meeting.internal_id.as_deref()).collect();
        let mut kept = Vec::new();
        for entry in entries {
            let [internal_id] = xml::fields(&entry, ["meetingID"])?;
            if internal_id.is_some_and(|id| own.contains(id.as_str())) {
                kept.push(entry);
            }
        }
        Ok(kept)
    }

    fn owns(&self, meeting: &Meeting) -> bool {
        meeting.frontend == self.frontend.id
    }
}

/// Whose meeting a node reports.
enum Verdict {
    /// The frontend's own, by this id.
    Own(String),
    /// Another frontend's, or what is left of a meeting that lives on another node.
    Elsewhere,
    /// No id of ours: a breakout, or a stranger.
    Unknown,
}
