//! This server's memory: the roster, the meetings, and the nodes' last reports of them.

pub(crate) mod arrivals;
mod crowd;
mod entries;
pub(crate) mod entry;
pub(crate) mod firsthand;
mod fresh;
mod internal;
mod list;
mod oddities;
mod presence;
pub(crate) mod report;
pub(crate) mod roster;
mod strays;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Meeting, NodeMeeting, Seats};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use tokio::sync::Notify;

pub(crate) use crowd::Crowd;
pub(crate) use oddities::Oddities;
use strays::Other;
pub use strays::Stray;

use arrivals::Arrivals;
use entry::Entry;
pub use entry::Unshown;
use firsthand::Firsthand;
use internal::InternalIds;
use presence::Present;
use report::{Report, Reported};
use roster::Roster;

/// How long the "no" of a look-up is kept, unless the id is announced before.
const NO_LASTS: Duration = Duration::from_secs(1);

/// How long a deletion is remembered, so that an older read that comes late cannot undo it.
const DELETION_LASTS: Duration = Duration::from_secs(120);

/// What calls read. Nothing in here waits for anybody.
#[derive(Default)]
pub(crate) struct View {
    roster: ArcSwap<Roster>,
    /// Held while the roster is replaced, so that no replacement is lost.
    writing: Mutex<()>,
    meetings: DashMap<ScopedId, Slot>,
    internal_ids: InternalIds,
    /// Held from a change of the meetings to its count, so that no two changes are counted in the wrong order.
    seating: Mutex<()>,
    reports: DashMap<BackendId, Arc<Report>>,
    /// Answers of nodes about meetings that they have not reported yet.
    pub(crate) firsthand: Firsthand,
    /// Who was sent to a meeting of late.
    pub(crate) arrivals: Arrivals,
    /// What agents say, which is younger than any report.
    present: DashMap<BackendId, Present>,
    /// When this server last asked a node without the database's leave. In the future: it is being asked.
    asked: DashMap<BackendId, Instant>,
    /// The last reading of the store's clock, and its time.
    clock: Mutex<Option<(SystemTime, Instant)>>,
    /// Something is known that was not.
    pub(crate) changed: Notify,
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

impl Slot {
    fn version(&self) -> i64 {
        match self {
            Slot::There(meeting) => meeting.version,
            Slot::Gone { version, .. } => *version,
        }
    }

    /// Its tombstone.
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

/// What memory says of a meeting.
pub(crate) enum Known {
    There(Arc<Meeting>),
    /// A recent look-up did not find it.
    Absent,
    Unknown,
}

impl View {
    pub(crate) fn roster(&self) -> arc_swap::Guard<Arc<Roster>> {
        self.roster.load()
    }

    /// Replaces the roster and counts every meeting where it lives.
    pub(crate) fn change_roster(&self, change: impl FnOnce(&Roster) -> Roster) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.roster.load_full();
        let after = Arc::new(change(&before));
        self.roster.store(Arc::clone(&after));
        // Meetings may have become known before their backend did.
        self.recount();
        self.changed.notify_waiters();
    }

    pub(crate) fn meeting(&self, id: &str) -> Known {
        match self.meetings.get(id).as_deref() {
            Some(Slot::There(meeting)) => Known::There(Arc::clone(meeting)),
            Some(Slot::Gone { since, .. }) if since.elapsed() < NO_LASTS => Known::Absent,
            Some(Slot::Gone { .. }) | None => Known::Unknown,
        }
    }

    /// A meeting, if memory has it.
    pub(crate) fn known(&self, id: &str) -> Option<Arc<Meeting>> {
        match self.meeting(id) {
            Known::There(meeting) => Some(meeting),
            Known::Absent | Known::Unknown => None,
        }
    }

    pub(crate) fn meetings_where(&self, mut wanted: impl FnMut(&Meeting) -> bool) -> Vec<Arc<Meeting>> {
        let there = self.meetings.iter().filter_map(|entry| match entry.value() {
            Slot::There(meeting) if wanted(meeting) => Some(Arc::clone(meeting)),
            Slot::There(_) | Slot::Gone { .. } => None,
        });
        there.collect()
    }

