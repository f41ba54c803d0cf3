//! What this server knows: the roster, and the meetings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{BackendId, Meeting};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::Notify;

use super::roster::Roster;

/// How long the "no" of a look-up is kept, unless the id is announced before.
const NO_LASTS: Duration = Duration::from_secs(1);

/// How long a deletion is remembered, so that an older read that comes late cannot undo it.
const DELETION_LASTS: Duration = Duration::from_secs(120);

/// What calls read. Nothing in here waits for anybody.
#[derive(Default)]
pub(super) struct View {
    roster: ArcSwap<Roster>,
    /// Held by whoever replaces the roster, so that no replacement is lost.
    writing: Mutex<()>,
    meetings: DashMap<ScopedId, Slot>,
    /// Something is known that was not.
    pub(super) changed: Notify,
}

enum Slot {
    There(Arc<Meeting>),
    Gone { version: i64, since: Instant },
}

impl Slot {
    fn version(&self) -> i64 {
        match self {
            Slot::There(meeting) => meeting.version,
            Slot::Gone { version, .. } => *version,
        }
    }

    fn meeting(self) -> Option<Arc<Meeting>> {
        match self {
            Slot::There(meeting) => Some(meeting),
            Slot::Gone { .. } => None,
        }
    }
}

/// What memory says of a meeting.
pub(super) enum Known {
    There(Arc<Meeting>),
    /// It was looked up a moment ago and nobody had it.
    Absent,
    Unknown,
}

impl View {
    pub(super) fn roster(&self) -> arc_swap::Guard<Arc<Roster>> {
        self.roster.load()
    }

    /// Replaces the roster and counts every meeting where it lives.
    pub(super) fn change_roster(&self, change: impl FnOnce(&Roster) -> Roster) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.roster.load_full();
        let after = Arc::new(change(&before));
        self.roster.store(Arc::clone(&after));
        // Meetings may have become known before their backend did.
        self.recount();
        self.changed.notify_waiters();
    }

    pub(super) fn meeting(&self, id: &ScopedId) -> Known {
        match self.meetings.get(id).as_deref() {
            Some(Slot::There(meeting)) => Known::There(Arc::clone(meeting)),
            Some(Slot::Gone { since, .. }) if since.elapsed() < NO_LASTS => Known::Absent,
            Some(Slot::Gone { .. }) | None => Known::Unknown,
        }
    }

    pub(super) fn meetings_where(&self, mut wanted: impl FnMut(&Meeting) -> bool) -> Vec<Arc<Meeting>> {
        let there = self.meetings.iter().filter_map(|entry| match entry.value() {
            Slot::There(meeting) if wanted(meeting) => Some(Arc::clone(meeting)),
            Slot::There(_) | Slot::Gone { .. } => None,
        });
        there.collect()
    }

    /// Takes a row in, unless what is known is newer.
    pub(super) fn learn(&self, row: &Arc<Meeting>) {
        let before = match self.meetings.entry(row.id.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(Slot::There(Arc::clone(row)));
                None
            }
            Entry::Occupied(slot) if slot.get().version() >= row.version => return,
            Entry::Occupied(mut slot) => slot.insert(Slot::There(Arc::clone(row))).meeting(),
        };
        self.count(before.as_deref(), Some(row));
        self.changed.notify_waiters();
    }

    /// The meeting is gone, unless something newer than `version` is known of it.
    pub(super) fn unlearn(&self, id: &ScopedId, version: i64) {
        let gone = Slot::Gone { version, since: Instant::now() };
        let before = match self.meetings.entry(id.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(gone);
                None
            }
            Entry::Occupied(slot) if slot.get().version() > version => return,
            Entry::Occupied(mut slot) => slot.insert(gone).meeting(),
        };
        self.count(before.as_deref(), None);
        self.changed.notify_waiters();
    }

    /// Waits until `found` finds something. Looks again whenever something changes.
    pub(super) async fn until<T>(&self, mut found: impl FnMut() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that nothing is missed in between.
            changed.as_mut().enable();
            if let Some(found) = found() {
                return found;
            }
            changed.await;
        }
    }

    /// The newest version known of a meeting, there or gone.
    pub(super) fn version(&self, id: &ScopedId) -> i64 {
        self.meetings.get(id).map_or(0, |slot| slot.version())
    }

    /// Drops deletions that nothing can undo any more.
    pub(super) fn forget_old_deletions(&self) {
        self.meetings.retain(|_, slot| match slot {
            Slot::There(_) => true,
            Slot::Gone { since, .. } => since.elapsed() < DELETION_LASTS,
        });
    }

    /// Counts the meetings of every backend anew, in case two changes at once were counted in the wrong order.
    pub(super) fn recount(&self) {
        let mut counts: HashMap<BackendId, u32> = HashMap::new();
        for meeting in self.meetings_where(|_| true) {
            *counts.entry(meeting.backend).or_default() += 1;
        }
        for backend in self.roster().backends().iter() {
            backend.vitals.count_meetings(counts.get(&backend.id).copied().unwrap_or_default());
        }
    }

    fn count(&self, before: Option<&Meeting>, after: Option<&Meeting>) {
        let roster = self.roster();
        if before.map(|meeting| meeting.backend) == after.map(|meeting| meeting.backend) {
            return;
        }
        if let Some(backend) = before.and_then(|meeting| roster.backend(meeting.backend)) {
            backend.vitals.meeting_removed();
        }
        if let Some(backend) = after.and_then(|meeting| roster.backend(meeting.backend)) {
            backend.vitals.meeting_added();
        }
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;
    use b3scale_middleware::cluster::{FrontendId, MeetingState};
    use uuid::Uuid;

    use super::*;

    fn meeting(version: i64, state: MeetingState) -> Arc<Meeting> {
        Arc::new(Meeting {
            id: ScopedId::verbatim("m"),
            meeting_id: MeetingId::new("m"),
            frontend: FrontendId(Uuid::nil()),
            backend: BackendId(Uuid::nil()),
            attempt: 1,
            state,
            internal_id: None,
            version,
        })
    }

    fn known(view: &View) -> Option<i64> {
        match view.meeting(&ScopedId::verbatim("m")) {
            Known::There(meeting) => Some(meeting.version),
            Known::Absent | Known::Unknown => None,
        }
    }

    #[test]
    fn an_older_row_never_replaces_a_newer_one() {
        let view = View::default();
        view.learn(&meeting(5, MeetingState::Live));
        view.learn(&meeting(4, MeetingState::Claimed));
        assert_eq!(known(&view), Some(5));
    }

    #[test]
    fn a_late_read_does_not_undo_a_deletion() {
        let view = View::default();
        view.learn(&meeting(5, MeetingState::Live));
        view.unlearn(&ScopedId::verbatim("m"), 5);
        view.learn(&meeting(5, MeetingState::Live));
        assert_eq!(known(&view), None);
        view.learn(&meeting(6, MeetingState::Claimed));
        assert_eq!(known(&view), Some(6));
    }

    #[test]
    fn a_late_no_does_not_undo_a_claim() {
        let view = View::default();
        let before = view.version(&ScopedId::verbatim("m"));
        view.learn(&meeting(7, MeetingState::Claimed));
        view.unlearn(&ScopedId::verbatim("m"), before);
        assert_eq!(known(&view), Some(7));
    }
}
