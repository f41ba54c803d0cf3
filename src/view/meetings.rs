//! The meetings: the rows of the database that this server has, and for a while the rows that it has seen go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{FrontendId, Meeting};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use tokio::time::Instant;

/// How long the "no" of a look-up is kept, unless the id is announced before. No client can name the id of a node before its
/// meeting is there.
const NO_LASTS: Duration = Duration::from_secs(1);

/// How long a deletion is remembered, so that an older read that comes late cannot undo it.
const DELETION_LASTS: Duration = Duration::from_secs(120);

/// The meetings by the ids that nodes know them by, and by the ids that nodes give them.
#[derive(Default)]
pub(crate) struct Meetings {
    slots: DashMap<ScopedId, Slot>,
    /// Kept up with every change.
    by_internal_id: DashMap<String, ScopedId>,
    /// Ids of nodes that the database was asked for and does not know.
    absent: DashMap<(FrontendId, String), Instant>,
}

enum Slot {
    There(Arc<Meeting>),
    Gone {
        version: i64,
        /// When it was last looked for.
        since: Instant,
        /// When it ceased to be there. `None`: it never was.
        ended: Option<Instant>,
    },
}

/// The answer of memory about a meeting.
pub(crate) enum Known {
    There(Arc<Meeting>),
    /// The database was asked for it a moment ago and did not have it.
    Absent,
    Unknown,
}

/// A change of a meeting: its row before, if it was there.
pub(super) struct Change {
    pub(super) before: Option<Arc<Meeting>>,
}

impl Meetings {
    pub(crate) fn known(&self, id: &str) -> Known {
        match self.slots.get(id).as_deref() {
            Some(Slot::There(meeting)) => Known::There(Arc::clone(meeting)),
            Some(Slot::Gone { since, .. }) if since.elapsed() < NO_LASTS => Known::Absent,
            Some(Slot::Gone { .. }) | None => Known::Unknown,
        }
    }

    /// A meeting, if memory has it.
    pub(crate) fn there(&self, id: &str) -> Option<Arc<Meeting>> {
        match self.slots.get(id).as_deref() {
            Some(Slot::There(meeting)) => Some(Arc::clone(meeting)),
            Some(Slot::Gone { .. }) | None => None,
        }
    }

    /// The meetings that are wanted, in any order.
    pub(crate) fn filtered(&self, mut is_wanted: impl FnMut(&Meeting) -> bool) -> Vec<Arc<Meeting>> {
        let there = self.slots.iter().filter_map(|entry| match entry.value() {
            Slot::There(meeting) if is_wanted(meeting) => Some(Arc::clone(meeting)),
            Slot::There(_) | Slot::Gone { .. } => None,
        });
        let mut there: Vec<_> = there.collect();
        // The table has another order in each process.
        there.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        there
    }

    /// A frontend's meeting by its node's own id.
    pub(crate) fn by_internal_id(&self, frontend: FrontendId, id: &str) -> Option<Arc<Meeting>> {
        let scoped = self.by_internal_id.get(id)?.clone();
        let meeting = self.there(scoped.as_ref())?;
        let is_it = meeting.frontend == frontend && meeting.internal_id.as_deref() == Some(id);
        is_it.then_some(meeting)
    }

    /// Records that the database does not know a meeting of the frontend by that id of a node.
    pub(crate) fn record_absent(&self, frontend: FrontendId, id: &str) {
        self.absent.insert((frontend, id.to_owned()), Instant::now());
    }

    /// Whether that was recorded a moment ago.
    pub(crate) fn is_absent(&self, frontend: FrontendId, id: &str) -> bool {
        let recorded = self.absent.get(&(frontend, id.to_owned())).map(|recorded| *recorded);
        recorded.is_some_and(|recorded| recorded.elapsed() < NO_LASTS)
    }

    /// The newest version known of a meeting, there or gone.
    pub(crate) fn version(&self, id: &ScopedId) -> i64 {
        self.slots.get(id).map_or(0, |slot| slot.version())
    }

    /// The versions of all that are there.
    pub(crate) fn versions(&self) -> HashMap<ScopedId, i64> {
        self.filtered(|_| true).iter().map(|meeting| (meeting.id.clone(), meeting.version)).collect()
    }

    /// When a meeting ceased to be there, as far as that is remembered.
    pub(super) fn ended_at(&self, id: &ScopedId) -> Option<Instant> {
        match self.slots.get(id).as_deref() {
            Some(Slot::Gone { ended, .. }) => *ended,
            Some(Slot::There(_)) | None => None,
        }
    }

    /// Takes a row in. `None`: the known one is as new.
    pub(super) fn take(&self, row: &Arc<Meeting>) -> Option<Change> {
        let before = match self.slots.entry(row.id.clone()) {
            Place::Vacant(slot) => {
                slot.insert(Slot::There(Arc::clone(row)));
                None
            }
            Place::Occupied(slot) if slot.get().version() >= row.version => return None,
            Place::Occupied(mut slot) => slot.insert(Slot::There(Arc::clone(row))).meeting(),
        };
        self.index(before.as_deref(), Some(row));
        Some(Change { before })
    }

    /// Takes a row out. `None`: something newer than `version` is known of it.
    pub(super) fn remove(&self, id: &ScopedId, version: i64) -> Option<Change> {
        let before = match self.slots.entry(id.clone()) {
            Place::Vacant(slot) => {
                slot.insert(Slot::Gone { version, since: Instant::now(), ended: None });
                None
            }
            Place::Occupied(slot) if slot.get().version() > version => return None,
            Place::Occupied(mut slot) => {
                let gone = slot.get().gone(version);
                slot.insert(gone).meeting()
            }
        };
        self.index(before.as_deref(), None);
        Some(Change { before })
    }

    /// Forgets even the version of a meeting.
    pub(super) fn forget(&self, id: &ScopedId) {
        self.slots.remove(id);
    }

    /// Drops deletions that nothing can undo any more.
    pub(super) fn forget_old(&self) {
        self.slots.retain(|_, slot| match slot {
            Slot::There(_) => true,
            Slot::Gone { since, .. } => since.elapsed() < DELETION_LASTS,
        });
        self.absent.retain(|_, since| since.elapsed() < NO_LASTS);
    }

    fn index(&self, before: Option<&Meeting>, after: Option<&Meeting>) {
        let id_of = |meeting: Option<&Meeting>| meeting.and_then(|meeting| meeting.internal_id.clone());
        let (old, new) = (id_of(before), id_of(after));
        if old == new {
            return;
        }
        if let (Some(old), Some(before)) = (old, before) {
            self.by_internal_id.remove_if(&old, |_, id| *id == before.id);
        }
        if let (Some(new), Some(after)) = (new.filter(|new| !new.is_empty()), after) {
            self.by_internal_id.insert(new, after.id.clone());
        }
    }
}

impl Slot {
    fn version(&self) -> i64 {
        match self {
            Slot::There(meeting) => meeting.version,
            Slot::Gone { version, .. } => *version,
        }
    }

    /// The rest of it once it is gone.
    fn gone(&self, version: i64) -> Self {
        let since = Instant::now();
        let ended = match self {
            Slot::There(_) => Some(since),
            Slot::Gone { ended, .. } => *ended,
        };
        Slot::Gone { version, since, ended }
    }

    fn meeting(self) -> Option<Arc<Meeting>> {
        match self {
            Slot::There(meeting) => Some(meeting),
            Slot::Gone { .. } => None,
        }
    }
}