    /// Takes a row in, unless the known one is newer.
    pub(crate) fn take_meeting(&self, row: &Arc<Meeting>) {
        let seating = self.seating.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match self.meetings.entry(row.id.clone()) {
            Place::Vacant(slot) => {
                slot.insert(Slot::There(Arc::clone(row)));
                None
            }
            Place::Occupied(slot) if slot.get().version() >= row.version => return,
            Place::Occupied(mut slot) => slot.insert(Slot::There(Arc::clone(row))).meeting(),
        };
        self.internal_ids.change(before.as_deref(), Some(row));
        self.seat(before.as_deref(), Some(row));
        drop(seating);
        self.changed.notify_waiters();
    }

    /// Takes a row of a full load in. It counts even if it is older than the row known `before`: then the database has gone
    /// back, as after a restore or a failover to a standby.
    pub(crate) fn take_loaded(&self, row: &Arc<Meeting>, before: &HashMap<ScopedId, i64>) {
        let known = before.get(&row.id).copied().filter(|known| *known > row.version);
        if known.is_some_and(|known| known == self.version(&row.id)) {
            self.remove_meeting(&row.id, i64::MAX);
            self.meetings.remove(&row.id);
        }
        self.take_meeting(row);
    }

    /// The meeting is gone, unless something newer than `version` is known of it.
    pub(crate) fn remove_meeting(&self, id: &ScopedId, version: i64) {
        let seating = self.seating.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match self.meetings.entry(id.clone()) {
            Place::Vacant(slot) => {
                slot.insert(Slot::Gone { version, since: Instant::now(), ended: None });
                None
            }
            Place::Occupied(slot) if slot.get().version() > version => return,
            Place::Occupied(mut slot) => {
                let gone = slot.get().gone(version);
                slot.insert(gone).meeting()
            }
        };
        self.internal_ids.change(before.as_deref(), None);
        self.seat(before.as_deref(), None);
        drop(seating);
        self.changed.notify_waiters();
    }

    /// Waits until `found` finds something. Looks again whenever something changes.
    pub(crate) async fn until<T>(&self, mut found: impl FnMut() -> Option<T>) -> T {
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
    pub(crate) fn version(&self, id: &ScopedId) -> i64 {
        self.meetings.get(id).map_or(0, |slot| slot.version())
    }

    /// When a meeting ceased to be there, as far as that is remembered.
    fn ended_at(&self, id: &ScopedId) -> Option<Instant> {
        match self.meetings.get(id).as_deref() {
            Some(Slot::Gone { ended, .. }) => *ended,
            Some(Slot::There(_)) | None => None,
        }
    }

    /// Takes in a node's report, unless a newer one is known.
    pub(crate) fn take_report(&self, backend: &Backend, mut report: Report) -> Arc<Report> {
        let mut kept = self.reports.entry(backend.id).or_insert_with(|| Arc::new(Report::empty(report.asked_at)));
        if kept.asked_at <= report.asked_at {
            let lives_there = |id: &ScopedId| matches!(self.meeting(id.as_ref()), Known::There(meeting) if meeting.backend == backend.id);
            report.inherit(&kept, lives_there);
            *kept = Arc::new(report);
        }
        let newest = Arc::clone(&kept);
        drop(kept);
        self.renew_entries(backend.id);
        self.recount_one(backend);
        newest
    }

    /// How long a meeting has had its place.
    pub(crate) fn age_of(&self, meeting: &Meeting) -> Duration {
        self.instant_of(meeting.placed_at).elapsed()
    }

    /// A node's report of a meeting.
    pub(crate) fn reported_entry(&self, backend: BackendId, meeting: &NodeMeeting) -> Option<Entry> {
        let report = self.reports.get(&backend).map(|report| Arc::clone(&report))?;
        let reported = report.meetings.get(meeting.id.as_str())?;
        reported.entry.clone().filter(|_| reported.born.internal_id == meeting.internal_id)
    }

    /// Its node's report of this very meeting.
    pub(crate) fn report_of(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        let report = self.reports.get(&meeting.backend).map(|report| Arc::clone(&report))?;
        let reported = report.meetings.get(&meeting.id)?;
        (Some(&reported.born.internal_id) == meeting.internal_id.as_ref()).then(|| Arc::clone(reported))
    }

    /// The report of a backend no longer holds.
    pub(crate) fn forget_report(&self, backend: &Backend) {
        self.reports.remove(&backend.id);
        self.recount_one(backend);
    }

    /// Whether a node is not being asked and was not for that long. From now on it is, until [`has_asked`](Self::has_asked) says
    /// otherwise, or for `lease`, the longest that a poll may take.
    pub(crate) fn is_due(&self, backend: BackendId, pause: Duration, lease: Duration) -> bool {
        let now = Instant::now();
        let before = self.asked.get(&backend).map(|asked| *asked);
        let due = before.is_none_or(|before| now.saturating_duration_since(before) >= pause);
        if due {
            // Later than any answer can take: until then the poll is under way.
            self.asked.insert(backend, now + lease);
        }
        due
    }

    /// A node is not being asked any more.
    pub(crate) fn has_asked(&self, backend: BackendId) {
        self.asked.insert(backend, Instant::now());
    }

    /// Drops deletions that nothing can undo any more, and all that is kept of backends that are not on the roster.
    pub(crate) fn forget_old(&self) {
        self.meetings.retain(|_, slot| match slot {
            Slot::There(_) => true,
            Slot::Gone { since, .. } => since.elapsed() < DELETION_LASTS,
        });
        self.internal_ids.forget_old();
        let roster = self.roster();
        self.reports.retain(|id, _| roster.backend(*id).is_some());
        self.asked.retain(|id, _| roster.backend(*id).is_some());
        self.present.retain(|id, _| roster.backend(*id).is_some());
        self.firsthand.forget_old();
        self.arrivals.forget_old();
    }

    /// Records a reading of the store's clock, with the time of the request. So nothing is taken to be younger than it is.
    pub(crate) fn set_clock(&self, said: SystemTime, asked: Instant) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some((said, asked));
    }

