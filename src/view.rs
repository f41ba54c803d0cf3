//! This server's memory: the roster, the meetings, and the nodes' words about them. It asks nothing and waits for nothing.
//!
//! | part | has |
//! |---|---|
//! | `roster` | frontends and backends |
//! | `meetings` | the rows of meetings |
//! | `reports` | each node's last list, taken apart |
//! | `presences` | the people in each meeting, as agents report them |
//! | `firsthand` | answers about meetings that are too young for a report |
//! | `arrivals` | meetings to which an attendee was just sent |
//!
//! The parts know nothing of each other. [`View`] changes them, and keeps the figures of each backend in step: whenever a meeting,
//! a report or a presence changes, the meetings of its backend are counted.

mod arrivals;
mod clock;
mod crowd;
mod entries;
mod entry;
mod firsthand;
mod meetings;
mod oddities;
mod presences;
mod report;
mod reports;
mod roster;
mod strays;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Frontend, FrontendId, Meeting, Presence, Seats};
use b3scale_middleware::ports::Seen;
use tokio::sync::Notify;
use tokio::time::Instant;

use arrivals::Arrivals;
use clock::StoreClock;
pub(crate) use crowd::Crowd;
pub use entry::Unshown;
use firsthand::Firsthand;
pub(crate) use meetings::Known;
use meetings::Meetings;
pub(crate) use oddities::Oddities;
use presences::Presences;
pub(crate) use report::{Report, Reported, Word};
use reports::Reports;
use roster::Roster;
use strays::Other;
pub use strays::Stray;

/// The memory that calls read.
#[derive(Default)]
pub(crate) struct View {
    roster: ArcSwap<Roster>,
    /// Held while the roster is replaced, so that no replacement is lost.
    writing: Mutex<()>,
    pub(crate) meetings: Meetings,
    pub(crate) reports: Reports,
    pub(crate) presences: Presences,
    pub(crate) firsthand: Firsthand,
    pub(crate) arrivals: Arrivals,
    pub(crate) clock: StoreClock,
    /// Held from a change of the meetings to its count, so that no two changes are counted in the wrong order.
    seating: Mutex<()>,
    /// Rings with every change.
    pub(crate) changed: Notify,
}

