//! Finding meetings by the ids that their nodes give them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{FrontendId, Meeting};
use dashmap::DashMap;

use super::{Known, View};

/// How long the store's "no" to an id is remembered. No client can name an id before its meeting is there.
const NO_LASTS: Duration = Duration::from_secs(1);

/// The meetings in memory by their internal ids, kept up with every change.
#[derive(Default)]
pub(super) struct InternalIds {
    meetings: DashMap<String, ScopedId>,
    /// Ids that the store was asked for and does not know.
    absent: DashMap<(FrontendId, String), Instant>,
}

impl InternalIds {
    /// A meeting is known otherwise than before.
    pub(super) fn change(&self, before: Option<&Meeting>, after: Option<&Meeting>) {
        let id_of = |meeting: Option<&Meeting>| meeting.and_then(|meeting| meeting.internal_id.clone());
        let (old, new) = (id_of(before), id_of(after));
        if old == new {
            return;
        }
        if let (Some(old), Some(before)) = (old, before) {
            self.meetings.remove_if(&old, |_, id| *id == before.id);
        }
        if let (Some(new), Some(after)) = (new.filter(|new| !new.is_empty()), after) {
            self.meetings.insert(new, after.id.clone());
        }
    }

    pub(super) fn forget_old(&self) {
        self.absent.retain(|_, since| since.elapsed() < NO_LASTS);
    }
}

impl View {
    /// A frontend's meeting by its node's own id.
    pub(crate) fn meeting_by_internal_id(&self, frontend: FrontendId, id: &str) -> Option<Arc<Meeting>> {
        let scoped = self.internal_ids.meetings.get(id)?.clone();
        let Known::There(meeting) = self.meeting(scoped.as_ref()) else { return None };
        let is_it = meeting.frontend == frontend && meeting.internal_id.as_deref() == Some(id);
        is_it.then_some(meeting)
    }

    /// The store does not know a meeting of the frontend by that id.
    pub(crate) fn note_absent(&self, frontend: FrontendId, id: &str) {
        self.internal_ids.absent.insert((frontend, id.to_owned()), Instant::now());
    }

    /// Whether the store has just said that it does not know a meeting of the frontend by that id.
    pub(crate) fn is_absent(&self, frontend: FrontendId, id: &str) -> bool {
        let noted = self.internal_ids.absent.get(&(frontend, id.to_owned())).map(|noted| *noted);
        noted.is_some_and(|noted| noted.elapsed() < NO_LASTS)
    }
}