    /// Recounts the attendees of every backend.
    fn recount(&self) {
        let _seating = self.seating.lock().unwrap_or_else(PoisonError::into_inner);
        let mut homes: HashMap<BackendId, Vec<Arc<Meeting>>> = HashMap::new();
        for meeting in self.meetings_where(|_| true) {
            homes.entry(meeting.backend).or_default().push(meeting);
        }
        for backend in self.roster().backends().iter() {
            self.seat_all(backend, homes.get(&backend.id).map_or(&[], Vec::as_slice));
        }
    }

    pub(crate) fn recount_one(&self, backend: &Backend) {
        let _seating = self.seating.lock().unwrap_or_else(PoisonError::into_inner);
        self.seat_all(backend, &self.meetings_where(|meeting| meeting.backend == backend.id));
    }

    fn seat_all(&self, backend: &Backend, meetings: &[Arc<Meeting>]) {
        let report = self.reports.get(&backend.id).map(|report| Arc::clone(&report));
        let mut seats: HashMap<_, _> =
            meetings.iter().map(|one| (one.id.clone(), self.seats(one, report.as_deref()))).collect();
        let mut strangers = 0_u32;
        for (id, reported, other) in report.iter().flat_map(|report| self.others(backend.id, report)) {
            match other {
                Other::Stray => drop(seats.insert(id.clone(), self.seats_of_stray(id, reported))),
                Other::Copy | Other::Homeless if reported.shares_people(id) => {}
                Other::Copy | Other::Homeless => strangers = strangers.saturating_add(reported.attendees),
            }
        }
        backend.vitals.seat_all(seats, strangers);
    }

    /// Seats a meeting where it is now, and nowhere else.
    fn seat(&self, before: Option<&Meeting>, after: Option<&Meeting>) {
        let roster = self.roster();
        let left = before.filter(|before| after.is_none_or(|after| after.backend != before.backend));
        if let Some((left, backend)) = left.and_then(|left| Some((left, roster.backend(left.backend)?))) {
            backend.vitals.unseat(&left.id);
        }
        if let Some((there, backend)) = after.and_then(|there| Some((there, roster.backend(there.backend)?))) {
            let report = self.reports.get(&there.backend).map(|report| Arc::clone(&report));
            backend.vitals.seat(&there.id, self.seats(there, report.as_deref()));
        }
    }

    fn seats(&self, meeting: &Meeting, report: Option<&Report>) -> Seats {
        let reported = report.and_then(|report| report.meetings.get(&meeting.id));
        let attendees = self.people_present(meeting);
        let attendees = attendees.unwrap_or_else(|| reported.map_or(0, |reported| reported.attendees));
        let (size, shared) = (meeting.size, meeting.shares_people());
        Seats { size, shared, attendees, since: self.instant_of(meeting.placed_at) }
    }