impl View {
    pub(crate) fn roster(&self) -> arc_swap::Guard<Arc<Roster>> {
        self.roster.load()
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

    /// Replaces the roster by all that is in the database.
    pub(crate) fn take_roster(&self, frontends: Vec<Frontend>, backends: Vec<Backend>) {
        self.change_roster(|roster| roster.reloaded(frontends, backends));
        // Meetings may have become known before their backend did.
        self.count_all();
        self.changed.notify_waiters();
    }

    /// One frontend as it is now. The meetings are counted by their backends, so none is counted again.
    pub(crate) fn take_frontend(&self, id: FrontendId, row: Option<Frontend>) {
        self.change_roster(|roster| roster.with_frontend(id, row));
        self.changed.notify_waiters();
    }

    /// One backend as it is now.
    pub(crate) fn take_backend(&self, id: BackendId, row: Option<Backend>) {
        self.change_roster(|roster| roster.with_backend(id, row));
        if let Some(backend) = self.roster().backend(id) {
            self.count(backend);
        }
        self.changed.notify_waiters();
    }

    /// Takes a row in, unless the known one is as new.
    pub(crate) fn take_meeting(&self, row: &Arc<Meeting>) {
        let seating = self.seating();
        let Some(change) = self.meetings.take(row) else { return };
        self.seat(change.before.as_deref(), Some(row));
        drop(seating);
        self.changed.notify_waiters();
    }

    /// Takes a row of a full load in. It counts even if it is older than the one known `before`: then the database has gone back,
    /// as it does when it is restored or a standby takes over.
    pub(crate) fn take_loaded(&self, row: &Arc<Meeting>, before: &HashMap<ScopedId, i64>) {
        let known = before.get(&row.id).copied().filter(|known| *known > row.version);
        if known.is_some_and(|known| known == self.meetings.version(&row.id)) {
            self.remove_meeting(&row.id, i64::MAX);
            self.meetings.forget(&row.id);
        }
        self.take_meeting(row);
    }

    /// The meeting is gone, unless something newer than `version` is known of it.
    pub(crate) fn remove_meeting(&self, id: &ScopedId, version: i64) {
        let seating = self.seating();
        let Some(change) = self.meetings.remove(id, version) else { return };
        self.seat(change.before.as_deref(), None);
        drop(seating);
        self.changed.notify_waiters();
    }

    /// Takes in a node's report, unless a younger one is known, and returns the youngest.
    pub(crate) fn take_report(&self, backend: &Backend, report: Report) -> Arc<Report> {
        let lives_there =
            |id: &ScopedId| self.meetings.there(id.as_ref()).is_some_and(|meeting| meeting.backend == backend.id);
        let newest = self.reports.take(backend.id, report, lives_there);
        self.presences.renew(backend.id, |present| self.reports.entry(backend.id, present));
        self.count(backend);
        newest
    }

    /// The report of a backend holds no more.
    pub(crate) fn forget_report(&self, backend: &Backend) {
        self.reports.forget(backend.id);
        self.count(backend);
    }

    /// Takes in the report of an agent up to `seq`. `told_at`: the time of its last full report.
    pub(crate) fn take_presence(&self, backend: &Backend, news: Presence, seq: i64, told_at: Option<Instant>) {
        let reported = |present: &_| self.reports.entry(backend.id, present);
        if self.presences.take(backend.id, news, (seq, told_at), reported) {
            self.count(backend);
            self.changed.notify_waiters();
        }
    }

    /// Drops deletions that nothing can undo any more, and all that is kept of backends that are not on the roster.
    pub(crate) fn forget_old(&self) {
        let roster = self.roster();
        let is_there = |id| roster.backend(id).is_some();
        self.meetings.forget_old();
        self.reports.retain(is_there);
        self.presences.retain(is_there);
        self.firsthand.forget_old();
        self.arrivals.forget_old();
    }

    /// How long a meeting has had its place.
    pub(crate) fn age_of(&self, meeting: &Meeting) -> Duration {
        self.clock.instant_of(meeting.placed_at).elapsed()
    }

    /// The people in a meeting, by its node's agent, else by its node's last report.
    pub(crate) fn crowd(&self, meeting: &Meeting) -> Crowd {
        self.presences.crowd(meeting).unwrap_or_else(|| {
            let report = self.reports.of(meeting.backend);
            let reported = report.as_ref().and_then(|report| report.meetings.get(&meeting.id));
            reported.map(|one| Crowd { people: one.attendees, with_video: one.with_video }).unwrap_or_default()
        })
    }

    /// Whether a meeting is running as BBB means it, and the age of that news.
    ///
    /// An agent counts only while it reports attendees: a node calls an empty meeting running for up to a minute longer. Else the
    /// node's last report counts. `None`: neither has the meeting, or an attendee was just sent to it and may be on the way.
    pub(crate) fn seen(&self, meeting: &Meeting) -> Option<Seen> {
        let seen = self.seen_by_agent(meeting).or_else(|| self.seen_in_report(meeting))?;
        (seen.running || !self.arrivals.expects(&meeting.id)).then_some(seen)
    }

    fn seen_by_agent(&self, meeting: &Meeting) -> Option<Seen> {
        self.presences.people(meeting).filter(|people| *people > 0)?;
        Some(Seen { age: self.presences.age(meeting.backend)?, running: true })
    }

    fn seen_in_report(&self, meeting: &Meeting) -> Option<Seen> {
        let report = self.reports.of(meeting.backend)?;
        let reported = report.own(&meeting.id)?;
        let is_it = meeting.internal_id.as_ref() == Some(&reported.born.internal_id);
        let age = || self.clock.instant_of(report.holds_since()).elapsed();
        (is_it && self.clock.is_known()).then(|| Seen { age: age(), running: reported.running })
    }

    fn change_roster(&self, change: impl FnOnce(&Roster) -> Roster) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let after = change(&self.roster());
        self.roster.store(Arc::new(after));
    }