    /// A time of the store's clock by ours. Never in the future.
    fn instant_of(&self, time: SystemTime) -> Instant {
        let now = Instant::now();
        let Some((said, at)) = *self.clock.lock().unwrap_or_else(PoisonError::into_inner) else { return now };
        let age = (said + at.elapsed()).duration_since(time).unwrap_or_default();
        now.checked_sub(age).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;
    use b3scale_middleware::cluster::{FrontendId, MeetingState};
    use uuid::Uuid;

    use super::*;

    const LEASE: Duration = Duration::from_secs(40);

    fn meeting(version: i64, state: MeetingState) -> Arc<Meeting> {
        Arc::new(Meeting {
            id: ScopedId::verbatim("m"),
            meeting_id: MeetingId::new("m"),
            frontend: FrontendId(Uuid::nil()),
            backend: BackendId(Uuid::nil()),
            attempt: 1,
            claim: 1,
            state,
            internal_id: None,
            size: b3scale_middleware::cluster::Size::default(),
            placed_at: SystemTime::UNIX_EPOCH,
            entry: None,
            version,
        })
    }

    fn known(view: &View) -> Option<i64> {
        match view.meeting("m") {
            Known::There(meeting) => Some(meeting.version),
            Known::Absent | Known::Unknown => None,
        }
    }

    /// Without the database each server asks for itself, however long a node takes to answer.
    #[test]
    fn a_node_is_not_asked_again_while_it_is_being_asked() {
        let (view, node, pause) = (View::default(), BackendId(Uuid::nil()), Duration::from_secs(1));
        let asked = |view: &View| *view.asked.get(&node).expect("it was asked");
        assert!(view.is_due(node, pause, LEASE), "it was never asked");
        assert!(
            !view.is_due(node, pause, LEASE) && asked(&view) > Instant::now() + LEASE / 2,
            "it has not answered yet"
        );
        assert!(view.is_due(BackendId(Uuid::max()), pause, LEASE), "which holds up no other");
        view.has_asked(node);
        assert!(!view.is_due(node, pause, LEASE) && asked(&view) <= Instant::now(), "it has just answered");
        view.asked.alter(&node, |_, asked| asked.checked_sub(pause).expect("this machine has run for longer"));
        assert!(view.is_due(node, pause, LEASE));
    }

    #[test]
    fn an_older_row_never_replaces_a_newer_one() {
        let view = View::default();
        view.take_meeting(&meeting(5, MeetingState::Live));
        view.take_meeting(&meeting(4, MeetingState::Claimed));
        assert_eq!(known(&view), Some(5));
    }

    #[test]
    fn a_late_read_does_not_undo_a_deletion() {
        let view = View::default();
        view.take_meeting(&meeting(5, MeetingState::Live));
        view.remove_meeting(&ScopedId::verbatim("m"), 5);
        view.take_meeting(&meeting(5, MeetingState::Live));
        assert_eq!(known(&view), None);
        view.take_meeting(&meeting(6, MeetingState::Claimed));
        assert_eq!(known(&view), Some(6));
    }

    #[test]
    fn a_full_load_believes_a_database_that_has_gone_back_and_not_over_what_is_new() {
        let view = View::default();
        let before = HashMap::from([(ScopedId::verbatim("m"), 5)]);
        view.take_meeting(&meeting(5, MeetingState::Live));
        view.take_loaded(&meeting(4, MeetingState::Claimed), &before);
        assert_eq!(known(&view), Some(4));
        view.take_meeting(&meeting(7, MeetingState::Live));
        view.take_loaded(&meeting(4, MeetingState::Claimed), &before);
        assert_eq!(known(&view), Some(7), "it came while everything was loaded");
    }

    #[test]
    fn a_late_no_does_not_undo_a_claim() {
        let view = View::default();
        let before = view.version(&ScopedId::verbatim("m"));
        view.take_meeting(&meeting(7, MeetingState::Claimed));
        view.remove_meeting(&ScopedId::verbatim("m"), before);
        assert_eq!(known(&view), Some(7));
    }
}