    fn seating(&self) -> MutexGuard<'_, ()> {
        self.seating.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the meetings of every backend.
    fn count_all(&self) {
        let _seating = self.seating();
        let mut homes: HashMap<BackendId, Vec<Arc<Meeting>>> = HashMap::new();
        for meeting in self.meetings.filtered(|_| true) {
            homes.entry(meeting.backend).or_default().push(meeting);
        }
        for backend in self.roster().backends().iter() {
            self.seat_all(backend, homes.get(&backend.id).map_or(&[], Vec::as_slice));
        }
    }

    /// Counts the meetings of one backend.
    fn count(&self, backend: &Backend) {
        let _seating = self.seating();
        self.seat_all(backend, &self.meetings.filtered(|meeting| meeting.backend == backend.id));
    }

    fn seat_all(&self, backend: &Backend, meetings: &[Arc<Meeting>]) {
        let report = self.reports.of(backend.id);
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
            backend.vitals.seat(&there.id, self.seats(there, self.reports.of(there.backend).as_deref()));
        }
    }

    fn seats(&self, meeting: &Meeting, report: Option<&Report>) -> Seats {
        let reported = report.and_then(|report| report.meetings.get(&meeting.id));
        let attendees = self.presences.people(meeting);
        let attendees = attendees.unwrap_or_else(|| reported.map_or(0, |reported| reported.attendees));
        let (size, shared) = (meeting.size, meeting.shares_people());
        Seats { size, shared, attendees, since: self.clock.instant_of(meeting.placed_at).into_std() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use b3scale_middleware::bbb::{MeetingId, Secret};
    use b3scale_middleware::cluster::{MeetingState, Secrets, Size};
    use uuid::Uuid;

    use super::*;

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
            size: Size::default(),
            placed_at: SystemTime::UNIX_EPOCH,
            entry: None,
            callbacks: Arc::default(),
            version,
        })
    }

    fn known(view: &View) -> Option<i64> {
        view.meetings.there("m").map(|meeting| meeting.version)
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
        let before = view.meetings.version(&ScopedId::verbatim("m"));
        view.take_meeting(&meeting(7, MeetingState::Claimed));
        view.remove_meeting(&ScopedId::verbatim("m"), before);
        assert_eq!(known(&view), Some(7));
    }

    fn backend(version: i64) -> Backend {
        let url = "http://n1/bigbluebutton/api/";
        Backend { version, ..Backend::new(Uuid::nil(), url, Secret::new("s").unwrap()) }
    }

    fn frontend() -> Frontend {
        let secrets = Secrets::new(Secret::new("s").unwrap(), None);
        Frontend { version: 1, ..Frontend::new(Uuid::nil(), "school", secrets) }
    }

    /// A seat that no count would give shows whether one took place.
    #[test]
    fn a_changed_frontend_counts_no_meetings_and_a_changed_backend_only_its_own() {
        let view = View::default();
        view.take_roster(Vec::new(), vec![backend(1), Backend { id: BackendId(Uuid::max()), ..backend(1) }]);
        let seats = Seats { size: Size::default(), shared: false, attendees: 0, since: Instant::now().into_std() };
        let roster = Arc::clone(&view.roster());
        roster.backends().iter().for_each(|one| one.vitals.seat(&ScopedId::verbatim("uncounted"), seats));
        let meetings =
            || [Uuid::nil(), Uuid::max()].map(|id| view.roster().backend(BackendId(id)).unwrap().vitals.meetings());
        view.take_frontend(FrontendId(Uuid::nil()), Some(frontend()));
        assert!(view.roster().frontend("school").is_some());
        assert_eq!(meetings(), [1, 1]);
        view.take_backend(BackendId(Uuid::nil()), Some(backend(2)));
        assert_eq!(meetings(), [0, 1]);
        view.take_roster(Vec::new(), vec![backend(2), Backend { id: BackendId(Uuid::max()), ..backend(1) }]);
        assert_eq!(meetings(), [0, 0]);
    }

    #[test]
    fn a_meeting_that_was_known_before_its_backend_is_counted_with_it() {
        let view = View::default();
        view.take_meeting(&meeting(1, MeetingState::Live));
        view.take_backend(BackendId(Uuid::nil()), Some(backend(1)));
        assert_eq!(view.roster().backend(BackendId(Uuid::nil())).unwrap().vitals.meetings(), 1);
    }
}
